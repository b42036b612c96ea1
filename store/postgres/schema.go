package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schema is the version that the migrations lead to; the test of the package
// holds it against the files.
const schema = 5

// migrating is how long one step of a migration may take: an index over some
// millions of rows.
const migrating = 10 * time.Minute

var errMoving = errors.New("this database is not whole")

// prepare brings the schema up to date and adds what an empty database lacks.
func (s *Store) prepare(ctx context.Context, moving bool) error {
	at, err := s.version(ctx)
	if err != nil {
		return err
	}
	if moving { // before tables are made between those of others
		if err := s.onlyOwn(ctx); err != nil {
			return err
		}
	}
	switch {
	case at > schema:
		return fmt.Errorf("%w: %s has schema %d, this readmit knows up to %d: run the newer readmit on it", store.ErrNewer, s.address, at, schema)
	case at < schema:
		if err := s.migrate(ctx, at); err != nil {
			return err
		}
	}
	return s.Update(ctx, func(tx store.Tx) error {
		t := tx.(*sqltx.Tx)
		mark, err := t.Moving()
		switch {
		case moving && (err == nil || errors.Is(err, store.ErrNotFound)):
			return nil
		case err == nil:
			return fmt.Errorf("%w: a move from %s into it has not been finished: run readmit admin move again, or make a new database", errMoving, originOf(mark).Name)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if there, err := t.HasGhosts(); err != nil || there {
			return err
		}
		return t.AddGhosts()
	})
}

// version is the schema of the database, 0 for an empty one. Its connection is
// one of its own, so that a wrong address, user or database shows as itself.
func (s *Store) version(ctx context.Context) (at int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.limits.statement)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return 0, err
	}
	defer c.Close(context.WithoutCancel(ctx))
	var e *pgconn.PgError
	err = c.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&at)
	if errors.As(err, &e) && e.Code == codeNoTable {
		return 0, nil
	}
	return at, err
}

// migrate lets one node at a time take the steps, under a row of goose's own
// table with a lease (not an advisory lock, which not every database of this
// protocol has). A node of the version before goes on beside it: steps only add.
func (s *Store) migrate(ctx context.Context, from int64) error {
	config := s.config.Copy()
	config.RuntimeParams["statement_timeout"] = fmt.Sprint(migrating.Milliseconds())
	db := stdlib.OpenDB(*config)
	defer db.Close()
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLockTimeout(200*time.Millisecond, uint64(migrating/(200*time.Millisecond))),
		lock.WithTableUnlockTimeout(200*time.Millisecond, 50),
		lock.WithTableLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	if err != nil {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLocker(locker))
	if err != nil {
		return err
	}
	for range 50 {
		if _, err = p.Up(ctx); !sameMoment(err) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("schema %d to %d: %w", from, schema, err)
	}
	return nil
}

// sameMoment reports whether two nodes made the same table at once: CREATE
// TABLE IF NOT EXISTS does not wait for another one's.
func sameMoment(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == codeUnique || e.Code == "42P07" || e.Code == "42710" || e.Code == codeSerialization)
}
