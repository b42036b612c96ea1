//go:build !windows

package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store/postgres/pgtest"
)

// before stands between a program and a database, and calls a function instead
// of handing over the message in which a text stands first.
func before(t *testing.T, database, text string, do func()) (address string) {
	t.Helper()
	to, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	host := to.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	pass := func(client net.Conn) {
		defer conns.Done()
		defer client.Close()
		server, err := net.Dial("tcp", host)
		if err != nil {
			return
		}
		defer server.Close()
		conns.Add(1)
		go func() {
			defer conns.Done()
			io.Copy(client, server)
			client.Close()
		}()
		b := make([]byte, 1<<20)
		for {
			n, err := client.Read(b)
			if err != nil {
				return
			}
			if bytes.Contains(b[:n], []byte(text)) {
				do()
				return
			}
			if _, err := server.Write(b[:n]); err != nil {
				return
			}
		}
	}
	conns.Add(1)
	go func() {
		defer conns.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go pass(c)
		}
	}()
	to.Host = l.Addr().String()
	return to.String()
}

// A move that is killed, wherever it was, leaves a database on which no server
// starts, and which the same command brings to its end.
func TestMoveIsKilled(t *testing.T) {
	pg, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Stop()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	data, password := filepath.Join(dir, "data"), filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	address, laptop := freeAddress(t), newDevice(t)
	alone := serveFolder(t, data, address)
	alone.until(t, api.PathReady, http.StatusOK, 20*time.Second)
	laptop.must("sign-up", "--server", "http://"+address, "--account", "jane@example.org", "--password-file", password, "--device-name", "laptop")
	alone.stop(t)
	moved := filepath.Join(data, "moved")

	for i, at := range []string{
		"goose_lock (", "INSERT INTO goose_lock", "CREATE TABLE goose_db_version", "CREATE TABLE subjects", "INSERT INTO goose_db_version",
		"CREATE TABLE messages", "CREATE INDEX CONCURRENTLY sessions_ended", "DELETE FROM works", "DROP TABLE", "INSERT INTO keys", "INSERT INTO subjects", "DELETE FROM settings WHERE name = $1",
	} {
		t.Run(at, func(t *testing.T) {
			name, err := pg.Database()
			if err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(dir, strings.Repeat("k", i+1))
			move := func(to string) []string {
				return []string{"admin", "move", "--from", "sqlite:" + data, "--to", to, "--master-key-file", key}
			}
			var killed *exec.Cmd
			to := before(t, pg.URL(name), at, func() { killed.Process.Kill() })
			var text said
			killed = exec.Command(exe, move(to)...)
			killed.Env, killed.Stdout, killed.Stderr = append(os.Environ(), asReadmit+"=1"), &text, &text
			if err := killed.Run(); err == nil || killed.ProcessState.Exited() {
				t.Fatalf("it was not killed: %v: %s", err, &text)
			}
			// As if the lease of the one that was killed had run out.
			pg.Exec(name, "DELETE FROM goose_lock")

			n := serveFolder(t, t.TempDir(), freeAddress(t), "--store", pg.URL(name), "--master-key-file", key)
			for up := false; !up; {
				select {
				case <-n.ended:
					up = true
				case <-time.After(20 * time.Millisecond):
					if up = strings.Contains(n.said.String(), "answers on"); up {
						n.kill()
					}
				}
			}
			if s := n.said.String(); !strings.Contains(s, "has not been finished") || !strings.Contains(s, "readmit admin move") {
				t.Errorf("the server said: %s", s)
			}
			if r := laptop.run(move(pg.URL(name))...); r.code != fine {
				t.Fatalf("run again: exit code %d: %s", r.code, r.stderr)
			}
			if err := os.Remove(moved); err != nil {
				t.Fatal(err)
			}
			n = serveFolder(t, t.TempDir(), address, "--store", pg.URL(name), "--master-key-file", key)
			n.until(t, api.PathReady, http.StatusOK, 20*time.Second)
			if r := laptop.run("sign-in", "--password-file", password); r.code != fine {
				t.Errorf("sign-in: exit code %d: %s", r.code, r.stderr)
			}
			n.stop(t)
		})
	}
}
