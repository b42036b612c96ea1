// Package sqltx is what the stores on SQL have in common: the domain's words
// over the queries of store/queries.sql, whichever engine runs them.
package sqltx

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
)

// Tell puts an error of a statement into the domain's words: a row that exists
// already is ErrConflict, a write in a View an error of its own, and everything
// else ErrUnavailable. It is lost when the transaction cannot go on.
type Tell func(err error) (told error, lost bool)

// Tx is a store.Tx over the shared queries.
type Tx struct {
	q    *rows.Queries
	tell Tell

	Memory *Memory // nil for who is not the only one that writes

	Wrote   bool       // whether a statement may have changed something
	Fault   error      // of the store itself; the transaction is lost
	Changed []store.ID // accounts, but for what is hot of them
}

var _ store.Tx = (*Tx)(nil)

// New gives a Tx on one connection with a transaction begun.
func New(q *rows.Queries, tell Tell) *Tx { return &Tx{q: q, tell: tell} }

// none is the context of statements: the connection has the transaction's.
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

// blob is bytes for a column that is never null.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// ErrReads is the error of a write in a View.
var ErrReads = errors.New("a View only reads")

func (t *Tx) told(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	told, lost := t.tell(err)
	if lost {
		t.Fault = err
	}
	return told
}

// one is the outcome of a statement that must change one row.
func (t *Tx) one(n int64, err error) error {
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return t.did(err)
}

// did is the outcome of a statement that may have changed rows; one that failed
// has changed none.
func (t *Tx) did(err error) error {
	t.Wrote = t.Wrote || err == nil
	return t.told(err)
}

