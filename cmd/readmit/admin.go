package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/policy"
)

func newAdminCommand(e *env) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use:   "admin",
		Short: "The operator's commands, over the server's local socket",
		Long: `The operator's commands. They go over a socket in the server's data folder, which
only the user who runs the server can open.`,
		Example: "  readmit admin invite jane@example.org\n  readmit admin accounts --data /var/lib/readmit",
	}
	c.PersistentFlags().StringVar(&data, "data", "data", "the server's data `DIR`ectory")
	call := func(ctx context.Context, method, path string, in, out any) error {
		return adminCall(ctx, filepath.Join(data, api.AdminSocket), method, path, in, out)
	}
	on := func(use, short, path, done string) *cobra.Command {
		return &cobra.Command{
			Use: use + " ID", Short: short, Long: short + ".", Example: "  readmit admin " + use + " jane@example.org",
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
		newInviteCommand(e, call), newPolicyCommand(e, call),
		on("disable", "Refuse every way into an account until it is enabled", api.AdminDisable, "is disabled"),
		on("enable", "Let an account in again", api.AdminEnable, "is enabled"),
		on("unlock", "Forget an account's failures, and lift its locks", api.AdminUnlock, "is unlocked"),
		newDeskCommand(e, call), newServiceCommand(e, call), newAdminExplainCommand(e, call), newAdminActivityCommand(e, call), newAccountsCommand(e, call), newAdminKeyCommand(e), newBackupCommand(e, &data), newRestoreCommand(e, &data), newMoveCommand(e),
	)
	return c
}

type adminCaller func(ctx context.Context, method, path string, in, out any) error

// adminCall makes one call over the operator's socket.
func adminCall(ctx context.Context, socket, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	c := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	defer c.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := c.Do(r)
	if err != nil {
		return exitError{unchecked, fmt.Sprintf("no account server answers at %s", socket),
			"run it on the server's machine, as the same user, with --data DIR where the server has its data"}
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, 16<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return ofAdmin(answer.Status, b)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	return json.Unmarshal(b, out)
}

// ofAdmin is an answer of the account server to its operator that is no success.
func ofAdmin(status string, body []byte) error {
	p := new(api.Problem)
	if json.Unmarshal(body, p) != nil || p.Code == 0 {
		return exitError{unchecked, "the account server answered " + status, "see the server's log"}
	}
	if p.Code == api.Unavailable {
		return exitError{unchecked, "the account server cannot do its work now: " + p.Detail, "see the server's log"}
	}
	return p
}

func newInviteCommand(e *env, call adminCaller) *cobra.Command {
	return &cobra.Command{
		Use:   "invite ID",
		Short: "Invite a person to sign up, or to enrol a device without a code",
		Long: `Print an invitation, alone on standard output. It lets the person with this
identifier sign up. For an account that exists it is a pass that stands in for
the code of one new device, for somebody who has no enrolled device left; the
password is needed all the same.`,
		Example: "  readmit admin invite jane@example.org > invitation.txt",
		Args:    takes("an account's identifier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out api.AdminInvitation
			if err := call(cmd.Context(), http.MethodPost, api.AdminInvite, api.AdminAccount{Account: args[0]}, &out); err != nil {
				return err
			}
			if !e.json {
				e.note("for %s, good once, until %s:", out.Account, time.Unix(out.Expires, 0).Format(time.DateTime))
			}
			return e.data(out, func(w io.Writer) { fmt.Fprintln(w, clean(out.Invitation)) })
		},
	}
}

func newPolicyCommand(e *env, call adminCaller) *cobra.Command {
	var clients, systems []string
	var protocol int
	c := &cobra.Command{
		Use:   "policy",
		Short: "Show or set the oldest clients and systems that may sign in",
		Long: `Without flags, show the policy. With flags, set those minimum versions and leave
the others; the version 0 takes a minimum away. The policy is public: a client
that is too old is told so.`,
		Example: `  readmit admin policy
  readmit admin policy --client readmit=0.2.0 --system darwin=14.0
  readmit admin policy --client readmit=0`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var now api.AdminPolicyState
			if err := call(cmd.Context(), http.MethodGet, api.AdminPolicy, nil, &now); err != nil {
				return err
			}
			flags := cmd.Flags()
			if flags.Changed("client") || flags.Changed("system") || flags.Changed("protocol") {
				p := &now.Policy
				var err error
				if p.Clients, err = minimums(p.Clients, clients); err != nil {
					return usageError{err}
				}
				if p.Systems, err = minimums(p.Systems, systems); err != nil {
					return usageError{err}
				}
				if flags.Changed("protocol") {
					p.Protocol = protocol
				}
				if err := sound(*p); err != nil {
					return usageError{err}
				}
				if err := call(cmd.Context(), http.MethodPost, api.AdminPolicy, p, &now); err != nil {
					return err
				}
			}
			return e.data(now.Policy, func(w io.Writer) {
				rows := [][]string{{"KIND", "NAME", "MINIMUM"}}
				for name, v := range now.Policy.Clients {
					rows = append(rows, []string{"client", name, v.String()})
				}
				for name, v := range now.Policy.Systems {
					rows = append(rows, []string{"system", name, v.String()})
				}
				if now.Policy.Protocol > 0 {
					rows = append(rows, []string{"protocol", "", strconv.Itoa(now.Policy.Protocol)})
				}
				if len(rows) == 1 {
					fmt.Fprintln(w, "every version may sign in")
					return
				}
				table(w, rows...)
			})
		},
	}
	c.Flags().StringArrayVar(&clients, "client", nil, "`NAME=VERSION`: the oldest version of a client")
	c.Flags().StringArrayVar(&systems, "system", nil, "`NAME=VERSION`: the oldest version of linux, darwin or windows")
	c.Flags().IntVar(&protocol, "protocol", 0, "the lowest protocol version")
	return c
}

