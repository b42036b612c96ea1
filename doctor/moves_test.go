package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// daemons are programs that hold files; stopped, one writes its last words.
type daemons struct {
	log       []string
	last      string // file written when a daemon is stopped
	stop, run error
}

func (d *daemons) Stop(name string) error {
	if d.stop != nil {
		return d.stop
	}
	d.log = append(d.log, "stop "+name)
	if d.last != "" {
		return os.WriteFile(d.last, []byte("last words"), 0o600)
	}
	return nil
}

func (d *daemons) Start(name string) error {
	d.log = append(d.log, "start "+name)
	return d.run
}

// library makes a file and a folder that a repair moves aside.
func library(t *testing.T) (root, list, tokens string) {
	t.Helper()
	root = t.TempDir()
	list, tokens = filepath.Join(root, "Preferences", "list.plist"), filepath.Join(root, "Accounts", "tokens")
	write(t, list, Content{[]byte("bplist\x00\xff"), 0o640})
	write(t, filepath.Join(tokens, "a"), Content{[]byte("one"), 0o600})
	write(t, filepath.Join(tokens, "sub", "b"), Content{[]byte("two"), 0o400})
	if err := os.Symlink("a", filepath.Join(tokens, "link")); err != nil {
		t.Fatal(err)
	}
	return root, list, tokens
}

