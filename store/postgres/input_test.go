package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/postgres/pgtest"
)

const secret = "correct horse 17"

// Each mistake says what to do, and no secret.
func TestBadInput(t *testing.T) {
	if err := server.Exec("postgres", "CREATE ROLE "+pgtest.Guarded+" LOGIN PASSWORD '"+secret+"'", "CREATE ROLE stranger LOGIN"); err != nil {
		t.Fatal(err)
	}
	name, err := server.Copy(template)
	if err != nil {
		t.Fatal(err)
	}
	only, err := server.Copy(template)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Exec("postgres", "ALTER DATABASE "+only+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	as := func(user string) string {
		return strings.Replace(server.URL(name), pgtest.Owner+"@", user+"@", 1)
	}
	for _, c := range []struct {
		what        string
		config      Config
		unavailable bool
		says        []string
	}{
		{"password in the URL", Config{Address: "postgres://jane:" + secret + "@db.example.org/x"}, false, []string{"store_password", ".pgpass"}},
		{"password as a parameter", Config{Address: "postgres://db.example.org/x?password=" + secret}, false, []string{"store_password"}},
		{"password in a list", Config{Address: "host=db.example.org password = " + secret}, false, []string{"store_password"}},
		{"password with a question mark", Config{Address: "postgres://jane:who?" + secret + "@db.example.org/x"}, false, []string{"store_password"}},
		{"password with a colon and an at", Config{Address: "postgres://jane@example.org:" + secret + "@db.example.org/x"}, false, []string{"store_password"}},
		{"password as an escaped parameter", Config{Address: "postgres://jane@db.example.org/x?pass%77ord=" + secret}, false, []string{"store_password"}},
		{"no address", Config{Address: "postgres://a b c"}, false, []string{"postgres://USER@HOST:PORT/DATABASE"}},
		{"unknown parameter", Config{Address: server.URL(name) + "?nonsense=1"}, true, []string{`"nonsense"`, "correct that parameter of the address, or leave it out"}},
		{"bad parameter", Config{Address: server.URL(name) + "?work_mem=much"}, true, []string{`"work_mem"`, "correct that parameter of the address, or leave it out"}},
		{"in the clear", Config{Address: "postgres://jane@192.0.2.1/x?sslmode=disable"}, false, []string{"sslmode=verify-full"}},
		{"perhaps in the clear", Config{Address: "postgres://jane@192.0.2.1/x"}, false, []string{"sslmode=verify-full"}},
		{"password file missing", Config{Address: as(pgtest.Guarded), PasswordFile: filepath.Join(dir, "none")}, false, []string{"none", "no such file"}},
		{"password file open", Config{Address: as(pgtest.Guarded), PasswordFile: file("open", secret, 0o644)}, false, []string{"chmod 600"}},
		{"password file empty", Config{Address: as(pgtest.Guarded), PasswordFile: file("empty", "\n", 0o600)}, false, []string{"one line"}},
		{"wrong password", Config{Address: as(pgtest.Guarded), PasswordFile: file("wrong", "something else\n", 0o600)}, true, []string{"not accepted", "store_password"}},
		{"no password", Config{Address: as(pgtest.Guarded)}, true, []string{"store_password"}},
		{"unknown user", Config{Address: as("nobody_here")}, true, []string{"not accepted"}},
		{"not the owner", Config{Address: strings.Replace(server.URL(fresh), pgtest.Owner+"@", "stranger@", 1)}, true, []string{"must own the database"}},
		{"no such database", Config{Address: server.URL("nothing")}, true, []string{"createdb", "nothing"}},
		{"nothing listens", Config{Address: "postgres://jane@" + closed.Addr().String() + "/x"}, true, []string{"start PostgreSQL"}},
		{"no answer", Config{Address: "postgres://jane@" + silent.Addr().String() + "/x", Patience: 300 * time.Millisecond}, true, []string{"does not answer"}},
		{"read only", Config{Address: server.URL(only)}, true, []string{"primary"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			begun := time.Now()
			s, err := Open(t.Context(), c.config)
			if err == nil {
				s.Close()
				t.Fatal("opened")
			}
			if errors.Is(err, store.ErrUnavailable) != c.unavailable {
				t.Errorf("unavailable: %v", err)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error holds the password or more than a line: %q", err)
			}
			if d := time.Since(begun); d > 5*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
	s := openIn(t, Config{Address: as(pgtest.Owner)})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := file("good", secret+"\n", 0o600)
	if err := server.Exec(name, "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+pgtest.Guarded); err != nil {
		t.Fatal(err)
	}
	if err := openIn(t, Config{Address: as(pgtest.Guarded), PasswordFile: good}).Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGPASSFILE", file("passfile", "*:*:*:"+pgtest.Guarded+":"+secret+"\n", 0o600))
	if err := openIn(t, Config{Address: as(pgtest.Guarded)}).Ready(t.Context()); err != nil {
		t.Fatalf("with a passfile: %v", err)
	}
}

func TestAddressesWithoutPassword(t *testing.T) {
	for _, a := range []string{
		"postgres://jane@db.example.org:5432/x?application_name=a:b@c", "postgresql://db.example.org:5432/x?user=jane@example.org",
		"postgres://jane@one:5432,two:5433/x?target_session_attrs=read-write", "host=db.example.org passfile=/etc/pass",
		"postgres://jane@[::1]:5432/x", "postgres://[::1]:5432,[::2]/x", "postgres:///x?host=/var/run/postgresql", "postgres://db.example.org/x@y", "postgres://jane@db.example.org:5432/x%40y",
		"postgres://jane%40example.org@db.example.org/x",
	} {
		if err := WithoutPassword(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// TestAddressesWithPassword: however it is written into the address, it is found
// there, before anything prints it.
func TestAddressesWithPassword(t *testing.T) {
	for _, a := range []string{
		"postgres://jane:plan/ted@db.example.org/x", "postgres://jane:12/planted@db.example.org/x", "postgresql://jane:planted/@db.example.org:5432/x",
		"postgres://jane:plan?t/ed@db.example.org/x", "postgres://jane:1?plan/ted@db.example.org/x", "postgres://jane:planted#/1@db.example.org/x",
		"postgres://jane:plan@te/d@db.example.org/x", "postgres://jane:/planted@db.example.org/x", "postgres://jane:planted@one,two/x", "postgres://jane:plan/ted@one:1,two:2/x",
		"POSTGRES://jane:planted@db.example.org/x", "postgres:/jane:planted@db.example.org/x", "postgres://db.example.org/x?password=planted", "postgres://db.example.org/x?p%61ssword=planted",
		"host=db.example.org password=planted", "host=db.example.org password = 'planted'", "host=db.example.org PASSWORD=planted", "postgres://jane:plan/ted@[::1]:5432/x",
	} {
		err := WithoutPassword(a)
		if err == nil || !strings.Contains(err.Error(), "store_password") {
			t.Errorf("%s: %v", a, err)
		}
		if _, _, err := parse(Config{Address: a}); err == nil || strings.Contains(err.Error(), "plan") || strings.Contains(err.Error(), "ted") {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestStandbyIsNotReady(t *testing.T) {
	standby, err := server.Standby()
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop()
	if _, err := Open(t.Context(), Config{Address: standby.URL(template)}); err == nil || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "primary") {
		t.Fatalf("got error %v", err)
	}
}

// What a standby says may be over: nothing is read from one either.
func TestNothingIsReadFromAStandby(t *testing.T) {
	c := empty(t)
	s := openIn(t, c)
	read := func() error {
		return s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Subject(store.ID{1}); return err })
	}
	if err := read(); !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	if err := server.Exec("postgres", "ALTER DATABASE "+lastPart(c.Address)+" SET default_transaction_read_only = on"); err != nil {
		t.Fatal(err)
	}
	s.db.SetMaxIdleConns(0) // as after a change of the primary
	if err := read(); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "primary") {
		t.Errorf("got error %v", err)
	}
}

// A change that runs with no other beside it holds up no reader.
func TestReadersPassACrowd(t *testing.T) {
	s := openIn(t, empty(t))
	s.crowd.Lock()
	defer s.crowd.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- s.View(ctx, func(tx store.Tx) error {
			if _, err := tx.Subject(store.ID{1}); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			_, err := tx.Session(store.ID{1}) // more than goes together
			return err
		})
	}()
	select {
	case err := <-done:
		if !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("the reader waits")
	}
}

// A slow database is "unavailable" in time, and the store works on after it.
func TestSlow(t *testing.T) {
	c := empty(t)
	c.Patience = 400 * time.Millisecond
	s := openIn(t, c)
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "a@example.org", Epoch: 1}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.AddSubject(a) }); err != nil {
		t.Fatal(err)
	}
	name := c.Address[strings.LastIndex(c.Address, "/")+1:]
	locked := make(chan error, 1)
	go func() {
		locked <- server.Exec(name, "BEGIN", "LOCK TABLE subjects IN ACCESS EXCLUSIVE MODE", "SELECT pg_sleep(2)", "COMMIT")
	}()
	time.Sleep(300 * time.Millisecond)
	for what, f := range map[string]func() error{
		"read": func() error {
			return s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Subject(a.ID); return err })
		},
		"write": func() error {
			return s.Update(t.Context(), func(tx store.Tx) error { return tx.SaveSubjectHot(a.ID, a.Hot) })
		},
	} {
		begun := time.Now()
		err := f()
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), "slowly") {
			t.Errorf("%s: got error %v", what, err)
		}
		if d := time.Since(begun); d > time.Second {
			t.Errorf("%s: it took %v", what, d)
		}
	}
	if err := <-locked; err != nil {
		t.Fatal(err)
	}
	if err := s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Subject(a.ID); return err }); err != nil {
		t.Fatalf("afterwards: %v", err)
	}
}

