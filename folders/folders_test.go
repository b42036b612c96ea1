package folders

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	jane = agent.Identity{Account: "jane@example.org", Server: "https://id.example.org"}
)

// place is a home and a person's folder with some others in it.
func place(t *testing.T, folders ...string) (h agent.Home, user string) {
	t.Helper()
	user, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	for _, f := range append(folders, "state") {
		must(t, os.MkdirAll(filepath.Join(user, f), 0o700))
	}
	h, err = agent.OpenHome(func(string) string { return filepath.Join(user, "state") })
	must(t, err)
	return h, user
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAdd(t *testing.T) {
	h, user := place(t, "docs/work", "docs/private", "other")
	must(t, os.WriteFile(filepath.Join(user, "note"), nil, 0o600))
	must(t, os.Symlink(filepath.Join(user, "other"), filepath.Join(user, "link")))
	at := func(p ...string) string { return filepath.Join(append([]string{user}, p...)...) }
	f, err := Add(h, jane, at("docs", "work", "..", "work"), user, noon)
	must(t, err)
	if f.Path != at("docs", "work") || f.Account != jane.Account || !f.Added.Equal(noon) {
		t.Errorf("%+v", f)
	}
	for _, c := range []struct{ path, why string }{
		{at("docs", "work"), "registered already, for jane"},
		{at("docs"), "which lies in it, is registered"},
		{at("gone"), "no such folder"},
		{at("note"), "not a folder"},
		{at("state"), "own state lies there"},
		{at("state", "incidents"), "own state lies there"},
		{user, "your own folder"},
		{filepath.Dir(user), "your own folder"},
		{string(filepath.Separator), "whole disk"},
	} {
		_, err := Add(h, jane, c.path, user, noon)
		no := new(RefusedError)
		if !errors.As(err, &no) || !strings.Contains(no.Why, c.why) || no.Hint == "" {
			t.Errorf("%s: %v, want %q", c.path, err, c.why)
		}
	}
	if _, err := Add(h, jane, user, "", noon); err == nil || !strings.Contains(err.Error(), "own state lies in it") {
		t.Errorf("a folder around the home: %v", err)
	}
	must(t, os.MkdirAll(at("docs", "work", "deep"), 0o700))
	if _, err := Add(h, jane, at("docs", "work", "deep"), user, noon); err == nil || !strings.Contains(err.Error(), "it lies in") {
		t.Errorf("a folder in one that is registered: %v", err)
	}
	f, err = Add(h, jane, at("link"), user, noon)
	must(t, err)
	if f.Path != at("other") {
		t.Errorf("a link was taken for the folder: %s", f.Path)
	}
	bob := agent.Identity{Account: "bob@example.org", Server: jane.Server}
	_, err = Add(h, bob, at("docs", "private"), user, noon)
	must(t, err)
	if of, err := Of(h, bob); err != nil || len(of) != 1 || of[0].Path != at("docs", "private") {
		t.Errorf("bob's: %+v, %v", of, err)
	}
	if all, err := List(h); err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestRemove(t *testing.T) {
	h, user := place(t, "a", "b")
	for _, f := range []string{"a", "b"} {
		_, err := Add(h, jane, filepath.Join(user, f), user, noon)
		must(t, err)
	}
	must(t, os.Remove(filepath.Join(user, "a")))
	for _, f := range []string{"a", "b"} {
		_, err := Remove(h, filepath.Join(user, f))
		must(t, err)
	}
	if _, err := os.Stat(filepath.Join(user, "b")); err != nil {
		t.Error("the folder itself is gone", err)
	}
	if _, err := Remove(h, filepath.Join(user, "b")); err == nil {
		t.Error("taken off twice")
	}
}

// The list is told to be damaged, never taken for empty.
func TestDamagedList(t *testing.T) {
	h, user := place(t, "a")
	must(t, os.WriteFile(h.Path(agent.FoldersFile), []byte("garbage"), 0o600))
	if _, err := List(h); err == nil {
		t.Error("a damaged list was read")
	}
	if _, err := Add(h, jane, filepath.Join(user, "a"), user, noon); err == nil {
		t.Error("a damaged list was written over")
	}
	must(t, os.WriteFile(h.Path(agent.FoldersFile), []byte(`{"version":9,"sum":"","content":[]}`), 0o600))
	e := new(agent.StateError)
	if _, err := List(h); !errors.As(err, &e) || e.Problem != agent.Newer {
		t.Errorf("one of a newer version: %v", err)
	}
}

// What is left lies aside, comes back byte for byte, and is deleted by Purge
// alone and for good.
func TestLeave(t *testing.T) {
	h, user := place(t, "a", "b", "gone")
	for _, f := range []string{"a", "b", "gone"} {
		_, err := Add(h, jane, filepath.Join(user, f), user, noon)
		must(t, err)
	}
	must(t, os.WriteFile(filepath.Join(user, "a", "letter"), []byte("Dear Sir"), 0o640))
	must(t, os.Remove(filepath.Join(user, "gone")))
	now := noon
	j := &doctor.Journal{Dir: h.Dir(), Now: func() time.Time { return now }}
	leave := func() doctor.Entry {
		t.Helper()
		all, err := Of(h, jane)
		must(t, err)
		r, err := Leave(j, all)
		must(t, err)
		e, err := j.Apply(r)
		must(t, err)
		return e
	}
	sum, err := doctor.TreeSum(filepath.Join(user, "a"))
	must(t, err)
	e := leave()
	if len(e.Moves) != 2 {
		t.Fatalf("%+v", e.Moves)
	}
	if _, err := os.Stat(filepath.Join(user, "a")); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder is still there")
	}
	_, err = j.Undo(e.ID)
	must(t, err)
	if back, err := doctor.TreeSum(filepath.Join(user, "a")); err != nil || back != sum {
		t.Errorf("it came back otherwise: %v", err)
	}
	if lying, _, err := Asides(j, now.Add(time.Hour)); err != nil || len(lying) > 0 {
		t.Errorf("what came back lies aside: %+v, %v", lying, err)
	}

	e = leave()
	now = now.Add(KeptFor)
	if lying, _, err := Asides(j, now.Add(-KeptFor)); err != nil || len(lying) > 0 {
		t.Errorf("too young: %+v, %v", lying, err)
	}
	now = now.Add(time.Second)
	lying, entries, err := Asides(j, now.Add(-KeptFor))
	if err != nil || len(lying) != 2 || len(entries) != 1 || lying[0].Files != 1 || lying[0].Bytes != 8 || lying[0].Undo != e.ID {
		t.Fatalf("%+v, %v", lying, err)
	}
	must(t, j.Purge(entries[0]))
	if _, err := os.Stat(lying[0].Lies); !errors.Is(err, os.ErrNotExist) {
		t.Error("it is still there")
	}
	if _, err := j.Undo(e.ID); !errors.Is(err, doctor.ErrPurged) {
		t.Errorf("what is gone came back: %v", err)
	}
	if err := j.Purge(entries[0]); err != nil {
		t.Errorf("again: %v", err)
	}

	// One lay on a disk that was away: it is no less there for the next time.
	for _, name := range []string{"a", "b"} {
		must(t, os.MkdirAll(filepath.Join(user, name), 0o700))
	}
	e = leave()
	away := filepath.Join(user, "away")
	must(t, os.Rename(e.Moves[0].Out, away))
	must(t, j.Purge(e))
	must(t, os.Rename(away, e.Moves[0].Out))
	lying, entries, err = Asides(j, now.Add(time.Second))
	if err != nil || len(lying) != 1 || lying[0].Lies != e.Moves[0].Out {
		t.Fatalf("%+v, %v", lying, err)
	}
	must(t, j.Purge(entries[0]))
	if lying, _, err := Asides(j, now.Add(time.Second)); err != nil || len(lying) > 0 {
		t.Errorf("still there: %+v, %v", lying, err)
	}
}
