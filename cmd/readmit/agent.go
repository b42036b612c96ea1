package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/resident"
)

func newAgentCommand(e *env) *cobra.Command {
	var service bool
	var home string
	c := &cobra.Command{
		Use:   "agent",
		Short: "Keep this device signed in: refresh ahead, serve local programs, show requests",
		Long: `Run in the foreground until Ctrl-C: hold this device's key and session, refresh its
tokens before they end, give them to this user's programs over a socket, and show
which new devices ask to sign in. Type "allow ID" or "deny ID" to answer them.

What fails is tried again, longer apart each time, and told once it matters. After
the same refusal three times the agent stops by itself and says so.

"readmit agent install" makes it a service of this user: launchd on a Mac, systemd
on Linux, a task at sign-in on Windows.`,
		Example: "  readmit agent\n  readmit agent install\n  readmit agent status --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.resident(cmd.Context(), home, service)
		},
	}
	c.Flags().StringVar(&home, "home", "", "this device's `DIR`ectory (default: READMIT_HOME)")
	c.Flags().BoolVar(&service, "service", false, "run as the service does: nothing is read from the terminal")
	c.AddCommand(newAgentInstallCommand(e), newAgentUninstallCommand(e), newAgentStartCommand(e), newAgentStopCommand(e),
		newAgentRestartCommand(e), newAgentStatusCommand(e))
	return c
}

// resident runs the agent that stays.
func (e *env) resident(ctx context.Context, home string, service bool) error {
	if home != "" {
		before := e.getenv
		e.getenv = func(name string) string {
			if name == "READMIT_HOME" {
				return home
			}
			return before(name)
		}
	}
	e.stays = true
	a, err := e.agent()
	if err != nil {
		return err
	}
	if service {
		e.alone(a.Home)
	}
	lean()
	desktop := resident.OpenDesktop(e.getenv)
	say := func(text string) { e.note("%s %s", a.Now().Format(time.TimeOnly), text) }
	var telling sync.WaitGroup
	defer atMost(resident.NotifyTime, &telling) // what is told last is why the agent ends
	tell := func(title, text string) {
		say(title + ". " + text)
		if desktop != nil {
			telling.Go(func() {
				if err := desktop.Tell(title, text); err != nil && !errors.Is(err, resident.ErrNoDesktop) {
					say("the desktop shows no notifications: " + err.Error())
				}
			})
		}
	}
	r := &resident.Resident{Agent: a, Tell: tell, Say: say, Desktop: desktop, Asked: func(q api.Request) {
		say(fmt.Sprintf("%s asks to sign in. From %s, with %s. If it is you: %s. If not: %s", q.Name, q.Address, q.Client, a.Home.Command("allow "+q.ID), a.Home.Command("deny "+q.ID)))
	}}
	if !service && terminal(e.stdin) {
		go e.typedToAgent(ctx, a)
	}
	err = r.Run(ctx)
	gone := new(resident.GaveUpError)
	switch {
	case errors.As(err, &gone) && service:
		return nil // so that nobody starts it again for nothing
	case errors.As(err, &gone):
		return exitError{needPerson, gone.Error(), "it would only be refused again; run: readmit explain " + gone.Last.Reference}
	case errors.Is(err, resident.ErrRuns):
		return exitError{failed, err.Error(), "see: readmit agent status"}
	}
	return err
}

// atMost waits for work, and not longer than d.
func atMost(d time.Duration, work *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// typedToAgent obeys what a person types beside a running agent.
func (e *env) typedToAgent(ctx context.Context, a *agent.Agent) {
	lines := bufio.NewScanner(io.LimitReader(e.stdin, 1<<20))
	for lines.Scan() && ctx.Err() == nil {
		do, id, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		id = strings.ToUpper(strings.TrimSpace(id))
		var err error
		switch {
		case do == "":
			continue
		case do == "allow" && id != "":
			var out api.Allowed
			if out, err = allow(ctx, a, id); err == nil {
				err = e.showAllowed(ctx, a, id, out)
			}
		case do == "deny" && id != "":
			var out api.Request
			if out, err = deny(ctx, a, id); err == nil {
				e.note("%s is denied; if that was not you, change the password: %s", out.Name, a.Home.Command("password"))
			}
		default:
			err = exitError{misused, "not understood", "type: allow ID, or: deny ID"}
		}
		if err != nil {
			e.fail(err)
		}
	}
}

func newAgentStopCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Stop the agent; it is not expected to run any more",
		Long:    "Stop the agent of this device, however it was started. It is not expected to run until it is started again.",
		Example: "  readmit agent stop",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			was, err := resident.Stop(cmd.Context(), a.Home)
			if err != nil {
				return err
			}
			return e.data(map[string]bool{"was_running": was}, func(w io.Writer) {
				if was {
					fmt.Fprintln(w, "the agent has stopped")
				} else {
					fmt.Fprintln(w, "no agent was running")
				}
			})
		},
	}
}

func newAgentStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Say how the agent is",
		Long:    "Say whether the agent runs, when it refreshes next, and what fails. Exit code 1 where none runs.",
		Example: "  readmit agent status\n  readmit agent status --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			s, err := resident.AskStatus(cmd.Context(), a.Home)
			if errors.Is(err, resident.ErrNoAgent) {
				text := "no agent runs on this device"
				if state, since := resident.Look(cmd.Context(), a.Home); state == resident.GaveUp {
					text += ": it gave up after the same refusal three times, " + when(since.Unix(), a.Now())
				} else if state != "" {
					text += ", though it was started; last at work " + when(since.Unix(), a.Now())
				}
				return exitError{failed, text, "run: readmit agent start"}
			}
			if err != nil {
				return err
			}
			return e.data(s, func(w io.Writer) {
				rows := [][]string{{"agent", fmt.Sprintf("runs (process %d, version %s)", s.PID, s.Version)}, {"since", when(s.Since.Unix(), a.Now())},
					{"account", s.Account}, {"server", s.Server}, {"requests", s.Requests}}
				switch {
				case s.SignedOut:
					rows = append(rows, []string{"token", "none: this device is signed out"})
				case !s.Expires.IsZero():
					rows = append(rows, []string{"token", "until " + s.Expires.Format(time.TimeOnly) + ", next refresh " + s.Next.Format(time.TimeOnly)})
				}
				rows = append(rows, troubleRows("failing", s.Failing)...)
				rows = append(rows, troubleRows("requests do not arrive", s.Unheard)...)
				table(w, rows...)
			})
		},
	}
}

// troubleRows are what a status says of a trouble: what fails, and where that was
// a refusal, its title and the reference that explains it.
func troubleRows(what string, t *resident.Trouble) [][]string {
	if t == nil {
		return nil
	}
	rows := [][]string{{what, t.Text}}
	if t.Title != "" && !strings.Contains(t.Text, t.Title) {
		rows = append(rows, []string{"", t.Title})
	}
	if t.Reference != "" {
		rows = append(rows, []string{"incident", t.Reference + "; run: readmit explain " + t.Reference})
	}
	return rows
}

func newAgentStartCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the agent in the background",
		Long: `Start the agent: the service where it is installed, else a process in the
background that lasts until it is stopped or this machine restarts. Its words are
in agent/log in this device's folder. A device that is not enrolled has nothing for
it to keep: sign in first.`,
		Example: "  readmit agent start",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			return e.startAgent(cmd.Context(), a)
		},
	}
}

func newAgentRestartCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "restart",
		Short:   "Stop the agent and start it again",
		Long:    "Stop the agent where it runs, and start it again: after an update, for instance.",
		Example: "  readmit agent restart",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if err := canStart(a); err != nil {
				return err // one that runs is not stopped where none could start
			}
			if _, err := resident.Stop(cmd.Context(), a.Home); err != nil {
				return err
			}
			return e.startAgent(cmd.Context(), a)
		},
	}
}

// startTime is how long an agent may take to answer: some 20 ms, and seconds
// while a machine is starting everything else too.
const startTime = 15 * time.Second

// canStart reports what a person must do before an agent has anything to keep,
// can write down that it runs, and can serve programs. A key store that is locked
// is no hindrance: it can be unlocked while the agent runs.
func canStart(a *agent.Agent) error {
	if err := a.Home.Ours(agent.AgentFile); err != nil {
		return err
	}
	if err := canWrite(a.Home); err != nil {
		return err
	}
	if err := resident.CanListen(a.Home); err != nil {
		return err
	}
	_, err := a.Identity()
	if locked := new(agent.KeyStoreError); errors.As(err, &locked) {
		return nil
	}
	return err
}

// startAgent starts the agent and waits until it answers.
func (e *env) startAgent(ctx context.Context, a *agent.Agent) error {
	if resident.Runs(ctx, a.Home) {
		return e.data(map[string]bool{"running": true}, func(w io.Writer) { fmt.Fprintln(w, "the agent runs already") })
	}
	if err := canStart(a); err != nil {
		return err
	}
	s, err := e.service(a)
	if err == nil && s.installed() {
		err = s.start()
	} else {
		err = spawn(a.Home)
	}
	if err != nil {
		return exitError{failed, "the agent did not start: " + err.Error(), "run it in the foreground to see why: readmit agent"}
	}
	for began := time.Now(); time.Since(began) < startTime; {
		if resident.Runs(ctx, a.Home) {
			return e.data(map[string]bool{"running": true}, func(w io.Writer) { fmt.Fprintln(w, "the agent runs") })
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return exitError{failed, "the agent was started and does not answer", "run it in the foreground to see why: readmit agent"}
}
