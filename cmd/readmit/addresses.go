package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

func newAddressesCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "addresses",
		Short: "Show where the account's messages go",
		Long: `Show the account's e-mail addresses and phone numbers: they are told of every
change, and can receive a code for a recovery. They never sign in by themselves.`,
		Example: "  readmit addresses\n  readmit addresses add jane@example.org\n  readmit addresses verify jane@example.org",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.Addresses
			if err := a.On(cmd.Context(), "addresses", api.PathAddresses, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				if len(out.Addresses) == 0 {
					fmt.Fprintln(w, "the account has no addresses; to add one: readmit addresses add ADDRESS")
					return
				}
				rows := [][]string{{"ADDRESS", "KIND", "ADDED", "STATE"}}
				for _, x := range out.Addresses {
					state := "not verified"
					if x.Verified > 0 {
						state = "verified " + when(x.Verified, a.Now())
					}
					if x.Failed > 0 {
						state += "; not delivered " + when(x.Failed, a.Now()) + ": " + x.Why
					}
					rows = append(rows, []string{x.Value, x.Kind, when(x.Added, a.Now()), state})
				}
				table(w, rows...)
			})
		},
	}
	c.AddCommand(newAddressesAdd(e), newAddressesVerify(e), newAddressesRemove(e))
	return c
}

func newAddressesAdd(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "add ADDRESS", Short: "Add an address; six digits are sent there",
		Long:    "Add an e-mail address, or a phone number with its country. Six digits are sent there, good for 15 minutes; added again, others.",
		Example: "  readmit addresses add jane@example.org\n  readmit addresses add +4930901820",
		Args:    takes("an e-mail address or a phone number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			kind := api.Phone
			if strings.Contains(args[0], "@") {
				kind = api.Email
			}
			var out api.Address
			in := func(session string) any { return api.AddAddress{Session: session, Kind: kind, Value: args[0]} }
			if err := a.Asking(cmd.Context(), "add address", api.PathAddAddress, in, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				fmt.Fprintf(w, "six digits are on their way; then run: %s\n", command([]string{"readmit", "addresses", "verify", out.Value}))
			})
		},
	}
}

func newAddressesVerify(e *env) *cobra.Command {
	var file string
	var none bool
	c := &cobra.Command{
		Use: "verify ADDRESS", Short: "Verify an address by the six digits that were sent",
		Long:    "Verify an address by the six digits that were sent there. With --none, that none came: the refusal's explanation says why.",
		Example: "  readmit addresses verify jane@example.org\n  readmit addresses verify jane@example.org --none",
		Args:    takes("an address (see: readmit addresses)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if none && file != "" {
				return usageError{fmt.Errorf("--none says that there is no code: leave --code-file out")}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := e.addressID(cmd, a, args[0])
			if err != nil {
				return err
			}
			digits := ""
			if !none {
				if digits, err = e.secrets(cmd.Context()).from(file, "code", "--code-file"); err != nil {
					return err
				}
			}
			var out api.Address
			in := func(session string) any {
				return api.VerifyAddress{Session: session, ID: id, Code: strings.NewReplacer(" ", "", "-", "").Replace(digits)}
			}
			if err := a.Asking(cmd.Context(), "verify address", api.PathVerifyAddress, in, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) { fmt.Fprintf(w, "%s is verified\n", clean(out.Value)) })
		},
	}
	c.Flags().StringVar(&file, "code-file", "", "read the six digits from `FILE` (- for standard input)")
	c.Flags().BoolVar(&none, "none", false, "no code came")
	return c
}

func newAddressesRemove(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "remove ADDRESS", Short: "Remove an address; it is told",
		Long:    "Remove an address. It and the others are told.",
		Example: "  readmit addresses remove jane@example.org",
		Args:    takes("an address (see: readmit addresses)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := e.addressID(cmd, a, args[0])
			if err != nil {
				return err
			}
			if err := a.OnThing(cmd.Context(), "remove address", api.PathRemoveAddress, id, nil); err != nil {
				return err
			}
			return e.data(map[string]string{"removed": args[0]}, func(w io.Writer) { fmt.Fprintln(w, "removed") })
		},
	}
}

// addressID finds the address that was typed, or has that ID.
func (e *env) addressID(cmd *cobra.Command, a *agent.Agent, typed string) (string, error) {
	var all api.Addresses
	if err := a.On(cmd.Context(), "addresses", api.PathAddresses, &all); err != nil {
		return "", err
	}
	same := func(s string) string { return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(s), " ", "")) }
	for _, x := range all.Addresses {
		if same(x.Value) == same(typed) || x.ID == strings.ToLower(typed) {
			return x.ID, nil
		}
	}
	return "", exitError{failed, "the account has no address " + typed, "see: readmit addresses"}
}
