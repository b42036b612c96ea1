package resident

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// Who asks the agent is told what they would have been told without one.
func TestTroubleTravels(t *testing.T) {
	for _, err := range []error{
		&agent.RefusedError{What: "token", Reference: "4K7Q-9FXM", Public: "clock-off", Title: "This device's clock is wrong"},
		&api.Problem{Code: api.TooMany, Title: "Slower", Detail: "please"},
		&agent.UnreachableError{Server: "https://id.example.org", Why: agent.NoRoute},
		&agent.KeyStoreError{Why: "locked"}, &agent.StateError{File: "session.json", Problem: agent.Malformed},
		agent.ErrNotEnrolled, agent.ErrNotSignedIn,
	} {
		if back := troubleOf(err).Err(); !reflect.DeepEqual(back, err) {
			t.Errorf("%#v came back as %#v", err, back)
		}
	}
	full := &agent.WriteError{Path: "/home/jane/readmit/session.json", Err: &fs.PathError{Op: "write", Path: "/home/jane/readmit/.new-1", Err: syscall.ENOSPC}}
	if got, ok := troubleOf(fmt.Errorf("token: %w", full)).Err().(*agent.WriteError); !ok || got.Path != full.Path || got.Error() != full.Error() || got.Why() != syscall.ENOSPC.Error() {
		t.Errorf("a full disk came back as %v", got)
	}
	if got := troubleOf(errors.New("x")); got.Reason != Other || got.Err().Error() != "x" {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	for _, bad := range []Ask{
		{}, {Version: 1}, {Version: 1, Do: "key"}, {Do: DoToken}, {Version: 2, Do: DoToken}, {Version: 1, Do: DoToken, MinValid: -1},
		{Version: 1, Do: DoToken, MinValid: 301}, {Version: 1, Do: DoToken, MinValid: 1 << 40}, {Version: 1, Do: DoAllow}, {Version: 1, Do: DoDeny},
		{Version: 1, Do: DoToken, Method: "GET", URL: "https://notes.example.org/"}, {Version: 1, Do: DoToken, Audience: "x", Method: "GET"},
		{Version: 1, Do: DoToken, Audience: "x", URL: "https://notes.example.org/"}, {Version: 1, Do: DoToken, Audience: "x", Method: "get", URL: "https://notes.example.org/"},
		{Version: 1, Do: DoStatus, Audience: "x", Method: "GET", URL: "https://notes.example.org/"},
	} {
		if err := bad.check(); troubleOf(err).Reason != Form {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, good := range []Ask{{Version: 1, Do: DoToken}, {Version: 1, Do: DoToken, MinValid: 300}, {Version: 1, Do: DoAllow, ID: "x"}, {Version: 1, Do: DoStop},
		{Version: 1, Do: DoToken, Audience: "x", Method: "GET", URL: "https://notes.example.org/"}} {
		if err := good.check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

// An agent of another version gives the token alone: who wanted a proof is told.
func TestAnswersWithoutProof(t *testing.T) {
	ask := Ask{Do: DoToken, Audience: "x", Method: "GET", URL: "https://notes.example.org/"}
	if (Answer{Token: &Token{}}).answers(ask) {
		t.Error("a token without the proof is taken for an answer")
	}
	if !(Answer{Token: &Token{}, Proof: "p"}).answers(ask) || !(Answer{Token: &Token{}}).answers(Ask{Do: DoToken}) {
		t.Error("an answer is not taken for one")
	}
}

func TestReadLine(t *testing.T) {
	in := bufio.NewReader(strings.NewReader("one\n" + strings.Repeat("x", maxLine-1) + "\n" + strings.Repeat("x", maxLine) + "\nrest"))
	if b, err := readLine(in); string(b) != "one" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := readLine(in); len(b) != maxLine-1 || err != nil {
		t.Errorf("%d, %v", len(b), err)
	}
	if _, err := readLine(in); troubleOf(err).Reason != Form {
		t.Errorf("too long: %v", err)
	}
}

func TestDesktop(t *testing.T) {
	if runtime.GOOS == "linux" && OpenDesktop(func(string) string { return "" }) != nil {
		t.Error("a terminal was taken for a desktop")
	}
	if argv := desktopCommand("darwin"); argv[len(argv)-1] != "--" {
		t.Errorf("a text that begins with a dash is taken for a flag: %q", argv)
	}
	if desktopCommand("windows") == nil {
		t.Error("windows has no desktop")
	}
	if got := visible("a\x00b\u202e\x1b[2Jc\n\u00e9"); got != "ab[2Jcé" {
		t.Errorf("%q", got)
	}
}
