package doctor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"readmit.dev/readmit/cause"
)

var (
	// ErrChanged: a file is not any more what it was when the repair was shown,
	// or, for undo, what the repair left. It comes as a ChangedError.
	ErrChanged = errors.New("the evidence has changed")
	// ErrNoRepair: nothing to undo.
	ErrNoRepair = errors.New("there is no repair to undo")
	// ErrUndone: it was undone before.
	ErrUndone = errors.New("this repair was undone before")
	// ErrPurged: what it had moved aside was deleted, by a person's command.
	ErrPurged = errors.New("what lay aside was deleted since, by readmit data purge: it cannot come back")
	// ErrNewer: a newer readmit wrote the entry.
	ErrNewer = errors.New("a newer readmit wrote it: update this program, or use that one; this one changes nothing")
)

// What has become of a file or a folder that is not what it was.
const (
	Gone     = "is gone"
	Altered  = "has changed"
	Appeared = "is there again"
)

// ChangedError is ErrChanged with what has changed, and how.
type ChangedError struct {
	Path string // absolute
	How  string // Gone, Altered, Appeared
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s %s meanwhile: run the command again", e.Path, e.How)
}

func (e *ChangedError) Unwrap() error { return ErrChanged }

// changed tells what has become of what had one sum and has another now.
func changed(path, was, now string) error {
	how := Altered
	switch {
	case now == "none":
		how = Gone
	case was == "none":
		how = Appeared
	}
	return &ChangedError{path, how}
}

// Content is a file as it is or shall be; a nil Bytes is no file.
type Content struct {
	Bytes []byte
	Mode  fs.FileMode
}

// Sum is the hex SHA-256 of the content, "none" for no file. A file's mode is
// part of it: a repair may change nothing else.
func (c Content) Sum() string {
	if c.Bytes == nil {
		return "none"
	}
	sum := sha256.Sum256(append(fmt.Appendf(nil, "%o:", modeHere(c.Mode)), c.Bytes...))
	return hex.EncodeToString(sum[:])
}

// Change puts one content in the place of another.
type Change struct {
	File   string // within the journal's folder
	Before Content
	After  Content
}

// Aside is a file or a folder that is moved aside, whole; see Journal.Aside.
type Aside struct {
	Path string // absolute
	Sum  string // of the tree; see TreeSum
}

// Repair is what ends a cause on this device. Services are stopped before
// anything is touched and started when all is done, each in the order given.
type Repair struct {
	Cause   cause.Code
	Why     string // what asked for it where it was no cause: Reset, SignOut
	Do      string // for a person, before it is done
	Stop    []string
	Changes []Change
	Aside   []Aside
	Start   []string
	Guide   []string // the command that a person must run then; none when the repair is all
}

// What asks for a repair without a cause.
const (
	Reset   = "reset"
	SignOut = "sign-out"
)

// Services stops and starts programs, by names that the provider of a repair
// has given. To stop one that does not run, or to start one that does, is no error.
type Services interface {
	Stop(name string) error
	Start(name string) error
}

// Entry is a repair that was made, as the journal keeps it.
type Entry struct {
	Version int        `json:"version,omitempty"` // none in what the first readmit wrote, which is 1
	ID      string     `json:"id"`
	At      time.Time  `json:"at"`
	Cause   cause.Code `json:"cause,omitempty"`
	Why     string     `json:"why,omitempty"`
	Do      string     `json:"do"`
	Undoes  string     `json:"undoes,omitempty"`
	State   string     `json:"state"` // begun, done, undone, left, purged
	Stop    []string   `json:"stop,omitempty"`
	Start   []string   `json:"start,omitempty"`
	// Unstarted are those of Start that would not: a person starts them.
	Unstarted []string  `json:"unstarted,omitempty"`
	Changes   []Changed `json:"changes"`
	Moves     []Moved   `json:"moves,omitempty"`
}

// Left reports whether the repair was interrupted and could not be finished:
// the old contents lie in the journal's folder, for a person to put back.
func (e Entry) Left() bool { return e.State == left }

// Changed is a change as the journal keeps it: the contents lie beside it.
type Changed struct {
	File       string      `json:"file"`
	Before     string      `json:"before"` // sums, see Content.Sum
	After      string      `json:"after"`
	BeforeMode fs.FileMode `json:"before_mode"`
	AfterMode  fs.FileMode `json:"after_mode"`
}

