// Package sqlite keeps the data in one SQLite file: one writer that commits
// groups, a few readers beside it.
//
// One writer, because SQLite has one anyway, and because many small changes
// that wait for one fsync together are what makes durable sign-ins cheap. The
// WAL is synced at every commit (synchronous=FULL): what was acknowledged
// survives the loss of power.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

const (
	file    = "readmit.db"
	readers = 3
)

// Store is a store.Store.
type Store struct {
	dir     string
	faults  *faults
	lock    *dirLock
	opened  os.FileInfo // the database, as it was opened
	readers chan *conn
	jobs    chan *job
	turn    *turn
	writer  *conn         // the writer's alone until done is closed; nil while the disk fails
	closing chan struct{} // closed when Close begins
	done    chan struct{} // closed when the writer has stopped
	probe   chan probed
	first   string // see readable
	changes store.Changes
	changed []store.ID // in the group at work; the writer's alone, as is:
	memory  sqltx.Memory
	close   func() error
}

var _ store.Store = (*Store)(nil)

var errClosed = fmt.Errorf("%w: closed", store.ErrUnavailable)

// Open opens or makes the database in a folder, which must exist, and brings
// it to the present schema. It returns store.ErrNewer for data of a newer
// version. One process at a time has a folder open.
func Open(dir string) (*Store, error) { return open(dir, &faults{}) }

// Lock takes a folder for this process, as Open does, without a database in it.
// The lock ends with the process at the latest, however that ends.
func Lock(dir string) (release func(), err error) {
	l, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

func open(dir string, f *faults) (_ *Store, err error) {
	s := &Store{
		dir: dir, faults: f, readers: make(chan *conn, readers), jobs: make(chan *job, maxGroup),
		closing: make(chan struct{}), done: make(chan struct{}), probe: make(chan probed, 1),
	}
	s.close = sync.OnceValue(s.shut)
	s.probe <- probed{}
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if s.turn, err = newTurn(); err != nil {
		s.lock.release()
		return nil, unavailable(err)
	}
	defer func() {
		if err != nil {
			s.release()
			err = advise(err)
		}
	}()
	if err = private(filepath.Join(dir, file)); err != nil {
		return nil, err
	}
	if s.opened, err = os.Stat(filepath.Join(dir, file)); err != nil {
		return nil, unavailable(err)
	}
	if s.writer, err = s.connect(false); err != nil {
		return nil, err
	}
	if err = s.migrate(); err != nil {
		return nil, err
	}
	if err = addGhosts(s.writer); err != nil {
		return nil, s.failed(err)
	}
	for range readers {
		r, err := s.connect(true)
		if err != nil {
			return nil, err
		}
		s.readers <- r
	}
	if err = s.readable(); err != nil {
		return nil, s.failed(err)
	}
	go s.write()
	return s, nil
}

// readable reads the first of every table and of every index, which takes as
// long for many rows as for few: a tree that has lost its root is found. The
// whole is read by a backup and a move alone.
func (s *Store) readable() error {
	var r *conn
	select {
	case r = <-s.readers:
	case <-s.closing:
		return errClosed
	}
	defer func() { s.readers <- r }()
	if s.first == "" {
		trees, err := texts(context.Background(), r, `SELECT name || ' NOT INDEXED' FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'
UNION ALL SELECT m.name || ' INDEXED BY ' || i.name FROM sqlite_master AS m, pragma_index_list(m.name) AS i WHERE m.type = 'table' AND NOT i.partial`)
		if err != nil {
			return err
		}
		for i, t := range trees {
			trees[i] = "SELECT * FROM (SELECT 1 FROM " + t + " LIMIT 1)"
		}
		s.first = "SELECT count(*) FROM (" + strings.Join(trees, " UNION ALL ") + ")"
	}
	var n int64
	return r.QueryRowContext(context.Background(), s.first).Scan(&n)
}

// there reports whether the database is still where it was opened. One that was
// taken away meanwhile goes on taking changes, and nobody will find them.
func (s *Store) there() error {
	now, err := os.Stat(filepath.Join(s.dir, file))
	if err == nil && !os.SameFile(s.opened, now) {
		err = errors.New("another file is in its place")
	}
	if err != nil {
		return s.failed(fmt.Errorf("the database was taken away while it was used: stop the server, and put it or a backup in its place: %w", err))
	}
	return nil
}

// ErrDamaged: the file is no whole database any more.
var ErrDamaged = errors.New("the database is damaged: leave it as it is, and make another data folder of a backup (readmit admin restore)")

// damage marks an error that shows a file to be damaged.
func damage(err error) error {
	e := new(driver.Error)
	if errors.As(err, &e) && !errors.Is(err, ErrDamaged) && (e.Code()&0xff == lib.SQLITE_CORRUPT || e.Code()&0xff == lib.SQLITE_NOTADB) {
		return fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	return err
}

// advise adds to an error of opening what the operator can do about it: a file
// that is no whole database needs a backup, and all else a folder and a disk
// that take it.
func advise(err error) error {
	if err = damage(err); errors.Is(err, store.ErrUnavailable) && !errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: see that the folder is writable and the disk is not full", err)
	}
	return err
}

// private makes the database readable by its owner alone, whatever the folder
// and the umask; SQLite gives the files beside it the same mode.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return unavailable(err)
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// Close lets the group at work and the readers finish, and gives the folder
// back. What still waits is answered as unavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	close(s.closing)
	<-s.done
	return s.release()
}

// release closes the writer last: the last connection to go moves the WAL into
// the database, and a reader cannot.
func (s *Store) release() error {
	var err error
	if s.isOpen() {
		// Nobody but open itself has the readers, and it may have made fewer.
		for len(s.readers) > 0 {
			err = errors.Join(err, (<-s.readers).close())
		}
	} else {
		for range readers {
			err = errors.Join(err, (<-s.readers).close())
		}
	}
	if s.writer != nil {
		err = errors.Join(err, s.writer.close())
	}
	s.turn.close()
	s.lock.release()
	return err
}

// Changes tells which accounts have changed.
func (s *Store) Changes() *store.Changes { return &s.changes }

func (s *Store) isOpen() bool {
	select {
	case <-s.closing:
		return false
	default:
		return true
	}
}

// failed is an error of the database with the name of its file.
func (s *Store) failed(err error) error {
	return unavailable(fmt.Errorf("%s: %w", filepath.Join(s.dir, file), err))
}

// fault is what a View or an Update failed of. Damage is told with the file and
// with what helps, wherever it is met.
func (s *Store) fault(err error) error {
	if d := damage(err); errors.Is(d, ErrDamaged) {
		return s.failed(d)
	}
	return unavailable(err)
}

// unavailable marks an error of the database as the store's own.
func unavailable(err error) error {
	if err == nil || errors.Is(err, store.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

// tell is the sqltx.Tell of this engine. What a row's own values caused ends
// with the statement.
func tell(err error) (told error, lost bool) {
	if e := new(driver.Error); errors.As(err, &e) {
		switch e.Code() {
		case lib.SQLITE_CONSTRAINT_PRIMARYKEY, lib.SQLITE_CONSTRAINT_UNIQUE:
			return store.ErrConflict, false
		}
		switch e.Code() & 0xff {
		case lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH:
			return unavailable(err), false
		case lib.SQLITE_READONLY:
			if e.Code() == lib.SQLITE_READONLY {
				return sqltx.ErrReads, false
			}
		}
	}
	return unavailable(err), true
}
