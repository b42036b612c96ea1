package doctor

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var errCut = errors.New("the power is gone")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// cutAt makes a step function that fails at the n-th step and at all after it:
// what has lost its power does nothing more.
func cutAt(n int) func() error {
	return func() error {
		if n--; n <= 0 {
			return errCut
		}
		return nil
	}
}

func journal(dir string, step func() error) *Journal {
	return &Journal{Dir: dir, Now: func() time.Time { return noon }, step: step}
}

// files is a folder's content without what the journal keeps.
type files map[string]Content

func (f files) equal(o files) bool {
	return maps.EqualFunc(f, o, func(a, b Content) bool { return a.Mode == b.Mode && string(a.Bytes) == string(b.Bytes) })
}

var was = files{
	"replaced": {[]byte("old\x00\xffcontent\r\n"), 0o640},
	"removed":  {[]byte("damaged beyond use"), 0o600},
	"emptied":  {[]byte("full"), 0o600},
	"filled":   {[]byte{}, 0o600},
	"mode":     {[]byte("seen by all"), 0o644},
	"sub/deep": {[]byte("deep"), 0o400},
	"alone":    {[]byte("no business of the repair"), 0o666},
}

var becomes = files{
	"replaced": {[]byte("new content"), 0o600},
	"emptied":  {[]byte{}, 0o600},
	"filled":   {[]byte("now there is something"), 0o600},
	"mode":     {[]byte("seen by all"), 0o600},
	"made":     {[]byte("was not there"), 0o600},
	"sub/deep": {[]byte("deeper"), 0o600},
	"alone":    was["alone"],
}

// plan is the repair that makes becomes of what a folder has now.
func plan(t *testing.T, j *Journal) Repair {
	t.Helper()
	r := Repair{Cause: "state-damaged", Do: "Repair."}
	for _, f := range []string{"replaced", "removed", "emptied", "filled", "mode", "made", "sub/deep"} {
		before, err := j.Read(f)
		if err != nil {
			t.Fatal(err)
		}
		r.Changes = append(r.Changes, Change{File: f, Before: before, After: becomes[f]})
	}
	return r
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, c := range was {
		write(t, filepath.Join(dir, name), c)
	}
	return dir
}

func write(t *testing.T, path string, c Content) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, c.Bytes, c.Mode), os.Chmod(path, c.Mode)); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, dir string) files {
	t.Helper()
	out := files{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == repairsDir {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		out[name] = Content{b, info.Mode().Perm()}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func mustBe(t *testing.T, dir string, want files) {
	t.Helper()
	got := look(t, dir)
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is gone", name)
		}
	}
	for name, c := range got {
		if w, ok := want[name]; !ok {
			t.Errorf("%s is there: %q", name, c.Bytes)
		} else if c.Mode != w.Mode || string(c.Bytes) != string(w.Bytes) {
			t.Errorf("%s is %q (%o), want %q (%o)", name, c.Bytes, c.Mode, w.Bytes, w.Mode)
		}
	}
}

func TestApplyAndUndo(t *testing.T) {
	dir := folder(t)
	j := journal(dir, nil)
	r := plan(t, j)
	e, err := j.Apply(r)
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, dir, becomes)
	if e.ID != "1" || e.State != done || !e.At.Equal(noon) || e.Cause != r.Cause || e.Do != r.Do || len(e.Changes) != len(r.Changes) {
		t.Errorf("entry %+v", e)
	}
	// What was moved aside lies in repairs/1, for whoever looks by hand.
	for i, c := range r.Changes {
		b, err := os.ReadFile(filepath.Join(dir, repairsDir, "1", "before-"+string(rune('0'+i))))
		if c.Before.Bytes == nil != errors.Is(err, fs.ErrNotExist) || string(b) != string(c.Before.Bytes) {
			t.Errorf("kept of %s: %q, %v", c.File, b, err)
		}
	}
	u, err := j.Undo("")
	if err != nil {
		t.Fatal(err)
	}
	mustBe(t, dir, was)
	if u.ID != "2" || u.Undoes != "1" || u.State != done {
		t.Errorf("entry of the undo %+v", u)
	}
	all, err := j.List()
	if err != nil || len(all) != 2 || all[0].State != undone || all[1].State != done {
		t.Errorf("List = %+v, %v", all, err)
	}
}

