package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/resident"
)

func newRequestsCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "requests",
		Short: "Show which new devices ask to sign in",
		Long: `Show which new devices ask to sign in: from where, and with what. Their
password was right. "readmit allow ID" shows the code for one of them; "readmit
deny ID" ends its attempt.`,
		Example: "  readmit requests\n  readmit allow 4K7Q",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			got, err := resident.Through(cmd.Context(), a, resident.Ask{Do: resident.DoRequests})
			if err != nil {
				return err
			}
			out := got.Requests
			return e.data(out, func(w io.Writer) {
				if len(out.Requests) == 0 {
					fmt.Fprintln(w, "no device asks to sign in")
					return
				}
				rows := [][]string{{"ID", "DEVICE", "CLIENT", "FROM", "ASKED", "STATUS"}}
				for _, r := range out.Requests {
					rows = append(rows, []string{r.ID, r.Name, r.Client, r.Address, when(r.Opened, a.Now()), r.Status})
				}
				table(w, rows...)
			})
		},
	}
}

func newAllowCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "allow ID",
		Short: "Allow a new device, and show its code",
		Long: `Allow a new device to sign in, and show the six digits to be typed there. They
are bound to that attempt and this device, and change every 30 seconds; the last
ones are still good for one change. At a terminal the code is shown with its
countdown until the device is in; elsewhere it is printed once, alone.`,
		Example: "  readmit requests\n  readmit allow 4K7Q",
		Args:    takes("the ID of a request (see: readmit requests)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := requestID(args[0])
			if err != nil {
				return err
			}
			out, err := allow(cmd.Context(), a, id)
			if err != nil {
				return err
			}
			e.note("%s asks from %s, with %s", out.Name, out.Address, out.Client)
			if e.json || !terminal(e.stdout) {
				return e.data(out, func(w io.Writer) { fmt.Fprintln(w, clean(out.Code)) })
			}
			return e.showAllowed(cmd.Context(), a, id, out)
		},
	}
}

// requestID reads the ID of a request as people type it.
func requestID(typed string) (string, error) {
	id := strings.ToUpper(strings.TrimSpace(typed))
	if id == "" {
		return "", usageError{errors.New("no ID of a request (see: readmit requests)")}
	}
	return id, nil
}

// allow and deny answer a request, by the agent where one runs.
func allow(ctx context.Context, a *agent.Agent, id string) (api.Allowed, error) {
	got, err := resident.Through(ctx, a, resident.Ask{Do: resident.DoAllow, ID: id})
	if err != nil {
		return api.Allowed{}, err
	}
	return *got.Allowed, nil
}

func deny(ctx context.Context, a *agent.Agent, id string) (api.Request, error) {
	got, err := resident.Through(ctx, a, resident.Ask{Do: resident.DoDeny, ID: id})
	if err != nil {
		return api.Request{}, err
	}
	return *got.Denied, nil
}

// shownCode is a code that is typed elsewhere, and how long it stays.
type shownCode struct {
	code      string
	remaining int // seconds
}

func (e *env) showAllowed(ctx context.Context, a *agent.Agent, id string, first api.Allowed) error {
	return e.show(ctx, a, shownCode{first.Code, first.Remaining}, "over: the device is in, or its time is up (readmit activity)", func() (shownCode, error) {
		out, err := allow(ctx, a, id)
		return shownCode{out.Code, out.Remaining}, err
	})
}

// show keeps the code of the moment on the terminal until there is none any more.
func (e *env) show(ctx context.Context, a *agent.Agent, shown shownCode, over string, again func() (shownCode, error)) error {
	const ask = 3 * time.Second // how often it looks whether the code was typed
	until, next := a.Now().Add(time.Duration(shown.remaining)*time.Second), a.Now().Add(ask)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	defer fmt.Fprintln(e.stdout)
	for {
		fmt.Fprintf(e.stdout, "\r%s   %2d s ", e.bold(clean(shown.code)), max(0, int(until.Sub(a.Now()).Seconds())))
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if a.Now().Before(next) && a.Now().Before(until) {
			continue
		}
		out, err := again()
		if p := new(api.Problem); errors.As(err, &p) && p.Code == api.NotPossible {
			fmt.Fprintf(e.stdout, "\r%-20s", over)
			return nil
		}
		if err != nil {
			return err
		}
		shown = out
		until, next = a.Now().Add(time.Duration(out.remaining)*time.Second), a.Now().Add(ask)
	}
}

func newDenyCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "deny ID",
		Short:   "Deny a new device",
		Long:    "Deny a new device: its attempt is over. Whoever made it knows the password: consider \"readmit password\".",
		Example: "  readmit deny 4K7Q",
		Args:    takes("the ID of a request (see: readmit requests)"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := requestID(args[0])
			if err != nil {
				return err
			}
			out, err := deny(cmd.Context(), a, id)
			if err != nil {
				return err
			}
			return e.data(out, func(w io.Writer) {
				fmt.Fprintln(w, clean(out.Name), "is denied; if that was not you, change the password: readmit password")
			})
		},
	}
}

func newCodeCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "code",
		Short: "Make a code by hand, offline",
		Long: `Make a six-digit code on this enrolled device, without any network: the digits
alone on standard output. It follows this device's clock, is shown for 30
seconds, and is good once.`,
		Example: "  readmit code",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			digits, left, err := a.Code()
			if err != nil {
				return err
			}
			out := struct {
				Code      string `json:"code"`
				Remaining int    `json:"remaining"` // seconds
			}{string(digits), int(left.Seconds())}
			return e.data(out, func(w io.Writer) { fmt.Fprintln(w, out.Code) })
		},
	}
}

func newPassCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "pass",
		Short: "Make a one-time pass for a new device while strangers are locked out",
		Long: `Make a one-time pass, alone on standard output. A new device that signs in with
it ("readmit sign-in --pass PASS") goes past the lock that strangers have caused;
password and code are needed all the same.`,
		Example: "  readmit pass",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			var out api.Pass
			if err := a.On(cmd.Context(), "pass", api.PathPass, &out); err != nil {
				return err
			}
			if !e.json {
				e.note("good once, until %s:", time.Unix(out.Expires, 0).Format(time.TimeOnly))
			}
			return e.data(out, func(w io.Writer) { fmt.Fprintln(w, clean(out.Pass)) })
		},
	}
}