func sum(t *testing.T, path string) string {
	t.Helper()
	s, err := TreeSum(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func asides(t *testing.T, j *Journal, paths ...string) Repair {
	t.Helper()
	r := Repair{Cause: "services-disagree", Do: "Set it aside.", Stop: []string{"one", "two"}, Start: []string{"two", "one"}}
	for _, p := range paths {
		a, err := j.Aside(p)
		if err != nil {
			t.Fatal(err)
		}
		r.Aside = append(r.Aside, a)
	}
	return r
}

func TestMoveAsideAndBack(t *testing.T) {
	root, list, tokens := library(t)
	d := &daemons{}
	j := journal(t.TempDir(), nil)
	j.Services = d
	before := sum(t, root)
	e, err := j.Apply(asides(t, j, list, tokens))
	if err != nil {
		t.Fatal(err)
	}
	if exists(list) || exists(tokens) || !exists(e.Moves[0].Out) || !exists(e.Moves[1].Out) {
		t.Error("not moved aside")
	}
	if want := "stop one, stop two, start two, start one"; strings.Join(d.log, ", ") != want {
		t.Errorf("did %v, want %s", d.log, want)
	}
	if got := e.Moves[0].Restore(); !strings.Contains(got, e.Moves[0].Out) || !strings.HasSuffix(got, `"`+list+`"`) {
		t.Errorf("the command that restores is %s", got)
	}
	// A daemon makes a file anew; the way back parks it, and so loses nothing.
	write(t, list, Content{[]byte("made anew"), 0o600})
	u, err := j.Undo("")
	if err != nil {
		t.Fatal(err)
	}
	parked := u.Moves[1].Out
	if b, err := os.ReadFile(parked); err != nil || string(b) != "made anew" {
		t.Errorf("what had come since is %q, %v", b, err)
	}
	if err := os.Rename(parked, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Fatal(err)
	}
	if after := sum(t, root); after != before {
		t.Error("the way back is not byte for byte")
	}
}

func TestUndoOfUndo(t *testing.T) {
	root, list, tokens := library(t)
	j := journal(t.TempDir(), nil)
	j.Services = &daemons{}
	if _, err := j.Apply(asides(t, j, list, tokens)); err != nil {
		t.Fatal(err)
	}
	write(t, list, Content{[]byte("made anew"), 0o600})
	aside := sum(t, root)
	u, err := j.Undo("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Undo(u.ID); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(list); err != nil || string(b) != "made anew" {
		t.Errorf("the list is %q, %v", b, err)
	}
	if exists(tokens) {
		t.Error("the tokens are still there")
	}
	if sum(t, root) == aside {
		t.Error("the names of what lies aside should tell the entries apart")
	}
}

// TestLastWords: what a program writes while it is stopped moves with the file,
// and is no reason to refuse the way back.
func TestLastWords(t *testing.T) {
	_, list, tokens := library(t)
	j := journal(t.TempDir(), nil)
	d := &daemons{last: list}
	j.Services = d
	if _, err := j.Apply(asides(t, j, list, tokens)); err != nil {
		t.Fatal(err)
	}
	d.last = ""
	if _, err := j.Undo(""); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(list); err != nil || string(b) != "last words" {
		t.Errorf("the list is %q, %v", b, err)
	}
}

func TestMovesRefuseWhatChanged(t *testing.T) {
	root, list, tokens := library(t)
	j := journal(t.TempDir(), nil)
	d := &daemons{}
	j.Services = d
	r := asides(t, j, list, tokens)
	write(t, filepath.Join(tokens, "sub", "c"), Content{[]byte("three"), 0o600})
	before := sum(t, root)
	if _, err := j.Apply(r); !errors.Is(err, ErrChanged) {
		t.Fatalf("a changed folder was moved: %v", err)
	}
	if sum(t, root) != before || len(d.log) > 0 {
		t.Error("something was touched")
	}
	e, err := j.Apply(asides(t, j, list, tokens))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(e.Moves[1].Out, "a"), Content{[]byte("tampered with"), 0o600})
	d.log = nil
	if _, err := j.Undo(""); !errors.Is(err, ErrChanged) {
		t.Fatalf("what lay aside was changed and put back: %v", err)
	}
	if exists(list) || exists(tokens) || len(d.log) > 0 {
		t.Error("something was touched")
	}
}

// TestAsideOfAnother: what another home, or one that is gone, has moved to the
// name that would be next is nobody else's to claim.
func TestAsideOfAnother(t *testing.T) {
	_, list, _ := library(t)
	const theirs = "of another home"
	for _, taken := range []string{".readmit-1", ".readmit-1.2", ".readmit-2"} {
		write(t, list+taken, Content{[]byte(theirs), 0o600})
	}
	before := sum(t, list)
	j := journal(t.TempDir(), nil)
	j.Services = &daemons{}
	e, err := j.Apply(asides(t, j, list))
	if err != nil {
		t.Fatal(err)
	}
	if out := e.Moves[0].Out; out != list+".readmit-1.3" || sum(t, out) != before || exists(list) {
		t.Errorf("it lies in %s; in its place: %v", out, exists(list))
	}
	write(t, list, Content{[]byte("came since"), 0o600})
	u, err := j.Undo("")
	if err != nil {
		t.Fatal(err)
	}
	if out := u.Moves[0].Out; out != list+".readmit-2.2" || sum(t, list) != before {
		t.Errorf("what came since is in %s, and what is back is other", out)
	}
	for _, taken := range []string{".readmit-1", ".readmit-1.2", ".readmit-2"} {
		if b, err := os.ReadFile(list + taken); err != nil || string(b) != theirs {
			t.Errorf("%s is %q, %v", taken, b, err)
		}
	}
}

// TestUndoOfWhatIsGone: what has come since stays in its place when what lay
// aside is gone.
func TestUndoOfWhatIsGone(t *testing.T) {
	root, list, _ := library(t)
	j := journal(t.TempDir(), nil)
	j.Services = &daemons{}
	e, err := j.Apply(asides(t, j, list))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(e.Moves[0].Out); err != nil {
		t.Fatal(err)
	}
	for _, since := range []string{"", "came since"} {
		if since != "" {
			write(t, list, Content{[]byte(since), 0o600})
		}
		before := sum(t, root)
		refused, err := j.Undo("")
		is := new(ChangedError)
		if !errors.As(err, &is) || *is != (ChangedError{e.Moves[0].Out, Gone}) || refused.ID != e.ID {
			t.Errorf("with %q in its place: repair %q, %v", since, refused.ID, err)
		}
		if sum(t, root) != before {
			t.Errorf("with %q in its place: something was touched", since)
		}
	}
}

// TestMovesCut loses the power at each step, of the repair and of its undo:
// what is left is finished, and the way back leads to the same bytes.
func TestMovesCut(t *testing.T) {
	for _, undo := range []bool{false, true} {
		for n := 1; ; n++ {
			root, list, tokens := library(t)
			before := sum(t, root)
			dir := t.TempDir()
			j := journal(dir, nil)
			j.Services = &daemons{}
			r := asides(t, j, list, tokens)
			if undo {
				if _, err := j.Apply(r); err != nil {
					t.Fatal(err)
				}
				write(t, list, Content{[]byte("made anew"), 0o600})
			}
			j.step = cutAt(n)
			var err error
			if undo {
				_, err = j.Undo("")
			} else {
				_, err = j.Apply(r)
			}
			whole := err == nil
			if !whole && !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			j = journal(dir, nil)
			j.Services = &daemons{}
			if _, err := j.Resume(); err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
			for { // all the way back
				if _, err := j.Undo(""); errors.Is(err, ErrNoRepair) {
					break
				} else if err != nil {
					t.Fatalf("step %d: %v", n, err)
				}
			}
			parked, err := filepath.Glob(filepath.Join(root, "*", "*.readmit-*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range parked {
				if b, err := os.ReadFile(p); err != nil || string(b) != "made anew" {
					t.Errorf("step %d: %s lies aside: %q, %v", n, p, b, err)
				}
				if err := os.Remove(p); err != nil {
					t.Fatal(err)
				}
			}
			if undo != (len(parked) == 1) || sum(t, root) != before {
				t.Errorf("undo %v, step %d: not as it was; aside %v", undo, n, parked)
			}
			if whole {
				if n < 5 {
					t.Fatalf("only %d steps", n)
				}
				break
			}
		}
	}
}

// TestMoveThatCannotBeMade is taken back at once, and forgotten.
func TestMoveThatCannotBeMade(t *testing.T) {
	root, list, tokens := library(t)
	before := sum(t, root)
	j := journal(t.TempDir(), nil)
	d := &daemons{}
	j.Services = d
	r := asides(t, j, list, tokens)
	// A name that is too long for what is added to it.
	long := filepath.Join(root, strings.Repeat("n", 250))
	write(t, long, Content{[]byte("x"), 0o600})
	a, err := j.Aside(long)
	if err != nil {
		t.Fatal(err)
	}
	r.Aside = append(r.Aside, a)
	with := sum(t, root)
	if _, err := j.Apply(r); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("got %v", err)
	}
	if sum(t, root) != with || with == before {
		t.Error("not taken back")
	}
	if !slices.Contains(d.log, "start one") {
		t.Error("what was stopped is not started again")
	}
	if all, err := j.List(); len(all) != 0 || err != nil {
		t.Errorf("an entry is left: %v, %v", all, err)
	}

	d.stop = errors.New("not permitted")
	if _, err := j.Apply(asides(t, j, list)); err == nil || !exists(list) {
		t.Errorf("moved under a program that would not stop: %v", err)
	}
	j.Services = nil
	if _, err := j.Apply(asides(t, j, list)); err == nil || !exists(list) {
		t.Errorf("moved without a way to stop programs: %v", err)
	}
	if _, err := j.Aside(filepath.Join(root, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing can be moved aside: %v", err)
	}
}

// TestProgramThatDoesNotStart is named; the repair holds all the same.
func TestProgramThatDoesNotStart(t *testing.T) {
	_, list, _ := library(t)
	j := journal(t.TempDir(), nil)
	j.Services = &daemons{run: errors.New("gone")}
	e, err := j.Apply(asides(t, j, list))
	if err != nil || !slices.Equal(e.Unstarted, []string{"two", "one"}) {
		t.Errorf("unstarted %v, %v", e.Unstarted, err)
	}
	if all, err := j.List(); err != nil || all[0].State != done || len(all[0].Unstarted) != 2 {
		t.Errorf("kept as %+v, %v", all, err)
	}
}
