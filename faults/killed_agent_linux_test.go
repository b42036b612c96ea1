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
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/resident"
)

// TestResetKilledWithAgent kills a reset, by kill -9, around the steps that stop
// the agent and start it again. Whatever command comes next finishes the reset,
// or it never began; the agent runs again, and undo brings back every byte.
func TestResetKilledWithAgent(t *testing.T) {
	l := newLaptop(t)
	whole := l.whole
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
		home := filepath.Join(l.world.dir, fmt.Sprint(calls[:4], n))
		twin(t, whole, home)
		of, err := agent.OpenHome(func(string) string { return home })
		if err != nil {
			t.Fatal(err)
		}
		l.must(l.on(home, l.program, "agent", "start"))
		defer func() { l.must(l.on(home, l.program, "agent", "stop")) }()
		// The agent that the reset starts is let go of as soon as it is a program of its own.
		c := l.on(home, "strace", "-f", "-qq", "-b", "execve", "-o", os.DevNull, "-e", "trace=execve,"+calls, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, n), l.program, "reset", "--yes")
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
		again := func(when string) {
			t.Helper()
			for began := time.Now(); !resident.Runs(context.Background(), of); time.Sleep(20 * time.Millisecond) {
				if time.Since(began) > 10*time.Second {
					t.Fatalf("%s %d: no agent runs %s", calls, n, when)
				}
			}
		}
		if (&doctor.Journal{Dir: home}).Interrupted() { // the next command finishes it, and waits for the agent that it starts
			l.must(l.on(home, l.program, "agent", "status"))
		} else {
			again("after the reset")
		}
		if asides, _ := filepath.Glob(filepath.Join(home, "*.readmit-*")); len(asides) > 0 {
			began++
			l.must(l.on(home, l.program, "undo"))
			again("after the undo")
		}
		if now := kept(home); !maps.EqualFunc(now, before, bytes.Equal) {
			t.Errorf("%s %d: what is left is not what was: %d files, not %d", calls, n, len(now), len(before))
		}
		l.must(l.on(home, l.program, "status"))
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

// TestResetOnSlowDisk: an agent that comes before the repair that started it is
// written down as done waits for that, and no longer.
func TestResetOnSlowDisk(t *testing.T) {
	l := newLaptop(t)
	home := l.whole
	l.must(l.on(home, l.program, "agent", "start"))
	defer func() { l.must(l.on(home, l.program, "agent", "stop")) }()
	for _, args := range [][]string{{"reset", "--yes"}, {"undo"}} {
		l.must(l.on(home, append([]string{"strace", "-f", "-qq", "-b", "execve", "-o", os.DevNull, "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=200000", l.program}, args...)...))
		l.must(l.on(home, l.program, "agent", "status"))
	}
}
