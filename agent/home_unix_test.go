//go:build unix

package agent

import (
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
