package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal makes a pseudo-terminal: what a person types at and sees, and
// what a program reads and writes.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

func TestBold(t *testing.T) {
	_, program := openTerminal(t)
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "\x1b[1mtitle\x1b[0m"},
		{map[string]string{"NO_COLOR": "1"}, "title"},
		{map[string]string{"NO_COLOR": ""}, "\x1b[1mtitle\x1b[0m"},
		{map[string]string{"TERM": "dumb"}, "title"},
	} {
		e := &env{stdout: program, getenv: func(name string) string { return c.env[name] }}
		if got := e.bold("title"); got != c.want {
			t.Errorf("%v: %q", c.env, got)
		}
	}
	e := &env{stdout: &strings.Builder{}, getenv: func(string) string { return "" }}
	if got := e.bold("title"); got != "title" {
		t.Errorf("into a pipe: %q", got)
	}
}

// TestTypedPassword: what is typed at a terminal is read and never shown.
func TestTypedPassword(t *testing.T) {
	person, program := openTerminal(t)
	var prompt strings.Builder
	e := &env{stdin: program, stderr: &prompt}
	in := e.secrets(t.Context())
	if _, err := person.WriteString("zq lanterns\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := in.from("", "password", "--password-file"); err != nil || got != "zq lanterns" {
		t.Errorf("read %d characters, %v", len(got), err)
	}
	for _, nothing := range []string{"\n", "\x04"} { // Enter, and Ctrl-D
		if _, err := person.WriteString(nothing); err != nil {
			t.Fatal(err)
		}
		if _, err := in.from("", "password", "--password-file"); err == nil || err.Error() != "no password was typed" {
			t.Errorf("%q typed: %v", nothing, err)
		}
	}
	if prompt.String() != strings.Repeat("password: \n", 3) {
		t.Errorf("the terminal shows %q", &prompt)
	}
}

// TestInterruptedQuestion: Ctrl-C ends a command that waits for what a person
// types, and the terminal shows again what is typed.
func TestInterruptedQuestion(t *testing.T) {
	for _, args := range [][]string{
		{"sign-in", "--server", "http://127.0.0.1:9", "--account", "jane@example.org"},
		{"sign-in", "--server", "http://127.0.0.1:9", "--account", "jane@example.org", "--password-file", "-"},
		{"explain", "-"},
	} {
		person, program := openTerminal(t)
		before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		d := newDevice(t)
		var out, stderr bytes.Buffer
		code := make(chan int, 1)
		go func() {
			code <- run(ctx, args, program, &out, &stderr, func(name string) string { return d.env[name] })
		}()
		time.Sleep(100 * time.Millisecond) // let it ask
		interrupt()
		select {
		case got := <-code:
			if got != failed || !strings.HasSuffix(stderr.String(), "readmit: interrupted\n") {
				t.Errorf("%q: exit code %d: %q", args, got, &stderr)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q still waits", args)
		}
		after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("%q: the terminal is not as it was: %v", args, err)
		}
		if _, err := person.Write([]byte{'\n', 4}); err != nil { // the read that goes on ends with the test
			t.Fatal(err)
		}
	}
}
