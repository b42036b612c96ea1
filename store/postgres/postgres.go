// Package postgres keeps the data in PostgreSQL, for any number of nodes
// beside each other.
//
// It runs the queries of store/queries.sql, each change SERIALIZABLE and again
// where it met another. What makes it fast enough is when the statements
// are sent: BEGIN goes with the first, reads that belong together go together,
// and writes wait for COMMIT. A sign-in's message costs two round trips.
//
// There are no advisory locks, no LISTEN and no server-side functions on that
// path, so that databases of the same protocol can serve (decision 020).
package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
	"readmit.dev/readmit/store/internal/sqltx"
)

// Config says where the database is and how patient a node is with it.
type Config struct {
	// Address is a URL or a list of key=value as libpq has them, without a
	// password.
	Address string
	// PasswordFile holds the password alone, mode 0600; empty for .pgpass, a
	// client certificate or none.
	PasswordFile string
	// Connections is how many a node holds; 0 for DefaultConnections.
	Connections int
	// Moving opens a database into which the accounts of this store are being
	// moved, and which nobody else may use; nil for every other purpose.
	Moving *Origin
	// Note is told what is waited for, once that takes longer than a second; nil
	// to tell nobody.
	Note func(text string)
	// Patience is how long a statement may take; 0 for DefaultPatience.
	Patience time.Duration
}

const (
	// DefaultConnections keep a small server's processors busy: two transactions
	// of some milliseconds for each of eight.
	DefaultConnections = 16
	// DefaultPatience: a sign-in's page waits 10 s for an answer, and a client
	// that is told "unavailable" by then can go to another node.
	DefaultPatience = 5 * time.Second

	// attempts is how often a transaction is begun: with pauses up to 100 ms,
	// some seconds of meeting others each time.
	attempts = 64
	// crowded is how many conflicts a transaction has before it is run with no
	// other of this node beside it.
	crowded = 4
	// idle ends a transaction whose node was stopped in its middle, so that the
	// rows it holds become free.
	idle = 3 * time.Second
)

type limits struct{ statement time.Duration }

// answer is how long an answer is waited for: the database ends a statement
// itself; this is for one that no longer says anything.
func (l limits) answer() time.Duration { return l.statement + l.statement/5 }

// Store is a store.Store.
type Store struct {
	config     *pgx.ConnConfig
	address    string // without a password, for errors
	db         *sql.DB
	limits     limits
	statements statements
	recent     recent
	counts     struct{ trips, statements, retries atomic.Int64 }

	slots   chan struct{} // one for each connection
	crowd   sync.RWMutex  // see crowded
	era     atomic.Int64  // the connections of an era before are not used: one of them went silent
	closing chan struct{}
	mu      sync.Mutex // of open
	open    bool
	working sync.WaitGroup
	close   func() error
	probe   chan time.Time // when a write was last known to go well
}

var _ store.Store = (*Store)(nil)

// Open connects, brings the schema up to date and makes what an empty database
// lacks. Several nodes may do so at the same time. A database that cannot take
// the move it is opened for is left as it is; see BeginMove.
func Open(ctx context.Context, c Config) (*Store, error) {
	config, address, err := parse(c)
	if err != nil {
		return nil, err
	}
	return openWith(ctx, c, config, address)
}

func openWith(ctx context.Context, c Config, config *pgx.ConnConfig, address string) (*Store, error) {
	s := newStore(c, config, address)
	if err := s.prepare(ctx, c); err != nil {
		return nil, errors.Join(advise(err, address), s.db.Close())
	}
	return s, nil
}

// newStore is a store that nothing was asked of yet.
func newStore(c Config, config *pgx.ConnConfig, address string) *Store {
	size := c.Connections
	if size <= 0 {
		size = DefaultConnections
	}
	patience := c.Patience
	if patience <= 0 {
		patience = DefaultPatience
	}
	config.RuntimeParams["application_name"] = "readmit"
	config.RuntimeParams["statement_timeout"] = strconv.FormatInt(patience.Milliseconds(), 10)
	config.RuntimeParams["lock_timeout"] = strconv.FormatInt(patience.Milliseconds()/2, 10)
	config.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(idle.Milliseconds(), 10)
	config.ConnectTimeout = patience
	if config.ValidateConnect == nil {
		// A standby is behind: what it says of a device or a password may be over.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	s := &Store{
		config: config, address: address, limits: limits{patience}, statements: statements{known: map[string]*statement{}},
		slots: make(chan struct{}, size), closing: make(chan struct{}), open: true, probe: make(chan time.Time, 1),
	}
	s.probe <- time.Time{}
	s.close = sync.OnceValue(s.shut)
	s.db = sql.OpenDB(connector{s})
	s.db.SetMaxOpenConns(size)
	s.db.SetMaxIdleConns(size)
	s.db.SetConnMaxIdleTime(5 * time.Minute)
	s.db.SetConnMaxLifetime(time.Hour) // so that nodes spread over what is new behind one name
	return s
}

