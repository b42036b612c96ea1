package sqlite

import (
	"context"
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

// View runs f with a reader, on the state after one commit: what is committed
// while it runs is not seen.
func (s *Store) View(ctx context.Context, f func(store.Tx) error) (err error) {
	if !s.isOpen() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var r *conn
	select {
	case r = <-s.readers:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	t := sqltx.New(r.queries, tell)
	defer func() {
		if rolled := r.exec("ROLLBACK"); rolled != nil && t.Fault == nil {
			t.Fault = rolled
		}
		if t.Fault != nil {
			err = s.fault(t.Fault)
			if fresh, cerr := s.connect(true); cerr == nil {
				r.close()
				r = fresh
			}
		}
		s.readers <- r
	}()
	if t.Fault = r.exec("BEGIN"); t.Fault != nil {
		return t.Fault
	}
	return f(t)
}

// probed is when a write was last known to go well.
type probed struct{ at time.Time }

// probeLife is how long it is believed.
const probeLife = time.Second

// Ready looks whether the database is in its place, commits a small change and
// reads a little of every table, at most once a second.
func (s *Store) Ready(ctx context.Context) error {
	if !s.isOpen() {
		return errClosed
	}
	var p probed
	select {
	case p = <-s.probe:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.probe <- p }()
	if !p.at.IsZero() && time.Since(p.at) < probeLife {
		return nil
	}
	begun := time.Now()
	err := s.there()
	if err == nil {
		err = s.Update(ctx, touch)
	}
	if err == nil {
		err = s.fault(s.readable())
	}
	if err == nil {
		p.at = begun
	}
	return err
}

// touch is a change that shows whether a commit is possible.
func touch(t store.Tx) error {
	return t.(*sqltx.Tx).SaveSetting(store.SettingProbe, []byte(time.Now().UTC().Format(time.RFC3339Nano)))
}
