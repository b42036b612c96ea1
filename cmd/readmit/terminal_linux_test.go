package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

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
	in := e.secrets()
	if _, err := person.WriteString("zq lanterns\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := in.from("", "password", "--password-file"); err != nil || got != "zq lanterns" {
		t.Errorf("read %d characters, %v", len(got), err)
	}
	if _, err := person.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.from("", "password", "--password-file"); err == nil || err.Error() != "no password was typed" {
		t.Errorf("nothing typed: %v", err)
	}
	if prompt.String() != "password: \npassword: \n" {
		t.Errorf("the terminal shows %q", &prompt)
	}
}
