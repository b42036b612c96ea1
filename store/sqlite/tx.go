package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite/internal/rows"
)

// tx is a store.Tx on one connection.
type tx struct {
	c     *conn
	wrote bool
	fault error // of the store itself; the transaction is lost

	changed []store.ID // accounts, but for what is hot of them
}

// none is the context of statements: see conn.
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

// told turns an error of a statement into the domain's words: no row, a row
// that exists already. What a row's own values caused ends with the statement;
// everything else is a fault of the store.
func (t *tx) told(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	if e := new(driver.Error); errors.As(err, &e) {
		switch e.Code() {
		case lib.SQLITE_CONSTRAINT_PRIMARYKEY, lib.SQLITE_CONSTRAINT_UNIQUE:
			return store.ErrConflict
		}
		switch e.Code() & 0xff {
		case lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH:
			return unavailable(err)
		case lib.SQLITE_READONLY:
			if e.Code() == lib.SQLITE_READONLY {
				return errReads
			}
		}
	}
	t.fault = err
	return unavailable(err)
}

var errReads = errors.New("a View only reads")

// one is the outcome of a statement that must change one row.
func (t *tx) one(n int64, err error) error {
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return t.did(err)
}

// did is the outcome of a statement that may have changed rows; one that failed
// has changed none.
func (t *tx) did(err error) error {
	t.wrote = t.wrote || err == nil
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

// Find is one query that fetches two rows of the same width, whether there is
// such an account or not, and decodes both: the account's and its ghost's, or
// those of two ghosts. So neither the number of statements nor that of rows,
// nor what is read or copied for them, tells the two apart; what is left is one
// comparison. The second ghost is another one for each, so that no single row
// is warmer in any cache than the rest.
func (t *tx) Find(key, stand store.Key) (store.Subject, error) {
	second := store.StandKey(stand)
	list, err := t.c.queries.Find(none, rows.FindParams{Lookup: key[:], Second: second[:], Stand: stand[:]})
	if err != nil {
		return store.Subject{}, t.told(err)
	}
	if len(list) != 2 {
		return store.Subject{}, t.told(fmt.Errorf("a ghost is missing: %d rows instead of 2", len(list)))
	}
	a, b := subject(list[0]), subject(list[1])
	if a.Key == key {
		return a, nil
	}
	return b, nil
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
	seq := s.Hot.Seq
	return t.did(t.c.queries.AddSubject(none, rows.AddSubjectParams{
		ID: s.ID[:], Lookup: s.Key[:], Ghost: flag(s.Ghost), Identifier: s.Identifier, Record: blob(s.Record), Stretch: s.Stretch, Epoch: s.Epoch,
		Created: micros(s.Created), Disabled: micros(s.Disabled), PasswordChanged: micros(s.PasswordChanged), PasswordChangedBy: s.PasswordChangedBy[:],
		StrangerFailures: int64(s.Hot.StrangerFailures), CodeFailures: int64(s.Hot.CodeFailures), Seq0: seq[0], Seq1: seq[1], Seq2: seq[2], Seq3: seq[3],
	}))
}

func (t *tx) SaveSubject(s store.Subject) error {
	t.changed = append(t.changed, s.ID)
	return t.one(t.c.queries.SaveSubject(none, rows.SaveSubjectParams{
		ID: s.ID[:], Lookup: s.Key[:], Identifier: s.Identifier, Record: blob(s.Record), Stretch: s.Stretch, Epoch: s.Epoch, Created: micros(s.Created),
		Disabled: micros(s.Disabled), PasswordChanged: micros(s.PasswordChanged), PasswordChangedBy: s.PasswordChangedBy[:],
	}))
}

func (t *tx) SaveSubjectHot(id store.ID, h store.SubjectHot) error {
	return t.one(t.c.queries.SaveSubjectHot(none, rows.SaveSubjectHotParams{
		ID: id[:], StrangerFailures: int64(h.StrangerFailures), CodeFailures: int64(h.CodeFailures), Seq0: h.Seq[0], Seq1: h.Seq[1], Seq2: h.Seq[2], Seq3: h.Seq[3],
	}))
}

func (t *tx) Strangers(lane store.Lane) (lockout.State, error) {
	r, err := t.c.queries.FindLane(none, int64(lane))
	if errors.Is(err, sql.ErrNoRows) {
		return lockout.State{}, nil
	}
	return single(r, err, t, func(r rows.Lane) lockout.State {
		return counter(r.Failed, r.Open, r.Locks, r.OpenUntil, r.LockedUntil, r.LastFailure)
	})
}

func (t *tx) SaveStrangers(lane store.Lane, c lockout.State) error {
	return t.did(t.c.queries.SaveLane(none, rows.SaveLaneParams{
		Lane: int64(lane), Failed: int64(c.Failed), Open: int64(c.Open), Locks: int64(c.Locks),
		OpenUntil: micros(c.OpenUntil), LockedUntil: micros(c.LockedUntil), LastFailure: micros(c.LastFailure),
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
	t.changed = append(t.changed, d.Account)
	c := d.Hot.Own
	n, err := t.c.queries.AddDevice(none, rows.AddDeviceParams{
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

func (t *tx) SaveDevice(d store.Device) error {
	t.changed = append(t.changed, d.Account)
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
