package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
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

// lease is how long the lock of a process that was killed is still kept, soon
// how long a lock is waited for before anybody is told.
const (
	lease = 30 * time.Second
	soon  = time.Second
)

var errMoving = errors.New("this database is not whole")

// prepare brings the schema up to date and adds what an empty database lacks.
func (s *Store) prepare(ctx context.Context, c Config) error {
	was, err := s.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case was.clash != "":
		return others(was.clash)
	case was.schema > schema:
		return fmt.Errorf("%w: %s has schema %d, this readmit knows up to %d: run the newer readmit on it", store.ErrNewer, s.address, was.schema, schema)
	case c.Moving != nil: // all of this before tables are made between those of others
		if err := was.alone(); err != nil {
			return err
		}
		if err := was.takes(*c.Moving); err != nil {
			return err
		}
		if was.schema < schema && was.mark == nil {
			if err := s.mark(ctx, *c.Moving); err != nil {
				return err
			}
		}
	case was.mark != nil:
		return unfinished(was.mark)
	}
	if was.schema < schema {
		if err := s.migrate(ctx, was.schema, c.Note); err != nil {
			return err
		}
		if was, err = s.look(ctx); err != nil {
			return err
		}
	}
	if c.Moving != nil {
		return nil
	}
	if was.mark != nil { // a move has begun meanwhile
		return unfinished(was.mark)
	}
	return s.Update(ctx, func(tx store.Tx) error {
		t := tx.(*sqltx.Tx)
		mark, err := t.Moving()
		switch {
		case err == nil:
			return unfinished(mark)
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if there, err := t.HasGhosts(); err != nil || there {
			return err
		}
		return t.AddGhosts()
	})
}

func unfinished(mark []byte) error {
	return fmt.Errorf("%w: a move from %s into it has not been finished: run readmit admin move again, or make a new database", errMoving, originOf(mark).Name)
}

// state is what a database is, before anything is done to it.
type state struct {
	schema int64  // 0 without tables
	mark   []byte // of a move that has not ended; nil without one
	held   bool   // there are keys: a server has worked on it, or a move has brought them
	clash  string // something of others that stands where ours must be
	beside string // a table of others beside ours
}

// alone refuses a database in which others have something.
func (at state) alone() error {
	if what := cmp.Or(at.clash, at.beside); what != "" {
		return others(what)
	}
	return nil
}

// look reads it, at one moment: what a node makes meanwhile is seen whole or not
// at all. Its connection is one of its own, so that a wrong address, user or
// database shows as itself.
func (s *Store) look(ctx context.Context) (at state, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.limits.statement)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return at, err
	}
	defer c.Close(context.WithoutCancel(ctx))
	for range 10 {
		at = state{}
		err = pgx.BeginTxFunc(ctx, c, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, at.read(ctx))
		// A table that is dropped goes at once: here it is that of a move's mark.
		if e := new(pgconn.PgError); !errors.As(err, &e) || e.Code != codeNoTable {
			break
		}
	}
	return at, err
}

// relationsQuery names what stands in the schema that tables are made in, and
// columnsQuery the columns by which a table of ours is known. The catalogue has
// what this user may not read too.
const (
	relationsQuery = `SELECT c.relname::text, c.relkind::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() ORDER BY c.relname`
	columnsQuery = `SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped`
)

// Many programs keep their schema's version in a table of goose's name. Ours is
// one beside which these columns are, from its first version on.
const (
	versionTable = "goose_db_version"
	lockTable    = "goose_lock"
)

var (
	versionColumns = []string{versionTable + ".version_id bigint", versionTable + ".is_applied boolean"}
	moveColumns    = []string{moveTable + ".origin bytea"}
	ownColumns     = []string{"keys.id text", "keys.purpose text", "keys.sealed bytea", "settings.name text", "settings.value bytea", "subjects.id bytea", "subjects.lookup bytea", "subjects.record bytea"}
)