func TestSchemas(t *testing.T) {
	c := empty(t)
	name := c.Address[strings.LastIndex(c.Address, "/")+1:]
	if err := server.Exec(name, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)"); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), c)
	if !errors.Is(err, store.ErrNewer) || errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "99") || !strings.Contains(err.Error(), "run the newer readmit") {
		t.Fatalf("got error %v", err)
	}

	// Many nodes begin on an empty database together.
	fresh, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 4)
	for range cap(results) {
		go func() {
			s, err := Open(t.Context(), Config{Address: server.URL(fresh), Connections: 2})
			if err == nil {
				err = s.Close()
			}
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	s := openIn(t, Config{Address: server.URL(fresh)})
	for n := range store.Ghosts {
		key := store.GhostKey(n)
		if err := s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Find(key, key); return err }); err != nil {
			t.Fatalf("ghost %d: %v", n, err)
		}
	}
}

// Steps only add, so that nodes of the version before work on beside a newer
// schema; and what they insert without knowing of a column needs its default.
// An index that only finds rows may go: no statement names it.
func TestMigrationsOnlyAdd(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	last, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	if n, err := strconv.Atoi(last); err != nil || n != schema {
		t.Errorf("the last migration is %s, the constant says %d", last, schema)
	}
	plain := map[string]bool{}
	for i, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if number := strconv.Itoa(i + 1); !strings.HasPrefix(filepath.Base(f), strings.Repeat("0", 3-len(number))+number+"_") {
			t.Errorf("%s is not number %s", f, number)
		}
		for _, wrong := range adds(string(text), plain) {
			t.Errorf("%s: %s", f, wrong)
		}
	}
	for _, bad := range []string{
		"ALTER TABLE a DROP COLUMN b;", "DROP TABLE a;", "ALTER TABLE a RENAME TO b;", "ALTER TABLE a ADD COLUMN b BIGINT NOT NULL;",
		"ALTER TABLE a ALTER COLUMN b SET NOT NULL;", "ALTER TABLE a ADD CONSTRAINT c UNIQUE (b);",
		"DROP INDEX IF EXISTS a;", "DROP INDEX IF EXISTS a; CREATE INDEX CONCURRENTLY b ON c (d);",
		"CREATE UNIQUE INDEX a ON b (c); DROP INDEX CONCURRENTLY IF EXISTS a;",
	} {
		if len(adds(bad, map[string]bool{})) == 0 {
			t.Errorf("%q was let through", bad)
		}
	}
	if wrong := adds("ALTER TABLE a ADD COLUMN b BIGINT NOT NULL DEFAULT 0; CREATE INDEX c ON a (b); DROP INDEX CONCURRENTLY IF EXISTS c;", map[string]bool{}); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// adds tells what a step does beside adding. plain are the indexes that are not
