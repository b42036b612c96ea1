package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// pinnedMark tells the program that it was started anew on its core, and which
// one it left to the server.
const pinnedMark = "READMIT_BENCH_SERVER_CORE"

// pin puts this program on the second core it may use and leaves the first to
// the server. It starts the program anew, so that every thread and the number
// of processors the runtime sees follow.
func pin() (cores, error) {
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		return cores{}, err
	}
	var c cores
	if _, err := fmt.Sscan(os.Getenv(pinnedMark), &c.server); err == nil {
		c.load, c.pinned = first(mine, -1), true
		return c, os.Unsetenv(pinnedMark)
	}
	if mine.Count() < 2 {
		return cores{}, nil
	}
	c.server = first(mine, -1)
	c.load = first(mine, c.server)
	runtime.LockOSThread()
	if err := setCore(c.load); err != nil {
		return cores{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return cores{}, err
	}
	return cores{}, syscall.Exec(self, os.Args, append(os.Environ(), pinnedMark+"="+strconv.Itoa(c.server)))
}

func first(set unix.CPUSet, after int) int {
	for n := after + 1; n < 1024; n++ {
		if set.IsSet(n) {
			return n
		}
	}
	return 0
}

func setCore(n int) error {
	var one unix.CPUSet
	one.Set(n)
	return unix.SchedSetaffinity(0, &one)
}

// startOn starts a process on the server's core: it inherits the core of the
// thread that starts it.
func (c cores) startOn(cmd *exec.Cmd) error {
	if !c.pinned {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := setCore(c.server); err != nil {
		return err
	}
	err := cmd.Start()
	if back := setCore(c.load); err == nil {
		err = back
	}
	return err
}

// unpinned runs what starts processes that may use both cores: a browser, a
// database. Which thread of this program starts them is not ours to say, so all
// of them may meanwhile.
func (c cores) unpinned(start func() error) error {
	if !c.pinned {
		return start()
	}
	var both, load unix.CPUSet
	both.Set(c.server)
	both.Set(c.load)
	load.Set(c.load)
	if err := everyThread(&both); err != nil {
		return err
	}
	return errors.Join(start(), everyThread(&load))
}

// everyThread sets the cores of all threads that this program has. One that is
// started meanwhile has the cores of the one that starts it.
func everyThread(on *unix.CPUSet) error {
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range all {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, on); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}
