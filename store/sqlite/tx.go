package sqlite

import (
	"context"
	"time"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite/internal/rows"
)

// tx is a store.Tx on one connection.
type tx struct {
	c        *conn
	readOnly bool
	wrote    bool
	fault    error // of the store itself; the transaction is lost
}

var none = context.Background()

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// one is the outcome of a statement that must change one row.
func (t *tx) one(n int64, err error) error {
	t.wrote = true
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return t.told(err)
}

func (t *tx) did(err error) error {
	t.wrote = true
	return t.told(err)
}

// each maps rows.
func each[R, D any](list []R, err error, t *tx, f func(R) D) ([]D, error) {
	if err != nil {
		return nil, t.told(err)
	}
	out := make([]D, len(list))
	for i, r := range list {
		out[i] = f(r)
	}
	return out, nil
}

// single maps one row.
func single[R, D any](r R, err error, t *tx, f func(R) D) (D, error) {
	if err != nil {
		var none D
		return none, t.told(err)
	}
	return f(r), nil
}

func subject(r rows.Subject) store.Subject {
	s := store.Subject{
		ID: store.ID(r.ID), Key: store.Key(r.Lookup), Ghost: r.Ghost == 1, Identifier: r.Identifier, Record: r.Record, Stretch: r.Stretch,
		Epoch: r.Epoch, Created: instant(r.Created), Disabled: instant(r.Disabled),
		PasswordChanged: instant(r.PasswordChanged), PasswordChangedBy: store.ID(r.PasswordChangedBy),
		Hot: store.SubjectHot{
			Strangers:    counter(r.Failed, r.Open, r.Locks, r.OpenUntil, r.LockedUntil, r.LastFailure),
			CodeFailures: int(r.CodeFailures), Seq: [store.Rings]int64{r.Seq0, r.Seq1, r.Seq2, r.Seq3},
		},
	}
	if s.Ghost {
		s.Identifier, s.Record = "", nil
	}
	return s
}

func counter(failed, open, locks, openUntil, lockedUntil, lastFailure int64) lockout.State {
	return lockout.State{
		Failed: int(failed), Open: int(open), Locks: int(locks),
		OpenUntil: instant(openUntil), LockedUntil: instant(lockedUntil), LastFailure: instant(lastFailure),
	}
}

func (t *tx) Find(key, stand store.Key) (store.Subject, error) {
	list, err := t.c.queries.Find(none, rows.FindParams{Lookup: key[:], Lookup_2: stand[:], Lookup_3: secondGhost[:]})
	if err != nil {
		return store.Subject{}, t.told(err)
	}
	// Both are decoded, whichever is meant: the account is first where there is
	// one, and the order of two ghosts is the index's.
	var two [2]store.Subject
	for i := range list {
		two[i] = subject(list[i])
	}
	if two[0].Key == secondGhost {
		return two[1], nil
	}
	return two[0], nil
}

func (t *tx) Subject(id store.ID) (store.Subject, error) {
	r, err := t.c.queries.Subject(none, id[:])
	return single(r, err, t, subject)
}

func (t *tx) Accounts() ([]store.Subject, error) {
	list, err := t.c.queries.Accounts(none)
	return each(list, err, t, subject)
}

func (t *tx) AddSubject(s store.Subject) error {
	return t.did(t.c.queries.AddSubject(none, rows.AddSubjectParams{
		ID: s.ID[:], Lookup: s.Key[:], Ghost: flag(s.Ghost), Identifier: s.Identifier, Record: s.Record, Stretch: s.Stretch, Epoch: s.Epoch,
		Created: micros(s.Created), Disabled: micros(s.Disabled), PasswordChanged: micros(s.PasswordChanged), PasswordChangedBy: s.PasswordChangedBy[:],
	}))
}

func (t *tx) SaveSubject(s store.Subject) error {
	return t.one(t.c.queries.SaveSubject(none, rows.SaveSubjectParams{
		ID: s.ID[:], Identifier: s.Identifier, Record: s.Record, Stretch: s.Stretch, Epoch: s.Epoch,
		Disabled: micros(s.Disabled), PasswordChanged: micros(s.PasswordChanged), PasswordChangedBy: s.PasswordChangedBy[:],
	}))
}

func (t *tx) SaveSubjectHot(id store.ID, h store.SubjectHot) error {
	c := h.Strangers
	return t.one(t.c.queries.SaveSubjectHot(none, rows.SaveSubjectHotParams{
		ID: id[:], Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
		CodeFailures: int64(h.CodeFailures), Seq0: h.Seq[0], Seq1: h.Seq[1], Seq2: h.Seq[2], Seq3: h.Seq[3],
	}))
}

func device(r rows.Device) store.Device {
	return store.Device{
		Account: store.ID(r.Account), Thumbprint: store.Thumbprint(r.Thumbprint), ID: store.ID(r.ID), Name: r.Name, System: r.System,
		Enrolled: instant(r.Enrolled), Removed: instant(r.Removed), RemovedBy: store.ID(r.RemovedBy),
		Hot: store.DeviceHot{
			Own:      counter(r.Failed, r.Open, r.Locks, r.OpenUntil, r.LockedUntil, r.LastFailure),
			LastSeen: instant(r.LastSeen), Skew: time.Duration(r.Skew), LastCodeStep: r.LastCodeStep,
		},
	}
}

func (t *tx) Device(account store.ID, key store.Thumbprint) (store.Device, error) {
	r, err := t.c.queries.Device(none, rows.DeviceParams{Account: account[:], Thumbprint: key[:]})
	return single(r, err, t, device)
}

func (t *tx) Devices(account store.ID) ([]store.Device, error) {
	list, err := t.c.queries.Devices(none, account[:])
	return each(list, err, t, device)
}

func (t *tx) AddDevice(d store.Device) error {
	c := d.Hot.Own
	n, err := t.c.queries.AddDevice(none, rows.AddDeviceParams{
		Account: d.Account[:], Thumbprint: d.Thumbprint[:], ID: d.ID[:], Name: d.Name, System: d.System, Enrolled: micros(d.Enrolled),
		Removed: micros(d.Removed), RemovedBy: d.RemovedBy[:], Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
		LastSeen: micros(d.Hot.LastSeen), Skew: int64(d.Hot.Skew), LastCodeStep: d.Hot.LastCodeStep,
	})
	t.wrote = true
	if err == nil && n == 0 {
		return store.ErrConflict
	}
	return t.told(err)
}

func (t *tx) SaveDevice(d store.Device) error {
	return t.one(t.c.queries.SaveDevice(none, rows.SaveDeviceParams{
		Name: d.Name, System: d.System, Removed: micros(d.Removed), RemovedBy: d.RemovedBy[:], Account: d.Account[:], ID: d.ID[:],
	}))
}

func (t *tx) SaveDeviceHot(account, id store.ID, h store.DeviceHot) error {
	c := h.Own
	return t.one(t.c.queries.SaveDeviceHot(none, rows.SaveDeviceHotParams{
		Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
		LastSeen: micros(h.LastSeen), Skew: int64(h.Skew), LastCodeStep: h.LastCodeStep, Account: account[:], ID: id[:],
	}))
}
