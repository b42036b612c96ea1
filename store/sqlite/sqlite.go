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
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite/internal/rows"
)

const (
	file    = "readmit.db"
	readers = 3
	// cacheKiB is the page cache of one connection: the hot pages of some ten
	// thousand accounts; the rest is the operating system's to cache.
	cacheKiB = 4096
	// recordSize is the length of a registration record (RFC 9807 §5.1), here
	// only so that the rows of ghosts are as long as those of accounts.
	recordSize = 192
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema is the version that the migrations lead to; the test of the package
// holds it against the files.
const schema = 1

// Store is a store.Store.
type Store struct {
	dir     string
	lock    *dirLock
	readers chan *conn
	all     []*conn
	jobs    chan *job
	done    chan struct{} // closed when the writer has stopped
	closing chan struct{}
	probe   probe
}

// Open opens or makes the database in a folder and brings it to the present
// schema. It returns store.ErrNewer for data of a newer version. One process
// at a time has a folder open.
func Open(dir string) (_ *Store, err error) {
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir: dir, lock: lock, readers: make(chan *conn, readers),
		jobs: make(chan *job, maxGroup), done: make(chan struct{}), closing: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			s.closeConns()
			lock.release()
		}
	}()
	w, err := s.connect("rwc")
	if err != nil {
		return nil, err
	}
	if err := s.migrate(w); err != nil {
		w.close()
		return nil, err
	}
	if err := addGhosts(w); err != nil {
		w.close()
		return nil, err
	}
	for range readers {
		r, err := s.connect("ro")
		if err != nil {
			w.close()
			return nil, err
		}
		s.all = append(s.all, r)
		s.readers <- r
	}
	go s.write(w)
	return s, nil
}

// conn is one connection with its prepared statements.
type conn struct {
	db       *sql.DB
	one      *sql.Conn
	prepared map[string]*sql.Stmt
	queries  *rows.Queries
}

func (s *Store) connect(mode string) (*conn, error) {
	path := filepath.Join(s.dir, file)
	q := url.Values{"mode": {mode}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", fmt.Sprintf("cache_size(-%d)", cacheKiB), "temp_store(MEMORY)",
	}}
	if mode == "ro" {
		q["_pragma"] = []string{"busy_timeout(5000)", "query_only(1)", fmt.Sprintf("cache_size(-%d)", cacheKiB)}
	}
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(path)+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	one, err := db.Conn(context.Background())
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%w: %s: %w: see that the folder is writable and the disk is not full", store.ErrUnavailable, path, err)
	}
	c := &conn{db: db, one: one, prepared: map[string]*sql.Stmt{}}
	c.queries = rows.New(c)
	return c, nil
}

func (c *conn) close() error {
	for _, p := range c.prepared {
		p.Close()
	}
	return errors.Join(c.one.Close(), c.db.Close())
}

// The four methods of rows.DBTX, each on a statement that is prepared once.
// The context is left out on purpose: a statement takes microseconds, and a
// context that can be cancelled costs a goroutine for each.

func (c *conn) PrepareContext(_ context.Context, query string) (*sql.Stmt, error) {
	if p, ok := c.prepared[query]; ok {
		return p, nil
	}
	p, err := c.one.PrepareContext(context.Background(), query)
	if err == nil {
		c.prepared[query] = p
	}
	return p, err
}

func (c *conn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	p, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.ExecContext(context.Background(), args...)
}

func (c *conn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return p.QueryContext(context.Background(), args...)
}

func (c *conn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	p, err := c.PrepareContext(ctx, query)
	if err != nil {
		return c.one.QueryRowContext(context.Background(), query, args...) // gives the error again, in a Row
	}
	return p.QueryRowContext(context.Background(), args...)
}

func (c *conn) exec(statement string) error {
	_, err := c.ExecContext(context.Background(), statement)
	return err
}

// migrate brings the schema up to date. The folder's lock is held, so no other
// process does so at the same time. Where nothing is to be done, goose is not
// started: that is most of a start's time.
func (s *Store) migrate(w *conn) error {
	at, err := version(w)
	if err != nil {
		return err
	}
	switch {
	case at == schema:
		return nil
	case at > schema:
		return fmt.Errorf("%w: the database in %s has schema %d, this readmit knows up to %d: run the newer readmit on it", store.ErrNewer, s.dir, at, schema)
	}
	c, err := s.connect("rwc")
	if err != nil {
		return err
	}
	defer c.close()
	c.one.Close() // goose takes the one connection itself
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, c.db, files)
	if err != nil {
		return err
	}
	if _, err := p.Up(context.Background()); err != nil {
		return fmt.Errorf("schema %d to %d: %w", at, schema, unavailable(err))
	}
	return nil
}

// version is the schema of the database, 0 for an empty one.
func version(w *conn) (int64, error) {
	var tables int
	ctx := context.Background()
	if err := w.one.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'").Scan(&tables); err != nil {
		return 0, unavailable(err)
	}
	if tables == 0 {
		return 0, nil
	}
	var at int64
	if err := w.one.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1").Scan(&at); err != nil {
		return 0, unavailable(err)
	}
	return at, nil
}

func addGhosts(w *conn) error {
	var n int
	if err := w.one.QueryRowContext(context.Background(), "SELECT count(*) FROM subjects WHERE ghost = 1").Scan(&n); err != nil {
		return unavailable(err)
	}
	if n == store.Ghosts+1 {
		return nil
	}
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return unavailable(err)
	}
	for i := range store.Ghosts + 1 {
		key := secondGhost
		if i < store.Ghosts {
			key = store.GhostKey(i)
		}
		id, record := make([]byte, 16), make([]byte, recordSize)
		rand.Read(id)
		rand.Read(record)
		err := w.queries.AddSubject(context.Background(), rows.AddSubjectParams{
			ID: id, Lookup: key[:], Ghost: 1, Identifier: "somebody@example.org", Record: record, PasswordChangedBy: make([]byte, 16),
		})
		if err != nil {
			return errors.Join(unavailable(err), w.exec("ROLLBACK"))
		}
	}
	return unavailable(w.exec("COMMIT"))
}

// secondGhost is the row that an unknown identifier's lookup fetches beside
// its ghost, as a known one's fetches the ghost beside the account.
var secondGhost = store.GhostKey(store.Ghosts)
