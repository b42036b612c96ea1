package sqlite

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/storetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childFolder); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (store.Store, func() store.Store) {
		dir := t.TempDir()
		s := openIn(t, dir, &faults{})
		return s, func() store.Store {
			if err := s.Close(); err != nil {
				t.Fatalf("close: %v", err)
			}
			s = openIn(t, dir, &faults{})
			return s
		}
	})
}

// openIn opens a store that is closed when the test ends.
func openIn(t testing.TB, dir string, f *faults) *Store {
	t.Helper()
	s, err := open(dir, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestSchemaIsTheLastMigration(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	number, _, _ := strings.Cut(filepath.Base(files[len(files)-1]), "_")
	if n, err := strconv.Atoi(number); err != nil || n != schema {
		t.Fatalf("the last migration is %s, the constant says %d", number, schema)
	}
	s := openIn(t, t.TempDir(), &faults{})
	if at, err := version(s.writer); err != nil || at != schema {
		t.Fatalf("a new database has schema %d (%v), want %d", at, err, schema)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, &faults{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := s.connect(false)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (12, 1)"); err != nil {
		t.Fatal(err)
	}
	c.close()
	for range 2 {
		_, err = Open(dir)
		if !errors.Is(err, store.ErrNewer) || errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("got error %v, want %v", err, store.ErrNewer)
		}
		for _, part := range []string{dir, "12", strconv.Itoa(schema), "run the newer readmit"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
}

func TestOneProcessHasTheFolder(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir, &faults{})
	if second, err := Open(dir); err == nil {
		second.Close()
		t.Fatal("the folder was opened twice")
	} else if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("%q does not say what to do", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	if err != nil {
		t.Fatalf("after close: %v", err)
	}
	again.Close()
}

func TestOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, file)
	if err := os.WriteFile(path, nil, 0o644); err != nil { // as an older umask left it
		t.Fatal(err)
	}
	s := openIn(t, dir, &faults{})
	if err := appendNumbered(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", name, info.Mode().Perm())
		}
	}
}

func TestFolderMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got error %v", err)
	}
}

func TestFolderWithOddName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c=d#e%20&é")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	openIn(t, dir, &faults{})
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedFileIsRefused: with what helps, which is a backup and not room on
// the disk, wherever in the start the damage shows.
func TestDamagedFileIsRefused(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"no database":      func([]byte) []byte { return []byte(strings.Repeat("no database ", 1000)) },
		"cut off":          func(b []byte) []byte { return b[:5000] },
		"first page":       func(b []byte) []byte { return append(make([]byte, 100), b[100:]...) },
		"page of a schema": func(b []byte) []byte { copy(b[100:], bytes.Repeat([]byte{0xff}, 1900)); return b },
		"all but the first": func(b []byte) []byte {
			copy(b[2048:], bytes.Repeat([]byte{0xa5}, len(b)-2048))
			return b
		},
	} {
		dir := t.TempDir()
		s := openIn(t, dir, &faults{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		damaged := damage(whole)
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = Open(dir)
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: got error %v, want %v", name, err, store.ErrUnavailable)
			continue
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "backup") || strings.Contains(err.Error(), "disk is not full") {
			t.Errorf("%s: %q does not say what helps", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, damaged) {
			t.Errorf("%s: the damaged file is not as it was (%v)", name, err)
		}
	}
	openIn(t, t.TempDir(), &faults{})
}

// TestDamagedTable: a tree that has lost its root keeps a server from starting,
// and one that works from being ready; who meets it is told which file it is and
// what helps.
func TestDamagedTable(t *testing.T) {
	for _, tree := range []string{"subjects", "keys", "devices", "sessions", "ledger", "settings", "sqlite_autoindex_subjects_2", "sessions_of_account"} {
		t.Run(tree, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, file)
			s := openIn(t, dir, &faults{})
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openIn(t, dir, &faults{})
			c := <-s.readers
			var root, size int64
			err := c.one.QueryRowContext(t.Context(), "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = ?", tree).Scan(&root, &size)
			s.readers <- c
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), (root-1)*size)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			told := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, ErrDamaged) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "readmit admin restore") || strings.Count(err.Error(), path) != 1 {
					t.Errorf("%s: %v", what, err)
				}
			}
			told("ready", s.Ready(t.Context()))
			switch tree {
			case "subjects":
				told("a look", s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Accounts(); return err }))
			case "settings":
				told("a change", s.Update(t.Context(), touch))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir)
			told("a start", err)
		})
	}
}

func TestFullDiskAtStart(t *testing.T) {
	f := &faults{}
	f.pages.Store(20)
	if _, err := open(t.TempDir(), f); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "disk is not full") {
		t.Fatalf("%v does not say what helps", err)
	}
}

// TestGhostRows: their number never changes, and they are as wide as rows of
// accounts, to the byte of a usual identifier.
func TestGhostRows(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		s := openIn(t, dir, &faults{})
		for i := range 50 {
			key := store.Key{byte(i), 1, 2, 3}
			err := s.Update(context.Background(), func(tx store.Tx) error {
				g, err := tx.Find(key, store.StandKey(key))
				if err != nil {
					return err
				}
				g.Hot.StrangerFailures++
				return tx.SaveSubjectHot(g.ID, g.Hot)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c, err := s.connect(true)
		if err != nil {
			t.Fatal(err)
		}
		var n, narrow int
		row := c.QueryRowContext(context.Background(), `SELECT count(*), count(*) FILTER (WHERE length(record) <> ? OR length(identifier) = 0
			OR length(stretch) = 0 OR created = 0 OR password_changed = 0 OR length(password_changed_by) <> 16) FROM subjects WHERE ghost = 1`, 192)
		if err := row.Scan(&n, &narrow); err != nil {
			t.Fatal(err)
		}
		c.close()
		if n != store.Ghosts || narrow > 0 {
			t.Fatalf("%d ghosts, %d of them narrower than an account; want %d", n, narrow, store.Ghosts)
		}
	}
}

// TestReadyWhereTheDatabaseIsGone: what is written to a file that was taken away
// is lost, so the store is not ready, and says why.
func TestReadyWhereTheDatabaseIsGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // nobody can take it away there
	}
	dir := t.TempDir()
	s := openIn(t, dir, &faults{})
	path := filepath.Join(dir, file)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for _, replaced := range []bool{false, true} {
		if replaced {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "taken away") {
			t.Errorf("another file in its place: %v; it is ready: %v", replaced, err)
		}
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("it is back, and not ready: %v", err)
	}
}

func TestReadyIsBelievedForASecond(t *testing.T) {
	f := &faults{}
	s := openIn(t, t.TempDir(), f)
	ctx := context.Background()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	f.commit.Store(true)
	if err := s.Ready(ctx); err != nil {
		t.Fatalf("asked again at once: %v", err)
	}
	p := <-s.probe
	s.probe <- probed{p.at.Add(-probeLife)}
	if err := s.Ready(ctx); !errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("got error %v, want %v", err, store.ErrUnavailable)
	}
	f.commit.Store(false)
	eventually(t, func() error { return s.Ready(ctx) })
}

// eventually waits until the writer has its disk back.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(10 * retry); time.Now().Before(deadline); time.Sleep(retry / 50) {
		if err = f(); err == nil {
			return
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("got error %v, want %v", err, store.ErrUnavailable)
		}
	}
	t.Fatal(err)
}
