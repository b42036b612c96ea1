package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/account"
	"readmit.dev/readmit/doctor/icloud"
)

// doctorFlags are the flags of the doctor command.
type doctorFlags struct {
	provider, server, client, state string
	online, fix, dryRun, yes        bool
	otherDevice                     bool
	minValid                        time.Duration
}

func newDoctorCommand(e *env) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this device and its account; repair what can be repaired",
		Long: `Examine this device: its Readmit account, and whatever signs it in to iCloud
(a Mac's or a PC's own software, icloudpd, pyicloud, icloudpy, docker-icloudpd,
icloud3, rclone). The likeliest cause is named first, with its evidence.

For iCloud nothing leaves this machine, unless --online lets the clock, the names
and the certificates be looked at; no credential is ever sent. --state names a
folder or file of a client elsewhere, such as a container's volume. With
--min-valid 72h trust that ends within three days is a finding, for a cron job.

With --fix, make the repairs this device can make itself. Each is shown before
it is done, and asked about (--yes answers for you); nothing is destroyed, and
"readmit undo" takes it back. --dry-run shows the repairs and makes none. An agent
that should run and does not is started where nothing else is wrong.

Exit codes: 0 nothing is wrong, 1 something is, 3 the server could not be asked,
4 a person has to go on (the command is printed).`,
		Example: `  readmit doctor
  readmit doctor --fix --dry-run
  readmit doctor --fix --yes --json
  readmit doctor --provider icloud
  readmit doctor --provider icloud --client icloudpd --state /srv/photos/config --min-valid 72h`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return usageError{err}
			}
			a, err := e.agent()
			if err != nil {
				return err
			}
			d := &doctoring{e: e, agent: a, flags: f, journal: e.journal(a), in: bufio.NewReader(e.stdin)}
			return d.run(cmd.Context())
		},
	}
	c.Flags().StringVar(&f.provider, "provider", "", "examine this one alone: account or icloud")
	c.Flags().StringVar(&f.server, "server", "", "the account server's `URL`, for a device that is not enrolled yet")
	c.Flags().StringVar(&f.client, "client", "auto", "iCloud: the client to examine: auto, "+strings.Join(icloud.Clients(), ", "))
	c.Flags().StringVar(&f.state, "state", "", "iCloud: the folder or file the client keeps its state in")
	c.Flags().BoolVar(&f.online, "online", false, "iCloud: look at the clock, names and certificates over the network, without any credential")
	c.Flags().DurationVar(&f.minValid, "min-valid", 0, "iCloud: how long the provider's trust must last yet")
	c.Flags().BoolVar(&f.fix, "fix", false, "make the repairs this device can make itself")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show the repairs and make none")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask before a repair")
	c.Flags().BoolVar(&f.otherDevice, "other-device", false, "iCloud: you have looked: another device of the account is at hand, signed in, and can show codes")
	return c
}

func (f *doctorFlags) check() error {
	switch f.provider {
	case "", "account", "icloud":
	default:
		return fmt.Errorf("--provider %q: there is account and icloud", f.provider)
	}
	if f.client == "auto" {
		f.client = ""
	}
	if f.client != "" && !slices.Contains(icloud.Clients(), f.client) {
		return fmt.Errorf("--client %q: there is auto, %s", f.client, strings.Join(icloud.Clients(), ", "))
	}
	if f.minValid < 0 {
		return errors.New("--min-valid: want a length of time such as 72h")
	}
	ofICloud := f.client != "" || f.state != "" || f.online || f.minValid != 0
	switch {
	case ofICloud && f.provider == "account":
		return errors.New("--client, --state, --online and --min-valid are for iCloud")
	case f.server != "" && f.provider == "icloud":
		return errors.New("--server is for a Readmit account")
	case f.client != "" || f.state != "":
		f.provider = "icloud"
	}
	if f.server == "" {
		return nil
	}
	var err error
	f.server, err = agent.ParseServer(f.server)
	return err
}

// doctoring is one run of the doctor command.
type doctoring struct {
	e        *env
	agent    *agent.Agent
	flags    doctorFlags
	journal  *doctor.Journal
	in       *bufio.Reader // what a person types
	made     []made
	declined []doctor.Declined

	unwritable error // why nothing can be changed here; nil where it can
}

