package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/account"
	"readmit.dev/readmit/doctor/host"
)

// account examines this device's Readmit account, and repairs it.
func (d *doctoring) account(ctx context.Context, x *account.Examiner) (outcome, error) {
	found, err := x.Examine(ctx, d.watcher())
	if err != nil {
		return outcome{}, err
	}
	ex, guide, repaired := found, []string(nil), false
	if d.shows() {
		plan, err := ex.Plan(d.journal)
		if err != nil {
			return outcome{}, err
		}
		if repaired = len(plan) > 0; repaired {
			if !d.e.json {
				d.tellAccount(ex)
			}
			if guide, err = d.repair(ctx, plan); err != nil {
				return outcome{}, err
			}
		}
		if d.fixes() && repaired {
			if ex, err = x.Examine(ctx, quiet{}); err != nil {
				return outcome{}, err
			}
			if ex.Server == "" { // it lay in what was set aside
				ex.Server, ex.Account = found.Server, found.Account
			}
		}
	}
	if d.shows() && onlyAgent(ex) {
		if !d.e.json {
			d.tellAccount(ex)
		}
		if err := d.startAgent(ctx); err != nil {
			return outcome{}, err
		}
		repaired = true
		if d.fixes() {
			if ex, err = x.Examine(ctx, quiet{}); err != nil {
				return outcome{}, err
			}
		}
	}
	if d.fixes() && len(ex.Behind) > 0 {
		if ex, err = d.await(ctx, x, ex); err != nil {
			return outcome{}, err
		}
	}
	words := wordsOf(ex)
	if guide == nil && d.fixes() && ex.SignInEnds() {
		guide = account.SignIn
	}
	d.complete(found)
	// A person who has seen what was found sees what is left.
	if !d.e.json && len(ex.Findings) > 0 && (ex != found || !repaired) {
		if err := d.tellAccount(ex); err != nil {
			return outcome{}, err
		}
	}
	o := outcome{report: found.Report, next: fill(guide, words), agentFails: ex.AgentFails}
	o.code, o.text = d.accountEnds(ex, o.next)
	if o.code == fine && !d.e.json && d.unwritable == nil {
		fmt.Fprintln(d.e.stdout, "nothing is wrong: this device is signed in to", clean(ex.Account))
	}
	return o, nil
}

// onlyAgent reports whether nothing is wrong but that the agent does not run.
// Beside another cause it would only stop again.
func onlyAgent(ex *account.Examination) bool {
	return len(ex.Findings) == 1 && ex.Findings[0].Cause == "agent-stopped"
}

// startAgent starts the agent as a repair. It changes no file, so there is no
// entry in the journal: what takes it back is to stop the agent.
func (d *doctoring) startAgent(ctx context.Context) error {
	r := doctor.Repair{Cause: "agent-stopped", Do: "Start the agent.", Start: []string{theAgent}}
	m := toldOf(r)
	if !d.e.json {
		d.show(r)
	}
	if !d.fixes() {
		d.made = append(d.made, m)
		return nil
	}
	if d.unwritable != nil {
		return d.unwritable
	}
	if err := d.may(ctx); err != nil {
		return err
	}
	if err := d.e.launch(d.agent); err != nil {
		return exitError{failed, "the agent did not start: " + err.Error(), "run it in the foreground to see why: readmit agent"}
	}
	m.Undo = []string{"readmit", "agent", "stop"}
	m.Unstarted = d.e.await(d.agent, doctor.Entry{Start: r.Start})
	d.made = append(d.made, m)
	if len(m.Unstarted) > 0 {
		d.e.note("the agent was started and does not answer; run it in the foreground to see why: readmit agent")
	} else if !d.e.json {
		fmt.Fprintln(d.e.stdout, "done; to take it back: readmit agent stop")
	}
	return nil
}

// await waits for services that have not taken a change yet, and examines anew.
func (d *doctoring) await(ctx context.Context, x *account.Examiner, ex *account.Examination) (*account.Examination, error) {
	d.e.note("waiting for %s, half a minute at most", serviceNames(ex.Behind))
	if _, err := x.Await(ctx); ctx.Err() != nil {
		return nil, err
	}
	return x.Examine(ctx, quiet{})
}

func serviceNames(behind []account.Behind) string {
	var names []string
	for _, b := range behind {
		names = append(names, b.Service)
	}
	return strings.Join(names, ", ")
}

func wordsOf(ex *account.Examination) map[string]string {
	return map[string]string{"server": ex.Server, "account": ex.Account, "reference": ex.Incident}
}

// accountEnds says with which exit code an examination ends, and why.
func (d *doctoring) accountEnds(ex *account.Examination, next []string) (code int, why string) {
	signIn := "readmit sign-in --server URL --account ID"
	if ex.Server != "" && ex.Account != "" {
		signIn = command(fill(account.SignIn, wordsOf(ex)))
	}
	switch {
	case ex.Unreached():
		return unchecked, "the account server could not be asked about the account"
	case ex.NewerState():
		return failed, "a newer readmit wrote this device's state: update this program, or use that one; nothing was changed"
	case len(next) > 0:
		return needPerson, "now sign in: " + command(next)
	case d.fixes() && len(ex.Findings) == 1 && len(ex.Behind) > 0:
		return needPerson, "still behind: " + serviceNames(ex.Behind) + "; tell who runs it that it does not take its signals"
	case len(ex.Findings) > 0 && d.fixes():
		return needPerson, "what is left, a person must do: see the steps above"
	case len(ex.Findings) > 0:
		return failed, ""
	case ex.AgentFails != "":
		return failed, "the agent runs, and what it does fails: " + ex.AgentFails + "; see: readmit agent status"
	case !ex.SignedIn:
		return needPerson, "nothing is broken, but this device is not signed in; run: " + signIn
	}
	return fine, ""
}

// complete fills the commands of the remedies, and says how this system's
// clock is set.
func (d *doctoring) complete(ex *account.Examination) {
	words := wordsOf(ex)
	for i := range ex.Findings {
		f := &ex.Findings[i]
		remedies := append([]cause.Remedy(nil), f.Remedies...)
		if f.Cause == "clock-off" && (len(remedies) == 0 || remedies[0].Do != host.SetClock(runtime.GOOS).Do) {
			remedies = append([]cause.Remedy{host.SetClock(runtime.GOOS)}, remedies...)
		}
		for j := range remedies {
			remedies[j].Argv = fill(remedies[j].Argv, naming(words, *f))
		}
		f.Remedies = remedies
	}
}

func (d *doctoring) tellAccount(ex *account.Examination) error {
	d.complete(ex)
	fmt.Fprintln(d.e.stdout)
	return d.e.report(ex.Report, nil)
}