// unique, of the steps so far.
func adds(text string, plain map[string]bool) (wrong []string) {
	text = regexp.MustCompile(`--[^\n]*`).ReplaceAllString(text, "")
	steps := strings.Split(text, ";")
	for i := range steps {
		steps[i] = strings.ToUpper(strings.Join(strings.Fields(steps[i]), " "))
	}
	for i, s := range steps {
		index, again := strings.CutPrefix(s, "DROP INDEX IF EXISTS ")
		switch {
		case strings.HasPrefix(s, "CREATE INDEX CONCURRENTLY "):
			plain[strings.Fields(s)[3]] = true
		case strings.HasPrefix(s, "CREATE INDEX "):
			plain[strings.Fields(s)[2]] = true
		case strings.HasPrefix(s, "DROP INDEX CONCURRENTLY IF EXISTS ") && plain[strings.Fields(s)[5]]:
		case again && strings.HasPrefix(steps[i+1], "CREATE INDEX CONCURRENTLY "+index+" ON "): // one that was not whole
		case s == "", strings.HasPrefix(s, "CREATE TABLE "), strings.HasPrefix(s, "CREATE UNIQUE INDEX "):
		case regexp.MustCompile(`^ALTER TABLE \w+ ADD COLUMN [^,]*DEFAULT [^,]+$`).MatchString(s):
		default:
			wrong = append(wrong, "it takes away, or asks more of the version before: "+s)
		}
	}
	return wrong
}
