package faults

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadOnly: while the file system is read-only on which a device keeps its
// state, the token in hand is given, the doctor looks, and all else says why it
// is not begun; once it can be written, all goes on.
func TestReadOnly(t *testing.T) {
	w := started(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	disk := smallDisk(t, w)
	home := filepath.Join(disk, "laptop")
	run := func(want int, says string, args ...string) { // all the words between bars
		t.Helper()
		c := exec.Command(filepath.Join(w.bin, "readmit"), args...)
		c.Env, c.Dir = append(environ(), "READMIT_HOME="+home), w.dir
		b, err := c.CombinedOutput()
		if c.ProcessState == nil {
			t.Fatal(err)
		}
		for _, word := range strings.Split(says, "|") {
			if c.ProcessState.ExitCode() != want || !strings.Contains(string(b), word) {
				t.Errorf("%s: exit code %d, want %d and %q\n%s", strings.Join(args, " "), c.ProcessState.ExitCode(), want, word, b)
			}
		}
	}
	run(0, "", "sign-up", "--server", "http://"+w.address, "--account", "jane@example.org", "--password-file", "right.txt")
	before := stateOf(t, home)

	must(unix.Mount("", disk, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	run(0, "", "token")
	run(0, "signed in", "status")
	run(1, "lives|read-only file system|mount it writable", "doctor", "--provider", "account")
	for _, args := range [][]string{
		{"token", "--min-valid", "5m"}, {"sign-in", "--password-file", "right.txt"}, {"sign-out", "--keep-data"}, {"reset", "--yes"}, {"undo"},
		{"doctor", "--provider", "account", "--fix", "--yes"}, {"agent"}, {"agent", "start"},
	} {
		run(1, "read-only file system|mount it writable", args...)
	}
	if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
		t.Error("something was changed")
	}

	must(unix.Mount("", disk, "", unix.MS_REMOUNT, ""))
	run(0, "", "token", "--min-valid", "5m")
	run(0, "", "doctor", "--provider", "account")
}
