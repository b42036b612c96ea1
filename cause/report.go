package cause

import "slices"

// Finding is a cause with its evidence and remedies, for one audience.
type Finding struct {
	Cause    Code     `json:"cause"`
	Title    string   `json:"title"`
	Evidence []Fact   `json:"evidence"`
	Remedies []Remedy `json:"remedies"`
}

// Report is what explain and doctor print with --json: the most likely cause first.
type Report struct {
	Schema   int       `json:"schema"` // 1
	Audience string    `json:"audience"`
	Incident string    `json:"incident,omitempty"` // the short reference
	Findings []Finding `json:"findings"`
}

// Find tells which causes the facts show, each with its evidence. Roots hide
// their consequences, and the consequences of those; what is left is in the
// table's order, the likeliest first.
func Find(facts []Fact) []Finding {
	var held []*Row
	for i := range table {
		r := &table[i]
		if r.Proof != "" && slices.ContainsFunc(facts, func(f Fact) bool { return f.shows(r) }) {
			held = append(held, r)
		}
	}
	var found []Finding
	for _, r := range held {
		if slices.ContainsFunc(held, func(root *Row) bool { return hides(root.Code, r) }) {
			continue
		}
		f := Finding{Cause: r.Code, Title: r.Title, Evidence: []Fact{}, Remedies: r.Remedies}
		for _, fact := range facts {
			if fact.check == r.Proof || slices.Contains(r.With, fact.check) {
				f.Evidence = append(f.Evidence, fact)
			}
		}
		found = append(found, f)
	}
	return found
}

// shows reports whether the fact is the failed check that proves the row, or
// one that stands in for it (see alsoProof).
func (f Fact) shows(r *Row) bool {
	return f.want != f.got && (f.check == r.Proof || slices.Contains(alsoProof[r.Code], f.check))
}

// alsoProof names further checks that prove a cause by themselves.
var alsoProof = map[Code][]Check{
	"client-outdated":  {CheckSystemVersion, CheckProtocol},
	"service-fault":    {CheckServer},
	"unreachable":      {CheckName},
	"tls-intercepted":  {CheckTLSKey},
	"factor-missing":   {CheckFactorFailures},
	"code-undelivered": {CheckDelivery},
}

// hides reports whether root hides row, directly or through others.
func hides(root Code, row *Row) bool {
	for _, h := range row.HiddenBy {
		if h == root {
			return true
		}
		if next, ok := Lookup(h); ok && hides(root, &next) {
			return true
		}
	}
	return false
}

// Tell reduces findings to what an audience may know. Where nothing is left,
// the one finding is Refused.
func Tell(found []Finding, to Audience) Report {
	r := Report{Schema: 1, Audience: to.String(), Findings: []Finding{}}
	for _, f := range found {
		if Disclose(f.Cause, f.Evidence, to) == f.Cause {
			r.Findings = append(r.Findings, f)
		}
	}
	if len(r.Findings) == 0 {
		row, _ := Lookup(Refused)
		r.Findings = []Finding{{Cause: row.Code, Title: row.Title, Evidence: []Fact{}, Remedies: row.Remedies}}
	}
	return r
}
