package verify

import (
	"context"
	"errors"
	"testing"
	"time"

	"readmit.dev/readmit/verify/verifytest"
)

// issuedAt is what a request with a token of a node whose clock is off gets.
func (w *world) issuedAt(p *verifytest.Person, off time.Duration) error {
	w.t.Helper()
	c := w.server.Claims(p, 1)
	at := time.Now().Add(off)
	c["iat"], c["exp"] = at.Unix(), at.Add(tokenLife).Unix()
	token := w.server.Sign(map[string]any{"typ": tokenType}, c)
	r := w.request(p, token, "GET", "/notes", "")
	_, err := w.v.Check(context.Background(), Request{Token: token, Proof: r.Header.Get("DPoP"), Method: "GET", URL: service + "/notes"})
	return err
}

// TestFloorAfterAStart: a token of a node whose clock is ahead was issued before
// the start, and may be from before a change that the process before was told of.
func TestFloorAfterAStart(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		w.stop()
		w.begin(config(w.server)) // and a second later
		if err := w.issuedAt(p, leeway-2*time.Second); !errors.Is(err, Stale) {
			t.Errorf("issued before the start by a clock that is ahead: %v, want %v", err, Stale)
		}
		if s := w.v.Status(); s.Ready {
			t.Error("it says that it is ready while it refuses every token")
		}
		time.Sleep(leeway + time.Second)
		if s := w.v.Status(); !s.Ready {
			t.Errorf("not ready: %+v", s)
		}
		if err := w.issuedAt(p, 0); err != nil {
			t.Errorf("issued long after the start: %v", err)
		}
	})
}

// TestFloorOfAFullMemory: so too for what had to be forgotten.
func TestFloorOfAFullMemory(t *testing.T) {
	m := accounts{most: 1}
	at := time.Unix(1_000_000, 0)
	m.apply(event{account: id{1}, epoch: 2, at: at}, 0)
	m.apply(event{account: id{2}, epoch: 2, at: at.Add(time.Minute)}, 0)
	issued := func(s int64) error {
		return m.judge(&claims{account: id{1}, epoch: 1, issued: at.Unix() + s})
	}
	if err := issued(int64(leeway / time.Second)); !errors.Is(err, Stale) {
		t.Errorf("a token from before the change, of a clock that is ahead: %v, want %v", err, Stale)
	}
	if err := issued(int64(leeway/time.Second) + 2); err != nil {
		t.Errorf("one from after it: %v", err)
	}
}

// TestAsleep: while a machine sleeps, only the wall's clock goes on. What was
// heard before is old, and so are the keys.
func TestAsleep(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		time.Sleep(leeway + time.Second)
		p := verifytest.NewPerson()
		if err := w.issuedAt(p, 0); err != nil {
			t.Fatal(err)
		}
		w.stop()
		wall, slept := w.v.clock.wall, 2*keysLife
		w.v.clock.wall = func() time.Time { return wall().Add(slept) }
		if s := w.v.Status(); s.Stale < slept || s.Keys < slept {
			t.Errorf("after %v asleep: the news is %v old, the keys %v", slept, s.Stale, s.Keys)
		}
		if _, _, believed := find(&w.v.keys, w.v.clock, "", tokenKeys); believed {
			t.Error("keys of before are believed")
		}
		w.start(config(w.server)) // for the end
	})
}
