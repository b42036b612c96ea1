package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/api"
)

// newServiceCommand registers services that get the news of changes.
func newServiceCommand(e *env, call adminCaller) *cobra.Command {
	c := &cobra.Command{
		Use:   "service",
		Short: "Register services that check tokens, and see which is behind",
		Long: `Services check access tokens by themselves. A registered one is told of every
change of an account within a second, as OpenID Shared Signals has it: pushed to
its address (RFC 8935), or polled (RFC 8936).

A service that refuses a signal, or takes none for a day, is parked: what it has
not taken is kept for a month and sent when it is resumed.`,
		Example: "  readmit admin service add shop --poll --audience https://shop.example.org --secret-file shop.secret\n  readmit admin service list",
	}
	on := func(use, short, long, path, done string) *cobra.Command {
		return &cobra.Command{
			Use: use + " NAME", Short: short, Long: long, Example: "  readmit admin service " + use + " shop", Args: takes("a service's name"),
			RunE: func(cmd *cobra.Command, args []string) error {
				if err := call(cmd.Context(), http.MethodPost, path, api.AdminServiceName{Name: args[0]}, nil); err != nil {
					return ofService(args[0], err)
				}
				return e.data(map[string]string{"name": args[0], "done": use}, func(w io.Writer) { fmt.Fprintln(w, clean(args[0]), done) })
			},
		}
	}
	c.AddCommand(
		newServiceAddCommand(e, call), newServiceListCommand(e, call), newServiceShowCommand(e, call),
		on("resume", "Let a parked service have its signals", "Let a parked service have its signals: all that it has not taken, in their order.", api.AdminServiceResume, "gets its signals again"),
		on("remove", "End a service's registration", "End a service's registration. Its secret opens nothing any more, and what it has not taken is dropped.", api.AdminServiceRemove, "is no registered service any more"),
	)
	group(c)
	return c
}

func newServiceAddCommand(e *env, call adminCaller) *cobra.Command {
	var in api.AdminServiceNew
	var poll bool
	var file string
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Register a service, and print its credentials once",
		Long: `Register a service, and print its credentials, once: the secret that the service
shows to this server, and, where signals are pushed, the token that this server
shows to the service, each on a line of its own. With --secret-file they are
written to a new file that you alone can read, and not shown.

The audience is what the service's access tokens are for; it is the name, unless
--audience says another, such as the service's public address.`,
		Example: `  readmit admin service add shop --poll --audience https://shop.example.org --secret-file shop.secret
  readmit admin service add mail --push https://mail.example.org/signals --secret-file mail.secret`,
		Args: takes("a service's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if poll && in.Push != "" {
				return usageError{fmt.Errorf("--poll and --push exclude each other: keep one")}
			}
			in.Name = args[0]
			keep, undo, err := secretFile(file)
			if err != nil {
				return err
			}
			var out api.AdminServiceAdded
			if err := call(cmd.Context(), http.MethodPost, api.AdminServiceAdd, in, &out); err != nil {
				undo()
				return err
			}
			if file != "" {
				if err := keep(out.Secret, out.Token); err != nil {
					return exitError{failed, fmt.Sprintf("%s is registered, and its credentials could not be written: %v", out.Name, err),
						"readmit admin service remove " + out.Name + ", and add it again"}
				}
				out.Secret, out.Token = "", ""
			}
			if !e.json {
				how := "polls"
				if out.Push != "" {
					how = "is pushed to at " + out.Push
				}
				e.note("%s %s; its tokens are for %s", out.Name, how, out.Audience)
				if file == "" {
					e.note("its credentials, shown this once:")
				}
			}
			return e.data(out, func(w io.Writer) {
				for _, s := range []string{out.Secret, out.Token} {
					if s != "" {
						fmt.Fprintln(w, clean(s))
					}
				}
			})
		},
	}
	c.Flags().StringVar(&in.Push, "push", "", "the `URL` that signals are pushed to")
	c.Flags().BoolVar(&poll, "poll", false, "the service polls (what it does without --push)")
	c.Flags().StringVar(&in.Audience, "audience", "", "the `AUDIENCE` of its access tokens (default: the name)")
	c.Flags().StringVar(&file, "secret-file", "", "write the credentials to this new `FILE` (mode 0600) instead of showing them")
	return c
}

// secretFile makes the file before there is anything to lose, and never writes
// over one.
func secretFile(path string) (keep func(lines ...string) error, undo func(), err error) {
	if path == "" {
		return nil, func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, usageError{fmt.Errorf("--secret-file: %w", err)}
	}
	keep = func(lines ...string) error {
		for _, l := range lines {
			if l == "" {
				continue
			}
			if _, err := fmt.Fprintln(f, l); err != nil {
				return err
			}
		}
		return cmp.Or(f.Sync(), f.Close())
	}
	return keep, func() {
		f.Close()
		os.Remove(path)
	}, nil
}

