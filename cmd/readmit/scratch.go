package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"readmit.dev/readmit/store/sqlite"
)

// scratch is a folder, mode 0700, in which something is made before it gets its
// name. It is locked as long as its command works: what was killed leaves one
// that is free, and the next command takes it away.
type scratch struct {
	dir     string
	release func()
}

// What a scratch holds. Nothing else is ever taken away.
const (
	scratchCopy  = "copy"
	scratchTrial = "trial"
	scratchLock  = "lock"
)

func newScratch(in, prefix string) (*scratch, error) {
	for range 10 {
		dir, err := os.MkdirTemp(in, prefix+"*")
		if err != nil {
			return nil, err
		}
		release, err := sqlite.Lock(dir)
		if _, gone := os.Stat(dir); gone != nil {
			// Between the two another command has taken it for one that was left.
			if err == nil {
				release()
			}
			continue
		}
		if err != nil {
			os.RemoveAll(dir)
			return nil, err
		}
		s := &scratch{dir, release}
		if err := os.Mkdir(s.trial(), 0o700); err != nil {
			s.drop()
			return nil, err
		}
		return s, nil
	}
	return nil, fmt.Errorf("no folder could be made in %s", in)
}

func (s *scratch) copy() string  { return filepath.Join(s.dir, scratchCopy) }
func (s *scratch) trial() string { return filepath.Join(s.dir, scratchTrial) }

// drop takes it away while it is locked, so that nobody else does, and where an
// open file cannot be removed, that one after it.
func (s *scratch) drop() error {
	err := os.RemoveAll(s.dir)
	s.release()
	if err != nil {
		err = os.RemoveAll(s.dir)
	}
	return err
}

// abandoned takes hold of what killed commands have left in a folder; what is
// not whole, not theirs or at work stays. Those that cannot be opened are named.
func abandoned(in, prefix string) (free []*scratch, closed []string, err error) {
	list, err := os.ReadDir(in)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range list {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		dir := filepath.Join(in, e.Name())
		held, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrPermission) {
			closed = append(closed, dir)
		}
		if err != nil || slices.ContainsFunc(held, func(e os.DirEntry) bool {
			return !slices.Contains([]string{scratchCopy, scratchTrial, scratchLock}, e.Name())
		}) {
			continue
		}
		if release, err := sqlite.Lock(dir); err == nil {
			free = append(free, &scratch{dir, release})
		}
	}
	return free, closed, nil
}
