package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/resident"
)

// TestResetKilledWithAgent kills a reset, by kill -9, around the steps that stop
// the agent and start it again. Whatever command comes next finishes the reset,
// or it never began; the agent runs again, and undo brings back every byte.
func TestResetKilledWithAgent(t *testing.T) {
	w := started(t)
	program := filepath.Join(w.bin, "readmit")
	on := func(home string, args ...string) *exec.Cmd {
		c := exec.Command(args[0], args[1:]...)
		c.Env, c.Dir = append(environ(), "READMIT_HOME="+home, "GOMAXPROCS=1"), w.dir
		return c
	}
	must := func(c *exec.Cmd) {
		t.Helper()
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s%s", strings.Join(c.Args[1:], " "), err, out, w.log.String())
		}
	}
	whole := filepath.Join(w.dir, "laptop")
	must(on(whole, program, "sign-up", "--server", "http://"+w.address, "--account", "jane@example.org", "--password-file", "right.txt"))
	if err := on(whole, program, "sign-in", "--password-file", "wrong.txt").Run(); err == nil {
		t.Fatal("a wrong password signs in")
	}
	kept := func(home string) map[string][]byte { // what the agent writes of itself is another each time
		all := stateOf(t, home)
		maps.DeleteFunc(all, func(name string, _ []byte) bool {
			return name == agent.AgentFile || strings.HasPrefix(name, "agent"+string(filepath.Separator))
		})
		return all
	}
	before := kept(whole)
	killed, down, began := 0, 0, 0
	try := func(calls string, n int) (died bool) {
		home := filepath.Join(w.dir, fmt.Sprint(calls[:4], n))
		twin(t, whole, home)
		of, err := agent.OpenHome(func(string) string { return home })
		if err != nil {
			t.Fatal(err)
		}
		must(on(home, program, "agent", "start"))
		defer func() { must(on(home, program, "agent", "stop")) }()
		// The agent that the reset starts is let go of as soon as it is a program of its own.
		c := on(home, "strace", "-f", "-qq", "-b", "execve", "-o", os.DevNull, "-e", "trace=execve,"+calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n), program, "reset", "--yes")
		out, err := c.CombinedOutput()
		exit := new(exec.ExitError)
		switch {
		case err == nil:
		case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled():
			killed++
			died = true
			if !resident.Runs(context.Background(), of) {
				down++
			}
		default:
			t.Fatalf("%s %d: %v\n%s", calls, n, err, out)
		}
		must(on(home, program, "status"))
		again := func(when string) {
			t.Helper()
			for began := time.Now(); !resident.Runs(context.Background(), of); time.Sleep(20 * time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatalf("%s %d: no agent runs %s", calls, n, when)
				}
			}
		}
		again("after the next command")
		if asides, _ := filepath.Glob(filepath.Join(home, "*.readmit-*")); len(asides) > 0 {
			began++
			must(on(home, program, "undo"))
			again("after the undo")
		}
		if now := kept(home); !maps.EqualFunc(now, before, bytes.Equal) {
			t.Errorf("%s %d: what is left is not what was: %d files, not %d", calls, n, len(now), len(before))
		}
		must(on(home, program, "status"))
		return died
	}
	// Which of these calls comes first goes by the threads; each of them is reached.
	for calls, most := range map[string]int{"connect": 2, "renameat,renameat2,rename": 4} {
		for n := 1; n <= most && try(calls, n); n++ {
		}
	}
	t.Logf("killed %d times, %d of them while no agent ran; %d resets had begun", killed, down, began)
	if killed < 3 || down == 0 || began == 0 {
		t.Errorf("killed %d times, %d of them while no agent ran; %d resets had begun", killed, down, began)
	}
}
