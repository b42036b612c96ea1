package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

func TestAuthorise(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	for range 3 {
		a := w.passes(id, w.caller(w.phone))
		if a.Account.ID != w.jane.ID || a.Device.ID != w.phone.ID || a.Session.ID != id || len(a.Devices) != 2 {
			t.Errorf("%+v", a)
		}
		w.at = w.at.Add(time.Hour)
	}
}

// What ends a session ends it at the very next call, also when the one before
// has just passed; and the cause is kept, in the incident and in the ledger.
func TestChangesTakeEffectAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, id store.ID) error
		cause  cause.Code
	}{
		"signed out": {func(w *world, id store.ID) error {
			return w.sessions.End(w.t.Context(), w.passes(id, w.caller(w.phone)))
		}, "session-ended"},
		"password changed": {func(w *world, id store.ID) error {
			return w.store.Update(w.t.Context(), func(tx store.Tx) error {
				_, err := tx.EndSessions(w.jane.ID, store.ID{}, newID(), w.at, w.laptop.ID, store.EndPasswordChanged)
				return err
			})
		}, "session-ended"},
		"device removed": {func(w *world, id store.ID) error {
			return w.store.Update(w.t.Context(), func(tx store.Tx) error {
				d := w.phone
				d.Removed, d.RemovedBy = w.at, w.laptop.ID
				return tx.SaveDevice(d)
			})
		}, "device-removed"},
		"account disabled": {func(w *world, id store.ID) error {
			return w.store.Update(w.t.Context(), func(tx store.Tx) error {
				a, err := tx.Subject(w.jane.ID)
				a.Disabled = w.at
				return errors.Join(err, tx.SaveSubject(a))
			})
		}, "account-disabled"},
		"signed in again": {func(w *world, id store.ID) error { w.begin(w.phone); return nil }, "token-superseded"},
		"not used": {func(w *world, id store.ID) error {
			w.at = w.at.Add(gate.IdleLimit + time.Second)
			return nil
		}, "session-expired"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.begin(w.phone)
			w.passes(id, w.caller(w.phone))
			if err := c.change(w, id); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				content := w.refused(id, w.caller(w.phone))
				if found := cause.Find(content.Facts); len(found) == 0 || found[0].Cause != c.cause {
					t.Errorf("told as %+v, want %s", found, c.cause)
				}
				lines := w.ledger(w.jane.ID, content.Attempt)
				if len(lines) != 1 {
					t.Fatalf("%d lines in the ledger", len(lines))
				}
				// A device that was removed is a stranger, and must not push out
				// what the enrolled ones did.
				ring := store.RingDevices
				if c.cause == "device-removed" {
					ring = store.RingStrangers
				}
				if lines[0].Ring != ring {
					t.Errorf("recorded in ring %d", lines[0].Ring)
				}
				if kept, err := incident.Read(lines[0]); err != nil || !slices.Equal(kept.Facts, content.Facts) {
					t.Errorf("the ledger holds %+v, %v", kept, err)
				}
				w.at = w.at.Add(time.Second)
			}
		})
	}
}

// A session is its device's alone, and of an unknown one nothing is told but
// what is told of any.
func TestSessionIsBoundToItsKey(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	w.passes(id, w.caller(w.phone))

	content := w.refused(id, w.caller(w.laptop))
	if found := cause.Find(content.Facts); len(found) != 1 || found[0].Cause != "key-mismatch" {
		t.Errorf("another device of the account: %+v", found)
	}
	if lines := w.ledger(w.jane.ID, content.Attempt); len(lines) != 1 || lines[0].Ring != store.RingDevices || content.Device != "laptop" {
		t.Errorf("recorded as %+v of %q", lines, content.Device)
	}

	stranger := w.caller(w.phone)
	stranger.Key = store.Thumbprint{9}
	content = w.refused(id, stranger)
	if lines := w.ledger(w.jane.ID, content.Attempt); len(lines) != 1 || lines[0].Ring != store.RingStrangers {
		t.Errorf("a stranger's call is recorded as %+v", lines)
	}

	unknown := w.refused(newID(), w.caller(w.phone))
	if unknown.Account == w.jane.ID || len(w.ledger(unknown.Account, unknown.Attempt)) != 1 {
		t.Error("a call on no session is not charged to a ghost")
	}
	w.passes(id, w.caller(w.phone))
}

// Others refused on a session do not cost its device anything.
func TestRefusalsDoNotEndASession(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	for range 200 {
		w.refused(id, w.caller(w.laptop))
	}
	w.passes(id, w.caller(w.phone))
}

