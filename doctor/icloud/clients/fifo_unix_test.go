//go:build unix

package clients

import (
	"os"
	"syscall"
	"testing"
)

// A pipe in the place of a file must not be waited for.
func TestPipe(t *testing.T) {
	w := newWorld(t)
	path := w.signedInAtHome() + "/" + janeKey + ".session"
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustBe(w.find("", ""), "state-damaged")
}
