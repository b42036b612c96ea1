package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/folders"
)

func newDataCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "data",
		Short: "Say which folders on this device belong to the account",
		Long: `Say which folders on this device belong to the account. Nothing is done to a
folder by that; at sign-out they stay or are moved aside, as you say then.`,
		Example: "  readmit data add ~/Documents/work\n  readmit data list\n  readmit sign-out --remove-data",
	}
	c.AddCommand(newDataAddCommand(e), newDataRemoveCommand(e), newDataListCommand(e), newDataPurgeCommand(e))
	return c
}

// ofFolder is an error about a folder as it is shown.
func ofFolder(err error) error {
	if no := new(folders.RefusedError); errors.As(err, &no) {
		return exitError{failed, no.Error(), no.Hint}
	}
	return err
}

func newDataAddCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "add DIR",
		Short:   "Register a folder as the account's",
		Long:    "Register a folder as the account's on this device. It must be there, outside of this device's own state, and not in or around one that is registered. Each READMIT_HOME has a list of its own.",
		Example: "  readmit data add ~/Documents/work",
		Args:    takes("a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := a.Identity()
			if err != nil {
				return err
			}
			unlock, err := a.Home.Lock(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			user, err := os.UserHomeDir()
			if err != nil {
				user = "" // somebody without a folder of their own
			}
			f, err := folders.Add(a.Home, id, args[0], user, a.Now())
			if err != nil {
				return ofFolder(err)
			}
			return e.data(f, func(w io.Writer) {
				fmt.Fprintf(w, "%s belongs to %s on this device\n", clean(f.Path), clean(f.Account))
			})
		},
	}
}

func newDataRemoveCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "remove DIR",
		Short:   "Take a folder off the list; the folder itself stays",
		Long:    "Take a folder off the list. The folder itself, and what lies aside of it, stays as it is.",
		Example: "  readmit data remove ~/Documents/work",
		Args:    takes("a folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			unlock, err := a.Home.Lock(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			f, err := folders.Remove(a.Home, args[0])
			if err != nil {
				return ofFolder(err)
			}
			return e.data(f, func(w io.Writer) { fmt.Fprintf(w, "%s is off the list; the folder itself stays\n", clean(f.Path)) })
		},
	}
}

// listed is a folder with how it is.
type listed struct {
	folders.Folder
	State string         `json:"state"` // here, aside, gone
	Aside *folders.Aside `json:"aside,omitempty"`
}

func newDataListCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "Show the account's folders, and what lies aside of them",
		Long:    "Show the folders that belong to an account on this device: which are here, and which were moved aside at a sign-out, until when they are kept and how they come back.",
		Example: "  readmit data list\n  readmit data list --json",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			all, err := folders.List(a.Home)
			if err != nil {
				return err
			}
			lying, err := e.asideOf(a, e.journal(a))
			if err != nil {
				return err
			}
			out := struct {
				Folders []listed `json:"folders"`
			}{[]listed{}}
			for _, f := range all {
				l := listed{Folder: f, State: "here"}
				if s, ok := lying[f.Path]; ok {
					l.Aside = &s
				}
				if f.Gone() {
					l.State = "gone"
					if l.Aside != nil {
						l.State = "aside"
					}
				}
				out.Folders = append(out.Folders, l)
			}
			return e.data(out, func(w io.Writer) {
				if len(out.Folders) == 0 {
					fmt.Fprintln(w, "no folder is registered")
					return
				}
				rows := [][]string{{"FOLDER", "ACCOUNT", "STATE"}}
				for _, l := range out.Folders {
					state := l.State
					if l.Aside != nil {
						state += fmt.Sprintf("; %s lies aside until %s at least (readmit undo %s)", l.Aside.Lies, l.Aside.Until.Local().Format(time.DateOnly), l.Aside.Undo)
					}
					rows = append(rows, []string{l.Path, l.Account, state})
				}
				table(w, rows...)
			})
		},
	}
}

func newDataPurgeCommand(e *env) *cobra.Command {
	var dryRun, yes bool
	c := &cobra.Command{
		Use:   "purge",
		Short: "Delete for good what has lain aside for thirty days",
		Long: `Delete for good the folders that were moved aside at a sign-out more than thirty
days ago. Each is named with how much it holds, and asked about (--yes answers for
you). Nothing else in readmit deletes them, and nothing brings them back then.`,
		Example: "  readmit data purge --dry-run\n  readmit data purge",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			unlock, err := a.Home.LockRepairs(cmd.Context())
			if err != nil {
				return err
			}
			defer unlock()
			j := e.journal(a)
			lying, entries, err := folders.Asides(j, a.Now().Add(-folders.KeptFor))
			if err != nil {
				return err
			}
			out := struct {
				Purged bool            `json:"purged"`
				Aside  []folders.Aside `json:"aside"`
			}{Aside: append([]folders.Aside{}, lying...)}
			if len(lying) == 0 {
				return e.data(out, func(w io.Writer) { fmt.Fprintln(w, "nothing has lain aside for thirty days") })
			}
			if !e.json {
				for _, s := range lying {
					fmt.Fprintf(e.stdout, "%s: %d files, %s, aside since %s (was %s)\n", clean(s.Lies), s.Files, size(s.Bytes), s.Since.Local().Format(time.DateOnly), clean(s.Path))
				}
			}
			if dryRun {
				return e.data(out, func(io.Writer) {})
			}
			if !yes {
				if !terminal(e.stdin) {
					return exitError{misused, "nothing is deleted without asking, and there is no terminal to ask at", "say --yes, or --dry-run to see it only"}
				}
				fmt.Fprint(e.stderr, "delete them for good? type delete: ")
				in := bufio.NewReader(io.LimitReader(e.stdin, maxSecret))
				answer, err := typed(cmd.Context(), func() (string, error) { return in.ReadString('\n') })
				if cmd.Context().Err() != nil {
					return err
				}
				if strings.TrimSpace(answer) != "delete" {
					return exitError{failed, "nothing was deleted", ""}
				}
			}
			for _, entry := range entries {
				if err := j.Purge(entry); err != nil {
					return unkept(a, err)
				}
			}
			out.Purged = true
			return e.data(out, func(w io.Writer) { fmt.Fprintln(w, "deleted") })
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be deleted, and delete nothing")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// size writes a number of bytes for a person.
func size(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	f, u := float64(n), 0
	for f >= 1024 && u < len(units)-1 {
		f, u = f/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[u])
}
