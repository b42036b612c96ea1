package doctor

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Interrupted reports whether a repair was begun and not finished. It is asked
// at every start: what cannot be read is for who examines or repairs to say.
func (j *Journal) Interrupted() bool {
	all, err := j.List()
	return err == nil && slices.ContainsFunc(all, func(e Entry) bool { return e.State == begun })
}

// LyingAside lists the entries asked for by why whose files lie aside since
// before a moment.
func (j *Journal) LyingAside(why string, before time.Time) ([]Entry, error) {
	all, err := j.List()
	if err != nil {
		return nil, err
	}
	var lying []Entry
	for _, e := range all {
		if e.State == done && e.Why == why && e.Undoes == "" && len(e.Moves) > 0 && e.At.Before(before) {
			lying = append(lying, e)
		}
	}
	return lying, nil
}

// Purge deletes for good what an entry has moved aside. It is the one thing here
// that destroys; a person has been told what and how much. What is not where it
// was put may come back with its disk: while anything is missing the entry stays,
// for the next time.
func (j *Journal) Purge(e Entry) error {
	if e.State != done {
		return ErrUndone
	}
	missing := false
	for _, m := range e.Moves {
		if m.Out == "" {
			continue
		}
		if _, err := os.Lstat(m.Out); errors.Is(err, fs.ErrNotExist) {
			missing = true
			continue
		}
		if err := j.tick(); err != nil {
			return err
		}
		if err := os.RemoveAll(m.Out); err != nil {
			return err
		}
	}
	if missing {
		return nil
	}
	e.State = purged
	return j.save(j.Kept(e), e)
}
