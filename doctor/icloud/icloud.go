// Package icloud examines what signs this machine in to iCloud: the settings
// and daemons of a Mac or a PC, and the open clients. It reads what they keep
// and say; no server of the provider is ever asked with a credential, and
// without --online none is asked at all.
//
//	clients/  the open clients, offline from their files
//	mac/, pc/ Apple's own software
//	texts/    what an error text means, and what ends which cause
//	guide/    the whole procedure, step by step
package icloud

import (
	"cmp"
	"context"
	"slices"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/icloud/texts"
)

// Examined is one account in one client, with what was found.
type Examined struct {
	doctor.Subject
	Findings []cause.Finding
}

// Examination is what was found on a machine.
type Examination struct {
	Report   cause.Report
	Subjects []Examined
}

// Examine looks at the machine, then at each subject. What the machine's own
// state explains (its clock, its network) is said once, and hides what follows
// from it in every subject. The report names the likeliest cause first.
func Examine(ctx context.Context, environment []doctor.Check, subjects []doctor.Subject, w Watcher) (*Examination, error) {
	ex := &Examination{Report: cause.Report{Schema: 1, Audience: cause.Owner.String(), Findings: []cause.Finding{}}}
	around := doctor.Run(ctx, environment, w)
	ex.Report.Findings = append(ex.Report.Findings, cause.Find(around)...)
	ours := len(ex.Report.Findings)
	for i := range ex.Report.Findings {
		f := &ex.Report.Findings[i]
		f.Remedies = texts.Remedies(f.Cause, "")
	}
	for _, s := range subjects {
		w.Subject(s.Client, s.Account)
		facts := doctor.Run(ctx, s.Checks, w)
		e := Examined{Subject: s}
		for _, f := range cause.Find(slices.Concat(around, facts)) {
			if slices.ContainsFunc(ex.Report.Findings[:ours], func(o cause.Finding) bool { return o.Cause == f.Cause }) {
				continue
			}
			e.Findings = append(e.Findings, dress(s, f))
		}
		ex.Subjects = append(ex.Subjects, e)
		ex.Report.Findings = append(ex.Report.Findings, e.Findings...)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(ex.Report.Findings, func(a, b cause.Finding) int { return cmp.Compare(place(a.Cause), place(b.Cause)) })
	return ex, nil
}

// expiring is the title of trust that still holds, but not for as long as was asked.
const expiring = "The provider's trust in this client ends soon"

// dress makes a finding one of this subject: which client and account it is
// about stands first, and its remedies are iCloud's.
func dress(s doctor.Subject, f cause.Finding) cause.Finding {
	about := []cause.Fact{cause.Note(cause.CheckClient, cause.Value{}, cause.Word(s.Client), cause.ByDevice)}
	if s.Account != "" {
		about = append(about, cause.Note(cause.CheckClientAccount, cause.Value{}, cause.Masked(s.Account), cause.ByDevice))
	}
	for _, e := range f.Evidence {
		if e.Check() != cause.CheckTrust {
			continue
		}
		if left, err := time.ParseDuration(e.Got()); err == nil && left > 0 {
			f.Title = expiring
		}
	}
	f.Evidence = append(about, f.Evidence...)
	f.Remedies = texts.Remedies(f.Cause, s.Client)
	return f
}

// place is where a cause stands in the table: roots, and the likelier, first.
func place(c cause.Code) int {
	return slices.IndexFunc(cause.Table(), func(r cause.Row) bool { return r.Code == c })
}

// Watcher is told besides of each subject before it is examined.
type Watcher interface {
	doctor.Watcher
	Subject(client, account string)
}