// Moved is what an entry does at one path: what is there goes to Out, what lies
// at In comes there; either may be nothing. Both lie beside the path, so that a
// rename does it and no byte is copied. The paths are absolute; on disk, those in
// the journal's folder are named from there, see fromHome.
type Moved struct {
	Path   string `json:"path"`
	Out    string `json:"out,omitempty"`
	OutSum string `json:"out_sum,omitempty"` // what goes out; see TreeSum
	In     string `json:"in,omitempty"`
	InSum  string `json:"in_sum,omitempty"` // what comes in
}

// Restore is the command that puts a moved file back without readmit.
func (m Moved) Restore() string {
	if m.Out == "" {
		return ""
	}
	return restoreCommand(m.Out, m.Path)
}

// States of an entry.
const (
	begun  = "begun"
	done   = "done"
	undone = "undone"
	left   = "left" // interrupted, and its files were changed before it was finished
	purged = "purged"
)

// Versions of an entry. As with the files of a home, each is written in the lowest
// version that says all it has to say.
const (
	// firstVersion: every path is absolute.
	firstVersion = 1
	// namedFromHome: what lies in the journal's folder is named from there. To a
	// readmit of version 1 that would be a file of the folder it runs in.
	namedFromHome = 2

	journalVersion = namedFromHome // the highest one known
)

// Journal makes repairs in one folder. Before a file is touched, a folder
// repairs/ID holds the old and the new content of every file concerned, synced;
// so a repair that was interrupted anywhere is finished by Resume, and one that
// was finished can be undone byte for byte.
type Journal struct {
	Dir      string
	Now      func() time.Time
	Services Services // nil where no repair stops or starts any
	// step is called before each change on disk; tests fail there.
	step func() error
	// read is told of each reading of a tree; tests count there.
	read func(path string)
}

const repairsDir = "repairs"

// Read returns a file as a repair sees it.
func (j *Journal) Read(file string) (Content, error) {
	path := filepath.Join(j.Dir, file)
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Content{}, nil
	}
	if err != nil {
		return Content{}, err
	}
	if !info.Mode().IsRegular() {
		return Content{}, fmt.Errorf("%s is not a file: move it away by hand", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Content{}, fmt.Errorf("%w: give the file back to yourself (chown, chmod 600)", err)
	}
	if b == nil {
		b = []byte{}
	}
	return Content{b, info.Mode().Perm()}, nil
}

// Apply makes a repair. It returns ErrChanged, having touched nothing, when a
// file is not what the repair was planned on. One that could not move what it
// must is taken back at once.
func (j *Journal) Apply(r Repair) (Entry, error) {
	trees := &sums{read: j.read}
	for _, a := range r.Aside {
		now, err := trees.of(a.Path)
		if err != nil {
			return Entry{}, err
		}
		if now != a.Sum {
			return Entry{}, changed(a.Path, a.Sum, now)
		}
	}
	return j.apply(r, "", trees, func(id string) ([]Moved, error) {
		var moves []Moved
		for _, a := range r.Aside {
			moves = append(moves, Moved{Path: a.Path, Out: aside(a.Path, id), OutSum: a.Sum})
		}
		return moves, nil
	})
}

// apply writes an entry and carries it out; moves plans what is moved, once the
// entry's number is known.
func (j *Journal) apply(r Repair, undoes string, trees *sums, moves func(id string) ([]Moved, error)) (Entry, error) {
	for _, c := range r.Changes {
		now, err := j.Read(c.File)
		if err != nil {
			return Entry{}, err
		}
		if now.Sum() != c.Before.Sum() {
			return Entry{}, changed(filepath.Join(j.Dir, c.File), c.Before.Sum(), now.Sum())
		}
	}
	e := Entry{At: j.Now().UTC(), Cause: r.Cause, Why: r.Why, Do: r.Do, Undoes: undoes, State: begun, Stop: r.Stop, Start: r.Start}
	for _, c := range r.Changes {
		e.Changes = append(e.Changes, Changed{c.File, c.Before.Sum(), c.After.Sum(), c.Before.Mode, c.After.Mode})
	}
	var err error
	if e.ID, err = j.next(); err != nil {
		return Entry{}, err
	}
	if e.Moves, err = moves(e.ID); err != nil {
		return Entry{}, err
	}
	if err := j.write(&e, r.Changes); err != nil {
		return e, err
	}
	return e, j.finish(&e, trees)
}

// next is the number of the next entry.
func (j *Journal) next() (string, error) {
	all, err := j.List()
	if err != nil {
		return "", err
	}
	next := 1
	for _, o := range all {
		next = max(next, number(o.ID)+1)
	}
	return strconv.Itoa(next), nil
}

