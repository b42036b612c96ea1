package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"readmit.dev/readmit/store/internal/rows"
	"readmit.dev/readmit/store/internal/sqltx"
)

// mode is how a transaction treats its statements.
type mode int

const (
	// ahead: writes are kept back, each taken to change one row, and go out with
	// the next read or with COMMIT. A write that proves otherwise fails there,
	// and all is run again in mode exact.
	ahead mode = iota
	// fresh is ahead without anything remembered from before.
	fresh
	// exact: each write is sent at once, so that its outcome can be told.
	exact
	// alone: a View whose reads are the first one and those that belong to it.
	// They are one round trip, COMMIT included.
	alone
	// snapshot: any other View.
	snapshot
)

// level is how a transaction begins: how far it is isolated.
type level string

const (
	serializable   level = "BEGIN ISOLATION LEVEL SERIALIZABLE"
	readCommitted  level = "BEGIN ISOLATION LEVEL READ COMMITTED"
	repeatableRead level = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

// again says that a transaction is to be run once more, and why.
type again int

const (
	never     again = iota
	conflict        // with one that ran beside it
	exactly         // a write's outcome was taken wrongly
	more            // a View read more than was fetched
	afresh          // what was remembered no longer holds
	reconnect       // the connection was gone before anything was committed
)

var (
	errRow    = errors.New("a row of the same key exists")
	errClosed = errors.New("the transaction is over")
)

// conn is one connection to the database as database/sql knows it. The shared
// queries run on it as on any other; what it adds is when they are sent.
type conn struct {
	pg     *pgx.Conn
	store  *Store
	at     *transaction // nil between transactions
	broken bool
	era    int64 // see Store.era
}

// transaction is the one at work on a connection.
type transaction struct {
	ctx     context.Context
	level   level
	mode    mode
	begun   bool // BEGIN was sent
	sent    bool // COMMIT was sent
	waiting []call
	memory  map[string]*memory
	again   again

	found    string // the account that Find led to
	enrolled string // the same, once one of its devices was asked for that is enrolled
	checks   []call // that what was remembered still holds; they go first
	guessed  bool   // something remembered was used
}

// call is a statement with its arguments.
type call struct {
	text string
	args []any
}

// memory is what a read gave.
type memory struct {
	s *statement
	r result
}

type result struct {
	columns []string
	rows    [][]driver.Value
	changed int64
	tag     string
}

func (c *conn) begin(ctx context.Context, l level, m mode) {
	c.at = &transaction{ctx: ctx, level: l, mode: m, memory: map[string]*memory{}}
}

// ExecContext takes a write. The context is the transaction's.
func (c *conn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	t := c.at
	if t == nil {
		return nil, errClosed
	}
	s := c.store.statements.of(query)
	w := call{s.guarded, values(args)}
	switch t.mode {
	case alone, snapshot:
		return nil, sqltx.ErrReads
	case exact:
		n, err := c.write(s, w.args)
		return driver.RowsAffected(n), err
	}
	for key, m := range t.memory {
		if m.s.shares(s.tables) {
			delete(t.memory, key)
		}
	}
	t.waiting = append(t.waiting, w)
	return driver.RowsAffected(1), nil
}

// write sends one write and tells its outcome. What its own values caused ends
// with it, and the transaction goes on.
func (c *conn) write(s *statement, args []any) (int64, error) {
	t := c.at
	clear(t.memory)
	calls := append(c.opening(), call{text: "SAVEPOINT f"}, call{text: s.text, args: args}, call{text: "RELEASE SAVEPOINT f"})
	list, err := c.roundTrip(calls)
	if err == nil {
		return list[len(list)-2].changed, nil
	}
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code[:2] != classConstraint && e.Code[:2] != classData {
		return 0, c.lost(err)
	}
	if _, undo := c.roundTrip([]call{{text: "ROLLBACK TO SAVEPOINT f"}}); undo != nil {
		return 0, c.lost(undo)
	}
	if e.Code == codeUnique {
		return 0, errRow
	}
	return 0, &ownError{err}
}

// ownError was caused by a statement's own values and ended with it.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

// QueryContext takes a read: from what was fetched already, or with what waits.
func (c *conn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	t := c.at
	if t == nil {
		return nil, errClosed
	}
	s, in := c.store.statements.of(query), values(args)
	if r, ok := t.recall(s.name, in); ok {
		return &fetched{r: r}, nil
	}
	if s.name == "Subject" && t.level == serializable && t.mode == ahead && !t.begun && len(t.waiting) == 0 {
		id := in[0].([]byte)
		if m, ok := c.store.recent.take(string(id)); ok {
			t.guessed = true
			t.checks = []call{{subjectUnchanged, []any{id, m.rows[0]}}, {devicesUnchanged, []any{id, m.rows[1]}}}
			t.memory[key("Subject", in)] = &memory{s, m.subject}
			t.memory[key("Devices", in)] = &memory{c.store.statements.of(rows.TextDevices), m.devices}
			return &fetched{r: m.subject}, nil
		}
	}
	if t.mode == alone && t.begun {
		t.again = more
		return nil, errClosed
	}
	with := together[s.name]
	calls := append(c.opening(), t.waiting...)
	first := len(calls)
	calls = append(calls, call{s.text, in})
	for _, w := range with {
		calls = append(calls, call{w.text, w.args(in)})
	}
	if t.mode == alone {
		calls, t.sent = append(calls, call{text: "COMMIT"}), true
	}
	list, err := c.roundTrip(calls)
	if err != nil {
		return nil, c.lost(err)
	}
	t.waiting = t.waiting[:0]
	own := list[first]
	t.memory[key(s.name, in)] = &memory{s, own}
	if s.name == "Find" {
		if of := found(in, own); of != nil {
			t.found = string(of[0].([]byte))
		}
	}
	for i, w := range with {
		if as := w.as(in, own); as != nil {
			s := c.store.statements.of(w.shared)
			t.memory[key(s.name, as)] = &memory{s, list[first+1+i]}
		}
	}
	return &fetched{r: own}, nil
}

// opening is what goes before the first statement.
func (c *conn) opening() []call {
	if c.at.begun {
		return nil
	}
	c.at.begun = true
	return append([]call{{text: string(c.at.level)}}, c.at.checks...)
}

// commit sends what waits and ends the transaction.
func (c *conn) commit() (err error) {
	t := c.at
	if !t.begun && len(t.waiting) == 0 && !t.guessed || t.sent {
		return nil
	}
	calls := append(c.opening(), t.waiting...)
	keep := len(calls)
	if t.enrolled != "" {
		of := []any{[]byte(t.enrolled)}
		calls = append(calls, call{rows.TextSubject, of}, call{rows.TextDevices, of}, call{subjectText, of}, call{devicesText, of})
	}
	calls = append(calls, call{text: "COMMIT"})
	t.sent = true
	list, err := c.roundTrip(calls)
	if err != nil {
		return c.lost(err)
	}
	defer func() {
		if err == nil && t.enrolled != "" {
			left := list[keep:]
			c.store.recent.keep(t.enrolled, remembered{time.Now(), left[0], left[1], [2]string{left[2].rows[0][0].(string), left[3].rows[0][0].(string)}})
		}
	}()
	if tag := list[len(list)-1].tag; tag != "COMMIT" {
		err = c.lost(errors.New("the database answered COMMIT with " + tag))
	}
	return err
}

// end gives the connection back with no transaction on it.
func (c *conn) end() {
	t := c.at
	c.at = nil
	if !t.begun || c.broken {
		return
	}
	if c.pg.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.store.limits.statement)
	defer cancel()
	c.store.counts.trips.Add(1)
	if _, err := c.pg.Exec(ctx, "ROLLBACK"); err != nil {
		c.broken = true
	}
}

