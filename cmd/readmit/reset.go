package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/account"
	"readmit.dev/readmit/resident"
)

func newResetCommand(e *env) *cobra.Command {
	var dryRun, yes bool
	c := &cobra.Command{
		Use:   "reset",
		Short: "Set aside what this device has cached, and start again",
		Long: `Stop the agent where one runs, set aside what this device can have again (session,
tokens, a waiting sign-in, remembered refusals), and start again: the session is
asked for by the device's key alone, and where there is none, you sign in again.
The enrolment stays; one that is damaged is put back from what is intact.

All of it is shown before it is done, and asked about (--yes answers for you).
Nothing is destroyed: "readmit undo" puts back every byte. One that is interrupted
is finished at the next command.`,
		Example: `  readmit reset --dry-run
  readmit reset --yes`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			return e.reset(cmd.Context(), a, dryRun, yes)
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would be done, and do nothing")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// agentUnstarted is said of an agent that a repair has stopped and could not start.
const agentUnstarted = "the agent did not start, and is still expected to run: run it in the foreground to see why: readmit agent; later: readmit doctor --fix"

// wasReset is what a reset did.
type wasReset struct {
	Repair   *made    `json:"repair,omitempty"`
	SignedIn bool     `json:"signed_in"`
	Next     []string `json:"next,omitempty"` // the command a person runs now
}

func (e *env) reset(ctx context.Context, a *agent.Agent, dryRun, yes bool) error {
	unlockRepairs, err := a.Home.LockRepairs(ctx)
	if err != nil {
		return err
	}
	defer unlockRepairs()
	j := e.journal(a)
	plan, id, err := account.Reset(ctx, a, j)
	if err != nil {
		return unkept(a, err)
	}
	if len(plan.Changes) == 0 && len(plan.Aside) == 0 {
		return e.data(wasReset{}, func(w io.Writer) { fmt.Fprintln(w, "nothing is kept here that could be reset") })
	}
	if id.Enrolled() {
		plan.Start = append(plan.Start, theSession)
	}
	if state, _ := resident.Look(ctx, a.Home); state != "" {
		plan.Stop, plan.Start = append(plan.Stop, theAgent), append(plan.Start, theAgent)
	}
	m := toldOf(plan)
	if !e.json {
		(&doctoring{e: e}).show(plan)
	}
	if dryRun {
		return e.data(wasReset{Repair: &m}, func(io.Writer) {})
	}
	if err := canRepair(a.Home, plan.Start); err != nil {
		return err
	}
	if !yes {
		if err := e.agreed(ctx, "reset?", "nothing is set aside without asking", "say --yes, or --dry-run to see it only"); err != nil {
			return err
		}
	}
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return err
	}
	entry, err := j.Apply(plan)
	unlock()
	if err != nil {
		return unkept(a, err)
	}
	unlockRepairs() // an agent that came before the repair was done waits for it
	entry.Unstarted = e.await(a, entry)
	m.ID, m.Undo, m.Unstarted = entry.ID, []string{"readmit", "undo", entry.ID}, entry.Unstarted
	out := wasReset{Repair: &m, SignedIn: id.Enrolled() && !slices.Contains(entry.Unstarted, theSession)}
	end := e.afterReset(j, id, &out)
	if end.code == fine && slices.Contains(entry.Unstarted, theAgent) {
		end.code = failed
	}
	if err := e.data(out, func(w io.Writer) {
		fmt.Fprintf(w, "done; to take it back: readmit undo %s\n", entry.ID)
		if slices.Contains(entry.Unstarted, theAgent) {
			fmt.Fprintln(w, agentUnstarted)
		}
		if out.SignedIn {
			fmt.Fprintln(w, "this device is signed in to", clean(id.Account))
		}
	}); err != nil {
		return err
	}
	if end.code == fine {
		return nil
	}
	if e.json {
		end.text = ""
	}
	return end
}

// agreed asks a person. Where nobody can be asked it refuses, and says why it is
// not done unasked.
func (e *env) agreed(ctx context.Context, question, why, hint string) error {
	if !terminal(e.stdin) {
		return exitError{misused, why + ", and there is no terminal to ask at", hint}
	}
	fmt.Fprint(e.stderr, question+" [y/N] ")
	in := bufio.NewReader(io.LimitReader(e.stdin, maxSecret))
	answer, err := typed(ctx, func() (string, error) { return in.ReadString('\n') })
	if ctx.Err() != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return exitError{failed, "nothing was changed", ""}
	}
	return nil
}

// afterReset says what is left for a person to do.
func (e *env) afterReset(j *doctor.Journal, id agent.Identity, out *wasReset) exitError {
	if out.SignedIn {
		return exitError{}
	}
	words := map[string]string{"server": id.Server, "account": id.Account}
	out.Next = fill(account.SignIn, words)
	s, ok := j.Services.(*services)
	gone, fault := new(agent.UnreachableError), new(api.Problem)
	if ok && id.Enrolled() && (errors.As(s.why, &gone) || errors.As(s.why, &fault) && fault.Code == api.Unavailable) {
		out.Next = []string{"readmit", "doctor", "--fix"}
		return exitError{unchecked, "the account server could not be asked for the session; when it can: " + command(out.Next), ""}
	}
	return exitError{needPerson, "now sign in: " + command(out.Next), ""}
}
