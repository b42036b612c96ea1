package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"readmit.dev/readmit/store"
)

// maxGroup is how many changes share one commit at most: beyond it, the fsync
// is no longer what a change costs, and the last would wait for the first.
const maxGroup = 64

// job is one Update on its way to the writer.
type job struct {
	ctx  context.Context
	f    func(store.Tx) error
	done chan error
}

// Update runs f in the next group. See store.Store.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) error {
	j := &job{ctx, f, make(chan error, 1)}
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	select {
	case s.jobs <- j:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// From here on the change may be made, so its outcome is waited for.
	select {
	case err := <-j.done:
		return err
	case <-s.done:
		select {
		case err := <-j.done:
			return err
		default:
			return errClosed
		}
	}
}

var errClosed = fmt.Errorf("%w: closed", store.ErrUnavailable)

// write is the writer: it takes what waits, runs it as one transaction, and
// answers when that is durable.
func (s *Store) write(w *conn) {
	defer close(s.done)
	defer func() { w.close() }()
	for {
		var group []*job
		select {
		case j := <-s.jobs:
			group = append(group, j)
		case <-s.closing:
			return
		}
	more:
		for len(group) < maxGroup {
			select {
			case j := <-s.jobs:
				group = append(group, j)
			default:
				break more
			}
		}
		if !s.commit(w, group) {
			w = s.recover(w)
		}
	}
}

// commit runs a group and answers each job. It reports false when the
// connection cannot be trusted any more.
func (s *Store) commit(w *conn, group []*job) bool {
	for len(group) > 0 {
		if err := w.exec("BEGIN IMMEDIATE"); err != nil {
			answer(group, unavailable(err))
			return false
		}
		var ran []*job
		failed := -1
		for i, j := range group {
			if err := j.ctx.Err(); err != nil {
				j.done <- err
				continue
			}
			tx := &tx{c: w}
			err := run(j.f, tx)
			if tx.fault != nil {
				w.exec("ROLLBACK")
				answer(append(ran, group[i:]...), unavailable(tx.fault))
				return false
			}
			if err == nil {
				ran = append(ran, j)
				continue
			}
			j.done <- err
			if tx.wrote {
				// What it wrote must go: the whole group is rolled back, and the
				// others run again without it.
				failed = i
				break
			}
		}
		if failed >= 0 {
			if err := w.exec("ROLLBACK"); err != nil {
				answer(append(ran, group[failed+1:]...), unavailable(err))
				return false
			}
			group = append(ran, group[failed+1:]...)
			continue
		}
		if err := w.exec("COMMIT"); err != nil {
			w.exec("ROLLBACK")
			answer(ran, unavailable(err))
			return false
		}
		answer(ran, nil)
		return true
	}
	return true
}

func answer(jobs []*job, err error) {
	for _, j := range jobs {
		j.done <- err
	}
}

// run calls f; a panic in it is its own error and not the writer's end.
func run(f func(store.Tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a change panicked: %v", p)
		}
	}()
	return f(t)
}

// recover replaces a connection that failed. After a failed fsync the kernel
// may have dropped the pages and will say "fine" the next time, so nothing
// that the connection holds is believed: it is closed, and the next one begins
// from what the WAL's index says was committed. The failed frames lie beyond
// that; the first commit of the new connection overwrites them, and until one
// has succeeded every Update is answered as unavailable.
func (s *Store) recover(broken *conn) *conn {
	broken.close()
	for {
		if w, err := s.connect("rwc"); err == nil {
			if probeWrite(w) == nil {
				return w
			}
			w.close()
		}
		// Half a second: soon enough to be ready when the disk is, and few
		// enough tries to leave it alone.
		wait := time.NewTimer(500 * time.Millisecond)
	refuse:
		for {
			select {
			case j := <-s.jobs:
				j.done <- fmt.Errorf("%w: the disk cannot be written", store.ErrUnavailable)
			case <-s.closing:
				wait.Stop()
				// The writer closes what it is given; a closed connection is fine.
				return broken
			case <-wait.C:
				break refuse
			}
		}
	}
}

// probeWrite commits a row, so that it is known whether the disk takes one.
func probeWrite(w *conn) error {
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	t := &tx{c: w}
	if err := t.saveSetting("probe", []byte(time.Now().UTC().Format(time.RFC3339Nano))); err != nil {
		w.exec("ROLLBACK")
		return err
	}
	return w.exec("COMMIT")
}

// View runs f with a reader. Each fetch sees the last commit.
func (s *Store) View(ctx context.Context, f func(store.Tx) error) error {
	select {
	case r := <-s.readers:
		t := &tx{c: r, readOnly: true}
		err := func() error {
			defer func() { s.readers <- r }()
			return f(t)
		}()
		if t.fault != nil {
			return unavailable(t.fault)
		}
		return err
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// probe remembers for a second that a write went well.
type probe struct {
	mu sync.Mutex
	at time.Time
}

// Ready commits a small change, at most once a second.
func (s *Store) Ready(ctx context.Context) error {
	s.probe.mu.Lock()
	defer s.probe.mu.Unlock()
	if time.Since(s.probe.at) < time.Second {
		return nil
	}
	err := s.Update(ctx, func(t store.Tx) error {
		return t.(*tx).saveSetting("probe", []byte(time.Now().UTC().Format(time.RFC3339Nano)))
	})
	if err == nil {
		s.probe.at = time.Now()
	}
	return err
}

// Close lets the group at work finish and gives the folder back.
func (s *Store) Close() error {
	select {
	case <-s.closing:
		return nil
	default:
	}
	close(s.closing)
	<-s.done
	for range s.all {
		<-s.readers // each comes back when its View ends
	}
	err := s.closeConns()
	s.lock.release()
	return err
}

func (s *Store) closeConns() error {
	var err error
	for _, c := range s.all {
		err = errors.Join(err, c.close())
	}
	return err
}

// unavailable marks an error of the database as the store's own.
func unavailable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// told turns an error of a statement into the domain's words: no row, a row
// that exists already. Everything else is a fault of the store.
func (t *tx) told(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	if e := new(driver.Error); errors.As(err, &e) && (e.Code() == lib.SQLITE_CONSTRAINT_PRIMARYKEY || e.Code() == lib.SQLITE_CONSTRAINT_UNIQUE) {
		return store.ErrConflict
	}
	t.fault = err
	return unavailable(err)
}