// lost notes what an error means for the transaction as a whole.
func (c *conn) lost(err error) error {
	t := c.at
	var e *pgconn.PgError
	var network net.Error
	switch {
	case !errors.As(err, &e) && (errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()):
		// Silence. The other connections lead to the same, and trying each would
		// take as long as this once more.
		c.broken = true
		c.store.era.CompareAndSwap(c.era, c.era+1)
	case !errors.As(err, &e):
		// Not an answer of the database. After COMMIT was sent nobody knows
		// whether it took place; before, nothing did.
		c.broken = true
		if !t.sent || t.mode == alone {
			t.again = reconnect
		}
	case e.SeverityUnlocalized == "FATAL" || e.Code == codeIdle:
		// It ended the connection, whatever for.
		c.broken = true
		if !t.sent || t.mode == alone {
			t.again = reconnect
		}
	case e.Code == codeSerialization || e.Code == codeDeadlock:
		t.again = conflict
	case e.Code[:2] == classConnection || e.Code[:2] == classOperator && e.Code != codeCancelled:
		c.broken = true
		if !t.sent || t.mode == alone {
			t.again = reconnect
		}
	case t.guessed && e.Code[:2] == classData:
		t.again = afresh
	case t.writesAhead() && (e.Code[:2] == classData || e.Code[:2] == classConstraint):
		t.again = exactly
	}
	return err
}