func (at *state) read(ctx context.Context) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		there := map[string]string{} // what stands where a table of ours must be
		list, err := tx.Query(ctx, relationsQuery)
		if err != nil {
			return err
		}
		var name, kind string
		if _, err := pgx.ForEachRow(list, []any{&name, &kind}, func() error {
			what, table := fmt.Sprintf("%s %q", cmp.Or(kinds[kind], "something called"), name), kinds[kind] == kinds["r"]
			switch own := slices.Contains(tables[:], name); {
			case own || name == versionTable || name == lockTable || name == moveTable:
				if there[name] = what; !table && at.clash == "" {
					at.clash = what
				}
			case table && at.beside == "":
				at.beside = what
			}
			return nil
		}); err != nil || at.clash != "" {
			return err
		}
		list, err = tx.Query(ctx, columnsQuery)
		if err != nil {
			return err
		}
		columns, err := pgx.CollectRows(list, pgx.RowTo[string])
		if err != nil {
			return err
		}
		has := func(all []string) bool {
			return !slices.ContainsFunc(all, func(c string) bool { return !slices.Contains(columns, c) })
		}
		if there[moveTable] != "" {
			if !has(moveColumns) {
				at.clash = there[moveTable]
				return nil
			}
			if err := value(ctx, tx, &at.mark, "SELECT origin FROM "+moveTable); err != nil {
				return err
			}
		}
		if there[versionTable] != "" {
			if !has(versionColumns) {
				at.clash = cmp.Or(at.beside, there[versionTable])
				return nil
			}
			if err := value(ctx, tx, &at.schema, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied"); err != nil {
				return err
			}
		}
		named := ""
		if i := slices.IndexFunc(tables[:], func(name string) bool { return there[name] != "" }); i >= 0 {
			named = there[tables[i]]
		}
		switch {
		case at.schema == 0:
			at.clash = named
			return nil
		case !has(ownColumns):
			at.clash = cmp.Or(at.beside, named, there[versionTable])
			return nil
		}
		if at.mark == nil {
			if err := value(ctx, tx, &at.mark, "SELECT value FROM settings WHERE name = '"+store.SettingMoving+"'"); err != nil {
				return err
			}
		}
		return value(ctx, tx, &at.held, "SELECT count(*) > 0 FROM keys")
	}
}

// kinds are what the catalogue's letters mean.
var kinds = map[string]string{"r": "a table", "p": "a table", "v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index", "c": "a type"}

// value reads the one value of a query, if it has one.
func value[T any](ctx context.Context, tx pgx.Tx, v *T, query string) error {
	err := tx.QueryRow(ctx, query).Scan(v)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// migrate lets one node at a time take the steps, under a row of goose's own
// table with a lease (not an advisory lock, which not every database of this
// protocol has). A node of the version before goes on beside it: steps only add.
func (s *Store) migrate(ctx context.Context, from int64, note func(string)) error {
	config := s.config.Copy()
	config.RuntimeParams["statement_timeout"] = fmt.Sprint(migrating.Milliseconds())
	db := stdlib.OpenDB(*config)
	defer db.Close()
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableLeaseDuration(lease), lock.WithTableHeartbeatInterval(lease/6),
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
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithLocker(patient{locker, note}))
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

// patient is a locker that says what it waits for.
type patient struct {
	lock.Locker
	note func(string)
}

// Lock takes the lock.
func (p patient) Lock(ctx context.Context, db *sql.DB) error {
	if p.note != nil {
		said := time.AfterFunc(soon, func() {
			p.note(fmt.Sprintf("waiting for the lock under which the database's tables are made: another readmit is making them, which may take some minutes; one that was killed in their middle keeps it for %s at most", lease))
		})
		defer said.Stop()
	}
	return p.Locker.Lock(ctx, db)
}

// sameMoment reports whether two nodes made the same table at once: CREATE
// TABLE IF NOT EXISTS does not wait for another one's.
func sameMoment(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == codeUnique || e.Code == "42P07" || e.Code == "42710" || e.Code == codeSerialization)
}