func registered(ctx context.Context, call adminCaller) (api.AdminServiceList, error) {
	var out api.AdminServiceList
	return out, call(ctx, http.MethodGet, api.AdminServices, nil, &out)
}

func newServiceListCommand(e *env, call adminCaller) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the services, with what waits for each", Args: takes(),
		Long:    "List the services: how they get signals, how many wait, how old the oldest of those is, and when each last took one.",
		Example: "  readmit admin service list\n  readmit admin service list --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := registered(cmd.Context(), call)
			if err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				if len(out.Services) == 0 {
					fmt.Fprintln(w, "no service is registered")
					return
				}
				rows := [][]string{{"SERVICE", "BY", "AUDIENCE", "STATE", "WAITING", "BEHIND", "LAST TAKEN"}}
				for _, s := range out.Services {
					rows = append(rows, []string{s.Name, way(s), s.Audience, streamState(s), strconv.Itoa(s.Waiting), behind(s), when(s.Heard, time.Now())})
				}
				table(w, rows...)
			})
		},
	}
}

func newServiceShowCommand(e *env, call adminCaller) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a service, and the first change it waits for", Args: takes("a service's name"),
		Long: `Show a service: where its signals go, how many changes wait for it, since when, and
why. The first of them is told with its account, and with how often it was tried
and what the last try met.

"last delivered" is when it last took a signal. Services that check with package
verify also say when they act on it: "last applied".`,
		Example: "  readmit admin service show shop\n  readmit admin service show shop --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var s api.AdminServiceState
			if err := call(cmd.Context(), http.MethodPost, api.AdminServiceShow, api.AdminServiceName{Name: args[0]}, &s); err != nil {
				return ofService(args[0], err)
			}
			return e.data(s, func(w io.Writer) {
				now := time.Now()
				rows := [][]string{
					{"service", s.Name}, {"audience", s.Audience}, {"signals", way(s.AdminService)}, {"pushed to", s.Push}, {"stream", s.Stream}, {"state", streamState(s.AdminService)},
					{"added", when(s.Added, now)}, {"last delivered", when(s.Heard, now)}, {"last applied", when(s.Applied, now)},
					{"waiting", strconv.Itoa(s.Waiting)}, {"behind", behind(s.AdminService)},
				}
				if s.Push == "" {
					rows = append(rows[:3], rows[4:]...)
				}
				if s.First != nil {
					rows = append(rows, []string{"first waiting", firstWaiting(*s.First, now)}, []string{"why", whyWaiting(s)})
				}
				table(w, rows...)
				if s.Since > 0 {
					fmt.Fprintf(w, "\nwhen what keeps it back is mended: readmit admin service resume %s\n", clean(s.Name))
				}
			})
		},
	}
}

// ofService is an error about a service as it is shown.
func ofService(name string, err error) error {
	if p := new(api.Problem); errors.As(err, &p) && p.Reason == api.ReasonNoService {
		return exitError{failed, fmt.Sprintf("there is no service %q", name), "readmit admin service list"}
	}
	return err
}

// firstWaiting names a change as the account's owner sees it.
func firstWaiting(r api.AdminWaiting, now time.Time) string {
	text := r.Kind
	if r.Account != "" {
		text += fmt.Sprintf(", change %d of %s", r.Epoch, r.Account)
	}
	return text + ", " + when(r.Since, now)
}

// whyWaiting says what keeps the first change back.
func whyWaiting(s api.AdminServiceState) string {
	switch {
	case s.Since > 0 && s.Parked == 0:
		return "the stream is " + s.Status
	case s.Push == "" && s.Parked == 0:
		return "the service polls, and has not taken it"
	case s.First.Tries == 0 && s.First.Why == "":
		return "not tried yet"
	case s.First.Tries == 1:
		return "after one try: " + s.First.Why
	}
	return fmt.Sprintf("after %d tries: %s", s.First.Tries, s.First.Why)
}

func way(s api.AdminService) string {
	if s.Push != "" {
		return "push"
	}
	return "poll"
}

func streamState(s api.AdminService) string {
	text := s.Status
	if s.Parked > 0 {
		text = "parked " + when(s.Parked, time.Now())
	} else if s.Since > 0 {
		text += " " + when(s.Since, time.Now())
	}
	if s.Why != "" {
		text += ": " + s.Why
	}
	return text
}

func behind(s api.AdminService) string {
	if s.Waiting == 0 {
		return "-"
	}
	return (time.Duration(s.Lag * float64(time.Second))).Round(100 * time.Millisecond).String()
}
