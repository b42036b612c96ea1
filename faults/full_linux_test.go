package faults

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/resident"
)

// smallDisk is a file system of its own, of a mebibyte.
func smallDisk(t *testing.T, w *world) string {
	t.Helper()
	disk := filepath.Join(w.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small tmpfs: %v: run this as root, where mounting is allowed", err)
	}
	t.Cleanup(func() { unix.Unmount(disk, unix.MNT_DETACH) })
	return disk
}

// TestFullDisk: while the disk is full on which a device keeps its state,
// commands and a running agent say so and change nothing; with room again the
// device goes on, signed in.
func TestFullDisk(t *testing.T) {
	w := started(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	disk := smallDisk(t, w)
	home := filepath.Join(disk, "laptop")
	on := func(args ...string) *exec.Cmd {
		c := exec.Command(filepath.Join(w.bin, "readmit"), args...)
		c.Env, c.Dir = append(environ(), "READMIT_HOME="+home), w.dir
		return c
	}
	ok := func(args ...string) {
		t.Helper()
		if out, err := on(args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, w.log.String())
		}
	}
	full := func(args ...string) {
		t.Helper()
		c := on(args...)
		out, err := c.CombinedOutput()
		if code := c.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), unix.ENOSPC.Error()) || !strings.Contains(string(out), "make room in "+home) && !strings.Contains(string(out), "make room there") {
			t.Errorf("%s: %v, want exit code 1, %q and where to make room\n%s", strings.Join(args, " "), err, unix.ENOSPC.Error(), out)
		}
	}
	ok("sign-up", "--server", "http://"+w.address, "--account", "jane@example.org", "--password-file", "right.txt")
	running := on("agent")
	var said output
	running.Stdout, running.Stderr = &said, &said
	must(running.Start())
	t.Cleanup(func() { running.Process.Kill(); running.Wait() })
	of, err := agent.OpenHome(func(string) string { return home })
	must(err)
	for began := time.Now(); !resident.Runs(context.Background(), of); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the agent does not answer: %s", said.String())
		}
	}
	ok("token", "--min-valid", "5m")

	filler := filepath.Join(disk, "filler")
	fill := func() {
		t.Helper()
		f, err := os.OpenFile(filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(err)
		defer f.Close()
		for _, size := range []int{1 << 12, 1} {
			for block := make([]byte, size); err == nil; {
				_, err = f.Write(block)
			}
			if !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			err = nil
		}
	}
	fill()
	before := stateOf(t, home)
	same := func(when string) {
		t.Helper()
		if now := stateOf(t, home); !maps.EqualFunc(now, before, bytes.Equal) {
			t.Errorf("%s: the state is not what it was", when)
		}
	}
	full("token", "--min-valid", "5m") // through the agent
	full("sign-in", "--password-file", "right.txt")
	full("reset", "--yes")
	same("full, with the agent")
	ok("status") // what takes no room goes on
	ok("agent", "stop")
	must(running.Wait())
	folder := filepath.Join(w.dir, "folder")
	must(os.Mkdir(folder, 0o700))
	fill() // what the agent had has become room
	before = stateOf(t, home)
	full("token", "--min-valid", "5m") // by itself
	full("sign-in", "--password-file", "right.txt")
	full("agent", "start")
	same("full, alone")

	must(os.Remove(filler))
	ok("data", "add", folder)
	fill()
	before = stateOf(t, home)
	full("sign-out", "--remove-data") // nothing has ended at the server either
	same("full, with a folder")
	if _, err := os.Stat(folder); err != nil {
		t.Error(err)
	}
	ok("status")
	ok("sign-out", "--keep-data") // what only takes a file away needs no room
	must(os.Remove(filler))
	ok("sign-in", "--password-file", "right.txt")
	ok("token", "--min-valid", "5m")
	ok("reset", "--yes")
	ok("undo")
	ok("sign-in", "--password-file", "right.txt")
	ok("status")
}