// roundTrip sends the calls in one batch and reads all answers.
func (c *conn) roundTrip(calls []call) ([]result, error) {
	ctx, cancel := context.WithTimeout(c.at.ctx, c.store.limits.answer())
	defer cancel()
	batch := &pgx.Batch{}
	for _, q := range calls {
		batch.Queue(q.text, q.args...)
	}
	c.store.counts.trips.Add(1)
	c.store.counts.statements.Add(int64(len(calls)))
	sent := c.pg.SendBatch(ctx, batch)
	out := make([]result, 0, len(calls))
	for range calls {
		r, err := one(sent)
		if err != nil {
			sent.Close()
			return nil, err
		}
		out = append(out, r)
	}
	return out, sent.Close()
}

func one(b pgx.BatchResults) (result, error) {
	var r result
	answer, err := b.Query()
	if err != nil {
		return r, err
	}
	defer answer.Close()
	for _, f := range answer.FieldDescriptions() {
		r.columns = append(r.columns, f.Name)
	}
	for answer.Next() {
		list, err := answer.Values()
		if err != nil {
			return r, err
		}
		row := make([]driver.Value, len(list))
		for i, v := range list {
			row[i] = v
			if b, ok := v.([]byte); ok && len(b) == 0 {
				row[i] = []byte(nil) // as the store on SQLite reads it
			}
		}
		r.rows = append(r.rows, row)
	}
	answer.Close()
	r.tag, r.changed = answer.CommandTag().String(), answer.CommandTag().RowsAffected()
	return r, answer.Err()
}

func values(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a.Value
	}
	return out
}

// fetched gives out a result.
type fetched struct {
	r    result
	next int
}

func (r *fetched) Columns() []string { return r.r.columns }
func (r *fetched) Close() error      { return nil }

func (r *fetched) Next(to []driver.Value) error {
	if r.next == len(r.r.rows) {
		return io.EOF
	}
	copy(to, r.r.rows[r.next])
	r.next++
	return nil
}

// The rest of what database/sql asks of a connection. Transactions and prepared
// statements are this package's own.

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (c *conn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }
func (c *conn) IsValid() bool                       { return !c.broken && !c.pg.IsClosed() }

// ResetSession is asked before a connection that was idle is used.
func (c *conn) ResetSession(context.Context) error {
	if c.era != c.store.era.Load() {
		return driver.ErrBadConn
	}
	return nil
}

func (c *conn) Close() error {
	if c.era != c.store.era.Load() {
		return c.pg.PgConn().Conn().Close() // nobody is there to be told
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return c.pg.Close(ctx)
}

// assumed reports whether a write's outcome was told before it was known.
func (t *transaction) assumed() bool {
	return t.writesAhead() && (len(t.waiting) > 0 || t.guessed && !t.begun)
}

func (t *transaction) writesAhead() bool { return t.mode == ahead || t.mode == fresh }
