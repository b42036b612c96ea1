package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/resident"
)

// deviceName is what this device is called unless its person says otherwise.
func deviceName(given string) string {
	if given == "" {
		given, _ = os.Hostname() // without one it is "unnamed"
	}
	return cause.CleanName(given)
}

func newSignUpCommand(e *env) *cobra.Command {
	var server, account, passwordFile, invitationFile, name string
	c := &cobra.Command{
		Use:   "sign-up",
		Short: "Create the account, with this device as its first enrolled one",
		Long: `Create the account, with this device as its first enrolled one.

The password is proved without being sent (OPAQUE): the server never has it.
A server that others can reach asks for an invitation, which its operator makes
with "readmit admin invite".`,
		Example: `  readmit sign-up --server http://127.0.0.1:4001 --account jane@example.org
  readmit sign-up --server https://id.example.org --account jane@example.org --invitation-file invitation.txt`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if server, account, err = whereAndWho(a, server, account); err != nil {
				return err
			}
			in := e.secrets(cmd.Context())
			invitation, err := e.invitation(cmd, a, in, server, invitationFile)
			if err != nil {
				return err
			}
			password, err := in.from(passwordFile, "new password", "--password-file")
			if err != nil {
				return err
			}
			if passwordFile == "" {
				again, err := in.from("", "the same again", "--password-file")
				if err != nil {
					return err
				}
				if again != password {
					return exitError{failed, "the two passwords differ; no account was made", "try again"}
				}
			}
			if err := a.SignUp(cmd.Context(), server, account, invitation, password, deviceName(name)); err != nil {
				return err
			}
			return e.signedIn(a, "the account "+account+" is made; this device is its first enrolled one, and signed in")
		},
	}
	f := c.Flags()
	f.StringVar(&server, "server", "", "the account server's `URL`")
	f.StringVar(&account, "account", "", "the account's `ID`entifier, in the form of an e-mail address")
	f.StringVar(&passwordFile, "password-file", "", "read the password from `FILE` (- for standard input)")
	f.StringVar(&invitationFile, "invitation-file", "", "read the invitation from `FILE` (- for standard input)")
	f.StringVar(&name, "device-name", "", "what this device is called (default: its host name)")
	return c
}

// invitation asks for one where the server wants one.
func (e *env) invitation(cmd *cobra.Command, a *agent.Agent, in *secrets, server, file string) (string, error) {
	if file != "" {
		return in.from(file, "invitation", "--invitation-file")
	}
	c, err := a.Client(server)
	if err != nil {
		return "", err
	}
	defer c.Close()
	hello, err := c.Hello(cmd.Context())
	if err != nil || !hello.Invited {
		return "", err
	}
	return in.from("", "invitation", "--invitation-file")
}

// whereAndWho completes what was left out with what this device is enrolled for.
func whereAndWho(a *agent.Agent, server, account string) (string, string, error) {
	if server == "" || account == "" {
		id, err := a.Identity()
		if errors.Is(err, agent.ErrNotEnrolled) {
			return "", "", usageError{errors.New("say which account, and where: --server URL --account ID")}
		}
		if err != nil {
			return "", "", err
		}
		if server == "" {
			server = id.Server
		}
		if account == "" {
			account = id.Account
		}
	}
	server, err := agent.ParseServer(server)
	if err != nil {
		return "", "", usageError{err}
	}
	if n := len(identifier.Normalise(account)); n > identifier.Max {
		return "", "", usageError{fmt.Errorf("an identifier has %d bytes at most, and this one has %d: see whether something else was pasted", identifier.Max, n)}
	}
	return server, account, nil
}

// where is the server that was named, or the one where this device is enrolled.
func where(a *agent.Agent, server string) (string, error) {
	if server == "" {
		id, err := a.Identity()
		if errors.Is(err, agent.ErrNotEnrolled) {
			return "", usageError{errors.New("say where: --server URL")}
		}
		return id.Server, err
	}
	server, err := agent.ParseServer(server)
	if err != nil {
		return "", usageError{err}
	}
	return server, nil
}

// state is this device's standing, as status and the sign-in commands print it.
type state struct {
	Account  string `json:"account"`
	Server   string `json:"server"`
	Device   string `json:"device"`
	SignedIn bool   `json:"signed_in"`
	Protocol int    `json:"protocol"`
}

func (e *env) signedIn(a *agent.Agent, text string) error {
	id, err := a.Identity()
	if err != nil {
		return err
	}
	if err := e.data(state{id.Account, id.Server, id.Name, true, api.Protocol}, func(w io.Writer) { fmt.Fprintln(w, clean(text)) }); err != nil {
		return err
	}
	e.agentAgain(a)
	return nil
}

// agentAgain starts an agent that gave up: what it was refused for has ended with
// the sign-in. That it does not start is no fault of the sign-in. One that runs is
// asked how it is, and so hears of the session.
func (e *env) agentAgain(a *agent.Agent) {
	if state, _ := resident.Look(e.ctx, a.Home); state != resident.GaveUp {
		return
	}
	if err := e.launch(a); err == nil && len(e.await(a, doctor.Entry{Start: []string{theAgent}})) == 0 {
		e.note("the agent, which had given up, runs again")
		return
	}
	e.note("the agent had given up; start it again: readmit agent start")
}
