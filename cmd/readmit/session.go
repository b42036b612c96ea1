package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/resident"
)

func newStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show this device's session, as the account server sees it",
		Long:    "Show what this device is enrolled for, and ask the account server whether its session lives.",
		Example: "  readmit status\n  readmit status --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			id, err := a.Identity()
			if err != nil {
				return err
			}
			if err := a.Alive(cmd.Context()); err != nil {
				return err
			}
			return e.data(state{id.Account, id.Server, id.Name, true, api.Protocol}, func(w io.Writer) {
				table(w, []string{"account", id.Account}, []string{"server", id.Server}, []string{"device", id.Name},
					[]string{"session", "signed in"})
			})
		},
	}
}

func newTokenCommand(e *env) *cobra.Command {
	var least time.Duration
	var audience string
	var prove bool
	c := &cobra.Command{
		Use:   "token [--proof METHOD URL]",
		Short: "Print an access token, refreshed when needed",
		Long: `Print an access token alone on standard output, refreshed when what is in hand
is not good for long enough. Many calls at once cause one refresh. Where an agent
runs ("readmit agent"), it is the one who answers.

A token lives five minutes. It is bound to this device's key (cnf.jkt): a service
takes it only beside a proof by that key. --proof prints both, as the two headers
of one request; the proof is good once, for a minute, for that method and address.
curl takes them from a pipe with -H @-.`,
		Example: `  readmit token
  readmit token --min-valid 2m --audience https://files.example.org
  readmit token --audience https://notes.example.org --proof GET https://notes.example.org/notes`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case prove && len(args) != 2:
				return usageError{errors.New("--proof wants the method and the address of the request, such as GET https://notes.example.org/notes")}
			case !prove && len(args) > 0:
				return usageError{fmt.Errorf("%q: only --proof takes words", args[0])}
			case prove && audience == "":
				return usageError{errors.New("--proof goes with --audience, the service that the request is for")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if least < 0 || least > agent.TokenLife {
				return usageError{fmt.Errorf("--min-valid %s: want between 0 and %s, which is how long a token lives", least, agent.TokenLife)}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			ask := resident.Ask{Do: resident.DoToken, Audience: audience, MinValid: seconds(least)}
			if prove {
				if _, err := agent.Target(args[0], args[1]); err != nil {
					return usageError{err}
				}
				ask.Method, ask.URL = args[0], args[1]
			}
			got, err := resident.Through(cmd.Context(), a, ask)
			if err != nil {
				return err
			}
			out := struct {
				Token   string    `json:"access_token"`
				Type    string    `json:"token_type"`
				Expires time.Time `json:"expires"`
				Proof   string    `json:"proof,omitempty"`
			}{got.Token.Value, got.Token.Type, got.Token.Expires, got.Proof}
			return e.data(out, func(w io.Writer) {
				if prove {
					fmt.Fprintf(w, "Authorization: %s %s\n%s: %s\n", clean(out.Type), clean(out.Token), api.HeaderProof, clean(out.Proof))
					return
				}
				fmt.Fprintln(w, out.Token)
			})
		},
	}
	c.Flags().DurationVar(&least, "min-valid", time.Minute, "how long the token must be good for")
	c.Flags().StringVar(&audience, "audience", "", "the service the token is for (default: the account server)")
	c.Flags().BoolVar(&prove, "proof", false, "print the headers of one request to the service, METHOD and URL, with a proof by this device's key")
	return c
}

// accessToken asks the agent where one runs, and the account server otherwise.
func (e *env) accessToken(ctx context.Context, a *agent.Agent, audience string, least time.Duration) (agent.Token, error) {
	got, err := resident.Through(ctx, a, resident.Ask{Do: resident.DoToken, Audience: audience, MinValid: seconds(least)})
	if err != nil {
		return agent.Token{}, err
	}
	return agent.Token{Value: got.Token.Value, Expires: got.Token.Expires}, nil
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func newPasswordCommand(e *env) *cobra.Command {
	var presentFile, nextFile string
	c := &cobra.Command{
		Use:   "password",
		Short: "Change the account's password; every other session ends",
		Long: `Change the account's password. The present one is proved afresh, neither is
sent to the server, and every other device must sign in again.`,
		Example: `  readmit password
  readmit password --password-file present.txt --new-password-file new.txt`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if _, err := a.Identity(); err != nil {
				return err
			}
			in := e.secrets(cmd.Context())
			present, err := in.from(presentFile, "present password", "--password-file")
			if err != nil {
				return err
			}
			next, err := in.new(nextFile)
			if err != nil {
				return err
			}
			ended, err := a.ChangePassword(cmd.Context(), present, next)
			if err != nil {
				return err
			}
			return e.data(map[string]int{"sessions_ended": ended}, func(w io.Writer) {
				fmt.Fprintf(w, "the password is changed; other sessions that ended: %d\n", ended)
			})
		},
	}
	c.Flags().StringVar(&presentFile, "password-file", "", "read the present password from `FILE` (- for standard input)")
	c.Flags().StringVar(&nextFile, "new-password-file", "", "read the new password from `FILE` (- for standard input)")
	return c
}
