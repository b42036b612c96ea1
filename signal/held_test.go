package signal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// TestHeldPolls: one service holds two polls at a node; the oldest is let go for
// a newer one, and another service's are its own.
func TestHeldPolls(t *testing.T) {
	w := newWorld(t)
	shop, mail := w.node.add("shop", "").Service, w.node.add("mail", "").Service
	defer w.node.run()()
	type answer struct {
		n    int
		sets int
	}
	answers := make(chan answer, 20)
	poll := func(n int, s store.Service) {
		go func() {
			sets, _, err := w.node.outbox.Poll(context.Background(), s, nil, nil, 9, true)
			if err != nil {
				t.Error(err)
			}
			answers <- answer{n, len(sets)}
		}()
		time.Sleep(30 * time.Millisecond) // so that they come in this order
	}
	poll(100, mail)
	for n := range 5 {
		poll(n, shop)
	}
	for n := range 3 {
		select {
		case got := <-answers:
			if got != (answer{n, 0}) {
				t.Errorf("%+v was let go, want the oldest, %d, without a signal", got, n)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("more are held than may be")
		}
	}
	select {
	case got := <-answers:
		t.Fatalf("%+v was let go too", got)
	case <-time.After(100 * time.Millisecond):
	}
	w.node.raise(w.account(), signal.PasswordChanged)
	for range 3 {
		select {
		case got := <-answers:
			if got.sets != 1 {
				t.Errorf("%+v, want the signal", got)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("one that is held hears nothing")
		}
	}
	poll(5, shop) // and its place is free again
	poll(6, shop)
	select {
	case got := <-answers:
		if got.sets != 1 {
			t.Errorf("%+v was let go while there was room", got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("what was not acknowledged does not come again")
	}
}

// views counts how often a store is read.
type views struct {
	store.Store
	n atomic.Int64
}

func (v *views) View(ctx context.Context, f func(store.Tx) error) error {
	v.n.Add(1)
	return v.Store.View(ctx, f)
}

// TestImpatientPolls: however often a service asks without waiting, the store is
// read at a bounded pace; and what is new is given out at once.
func TestImpatientPolls(t *testing.T) {
	w := newWorld(t)
	shop := w.node.add("shop", "").Service
	counted := &views{Store: w.node.outbox.Store}
	w.node.outbox.Store = counted
	poll := func(acks ...string) map[string]string {
		t.Helper()
		sets, _, err := w.node.outbox.Poll(t.Context(), shop, acks, nil, 9, false)
		if err != nil {
			t.Fatal(err)
		}
		return sets
	}
	began := time.Now()
	for range 2000 {
		if sets := poll(); len(sets) > 0 {
			t.Fatalf("%d signals of nothing", len(sets))
		}
	}
	if n, most := counted.n.Load(), int64(time.Since(began)/(100*time.Millisecond))+1; n > most {
		t.Errorf("2,000 polls in %v read the store %d times, want %d at most", time.Since(began), n, most)
	}
	w.node.raise(w.account(), signal.PasswordChanged)
	w.node.outbox.Wake()
	sets := poll()
	if len(sets) != 1 {
		t.Fatalf("%d signals at once, want the one", len(sets))
	}
	if len(poll()) != 1 {
		t.Error("what was not acknowledged does not come again")
	}
	for jti := range sets {
		if len(poll(jti)) > 0 {
			t.Error("what was acknowledged comes again")
		}
	}
}

// TestSecretsAreLookedUpCheaply: however often a service calls, and with what
// secret, the store is read at a bounded pace; and who is new or gone is known.
func TestSecretsAreLookedUpCheaply(t *testing.T) {
	w := newWorld(t)
	counted := &views{Store: w.store}
	outbox := &signal.Outbox{Store: counted, Keys: w.keys, Now: w.clock.now, URL: issuer, Log: w.node.outbox.Log}
	r, err := outbox.Add(t.Context(), "shop", "https://shop.example.org", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	before, began := counted.n.Load(), time.Now()
	for i := range 5000 {
		if s, err := outbox.Service(t.Context(), r.Secret); err != nil || s.ID != r.ID {
			t.Fatalf("%+v, %v", s, err)
		}
		for _, wrong := range []string{fmt.Sprintf("rms_%032d", i), r.Secret[:len(r.Secret)-1] + "%"} {
			if _, err := outbox.Service(t.Context(), wrong); !errors.Is(err, signal.ErrNoService) {
				t.Fatalf("%q: %v", wrong, err)
			}
		}
	}
	if n, most := counted.n.Load()-before, int64(time.Since(began)/(50*time.Millisecond))+2; n > most {
		t.Errorf("15,000 calls in %v read the store %d times, want %d at most", time.Since(began), n, most)
	}

	// One that another node has added is known soon, however many others guess.
	other := w.node.add("mail", "")
	w.eventually("the new one is known", func() bool {
		outbox.Service(context.Background(), "rms_"+strings.Repeat("x", 32))
		_, err := outbox.Service(context.Background(), other.Secret)
		return err == nil
	})
	// What this node changes is known at once, what another one does within a second.
	if err := outbox.SetStatus(t.Context(), r.Service, store.StreamPaused, "night"); err != nil {
		t.Fatal(err)
	}
	if s, err := outbox.Service(t.Context(), r.Secret); err != nil || s.Status != store.StreamPaused {
		t.Errorf("%+v, %v: not the present status", s, err)
	}
	if err := outbox.Remove(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := outbox.Service(t.Context(), r.Secret); !errors.Is(err, signal.ErrNoService) {
		t.Errorf("removed here: %v", err)
	}
	if err := w.node.outbox.Remove(t.Context(), "mail"); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	w.eventually("the one that is gone", func() bool {
		_, err := outbox.Service(context.Background(), other.Secret)
		return errors.Is(err, signal.ErrNoService)
	})
	if took := time.Since(began); took > 1500*time.Millisecond {
		t.Errorf("removed elsewhere, it lived on for %v", took)
	}
}

// TestSilentPolls: a stream that is not enabled is not answered as if there were
// no news, whoever has said so, and not in the middle of a poll either.
func TestSilentPolls(t *testing.T) {
	w := newWorld(t)
	r := w.node.add("shop", "")
	outbox := w.node.outbox
	for status, want := range map[string]error{store.StreamPaused: signal.ErrPaused, store.StreamDisabled: signal.ErrDisabled} {
		ended := make(chan error, 1)
		go func() {
			_, _, err := outbox.Poll(t.Context(), r.Service, nil, nil, 9, true)
			ended <- err
		}()
		time.Sleep(50 * time.Millisecond)
		if err := outbox.SetStatus(t.Context(), r.Service, status, "night"); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if !errors.Is(err, want) {
				t.Errorf("%s in the middle of a poll: %v", status, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s, and the poll is held", status)
		}
		now, err := outbox.Service(t.Context(), r.Secret)
		if err != nil || now.Parked.IsZero() || signal.Parked(now) || signal.ReasonOf(now) != "night" {
			t.Errorf("%s: %+v, %v", status, now, err)
		}
		if _, _, err := outbox.Poll(t.Context(), now, nil, nil, 9, false); !errors.Is(err, want) {
			t.Errorf("%s: %v", status, err)
		}
		silent, err := outbox.Silent(t.Context())
		if err != nil || len(silent) != 1 || silent[0] != (signal.Silence{Name: "shop", Status: status, Since: now.Parked}) {
			t.Errorf("%s: %+v, %v", status, silent, err)
		}
		// Said again, it is still since then.
		w.clock.advance(time.Minute)
		if err := outbox.SetStatus(t.Context(), now, status, "night"); err != nil {
			t.Fatal(err)
		}
		if again, err := outbox.Service(t.Context(), r.Secret); err != nil || !again.Parked.Equal(now.Parked) {
			t.Errorf("%s since %s, then since %s, %v", status, now.Parked, again.Parked, err)
		}
		if err := outbox.SetStatus(t.Context(), now, store.StreamEnabled, ""); err != nil {
			t.Fatal(err)
		}
		if now, err = outbox.Service(t.Context(), r.Secret); err != nil || !now.Parked.IsZero() {
			t.Errorf("enabled again: %+v, %v", now, err)
		}
	}
	if silent, err := outbox.Silent(t.Context()); err != nil || len(silent) != 0 {
		t.Errorf("%+v, %v", silent, err)
	}
}
