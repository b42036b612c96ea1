package faults

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user without rights, for what root could do all the same.
const nobody = 65534

// TestWrongOwner: state that is somebody else's, or a folder that cannot be
// written, is told with the reason and what to do, and nothing is changed.
func TestWrongOwner(t *testing.T) {
	w := started(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root := os.Getuid() == 0
	home := filepath.Join(w.dir, "person", "home")
	must(os.MkdirAll(home, 0o700))
	for _, d := range []string{w.dir, filepath.Dir(w.dir), w.bin, filepath.Dir(w.bin)} {
		must(os.Chmod(d, 0o755)) // so that nobody gets there
	}
	password := filepath.Join(w.dir, "person", "right.txt")
	must(os.WriteFile(password, []byte(passwords["right.txt"]+"\n"), 0o600))
	give := func(to int, paths ...string) {
		t.Helper()
		for _, p := range paths {
			if root {
				must(os.Chown(p, to, to))
			}
		}
	}
	give(nobody, filepath.Dir(home), home, password)
	run := func(args ...string) (code int, out string) {
		t.Helper()
		c := exec.Command(filepath.Join(w.bin, "readmit"), args...)
		c.Env, c.Dir = append(environ(), "READMIT_HOME="+home), filepath.Dir(home)
		if root {
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		b, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), string(b)
	}
	ok := func(args ...string) {
		t.Helper()
		if code, out := run(args...); code != 0 {
			t.Fatalf("%s: exit code %d\n%s", strings.Join(args, " "), code, out)
		}
	}
	fails := func(want string, args ...string) {
		t.Helper()
		if code, out := run(args...); code != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want 1 and %q\n%s", strings.Join(args, " "), code, want, out)
		}
	}
	ok("sign-up", "--server", "http://"+w.address, "--account", "jane@example.org", "--password-file", password)
	session := filepath.Join(home, "session.json")
	before := stateOf(t, home)
	take := func() { // as whoever ran readmit once with sudo
		if root {
			give(0, session)
		} else {
			must(os.Chmod(session, 0))
		}
	}
	back := func() { give(nobody, session); must(os.Chmod(session, 0o600)) }

	take()
	fails("session.json is unreadable", "status")
	fails("(state-damaged)", "doctor", "--provider", "account")
	fails("chown", "doctor", "--provider", "account", "--fix", "--yes")
	fails("chown", "reset", "--yes")
	back()
	ok("status")

	// A folder that takes no file.
	give(0, home)
	must(os.Chmod(home, 0o555))
	must(os.Chmod(session, 0o600))
	fails("chown", "reset", "--yes")
	must(os.Chmod(home, 0o700))
	give(nobody, home)
	if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
		t.Error("something was changed")
	}
	ok("reset", "--yes")
	ok("undo")
	if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
		t.Error("undo does not lead back")
	}
}
