package session_test

import (
	"crypto/rand"
	"testing"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

const issuer = "https://id.example.org"

// world is one account with two devices, on a store of its own.
type world struct {
	t        *testing.T
	at       time.Time
	store    *sqlite.Store
	keys     *keys.Ring
	sessions *session.Service
	jane     store.Subject
	phone    store.Device
	laptop   store.Device
}

func newID() (id store.ID) {
	rand.Read(id[:])
	return id
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if w.store, err = sqlite.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if w.keys, err = keys.Open(t.Context(), w.store, make([]byte, 32), w.now); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.jane = store.Subject{ID: newID(), Key: w.keys.Lookup("jane@example.org"), Identifier: "jane@example.org", Record: []byte("r"), Epoch: 3, Created: w.at}
	w.phone = store.Device{Account: w.jane.ID, Thumbprint: store.Thumbprint{1}, ID: newID(), Name: "phone", Enrolled: w.at}
	w.laptop = store.Device{Account: w.jane.ID, Thumbprint: store.Thumbprint{2}, ID: newID(), Name: "laptop", Enrolled: w.at}
	w.update(func(tx store.Tx) error {
		if err := tx.AddSubject(w.jane); err != nil {
			return err
		}
		if err := tx.AddDevice(w.phone); err != nil {
			return err
		}
		return tx.AddDevice(w.laptop)
	})
	return w
}

func (w *world) now() time.Time { return w.at }

// restart forgets what the service holds in memory.
func (w *world) restart() {
	w.sessions = session.New(w.store, gate.New(w.now), w.keys, issuer)
}

func (w *world) update(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// begin signs a device in.
func (w *world) begin(d store.Device) store.ID {
	w.t.Helper()
	id := newID()
	w.update(func(tx store.Tx) error {
		_, err := w.sessions.Begin(tx, w.jane, d, id)
		return err
	})
	return id
}

// caller is a device that signs a call now, by a clock that is right.
func (w *world) caller(d store.Device) gate.Caller {
	return gate.Caller{Key: d.Thumbprint, Time: w.at, Name: "as it calls itself", Shown: "readmit 1.0.0", Address: "192.0.2.1"}
}

// passes fails the test unless the call passes.
func (w *world) passes(id store.ID, c gate.Caller) session.Actor {
	w.t.Helper()
	a, refusal, err := w.sessions.Authorise(w.t.Context(), id, c, "token")
	if err != nil || refusal != nil {
		w.t.Fatalf("refused: %+v, %v", refusal, err)
	}
	return a
}

// refused fails the test unless the call is refused and nothing else, and
// returns what the incident holds.
func (w *world) refused(id store.ID, c gate.Caller) incident.Content {
	w.t.Helper()
	a, refusal, err := w.sessions.Authorise(w.t.Context(), id, c, "token")
	if err != nil || refusal == nil {
		w.t.Fatalf("passed, %v", err)
	}
	if !a.Account.ID.IsZero() || !a.Session.ID.IsZero() || !a.Device.ID.IsZero() {
		w.t.Error("refused, and an actor all the same")
	}
	content, err := incident.Open(w.keys, refusal.Incident, w.at)
	if err != nil {
		w.t.Fatal(err)
	}
	if content.Outcome != incident.Refused || content.What != "token" || refusal.Reference != incident.Reference(content.Attempt) {
		w.t.Errorf("%+v", content)
	}
	return content
}

// ledger is what the account's ledger, or a ghost's, holds of an attempt.
func (w *world) ledger(account, attempt store.ID) (found []store.Entry) {
	w.t.Helper()
	err := w.store.View(w.t.Context(), func(tx store.Tx) error {
		all, err := tx.Ledger(account)
		for _, e := range all {
			if e.ID == attempt {
				found = append(found, e)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}
