package signal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

const pushed = "https://shop.example.org/signals"

// epochs are those of an account among SETs, in their order.
func (w *world) epochs(sets []string, a *store.Subject) (all []int64) {
	for _, text := range sets {
		c := w.read(text)
		if c["sub_id"].(map[string]any)["sub"] != fmt.Sprintf("%x", a.ID[:]) {
			continue
		}
		for _, e := range c["events"].(map[string]any) {
			all = append(all, int64(e.(map[string]any)["readmit_epoch"].(float64)))
		}
	}
	return all
}

func first(all []int64) (out []int64) {
	for _, e := range all {
		if !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

func TestPushInOrder(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", pushed)
	defer w.node.run()()
	var people []*store.Subject
	for range 5 {
		people = append(people, w.account())
	}
	for range 6 {
		for _, a := range people {
			w.node.raise(a, signal.SessionsEnded)
		}
	}
	w.eventually("all arrive", func() bool { return len(w.node.sender.arrived()) >= 30 })
	for _, a := range people {
		if got := w.epochs(w.node.sender.arrived(), a); !slices.Equal(got, []int64{2, 3, 4, 5, 6, 7}) {
			t.Errorf("in the order %v", got)
		}
		w.eventually("all are marked", func() bool {
			return !slices.ContainsFunc(w.receipts(a), func(r store.Receipt) bool { return r.Delivered.IsZero() })
		})
		for _, r := range w.receipts(a) {
			if !r.Applied.IsZero() || r.Why != "" {
				t.Errorf("%+v", r)
			}
		}
	}
	if s := w.services()[0]; s.Waiting != 0 || s.Heard.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestPushIsQuick: from the change to the service, without waiting for a look.
func TestPushIsQuick(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", pushed)
	defer w.node.run()()
	a := w.account()
	w.node.raise(a, signal.SessionsEnded)
	w.eventually("the first", func() bool { return len(w.node.sender.arrived()) == 1 })
	var took []time.Duration
	for i := range 10 {
		began := time.Now()
		w.node.raise(a, signal.SessionsEnded)
		w.eventually("the next", func() bool { return len(w.node.sender.arrived()) == i+2 })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if took[5] > 500*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

// TestOneAccountHoldsUpNoOther: a signal that is not taken keeps back what
// comes after it in its account, and nothing else.
func TestOneAccountHoldsUpNoOther(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", pushed)
	bad, good := w.account(), w.account()
	w.node.sender.fail = func(set string) *signal.Failure {
		if len(w.epochs([]string{set}, bad)) > 0 {
			return &signal.Failure{Why: signal.PutOff}
		}
		return nil
	}
	defer w.node.run()()
	for range 3 {
		w.node.raise(bad, signal.SessionsEnded)
		w.node.raise(good, signal.SessionsEnded)
	}
	w.eventually("the other account's arrive", func() bool { return len(w.epochs(w.node.sender.arrived(), good)) == 3 })
	if got := w.epochs(w.node.sender.arrived(), bad); len(got) > 0 {
		t.Fatalf("%v arrived", got)
	}
	for _, r := range w.receipts(bad) {
		if r.Epoch > 2 && r.Tries > 0 {
			t.Errorf("a later one was tried: %+v", r)
		}
		if r.Epoch == 2 && (r.Tries == 0 || r.Why != signal.PutOff) {
			t.Errorf("%+v", r)
		}
	}
	w.node.sender.set(func(p *pushes) { p.fail = nil })
	w.eventually("then they arrive too", func() bool { return len(w.epochs(w.node.sender.arrived(), bad)) == 3 })
	if got := w.epochs(w.node.sender.arrived(), bad); !slices.Equal(got, []int64{2, 3, 4}) {
		t.Errorf("in the order %v", got)
	}
}

// TestBackOff: a service that is down is asked less and less, by one signal
// for all, and has everything soon after it is back.
func TestBackOff(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", pushed)
	down := &signal.Failure{Why: signal.Unreachable}
	w.node.sender.fail = func(string) *signal.Failure { return down }
	defer w.node.run()()
	var people []*store.Subject
	for range 40 {
		a := w.account()
		people = append(people, a)
		w.node.raise(a, signal.SessionsEnded)
	}
	began, before := time.Now(), w.node.sender.tries()
	time.Sleep(2 * time.Second)
	// 100 ms doubled: some five tries in the time, besides the first batches.
	if n := w.node.sender.tries() - before; n > 60 {
		t.Errorf("tried %d times in %v", n, time.Since(began))
	}
	w.node.sender.set(func(p *pushes) { p.fail = nil })
	w.eventually("all arrive", func() bool { return len(w.node.sender.arrived()) >= len(people) })
	for _, a := range people {
		if got := w.epochs(w.node.sender.arrived(), a); !slices.Equal(first(got), []int64{2}) {
			t.Errorf("%v", got)
		}
	}
}

// TestParked: what is of no use to try again, and what was tried for a day,
// parks the service. Nothing is lost: resumed, it gets all of it, in order.
func TestParked(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails signal.Failure
		after time.Duration // that the clock moves
		why   string
	}{
		{"refused for good", signal.Failure{Why: signal.Rejected, Code: "invalid_audience", Final: true}, 0, "rejected (invalid_audience)"},
		{"tried for a day", signal.Failure{Why: signal.Redirected}, 25 * time.Hour, signal.TooOld},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.node.add("shop", pushed)
			w.node.sender.fail = func(string) *signal.Failure { return &c.fails }
			defer w.node.run()()
			a := w.account()
			w.node.raise(a, signal.PasswordChanged)
			w.node.raise(a, signal.SessionsEnded)
			w.eventually("it is tried", func() bool { return w.node.sender.tries() > 0 })
			if c.after > 0 {
				if p := w.services()[0].Parked; !p.IsZero() {
					t.Fatalf("parked before its time, %v", p)
				}
				w.clock.advance(c.after)
				if !w.services()[0].Parked.IsZero() {
					t.Fatal("parked for its age alone")
				}
				w.update(w.store, func(tx store.Tx) error {
					for range 12 {
						if err := tx.PutOff(w.services()[0].ID, w.receipts(a)[1].Signal, w.clock.now(), c.why); err != nil {
							return err
						}
					}
					return nil
				})
			}
			w.eventually("it is parked", func() bool { return !w.services()[0].Parked.IsZero() })
			s := w.services()[0]
			if s.Why != c.why || s.Status != store.StreamPaused || s.Waiting != 2 {
				t.Fatalf("%+v", s)
			}
			tries := w.node.sender.tries()
			w.node.sender.set(func(p *pushes) { p.fail = nil })
			time.Sleep(1500 * time.Millisecond)
			if n := w.node.sender.tries(); n > tries+1 {
				t.Errorf("tried %d times while parked", n-tries)
			}
			w.update(w.store, func(tx store.Tx) error {
				return tx.PutOff(s.ID, w.receipts(a)[1].Signal, w.clock.now().Add(time.Hour), c.why)
			})
			if err := w.node.outbox.Resume(t.Context(), "shop"); err != nil {
				t.Fatal(err)
			}
			w.eventually("all arrive", func() bool { return w.services()[0].Waiting == 0 })
			if got := first(w.epochs(w.node.sender.arrived(), a)); !slices.Equal(got, []int64{2, 3}) {
				t.Errorf("%v", got)
			}
			if s := w.services()[0]; !s.Parked.IsZero() || s.Status != store.StreamEnabled || s.Why != "" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestKeyNotYetKnown: a receiver that asked a node for the keys which had not
// yet heard of a new one is not parked for it.
func TestKeyNotYetKnown(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", pushed)
	tries := 0
	w.node.sender.fail = func(string) *signal.Failure {
		if tries++; tries <= 3 {
			return &signal.Failure{Why: signal.Rejected, Code: "invalid_key"}
		}
		return nil
	}
	defer w.node.run()()
	w.node.raise(w.account(), signal.PasswordChanged)
	w.eventually("it arrives", func() bool { return len(w.node.sender.arrived()) == 1 })
	if s := w.services()[0]; !s.Parked.IsZero() {
		t.Errorf("%+v", s)
	}
}

// TestTwoNodes: both push for the same service; nearly each signal is sent by
// one of them alone, and when one stops the other goes on.
func TestTwoNodes(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", pushed)
	other := w.newNode(&pushes{})
	stop, stopOther := w.node.run(), other.run()
	defer stop()
	defer stopOther()
	var people []*store.Subject
	for i := range 60 {
		a := w.account()
		people = append(people, a)
		if i%2 == 0 {
			w.node.raise(a, signal.SessionsEnded)
		} else {
			other.raise(a, signal.SessionsEnded)
		}
	}
	all := func() []string { return append(w.node.sender.arrived(), other.sender.arrived()...) }
	w.eventually("all are taken", func() bool { return w.services()[0].Waiting == 0 })
	if n := len(all()); n < 60 || n > 70 {
		t.Errorf("%d sent of 60", n)
	}
	// The one that has the lease stops in the middle.
	w.node.sender.set(func(p *pushes) { p.slow = 50 * time.Millisecond })
	other.sender.set(func(p *pushes) { p.slow = 50 * time.Millisecond })
	for _, a := range people {
		w.node.raise(a, signal.SessionsEnded)
	}
	stop()
	w.eventually("the other goes on", func() bool { return w.services()[0].Waiting == 0 })
	for _, a := range people {
		if got := first(w.epochs(all(), a)); !slices.Equal(got, []int64{2, 3}) && !slices.Equal(got, []int64{3, 2}) {
			t.Errorf("%v", got)
		}
	}
}

func TestPoll(t *testing.T) {
	w := newWorld(t)
	shop := w.node.add("shop", "").Service
	defer w.node.run()()
	a, b := w.account(), w.account()
	w.node.raise(a, signal.PasswordChanged)
	w.node.raise(a, signal.SessionsEnded)
	w.node.raise(b, signal.SessionsEnded)
	poll := func(acks []string, refused map[string]signal.Refused, most int, wait bool) (map[string]string, bool) {
		t.Helper()
		sets, more, err := w.node.outbox.Poll(t.Context(), shop, acks, refused, most, wait)
		if err != nil {
			t.Fatal(err)
		}
		return sets, more
	}
	texts := func(sets map[string]string) (out []string) {
		for _, s := range sets {
			out = append(out, s)
		}
		return out
	}
	names := func(sets map[string]string) (out []string) {
		for s := range sets {
			out = append(out, s)
		}
		return out
	}
	one, more := poll(nil, nil, 1, true)
	if len(one) != 1 || !more {
		t.Fatalf("%d, more %v", len(one), more)
	}
	got, more := poll(nil, nil, 9, true)
	if len(got) != 2 || more || !slices.Equal(w.epochs(texts(got), a), []int64{2}) {
		t.Fatalf("%d, more %v: not the first of each account", len(got), more)
	}
	again, _ := poll(nil, nil, 9, false)
	if len(again) != 2 {
		t.Fatalf("%d the second time: what was not acknowledged comes again", len(again))
	}
	next, _ := poll(names(got), nil, 9, false)
	if !slices.Equal(w.epochs(texts(next), a), []int64{3}) || len(next) != 1 {
		t.Fatalf("%v", next)
	}
	began := time.Now()
	if none, _ := poll([]string{"nonsense", "00", ""}, nil, 0, true); len(none) != 0 || time.Since(began) > 5*time.Second {
		t.Fatalf("a poll that only acknowledges got %d signals after %v", len(none), time.Since(began))
	}
	poll(names(next), nil, 0, true)

	// A held poll answers as soon as there is something.
	answered := make(chan map[string]string)
	go func() {
		sets, _, _ := w.node.outbox.Poll(context.Background(), shop, nil, nil, 9, true)
		answered <- sets
	}()
	select {
	case <-answered:
		t.Fatal("it was not held")
	case <-time.After(300 * time.Millisecond):
	}
	began = time.Now()
	w.node.raise(b, signal.PasswordChanged)
	held := <-answered
	if len(held) != 1 || time.Since(began) > time.Second {
		t.Fatalf("%d after %v", len(held), time.Since(began))
	}

	// What the service refuses parks it, and stays.
	poll(nil, map[string]signal.Refused{names(held)[0]: {Code: "invalid_issuer"}}, 0, false)
	if s := w.services()[0]; s.Parked.IsZero() || s.Why != "rejected (invalid_issuer)" || s.Waiting != 1 {
		t.Fatalf("%+v", s)
	}
	if parked, _ := poll(nil, nil, 9, false); len(parked) != 0 {
		t.Fatal("a parked service was given signals")
	}
	if err := w.node.outbox.Resume(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if resumed, _ := poll(nil, nil, 9, false); len(resumed) != 2 { // it, and the word that it goes on
		t.Fatalf("resumed, and %d came", len(resumed))
	}
}

func TestApplied(t *testing.T) {
	w := newWorld(t)
	shop, mail := w.node.add("shop", "").Service, w.node.add("mail", "").Service
	a := w.account()
	w.node.raise(a, signal.PasswordChanged)
	jti := fmt.Sprintf("%x", w.receipts(a)[0].Signal[:])
	at := w.clock.now().UTC().Truncate(time.Microsecond)
	if err := w.node.outbox.Applied(t.Context(), shop, map[string]time.Time{jti: at, "nonsense": at}); err != nil {
		t.Fatal(err)
	}
	if err := w.node.outbox.Applied(t.Context(), mail, map[string]time.Time{jti: at.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.receipts(a) {
		if r.Service == shop.ID && !r.Applied.Equal(at) || r.Applied.IsZero() || r.Delivered.IsZero() || r.Applied.After(w.clock.now()) {
			t.Errorf("%+v", r)
		}
	}
}

// TestStream: what a receiver does not ask for is not sent, and holds nothing up.
func TestStream(t *testing.T) {
	w := newWorld(t)
	shop := w.node.add("shop", "").Service
	shop, err := w.node.outbox.SetStream(t.Context(), shop, []string{signal.EventSessionRevoked, "https://example.org/unknown"}, "the shop")
	if err != nil || shop.Events != signal.EventSessionRevoked+" https://example.org/unknown" || shop.About != "the shop" {
		t.Fatalf("%+v, %v", shop, err)
	}
	a := w.account()
	w.node.raise(a, signal.PasswordChanged)
	w.node.raise(a, signal.SessionsEnded)
	sets, _, err := w.node.outbox.Poll(t.Context(), shop, nil, nil, 9, true)
	if err != nil || len(sets) != 1 {
		t.Fatalf("%d, %v", len(sets), err)
	}
	for _, r := range w.receipts(a) {
		if r.Epoch == 2 && (r.Why != signal.NotAsked || r.Delivered.IsZero()) {
			t.Errorf("%+v", r)
		}
	}
	// Disabled, nothing is kept for it; paused, all is.
	if err := w.node.outbox.SetStatus(t.Context(), shop, store.StreamDisabled, "night"); err != nil {
		t.Fatal(err)
	}
	before := len(w.receipts(a))
	w.node.raise(a, signal.SessionsEnded)
	if n := len(w.receipts(a)); n != before {
		t.Errorf("%d receipts for a disabled stream", n-before)
	}
	if err := w.node.outbox.SetStatus(t.Context(), shop, store.StreamPaused, ""); err != nil {
		t.Fatal(err)
	}
	w.node.raise(a, signal.SessionsEnded)
	if n := len(w.receipts(a)); n != before+1 {
		t.Errorf("%d receipts for a paused stream", n-before)
	}
	if err := w.node.outbox.SetStatus(t.Context(), shop, "on", ""); !errors.Is(err, signal.ErrStatus) {
		t.Errorf("%v", err)
	}
}

func TestServices(t *testing.T) {
	w := newWorld(t)
	never := func(string) bool { return false }
	for _, c := range []struct {
		name, audience, push string
		want                 error
	}{
		{"", "a", "", signal.ErrServiceName}, {"a b", "a", "", signal.ErrServiceName}, {"-a", "a", "", signal.ErrServiceName}, {"a\x1b", "a", "", signal.ErrServiceName},
		{"shop", "", "", signal.ErrAudience}, {"shop", "a b", "", signal.ErrAudience},
		{"shop", "a", "shop.example.org", signal.ErrPush}, {"shop", "a", "ftp://shop.example.org", signal.ErrPush}, {"shop", "a", "https://user:planted@shop.example.org", signal.ErrPush},
		{"shop", "a", "http://shop.example.org", signal.ErrPlain}, {"shop", "a", "https://shop.example.org/#x", signal.ErrPush},
	} {
		if _, err := w.node.outbox.Add(t.Context(), c.name, c.audience, c.push, never); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if n := len(w.keys.Signals()); n != 0 {
		t.Errorf("%d keys were made for nobody", n)
	}
	r := w.node.add("shop", pushed)
	if _, err := w.node.outbox.Add(t.Context(), "shop", "a", "", never); !errors.Is(err, signal.ErrServiceKnown) {
		t.Errorf("%v", err)
	}
	if s, err := w.node.outbox.Service(t.Context(), r.Secret); err != nil || s.ID != r.ID {
		t.Errorf("%+v, %v", s, err)
	}
	for _, wrong := range []string{"", r.Secret + "x", r.Secret[:len(r.Secret)-1], r.Token} {
		if _, err := w.node.outbox.Service(t.Context(), wrong); !errors.Is(err, signal.ErrNoService) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if r.Token != w.keys.PushToken(r.ID) || r.Token == r.Secret || len(r.Token) < 40 {
		t.Error("the token is not the service's own")
	}
	a := w.account()
	w.node.raise(a, signal.PasswordChanged)
	if err := w.node.outbox.Remove(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.node.outbox.Service(t.Context(), r.Secret); !errors.Is(err, signal.ErrNoService) {
		t.Errorf("the secret of a service that is gone: %v", err)
	}
	if err := w.node.outbox.Remove(t.Context(), "shop"); !errors.Is(err, signal.ErrNoService) {
		t.Errorf("%v", err)
	}
	if list, _, err := w.node.outbox.Receipts(t.Context(), a.ID, 0); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}
