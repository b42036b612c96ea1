//go:build !windows

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/archive"
)

// serveFolder starts a server alone on a folder and an address.
func serveFolder(t *testing.T, dir, address string, more ...string) *node {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n := &node{address: address, data: dir, ended: make(chan struct{}), said: &said{}}
	n.cmd = exec.Command(exe, append([]string{"serve", "--data", dir, "--listen", address}, more...)...)
	n.cmd.Env = append(os.Environ(), asReadmit+"=1")
	n.cmd.Stderr, n.cmd.Stdout = n.said, n.said
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		n.cmd.Wait()
		close(n.ended)
	}()
	t.Cleanup(n.kill)
	return n
}

func (n *node) stop(t *testing.T) {
	t.Helper()
	n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(15 * time.Second):
		t.Fatalf("the server did not stop\n%s", n.said)
	}
}

// A backup made while the server works, restored, and moved into PostgreSQL:
// each time the same device signs in with the same password.
func TestBackupRestoreMove(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) string {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	password := write("password", "correct horse battery staple\n")
	data, address := path("data"), freeAddress(t)
	laptop := newDevice(t)
	one := serveFolder(t, data, address)
	one.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	laptop.must("sign-up", "--server", "http://"+address, "--account", "jane@example.org", "--password-file", password, "--device-name", "laptop")
	if r := laptop.run("sign-in", "--password-file", write("wrong", "something else entirely\n")); r.code != failed {
		t.Fatalf("a wrong password: exit code %d", r.code)
	}

	file := path("backup.gz")
	laptop.must("admin", "backup", file, "--data", data)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the backup: %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(path(".readmit-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	says := func(r result, code int, parts ...string) {
		t.Helper()
		if r.code != code {
			t.Errorf("exit code %d, want %d: %s", r.code, code, r.stderr)
		}
		for _, p := range parts {
			if !strings.Contains(r.stderr, p) {
				t.Errorf("%q does not say %q", r.stderr, p)
			}
		}
	}
	says(laptop.run("admin", "backup", file, "--data", data), failed, "is there already")
	says(laptop.run("admin", "backup", path("other.gz"), "--data", path("nowhere")), unchecked, "no account server answers")

	// After the backup a second thing happens, which it does not hold.
	laptop.must("sign-in", "--password-file", password)
	one.stop(t)
	laptop.must("admin", "backup", path("stopped.gz"), "--data", data)

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	says(laptop.run("admin", "restore", write("cut.gz", string(whole[:len(whole)/2])), "--data", path("r1")), failed, "not a whole backup", "it is cut off")
	bent := bytes.Clone(whole)
	bent[len(bent)/2] ^= 1
	says(laptop.run("admin", "restore", write("bent.gz", string(bent)), "--data", path("r1")), failed, "not a whole backup", "it is damaged")
	says(laptop.run("admin", "restore", password, "--data", path("r1")), failed, "not a whole backup")
	if _, err := os.Stat(path("r1")); err == nil {
		t.Error("a failed restore left a data folder")
	}
	says(laptop.run("admin", "restore", file, "--data", data), failed, "is not empty")
	says(laptop.run("admin", "restore", file, "--data", path("r1"), "--master-key-file", write("no.key", "short")), failed, "damaged")
	laptop.must("admin", "key", "new", path("other.key"))
	says(laptop.run("admin", "restore", file, "--data", path("r1"), "--master-key-file", path("other.key")), failed, "do not belong together")
	laptop.must("admin", "restore", file, "--data", path("restored"), "--master-key-file", filepath.Join(data, masterFile))
	two := serveFolder(t, path("restored"), address)
	two.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	laptop.must("sign-in", "--password-file", password)
	two.stop(t)

	pg, name := newDatabase(t)
	to, key := pg.URL(name), path("nodes.key")
	args := []string{"admin", "move", "--from", "sqlite:" + data, "--to", to, "--master-key-file", key}
	says(laptop.run("admin", "move", "--from", data, "--to", to, "--master-key-file", key), misused, "sqlite:DIR")
	says(laptop.run("admin", "move", "--from", "sqlite:"+data, "--to", strings.Replace(to, "@", ":secret@", 1), "--master-key-file", key), misused, "store_password")
	says(laptop.run("admin", "move", "--from", "sqlite:"+path("none"), "--to", to, "--master-key-file", key), failed, "no data folder")
	says(laptop.run("admin", "move", "--from", "sqlite:"+data, "--to", to, "--master-key-file", path("other.key")), failed, "another key")

	// Another's table of a name that we use; then a move that ended in its middle:
	// no server starts, and it is run again.
	if err := pg.Exec(name, "CREATE TABLE settings (name TEXT NOT NULL PRIMARY KEY, value BYTEA NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	says(laptop.run(args...), failed, "settings", "nothing of it was touched")
	if there, err := pg.Dump(name); err != nil || len(there) != 1 {
		t.Errorf("a move that was refused left %d tables of one, %v", len(there), err)
	}
	if err := pg.Exec(name, "DROP TABLE settings"); err != nil {
		t.Fatal(err)
	}
	versions, err := pg.Database()
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.Exec(versions, "CREATE TABLE goose_db_version (id INT, version_id BIGINT, is_applied BOOLEAN)", "INSERT INTO goose_db_version VALUES (1, 0, TRUE), (2, 12, TRUE)", "CREATE TABLE orders (n INT)"); err != nil {
		t.Fatal(err)
	}
	says(laptop.run("admin", "move", "--from", "sqlite:"+data, "--to", pg.URL(versions), "--master-key-file", path("versions.key")), failed,
		"the database is used by something else already: it has a table \"orders\"", "nothing of it was touched", "hint: make a new database: createdb")
	says(laptop.run("admin", "move", "--from", "sqlite:"+data, "--to", strings.Replace(to, fmt.Sprint(pg.Port), "1", 1), "--master-key-file", path("versions.key")), failed, "nothing listens there")
	if _, err := os.Stat(path("versions.key")); err == nil {
		t.Error("a move that was refused left a master key")
	}
	laptop.must(args...)
	master, err := os.ReadFile(filepath.Join(data, masterFile))
	if err != nil {
		t.Fatal(err)
	}
	mark := originOf(data, master)
	if err := pg.Exec(name, fmt.Sprintf("INSERT INTO settings (name, value) VALUES ('moving', 'origin:%s %s')", mark.ID, mark.Name)); err != nil {
		t.Fatal(err)
	}
	// Another server's accounts, which were moved elsewhere already or not yet.
	other := path("other")
	others := serveFolder(t, other, freeAddress(t))
	others.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	others.stop(t)
	second := []string{"admin", "move", "--from", "sqlite:" + other, "--to", to, "--master-key-file", path("second.key")}
	says(laptop.run(second...), failed, "another move", data, "nothing of it was touched")
	moved := filepath.Join(other, "moved")
	write("other/moved", "to another database\n")
	bare, err := pg.Database()
	if err != nil {
		t.Fatal(err)
	}
	says(laptop.run("admin", "move", "--from", "sqlite:"+other, "--to", pg.URL(bare), "--master-key-file", path("second.key")), failed, "moved already")
	if made, err := pg.Dump(bare); err != nil || len(made) > 0 {
		t.Errorf("a move that was refused made %d tables, %v", len(made), err)
	}
	says(laptop.run(second...), failed, "moved already")
	if _, err := os.Stat(moved); err != nil {
		t.Errorf("the mark of a move that was finished: %v", err)
	}
	stuck := serveFolder(t, t.TempDir(), freeAddress(t), "--store", to, "--master-key-file", key)
	<-stuck.ended
	if !strings.Contains(stuck.said.String(), "has not been finished") {
		t.Errorf("on half a move the server said: %s", stuck.said)
	}
	laptop.must(args...)
	says(laptop.run(args...), failed, "moved already")
	says(laptop.run("admin", "backup", path("old.gz"), "--data", data), unchecked, "were moved", "where a node answers")
	if _, err := os.Stat(path("old.gz")); err == nil {
		t.Error("a backup was made of accounts that were moved")
	}

	alone := serveFolder(t, data, freeAddress(t))
	<-alone.ended
	if !strings.Contains(alone.said.String(), "were moved") {
		t.Errorf("on a folder that was moved the server said: %s", alone.said)
	}
	three := serveFolder(t, t.TempDir(), address, "--store", to, "--master-key-file", key)
	three.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	laptop.must("sign-in", "--password-file", password)
	laptop.must("token")
	laptop.must("admin", "backup", path("postgres.gz"), "--data", three.data)
	three.stop(t)
	laptop.must("admin", "restore", path("postgres.gz"), "--data", path("back"), "--master-key-file", key)
	four := serveFolder(t, path("back"), address)
	four.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	laptop.must("sign-in", "--password-file", password)
	four.stop(t)

	// Undone: the folder is what it was.
	if err := os.Remove(filepath.Join(data, "moved")); err != nil {
		t.Fatal(err)
	}
	five := serveFolder(t, data, address)
	five.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	laptop.must("sign-in", "--password-file", password)
	five.stop(t)

	// What is damaged cannot be moved, at its start or on its way; a backup can.
	file = filepath.Join(data, databaseFile)
	if whole, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	for what, from := range map[string]int{"is damaged": 100, "was not finished": len(whole) / 4 * 3} {
		if err := os.WriteFile(file, append(bytes.Clone(whole[:from]), bytes.Repeat([]byte{0xa5}, len(whole)-from)...), 0o600); err != nil {
			t.Fatal(err)
		}
		broken, err := pg.Database()
		if err != nil {
			t.Fatal(err)
		}
		says(laptop.run("admin", "move", "--from", "sqlite:"+data, "--to", pg.URL(broken), "--master-key-file", key), failed, what, "the database is damaged",
			"hint: move what the last backup holds: readmit admin restore FILE --data DIR --master-key-file "+filepath.Join(data, masterFile))
		laptop.must("admin", "move", "--from", "sqlite:"+path("back"), "--to", pg.URL(broken), "--master-key-file", key)
		if err := os.Remove(path("back/moved")); err != nil {
			t.Fatal(err)
		}
	}

	// A database that others use already is not touched.
	used, err := pg.Database()
	if err != nil {
		t.Fatal(err)
	}
	six := serveFolder(t, t.TempDir(), freeAddress(t), "--store", pg.URL(used), "--master-key-file", key)
	six.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	says(laptop.run("admin", "move", "--from", "sqlite:"+path("back"), "--to", pg.URL(used), "--master-key-file", key), failed, "not empty")
	six.stop(t)
}

// What came to be there meanwhile is not written over.
func TestPlaceLeavesWhatIsThere(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for dir, text := range map[string]string{from: "new", to: "theirs"} {
		if err := os.WriteFile(filepath.Join(dir, databaseFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := place(from, to, databaseFile); err == nil || !strings.Contains(err.Error(), "left as it is") {
		t.Errorf("got error %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(to, databaseFile)); err != nil || string(b) != "theirs" {
		t.Errorf("it holds %q, %v", b, err)
	}
	if err := place(from, t.TempDir(), databaseFile); err != nil {
		t.Error(err)
	}
}

// A backup of a newer version says so, though its rows cannot be taken.
func TestRestoreOfANewerVersion(t *testing.T) {
	var file bytes.Buffer
	if _, err := archive.Write(t.Context(), &file, newer{}, 99, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := restoreInto(t.Context(), &file, t.TempDir()); err == nil || !strings.Contains(err.Error(), "made by a newer version (schema 99") {
		t.Errorf("got error %v", err)
	}
}

type newer struct{}

func (newer) Export(_ context.Context, each func(store.Row) error) error {
	for n := range int64(600) { // more than go together
		if err := each(store.Row{Table: "of_the_next_version", Columns: []string{"id"}, Values: []any{n}}); err != nil {
			return err
		}
	}
	return nil
}
