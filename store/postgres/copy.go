package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

// Schema is the version of the schema that this program has.
func (s *Store) Schema() int { return schema }

// tables are the ones that the migrations make. Only they are copied and wiped:
// a database may hold what belongs to others.
var tables = [...]string{
	"addresses", "agents", "approvals", "desk_acts", "devices", "formers", "invitations", "keys", "lanes", "ledger", "messages", "passes",
	"passkeys", "receipts", "recoveries", "recovery_codes", "requests", "services", "sessions", "settings", "signals", "subjects", "works",
}

// ErrOthers: there is something in the database that no account server has made.
var ErrOthers = errors.New("the database is used by something else already")

func others(what string) error {
	return fmt.Errorf("%w: it has %s: use an empty database", ErrOthers, what)
}

// Export hands out every row of every table, as they were after one commit.
// Writes go on meanwhile.
func (s *Store) Export(ctx context.Context, each func(store.Row) error) error {
	if !s.enter() {
		return errStopped
	}
	defer s.working.Done()
	c, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return advise(err, s.address)
	}
	defer c.Close(context.WithoutCancel(ctx))
	for _, q := range []string{
		"SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	} {
		if _, err := c.Exec(ctx, q); err != nil {
			return advise(err, s.address)
		}
	}
	for _, t := range tables {
		columns, err := texts(ctx, c, "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position", t)
		if err != nil {
			return advise(err, s.address)
		}
		if err := s.exportTable(ctx, c, t, columns, each); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) exportTable(ctx context.Context, c *pgx.Conn, table string, columns []string, each func(store.Row) error) error {
	query := "SELECT "
	for i, name := range columns {
		if i > 0 {
			query += ", "
		}
		query += pgx.Identifier{name}.Sanitize()
	}
	list, err := c.Query(ctx, query+" FROM "+pgx.Identifier{table}.Sanitize())
	if err != nil {
		return advise(err, s.address)
	}
	defer list.Close()
	for list.Next() {
		values, err := list.Values()
		if err != nil {
			return advise(err, s.address)
		}
		for i, v := range values {
			switch v.(type) {
			case []byte, int64, string:
			default:
				return fmt.Errorf("%s.%s: a value of type %T", table, columns[i], v)
			}
		}
		if err := each(store.Row{Table: table, Columns: columns, Values: values}); err != nil {
			return err
		}
	}
	if err := list.Err(); err != nil {
		return advise(err, s.address)
	}
	return nil
}

func texts(ctx context.Context, c *pgx.Conn, query string, args ...any) ([]string, error) {
	list, err := c.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(list, pgx.RowTo[string])
}

// Import adds rows to a store that has none of them.
func (s *Store) Import(ctx context.Context, list []store.Row) error {
	return s.Update(ctx, func(tx store.Tx) error {
		for _, r := range list {
			if err := tx.(*sqltx.Tx).Put(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// ErrTaken: there are accounts in the store already.
var ErrTaken = errors.New("there are accounts in this database already")

// ErrOtherMove: another store's accounts are on their way into this database.
var ErrOtherMove = errors.New("another move into this database has not been finished")

// Origin is the store that a move is from.
type Origin struct {
	// ID tells it from every other, wherever it lies: of two machines, both may
	// have theirs in a folder of the same name.
	ID string
	// Name is what people call it: its folder.
	Name string
}

// originMark begins a mark that has an ID; those of versions before are a name.
const originMark = "origin:"

func (o Origin) mark() string { return originMark + o.ID + " " + o.Name }

func originOf(mark []byte) Origin {
	if rest, ok := strings.CutPrefix(string(mark), originMark); ok {
		id, name, _ := strings.Cut(rest, " ")
		return Origin{id, name}
	}
	return Origin{Name: string(mark)}
}

func (o Origin) is(other Origin) bool {
	if o.ID == "" || other.ID == "" {
		return o.Name == other.Name
	}
	return o.ID == other.ID
}

// takes reports why a database cannot have the accounts of a store moved into it.
func (at state) takes(from Origin) error {
	if at.mark == nil {
		if at.held {
			return ErrTaken
		}
		return nil
	}
	if other := originOf(at.mark); !other.is(from) {
		return fmt.Errorf("%w: it is from %s", ErrOtherMove, other.Name)
	}
	return nil
}

// moveTable has a move's mark as long as there is no table of settings for it:
// it is made before all others, so that there is no moment at which a database
// into which a move was begun looks like a new one.
const moveTable = "unfinished_move"

func (s *Store) mark(ctx context.Context, from Origin) error {
	c, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "CREATE TABLE "+moveTable+" (origin BYTEA NOT NULL)"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO "+moveTable+" VALUES ($1)", []byte(from.mark()))
		return err
	})
	if !sameMoment(err) {
		return err
	}
	now, err := s.look(ctx)
	if err != nil {
		return err
	}
	return now.takes(from)
}

func (s *Store) unmark(ctx context.Context) error {
	c, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return advise(err, s.address)
	}
	defer c.Close(context.WithoutCancel(ctx))
	_, err = c.Exec(ctx, "DROP TABLE IF EXISTS "+moveTable)
	return advise(err, s.address)
}

// BeginMove makes room for the accounts of another store: it deletes what a new
// store has, or what a move from the same store that was not finished has left,
// and marks the database, so that no server starts on it. It returns ErrTaken
// where accounts are that no move has brought, ErrOtherMove where a move from
// another store has begun, and ErrOthers where tables are that are not ours.
func (s *Store) BeginMove(ctx context.Context, from Origin) error {
	was, err := s.look(ctx)
	if err != nil {
		return advise(err, s.address)
	}
	if err := was.alone(); err != nil {
		return err
	}
	err = s.Update(ctx, func(tx store.Tx) error {
		t := tx.(*sqltx.Tx)
		mark, err := t.Moving()
		if errors.Is(err, store.ErrNotFound) {
			// A server makes its keys before anything else.
			var keys []store.SealedKey
			if keys, err = t.Keys(); len(keys) > 0 {
				return ErrTaken
			}
		} else if other := originOf(mark); err == nil && !other.is(from) {
			return fmt.Errorf("%w: it is from %s", ErrOtherMove, other.Name)
		}
		if err != nil {
			return err
		}
		for _, name := range tables {
			if err := t.Wipe(name); err != nil {
				return err
			}
		}
		return t.SetMoving(from.mark())
	})
	if err == nil || errors.Is(err, ErrTaken) { // by a server that started at the same moment
		err = errors.Join(err, s.unmark(ctx))
	}
	return err
}

// EndMove takes the mark away.
func (s *Store) EndMove(ctx context.Context) error {
	return s.Update(ctx, func(tx store.Tx) error { return tx.(*sqltx.Tx).Moved() })
}

// Unfinished reports whether a move from c.Moving into a database has begun and
// not ended. It changes nothing there.
func Unfinished(ctx context.Context, c Config) (bool, error) {
	config, address, err := parse(c)
	if err != nil {
		return false, err
	}
	s := newStore(c, config, address)
	defer s.db.Close()
	at, err := s.look(ctx)
	return err == nil && at.mark != nil && originOf(at.mark).is(*c.Moving), advise(err, address)
}
