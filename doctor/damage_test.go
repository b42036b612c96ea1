package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// halfway makes a repair of two files that is cut between them: one is what it
// becomes, two is still what it was.
func halfway(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one"), Content{[]byte("one was"), 0o600})
	write(t, filepath.Join(dir, "two"), Content{[]byte("two was"), 0o600})
	j := journal(dir, nil)
	j.step = func() error {
		if b, err := os.ReadFile(filepath.Join(dir, "one")); err == nil && string(b) == "one is" {
			return errCut
		}
		return nil
	}
	_, err := j.Apply(Repair{Changes: []Change{
		{"one", Content{[]byte("one was"), 0o600}, Content{[]byte("one is"), 0o600}},
		{"two", Content{[]byte("two was"), 0o600}, Content{[]byte("two is"), 0o600}},
	}})
	if !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	mustBe(t, dir, files{"one": {[]byte("one is"), 0o600}, "two": {[]byte("two was"), 0o600}})
	return dir
}

// TestChangedWhileInterrupted: a repair that was interrupted, and whose files
// somebody has changed since, is not finished over their work, and does not
// keep the doctor from ever working again.
func TestChangedWhileInterrupted(t *testing.T) {
	for _, file := range []string{"one", "two"} {
		t.Run(file, func(t *testing.T) {
			dir := halfway(t)
			write(t, filepath.Join(dir, file), Content{[]byte("a new session"), 0o600})
			changed := look(t, dir)
			j := journal(dir, nil)
			resumed, err := j.Resume()
			if err != nil || len(resumed) != 1 || !resumed[0].Left() {
				t.Fatalf("Resume = %+v, %v", resumed, err)
			}
			mustBe(t, dir, changed)
			if b, err := os.ReadFile(filepath.Join(j.Kept(resumed[0]), "before-0")); err != nil || string(b) != "one was" {
				t.Errorf("kept: %q, %v", b, err)
			}
			if again, err := j.Resume(); len(again) != 0 || err != nil {
				t.Errorf("a second Resume: %+v, %v", again, err)
			}
			if _, err := j.Undo(""); !errors.Is(err, ErrNoRepair) {
				t.Errorf("Undo: %v", err)
			}
			if _, err := j.Undo("1"); err == nil || !strings.Contains(err.Error(), j.Kept(resumed[0])) {
				t.Errorf("Undo(1): %v, want where the old files are", err)
			}
			mustBe(t, dir, changed)

			before, err := j.Read("two")
			if err != nil {
				t.Fatal(err)
			}
			if e, err := j.Apply(Repair{Changes: []Change{{"two", before, Content{}}}}); err != nil || e.ID != "2" {
				t.Errorf("the next repair: %+v, %v", e, err)
			}
			if _, err := j.Undo(""); err != nil {
				t.Error(err)
			}
			mustBe(t, dir, changed)
		})
	}
}

// TestDamagedJournal: what cannot be read is said to be so, with where it
// lies, and nothing is changed on its word.
func TestDamagedJournal(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut off": `{"id":"1","at":`, "of another": `{"id":"2","state":"done"}`, "not JSON": "\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			j := journal(dir, nil)
			if _, err := j.Apply(plan(t, j)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, repairsDir, "1", "journal.json"), Content{[]byte(text), 0o600})
			next := Repair{Changes: []Change{{"alone", was["alone"], Content{}}}}
			_, list := j.List()
			_, resume := j.Resume()
			_, latest := j.Undo("")
			_, byID := j.Undo("1")
			_, apply := j.Apply(next)
			for what, err := range map[string]error{"List": list, "Resume": resume, "Undo": latest, "Undo by ID": byID, "Apply": apply} {
				if err == nil || !strings.Contains(err.Error(), "repair 1 is damaged") || !strings.Contains(err.Error(), filepath.Join(dir, repairsDir, "1")) {
					t.Errorf("%s: %v", what, err)
				}
			}
			mustBe(t, dir, becomes)

			// What the error says to do is enough to go on.
			if err := os.Rename(filepath.Join(dir, repairsDir, "1"), filepath.Join(dir, "moved")); err != nil {
				t.Fatal(err)
			}
			if _, err := j.Apply(next); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDamagedContent: a kept content that is not what was kept is not put in
// place, neither by Undo nor by Resume.
func TestDamagedContent(t *testing.T) {
	for _, kept := range []string{"before-0", "after-0"} {
		dir := folder(t)
		j := journal(dir, nil)
		if _, err := j.Apply(plan(t, j)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, repairsDir, "1", kept), Content{[]byte("rotten"), 0o600})
		if _, err := j.Undo(""); err == nil || !strings.Contains(err.Error(), kept) {
			t.Errorf("%s: %v", kept, err)
		}
		mustBe(t, dir, becomes)
	}
	dir := halfway(t)
	write(t, filepath.Join(dir, repairsDir, "1", "after-1"), Content{[]byte("two i"), 0o600})
	left := look(t, dir)
	if _, err := journal(dir, nil).Resume(); err == nil || !strings.Contains(err.Error(), "after-1") {
		t.Errorf("Resume: %v", err)
	}
	mustBe(t, dir, left)
}

// TestNotAFile: what is not a plain file is not followed, moved or removed.
func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "target"), Content{[]byte("elsewhere"), 0o600})
	if err := errors.Join(os.Symlink("target", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "folder"), 0o700)); err != nil {
		t.Fatal(err)
	}
	j := journal(dir, nil)
	for _, name := range []string{"link", "folder"} {
		if _, err := j.Read(name); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
			t.Errorf("Read(%s): %v", name, err)
		}
		if _, err := j.Apply(Repair{Changes: []Change{{File: name}}}); err == nil {
			t.Errorf("Apply on %s", name)
		}
	}
}

// TestPrivate: what is kept is as secret as what it was kept of.
func TestPrivate(t *testing.T) {
	dir := folder(t)
	j := journal(dir, nil)
	if _, err := j.Apply(plan(t, j)); err != nil {
		t.Fatal(err)
	}
	for name, c := range look(t, filepath.Join(dir, repairsDir, "1")) {
		if c.Mode != 0o600 {
			t.Errorf("%s has mode %o", name, c.Mode)
		}
	}
	for _, folder := range []string{repairsDir, filepath.Join(repairsDir, "1")} {
		info, err := os.Stat(filepath.Join(dir, folder))
		if err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", folder, info.Mode(), err)
		}
	}
}