func TestUndoByID(t *testing.T) {
	dir := folder(t)
	j := journal(dir, nil)
	if _, err := j.Undo(""); !errors.Is(err, ErrNoRepair) {
		t.Errorf("with nothing to undo: %v", err)
	}
	if _, err := j.Apply(plan(t, j)); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"2", "0", "-1", "+1", "01", "x", "../repairs/1", ".", "1/"} {
		if _, err := j.Undo(id); !errors.Is(err, ErrNoRepair) {
			t.Errorf("Undo(%q): %v", id, err)
		}
	}
	mustBe(t, dir, becomes)
	for _, s := range []struct {
		id   string
		left files
		err  error
	}{
		{"1", was, nil},        // 2
		{"1", was, ErrUndone},  // undone before
		{"", was, ErrNoRepair}, // an undo is not a repair
		{"2", becomes, nil},    // 3: the undo is undone
		{"2", becomes, ErrUndone},
		{"3", was, nil}, // 4
	} {
		if _, err := j.Undo(s.id); !errors.Is(err, s.err) {
			t.Fatalf("Undo(%q): %v, want %v", s.id, err, s.err)
		}
		mustBe(t, dir, s.left)
	}
}

// TestUndoLatest: without an ID, repairs are taken back from the newest on;
// numbers count, not names.
func TestUndoLatest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := journal(dir, nil)
	const n = 12
	for i := range n {
		before, err := j.Read("f")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Apply(Repair{Changes: []Change{{"f", before, Content{[]byte{byte(i)}, 0o600}}}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := n - 1; i >= 0; i-- {
		mustBe(t, dir, files{"f": {[]byte{byte(i)}, 0o600}})
		if _, err := j.Undo(""); err != nil {
			t.Fatal(err)
		}
	}
	mustBe(t, dir, files{})
	if _, err := j.Undo(""); !errors.Is(err, ErrNoRepair) {
		t.Error(err)
	}
}

// TestRefusesChanged: what is not as it was shown is not touched, whichever
// file it is and whatever is other about it.
func TestRefusesChanged(t *testing.T) {
	t.Parallel()
	changes := map[string]func(path string) error{
		"content": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.Write([]byte("!"))
			return errors.Join(err, f.Close())
		},
		"mode": func(p string) error { return os.Chmod(p, 0o611) },
		"gone": os.Remove,
	}
	for kind, change := range changes {
		for _, file := range []string{"replaced", "emptied", "mode", "sub/deep"} {
			t.Run(kind+" "+file, func(t *testing.T) {
				dir := folder(t)
				j := journal(dir, nil)
				r := plan(t, j)
				if err := change(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				changed := look(t, dir)
				if _, err := j.Apply(r); !errors.Is(err, ErrChanged) {
					t.Fatalf("Apply: %v", err)
				}
				mustBe(t, dir, changed)
				if all, err := j.List(); len(all) != 0 || err != nil {
					t.Errorf("List = %v, %v", all, err)
				}

				if _, err := j.Apply(plan(t, j)); err != nil {
					t.Fatal(err)
				}
				if err := change(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
				changed = look(t, dir)
				if _, err := j.Undo(""); !errors.Is(err, ErrChanged) {
					t.Fatalf("Undo: %v", err)
				}
				mustBe(t, dir, changed)
				if all, err := j.List(); len(all) != 1 || all[0].State != done || err != nil {
					t.Errorf("List = %v, %v", all, err)
				}
			})
		}
	}
	t.Run("appeared", func(t *testing.T) {
		dir := folder(t)
		j := journal(dir, nil)
		r := plan(t, j)
		write(t, filepath.Join(dir, "made"), Content{[]byte("by somebody else"), 0o600})
		if _, err := j.Apply(r); !errors.Is(err, ErrChanged) {
			t.Error(err)
		}
	})
}

// nothingLost sees that every content that was in place is there, or is kept.
func nothingLost(t *testing.T, dir string, before, after files) {
	t.Helper()
	now := look(t, dir)
	var kept []string
	filepath.WalkDir(filepath.Join(dir, repairsDir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, _ := os.ReadFile(path)
			kept = append(kept, string(b))
		}
		return nil
	})
	for name, c := range before {
		if string(now[name].Bytes) != string(c.Bytes) && !slices.Contains(kept, string(c.Bytes)) {
			t.Errorf("the old %s is neither in place nor kept", name)
		}
	}
	for name, c := range now {
		if strings.Contains(name, ".new-") {
			continue
		}
		b, inBefore := before[name]
		a, inAfter := after[name]
		if !(inBefore && b.Sum() == c.Sum()) && !(inAfter && a.Sum() == c.Sum()) {
			t.Errorf("%s is neither what it was nor what it becomes: %q (%o)", name, c.Bytes, c.Mode)
		}
	}
}

// resume finishes what was interrupted, and says whether the repair is made.
func resume(t *testing.T, dir string, before, after files) bool {
	t.Helper()
	if _, err := journal(dir, nil).Resume(); err != nil {
		t.Fatalf("Resume: %v", err)
	}
	if again, err := journal(dir, nil).Resume(); len(again) != 0 || err != nil {
		t.Errorf("a second Resume: %v, %v", again, err)
	}
	now := look(t, dir)
	switch {
	case now.equal(before):
		return false
	case now.equal(after):
		return true
	}
	mustBe(t, dir, after)
	t.Fatal("half of a repair is left")
	return false
}

// TestApplyInterrupted cuts Apply at each of its steps.
func TestApplyInterrupted(t *testing.T) {
	t.Parallel()
	const fewest = 20 // steps there must be at least, or the hook is not called
	made := false
	for n := 1; ; n++ {
		dir := folder(t)
		j := journal(dir, nil)
		r := plan(t, j)
		j.step = cutAt(n)
		_, err := j.Apply(r)
		if err == nil {
			if n < fewest {
				t.Errorf("Apply has %d steps only", n-1)
			}
			break
		}
		if !errors.Is(err, errCut) {
			t.Fatalf("step %d: %v", n, err)
		}
		nothingLost(t, dir, was, becomes)
		now := resume(t, dir, was, becomes)
		if made && !now {
			t.Errorf("step %d: the repair had begun, and is not finished", n)
		}
		made = now
		j = journal(dir, nil)
		if !made {
			if _, err := j.Undo(""); !errors.Is(err, ErrNoRepair) {
				t.Errorf("step %d: Undo of what never began: %v", n, err)
			}
			continue
		}
		if _, err := j.Undo(""); err != nil {
			t.Fatalf("step %d: Undo: %v", n, err)
		}
		mustBe(t, dir, was)
	}
	if !made {
		t.Error("no interruption was after the beginning")
	}
}

// TestUndoInterrupted cuts Undo at each of its steps.
func TestUndoInterrupted(t *testing.T) {
	t.Parallel()
	taken := false
	for n := 1; ; n++ {
		dir := folder(t)
		j := journal(dir, nil)
		if _, err := j.Apply(plan(t, j)); err != nil {
			t.Fatal(err)
		}
		j.step = cutAt(n)
		_, err := j.Undo("")
		if err == nil {
			break
		}
		if !errors.Is(err, errCut) {
			t.Fatalf("step %d: %v", n, err)
		}
		nothingLost(t, dir, becomes, was)
		taken = resume(t, dir, becomes, was)
		j = journal(dir, nil)
		if !taken {
			if _, err := j.Undo(""); err != nil {
				t.Fatalf("step %d: Undo: %v", n, err)
			}
			mustBe(t, dir, was)
			continue
		}
		if _, err := j.Undo(""); !errors.Is(err, ErrNoRepair) {
			t.Errorf("step %d: a second Undo: %v", n, err)
		}
		if _, err := j.Undo("2"); err != nil {
			t.Fatalf("step %d: Undo of the undo: %v", n, err)
		}
		mustBe(t, dir, becomes)
	}
	if !taken {
		t.Error("no interruption was after the beginning")
	}
}

// TestResumeInterrupted cuts Apply in its middle, and Resume at each of its steps.
func TestResumeInterrupted(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		dir := folder(t)
		j := journal(dir, nil)
		r := plan(t, j)
		var begun bool
		j.step = func() error {
			if _, err := os.Stat(filepath.Join(dir, repairsDir, "1")); err == nil {
				begun = true
				return errCut
			}
			return nil
		}
		if _, err := j.Apply(r); !errors.Is(err, errCut) || !begun {
			t.Fatal(err)
		}
		_, err := journal(dir, cutAt(n)).Resume()
		nothingLost(t, dir, was, becomes)
		if !resume(t, dir, was, becomes) {
			t.Fatalf("step %d: not finished", n)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, errCut) {
			t.Fatalf("step %d: %v", n, err)
		}
	}
}
