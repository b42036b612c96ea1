package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tellSlack, in the environment, makes the test's program settle, say who it is
// and how coarse its timers are, and end.
const tellSlack = "READMIT_TEST_TELL_SLACK"

func init() {
	if os.Getenv(tellSlack) == "" {
		return
	}
	settle()
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	fmt.Print(os.Getpid(), now, err, os.Args[1:])
	os.Exit(0)
}

// A program that has one processor goes on as the same process, with the same
// words and coarser timers; one that has more is left alone, and so is one that
// would have to begin a second time.
func TestSettle(t *testing.T) {
	before, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		processors, more string
		slack            int
	}{{"1", "SOME=words", int(slack)}, {"2", "SOME=words", before}, {"1", settled + "=1", before}} {
		var said strings.Builder
		c := exec.Command(exe, "some", "words")
		c.Env = append(os.Environ(), tellSlack+"=1", "GOMAXPROCS="+x.processors, x.more)
		c.Stdout, c.Stderr = &said, &said
		if err := c.Run(); err != nil {
			t.Fatalf("%v: %s", err, &said)
		}
		if want := fmt.Sprint(c.Process.Pid, x.slack, nil, []string{"some", "words"}); said.String() != want {
			t.Errorf("%s, %s: %q, want %q", x.processors, x.more, &said, want)
		}
	}
}

func TestServeSettles(t *testing.T) {
	n := &node{data: t.TempDir(), address: freeAddress(t), said: &said{}}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.Command(exe, "serve", "--data", n.data, "--listen", n.address)
	n.cmd.Env = append(os.Environ(), asReadmit+"=1", "GOMAXPROCS=1")
	n.cmd.Stderr = n.said
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		n.cmd.Process.Signal(os.Interrupt)
		n.cmd.Wait()
	}()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", n.cmd.Process.Pid))
		if err == nil && strings.Contains("\x00"+string(environment), "\x00"+settled+"=1\x00") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it did not settle: %v; it says %q", err, n.said)
		}
	}
}
