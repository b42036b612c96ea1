package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
)

func newDevicesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "devices",
		Short:   "Show the account's devices",
		Long:    "Show the account's devices: what they are, when they were last seen, and which are signed in.",
		Example: "  readmit devices\n  readmit devices end phone\n  readmit devices remove 3f1c22ab",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.Devices
			if err := a.On(cmd.Context(), "devices", api.PathDevices, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				rows := [][]string{{"ID", "DEVICE", "SYSTEM", "ENROLLED", "LAST SEEN", "STATE"}}
				for _, d := range out.Devices {
					state := "signed out"
					switch {
					case d.Removed > 0:
						state = "removed " + when(d.Removed, a.Now())
					case d.This:
						state = "this device"
					case d.SignedIn:
						state = "signed in"
					}
					rows = append(rows, []string{d.ID, d.Name, d.System, when(d.Enrolled, a.Now()), when(d.LastSeen, a.Now()), state})
				}
				table(w, rows...)
			})
		},
	}
	c.AddCommand(&cobra.Command{
		Use:     "remove ID",
		Short:   "Take a device off the account; its session ends",
		Long:    "Take a device off the account. Its session ends at its next refresh; to come back it signs in as a new device, with a code.",
		Example: "  readmit devices remove 3f1c22ab",
		Args:    takes("the ID of a device (see: readmit devices)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if err := a.OnThing(cmd.Context(), "remove device", api.PathRemoveDevice, args[0], nil); err != nil {
				return err
			}
			return e.data(map[string]string{"removed": args[0]}, func(w io.Writer) { fmt.Fprintln(w, "removed") })
		},
	})
	c.AddCommand(&cobra.Command{
		Use:   "end ID|NAME",
		Short: "End another device's session; it must sign in again",
		Long: `End another device's session, such as one that keeps trying an old password. It
ends at the device's next refresh; the device is told which device ended it, stays
enrolled, and signs in again with the present password alone. To keep it out,
"readmit devices remove ID".`,
		Example: "  readmit devices end phone\n  readmit devices end 3f1c22ab",
		Args:    takes("the ID or the name of a device (see: readmit devices)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.DeviceEnded
			if err := a.OnThing(cmd.Context(), "end device", api.PathEndDevice, args[0], &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				if out.SessionsEnded == 0 {
					fmt.Fprintf(w, "%s had no session; it gets one with the present password alone\n", clean(out.Device))
					return
				}
				fmt.Fprintf(w, "%s is signed out; it is told so, and signs in again with the present password\n", clean(out.Device))
			})
		},
	})
	return c
}

func newActivityCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "activity",
		Short: "Show the account's attempts with their causes",
		Long: `Show what happened to the account, newest first: attempts to sign in with their
causes, changes, and who looked at which explanation. "readmit explain REFERENCE"
tells more of one.`,
		Example: "  readmit activity\n  readmit activity --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.Activities
			if err := a.On(cmd.Context(), "activity", api.PathActivity, &out); err != nil {
				return err
			}
			return e.activity(out, a.Now)
		},
	}
}

func (e *env) activity(out api.Activities, now clockFunc) error {
	return e.data(out, func(w io.Writer) {
		rows := [][]string{{"WHEN", "WHAT", "OUTCOME", "CAUSE", "REFERENCE", "DEVICE", "CLIENT", "FROM"}}
		for _, l := range out.Activity {
			rows = append(rows, []string{when(l.At, now()), l.What, l.Outcome, string(l.Cause), l.Reference, l.Device, l.Client, l.Address})
		}
		table(w, rows...)
	})
}
