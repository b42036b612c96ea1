package session_test

import (
	"testing"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

// refresh reports whether a fresh access token may be had.
func (w *world) refresh(id store.ID, c gate.Caller) (session.Actor, bool) {
	w.t.Helper()
	a, refusal, err := w.sessions.Refresh(w.t.Context(), id, c)
	if err != nil {
		w.t.Fatal(err)
	}
	return a, refusal == nil
}

// What is remembered of a session must not outlive what it was read from.
func TestRefreshSeesEveryChange(t *testing.T) {
	for name, change := range map[string]func(*world, store.ID) func(store.Tx) error{
		"session ended": func(w *world, _ store.ID) func(store.Tx) error {
			return func(tx store.Tx) error {
				_, err := tx.EndSessions(w.jane.ID, store.ID{}, store.ID{}, w.at, w.laptop.ID, store.EndPasswordChanged)
				return err
			}
		},
		"superseded": func(w *world, _ store.ID) func(store.Tx) error {
			return func(tx store.Tx) error {
				_, err := w.sessions.Begin(tx, w.jane, w.phone, newID())
				return err
			}
		},
		"device removed": func(w *world, _ store.ID) func(store.Tx) error {
			return func(tx store.Tx) error {
				d := w.phone
				d.Removed, d.RemovedBy = w.at, w.laptop.ID
				return tx.SaveDevice(d)
			}
		},
		"account disabled": func(w *world, _ store.ID) func(store.Tx) error {
			return func(tx store.Tx) error {
				a := w.jane
				a.Disabled = w.at
				return tx.SaveSubject(a)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id, c := w.begin(w.phone), w.caller(w.phone)
			for range 3 {
				if _, ok := w.refresh(id, c); !ok {
					t.Fatal("refused before the change")
				}
			}
			w.update(change(w, id))
			if _, ok := w.refresh(id, c); ok {
				t.Error("passed after the change")
			}
		})
	}
}

func TestRefreshRemembersOnlyTheStore(t *testing.T) {
	w := newWorld(t)
	id, c := w.begin(w.phone), w.caller(w.phone)
	w.refresh(id, c)
	if _, ok := w.refresh(id, w.caller(w.laptop)); ok {
		t.Error("another key passed with what is remembered")
	}
	late := c
	late.Time = w.at.Add(-time.Hour)
	if _, ok := w.refresh(id, late); ok {
		t.Error("a clock that is off passed with what is remembered")
	}
	if _, ok := w.refresh(id, c); !ok {
		t.Error("refused after others were")
	}
	w.at = w.at.Add(gate.IdleLimit - time.Hour)
	if _, ok := w.refresh(id, w.caller(w.phone)); !ok {
		t.Error("refused before it was idle for too long")
	}
	w.at = w.at.Add(2 * time.Hour)
	if _, ok := w.refresh(id, w.caller(w.phone)); !ok {
		t.Error("refused two hours after its last use")
	}
	w.at = w.at.Add(gate.IdleLimit + time.Hour)
	if _, ok := w.refresh(id, w.caller(w.phone)); ok {
		t.Error("passed after it was idle for too long")
	}
}

// What an attempt rewrites changes no right, so it does not make the next
// refresh read the store.
func TestRefreshIsNotDisturbedByAttempts(t *testing.T) {
	w := newWorld(t)
	id, c := w.begin(w.phone), w.caller(w.phone)
	w.refresh(id, c)
	w.update(func(tx store.Tx) error {
		return tx.SaveSubjectHot(w.jane.ID, store.SubjectHot{StrangerFailures: 3})
	})
	a, ok := w.refresh(id, c)
	if !ok || a.Account.Hot.StrangerFailures != 0 {
		t.Errorf("the store was read again: %v, %+v", ok, a.Account.Hot)
	}
	if fresh := w.passes(id, c); fresh.Account.Hot.StrangerFailures != 3 {
		t.Errorf("another call than a refresh was answered from memory: %+v", fresh.Account.Hot)
	}
}
