package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/doctor"
)

func newUndoCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "undo [ID]",
		Short: "Take a repair back, byte for byte",
		Long: `Take a repair back, byte for byte: the latest, or the one named. It is refused when
a file is not what the repair left. An undo is itself kept, and can be undone by
its own ID. "readmit undo --json" tells which repair it was.`,
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
			}
			done, err := j.Undo(id)
			unlockHome()
			if err != nil {
				return unkept(a, err)
			}
			done.Unstarted = e.await(a, done)
			out := made{ID: done.ID, Cause: done.Cause, Why: done.Why, Do: done.Do, Files: []string{}, Stop: done.Stop, Start: done.Start, Unstarted: done.Unstarted}
			for _, c := range done.Changes {
				out.Files = append(out.Files, c.File)
			}
			for _, m := range done.Moves {
				out.Files = append(out.Files, m.Path)
			}
			return e.data(out, func(w io.Writer) {
				if done.Why == doctor.SignOut {
					fmt.Fprintln(w, "the folders are back; to sign in again: readmit sign-in")
				}
				fmt.Fprintf(w, "repair %s is taken back: %s\n", done.Undoes, clean(strings.Join(out.Files, ", ")))
				for _, m := range done.Moves {
					if m.Out != "" {
						fmt.Fprintf(w, "  what had come to %s since is in %s\n", clean(m.Path), clean(m.Out))
					}
				}
				for _, name := range done.Unstarted {
					fmt.Fprintf(w, "  %s did not start: start it yourself, or restart this machine\n", clean(name))
				}
			})
		},
	}
}
