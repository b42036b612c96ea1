package sqlite

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite/internal/rows"
)

//go:generate go run github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1 generate -f ../../sqlc.yaml

//go:embed migrations/*.sql
var migrations embed.FS

// schema is the version that the migrations lead to; the test of the package
// holds it against the files.
const schema = 3

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
	if err := c.one.QueryRowContext(none, "SELECT count(*) FROM sqlite_master WHERE name = 'goose_db_version'").Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	err = c.one.QueryRowContext(none, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied = 1").Scan(&at)
	return at, err
}

// What a ghost's row holds, so that it is as wide as an account's: a record
// (RFC 9807 §3.3.1 with ristretto255-SHA512: 32 + 64 + 96 octets), an
// identifier and parameters of usual length. Find never gives them out.
const (
	ghostRecord     = 192
	ghostIdentifier = "somebody@example.org"
	ghostStretch    = `{"memory":65536,"time":3,"threads":4}`
)

// addGhosts makes all ghosts in one transaction, so that one tells of all.
func addGhosts(c *conn) error {
	last := store.GhostKey(store.Ghosts - 1)
	n, err := c.queries.CountLookup(none, last[:])
	if err != nil || n == 1 {
		return err
	}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	for i := range store.Ghosts {
		key, id, record := store.GhostKey(i), make([]byte, 16), make([]byte, ghostRecord)
		rand.Read(id)
		rand.Read(record)
		err := c.queries.AddSubject(none, rows.AddSubjectParams{
			ID: id, Lookup: key[:], Ghost: 1, Identifier: ghostIdentifier, Record: record, Stretch: ghostStretch, Epoch: 1,
			Created: now, PasswordChanged: now, PasswordChangedBy: id,
		})
		if err != nil {
			return errors.Join(err, c.exec("ROLLBACK"))
		}
	}
	return c.exec("COMMIT")
}