// write puts the entry on disk under its number, whole or not at all.
func (j *Journal) write(e *Entry, changes []Change) error {
	root := filepath.Join(j.Dir, repairsDir)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return err
	}
	if err := j.tick(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(root, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for i, c := range changes {
		for name, content := range map[string]Content{"before": c.Before, "after": c.After} {
			if content.Bytes == nil {
				continue
			}
			if err := j.put(filepath.Join(tmp, name+"-"+strconv.Itoa(i)), Content{content.Bytes, 0o600}); err != nil {
				return err
			}
		}
	}
	if err := j.save(tmp, *e); err != nil {
		return err
	}
	if err := j.tick(); err != nil {
		return err
	}
	if err := rename(tmp, filepath.Join(root, e.ID)); err != nil {
		return err
	}
	return syncDir(root)
}

func (j *Journal) save(dir string, e Entry) error {
	home, err := filepath.Abs(j.Dir)
	if err != nil {
		return err
	}
	e.Version = firstVersion
	var inside bool
	if e.Moves, inside = fromHome(home, e.Moves); inside {
		e.Version = namedFromHome
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return err
	}
	return j.put(filepath.Join(dir, "journal.json"), Content{append(b, '\n'), 0o600})
}

// finish brings every file to what the entry wants, and marks it done. Files
// that are there already are left; so it can be run again after any interruption.
// Nothing is touched when a file is neither what it was nor what it becomes.
func (j *Journal) finish(e *Entry, trees *sums) error {
	if err := movable(e.Moves, trees); err != nil {
		return err
	}
	todo, err := j.unchanged(e)
	if err != nil {
		return err
	}
	if err := j.stop(e); err != nil {
		return j.takeBack(e, nil, err)
	}
	for i, m := range e.Moves {
		if err := j.move(m, trees); err != nil {
			return j.takeBack(e, e.Moves[:i+1], err)
		}
	}
	if err := j.change(e, todo); err != nil {
		return err
	}
	if e.Undoes != "" {
		if err := j.mark(e.Undoes); err != nil {
			return err
		}
	}
	if err := j.start(e); err != nil {
		return err
	}
	for i, m := range e.Moves { // a program that was stopped has written its last words
		if m.Out != "" {
			if e.Moves[i].OutSum, err = trees.of(m.Out); err != nil {
				return err
			}
		}
	}
	e.State = done
	return j.save(j.Kept(*e), *e)
}

// unchanged lists the changes that are not made yet.
func (j *Journal) unchanged(e *Entry) ([]int, error) {
	var todo []int
	for i, c := range e.Changes {
		now, err := j.Read(c.File)
		if err != nil {
			return nil, err
		}
		switch now.Sum() {
		case c.After:
		case c.Before:
			todo = append(todo, i)
		default:
			return nil, changed(filepath.Join(j.Dir, c.File), c.Before, now.Sum())
		}
	}
	return todo, nil
}

// change makes the changes that are not made yet.
func (j *Journal) change(e *Entry, todo []int) error {
	for _, i := range todo {
		c := e.Changes[i]
		path := filepath.Join(j.Dir, c.File)
		if c.After == "none" {
			if err := j.tick(); err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return err
			}
			if err := syncDir(filepath.Dir(path)); err != nil {
				return err
			}
			continue
		}
		after, err := kept(j.Kept(*e), "after", i, c.After, c.AfterMode)
		if err != nil {
			return err
		}
		if err := j.put(path, after); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) mark(id string) error {
	e, err := j.entry(id)
	if err != nil {
		return err
	}
	e.State = undone
	return j.save(filepath.Join(j.Dir, repairsDir, id), e)
}

func (j *Journal) tick() error {
	if j.step == nil {
		return nil
	}
	return j.step()
}

// put writes a file whole or not at all.
func (j *Journal) put(path string, c Content) error {
	if err := j.tick(); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(c.Bytes)
	if err = errors.Join(err, f.Chmod(c.Mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := j.tick(); err != nil {
		return err
	}
	if err := rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// List returns the repairs made, oldest first.
func (j *Journal) List() ([]Entry, error) {
	folders, err := os.ReadDir(filepath.Join(j.Dir, repairsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Entry
	for _, f := range folders {
		if _, err := strconv.Atoi(f.Name()); err != nil {
			continue // an entry that never became whole: nothing was touched
		}
		e, err := j.entry(f.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return number(a.ID) - number(b.ID) })
	return all, nil
}

func number(id string) int {
	n, _ := strconv.Atoi(id) // List has checked
	return n
}

func (j *Journal) entry(id string) (Entry, error) {
	if _, err := strconv.Atoi(id); err != nil {
		return Entry{}, ErrNoRepair
	}
	b, err := os.ReadFile(filepath.Join(j.Dir, repairsDir, id, "journal.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, ErrNoRepair
	}
	if err != nil {
		return Entry{}, err
	}
	home, err := filepath.Abs(j.Dir)
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	whole := json.Unmarshal(b, &e) == nil && e.ID == id
	if whole && e.Version > journalVersion {
		return e, fmt.Errorf("repair %s: %w", id, ErrNewer)
	}
	if !whole || !e.locate(home) {
		return e, fmt.Errorf("the journal of repair %s is damaged: the files it kept are in %s; move that folder away to go on", id, j.Kept(Entry{ID: id}))
	}
	return e, nil
}

// Kept is the folder with what a repair has kept.
func (j *Journal) Kept(e Entry) string { return filepath.Join(j.Dir, repairsDir, e.ID) }

// Resume finishes repairs that were interrupted, and returns them. One whose
// files were changed since is left as it is, once and for all (see Entry.Left):
// what came after it is somebody's work, and the doctor must be able to go on.
func (j *Journal) Resume() ([]Entry, error) {
	all, err := j.List()
	if err != nil {
		return nil, err
	}
	var finished []Entry
	for _, e := range all {
		if e.State != begun {
			continue
		}
		err := j.finish(&e, &sums{read: j.read})
		if errors.Is(err, ErrChanged) {
			e.State = left
			err = errors.Join(j.start(&e), j.save(j.Kept(e), e))
		}
		if err != nil {
			return finished, fmt.Errorf("repair %s was interrupted and cannot be finished: %w", e.ID, err)
		}
		finished = append(finished, e)
	}
	return finished, nil
}

// Undoable lists the repairs that can be taken back and were not, oldest first;
// what an undo has written down is none of them.
func (j *Journal) Undoable() ([]Entry, error) {
	all, err := j.List()
	return slices.DeleteFunc(all, func(e Entry) bool { return e.State != done || e.Undoes != "" }), err
}

// Undo takes a repair back, byte for byte; an empty id is the latest that can be.
// It is itself written down, and refuses with a ChangedError, and the repair, when
// a file is not what the repair left, or what lies aside is not what was moved
// there. What has come since in the place of what was moved is moved aside in its
// turn.
func (j *Journal) Undo(id string) (Entry, error) {
	if id == "" {
		all, err := j.Undoable()
		if err != nil {
			return Entry{}, err
		}
		if len(all) == 0 {
			return Entry{}, ErrNoRepair
		}
		id = all[len(all)-1].ID
	}
	e, err := j.entry(id)
	if err != nil {
		return e, err
	}
	switch e.State {
	case undone:
		return e, ErrUndone
	case purged:
		return e, ErrPurged
	}
	if e.Left() {
		return e, fmt.Errorf("repair %s was interrupted, and its files have changed since: what it kept is in %s", e.ID, j.Kept(e))
	}
	r := Repair{Cause: e.Cause, Why: e.Why, Do: "Undo repair " + e.ID + ".", Stop: e.Stop, Start: e.Start}
	dir := j.Kept(e)
	for i := len(e.Changes) - 1; i >= 0; i-- {
		c := e.Changes[i]
		before, err := kept(dir, "before", i, c.Before, c.BeforeMode)
		if err != nil {
			return e, err
		}
		after, err := kept(dir, "after", i, c.After, c.AfterMode)
		if err != nil {
			return e, err
		}
		r.Changes = append(r.Changes, Change{File: c.File, Before: after, After: before})
	}
	trees := &sums{read: j.read}
	made, err := j.apply(r, e.ID, trees, func(id string) ([]Moved, error) { return back(e.Moves, id, trees) })
	if errors.Is(err, ErrChanged) {
		return e, err
	}
	return made, err
}

// kept reads a content that the journal holds, and sees that it is whole.
func kept(dir, name string, i int, sum string, mode fs.FileMode) (Content, error) {
	if sum == "none" {
		return Content{}, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, name+"-"+strconv.Itoa(i)))
	if err != nil {
		return Content{}, err
	}
	if b == nil {
		b = []byte{}
	}
	c := Content{b, mode}
	if c.Sum() != sum {
		return c, fmt.Errorf("the kept file %s is damaged, and was not used", filepath.Join(dir, name+"-"+strconv.Itoa(i)))
	}
	return c, nil
}
