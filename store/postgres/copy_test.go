package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/lock"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/archive"
	"readmit.dev/readmit/store/sqlite"
)

// everyTable is some rows of every table there is, whatever it is called: a
// table that a copy forgets is found here the day it is added.
func everyTable(t *testing.T, c Config) (list []store.Row, tables []string) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	if tables, err = texts(t.Context(), db, tablesQuery); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, name := range tables {
		columns, err := texts(t.Context(), db, "SELECT column_name FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", name)
		if err != nil {
			t.Fatal(err)
		}
		types, err := texts(t.Context(), db, "SELECT data_type FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position", name)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 700 { // more than go together
			row := store.Row{Table: name, Columns: columns}
			for i := range columns {
				switch types[i] {
				case "bigint":
					row.Values = append(row.Values, int64(n)<<40|int64(i)-1)
				case "bytea":
					row.Values = append(row.Values, fmt.Appendf(nil, "%d\x00%d %d", n, i, r.Uint64()))
				case "text":
					row.Values = append(row.Values, fmt.Sprintf("%d ü'\"\n\u2028%d", n, i))
				default:
					t.Fatalf("%s.%s is of type %s", name, columns[i], types[i])
				}
			}
			if n == 0 { // and empty ones
				for i, v := range row.Values {
					switch v.(type) {
					case []byte:
						row.Values[i] = []byte{}
					case string:
						row.Values[i] = ""
					case int64:
						row.Values[i] = int64(0)
					}
				}
			}
			list = append(list, row)
		}
	}
	return list, tables
}

