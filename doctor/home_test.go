package doctor

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cached is a home with what a reset sets aside and what it mends.
func cached(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"session.json": "a session", "attempt.json": "an attempt", "incidents/one.json": "a refusal", "incidents/two.json": "another",
		"identity.json": "damaged", "identity.json.copy": "whole",
	} {
		write(t, filepath.Join(dir, name), Content{[]byte(text), 0o600})
	}
	return dir
}

// resetOf is the repair that a reset makes there.
func resetOf(j *Journal) (Repair, error) {
	r := Repair{Why: Reset, Do: "Reset."}
	before, err := j.Read("identity.json")
	if err != nil {
		return r, err
	}
	good, err := j.Read("identity.json.copy")
	if err != nil {
		return r, err
	}
	r.Changes = []Change{{File: "identity.json", Before: before, After: good}}
	for _, f := range []string{"session.json", "attempt.json", "incidents"} {
		a, err := j.Aside(filepath.Join(j.Dir, f))
		if err != nil {
			return r, err
		}
		r.Aside = append(r.Aside, a)
	}
	return r, nil
}

// resetIn makes a reset in a home; a cut one is interrupted before its last move.
func resetIn(t *testing.T, dir string, cut bool) {
	t.Helper()
	j := journal(dir, nil)
	r, err := resetOf(j)
	if err != nil {
		t.Fatal(err)
	}
	if cut {
		j.step = func() error {
			if exists(filepath.Join(dir, "attempt.json.readmit-1")) {
				return errCut
			}
			return nil
		}
	}
	if _, err := j.Apply(r); cut != errors.Is(err, errCut) || !cut && err != nil {
		t.Fatal(err)
	}
}

// older rewrites the entries of a home as version 1 wrote them, in a home that lay
// in was.
func older(t *testing.T, dir, was string) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(dir, repairsDir, "*", "journal.json"))
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, path := range entries {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e Entry
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		e.Version = firstVersion
		for i := range e.Moves {
			m := &e.Moves[i]
			for _, p := range []*string{&m.Path, &m.Out, &m.In} {
				if *p != "" {
					*p = filepath.Join(was, filepath.Base(*p))
				}
			}
		}
		if b, err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// copied copies a home, modes and all.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		return errors.Join(err, os.Chmod(filepath.Join(to, name), info.Mode().Perm()))
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestCopiedAndMovedHome: the journal of a home that was copied works on the copy
// alone, that of one that was renamed on all it has; also an entry that an older
// version wrote, and one that was interrupted.
func TestCopiedAndMovedHome(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for _, old := range []bool{false, true} {
			for _, moved := range []bool{false, true} {
				name := strings.Join([]string{map[bool]string{false: "whole", true: "cut"}[cut], map[bool]string{false: "new", true: "old"}[old], map[bool]string{false: "copied", true: "moved"}[moved]}, " ")
				t.Run(name, func(t *testing.T) {
					dir := cached(t)
					before := look(t, dir)
					resetIn(t, dir, cut)
					if old {
						older(t, dir, dir)
					}
					original := sum(t, dir)
					here := filepath.Join(t.TempDir(), "moved")
					if moved {
						if err := os.Rename(dir, here); err != nil {
							t.Fatal(err)
						}
					} else {
						here = copied(t, dir)
					}
					j := journal(here, nil)
					finished, err := j.Resume()
					if err != nil || cut != (len(finished) == 1) || cut && finished[0].Left() {
						t.Fatalf("Resume = %+v, %v", finished, err)
					}
					if exists(filepath.Join(here, "session.json")) || exists(filepath.Join(here, "incidents")) {
						t.Error("the reset is not finished here")
					}
					// What has come since goes aside, and comes back.
					write(t, filepath.Join(here, "session.json"), Content{[]byte("another"), 0o600})
					u, err := j.Undo("")
					if err != nil {
						t.Fatal(err)
					}
					want := files{"session.json.readmit-2": {[]byte("another"), 0o600}}
					for name, c := range before {
						want[name] = c
					}
					mustBe(t, here, want)
					if _, err := j.Undo(u.ID); err != nil {
						t.Fatal(err)
					}
					if b, err := os.ReadFile(filepath.Join(here, "session.json")); string(b) != "another" {
						t.Errorf("after the undo of the undo: %q, %v", b, err)
					}
					if moved && exists(dir) {
						t.Error("something came to where the home was")
					}
					if !moved && sum(t, dir) != original {
						t.Error("the home that it was copied from has changed")
					}
				})
			}
		}
	}
}

// TestNamedFromHome: what lies in a home is written down in a version that older
// programs refuse, and without where the home lies; all else is as it ever was.
func TestNamedFromHome(t *testing.T) {
	dir := cached(t)
	resetIn(t, dir, false)
	_, list, _ := library(t)
	j := journal(dir, nil)
	j.Services = &daemons{}
	e, err := j.Apply(asides(t, j, list))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		version int
		path    string
	}{"1": {namedFromHome, "session.json"}, e.ID: {firstVersion, list}} {
		b, err := os.ReadFile(filepath.Join(dir, repairsDir, id, "journal.json"))
		if err != nil {
			t.Fatal(err)
		}
		var kept Entry
		if err := json.Unmarshal(b, &kept); err != nil || kept.Version != want.version || kept.Moves[0].Path != want.path {
			t.Errorf("entry %s is of version %d and moves %+v: %v", id, kept.Version, kept.Moves, err)
		}
		if id == "1" && strings.Contains(string(b), filepath.Base(dir)) {
			t.Errorf("the entry names the home:\n%s", b)
		}
	}
	all, err := j.List()
	if err != nil || all[0].Moves[0].Path != filepath.Join(dir, "session.json") {
		t.Errorf("List = %+v, %v", all, err)
	}
}

// TestNoWayOut: an entry that leads out of the home by its names is damaged.
func TestNoWayOut(t *testing.T) {
	for _, c := range []struct {
		version int
		path    string
	}{{namedFromHome, "../other/session.json"}, {namedFromHome, ".."}, {firstVersion, "session.json"}} {
		e := Entry{Version: c.version, Moves: []Moved{{Path: c.path}}}
		if e.locate(t.TempDir()) {
			t.Errorf("%+v is taken for %s", c, e.Moves[0].Path)
		}
	}
}
