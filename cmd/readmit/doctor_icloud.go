package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/host"
	"readmit.dev/readmit/doctor/icloud"
	"readmit.dev/readmit/doctor/icloud/mac"
)

// icloud examines whatever signs this machine in to iCloud, and repairs it.
func (d *doctoring) icloud(ctx context.Context, m icloud.Machine, subjects []doctor.Subject) (outcome, error) {
	nothing := outcome{report: cause.Report{Schema: 1, Audience: cause.Owner.String(), Findings: []cause.Finding{}}}
	if len(subjects) == 0 {
		if !d.e.json {
			fmt.Fprintln(d.e.stdout, "nothing of iCloud is on this machine; where a client keeps its state elsewhere, say --state PATH")
		}
		return nothing, nil
	}
	environment := m.Environment(d.flags.online)
	if m.Copied(d.flags.client, d.flags.state) {
		environment, d.journal.Services = nil, icloud.NoServices{}
	}
	ex, err := icloud.Examine(ctx, environment, subjects, d.watcher())
	if err != nil {
		return nothing, err
	}
	setClock(ex.Report.Findings)
	found := ex
	var guide []string
	if !d.e.json && len(ex.Report.Findings) > 0 {
		fmt.Fprintln(d.e.stdout)
		if err := d.e.report(ex.Report, nil); err != nil {
			return nothing, err
		}
	}
	repairable := false
	for _, s := range ex.Subjects {
		if s.Plan == nil || len(s.Findings) == 0 {
			continue
		}
		plan, declined, err := s.Plan(ctx, d.journal, s.Findings)
		if err != nil {
			return nothing, err
		}
		repairable = repairable || len(plan) > 0
		d.declined = append(d.declined, declined...)
		if !d.e.json {
			for _, no := range declined {
				fmt.Fprintf(d.e.stdout, "\nnot repaired (%s): %s\n", no.Cause, clean(no.Why))
			}
		}
		if !d.shows() {
			continue
		}
		next, err := d.repair(ctx, plan)
		if err != nil {
			return nothing, err
		}
		if next != nil {
			guide = fill(next, nil)
		}
		if d.fixes() && len(plan) > 0 {
			if ex, err = icloud.Examine(ctx, environment, subjects, quiet{}); err != nil {
				return nothing, err
			}
			setClock(ex.Report.Findings)
		}
	}
	if ex != found && !d.e.json && len(ex.Report.Findings) > 0 {
		fmt.Fprintln(d.e.stdout, "\nwhat is left:")
		if err := d.e.report(ex.Report, nil); err != nil {
			return nothing, err
		}
	}
	o := outcome{report: found.Report, next: guide}
	switch {
	case len(ex.Report.Findings) > 0 && repairable && !d.fixes():
		o.code, o.text = failed, likeliest(found)+"; to repair what this device can: readmit doctor --provider icloud --fix"
	case len(ex.Report.Findings) > 0:
		o.code, o.text = needPerson, likeliest(ex)+"; a person must go on: see the steps above"
	case len(guide) > 0:
		o.code, o.text = needPerson, "now run: "+command(guide)
	case !d.e.json:
		fmt.Fprintln(d.e.stdout, "nothing is wrong with iCloud here:", clean(names(ex)))
	}
	return o, nil
}

// otherDevice asks whether another device of the account can show codes. Who
// cannot be asked has said so with --other-device, or the answer is no.
func (d *doctoring) otherDevice(ctx context.Context) (bool, error) {
	if d.flags.otherDevice || d.flags.yes || !terminal(d.e.stdin) {
		return d.flags.otherDevice, nil
	}
	q := mac.AnotherDevice
	fmt.Fprintf(d.e.stderr, "\n%s\n%s\n", q.Question, q.Why)
	for _, o := range q.Options {
		fmt.Fprintf(d.e.stderr, "  %s: %s keeps: %s loses: %s\n", o.ID, o.Label+".", o.Keeps, o.Loses)
	}
	answer, err := d.e.secrets(ctx).ask("[yes/no]")
	if err == io.EOF {
		err = nil // no answer is no
	}
	return answer == "yes" || answer == "y", err
}

// likeliest names the first finding, and the client it is about.
func likeliest(ex *icloud.Examination) string {
	f := ex.Report.Findings[0]
	about := ""
	for _, e := range f.Evidence {
		if e.Check() == cause.CheckClient {
			about = e.Got() + ": "
		}
	}
	return fmt.Sprintf("most likely: %s%s (%s)", about, f.Title, f.Cause)
}

// names lists the subjects that were examined.
func names(ex *icloud.Examination) string {
	var all []string
	for _, s := range ex.Subjects {
		name := s.Client
		if s.Account != "" {
			name += " (" + cause.Masked(s.Account).String() + ")"
		}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return strings.Join(all, ", ")
}

// setClock says first how this system's clock is set.
func setClock(findings []cause.Finding) {
	for i := range findings {
		if findings[i].Cause == "clock-off" {
			findings[i].Remedies = append([]cause.Remedy{host.SetClock(runtime.GOOS)}, findings[i].Remedies...)
		}
	}
}