// sound reports what the server would refuse of a policy: it says only that it
// does.
func sound(p policy.Policy) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, new(policy.Policy))
}

func minimums(m map[string]policy.Version, given []string) (map[string]policy.Version, error) {
	if m == nil {
		m = map[string]policy.Version{}
	}
	for _, g := range given {
		name, text, ok := strings.Cut(g, "=")
		v, err := policy.ParseVersion(text)
		if !ok || name == "" || err != nil {
			return nil, fmt.Errorf("%q: want NAME=VERSION, such as readmit=0.2.0", g)
		}
		if v == (policy.Version{}) {
			delete(m, name)
			continue
		}
		m[name] = v
	}
	return m, nil
}

func newAdminExplainCommand(e *env, call adminCaller) *cobra.Command {
	return &cobra.Command{
		Use:     "explain REFERENCE",
		Short:   "Say why a sign-in failed; the owner sees that the operator looked",
		Long:    "Say why a sign-in failed, as the operator may know it. The account's owner sees in \"readmit activity\" that the operator looked.",
		Example: "  readmit admin explain 4K7Q-9FXM",
		Args:    takes("a reference such as 4K7Q-9FXM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ask := api.Explain{Incident: args[0]}
			if ref, ok := api.NormaliseReference(args[0]); ok {
				ask = api.Explain{Reference: ref}
			}
			var out api.AdminExplained
			if err := call(cmd.Context(), http.MethodPost, api.AdminExplain, ask, &out); err != nil {
				return err
			}
			return e.report(out.Report, map[string]string{"reference": out.Incident, "account": out.Account})
		},
	}
}

func newAdminActivityCommand(e *env, call adminCaller) *cobra.Command {
	return &cobra.Command{
		Use:     "activity ID",
		Short:   "Show an account's attempts with their causes",
		Long:    "Show what happened to an account, newest first, as the operator may know it.",
		Example: "  readmit admin activity jane@example.org",
		Args:    takes("an account's identifier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out api.Activities
			if err := call(cmd.Context(), http.MethodPost, api.AdminActivity, api.AdminAccount{Account: args[0]}, &out); err != nil {
				return err
			}
			return e.activity(out, time.Now)
		},
	}
}

func newAccountsCommand(e *env, call adminCaller) *cobra.Command {
	return &cobra.Command{
		Use:     "accounts",
		Short:   "List the accounts",
		Long:    "List the accounts, with their number of devices and what keeps them out.",
		Example: "  readmit admin accounts",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out api.AdminAccountList
			if err := call(cmd.Context(), http.MethodGet, api.AdminAccounts, nil, &out); err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				rows := [][]string{{"ACCOUNT", "CREATED", "DEVICES", "STATE"}}
				for _, a := range out.Accounts {
					state := "open"
					switch {
					case a.Disabled > 0:
						state = "disabled " + when(a.Disabled, time.Now())
					case a.Locked > 0:
						state = "strangers locked out until " + when(a.Locked, time.Now())
					}
					rows = append(rows, []string{a.Account, when(a.Created, time.Now()), strconv.Itoa(a.Devices), state})
				}
				table(w, rows...)
			})
		},
	}
}
