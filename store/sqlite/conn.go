package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	_ "modernc.org/sqlite" // the driver, by name

	"readmit.dev/readmit/store/internal/rows"
)

// cacheKiB is the page cache of one connection: the hot pages of some
// thousands of accounts; the rest is the operating system's to cache.
const cacheKiB = 4096

// faults is how tests make the disk fail.
type faults struct {
	pages  atomic.Int64 // how long the database may become; 0 for no limit
	commit atomic.Bool  // whether commits fail
}

// conn is one connection with its prepared statements; one goroutine at a time
// uses it.
type conn struct {
	db       *sql.DB
	one      *sql.Conn
	prepared map[string]*sql.Stmt
	queries  *rows.Queries
}

func (s *Store) connect(readOnly bool) (*conn, error) {
	mode, pragmas := "rwc", []string{
		"busy_timeout(5000)",
		"journal_mode(WAL)", "synchronous(FULL)", "temp_store(MEMORY)",
		// Pages that many sign-ins write are moved into the database once for all of
		// them: at 16 MB of WAL, which a start after a crash reads in some 50 ms.
		"wal_autocheckpoint(4000)",
		// A WAL that a long read made grow is cut to this when it starts again.
		"journal_size_limit(16777216)",
	}
	if readOnly {
		mode, pragmas = "ro", []string{"busy_timeout(5000)", "query_only(1)", "temp_store(MEMORY)"}
	}
	pragmas = append(pragmas, "cache_size(-"+strconv.Itoa(cacheKiB)+")")
	if n := s.faults.pages.Load(); n > 0 {
		pragmas = append(pragmas, "max_page_count("+strconv.FormatInt(n, 10)+")")
	}
	path := filepath.ToSlash(filepath.Join(s.dir, file))
	name := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	name.RawQuery = url.Values{"mode": {mode}, "_pragma": pragmas}.Encode()
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, unavailable(err)
	}
	db.SetMaxOpenConns(1)
	one, err := db.Conn(context.Background())
	if err != nil {
		db.Close()
		return nil, s.failed(err)
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
	p, err := c.one.PrepareContext(context.Background(), parameters(query))
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

// parameters turns the shared queries' $1, which SQLite takes for a name, into
// ?1, and into ? where they come in order: the driver looks a numbered one up
// by its text for every row it is given.
func parameters(query string) string {
	inOrder := 0
	for i, part := range strings.Split(query, "$") {
		if i == 0 {
			continue
		}
		digits := len(part) - len(strings.TrimLeft(part, "0123456789"))
		if part[:digits] != strconv.Itoa(i) {
			return strings.ReplaceAll(query, "$", "?")
		}
		inOrder = i
	}
	for i := inOrder; i > 0; i-- { // from the last: $1 begins $12
		query = strings.Replace(query, "$"+strconv.Itoa(i), "?", 1)
	}
	return query
}
