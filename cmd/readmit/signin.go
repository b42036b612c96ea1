package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
)

func newSignInCommand(e *env) *cobra.Command {
	var server, account, passwordFile, pass, digits, name string
	c := &cobra.Command{
		Use:   "sign-in",
		Short: "Sign this device in",
		Long: `Sign this device in.

A device that is new to the account needs, beside the password, six digits from
an enrolled one: there, "readmit requests" shows who asks and "readmit allow ID"
shows the code; or "readmit code" makes one by hand, offline. At a terminal the
code is asked for. Elsewhere the attempt is kept, the exit code is 4, and
"readmit sign-in --code 123456" finishes it; an empty --code "" says that none
came, and the refusal's explanation says why.

While strangers are locked out, a new device gets in with --pass and a one-time
pass made on an enrolled device with "readmit pass". A code or a pass may be
given as - to read it from standard input.`,
		Example: `  readmit sign-in --server http://127.0.0.1:4001 --account jane@example.org
  readmit sign-in --password-file password.txt
  readmit sign-in --code 123456`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			in := e.secrets(cmd.Context())
			if cmd.Flags().Changed("code") {
				if digits == "-" {
					if digits, err = in.line("code"); err != nil {
						return err
					}
				}
				return e.finish(cmd.Context(), a, digits)
			}
			if server, account, err = whereAndWho(a, server, account); err != nil {
				return err
			}
			if pass == "-" {
				if pass, err = in.line("pass"); err != nil {
					return err
				}
			}
			password, err := in.from(passwordFile, "password", "--password-file")
			if err != nil {
				return err
			}
			waiting, err := a.SignIn(cmd.Context(), server, account, password, pass, deviceName(name))
			if err != nil {
				return err
			}
			if waiting == nil {
				return e.signedIn(a, "this device is signed in to "+account)
			}
			return e.askForCode(cmd.Context(), a, in, *waiting)
		},
	}
	f := c.Flags()
	f.StringVar(&server, "server", "", "the account server's `URL` (default: where this device is enrolled)")
	f.StringVar(&account, "account", "", "the account's `ID`entifier (default: what this device is enrolled for)")
	f.StringVar(&passwordFile, "password-file", "", "read the password from `FILE` (- for standard input)")
	f.StringVar(&digits, "code", "", "finish the sign-in that waits, with these six `DIGITS`")
	f.StringVar(&pass, "pass", "", "a one-time `PASS` made on an enrolled device")
	f.StringVar(&name, "device-name", "", "what this device is called (default: its host name)")
	return c
}

func (e *env) finish(ctx context.Context, a *agent.Agent, digits string) error {
	t, err := a.Waiting()
	if err != nil {
		return err
	}
	if err := a.GiveCode(ctx, digits); err != nil {
		return err
	}
	return e.signedIn(a, "this device is signed in to "+t.Account)
}

// askForCode asks at a terminal, and elsewhere says what to do.
func (e *env) askForCode(ctx context.Context, a *agent.Agent, in *secrets, t agent.Attempt) error {
	if !terminal(e.stdin) {
		return exitError{needPerson, "the password is right; this device is new, so a code is needed",
			fmt.Sprintf("on an enrolled device run: readmit allow %s; then here: readmit sign-in --code DIGITS (until %s)", t.Request, t.Expires.Format(time.TimeOnly))}
	}
	e.note("The password is right; this device is new, so a code is needed.")
	e.note("On an enrolled device run: readmit allow %s", t.Request)
	e.note("(No code comes? Press Enter alone: the refusal's explanation says why.)")
	for try := 1; ; try++ {
		digits, err := in.ask("code")
		if err == io.EOF {
			fmt.Fprintln(e.stderr)
			return exitError{needPerson, "no code was typed; the sign-in still waits for one", fmt.Sprintf("run: readmit sign-in --code DIGITS (until %s)", t.Expires.Format(time.TimeOnly))}
		}
		if err != nil {
			return err
		}
		err = e.finish(ctx, a, digits)
		if errors.Is(err, agent.ErrCodeForm) {
			e.fail(err)
			try--
			continue
		}
		if refused := new(agent.RefusedError); !errors.As(err, &refused) || try >= t.Tries || !a.Now().Before(t.Expires) {
			return err
		}
		e.fail(err)
	}
}
