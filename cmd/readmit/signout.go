package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/folders"
)

func newSignOutCommand(e *env) *cobra.Command {
	var keep, remove bool
	c := &cobra.Command{
		Use:   "sign-out",
		Short: "End this device's session; say what happens to the account's folders",
		Long: `End this device's session, here and at the server. The device stays enrolled:
it signs in again with the password alone. To take it off the account, run
"readmit devices remove ID" on another one.

Where folders belong to the account ("readmit data list"), it asks what happens to
them: they stay, or are moved aside, each beside itself, and kept for thirty days
at least; "readmit undo" brings them back.`,
		Example: `  readmit sign-out
  readmit sign-out --keep-data
  readmit sign-out --remove-data`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep && remove {
				return usageError{errors.New("--keep-data and --remove-data exclude each other")}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			here, err := e.foldersHere(a)
			if err != nil {
				return err
			}
			if len(here) > 0 && !keep && !remove {
				if remove, err = e.askFolders(cmd.Context(), here); err != nil {
					return err
				}
			}
			return e.signOut(cmd.Context(), a, here, remove)
		},
	}
	c.Flags().BoolVar(&keep, "keep-data", false, "the account's folders stay where they are")
	c.Flags().BoolVar(&remove, "remove-data", false, "move the account's folders aside, undoable")
	return c
}

// foldersHere lists the account's folders that are there.
func (e *env) foldersHere(a *agent.Agent) ([]folders.Folder, error) {
	id, err := a.Identity()
	if err != nil {
		return nil, err
	}
	all, err := folders.Of(a.Home, id)
	var here []folders.Folder
	for _, f := range all {
		if !f.Gone() {
			here = append(here, f)
		}
	}
	return here, err
}

// askFolders asks a person whether the folders are to be moved aside.
func (e *env) askFolders(ctx context.Context, here []folders.Folder) (remove bool, err error) {
	if !terminal(e.stdin) {
		return false, usageError{fmt.Errorf("%d folders belong to the account (readmit data list), and there is no terminal to ask at: say --keep-data or --remove-data", len(here))}
	}
	e.note("These folders belong to the account on this device:")
	for _, f := range here {
		e.note("  %s", f.Path)
	}
	fmt.Fprint(e.stderr, "keep them, or move them aside (undoable)? [keep/remove] ")
	in := bufio.NewReader(io.LimitReader(e.stdin, maxSecret))
	answer, err := typed(ctx, func() (string, error) { return in.ReadString('\n') })
	if ctx.Err() != nil {
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "k", "keep":
		return false, nil
	case "r", "remove":
		return true, nil
	}
	return false, exitError{failed, "nothing was changed: neither keep nor remove was answered", ""}
}

// signedOut is what a sign-out did.
type signedOut struct {
	SignedOut bool            `json:"signed_out"`
	Before    bool            `json:"ended_before"`
	Aside     []folders.Aside `json:"aside,omitempty"`
	Undo      []string        `json:"undo,omitempty"`
}

func (e *env) signOut(ctx context.Context, a *agent.Agent, here []folders.Folder, remove bool) error {
	if !remove || len(here) == 0 {
		ended, err := a.SignOut(ctx)
		if err != nil {
			return err
		}
		return e.toldSignedOut(signedOut{SignedOut: true, Before: ended})
	}
	unlock, err := a.Home.LockRepairs(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	j := e.journal(a)
	plan, err := folders.Leave(j, here) // what cannot be moved is known before anything has ended
	if err != nil {
		return unkept(a, err)
	}
	if err := canWrite(a.Home); err != nil {
		return err
	}
	if _, err := j.List(); err != nil { // what cannot be written down is not moved
		return err
	}
	ended, err := a.SignOut(ctx)
	if errors.Is(err, agent.ErrNotSignedIn) {
		ended, err = true, nil // the folders are left all the same
	}
	if err != nil {
		return err
	}
	unlockHome, err := a.Home.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlockHome()
	entry, err := j.Apply(plan)
	if err != nil {
		return exitError{failed, "signed out, but the folders are where they were: " + err.Error(), "close what uses them, and run: readmit sign-out --remove-data"}
	}
	out := signedOut{SignedOut: true, Before: ended, Undo: []string{"readmit", "undo", entry.ID}}
	moved, err := folders.Moved(entry)
	out.Aside = moved
	return errors.Join(e.toldSignedOut(out), err)
}

func (e *env) toldSignedOut(out signedOut) error {
	return e.data(out, func(w io.Writer) {
		text := "signed out"
		if out.Before {
			text = "signed out here; the session had ended before"
		}
		fmt.Fprintln(w, text)
		for _, s := range out.Aside {
			fmt.Fprintf(w, "%s lies in %s, until %s at least\n", clean(s.Path), clean(s.Lies), s.Until.Local().Format(time.DateOnly))
		}
		if len(out.Undo) > 0 {
			fmt.Fprintf(w, "to bring them back: %s\n", command(out.Undo))
		}
	})
}

// asideOf maps folders to what lies aside of them, the latest.
func (e *env) asideOf(a *agent.Agent, j *doctor.Journal) (map[string]folders.Aside, error) {
	lying, _, err := folders.Asides(j, a.Now().Add(time.Hour))
	of := map[string]folders.Aside{}
	for _, s := range lying {
		of[s.Path] = s
	}
	return of, err
}
