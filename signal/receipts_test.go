package signal_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// However many changes wait, and for whichever services, an owner is told of the
// one asked for, and of each service the first that it waits for.
func TestReceiptsOfMany(t *testing.T) {
	w := newWorld(t)
	old := w.node.add("old", "")
	shop := w.node.add("shop", "")
	a, other := w.account(), w.account()
	w.node.raise(other, signal.FactorChanged)
	w.node.raise(a, signal.PasswordChanged) // epoch 2
	began := w.clock.now()
	w.clock.advance(time.Minute)
	const many = 300
	w.update(w.node.store, func(tx store.Tx) error {
		var err error
		for range many {
			err = errors.Join(err, signal.Raise(tx, a, signal.SessionsEnded, signal.Detail{By: signal.ByUser}, w.clock.now()))
			w.clock.advance(time.Millisecond)
		}
		return err
	})
	// One has taken the first two, the other all but the newest.
	w.update(w.node.store, func(tx store.Tx) error {
		all, err := tx.Receipts(a.ID, 3*many)
		for _, r := range all {
			if r.Service == old.ID && r.Epoch <= 3 || r.Service == shop.ID && r.Epoch <= many+1 {
				err = errors.Join(err, tx.Deliver(r.Service, r.Signal, w.clock.now(), ""))
			}
		}
		return err
	})

	all, more, err := w.node.outbox.Receipts(t.Context(), a.ID, 0)
	if err != nil || len(all) != 512 || !more || all[0].Epoch != many+2 {
		t.Fatalf("%d receipts, more %v, %v", len(all), more, err)
	}
	one, more, err := w.node.outbox.Receipts(t.Context(), a.ID, 2)
	if err != nil || len(one) != 2 || more || one[0].Epoch != 2 || one[1].Epoch != 2 || one[0].Kind != signal.PasswordChanged || one[0].Made.After(began) {
		t.Fatalf("of one change: %+v, more %v, %v", one, more, err)
	}
	told := func(list []signal.Receipt, err error) (out []string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.Account != a.ID {
				t.Errorf("a receipt of another account: %+v", r)
			}
			out = append(out, fmt.Sprint(r.Name, " ", r.Epoch))
		}
		return out
	}
	behind := []string{"old 4", fmt.Sprint("shop ", many+2)}
	if got := told(w.node.outbox.Waiting(t.Context(), a.ID)); !slices.Equal(got, behind) {
		t.Errorf("waiting: %v", got)
	}
	if got := told(signal.Pending(t.Context(), w.node.store, a.ID, w.clock.now())); !slices.Equal(got, behind) {
		t.Errorf("pending: %v", got)
	}
	if got := told(signal.Pending(t.Context(), w.node.store, a.ID, began.Add(time.Minute+100*time.Millisecond))); !slices.Equal(got, behind[:1]) {
		t.Errorf("pending for longer: %v", got)
	}
	if err := w.node.outbox.Remove(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	if got := told(w.node.outbox.Waiting(t.Context(), a.ID)); !slices.Equal(got, behind[1:]) {
		t.Errorf("after a removal: %v", got)
	}
}
