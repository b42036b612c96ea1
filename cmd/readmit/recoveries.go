package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
)

func newRecoveriesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "recoveries",
		Short: "Show which recoveries of this account were begun, and stop or approve them",
		Long: `Show which recoveries of this account were begun: where, with what, what is proved,
and from when on they can set a new password. "readmit recoveries stop ID" ends
one that is not yours; "readmit recoveries approve ID" is this device's proof for
one that is. ("readmit recover" is the other side: it begins one.)`,
		Example: "  readmit recoveries\n  readmit recoveries stop 4K7Q",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.Recoveries
			if err := a.On(cmd.Context(), "recoveries", api.PathRecoveries, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				if len(out.Recoveries) == 0 {
					fmt.Fprintln(w, "no recovery was begun")
					return
				}
				rows := [][]string{{"ID", "DEVICE", "CLIENT", "FROM", "BEGUN", "PROVED BY", "STATE"}}
				for _, r := range out.Recoveries {
					state := r.State
					if state == "waiting" {
						state = "opens " + when(r.Opens, a.Now())
					}
					device := r.Name
					if r.This {
						device += " (this device)"
					}
					rows = append(rows, []string{r.ID, device, r.Client, r.Address, when(r.Opened, a.Now()), strings.Join(r.Proofs, ", "), state})
				}
				table(w, rows...)
			})
		},
	}
	c.AddCommand(newRecoveriesApprove(e), newRecoveriesStop(e))
	return c
}

// recoveryID reads the ID of a recovery as people type it.
func recoveryID(typed string) (string, error) {
	id := strings.ToUpper(strings.TrimSpace(typed))
	if id == "" {
		return "", usageError{errors.New("no ID of a recovery (see: readmit recoveries)")}
	}
	return id, nil
}

func newRecoveriesApprove(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "approve ID", Short: "Approve a recovery that is yours, and show the code to type there",
		Long: `Approve a recovery that is yours, and show the code to be typed where it was begun:
"readmit recover prove device" there, or its page. At a terminal the code is shown
with its countdown until it was typed; elsewhere it is printed once, alone. A
recovery that this very device has begun needs no code.`,
		Example: "  readmit recoveries\n  readmit recoveries approve 4K7Q",
		Args:    takes("the ID of a recovery (see: readmit recoveries)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := recoveryID(args[0])
			if err != nil {
				return err
			}
			approve := func() (out api.RecoveryApproved, err error) {
				return out, a.OnThing(cmd.Context(), "approve recovery", api.PathRecoveriesApprove, id, &out)
			}
			out, err := approve()
			if err != nil {
				return seeRecoveries(err)
			}
			if out.Code == "" {
				return e.data(out, func(w io.Writer) {
					fmt.Fprintln(w, "approved; this device has begun it, and needs no code: readmit recover status")
				})
			}
			e.note("type it on %s, which asks from %s, with %s; on no other device, and tell it to nobody", out.Name, out.Address, out.Client)
			if e.json || !terminal(e.stdout) {
				return e.data(out, func(w io.Writer) { fmt.Fprintln(w, clean(out.Code)) })
			}
			return e.show(cmd.Context(), a, shownCode{out.Code, out.Remaining}, "over: the code was typed, or the recovery has ended (readmit recoveries)", func() (shownCode, error) {
				out, err := approve()
				return shownCode{out.Code, out.Remaining}, err
			})
		},
	}
}

func newRecoveriesStop(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "stop ID", Short: "Stop a recovery that is not yours",
		Long:    "Stop a recovery that is not yours: it can set no password any more, and all who were told of it are told of its end.",
		Example: "  readmit recoveries\n  readmit recoveries stop 4K7Q",
		Args:    takes("the ID of a recovery (see: readmit recoveries)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := recoveryID(args[0])
			if err != nil {
				return err
			}
			if err := a.OnThing(cmd.Context(), "stop recovery", api.PathRecoveriesCancel, id, nil); err != nil {
				return seeRecoveries(err)
			}
			return e.data(map[string]bool{"stopped": true}, func(w io.Writer) {
				fmt.Fprintln(w, "stopped; the password is the old one. What was done for it: readmit activity")
			})
		},
	}
}

// seeRecoveries says where the IDs are, where there is none of that name.
func seeRecoveries(err error) error {
	if p := new(api.Problem); errors.As(err, &p) && p.Reason == api.ReasonNoRecovery {
		return exitError{failed, "no recovery that still runs is named so", "see: readmit recoveries"}
	}
	return err
}
