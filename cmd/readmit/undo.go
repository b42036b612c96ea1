package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/account"
)

func newUndoCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "undo [ID]",
		Short: "Take a repair back, byte for byte",
		Long: `Take a repair back, byte for byte: the latest, or the one named. It is refused when
a file is not what the repair left; and without an ID, where it would put a former
session in the place of the one you have signed in to since, or would put back one
that you have signed out of. An undo is itself kept,
and can be undone by its own ID. "readmit undo --json" tells which repair it was.`,
		Example: "  readmit undo\n  readmit undo 3",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			unlock, err := a.Home.LockRepairs(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			unlockHome, err := a.Home.Lock(cmd.Context())
			if err != nil {
				return err
			}
			j := e.journal(a)
			id := ""
			if len(args) > 0 {
				id = args[0]
			} else {
				err = mayUndoLatest(a, j)
			}
			if err == nil {
				err = canUndo(a, j, id)
			}
			var done doctor.Entry
			if err == nil {
				done, err = j.Undo(id)
			}
			unlockHome()
			if id != "" && errors.Is(err, doctor.ErrNoRepair) {
				all, listed := j.Undoable()
				if listed != nil {
					return listed
				}
				return exitError{failed, "there is no repair " + id + " to undo", strings.TrimPrefix(others(all, id), "; ")}
			}
			if err != nil {
				return notUndone(a, j, done, err)
			}
			unlock()
			done.Unstarted = e.await(a, done)
			out := made{ID: done.ID, Cause: done.Cause, Why: done.Why, Do: done.Do, Files: []string{}, Stop: done.Stop, Start: done.Start, Unstarted: done.Unstarted}
			for _, c := range done.Changes {
				out.Files = append(out.Files, c.File)
			}
			for _, m := range done.Moves {
				out.Files = append(out.Files, m.Path)
			}
			if err := e.data(out, func(w io.Writer) {
				if s, err := a.Home.Session(); done.Why == doctor.SignOut && err == nil && s.ID == "" {
					fmt.Fprintln(w, "the folders are back; to sign in again: readmit sign-in")
				}
				fmt.Fprintf(w, "repair %s is taken back: %s\n", done.Undoes, clean(strings.Join(out.Files, ", ")))
				for _, m := range done.Moves {
					if m.Out != "" {
						fmt.Fprintf(w, "  what had come to %s since is in %s\n", clean(m.Path), clean(m.Out))
					}
				}
				for _, name := range done.Unstarted {
					if name == theAgent {
						fmt.Fprintln(w, "  "+agentUnstarted)
						continue
					}
					fmt.Fprintf(w, "  %s did not start: start it yourself, or restart this machine\n", clean(name))
				}
			}); err != nil {
				return err
			}
			if slices.Contains(done.Unstarted, theAgent) {
				return exitError{code: failed}
			}
			return nil
		},
	}
}

// mayUndoLatest refuses where nobody has said which repair, and the latest would
// cost the session that this device has now, or bring back one that it has ended.
func mayUndoLatest(a *agent.Agent, j *doctor.Journal) error {
	all, err := j.Undoable()
	if err != nil || len(all) == 0 {
		return err
	}
	latest := all[len(all)-1]
	why, then := "", ""
	replaces, err := account.ReplacesSession(a.Home, latest)
	if err != nil {
		return err
	}
	if replaces {
		why = "it would put the session file of before in the place of the session that you have signed in to since, and this device would be signed out"
		then = "; the present session then lies beside it"
	}
	if given := slices.Contains(latest.Start, theSession) && !slices.Contains(latest.Unstarted, theSession); given {
		revives, err := account.RevivesSession(a.Home, latest)
		if err != nil {
			return err
		}
		if revives {
			why = "it would put back the session file of before, and this device has signed out since: a session that has ended is refused"
			then = "; to sign in again: readmit sign-in"
		}
	}
	if why == "" {
		return nil
	}
	return exitError{failed, fmt.Sprintf("repair %s (%s) was not taken back: %s", latest.ID, ofRepair(latest), why),
		"to do it all the same: readmit undo " + latest.ID + then + others(all, latest.ID)}
}

// canUndo reports what would keep a repair from being taken back, or the agent
// from running again after that; an empty id is the latest.
func canUndo(a *agent.Agent, j *doctor.Journal, id string) error {
	all, err := j.List()
	if id == "" {
		all, err = j.Undoable()
	}
	if err != nil {
		return err
	}
	var start []string
	for _, r := range all {
		if r.ID == id || id == "" {
			start = r.Start // without an id the last counts
		}
	}
	return canRepair(a.Home, start)
}

// notUndone says of an undo that was refused what has become of which file, and
// how one goes on.
func notUndone(a *agent.Agent, j *doctor.Journal, r doctor.Entry, err error) error {
	is := new(doctor.ChangedError)
	if !errors.As(err, &is) {
		return unkept(a, err)
	}
	all, listed := j.Undoable()
	if listed != nil {
		return listed
	}
	text := fmt.Sprintf("repair %s (%s) was not taken back: %s %s", r.ID, ofRepair(r), is.Path, is.How)
	return exitError{failed, text, keptOf(j, r, *is) + others(all, r.ID)}
}

// keptOf says where that is which a refused undo would have put back.
func keptOf(j *doctor.Journal, r doctor.Entry, is doctor.ChangedError) string {
	for i, c := range r.Changes {
		if filepath.Join(j.Dir, c.File) != is.Path {
			continue
		}
		if c.Before == "none" {
			return "before the repair there was no such file: to go back to that, move it away yourself"
		}
		return fmt.Sprintf("what the repair replaced is kept in %s: to have it back, copy it there yourself", filepath.Join(j.Kept(r), "before-"+strconv.Itoa(i)))
	}
	var left []string
	for _, m := range r.Moves {
		if _, err := os.Lstat(m.Out); m.Out == "" || err != nil {
			continue
		}
		first := ""
		if _, err := os.Lstat(m.Path); err == nil {
			first = " (move away first what is there now)"
		}
		left = append(left, m.Restore()+first)
	}
	if len(left) == 0 {
		return "nothing of it is left that could come back"
	}
	return "to put back what lies aside, as it is now: " + strings.Join(left, "; ")
}

// ofRepair is what a repair was for, in a word, and when it was made.
func ofRepair(r doctor.Entry) string {
	what := string(r.Cause)
	if what == "" {
		what = r.Why
	}
	return what + ", " + r.At.Local().Format(time.DateOnly)
}

// toName is how many other repairs are named.
const toName = 5

// others names the latest of the other repairs that can be taken back.
func others(all []doctor.Entry, but string) string {
	var names []string
	for _, r := range slices.Backward(all) {
		if r.ID != but && len(names) < toName {
			names = append(names, fmt.Sprintf("readmit undo %s (%s)", r.ID, ofRepair(r)))
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; other repairs: " + strings.Join(names, ", ")
}
