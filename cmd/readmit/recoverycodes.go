package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

func newRecoveryCodesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "recovery-codes",
		Short: "Show how many recovery codes are left",
		Long: `Show how many recovery codes the account has left, and when they were made. The
codes themselves are shown once, by "readmit recovery-codes make".`,
		Example: "  readmit recovery-codes\n  readmit recovery-codes make > codes.txt",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.RecoveryCodeCount
			if err := a.On(cmd.Context(), "recovery codes", api.PathRecoveryCodeCount, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				if out.Made == 0 {
					fmt.Fprintln(w, "none were made yet: readmit recovery-codes make")
					return
				}
				fmt.Fprintf(w, "%d left, made %s\n", out.Left, when(out.Made, a.Now()))
			})
		},
	}
	var file string
	mk := &cobra.Command{
		Use: "make", Short: "Make ten recovery codes; the former ones are dead",
		Long: `Make ten recovery codes and print them: this once, each good once. The former
ones are dead. Where this device has been signed in for more than an hour, the
password is asked for.`,
		Example: "  readmit recovery-codes make\n  readmit recovery-codes make --password-file password.txt",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.RecoveryCodes
			if err := e.fresh(cmd, a, file, "recovery codes", api.PathRecoveryCodes, &out); err != nil {
				return err
			}
			e.note("These are shown only now: print them, or write them down.")
			return e.data(out, func(w io.Writer) {
				for _, c := range out.Codes {
					fmt.Fprintln(w, clean(c))
				}
			})
		},
	}
	mk.Flags().StringVar(&file, "password-file", "", "read the password from `FILE` where it is wanted (- for standard input)")
	c.AddCommand(mk)
	return c
}

// fresh makes a call, and makes it again with a proof of the password where the
// server wants one.
func (e *env) fresh(cmd *cobra.Command, a *agent.Agent, file, what, path string, out any) error {
	ask := func(grant []byte) error {
		in := func(session string) any { return api.SignedFresh{Session: session, Grant: grant} }
		return a.Asking(cmd.Context(), what, path, in, out)
	}
	err := ask(nil)
	if p := new(api.Problem); !errors.As(err, &p) || p.Reason != api.ReasonFresh {
		return err
	}
	password, err := e.secrets(cmd.Context()).from(file, "password", "--password-file")
	if err != nil {
		return err
	}
	grant, err := a.Grant(cmd.Context(), api.ForSettings, password)
	if err != nil {
		return err
	}
	return ask(grant)
}
