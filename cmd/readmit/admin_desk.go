package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
)

// newDeskCommand says who works at the support desk.
func newDeskCommand(e *env, call adminCaller) *cobra.Command {
	c := &cobra.Command{
		Use:   "desk",
		Short: "Say which accounts work at the support desk",
		Long: `Say which accounts work at the support desk. An agent finds accounts, sees the
explanation of a refusal once its owner has approved that, and can do what the
owner's incident calls for: begin a recovery, end sessions, lift a lock. No
agent reads or sets a password, or signs in as somebody else. Taking the role
away takes effect at once.`,
		Example: "  readmit admin desk add ann@example.org\n  readmit admin desk list",
	}
	on := func(use, short, path, done string) *cobra.Command {
		return &cobra.Command{
			Use: use + " ID", Short: short, Long: short + ".", Example: "  readmit admin desk " + use + " ann@example.org",
			Args: takes("an account's identifier"),
			RunE: func(cmd *cobra.Command, args []string) error {
				if err := call(cmd.Context(), http.MethodPost, path, api.AdminAccount{Account: args[0]}, nil); err != nil {
					return err
				}
				return e.data(map[string]string{"account": args[0], "done": use}, func(w io.Writer) { fmt.Fprintln(w, clean(args[0]), done) })
			},
		}
	}
	c.AddCommand(
		on("add", "Let an account work at the support desk", api.AdminDeskAdd, "works at the support desk"),
		on("remove", "Take the role of the support desk from an account", api.AdminDeskRemove, "does not work at the support desk"),
		&cobra.Command{
			Use: "list", Short: "List the accounts that work at the support desk", Long: "List the accounts that work at the support desk.",
			Example: "  readmit admin desk list", Args: takes(),
			RunE: func(cmd *cobra.Command, _ []string) error {
				var out api.AdminAgents
				if err := call(cmd.Context(), http.MethodGet, api.AdminDesk, nil, &out); err != nil {
					return err
				}
				return e.data(out, func(w io.Writer) {
					if len(out.Agents) == 0 {
						fmt.Fprintln(w, "nobody works at the support desk")
						return
					}
					rows := [][]string{{"ACCOUNT", "SINCE"}}
					for _, a := range out.Agents {
						rows = append(rows, []string{clean(a.Account), time.Unix(a.Added, 0).Format(time.DateTime)})
					}
					table(w, rows...)
				})
			},
		},
	)
	group(c)
	return c
}