// each maps rows.
func each[R, D any](list []R, err error, t *Tx, f func(R) D) ([]D, error) {
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
func single[R, D any](r R, err error, t *Tx, f func(R) D) (D, error) {
	if err != nil {
		var zero D
		return zero, t.told(err)
	}
	return f(r), nil
}

func subject(r rows.Subject) store.Subject {
	s := store.Subject{
		ID: store.ID(r.ID), Key: store.Key(r.Lookup), Ghost: r.Ghost == 1, Identifier: r.Identifier, Record: r.Record, Stretch: r.Stretch,
		Epoch: r.Epoch, Created: instant(r.Created), Disabled: instant(r.Disabled),
		PasswordChanged: instant(r.PasswordChanged), PasswordChangedBy: store.ID(r.PasswordChangedBy),
		Hot: store.SubjectHot{
			StrangerFailures: int(r.StrangerFailures), CodeFailures: int(r.CodeFailures), Seq: [store.Rings]int64{r.Seq0, r.Seq1, r.Seq2, r.Seq3},
		},
	}
	if s.Ghost {
		// These are there for the row's width alone.
		s.Identifier, s.Record, s.Stretch, s.Epoch = "", nil, "", 0
		s.Created, s.PasswordChanged, s.PasswordChangedBy = time.Time{}, time.Time{}, store.ID{}
	}
	return s
}

func counter(failed, open, locks, openUntil, lockedUntil, lastFailure int64) lockout.State {
	return lockout.State{
		Failed: int(failed), Open: int(open), Locks: int(locks),
		OpenUntil: instant(openUntil), LockedUntil: instant(lockedUntil), LastFailure: instant(lastFailure),
	}
}

// Find is one query that looks for the key in the index, there or not, and then
// fetches one row, of the same width for an account and a ghost. So neither the
// number of statements nor that of rows, nor what is read or copied for them,
// tells the two apart.
func (t *Tx) Find(key, stand store.Key) (store.Subject, error) {
	r, err := t.q.Find(none, rows.FindParams{Lookup: key[:], Stand: stand[:]})
	if errors.Is(err, sql.ErrNoRows) {
		return store.Subject{}, t.told(errors.New("a ghost is missing"))
	}
	s, err := single(r, err, t, subject)
	if err == nil {
		t.Memory.keepSubject(s)
	}
	return s, err
}

func (t *Tx) Subject(id store.ID) (store.Subject, error) {
	if s, ok := t.Memory.subject(id); ok {
		return s, nil
	}
	r, err := t.q.Subject(none, id[:])
	return single(r, err, t, subject)
}

func (t *Tx) Accounts() ([]store.Subject, error) {
	list, err := t.q.Accounts(none)
	return each(list, err, t, subject)
}

func (t *Tx) AddSubject(s store.Subject) error {
	seq := s.Hot.Seq
	return t.did(t.q.AddSubject(none, rows.AddSubjectParams{
		ID: s.ID[:], Lookup: s.Key[:], Ghost: flag(s.Ghost), Identifier: s.Identifier, Record: blob(s.Record), Stretch: s.Stretch, Epoch: s.Epoch,
		Created: micros(s.Created), Disabled: micros(s.Disabled), PasswordChanged: micros(s.PasswordChanged), PasswordChangedBy: s.PasswordChangedBy[:],
		StrangerFailures: int64(s.Hot.StrangerFailures), CodeFailures: int64(s.Hot.CodeFailures), Seq0: seq[0], Seq1: seq[1], Seq2: seq[2], Seq3: seq[3],
	}))
}

func (t *Tx) SaveSubject(s store.Subject) error {
	t.Changed = append(t.Changed, s.ID)
	t.Memory.drop(s.ID)
	return t.one(t.q.SaveSubject(none, rows.SaveSubjectParams{
		ID: s.ID[:], Lookup: s.Key[:], Identifier: s.Identifier, Record: blob(s.Record), Stretch: s.Stretch, Epoch: s.Epoch, Created: micros(s.Created),
		Disabled: micros(s.Disabled), PasswordChanged: micros(s.PasswordChanged), PasswordChangedBy: s.PasswordChangedBy[:],
	}))
}

func (t *Tx) SaveSubjectHot(id store.ID, h store.SubjectHot) error {
	err := t.one(t.q.SaveSubjectHot(none, rows.SaveSubjectHotParams{
		ID: id[:], StrangerFailures: int64(h.StrangerFailures), CodeFailures: int64(h.CodeFailures), Seq0: h.Seq[0], Seq1: h.Seq[1], Seq2: h.Seq[2], Seq3: h.Seq[3],
	}))
	if err == nil {
		t.Memory.savedSubject(id, h)
	}
	return err
}

func (t *Tx) Strangers(lane store.Lane) (lockout.State, error) {
	if s, ok := t.Memory.lane(lane); ok {
		return s, nil
	}
	r, err := t.q.FindLane(none, int64(lane))
	if errors.Is(err, sql.ErrNoRows) {
		return lockout.State{}, nil
	}
	return single(r, err, t, func(r rows.Lane) lockout.State {
		return counter(r.Failed, r.Open, r.Locks, r.OpenUntil, r.LockedUntil, r.LastFailure)
	})
}

func (t *Tx) SaveStrangers(lane store.Lane, c lockout.State) error {
	err := t.did(t.q.SaveLane(none, rows.SaveLaneParams{
		Lane: int64(lane), Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
	}))
	if err == nil {
		t.Memory.keepLane(lane, kept(c))
	}
	return err
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

func (t *Tx) Device(account store.ID, key store.Thumbprint) (store.Device, error) {
	if d, ok := t.Memory.device(account, key); ok {
		return d, nil
	}
	if t.Memory.isAbsent(account, key) {
		return store.Device{}, store.ErrNotFound
	}
	r, err := t.q.Device(none, rows.DeviceParams{Account: account[:], Thumbprint: key[:]})
	d, err := single(r, err, t, device)
	switch {
	case err == nil:
		t.Memory.keepDevice(d)
	case errors.Is(err, store.ErrNotFound):
		t.Memory.keepAbsent(account, key)
	}
	return d, err
}

func (t *Tx) Devices(account store.ID) ([]store.Device, error) {
	list, err := t.q.Devices(none, account[:])
	return each(list, err, t, device)
}

func (t *Tx) AddDevice(d store.Device) error {
	t.Changed = append(t.Changed, d.Account)
	t.Memory.drop(d.Account)
	c := d.Hot.Own
	n, err := t.q.AddDevice(none, rows.AddDeviceParams{
		Account: d.Account[:], Thumbprint: d.Thumbprint[:], ID: d.ID[:], Name: d.Name, System: d.System, Enrolled: micros(d.Enrolled),
		Removed: micros(d.Removed), RemovedBy: d.RemovedBy[:], Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
		LastSeen: micros(d.Hot.LastSeen), Skew: int64(d.Hot.Skew), LastCodeStep: d.Hot.LastCodeStep,
	})
	if err == nil && n == 0 {
		return store.ErrConflict
	}
	return t.did(err)
}

func (t *Tx) SaveDevice(d store.Device) error {
	t.Changed = append(t.Changed, d.Account)
	t.Memory.drop(d.Account)
	return t.one(t.q.SaveDevice(none, rows.SaveDeviceParams{
		Name: d.Name, System: d.System, Removed: micros(d.Removed), RemovedBy: d.RemovedBy[:], Account: d.Account[:], ID: d.ID[:],
	}))
}

func (t *Tx) SaveDeviceHot(account, id store.ID, h store.DeviceHot) error {
	c := h.Own
	err := t.one(t.q.SaveDeviceHot(none, rows.SaveDeviceHotParams{
		Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
		LastSeen: micros(h.LastSeen), Skew: int64(h.Skew), LastCodeStep: h.LastCodeStep, Account: account[:], ID: id[:],
	}))
	if err == nil {
		t.Memory.savedDevice(account, id, h)
	}
	return err
}
