package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/account"
	"readmit.dev/readmit/doctor/host"
)

func newDoctorCommand(e *env) *cobra.Command {
	var server string
	var fix, dryRun, yes bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this device and its account; repair what can be repaired",
		Long: `Examine this device and its account, in the order files, network, clock, versions,
session; name the likeliest cause first, with its evidence.

With --fix, make the repairs this device can make itself. Each is shown before
it is done, and asked about (--yes answers for you); nothing is destroyed, and
"readmit undo" takes it back. --dry-run shows the repairs and makes none.

Exit codes: 0 nothing is wrong, 1 something is, 3 the server could not be asked,
4 a person has to go on (the command is printed).`,
		Example: `  readmit doctor
  readmit doctor --fix --dry-run
  readmit doctor --fix --yes --json`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			if server != "" {
				if server, err = agent.ParseServer(server); err != nil {
					return usageError{err}
				}
			}
			d := &examination{e: e, journal: &doctor.Journal{Dir: a.Home.Dir(), Now: a.Now}, examiner: &account.Examiner{Agent: a, Server: server}}
			return d.run(cmd.Context(), fix && !dryRun, fix || dryRun, yes)
		},
	}
	c.Flags().StringVar(&server, "server", "", "the account server's `URL`, for a device that is not enrolled yet")
	c.Flags().BoolVar(&fix, "fix", false, "make the repairs this device can make itself")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show the repairs and make none")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask before a repair")
	return c
}

// examination is one run of the doctor command.
type examination struct {
	e        *env
	journal  *doctor.Journal
	examiner *account.Examiner
	made     []made
}

// made is a repair as it is told.
type made struct {
	ID    string     `json:"id,omitempty"` // none for one that is only shown
	Cause cause.Code `json:"cause"`
	Do    string     `json:"do"`
	Files []string   `json:"files"`
	Undo  []string   `json:"undo,omitempty"`
}

func (d *examination) run(ctx context.Context, fix, show, yes bool) error {
	unlock, err := d.examiner.Agent.Home.LockRepairs()
	if err != nil {
		return err
	}
	defer unlock()
	resumed, err := d.resume()
	if err != nil {
		return err
	}
	for _, r := range resumed {
		if r.Left() {
			d.e.note("repair %s was interrupted, and its files have changed since: they are left as they are; what it kept is in %s", r.ID, d.journal.Kept(r))
			continue
		}
		d.e.note("finished repair %s, which was interrupted; to take it back: readmit undo %s", r.ID, r.ID)
	}
	ex, err := d.examiner.Examine(ctx, d.watcher())
	if err != nil {
		return err
	}
	found, guide := ex, []string(nil)
	if show {
		plan, err := ex.Plan(d.journal)
		if err != nil {
			return err
		}
		if len(plan) > 0 {
			if !d.e.json {
				d.tell(ex)
			}
			if guide, err = d.repair(ctx, plan, fix, yes); err != nil {
				return err
			}
		}
		if fix && len(plan) > 0 {
			if ex, err = d.examiner.Examine(ctx, quiet{}); err != nil {
				return err
			}
			if ex.Server == "" { // it lay in what was set aside
				ex.Server, ex.Account = found.Server, found.Account
			}
		}
	}
	return d.conclude(found, ex, guide, fix)
}

// conclude prints what was found, or, for a person who has seen that already,
// what is left after the repairs, and ends with the exit code that says so.
func (d *examination) conclude(found, ex *account.Examination, guide []string, fix bool) error {
	e := d.e
	words := map[string]string{"server": ex.Server, "account": ex.Account, "reference": ex.Incident}
	if guide == nil && fix && ex.SignInEnds() {
		guide = account.SignIn
	}
	if e.json {
		d.complete(found, words)
		out := struct {
			cause.Report
			Repairs []made   `json:"repairs,omitempty"`
			Next    []string `json:"next,omitempty"` // the command a person runs now
		}{found.Report, d.made, fill(guide, words)}
		if err := e.data(out, nil); err != nil {
			return err
		}
	} else if len(ex.Findings) > 0 && (ex != found || d.made == nil) {
		if err := d.tell(ex); err != nil {
			return err
		}
	}
	signIn := "readmit sign-in --server URL --account ID"
	if ex.Server != "" && ex.Account != "" {
		signIn = command(fill(account.SignIn, words))
	}
	switch {
	case ex.Unreached():
		return d.end(unchecked, "the account server could not be asked about the account")
	case ex.NewerState():
		return d.end(failed, "a newer readmit wrote this device's state: use that one; nothing was changed")
	case len(guide) > 0:
		return d.end(needPerson, "now sign in: "+command(fill(guide, words)))
	case len(ex.Findings) > 0 && fix:
		return d.end(needPerson, "what is left, a person must do: see the steps above")
	case len(ex.Findings) > 0:
		return d.end(failed, "")
	case !ex.SignedIn:
		return d.end(needPerson, "nothing is broken, but this device is not signed in; run: "+signIn)
	}
	if !e.json {
		fmt.Fprintln(e.stdout, "nothing is wrong: this device is signed in to", clean(ex.Account))
	}
	return nil
}

// end gives the exit code, and says why to a person; --json has said it all.
func (d *examination) end(code int, text string) error {
	if d.e.json {
		text = ""
	}
	return exitError{code: code, text: text}
}

