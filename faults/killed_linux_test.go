package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// started is a world for tests that no script can write: the built l.program, its
// server, and the files of passwords.
func started(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), bin: t.TempDir()}
	err := Build(w.bin)
	if err == nil {
		w.address, err = freeAddress()
	}
	if err == nil {
		err = w.start(nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.end)
	for name, p := range passwords {
		if _, err := w.write(name, []byte(p+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// laptop is a device that commands are run on until they are killed.
type laptop struct {
	t              *testing.T
	world          *world
	program, whole string // the device as it was before
}

// newLaptop is signed in, and has been refused once.
func newLaptop(t *testing.T) laptop {
	t.Helper()
	w := started(t)
	l := laptop{t, w, filepath.Join(w.bin, "readmit"), filepath.Join(w.dir, "laptop")}
	l.must(l.on(l.whole, l.program, "sign-up", "--server", "http://"+w.address, "--account", "jane@example.org", "--password-file", "right.txt"))
	if err := l.on(l.whole, l.program, "sign-in", "--password-file", "wrong.txt").Run(); err == nil {
		t.Fatal("a wrong password signs in")
	}
	return l
}

// on is a command line for a home. One thread at a time, so that calls come in
// nearly the same order each time.
func (l laptop) on(home string, args ...string) *exec.Cmd {
	c := exec.Command(args[0], args[1:]...)
	c.Env, c.Dir = append(environ(), "READMIT_HOME="+home, "GOMAXPROCS=1"), l.world.dir
	return c
}

func (l laptop) must(c *exec.Cmd) {
	l.t.Helper()
	if out, err := c.CombinedOutput(); err != nil {
		l.t.Fatalf("%s: %v\n%s%s", strings.Join(c.Args[1:], " "), err, out, l.world.log.String())
	}
}

// TestResetKilled kills the built l.program, by kill -9, at each call that changes
// the disk while it resets a device. Whatever command comes next finishes the
// reset, or it never began; the device is signed in, and undo brings back every
// byte.
func TestResetKilled(t *testing.T) {
	l := newLaptop(t)
	whole := l.whole
	before := stateOf(t, whole)
	tries, killed, began := 0, 0, 0
	try := func(calls string, n int) bool {
		home := filepath.Join(l.world.dir, fmt.Sprintf("device%d", tries))
		tries++
		twin(t, whole, home)
		c := l.on(home, "strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace="+calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n), l.program, "reset", "--yes")
		out, err := c.CombinedOutput()
		exit := new(exec.ExitError)
		died := false
		switch {
		case err == nil:
		case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
			killed++
			died = true
		default:
			t.Fatalf("%s %d: %v\n%s", calls, n, err, out)
		}
		l.must(l.on(home, l.program, "status"))
		if asides, _ := filepath.Glob(filepath.Join(home, "*.readmit-*")); len(asides) > 0 {
			began++
			l.must(l.on(home, l.program, "undo"))
		}
		if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
			t.Errorf("%s %d: what is left is not what was: %d files, not %d", calls, n, len(now), len(before))
		}
		l.must(l.on(home, l.program, "status"))
		return died
	}
	// strace counts for each thread, so a number is reached a little early or late.
	for _, calls := range []string{"renameat,renameat2,rename,fsync,mkdirat,unlinkat", "renameat,renameat2,rename", "fsync", "mkdirat"} {
		for n, calm := 1, 0; calm < 2 && n < 40; n++ {
			if calm++; try(calls, n) {
				calm = 0
			}
		}
	}
	t.Logf("killed %d times; %d resets had begun", killed, began)
	if killed < 10 || began == 0 {
		t.Errorf("killed %d times; %d resets had begun", killed, began)
	}
}

// twin copies a device's home.
func twin(t *testing.T, whole, home string) {
	t.Helper()
	err := os.CopyFS(home, os.DirFS(whole))
	if err == nil {
		err = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return os.Chmod(path, 0o600)
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stateOf reads what a device keeps, without the journal's and what lies aside.
func stateOf(t *testing.T, home string) map[string][]byte {
	t.Helper()
	state := map[string][]byte{}
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "repairs" || strings.Contains(name, ".readmit-")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || strings.Contains(name, ".readmit-") || strings.HasPrefix(name, ".new-") || strings.HasSuffix(name, "lock") {
			return nil
		}
		rel, err := filepath.Rel(home, path)
		if err != nil {
			return err
		}
		state[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}
