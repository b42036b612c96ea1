package account

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
)

// ErrNewerState: a newer readmit wrote some of the state.
var ErrNewerState = errors.New("a newer readmit wrote this device's state: update this program, or use that one; nothing was changed")

// cached are the files of a home that can be had again: from the server, or by
// trying again.
var cached = []string{agent.SessionFile, agent.AttemptFile, agent.PendingFile, agent.IncidentsDir}

// Reset plans to set aside all that this device keeps and can have again. The
// enrolment stays, unless it is damaged: then what is intact of it is put back.
// id is the enrolment as it will be; where nothing of it is intact, it goes too.
func Reset(ctx context.Context, a *agent.Agent, j *doctor.Journal) (r doctor.Repair, id agent.Identity, err error) {
	ex := &Examination{files: map[string]agent.Problem{}}
	(&running{x: &Examiner{Agent: a}, ex: ex}).state(ctx)
	if ex.NewerState() {
		return r, id, ErrNewerState
	}
	for _, file := range cached {
		delete(ex.files, file)
	}
	for file := range ex.files { // a damaged incident goes with all of them
		if file != agent.IdentityFile && file != agent.IdentityCopy {
			delete(ex.files, file)
		}
	}
	if r, err = ex.mendState(j); err != nil {
		return r, id, err
	}
	r.Cause, r.Why, r.Guide = "", doctor.Reset, nil
	r.Do = "Set aside what this device can have again: session, tokens, waiting sign-in, remembered refusals."
	for _, file := range cached {
		path := a.Home.Path(file)
		if none, err := empty(path); err != nil || none {
			if err != nil {
				return r, id, err
			}
			continue
		}
		aside, err := j.Aside(path)
		if err != nil {
			return r, id, err
		}
		r.Aside = append(r.Aside, aside)
	}
	return r, ex.identity, nil
}

// ReplacesSession reports whether to undo a repair would put another session
// file in the place of the one of the session that this device has now: somebody
// has signed in since. A session that the device was given back by its key is the
// same one. A file that a repair has changed, not moved, needs no look: its undo
// is refused where it is not what the repair left.
func ReplacesSession(h agent.Home, r doctor.Entry) (bool, error) {
	now, err := h.Session()
	if err != nil || now.ID == "" {
		return false, nil // a file that cannot be used is no loss
	}
	former, err := formerSession(h, r)
	return former != "" && former != now.ID, err
}

// RevivesSession reports whether to undo a repair would put a session file where
// this device has none now. Where it had one after the repair, it has signed out
// since, and the session has ended.
func RevivesSession(h agent.Home, r doctor.Entry) (bool, error) {
	now, err := h.Session()
	if err != nil || now.ID != "" {
		return false, nil
	}
	former, err := formerSession(h, r)
	return former != "", err
}

// formerSession is the session whose file a repair has moved aside; empty where
// there is none, or another file lies there now: the undo says what has become of it.
func formerSession(h agent.Home, r doctor.Entry) (string, error) {
	path, err := filepath.Abs(h.Path(agent.SessionFile))
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(r.Moves, func(m doctor.Moved) bool { return m.Path == path })
	if i < 0 {
		return "", nil
	}
	m := r.Moves[i]
	if sum, err := doctor.TreeSum(m.Out); err != nil || sum != m.OutSum {
		return "", err
	}
	b, err := os.ReadFile(m.Out)
	return agent.SessionIn(b).ID, err
}

// empty reports whether there is nothing at a path, or a folder with nothing in it.
func empty(path string) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil || !info.IsDir() {
		return false, err
	}
	in, err := os.ReadDir(path)
	return len(in) == 0, err
}