// connector makes connections for database/sql.
type connector struct{ s *Store }

func (c connector) Driver() driver.Driver { return nil }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	era := c.s.era.Load()
	pg, err := pgx.ConnectConfig(ctx, c.s.config)
	if err != nil {
		return nil, err
	}
	// Serializable transactions lock what they have looked through: a whole
	// table, where the planner takes a small one for faster read from end to
	// end. And a statement of one row needs no plan of its own each time, nor to
	// be compiled: where a whole table must be read all the same, as the few
	// services are, the price of what is off would make it seem worth half a
	// second of that.
	for _, set := range []string{"SET enable_seqscan = off", "SET jit = off", "SET plan_cache_mode = force_generic_plan"} {
		var e *pgconn.PgError
		if _, err := pg.Exec(ctx, set); err != nil && !(errors.As(err, &e) && e.Code == codeNoParameter) {
			pg.Close(ctx)
			return nil, err
		}
	}
	return &conn{pg: pg, store: c.s, era: era}, nil
}

// parse reads the address.
func parse(c Config) (*pgx.ConnConfig, string, error) {
	if err := WithoutPassword(c.Address); err != nil {
		return nil, "", err
	}
	config, err := pgx.ParseConfig(c.Address)
	if err != nil {
		return nil, "", fmt.Errorf("the store's address cannot be read: %s: it is postgres://USER@HOST:PORT/DATABASE", clean(err))
	}
	if c.PasswordFile != "" {
		if config.Password, err = readPassword(c.PasswordFile); err != nil {
			return nil, "", err
		}
		for _, f := range config.Fallbacks {
			_ = f // they share the password
		}
	}
	address := fmt.Sprintf("PostgreSQL at %s, database %s, user %s", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), config.Database, config.User)
	if strings.HasPrefix(config.Host, "/") {
		address = fmt.Sprintf("PostgreSQL in %s, database %s, user %s", config.Host, config.Database, config.User)
	}
	if plain(config.Host, config.TLSConfig == nil) {
		return nil, "", fmt.Errorf("%s: beyond this machine the connection must be TLS: add sslmode=verify-full (and sslrootcert=FILE where its authority is your own)", address)
	}
	for _, f := range config.Fallbacks {
		if plain(f.Host, f.TLSConfig == nil) {
			return nil, "", fmt.Errorf("%s: beyond this machine the connection must be TLS, with no way around it: add sslmode=verify-full (and sslrootcert=FILE where its authority is your own)", address)
		}
	}
	return config, address, nil
}

// plain reports whether a host would be spoken to in the clear over a network.
func plain(host string, clear bool) bool {
	if !clear || strings.HasPrefix(host, "/") || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// WithoutPassword refuses an address that holds a password: it would be seen in
// lists of processes and copied with configurations.
func WithoutPassword(address string) error {
	held := false
	scheme, rest, ok := strings.Cut(address, ":")
	if ok && strings.HasPrefix(strings.ToLower(scheme), "postgres") && !strings.ContainsAny(scheme, " =") {
		held = inURL(strings.TrimLeft(rest, "/"))
	} else {
		held = strings.Contains(strings.ToLower(strings.ReplaceAll(address, " ", "")), "password=")
	}
	if held {
		return errors.New("the store's address holds a password: put it into a file of mode 0600 that store_password names, or into ~/.pgpass, and leave it out of the address")
	}
	return nil
}

// inURL reads as libpq does: what is before the first '@' is the user, as long
// as no '/' is, whatever else is in it; and names of parameters may be escaped.
// Where a password has a '/' that should have been escaped, it reads on as its
// writer meant it: what stands after a host's colon and is no port, and an '@'
// further on, are a password's.
func inURL(rest string) bool {
	user, _, _ := strings.Cut(rest, "/")
	if i := strings.Index(user, "@"); i >= 0 {
		if strings.Contains(user[:i], ":") {
			return true
		}
		rest = rest[i+1:]
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndex(authority, "@"); i >= 0 && strings.Contains(authority[:i], ":") {
		return true
	}
	for host := range strings.SplitSeq(authority, ",") {
		_, port, ok := strings.Cut(host[strings.LastIndex(host, "]")+1:], ":")
		if ok && (port == "" || strings.Trim(port, "0123456789") != "" || strings.Contains(path, "@")) {
			return true
		}
	}
	for p := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(p, "=")
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
		if strings.EqualFold(name, "password") || strings.EqualFold(name, "sslpassword") || strings.Contains(name, "@") {
			return true
		}
	}
	return false
}

func readPassword(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("the store's password: %w", err)
	}
	if err := private(path, info); err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the store's password: %w", err)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" || strings.ContainsAny(p, "\r\n") {
		return "", fmt.Errorf("%s: one line is expected, the password", path)
	}
	return p, nil
}

