package signal_test

import (
	"errors"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// Who runs the server sees what a service waits for first, and why.
func TestStandingOfAService(t *testing.T) {
	w := newWorld(t)
	shop := w.node.add("shop", pushed)
	w.node.add("mail", "")
	show := func(name string) signal.Standing {
		t.Helper()
		s, err := w.node.outbox.Show(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := show("shop"); s.Name != "shop" || s.Waiting != 0 || !s.First.Made.IsZero() || s.Account != "" || !s.Applied.IsZero() {
		t.Errorf("nothing waits: %+v", s)
	}
	a, b := w.account(), w.account()
	a.Identifier = "jane@example.org"
	w.update(w.store, func(tx store.Tx) error { return tx.SaveSubject(*a) })
	w.node.raise(a, signal.SessionsEnded)
	w.clock.advance(time.Second)
	w.node.raise(b, signal.DeviceAdded)
	w.node.raise(a, signal.PasswordChanged)
	s := show("shop")
	if s.Waiting != 3 || s.First.Kind != signal.SessionsEnded || s.First.Epoch != 2 || s.Account != "jane@example.org" || s.First.Tries != 0 || !s.Oldest.Equal(s.First.Made) {
		t.Fatalf("%+v", s)
	}
	w.update(w.store, func(tx store.Tx) error {
		return errors.Join(tx.PutOff(shop.ID, s.First.Signal, w.clock.now(), signal.Unreachable), tx.PutOff(shop.ID, s.First.Signal, w.clock.now(), signal.TimedOut))
	})
	if s := show("shop"); s.First.Tries != 2 || s.First.Why != signal.TimedOut {
		t.Errorf("tried twice: %+v", s)
	}
	if s := show("mail"); s.Waiting != 3 || s.First.Tries != 0 || s.First.Why != "" {
		t.Errorf("of another service: %+v", s)
	}
	at := w.clock.now().Add(-time.Minute).Truncate(time.Microsecond)
	w.update(w.store, func(tx store.Tx) error {
		return errors.Join(tx.Apply(shop.ID, s.First.Signal, at, w.clock.now()), tx.Heard(shop.ID, w.clock.now()))
	})
	if s := show("shop"); !s.Applied.Equal(at) || s.Waiting != 2 || s.First.Kind != signal.DeviceAdded || s.Account != "" {
		t.Errorf("one applied: %+v", s)
	}
	if s := show("mail"); !s.Applied.IsZero() {
		t.Errorf("applied by another: %+v", s)
	}
	if _, err := w.node.outbox.Show(t.Context(), "none"); !errors.Is(err, signal.ErrNoService) {
		t.Errorf("%v", err)
	}
}
