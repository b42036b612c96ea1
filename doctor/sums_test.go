package doctor

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// wait waits until what was just made has been left alone for long enough.
func wait(t *testing.T) {
	t.Helper()
	time.Sleep(settled + 200*time.Millisecond)
}

// A tree is read when a repair is planned and when it is made, and no third
// time; to take it back reads it once. What changed meanwhile is read again.
func TestTreesAreReadOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // it does not say when a file has changed: all is read each time
	}
	root, _, tokens := library(t)
	wait(t)
	reads := 0
	j := journal(t.TempDir(), nil)
	j.read = func(string) { reads++ }
	a, err := j.Aside(tokens)
	if err != nil {
		t.Fatal(err)
	}
	before := sum(t, root)
	e, err := j.Apply(Repair{Why: SignOut, Do: "Move it.", Aside: []Aside{a}})
	if err != nil {
		t.Fatal(err)
	}
	if reads != 1 {
		t.Errorf("read %d times after it was planned", reads)
	}
	if e.Moves[0].OutSum != sum(t, e.Moves[0].Out) {
		t.Error("what lies aside has another sum")
	}
	reads = 0
	if _, err := j.Undo(""); err != nil {
		t.Fatal(err)
	}
	if reads != 2 { // what is there now, which is nothing, and what lies aside
		t.Errorf("read %d times to take it back", reads)
	}
	if sum(t, root) != before {
		t.Error("not byte for byte")
	}
}

// Programs that were stopped write their last words after the trees were read.
func TestLastWordsAreRead(t *testing.T) {
	_, _, tokens := library(t)
	wait(t)
	j := journal(t.TempDir(), nil)
	d := &daemons{last: filepath.Join(tokens, "a")}
	j.Services = d
	e, err := j.Apply(asides(t, j, tokens))
	if err != nil {
		t.Fatal(err)
	}
	if e.Moves[0].OutSum != sum(t, e.Moves[0].Out) {
		t.Error("the last words are not in the sum")
	}
	d.last = ""
	if _, err := j.Undo(""); err != nil {
		t.Error(err)
	}
}

// Whatever changes in a tree changes its stamp, also where the program that
// changed it has set back size and times.
func TestStamp(t *testing.T) {
	if runtime.GOOS == "windows" {
		return
	}
	_, _, tokens := library(t)
	wait(t)
	first := stamp(tokens, time.Now())
	if first == "" || first != stamp(tokens, time.Now()) {
		t.Fatalf("%q", first)
	}
	file := filepath.Join(tokens, "a")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	for name, change := range map[string]func() error{
		"content": func() error {
			if err := os.WriteFile(file, []byte("eno"), 0o600); err != nil {
				return err
			}
			return os.Chtimes(file, info.ModTime(), info.ModTime())
		},
		"mode":    func() error { return os.Chmod(file, 0o640) },
		"another": func() error { return os.WriteFile(filepath.Join(tokens, "c"), nil, 0o600) },
		"link": func() error {
			os.Remove(filepath.Join(tokens, "link"))
			return os.Symlink("b", filepath.Join(tokens, "link"))
		},
		"gone": func() error { return os.Rename(filepath.Join(tokens, "sub", "b"), other) },
	} {
		before := stamp(tokens, time.Now().Add(time.Hour))
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if after := stamp(tokens, time.Now().Add(time.Hour)); after == before || after == "" {
			t.Errorf("%s: the stamp stays %q", name, after)
		}
		if name != "gone" && stamp(tokens, time.Now()) != "" {
			t.Errorf("%s: what changed just now is believed", name)
		}
	}
	if stamp(filepath.Join(tokens, "none"), time.Now()) != "" {
		t.Error("nothing has a stamp")
	}
}
