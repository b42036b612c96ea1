//go:build unix

package agent

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is no file is not waited for.
func TestPipeInPlaceOfAFile(t *testing.T) {
	h := newHome(t)
	if err := unix.Mkfifo(h.Path(IdentityFile), 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := h.Identity()
		got <- err
	}()
	select {
	case err := <-got:
		if problem(t, err) != Unreadable {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("waits for somebody to write")
	}
}

// TestNoRoom: what a full disk could not keep is not begun; the server would end
// the session that this device has.
func TestNoRoom(t *testing.T) {
	if os.Getenv("READMIT_TEST_NO_ROOM") == "" {
		// The limit is for all files of a process, the test's own log too.
		c := exec.Command(os.Args[0], "-test.run=^TestNoRoom$")
		c.Env = append(os.Environ(), "READMIT_TEST_NO_ROOM=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(s.Close)
	a := &Agent{Home: newHome(t), Now: time.Now}
	if err := a.Home.Room(); err != nil {
		t.Fatal(err)
	}
	if err := a.Home.Save(AttemptFile, Attempt{Server: s.URL, ID: "one"}); err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	full := before
	full.Cur = 8192
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &full); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
	_, signIn := a.SignIn(t.Context(), s.URL, "jane@example.org", "zq lanterns", "", "laptop")
	for what, err := range map[string]error{
		"sign-in": signIn, "code": a.GiveCode(t.Context(), "123456"),
		"sign-up": a.SignUp(t.Context(), s.URL, "jane@example.org", "", "zq lanterns", "laptop"),
	} {
		if e := new(WriteError); !errors.As(err, &e) || !strings.Contains(err.Error(), a.Home.Dir()) || strings.Contains(err.Error(), ".new-") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if files, err := os.ReadDir(a.Home.Dir()); err != nil || len(files) != 3 || asked > 0 {
		t.Errorf("the server was asked %d times; the home holds %v, %v", asked, files, err)
	}
}
