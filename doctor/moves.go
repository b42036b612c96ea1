package doctor

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Aside plans to move a file or a folder aside as it is now; fs.ErrNotExist
// when there is none.
func (j *Journal) Aside(path string) (Aside, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Aside{}, err
	}
	sum, err := TreeSum(path)
	if err == nil && sum == "none" {
		err = fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return Aside{path, sum}, err
}

// aside is where what an entry moves out of the way lies: beside it, so that it
// is on the same disk, under a name that is free: another home counts its entries
// too, and so did one that is gone.
func aside(path, id string) string {
	name := path + ".readmit-" + id
	out := name
	for n := 2; exists(out); n++ {
		out = name + "." + strconv.Itoa(n)
	}
	return out
}

// fromHome names what lies in a home from there, as it is written down: so a home
// that was copied or renamed works on its own files, never on those it had before.
// inside says whether there is any.
func fromHome(home string, moves []Moved) (named []Moved, inside bool) {
	name := func(path string) string {
		rel, err := filepath.Rel(home, path)
		if path == "" || err != nil || rel == "." || !filepath.IsLocal(rel) {
			return path
		}
		inside = true
		return filepath.ToSlash(rel)
	}
	for _, m := range moves {
		m.Path, m.Out, m.In = name(m.Path), name(m.Out), name(m.In)
		named = append(named, m)
	}
	return named, inside
}

// locate makes the paths of an entry as it was read absolute, and reports whether
// they can be. The first version named files of a home by where the home lay; of
// what it moved, only a reset's were any, all of them at the top of it.
func (e *Entry) locate(home string) bool {
	for i := range e.Moves {
		m := &e.Moves[i]
		for _, path := range []*string{&m.Path, &m.Out, &m.In} {
			named := filepath.FromSlash(*path)
			switch {
			case named == "":
			case e.Version < namedFromHome && e.Why == Reset:
				*path = filepath.Join(home, filepath.Base(named))
			case filepath.IsAbs(named):
			case e.Version >= namedFromHome && filepath.IsLocal(named):
				*path = filepath.Join(home, named)
			default:
				return false
			}
		}
	}
	return true
}

// back plans the way back of moves, the last one first.
func back(moves []Moved, id string, trees *sums) ([]Moved, error) {
	var out []Moved
	for _, m := range slices.Backward(moves) {
		now, err := trees.of(m.Path)
		if err != nil {
			return nil, err
		}
		b := Moved{Path: m.Path, In: m.Out, InSum: m.OutSum}
		if now != "none" {
			b.Out, b.OutSum = aside(m.Path, id), now
		}
		out = append(out, b)
	}
	return out, movable(out, trees)
}

// movable returns a ChangedError unless each move is still to be made from what it
// was planned on, or is made already, or half made.
func movable(moves []Moved, trees *sums) error {
	for _, m := range moves {
		out, in, path := exists(m.Out), exists(m.In), exists(m.Path)
		switch {
		case m.Out != "" && !out: // nothing is moved yet
			sum, err := trees.of(m.Path)
			if err != nil {
				return err
			}
			if sum != m.OutSum {
				return changed(m.Path, m.OutSum, sum)
			}
		case in && path: // something has come to where it shall go
			return &ChangedError{m.Path, Appeared}
		}
		if m.In != "" && in {
			sum, err := trees.of(m.In)
			if err != nil {
				return err
			}
			if sum != m.InSum {
				return changed(m.In, m.InSum, sum)
			}
		} else if m.In != "" && (!path || m.Out != "" && !out) { // it is neither where it lay nor where it shall go
			return &ChangedError{m.In, Gone}
		}
	}
	return nil
}

func exists(path string) bool {
	if path == "" {
		return false
	}
	_, err := os.Lstat(path)
	return err == nil
}

// move makes what is left of a move.
func (j *Journal) move(m Moved, trees *sums) error {
	if m.Out != "" && !exists(m.Out) {
		if err := j.rename(m.Path, m.Out); err != nil {
			return err
		}
		trees.moved(m.Path, m.Out)
	}
	if exists(m.In) {
		return j.rename(m.In, m.Path)
	}
	return nil
}

func (j *Journal) rename(from, to string) error {
	if err := j.tick(); err != nil {
		return err
	}
	if err := rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

// takeBack undoes the moves of an entry that cannot be finished, starts what
// was stopped, and forgets the entry; so that nothing has happened. What cannot
// be taken back either is left to Resume.
func (j *Journal) takeBack(e *Entry, moves []Moved, why error) error {
	for _, m := range slices.Backward(moves) {
		if m.In != "" && exists(m.Path) && !exists(m.In) && (m.Out == "" || exists(m.Out)) {
			if err := j.rename(m.Path, m.In); err != nil {
				return errors.Join(why, err)
			}
		}
		if exists(m.Out) && !exists(m.Path) {
			if err := j.rename(m.Out, m.Path); err != nil {
				return errors.Join(why, err)
			}
		}
	}
	if err := j.start(e); err != nil {
		return errors.Join(why, err)
	}
	if err := j.tick(); err != nil {
		return errors.Join(why, err)
	}
	if err := j.forget(e); err != nil {
		return errors.Join(why, err)
	}
	return fmt.Errorf("nothing was changed: %w", why)
}

// forget drops an entry that has come to nothing, whole or not at all: half of
// one would be a damaged journal.
func (j *Journal) forget(e *Entry) error {
	root := filepath.Join(j.Dir, repairsDir)
	gone, err := os.MkdirTemp(root, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(gone) // what stays of it is in nobody's way
	if err := rename(j.Kept(*e), filepath.Join(gone, e.ID)); err != nil {
		return err
	}
	return syncDir(root)
}

// stop stops the programs of an entry, in order.
func (j *Journal) stop(e *Entry) error {
	if len(e.Stop)+len(e.Start) > 0 && j.Services == nil {
		return fmt.Errorf("this repair stops and starts %s, which this system does not have: run the command where the repair was made", strings.Join(e.Stop, ", "))
	}
	for _, name := range e.Stop {
		if err := j.tick(); err != nil {
			return err
		}
		if err := j.Services.Stop(name); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
	}
	return nil
}

// start starts the programs of an entry and notes those that will not: a
// program that does not start is no reason to hold the files back.
func (j *Journal) start(e *Entry) error {
	e.Unstarted = nil
	for _, name := range e.Start {
		if err := j.tick(); err != nil {
			return err
		}
		if j.Services == nil || j.Services.Start(name) != nil {
			e.Unstarted = append(e.Unstarted, name)
		}
	}
	return nil
}

// TreeSum is the hex SHA-256 over the names, modes and contents of a file or of
// everything in a folder; "none" where there is nothing. Links are not followed.
func TreeSum(root string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%q %o\n", filepath.ToSlash(name), info.Mode())
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			fmt.Fprintf(sum, "%q\n", to)
			return err
		case info.Mode().IsRegular():
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			n, err := io.Copy(sum, f)
			fmt.Fprintf(sum, "\n%d\n", n)
			return err
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Lstat(root); errors.Is(gone, fs.ErrNotExist) {
			return "none", nil
		}
	}
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
