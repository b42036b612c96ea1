package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema is the version that the migrations lead to; the test of the package
// holds it against the files.
const schema = 5

// migrate brings the schema up to date. The folder's lock is held, so no other
// process does so at the same time. Where nothing is to be done, goose is not
// started: that is most of a start's time.
func (s *Store) migrate() error {
	at, err := version(s.writer)
	if err != nil {
		return s.failed(err)
	}
	switch {
	case at == schema:
		return nil
	case at > schema:
		return fmt.Errorf("%w: the database in %s has schema %d, this readmit knows up to %d: run the newer readmit on it, or restore a backup made by this one", store.ErrNewer, s.dir, at, schema)
	}
	c, err := s.connect(false)
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
		return s.failed(fmt.Errorf("schema %d to %d: %w", at, schema, err))
	}
	return nil
}

// version is the schema of the database, 0 for an empty one.
func version(c *conn) (at int64, err error) {
	var tables int
	if err := c.one.QueryRowContext(context.Background(), "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'").Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	err = c.one.QueryRowContext(context.Background(), "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1").Scan(&at)
	return at, err
}

// addGhosts makes the ghosts of a new database.
func addGhosts(c *conn) error {
	t := sqltx.New(c.queries, tell)
	there, err := t.HasGhosts()
	if err != nil || there {
		return err
	}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := t.AddGhosts(); err != nil {
		return errors.Join(err, c.exec("ROLLBACK"))
	}
	return c.exec("COMMIT")
}