// The list of tables is what the migrations make, and what others have in the
// same database stays as it is.
func TestTablesOfOthers(t *testing.T) {
	c := empty(t)
	s := openIn(t, c)
	db, err := pgx.Connect(t.Context(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	there, err := texts(t.Context(), db, tablesQuery)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(there, tables[:]) {
		t.Errorf("the migrations make %q, the list says %q", there, tables)
	}
	for _, q := range []string{"CREATE TABLE goose_feathers (n INT)", "INSERT INTO goose_feathers VALUES (7)"} {
		if _, err := db.Exec(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Export(t.Context(), func(r store.Row) error {
		if r.Table == "goose_feathers" {
			return errors.New("a table of others")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := s.BeginMove(t.Context(), here); !errors.Is(err, ErrOthers) || !strings.Contains(err.Error(), `"goose_feathers"`) || !strings.Contains(err.Error(), "use an empty database") {
		t.Errorf("beside others: %v", err)
	}

	// Nothing is made between the tables of others either.
	name, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(name, "CREATE TABLE orders (n INT)"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Address: server.URL(name), Moving: &here}); !errors.Is(err, ErrOthers) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("opened beside others: %v", err)
	}
	if err := server.Exec(name, "CREATE TABLE settings (n INT)"); err != nil {
		t.Errorf("a table was made: %v", err)
	}

	// Nor between those that this user may not read.
	if name, err = server.Database(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(server.Exec(name, "CREATE TABLE orders (n INT)"), server.Exec(name, "CREATE ROLE clerk LOGIN"), server.Exec(name, "GRANT CREATE, USAGE ON SCHEMA public TO clerk")); err != nil {
		t.Fatal(err)
	}
	of, err := url.Parse(server.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	of.User = url.User("clerk")
	if _, err := Open(t.Context(), Config{Address: of.String(), Moving: &here}); !errors.Is(err, ErrOthers) {
		t.Errorf("opened beside others' that are hidden: %v", err)
	}
}

var here = Origin{"1", "/var/lib/one"}

// TestMarkOfTheVersionBefore: it was the folder's name alone.
func TestMarkOfTheVersionBefore(t *testing.T) {
	c := empty(t)
	c.Moving = &here
	to := openIn(t, c)
	if err := server.Exec(lastPart(c.Address), "INSERT INTO settings (name, value) VALUES ('moving', '/var/lib/one')"); err != nil {
		t.Fatal(err)
	}
	if err := to.BeginMove(t.Context(), Origin{"2", "/var/lib/two"}); !errors.Is(err, ErrOtherMove) {
		t.Errorf("another's: %v", err)
	}
	if err := to.BeginMove(t.Context(), here); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := to.BeginMove(t.Context(), Origin{"2", "/var/lib/one"}); !errors.Is(err, ErrOtherMove) {
		t.Errorf("of another machine: %v", err)
	}
}

// TestRefusedMove: what cannot take a move has no table more afterwards, and is
// of the schema it was of.
func TestRefusedMove(t *testing.T) {
	c := atPrevious(t)
	name := lastPart(c.Address)
	if err := server.Exec(name, "INSERT INTO keys (id, purpose, created, retired, sealed) VALUES ('\\x01', 'p', 1, 0, '\\x02')"); err != nil {
		t.Fatal(err)
	}
	unchanged := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) || errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		db, err := pgx.Connect(t.Context(), c.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close(context.Background())
		at, _, err := ask[int64](t.Context(), db, "SELECT max(version_id) FROM goose_db_version")
		more, _, also := ask[int64](t.Context(), db, "SELECT count(*) FROM pg_tables WHERE tablename IN ('goose_lock', '"+moveTable+"')")
		if err := errors.Join(err, also); err != nil || at != previous || more != 0 {
			t.Errorf("%s: schema %d, %d tables more, %v", what, at, more, err)
		}
	}
	c.Moving = &here
	_, err := Open(t.Context(), c)
	unchanged("over accounts", err, ErrTaken)
	_, err = Unfinished(t.Context(), c)
	unchanged("asked", err, nil)
	if err := server.Exec(name, "INSERT INTO settings (name, value) VALUES ('moving', 'origin:2 /var/lib/two')"); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), c)
	unchanged("into another's", err, ErrOtherMove)
	_, err = Open(t.Context(), Config{Address: c.Address})
	unchanged("a server", err, errMoving)

	none, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	c.Address = server.URL(none)
	if begun, err := Unfinished(t.Context(), c); err != nil || begun {
		t.Errorf("an empty one: %v, %v", begun, err)
	}
	if all, err := server.Dump(none); err != nil || len(all) > 0 {
		t.Errorf("%d tables were made, %v", len(all), err)
	}
}

// TestWaitIsTold: who waits for the lock of one that was killed says so.
func TestWaitIsTold(t *testing.T) {
	name, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(name,
		"CREATE TABLE goose_lock (lock_id BIGINT NOT NULL PRIMARY KEY, locked BOOLEAN NOT NULL DEFAULT FALSE, locked_at TIMESTAMPTZ, locked_by TEXT, lease_expires_at TIMESTAMPTZ, updated_at TIMESTAMPTZ)",
		fmt.Sprintf("INSERT INTO goose_lock VALUES (%d, TRUE, now(), 'one that was killed', now() + INTERVAL '1 day', now())", lock.DefaultLockID)); err != nil {
		t.Fatal(err)
	}
	notes := make(chan string, 1)
	openIn(t, Config{Address: server.URL(name), Note: func(text string) {
		notes <- text
		if err := server.Exec(name, "DELETE FROM goose_lock"); err != nil {
			t.Error(err)
		}
	}})
	told := <-notes
	for _, part := range []string{"waiting for the lock", "30s at most"} {
		if !strings.Contains(told, part) {
			t.Errorf("%q does not say %q", told, part)
		}
	}
}

func TestCopiesOfEverything(t *testing.T) {
	c := empty(t)
	c.Moving = &here
	to := openIn(t, c)
	rows, tables := everyTable(t, c)
	if len(tables) < 20 {
		t.Fatalf("%d tables", len(tables))
	}
	from, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if err := from.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	in := archive.Into(t.Context(), from)
	for _, r := range rows {
		if err := in.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Flush(); err != nil {
		t.Fatal(err)
	}

	if err := to.BeginMove(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	sums, err := archive.Copy(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d rows in %s", sums.Rows(), time.Since(begun))
	if len(sums) != len(tables) || sums.Rows() != int64(len(rows)) {
		t.Fatalf("%d rows of %d tables were copied, of %d and %d", sums.Rows(), len(sums), len(rows), len(tables))
	}

	// Through a file, and back.
	var file bytes.Buffer
	written, err := archive.Write(t.Context(), &file, to, schema, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := sums.Differ(written); err != nil {
		t.Fatal(err)
	}
	back, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if err := back.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	in = archive.Into(t.Context(), back)
	read, _, err := archive.Read(bytes.NewReader(file.Bytes()), in.Add)
	if err == nil {
		err = errors.Join(in.Flush(), archive.Verify(t.Context(), read, back), sums.Differ(read))
	}
	if err != nil {
		t.Fatal(err)
	}

	// One octet, one row: each is found.
	name := lastPart(c.Address)
	for _, change := range []string{
		"UPDATE devices SET skew = skew + 1 WHERE name LIKE '17 %'",
		"UPDATE ledger SET detail = detail || '\\x00'::bytea WHERE slot = (SELECT max(slot) FROM ledger)",
		"DELETE FROM passes WHERE tries = 0",
	} {
		if err := server.Exec(name, change); err != nil {
			t.Fatal(err)
		}
		if err := archive.Verify(t.Context(), sums, to); err == nil {
			t.Errorf("not found: %s", change)
		}
	}

	// Another store's stays out, under whatever name, and touches nothing.
	for _, other := range []Origin{{"2", "another"}, {"2", here.Name}} {
		if err := to.BeginMove(t.Context(), other); !errors.Is(err, ErrOtherMove) || !strings.Contains(err.Error(), here.Name) {
			t.Errorf("a second move: %v", err)
		}
		if u, err := Unfinished(t.Context(), Config{Address: c.Address, Moving: &other}); err != nil || u {
			t.Errorf("a second move is unfinished: %v, %v", u, err)
		}
	}
	if err := to.View(t.Context(), func(tx store.Tx) error {
		k, err := tx.Keys()
		if len(k) == 0 {
			t.Error("a second move has emptied the database")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}

	// Begun again from the start: half of it does not stay.
	if err := to.BeginMove(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Copy(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if u, err := Unfinished(t.Context(), c); err != nil || !u {
		t.Errorf("unfinished: %v, %v", u, err)
	}
	if err := to.EndMove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if u, err := Unfinished(t.Context(), c); err != nil || u {
		t.Errorf("after its end: %v, %v", u, err)
	}
	if err := to.BeginMove(t.Context(), Origin{"2", "another"}); !errors.Is(err, ErrTaken) {
		t.Errorf("over accounts: %v", err)
	}
}

func lastPart(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '/' {
			return address[i+1:]
		}
	}
	return address
}