// made is a repair as it is told.
type made struct {
	ID        string     `json:"id,omitempty"` // none for one that is only shown
	Cause     cause.Code `json:"cause,omitempty"`
	Why       string     `json:"why,omitempty"` // what asked for it where it was no cause
	Do        string     `json:"do"`
	Files     []string   `json:"files"`
	Stop      []string   `json:"stop,omitempty"`
	Start     []string   `json:"start,omitempty"`
	Unstarted []string   `json:"unstarted,omitempty"`
	Undo      []string   `json:"undo,omitempty"`
}

// outcome is what the examination of one provider came to.
type outcome struct {
	report cause.Report
	next   []string // the command a person runs now
	code   int
	text   string // why the code is not 0, for a person

	agentFails string // what fails the agent, where no finding says it
}

// fixes reports whether repairs are made, shows whether they are shown.
func (d *doctoring) fixes() bool { return d.flags.fix && !d.flags.dryRun }
func (d *doctoring) shows() bool { return d.flags.fix || d.flags.dryRun }

// run examines what was asked for: one provider, or all there is on the machine.
func (d *doctoring) run(ctx context.Context) error {
	unlock, err := d.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	var outcomes []outcome
	var machine icloud.Machine
	var subjects []doctor.Subject
	if d.flags.provider != "account" {
		machine = icloud.Here(d.e.getenv, d.agent.Now, d.flags.minValid)
		machine.OtherDevice = d.otherDevice
		if subjects, err = machine.Find(ctx, d.flags.client, d.flags.state); err != nil {
			if ctx.Err() == nil && d.flags.client+d.flags.state != "" {
				err = usageError{err}
			}
			return err
		}
	}
	x := &account.Examiner{Agent: d.agent, Server: d.flags.server}
	if d.flags.provider == "account" || d.flags.provider == "" && (len(subjects) == 0 || d.flags.server != "" || x.Known()) {
		o, err := d.account(ctx, x)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	if d.flags.provider == "icloud" || len(subjects) > 0 {
		o, err := d.icloud(ctx, machine, subjects)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	return d.conclude(outcomes)
}

// alone waits until nobody else repairs this home, and finishes what was
// interrupted. A home that takes no file is examined all the same: nobody can
// change it meanwhile, and why it is so is said in the end.
func (d *doctoring) alone(ctx context.Context) (unlock func(), err error) {
	if d.unwritable = d.agent.Home.Writable(); d.unwritable != nil {
		return func() {}, nil
	}
	if unlock, err = d.agent.Home.LockRepairs(ctx); err != nil {
		return nil, err
	}
	if _, err := d.e.resume(ctx, d.agent, d.journal); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// conclude prints what programs read, and ends with the first exit code that
// is not 0.
func (d *doctoring) conclude(outcomes []outcome) error {
	all := struct {
		cause.Report
		Repairs  []made            `json:"repairs,omitempty"`
		Declined []doctor.Declined `json:"declined,omitempty"`
		Next     []string          `json:"next,omitempty"` // the command a person runs now
		Agent    string            `json:"agent_fails,omitempty"`
	}{outcomes[0].report, d.made, d.declined, outcomes[0].next, outcomes[0].agentFails}
	for _, o := range outcomes[1:] {
		all.Findings = append(all.Findings, o.report.Findings...)
		if all.Next == nil {
			all.Next = o.next
		}
	}
	end := exitError{}
	for _, o := range outcomes {
		if end.code == fine {
			end.code, end.text = o.code, o.text
		}
	}
	if d.e.json {
		end.text = "" // it is all in the data
		if err := d.e.data(all, nil); err != nil {
			return err
		}
	}
	switch {
	case d.unwritable != nil && (end.code == fine || end.code == failed):
		return d.unwritable
	case d.unwritable != nil && !d.e.json:
		d.e.note("%s", d.unwritable)
	}
	if end.code == fine {
		return nil
	}
	return end
}

// repair shows each repair and makes it.
func (d *doctoring) repair(ctx context.Context, plan []doctor.Repair) (guide []string, err error) {
	e := d.e
	for _, r := range plan {
		m := toldOf(r)
		if !e.json {
			d.show(r)
		}
		if !d.fixes() {
			d.made = append(d.made, m)
			continue
		}
		if d.unwritable != nil {
			return nil, d.unwritable
		}
		if err := d.may(ctx); err != nil {
			return nil, err
		}
		entry, err := d.apply(ctx, r)
		if err != nil {
			return nil, err
		}
		m.ID, m.Undo, m.Unstarted = entry.ID, []string{"readmit", "undo", entry.ID}, entry.Unstarted
		d.made = append(d.made, m)
		if !e.json {
			fmt.Fprintf(e.stdout, "done; to take it back: readmit undo %s\n", entry.ID)
			for _, v := range entry.Moves {
				fmt.Fprintf(e.stdout, "  without readmit: %s\n", clean(v.Restore()))
			}
			for _, name := range entry.Unstarted {
				fmt.Fprintf(e.stdout, "  %s did not start: start it yourself, or restart this machine\n", clean(name))
			}
		}
		if r.Guide != nil {
			guide = r.Guide
		}
	}
	return guide, nil
}

// may asks a person, unless --yes has answered.
func (d *doctoring) may(ctx context.Context) error {
	if d.flags.yes {
		return nil
	}
	if !terminal(d.e.stdin) {
		return exitError{misused, "a repair is not made without asking, and there is no terminal to ask at", "say --yes, or --dry-run to see it only"}
	}
	fmt.Fprint(d.e.stderr, "make it? [y/N] ")
	answer, err := typed(ctx, func() (string, error) { return d.in.ReadString('\n') })
	if ctx.Err() != nil {
		return err
	}
	// No answer is no.
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return exitError{failed, "nothing was changed", ""}
	}
	return nil
}

// toldOf is a repair for programs, before it is made.
func toldOf(r doctor.Repair) made {
	m := made{Cause: r.Cause, Why: r.Why, Do: r.Do, Stop: r.Stop, Start: r.Start, Files: []string{}}
	for _, c := range r.Changes {
		m.Files = append(m.Files, c.File)
	}
	for _, a := range r.Aside {
		m.Files = append(m.Files, a.Path)
	}
	return m
}

// show says what a repair will do, in the order it will be done.
func (d *doctoring) show(r doctor.Repair) {
	w := d.e.stdout
	fmt.Fprintf(w, "\nrepair: %s\n", clean(r.Do))
	if len(r.Stop) > 0 {
		fmt.Fprintf(w, "  stop: %s\n", clean(strings.Join(r.Stop, ", ")))
	}
	for _, a := range r.Aside {
		fmt.Fprintf(w, "  %s: moved aside, whole\n", clean(a.Path))
	}
	for _, c := range r.Changes {
		fmt.Fprintf(w, "  %s: %s\n", clean(c.File), changeText(c))
	}
	if len(r.Start) > 0 {
		fmt.Fprintf(w, "  start: %s\n", clean(strings.Join(r.Start, ", ")))
	}
}

// apply makes a repair while no other command changes the home.
func (d *doctoring) apply(ctx context.Context, r doctor.Repair) (doctor.Entry, error) {
	unlock, err := d.agent.Home.Lock(ctx)
	if err != nil {
		return doctor.Entry{}, err
	}
	defer unlock()
	entry, err := d.journal.Apply(r)
	return entry, unkept(d.agent, err)
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
func (d *doctoring) watcher() icloud.Watcher {
	if d.e.json {
		return quiet{}
	}
	return &lines{d.e.stdout, terminal(d.e.stdout) && d.e.getenv("TERM") != "dumb"}
}

type quiet struct{}

func (quiet) Subject(string, string)           {}
func (quiet) Begin(string)                     {}
func (quiet) End(string, []cause.Fact, string) {}

type lines struct {
	w    io.Writer
	live bool
}

func (l *lines) Subject(client, account string) {
	if account != "" {
		client += " (" + cause.Masked(account).String() + ")"
	}
	fmt.Fprintf(l.w, "%s:\n", clean(client))
}

func (l *lines) Begin(name string) {
	if l.live {
		fmt.Fprintf(l.w, "…    %s", name)
	}
}

func (l *lines) End(name string, facts []cause.Fact, saw string) {
	mark := "ok  "
	if len(facts) > 0 || saw == "refused" { // of a refusal nothing may be told
		mark = "BAD "
	} else if strings.HasPrefix(saw, "left out") || saw == "" || strings.HasPrefix(saw, "cannot tell") {
		mark = "-   "
	}
	if l.live {
		fmt.Fprint(l.w, "\r\x1b[K")
	}
	fmt.Fprintf(l.w, "%s %-15s %s\n", mark, name, clean(saw))
}
