package postgres

import (
	"errors"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// A transaction that the database ended for its node's pause is run again: it
// has changed nothing.
func TestRunAgainAfterAPause(t *testing.T) {
	s := openIn(t, empty(t))
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "a@example.org", Epoch: 1}
	runs := 0
	err := s.Update(t.Context(), func(tx store.Tx) error {
		runs++
		if _, err := tx.Subject(a.ID); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if runs == 1 {
			time.Sleep(idle + 500*time.Millisecond)
		}
		if _, err := tx.Session(store.ID{3}); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.AddSubject(a)
	})
	if err != nil || runs != 2 {
		t.Fatalf("%d runs, %v", runs, err)
	}
	if err := s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Subject(a.ID); return err }); err != nil {
		t.Error(err)
	}
}