// complete fills the commands of the remedies, and says how this system's
// clock is set.
func (d *examination) complete(ex *account.Examination, words map[string]string) {
	for i := range ex.Findings {
		f := &ex.Findings[i]
		remedies := append([]cause.Remedy(nil), f.Remedies...)
		if f.Cause == "clock-off" {
			remedies = append([]cause.Remedy{host.SetClock(runtime.GOOS)}, remedies...)
		}
		for j := range remedies {
			remedies[j].Argv = fill(remedies[j].Argv, words)
		}
		f.Remedies = remedies
	}
}

func (d *examination) tell(ex *account.Examination) error {
	d.complete(ex, map[string]string{"server": ex.Server, "account": ex.Account, "reference": ex.Incident})
	fmt.Fprintln(d.e.stdout)
	return d.e.report(ex.Report, nil)
}

// repair shows each repair and makes it.
func (d *examination) repair(ctx context.Context, plan []doctor.Repair, fix, yes bool) (guide []string, err error) {
	e := d.e
	in := bufio.NewReader(e.stdin)
	for _, r := range plan {
		m := made{Cause: r.Cause, Do: r.Do}
		for _, c := range r.Changes {
			m.Files = append(m.Files, c.File)
		}
		if !e.json {
			fmt.Fprintf(e.stdout, "\nrepair: %s\n", r.Do)
			for _, c := range r.Changes {
				fmt.Fprintf(e.stdout, "  %s: %s\n", clean(c.File), changeText(c))
			}
		}
		if !fix {
			d.made = append(d.made, m)
			continue
		}
		if !yes {
			if !terminal(e.stdin) {
				return nil, exitError{misused, "a repair is not made without asking, and there is no terminal to ask at", "say --yes, or --dry-run to see it only"}
			}
			fmt.Fprint(e.stderr, "make it? [y/N] ")
			answer, err := typed(ctx, func() (string, error) { return in.ReadString('\n') })
			if ctx.Err() != nil {
				return nil, err
			}
			// No answer is no.
			if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
				return nil, exitError{failed, "nothing was changed", ""}
			}
		}
		entry, err := d.apply(r)
		if err != nil {
			return nil, err
		}
		m.ID, m.Undo = entry.ID, []string{"readmit", "undo", entry.ID}
		d.made = append(d.made, m)
		if !e.json {
			fmt.Fprintf(e.stdout, "done; to take it back: readmit undo %s\n", entry.ID)
		}
		if r.Guide != nil {
			guide = r.Guide
		}
	}
	return guide, nil
}

// resume finishes what was interrupted, while no other command changes the home.
func (d *examination) resume() ([]doctor.Entry, error) {
	unlock, err := d.examiner.Agent.Home.Lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	return d.journal.Resume()
}

// apply makes a repair while no other command changes the home.
func (d *examination) apply(r doctor.Repair) (doctor.Entry, error) {
	unlock, err := d.examiner.Agent.Home.Lock()
	if err != nil {
		return doctor.Entry{}, err
	}
	defer unlock()
	return d.journal.Apply(r)
}

func changeText(c doctor.Change) string {
	switch {
	case c.After.Bytes == nil:
		return "moved aside"
	case c.Before.Bytes == nil:
		return "restored"
	case string(c.Before.Bytes) == string(c.After.Bytes):
		return fmt.Sprintf("made private (mode %o)", c.After.Mode)
	}
	return "moved aside, and restored from what is intact"
}

// watcher prints each check on a line of its own; on a terminal it says first
// what it is at.
func (d *examination) watcher() doctor.Watcher {
	if d.e.json {
		return quiet{}
	}
	return &lines{d.e.stdout, terminal(d.e.stdout) && d.e.getenv("TERM") != "dumb"}
}

type quiet struct{}

func (quiet) Begin(string)                     {}
func (quiet) End(string, []cause.Fact, string) {}

type lines struct {
	w    io.Writer
	live bool
}

func (l *lines) Begin(name string) {
	if l.live {
		fmt.Fprintf(l.w, "…    %s", name)
	}
}

func (l *lines) End(name string, facts []cause.Fact, saw string) {
	mark := "ok  "
	if len(facts) > 0 {
		mark = "BAD "
	} else if strings.HasPrefix(saw, "left out") || saw == "" || saw == "cannot tell" {
		mark = "-   "
	}
	if l.live {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
	fmt.Fprintf(l.w, "%s %-14s %s\n", mark, name, clean(saw))
}

func newUndoCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "undo [ID]",
		Short: "Take a repair back, byte for byte",
		Long: `Take a repair back, byte for byte: the latest, or the one named. It is refused when
a file is not what the repair left. An undo is itself kept, and can be undone by
its own ID. "readmit undo --json" tells which repair it was.`,
		Example: "  readmit undo\n  readmit undo 3",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := e.agent()
			if err != nil {
				return err
			}
			unlock, err := a.Home.LockRepairs()
			if err != nil {
				return err
			}
			defer unlock()
			unlockHome, err := a.Home.Lock()
			if err != nil {
				return err
			}
			defer unlockHome()
			j := &doctor.Journal{Dir: a.Home.Dir(), Now: a.Now}
			if _, err := j.Resume(); err != nil {
				return err
			}
			id := ""
			if len(args) > 0 {
				id = args[0]
			}
			done, err := j.Undo(id)
			if err != nil {
				return err
			}
			out := made{ID: done.ID, Cause: done.Cause, Do: done.Do}
			for _, c := range done.Changes {
				out.Files = append(out.Files, c.File)
			}
			return e.data(out, func(w io.Writer) {
				fmt.Fprintf(w, "repair %s is taken back: %s\n", done.Undoes, strings.Join(out.Files, ", "))
			})
		},
	}
}
