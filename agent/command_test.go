package agent

import (
	"path/filepath"
	"runtime"
	"testing"
)

// A command names its home where that is not the usual one, so that what is
// copied from a notice reaches the account that the notice is about.
func TestCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		h := Home{dir: `C:\it's`}
		if got := h.Command("doctor"); got != `$env:READMIT_HOME='C:\it''s'; readmit doctor` {
			t.Error(got)
		}
		return
	}
	t.Setenv("HOME", "/home/jane")
	t.Setenv("XDG_CONFIG_HOME", "")
	at, err := usual()
	if err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		at:                     "readmit allow 4K7Q",
		filepath.Join(at, "."): "readmit allow 4K7Q",
		"/srv/second":          "READMIT_HOME=/srv/second readmit allow 4K7Q",
		"/srv/jane's; second":  `READMIT_HOME='/srv/jane'\''s; second' readmit allow 4K7Q`,
	} {
		if got := (Home{dir: dir}).Command("allow 4K7Q"); got != want {
			t.Errorf("%s: %s", dir, got)
		}
	}
}
