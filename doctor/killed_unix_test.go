//go:build unix

package doctor

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestKilled kills a real process, that nothing can catch, at each step of a
// reset, of its undo, and of the Resume after either: the next start finishes it
// or it never began, and the way back leads to the same bytes.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("READMIT_TEST_KILLED"); dir != "" {
		dieAt(t, dir)
		return
	}
	child := func(dir, do string, step int) (died bool) {
		t.Helper()
		c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		c.Env = append(os.Environ(), "READMIT_TEST_KILLED="+dir, "READMIT_TEST_DO="+do, "READMIT_TEST_STEP="+strconv.Itoa(step))
		out, err := c.CombinedOutput()
		if err == nil {
			return false
		}
		if s, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !s.Signaled() || s.Signal() != syscall.SIGKILL {
			t.Fatalf("%s, step %d: %v\n%s", do, step, err, out)
		}
		return true
	}
	for _, do := range []string{"apply", "undo"} {
		steps := 0
		for n := 1; ; n++ {
			dir := cached(t)
			before := look(t, dir)
			if do == "undo" {
				child(dir, "apply", 0)
			}
			if !child(dir, do, n) {
				break
			}
			steps++
			child(dir, "resume", 1+n%3) // it too may be killed
			j := journal(dir, nil)
			if _, err := j.Resume(); err != nil {
				t.Fatalf("%s, step %d: %v", do, n, err)
			}
			if j.Interrupted() {
				t.Errorf("%s, step %d: still interrupted", do, n)
			}
			for {
				if _, err := j.Undo(""); errors.Is(err, ErrNoRepair) {
					break
				} else if err != nil {
					t.Fatalf("%s, step %d: %v", do, n, err)
				}
			}
			now := look(t, dir)
			for name := range now { // what lay beside when the power went
				if ok, _ := filepath.Match(".new-*", filepath.Base(name)); ok {
					delete(now, name)
				}
			}
			if !now.equal(before) {
				t.Errorf("%s, step %d: %v is left", do, n, now)
			}
		}
		if steps < 10 {
			t.Errorf("%s has %d steps only", do, steps)
		}
	}
}

// dieAt is the process that is killed.
func dieAt(t *testing.T, dir string) {
	n, err := strconv.Atoi(os.Getenv("READMIT_TEST_STEP"))
	if err != nil {
		t.Fatal(err)
	}
	j := journal(dir, func() error {
		if n--; n == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	})
	switch os.Getenv("READMIT_TEST_DO") {
	case "apply":
		r, err := resetOf(j)
		if err == nil {
			_, err = j.Apply(r)
		}
		if err != nil {
			t.Fatal(err)
		}
	case "undo":
		if _, err := j.Undo(""); err != nil {
			t.Fatal(err)
		}
	case "resume":
		if _, err := j.Resume(); err != nil {
			t.Fatal(err)
		}
	}
}
