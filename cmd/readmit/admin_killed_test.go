//go:build !windows

package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

// started runs this program in a process of its own.
func started(t *testing.T, args ...string) (*exec.Cmd, *said) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := &said{}
	p := exec.Command(exe, args...)
	p.Env, p.Stdout, p.Stderr = append(os.Environ(), asReadmit+"=1"), text, text
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	return p, text
}

func scratches(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, ".readmit-*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A backup that was killed leaves names of people beside it: the next one takes
// them away, and what one that is at work has there stays.
func TestBackupIsKilled(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	n := serveFolder(t, data, freeAddress(t))
	n.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	n.stop(t)

	// A server that sends a part and no more.
	half := filepath.Join(dir, "half")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(half, api.AdminSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked, over := make(chan struct{}, 9), make(chan struct{})
	defer close(over)
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("jane@example.org"))
		http.NewResponseController(w).Flush()
		asked <- struct{}{}
		<-over
	}))
	to := filepath.Join(dir, "backups")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	laptop := newDevice(t)
	killed, _ := started(t, "admin", "backup", filepath.Join(to, "1.gz"), "--data", half)
	<-asked
	if r := laptop.run("admin", "backup", filepath.Join(to, "2.gz"), "--data", data); r.code != fine {
		t.Fatalf("beside one that is at work: %s", r.stderr)
	}
	if left := scratches(t, to); len(left) != 1 {
		t.Errorf("beside one that is at work: %v", left)
	}
	killed.Process.Kill()
	killed.Wait()
	if left := scratches(t, to); len(left) != 1 {
		t.Fatalf("one that was killed left %v", left)
	}
	other := filepath.Join(to, backupScratch+"mine")
	if err := os.MkdirAll(filepath.Join(other, "letters"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r := laptop.run("admin", "backup", filepath.Join(to, "3.gz"), "--data", data); r.code != fine {
		t.Fatalf("after one that was killed: %s", r.stderr)
	}
	if left := scratches(t, to); len(left) != 1 || left[0] != other {
		t.Errorf("after one that was killed: %v", left)
	}
}

// A restore that was killed is begun again by the same command, also where it
// had put a part in its place; nothing of anybody else is taken away.
func TestRestoreIsKilled(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	n := serveFolder(t, path("data"), freeAddress(t))
	n.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	n.stop(t)
	laptop := newDevice(t)
	laptop.must("admin", "backup", path("all.gz"), "--data", path("data"))
	key, pipe := filepath.Join(path("data"), masterFile), path("pipe")
	whole, err := os.ReadFile(path("all.gz"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	kill := func(to string) string {
		t.Helper()
		p, text := started(t, "admin", "restore", pipe, "--data", to, "--master-key-file", key)
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		w.Write(whole[:len(whole)/2])
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if left := scratches(t, to); len(left) == 1 {
				if _, err := os.Stat(filepath.Join(left[0], scratchTrial, databaseFile)); err == nil {
					if r := laptop.run("admin", "restore", path("all.gz"), "--data", to); r.code != failed || !strings.Contains(r.stderr, "is not empty") {
						t.Errorf("beside one that is at work: %d, %s", r.code, r.stderr)
					}
					p.Process.Kill()
					p.Wait()
					return left[0]
				}
			}
			if time.Now().After(end) {
				t.Fatalf("it has not begun: %s", text)
			}
		}
	}

	to := path("new")
	left := kill(to)
	placed := func(name, text string) {
		t.Helper()
		from := filepath.Join(left, scratchTrial, name)
		if text != "" {
			if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Link(from, filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
	placed(masterFile, "the key as it was placed")
	placed(databaseFile, "")
	laptop.must("admin", "restore", path("all.gz"), "--data", to, "--master-key-file", key)
	if got, err := os.ReadDir(to); err != nil || len(got) != 2 {
		t.Errorf("the folder holds %v, %v", got, err)
	}

	for name, theirs := range map[string]string{"key": masterFile, "file": "letters"} {
		to = path("with a " + name)
		kill(to)
		if err := os.WriteFile(filepath.Join(to, theirs), []byte("theirs"), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := laptop.run("admin", "restore", path("all.gz"), "--data", to); r.code != failed || !strings.Contains(r.stderr, "is not empty") {
			t.Errorf("over a %s of others: %d, %s", name, r.code, r.stderr)
		}
		if b, err := os.ReadFile(filepath.Join(to, theirs)); err != nil || string(b) != "theirs" || len(scratches(t, to)) != 1 {
			t.Errorf("a %s of others: %q, %v", name, b, err)
		}
	}
}

// A backup that the server cannot finish is not told as one that was written, and
// why it could not is.
func TestBackupIsCutOff(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	laptop := newDevice(t)
	refused := func(n *node, what ...string) {
		t.Helper()
		r := laptop.run("admin", "backup", path("cut.gz"), "--data", n.data)
		if r.code != unchecked {
			t.Errorf("exit code %d: %s", r.code, r.stderr)
		}
		for _, w := range append(what, "the account server did not finish the backup", "hint: see the server's log") {
			if !strings.Contains(r.stderr, w) {
				t.Errorf("%q does not say %q", r.stderr, w)
			}
		}
		if left, _ := filepath.Glob(path("*cut.gz")); len(left)+len(scratches(t, dir)) > 0 {
			t.Errorf("left: %v, %v", left, scratches(t, dir))
		}
	}

	pg, name := newDatabase(t)
	laptop.must("admin", "key", "new", path("key"))
	n := serveFolder(t, path("node"), freeAddress(t), "--store", pg.URL(name), "--master-key-file", path("key"))
	n.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	// More than is held back before the first part is sent; and then a row over
	// which the database stops, for as long as it takes to end its connection.
	if err := pg.Exec(name,
		"INSERT INTO settings SELECT 'filling ' || n, decode(md5(n::text) || md5((-n)::text), 'hex') FROM generate_series(1, 20000) AS n",
		"ALTER TABLE subjects RENAME TO really",
		"CREATE FUNCTION gone() RETURNS BYTEA LANGUAGE SQL AS $$ SELECT NULL::bytea FROM pg_terminate_backend(pg_backend_pid()), pg_sleep(20) $$",
		"CREATE VIEW subjects AS SELECT gone() AS id"); err != nil {
		t.Fatal(err)
	}
	refused(n, "PostgreSQL at")
	n.stop(t)

	n = serveFolder(t, path("alone"), freeAddress(t))
	n.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	n.stop(t)
	file := filepath.Join(n.data, databaseFile)
	kept, err := sqlite.Open(n.data)
	if err != nil {
		t.Fatal(err)
	}
	var list []store.Row
	for i := range 5000 {
		value := make([]byte, 200)
		rand.Read(value)
		list = append(list, store.Row{Table: "settings", Columns: []string{"name", "value"}, Values: []any{fmt.Sprintf("filling %04d", i), value}})
	}
	if err := errors.Join(kept.Import(t.Context(), list), kept.Close()); err != nil {
		t.Fatal(err)
	}
	n = serveFolder(t, n.data, n.address)
	n.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, 16<<10), info.Size()/2)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	refused(n, file, "the database is damaged", "readmit admin restore")
	n.stop(t)
	if !strings.Contains(n.said.String(), "a backup was not finished") || !strings.Contains(n.said.String(), file) {
		t.Errorf("the log: %s", n.said)
	}
}