func TestClock(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	for off, ok := range map[time.Duration]bool{
		0: true, gate.ClockTolerance: true, -gate.ClockTolerance: true,
		gate.ClockTolerance + time.Second: false, -gate.ClockTolerance - time.Second: false,
	} {
		c := w.caller(w.phone)
		c.Time = w.at.Add(off)
		if ok {
			w.passes(id, c)
			continue
		}
		if found := cause.Find(w.refused(id, c).Facts); len(found) != 1 || found[0].Cause != "clock-off" {
			t.Errorf("off by %s: %+v", off, found)
		}
	}
}

// The limit of idle time counts from the last use, which survives a restart
// once it was written.
func TestUseIsRemembered(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	for range 3 {
		w.at = w.at.Add(gate.IdleLimit)
		w.passes(id, w.caller(w.phone))
		if err := w.sessions.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.restart()
	}
	living, err := w.sessions.Living(t.Context(), w.jane.ID)
	if err != nil || len(living) != 1 || !living[w.phone.ID].Equal(w.at) {
		t.Errorf("living %v, %v", living, err)
	}
	w.at = w.at.Add(gate.IdleLimit + time.Second)
	w.refused(id, w.caller(w.phone))
}

func TestFlushKeepsWhatItCouldNotWrite(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	w.at = w.at.Add(gate.IdleLimit)
	w.passes(id, w.caller(w.phone))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.sessions.Flush(cancelled); err == nil {
		t.Fatal("written without a store")
	}
	if err := w.sessions.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.at = w.at.Add(gate.IdleLimit)
	w.passes(id, w.caller(w.phone))
}

func TestBeginSupersedesTheSameDeviceOnly(t *testing.T) {
	w := newWorld(t)
	laptop := w.begin(w.laptop)
	first := w.begin(w.phone)
	second := w.begin(w.phone)
	w.passes(laptop, w.caller(w.laptop))
	w.passes(second, w.caller(w.phone))
	w.refused(first, w.caller(w.phone))
}

func TestEndEndsOneSession(t *testing.T) {
	w := newWorld(t)
	laptop, phone := w.begin(w.laptop), w.begin(w.phone)
	a := w.passes(phone, w.caller(w.phone))
	for range 2 {
		if err := w.sessions.End(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	w.refused(phone, w.caller(w.phone))
	w.passes(laptop, w.caller(w.laptop))

	again := w.begin(w.phone)
	if err := w.sessions.End(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.passes(again, w.caller(w.phone))
}

func TestRestore(t *testing.T) {
	w := newWorld(t)
	restore := func(identifier string, c gate.Caller) (session.Actor, error) {
		return w.sessions.Restore(t.Context(), w.keys.Lookup(identifier), c)
	}
	if _, err := restore(w.jane.Identifier, w.caller(w.phone)); !errors.Is(err, session.ErrNone) {
		t.Errorf("without a session: %v", err)
	}
	id := w.begin(w.phone)
	if a, err := restore(w.jane.Identifier, w.caller(w.phone)); err != nil || a.Session.ID != id || a.Device.ID != w.phone.ID {
		t.Errorf("%+v, %v", a.Session, err)
	}
	stranger := w.caller(w.phone)
	stranger.Key = store.Thumbprint{9}
	skewed := w.caller(w.phone)
	skewed.Time = w.at.Add(time.Hour)
	for name, c := range map[string]struct {
		identifier string
		caller     gate.Caller
	}{
		"another device":    {w.jane.Identifier, w.caller(w.laptop)},
		"a stranger":        {w.jane.Identifier, stranger},
		"no such account":   {"nobody@example.org", w.caller(w.phone)},
		"a clock too wrong": {w.jane.Identifier, skewed},
	} {
		if _, err := restore(c.identifier, c.caller); !errors.Is(err, session.ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.at = w.at.Add(gate.IdleLimit + time.Second)
	if _, err := restore(w.jane.Identifier, w.caller(w.phone)); !errors.Is(err, session.ErrNone) {
		t.Errorf("after a month: %v", err)
	}
}

// A store that cannot work is the service's fault: no refusal, no actor.
func TestStoreFails(t *testing.T) {
	w := newWorld(t)
	id := w.begin(w.phone)
	w.store.Close()
	for _, c := range []gate.Caller{w.caller(w.phone), w.caller(w.laptop)} {
		a, refusal, err := w.sessions.Authorise(t.Context(), id, c, "token")
		if !errors.Is(err, store.ErrUnavailable) || refusal != nil || !a.Session.ID.IsZero() {
			t.Errorf("%+v, %v", refusal, err)
		}
	}
}
