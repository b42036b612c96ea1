// Package folders keeps which folders on this device belong to the account: what a
// person may want to take along, or leave nobody, when they sign out.
//
// Nothing is done to a folder by registering it. At sign-out the folders stay,
// or are moved aside, whole, each beside itself, so that no byte is copied and
// "readmit undo" brings them back. They are deleted by a command of their own
// alone, and only after they have lain aside for thirty days.
package folders

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
)

// KeptFor is how long folders that were moved aside are kept at least.
const KeptFor = 30 * 24 * time.Hour

// Folder is one that belongs to the account.
type Folder struct {
	Path    string    `json:"path"` // absolute, without links
	Account string    `json:"account"`
	Server  string    `json:"server"`
	Added   time.Time `json:"added"`
}

// Gone reports whether there is no such folder now.
func (f Folder) Gone() bool {
	info, err := os.Lstat(f.Path)
	return err != nil || !info.IsDir()
}

// RefusedError says why a folder is not taken, and what to do.
type RefusedError struct{ Path, Why, Hint string }

func (e *RefusedError) Error() string { return e.Path + ": " + e.Why }

type list struct {
	Folders []Folder `json:"folders"`
}

// List lists the folders of a home, by path.
func List(h agent.Home) ([]Folder, error) {
	var l list
	err := h.Load(agent.FoldersFile, &l)
	if e := new(agent.StateError); errors.As(err, &e) && e.Problem == agent.Missing {
		return nil, nil
	}
	return l.Folders, err
}

// Of lists the folders that belong to one account.
func Of(h agent.Home, id agent.Identity) ([]Folder, error) {
	all, err := List(h)
	return slices.DeleteFunc(all, func(f Folder) bool { return f.Account != id.Account || f.Server != id.Server }), err
}

// Add registers a folder for the account that the device is enrolled for. user
// is the person's own folder, empty where there is none. The caller holds the
// home's lock.
func Add(h agent.Home, id agent.Identity, dir, user string, now time.Time) (Folder, error) {
	path, err := resolve(dir)
	if err != nil {
		return Folder{}, err
	}
	all, err := List(h)
	if err != nil {
		return Folder{}, err
	}
	if err := fits(path, h.Dir(), user, all); err != nil {
		return Folder{}, err
	}
	f := Folder{Path: path, Account: id.Account, Server: id.Server, Added: now.UTC()}
	all = append(all, f)
	slices.SortFunc(all, func(a, b Folder) int { return strings.Compare(a.Path, b.Path) })
	return f, h.Save(agent.FoldersFile, list{all})
}

// resolve makes a path absolute and follows links, so that what is moved later
// is the folder and not a link to it.
func resolve(dir string) (string, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &RefusedError{path, "there is no such folder", "make it first, or check the name"}
	case errors.Is(err, fs.ErrPermission):
		return "", &RefusedError{path, "it cannot be read", "give it back to yourself (chown), or name another"}
	case err != nil:
		return "", err
	}
	info, err := os.Stat(real)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", &RefusedError{real, "it is not a folder", "name the folder it lies in"}
	}
	return real, nil
}

// fits refuses what could not be moved aside without taking along what is none
// of the account's.
func fits(path, home, user string, all []Folder) error {
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	if abs, err := filepath.Abs(home); err == nil {
		home = abs
	}
	if real, err := filepath.EvalSymlinks(user); err == nil {
		user = real
	}
	switch {
	case path == filepath.Dir(path):
		return &RefusedError{path, "it is a whole disk", "name the folder on it that belongs to the account"}
	case user != "" && within(user, path):
		return &RefusedError{path, "your own folder lies there, with much that is not the account's", "name the folder in it that belongs to the account"}
	case within(path, home):
		return &RefusedError{path, "this device's own state lies there", "name a folder outside of " + home}
	case within(home, path):
		return &RefusedError{path, "this device's own state lies in it", "name a folder in it that belongs to the account, or set READMIT_HOME to a folder elsewhere"}
	}
	for _, f := range all {
		switch {
		case f.Path == path:
			return &RefusedError{path, "it is registered already, for " + f.Account, "see: readmit data list"}
		case within(path, f.Path):
			return &RefusedError{path, fmt.Sprintf("it lies in %s, which is registered already", f.Path), "nothing need be done: it goes where that one goes"}
		case within(f.Path, path):
			return &RefusedError{path, fmt.Sprintf("%s, which lies in it, is registered already", f.Path), "take that one off the list first: readmit data remove DIR"}
		}
	}
	return nil
}

// within reports whether a path is a folder or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// Remove takes a folder off the list; nothing happens to the folder. One that is
// gone can be taken off by the path the list has. The caller holds the home's lock.
func Remove(h agent.Home, dir string) (Folder, error) {
	all, err := List(h)
	if err != nil {
		return Folder{}, err
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		return Folder{}, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	i := slices.IndexFunc(all, func(f Folder) bool { return f.Path == path || f.Path == real })
	if i < 0 {
		return Folder{}, &RefusedError{path, "it is not registered", "see: readmit data list"}
	}
	f := all[i]
	return f, h.Save(agent.FoldersFile, list{slices.Delete(all, i, i+1)})
}

// Leave plans to move folders aside, as they are now. Those that are gone are
// left out.
func Leave(j *doctor.Journal, folders []Folder) (doctor.Repair, error) {
	r := doctor.Repair{Why: doctor.SignOut, Do: "Move the account's folders aside, each beside itself."}
	for _, f := range folders {
		if f.Gone() {
			continue
		}
		a, err := j.Aside(f.Path)
		if err != nil {
			return r, err
		}
		r.Aside = append(r.Aside, a)
	}
	return r, nil
}

// Aside is a folder that was moved aside.
type Aside struct {
	Path  string    `json:"path"` // where it was
	Lies  string    `json:"lies"` // where it is
	Since time.Time `json:"since"`
	Until time.Time `json:"until"` // it is kept that long at least
	Files int       `json:"files"`
	Bytes int64     `json:"bytes"`
	Undo  string    `json:"undo"` // the repair that brings it back
}

// Asides lists what lies aside since before a moment, with how much it is, and
// the entries that moved it there.
func Asides(j *doctor.Journal, before time.Time) ([]Aside, []doctor.Entry, error) {
	entries, err := j.LyingAside(doctor.SignOut, before)
	if err != nil {
		return nil, nil, err
	}
	var all []Aside
	var of []doctor.Entry
	for _, e := range entries {
		moved, err := Moved(e)
		if err != nil {
			return nil, nil, err
		}
		if len(moved) > 0 { // one that is gone may come back with its disk
			all, of = append(all, moved...), append(of, e)
		}
	}
	return all, of, nil
}

// Moved lists what one sign-out has moved aside, with how much it is. What is gone
// from there is left out.
func Moved(e doctor.Entry) (all []Aside, err error) {
	for _, m := range e.Moves {
		if _, err := os.Lstat(m.Out); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		a := Aside{Path: m.Path, Lies: m.Out, Since: e.At, Until: e.At.Add(KeptFor), Undo: e.ID}
		if a.Files, a.Bytes, err = amount(m.Out); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// amount counts the files in a folder and their bytes; one that is gone has none.
func amount(root string) (files int, bytes int64, err error) {
	err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return files, bytes, err
}
