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
	fails := func(want string, args ...string) { // all the words between bars
		t.Helper()
		code, out := run(args...)
		for _, w := range strings.Split(want, "|") {
			if code != 1 || !strings.Contains(out, w) {
				t.Errorf("%s: exit code %d, want 1 and %q\n%s", strings.Join(args, " "), code, w, out)
			}
		}
	}
	ok("sign-up", "--server", "http://"+w.address, "--account", "jane@example.org", "--password-file", password)
	session := filepath.Join(home, "session.json")
	before := stateOf(t, home)
	take := func(path string) { // as whoever ran readmit once with sudo
		if root {
			give(0, path)
		} else {
			must(os.Chmod(path, 0))
		}
	}
	back := func(path string, mode os.FileMode) { give(nobody, path); must(os.Chmod(path, mode)) }

	take(session)
	fails("session.json is unreadable", "status")
	fails("(state-damaged)", "doctor", "--provider", "account")
	fails("chown", "doctor", "--provider", "account", "--fix", "--yes")
	fails("chown", "reset", "--yes")
	back(session, 0o600)
	ok("status")

	// A lock: what needs none goes on, and the doctor looks all the same.
	repairs := filepath.Join(home, "repairs.lock")
	take(repairs)
	ok("token")
	fails("lives|repairs.lock: permission denied|chown", "doctor", "--provider", "account")
	fails(`"findings":[]|repairs.lock: permission denied|chown`, "doctor", "--provider", "account", "--json")
	must(os.WriteFile(filepath.Join(home, "attempt.json"), []byte("cut"), 0o600))
	give(nobody, filepath.Join(home, "attempt.json"))
	fails("(state-damaged)|repairs.lock: permission denied|chown", "doctor", "--provider", "account", "--fix", "--yes")
	must(os.Remove(filepath.Join(home, "attempt.json")))
	fails("repairs.lock: permission denied|chown", "reset", "--yes")
	fails("repairs.lock: permission denied|chown", "undo")
	back(repairs, 0o600)
	ok("doctor", "--provider", "account")

	lock := filepath.Join(home, "lock")
	take(lock)
	ok("token")
	fails("lives|/lock: permission denied|chown", "doctor", "--provider", "account")
	fails("/lock: permission denied|chown", "token", "--min-valid", "5m")
	fails("/lock: permission denied|chown", "sign-in", "--password-file", password)
	fails("/lock: permission denied|chown", "reset", "--yes")
	back(lock, 0o600)

	incidents := filepath.Join(home, "incidents")
	take(incidents)
	fails("(state-damaged)|incidents: permission denied|chown", "doctor", "--provider", "account")
	fails(`"got":"unreadable"|"got":"incident"`, "doctor", "--provider", "account", "--json")
	fails("incidents: permission denied|chown", "doctor", "--provider", "account", "--fix", "--yes")
	fails("incidents: permission denied|chown", "reset", "--yes")
	back(incidents, 0o700)
	ok("doctor", "--provider", "account")

	// A folder that takes no file.
	give(0, home)
	must(os.Chmod(home, 0o555))
	must(os.Chmod(session, 0o600))
	fails("chown", "reset", "--yes")
	fails(home+": permission denied|chown", "sign-out")
	fails(home+": permission denied|chown", "agent", "start")
	fails(home+": permission denied|chown", "agent", "restart")
	ok("status") // nothing has ended at the server either
	must(os.Chmod(home, 0o700))
	give(nobody, home)
	if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
		t.Error("something was changed")
	}
	ok("agent", "start")
	ok("reset", "--yes")
	give(0, home)
	must(os.Chmod(home, 0o555))
	fails(home+": permission denied|chown", "reset", "--yes")
	fails(home+": permission denied|chown", "undo")
	ok("agent", "status") // nothing was stopped either
	must(os.Chmod(home, 0o700))
	give(nobody, home)
	ok("undo")
	if root { // who may do all, and is not who the agent serves
		c := exec.Command(filepath.Join(w.bin, "readmit"), "agent", "stop")
		c.Env = append(environ(), "READMIT_HOME="+home)
		if b, _ := c.CombinedOutput(); c.ProcessState.ExitCode() != 1 || !strings.Contains(string(b), "runs as another user, and was not stopped") {
			t.Errorf("as root: exit code %d\n%s", c.ProcessState.ExitCode(), b)
		}
		ok("agent", "status")
		if _, err := os.Stat(filepath.Join(home, "agent.json")); err != nil {
			t.Error(err)
		}
	}
	ok("agent", "stop")
	must(os.RemoveAll(filepath.Join(home, "agent")))
	if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
		t.Error("undo does not lead back")
	}
}
