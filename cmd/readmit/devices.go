package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

func newDevicesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:     "devices",
		Short:   "Show the account's devices",
		Long:    "Show the account's devices: what they are, when they were last seen, and which are signed in.",
		Example: "  readmit devices\n  readmit devices end phone\n  readmit devices remove tablet",
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
	c.AddCommand(newDevicesRemoveCommand(e))
	c.AddCommand(&cobra.Command{
		Use:   "end ID|NAME",
		Short: "End another device's session; it must sign in again",
		Long: `End another device's session, such as one that keeps trying an old password. It
ends at the device's next refresh; the device is told which device ended it, stays
enrolled, and signs in again with the present password alone. To keep it out,
"readmit devices remove" it.`,
		Example: "  readmit devices end phone\n  readmit devices end 3f1c22ab",
		Args:    takes("the ID or the name of a device (see: readmit devices)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			d, _, err := called(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			var out api.DeviceEnded
			if err := a.Change(cmd.Context(), "end device", api.PathEndDevice, d.ID, &out); err != nil {
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

func newDevicesRemoveCommand(e *env) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "remove ID|NAME",
		Short: "Take a device off the account; its session ends",
		Long: `Take a device off the account. Its session ends at its next refresh; to come back
it signs in as a new device, with a code. Where it is the device you are on, it asks
first (--yes answers for you).`,
		Example: "  readmit devices remove phone\n  readmit devices remove 3f1c22ab",
		Args:    takes("the ID or the name of a device (see: readmit devices)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			d, others, err := called(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			if d.This && !yes {
				cost := "it is signed out then, and comes back as a new device alone, with a code from another one"
				if others == 0 {
					cost = "it is signed out then; it is the account's only one, so that a recovery alone leads back"
				}
				e.note("%s is the device you are on: %s", d.Name, cost)
				if err := e.agreed(cmd.Context(), "remove it?", "a device does not remove itself without asking", "say --yes"); err != nil {
					return err
				}
			}
			if err := a.Change(cmd.Context(), "remove device", api.PathRemoveDevice, d.ID, nil); err != nil {
				return err
			}
			return e.data(map[string]string{"removed": d.ID, "device": d.Name}, func(w io.Writer) { fmt.Fprintf(w, "%s is removed\n", clean(d.Name)) })
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask before this very device is removed")
	return c
}

// called finds the account's one device with this ID, or else with this name,
// and counts the others. Where there is none, what was typed is the server's to
// refuse.
func called(ctx context.Context, a *agent.Agent, what string) (found api.Device, others int, err error) {
	var out api.Devices
	if err := a.On(ctx, "devices", api.PathDevices, &out); err != nil {
		return found, 0, err
	}
	there := slices.DeleteFunc(out.Devices, func(d api.Device) bool { return d.Removed > 0 })
	var named []api.Device
	for _, d := range there {
		if d.ID == strings.ToLower(what) {
			return d, len(there) - 1, nil
		}
		if d.Name == what {
			named = append(named, d)
		}
	}
	switch len(named) {
	case 0:
		return api.Device{ID: what}, len(there), nil
	case 1:
		return named[0], len(there) - 1, nil
	}
	var ids []string
	for _, d := range named {
		id := d.ID
		if d.This {
			id += " (this device)"
		}
		ids = append(ids, id)
	}
	return found, 0, exitError{failed, fmt.Sprintf("%d devices are called %s: %s", len(named), what, strings.Join(ids, ", ")), "say the ID of the one that is meant; more of each: readmit devices"}
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
