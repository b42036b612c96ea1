package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // for goose
	"github.com/pressly/goose/v3"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/storetest"
)

// previous is the schema of the version before this one, whose statements are
// recorded in testdata/previous (decision 026). A node of that version works on
// while a node of this one takes the database to its own schema.
const previous = 4

// queries are the texts in a file, by name, as they are sent.
func queries(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, part := range strings.Split(string(b), "-- name: ")[1:] {
		part, _, _ = strings.Cut(part, "`") // the end of the text in a Go file
		name, _, _ := strings.Cut(part, " ")
		all[name] = "-- name: " + strings.TrimSpace(part) + "\n"
	}
	if len(all) < 100 {
		t.Fatalf("%s has %d queries", file, len(all))
	}
	return all
}

func recorded(t *testing.T) map[string]string {
	return queries(t, filepath.Join("testdata", "previous", fmt.Sprintf("%03d.sql", previous)))
}

func present(t *testing.T) map[string]string {
	return queries(t, filepath.Join("..", "internal", "rows", "queries.sql.go"))
}

// What is recorded is older than this version, or nothing is shown.
func TestPreviousIsOlder(t *testing.T) {
	if previous >= schema {
		t.Errorf("the schema is %d, the recorded one %d (decision 026)", schema, previous)
	}
}

// atPrevious makes a database of the previous schema.
func atPrevious(t *testing.T) Config {
	t.Helper()
	name, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Address: server.URL(name)}
	migrateTo(t, c, previous)
	return c
}

func migrateTo(t *testing.T, c Config, version int64) {
	t.Helper()
	db, err := sql.Open("pgx", c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}

// shapes tells of each statement what the database says of it: the types of its
// arguments and its columns with theirs.
func shapes(t *testing.T, c *pgx.Conn, prefix string, all map[string]string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, text := range all {
		d, err := c.Prepare(t.Context(), prefix+name, text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		shape := fmt.Sprint(d.ParamOIDs)
		for _, f := range d.Fields {
			shape += fmt.Sprintf(" %s:%d", f.Name, f.DataTypeOID)
		}
		out[name] = shape
	}
	return out
}

// Each statement of the previous version means on this schema what it meant on
// its own, on the connection on which it was prepared before too, and what it
// inserts lacks nothing.
func TestPreviousStatements(t *testing.T) {
	all := recorded(t)
	c := atPrevious(t)
	db, err := pgx.Connect(t.Context(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	before := shapes(t, db, "before ", all)
	openIn(t, c)
	after := shapes(t, db, "after ", all)
	for name := range all {
		if before[name] != after[name] {
			t.Errorf("%s: %s before, %s now", name, before[name], after[name])
		}
	}
	for _, name := range []string{"Accounts", "Services", "Agents"} {
		if _, err := db.Exec(t.Context(), "before "+name); err != nil {
			t.Errorf("%s, prepared before: %v", name, err)
		}
	}
	needed, err := db.Query(t.Context(), "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' ORDER BY 1, 2")
	if err != nil {
		t.Fatal(err)
	}
	var table, column string
	columns := map[string][]string{}
	if _, err := pgx.ForEachRow(needed, []any{&table, &column}, func() error {
		columns[table] = append(columns[table], column)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	inserts := regexp.MustCompile(`(?is)INSERT INTO (\w+) \(([^)]*)\)`)
	found := 0
	for name, text := range all {
		for _, m := range inserts.FindAllStringSubmatch(text, -1) {
			found++
			given := strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
			for _, c := range columns[m[1]] {
				if !slices.Contains(given, c) {
					t.Errorf("%s gives no %s.%s, which this schema wants", name, m[1], c)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("%d statements insert", found)
	}
}

// speaksPrevious makes a store send the statements of the previous version, but
// for those of another shape, which it returns.
func speaksPrevious(t *testing.T, s *Store) (others []string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.config.ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	was, is := recorded(t), present(t)
	old, now := shapes(t, db, "old ", was), shapes(t, db, "now ", is)
	s.statements.mu.Lock()
	defer s.statements.mu.Unlock()
	for name, text := range is {
		switch {
		case was[name] == "":
		case old[name] != now[name]:
			others = append(others, name)
		default:
			s.statements.known[text] = read(was[name])
		}
	}
	return others
}

// beside is two versions on one database: each transaction is the other one's
// turn.
type beside struct {
	*Store
	older *Store
	turn  atomic.Int64
}

func (b *beside) next() *Store {
	if b.turn.Add(1)%2 == 0 {
		return b.older
	}
	return b.Store
}

func (b *beside) Update(ctx context.Context, f func(store.Tx) error) error {
	return b.next().Update(ctx, f)
}

func (b *beside) View(ctx context.Context, f func(store.Tx) error) error {
	return b.next().View(ctx, f)
}

func (b *beside) Mark(ctx context.Context, f func(store.Tx) error) error {
	return b.next().Mark(ctx, f)
}

func (b *beside) Close() error {
	if err := b.older.Close(); err != nil {
		return err
	}
	return b.Store.Close()
}

// kept is the part of the suite that a sign-in, a change and the news of it rest
// on; the rest of the statements are held to their shape.
var kept = []string{"subjects", "devices", "lanes", "sessions", "entries", "close entry once", "requests", "passes", "keys", "signals", "services", "receipts", "marking"}

// The suite holds while every other transaction is the previous version's.
func TestBesidePrevious(t *testing.T) {
	var once atomic.Bool
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		c := empty(t)
		open := func() *beside {
			b := &beside{Store: openIn(t, c), older: openIn(t, c)}
			if others := speaksPrevious(t, b.older); !once.Swap(true) {
				t.Logf("of another shape by now: %s", strings.Join(slices.Sorted(slices.Values(others)), ", "))
			}
			return b
		}
		b := open()
		return b, func() store.Store {
			if err := b.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			b = open()
			return b
		}
	}, kept...)
}

// A database is taken to this schema with what is in it, while a node of the
// previous version writes: nothing of it is lost.
func TestUpgradeUnderWrites(t *testing.T) {
	c := atPrevious(t)
	db, err := pgx.Connect(t.Context(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	write := recorded(t)["SaveSetting"]
	if write == "" {
		t.Fatalf("no statement writes a setting: %s", strings.Join(slices.Sorted(maps.Keys(recorded(t))), " "))
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	var written atomic.Int64
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if _, err := db.Exec(context.Background(), write, fmt.Sprintf("%d", n), []byte("x")); err != nil {
				ended <- err
				return
			}
			written.Add(1)
		}
	}()
	s := openIn(t, c)
	close(stop)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	at, err := s.look(t.Context())
	if err != nil || at.schema != schema {
		t.Fatalf("schema %d, %v", at.schema, err)
	}
	var there int64
	if err := db.QueryRow(t.Context(), "SELECT count(*) FROM settings").Scan(&there); err != nil || there < written.Load() || written.Load() == 0 {
		t.Errorf("%d of %d are there, %v", there, written.Load(), err)
	}
}
