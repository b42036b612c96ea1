package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
)

// TestMatrixFails: a cause without a script, a script that stops and one that
// leaves a step out are each a row that says so. What passes is tested where
// the scripts are: go test ./faults.
func TestMatrixFails(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"refused":         "made\nremedied\n",
		"two-and-no-more": "made\nexec false\nremedied\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name+".txtar"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, trouble bytes.Buffer
	if code := run([]string{"-scripts", folder}, &out, &trouble); code != 1 {
		t.Errorf("exit code %d, want 1\n%s", code, trouble.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	rows := map[string][]string{}
	for _, l := range lines {
		if f := strings.Fields(l); len(f) > 4 && !strings.HasPrefix(l, " ") {
			rows[f[0]] = f[1:5]
		}
	}
	for name, want := range map[string]string{
		"refused": "yes NO NO NO", "two-and-no-more": "yes NO NO NO", "password-wrong": "NO NO NO NO",
	} {
		if got := strings.Join(rows[name], " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if last, want := lines[len(lines)-1], "0 passed, "; !strings.HasPrefix(last, want) || len(rows) < len(cause.Table()) {
		t.Errorf("the last line is %q after %d rows", last, len(rows))
	}
	if run([]string{"-nonsense"}, &out, &trouble) != 2 {
		t.Error("a flag that does not exist is not a usage error")
	}
}