// Update runs f in a serializable transaction, again where it met another. A
// context that ends is heeded until f has been begun and between two runs.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) error {
	return s.run(ctx, serializable, ahead, f)
}

// Mark runs f in a transaction that is READ COMMITTED: beside changes of
// accounts it neither fails nor makes them fail, however many there are
// (decision 025).
func (s *Store) Mark(ctx context.Context, f func(store.Tx) error) error {
	return s.run(ctx, readCommitted, ahead, f)
}

// View runs f on the state after one commit. It may run f more than once, as
// Update does.
func (s *Store) View(ctx context.Context, f func(store.Tx) error) error {
	return s.run(ctx, repeatableRead, alone, f)
}

func (s *Store) run(ctx context.Context, l level, m mode, f func(store.Tx) error) error {
	if !s.enter() {
		return errStopped
	}
	defer s.working.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.slots <- struct{}{}:
	case <-s.closing:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.slots }()
	conflicts, lost := 0, 0
	for range attempts {
		err, next := s.once(ctx, l, m, conflicts >= crowded, f)
		switch next {
		case never:
			return err
		case exactly:
			m = exact
		case afresh:
			m = fresh
		case more:
			m = snapshot
		case reconnect:
			if lost++; lost > cap(s.slots) {
				return advise(err, s.address)
			}
		case conflict:
			conflicts++
			pause := time.Duration(rand.Int64N(int64(time.Millisecond) << min(conflicts, 6)))
			select {
			case <-time.After(pause):
			case <-s.closing:
				return errStopped
			case <-ctx.Done():
			}
		}
		s.counts.retries.Add(1)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return unavailable(fmt.Errorf("%d runs of a change met others", attempts))
}

var errStopped = fmt.Errorf("%w: closed", store.ErrUnavailable)

// once runs f once and says whether it must run again.
func (s *Store) once(ctx context.Context, l level, m mode, crowd bool, f func(store.Tx) error) (err error, next again) {
	switch {
	case l != serializable: // meets nobody
	case crowd:
		s.crowd.Lock()
		defer s.crowd.Unlock()
	default:
		s.crowd.RLock()
		defer s.crowd.RUnlock()
	}
	// From here on the caller's patience no longer counts: what was begun is
	// ended in good order, in the time the limits give.
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 4*s.limits.statement)
	defer cancel()
	one, err := s.db.Conn(limit)
	if err != nil {
		return advise(err, s.address), never
	}
	defer one.Close()
	var c *conn
	if err := one.Raw(func(raw any) error { c = raw.(*conn); return nil }); err != nil {
		return advise(err, s.address), never
	}
	c.begin(limit, l, m)
	at := c.at
	defer c.end()
	t := sqltx.New(rows.New(one), tell)
	if m == alone || m == snapshot {
		err = f(t)
	} else {
		err = sqltx.Protect(f, t)
	}
	switch {
	case at.again != never:
		return err, at.again
	case t.Fault != nil:
		return advise(t.Fault, s.address), never
	case err != nil && at.assumed():
		// It was told that its writes went well, or what was true a moment ago,
		// and may have failed for that.
		if at.guessed {
			return err, afresh
		}
		return err, exactly
	case err != nil, m == alone, m == snapshot:
		// A View that came to its end has seen one state, however it is ended.
		return err, never
	}
	if err := c.commit(); err != nil {
		if at.again != never {
			return err, at.again
		}
		return advise(err, s.address), never
	}
	return nil, never
}

// enter takes part in what Close waits for.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open {
		s.working.Add(1)
	}
	return s.open
}

// Close lets what runs finish. What still waits is answered as unavailable.
func (s *Store) Close() error { return s.close() }

func (s *Store) shut() error {
	s.mu.Lock()
	s.open = false
	s.mu.Unlock()
	close(s.closing)
	s.working.Wait()
	return s.db.Close()
}

// probeLife is how long a probe's success is believed.
const probeLife = time.Second

// Ready commits a small change, at most once a second: a database that only
// reads is not ready.
func (s *Store) Ready(ctx context.Context) error {
	if !s.enter() {
		return errStopped
	}
	defer s.working.Done()
	var at time.Time
	select {
	case at = <-s.probe:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.probe <- at }()
	if !at.IsZero() && time.Since(at) < probeLife {
		return nil
	}
	begun := time.Now()
	err := s.Update(ctx, func(t store.Tx) error {
		return t.(*sqltx.Tx).SaveSetting(store.SettingProbe, []byte(begun.UTC().Format(time.RFC3339Nano)))
	})
	if err == nil {
		at = begun
	}
	return err
}

// Counts tells what was sent so far, and how often a transaction ran again.
func (s *Store) Counts() (roundTrips, statements, retries int64) {
	return s.counts.trips.Load(), s.counts.statements.Load(), s.counts.retries.Load()
}
