// Package texts tells what an error text of iCloud or one of its clients means.
//
// What it knows stands in one table (rules.go), each rule with the source it
// came from. A text may be pasted as it was found: with the prefixes of a log,
// wrapped, coloured, escaped or cut. A text that no rule knows is told to be
// unknown, never guessed at.
package texts

import (
	"slices"
	"strconv"

	"readmit.dev/readmit/cause"
)

// Explanation says what a text means.
type Explanation struct {
	Findings  []cause.Finding // the likeliest first, at least one
	Ambiguous bool            // the text fits several causes; Test tells them apart
	Test      string          // also the first remedy of the first finding
	Rules     []string        // the rules that knew it, roots first; none for an unknown text
	Client    string          // the client that wrote it, a word of cause.CheckClient; or empty
}

// Explain says what a pasted text means. Of a text above 64 KiB only the first
// and the last half of that are read.
func Explain(text string) Explanation {
	if e, ok := Code(text); ok {
		return e
	}
	r := read(text)
	return r.explain(r.matches())
}

// Code explains a lone code such as "-20101", "(-22406)", "4001", "421" or
// "HTTP 421". It reports whether s has the form of one; a code that is not
// known is explained as unknown.
func Code(s string) (Explanation, bool) {
	n, ok := loneCode(s)
	if !ok {
		return Explanation{}, false
	}
	var hit []match
	for _, r := range rules() {
		if slices.Contains(r.codes, n) || slices.Contains(r.status, n) || slices.Contains(r.lone, n) {
			hit = append(hit, match{r, n})
		}
	}
	var page reading
	return page.explain(hit), true
}

type match struct {
	rule
	code int // the number that was named, or 0
}

// matches are the rules that know the text.
func (r reading) matches() []match {
	var hit []match
	for _, rule := range rules() {
		if n, ok := r.meets(rule); ok {
			hit = append(hit, match{rule, n})
		}
	}
	return hit
}

func (r reading) meets(rule rule) (int, bool) {
	if n, ok := r.meetsAmong(rule); ok {
		return n, ok
	}
	return 0, slices.ContainsFunc(rule.alone, r.saysOnly)
}

// meetsAmong asks of the text that it speaks of what the rule is about.
func (r reading) meetsAmong(rule rule) (int, bool) {
	if !r.within(rule.ctx) {
		return 0, false
	}
	for _, n := range rule.codes {
		if r.names(n) {
			return n, true
		}
	}
	for _, n := range rule.status {
		if r.answered(n) {
			return n, true
		}
	}
	if slices.ContainsFunc(rule.parts, r.saysAll) {
		return 0, true
	}
	return 0, false
}

// explain turns matches into findings. A rule that another one replaces is left
// out; what is certain stands before what is not, and roots before what they
// hide.
func (r reading) explain(hit []match) Explanation {
	var replaced []string
	for _, m := range hit {
		replaced = append(replaced, m.over...)
	}
	hit = slices.DeleteFunc(hit, func(m match) bool { return slices.Contains(replaced, m.label) || m.last && len(hit) > 1 })
	if len(hit) == 0 {
		return r.unknown()
	}
	slices.SortStableFunc(hit, func(a, b match) int {
		if hides(a.root(), b.root()) || hides(b.root(), a.root()) {
			return place(a.root()) - place(b.root())
		}
		if a.sure() != b.sure() {
			if a.sure() {
				return -1
			}
			return 1
		}
		return place(a.root()) - place(b.root())
	})
	e := Explanation{Client: r.client, Ambiguous: !hit[0].sure()}
	if e.Ambiguous {
		e.Test = hit[0].test
	}
	for _, m := range hit {
		e.Rules = append(e.Rules, m.label)
		for _, g := range m.causes {
			at := slices.IndexFunc(e.Findings, func(f cause.Finding) bool { return f.Cause == g.cause })
			if at >= 0 {
				e.Findings[at].Evidence = append(e.Findings[at].Evidence, m.evidence()...)
				continue
			}
			row, _ := cause.Lookup(g.cause)
			f := cause.Finding{Cause: row.Code, Title: row.Title, Evidence: m.evidence()}
			if r.client != "" {
				f.Evidence = append([]cause.Fact{cause.Note(cause.CheckClient, cause.Value{}, cause.Word(r.client), cause.ByDevice)}, f.Evidence...)
			}
			if len(e.Findings) == 0 && e.Ambiguous {
				f.Remedies = append(f.Remedies, person(m.test))
			}
			if m.wait != "" {
				f.Remedies = append(f.Remedies, person(m.wait))
			}
			if g.do != "" {
				f.Remedies = append(f.Remedies, person(g.do))
			}
			f.Remedies = append(f.Remedies, Remedies(g.cause, r.client)...)
			e.Findings = append(e.Findings, f)
		}
	}
	return e
}

func (r reading) unknown() Explanation {
	facts := []cause.Fact{cause.Note(cause.CheckText, cause.Word("understood"), cause.Word("not-understood"), cause.ByDevice)}
	if r.client != "" {
		facts = append(facts, cause.Note(cause.CheckClient, cause.Value{}, cause.Word(r.client), cause.ByDevice))
	}
	return Explanation{Client: r.client, Findings: cause.Find(facts)}
}

func (m match) sure() bool       { return len(m.causes) == 1 }
func (m match) root() cause.Code { return m.causes[0].cause }

func (m match) evidence() []cause.Fact {
	facts := []cause.Fact{
		cause.Note(cause.CheckText, cause.Word("understood"), cause.Word("understood"), cause.ByDevice),
		cause.Note(cause.CheckTextRule, cause.Value{}, cause.Label(m.label), cause.ByDevice),
	}
	if m.code != 0 {
		facts = append(facts, cause.Note(cause.CheckTextCode, cause.Value{}, cause.Count(m.code), cause.ByDevice))
	}
	return facts
}

func person(do string) cause.Remedy { return cause.Remedy{By: cause.Person, Do: do} }

func place(c cause.Code) int {
	return slices.IndexFunc(table, func(r cause.Row) bool { return r.Code == c })
}

var table = cause.Table()

// hides reports whether the table says that one cause is a consequence of the other.
func hides(root, c cause.Code) bool {
	row, _ := cause.Lookup(c)
	return slices.ContainsFunc(row.HiddenBy, func(h cause.Code) bool { return h == root || hides(root, h) })
}

// LooksLikeText tells a pasted text or a code from a reference such as
// 4K7Q-9FXM and from a sealed incident.
func LooksLikeText(s string) bool {
	word := squeezeSpace(s)
	if word == "" || referenceForm().MatchString(word) {
		return false
	}
	return len(word) < 120 || !sealedForm().MatchString(word) || manyWords(s)
}

// loneCode reads a text that is one code and nothing else.
func loneCode(s string) (int, bool) {
	if len(s) > 200 {
		return 0, false
	}
	m := loneForm().FindStringSubmatch(flatten(plain(s)))
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1] + m[2])
	if err != nil {
		return 0, false
	}
	// People leave out the sign.
	if n > 9999 {
		n = -n
	}
	return n, true
}
