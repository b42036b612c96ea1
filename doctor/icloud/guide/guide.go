// Package guide leads a person through the procedure of signing in to iCloud
// again: the article's, and what it leaves out.
//
// It keeps the causes that are still possible, each weighted by how often it
// was met, and asks next what settles the largest share of them by minute
// spent. It is pure: it reads no file, runs nothing and knows no terminal.
package guide

import (
	"errors"
	"fmt"
	"slices"

	"readmit.dev/readmit/cause"
)

// Errors of answers.
var (
	ErrStep   = errors.New("the guide has no such step here")
	ErrAnswer = errors.New("the step has no such answer")
	ErrTwice  = errors.New("the step was answered before")
	ErrSystem = errors.New("the guide knows iphone, mac and windows")
)

// Step is one question.
type Step struct {
	ID       string   `json:"id"`
	Tests    string   `json:"tests"` // what it tests
	Question string   `json:"question"`
	How      []string `json:"how,omitempty"`  // where to go on this system, the current way first
	Argv     []string `json:"argv,omitempty"` // what to run
	Minutes  float64  `json:"minutes"`
	Answers  []Answer `json:"answers"`
}

// Answer is one possible answer with what follows from it, of the causes that
// are still possible.
type Answer struct {
	ID       string       `json:"id"`
	Text     string       `json:"text"`
	Shows    []cause.Code `json:"shows,omitempty"` // it is one of these
	RulesOut []cause.Code `json:"rules_out,omitempty"`
}

// Excluded is a cause that an answer has ruled out.
type Excluded struct {
	Cause cause.Code `json:"cause"`
	Title string     `json:"title"`
	Step  string     `json:"step"` // by which step, or "known"
}

// Conclusion is what the answers come to.
type Conclusion struct {
	Schema    int             `json:"schema"` // 1
	Findings  []cause.Finding `json:"findings"`
	Ambiguous bool            `json:"ambiguous"` // several are left and nothing more tells them apart
	RuledOut  []Excluded      `json:"ruled_out"`
	Asked     int             `json:"asked"`
}

// Guide is the state of one person's way through the steps.
type Guide struct {
	on    string
	known []cause.Finding
	out   []cause.Code // known not to hold
	given []given

	alive  []cause.Code
	shown  cause.Code // the one that was shown, which ends the questions
	by     string     // what showed it: step-answer
	gone   []Excluded
	answer map[string]string
}

type given struct {
	Step   string `json:"step"`
	Answer string `json:"answer"`
}

// Start begins a guide for a system: iphone, mac, windows, or "" for a client
// on another. What is known already, of the doctor or of an error text, is not
// asked again; several findings are taken for alternatives. A system that is
// not known is taken for "".
func Start(on string, known []cause.Finding) *Guide {
	if !slices.Contains(systems, on) {
		on = ""
	}
	g := &Guide{on: on, known: slices.Clone(known)}
	g.replay()
	return g
}

// Exclude says that causes do not hold, as a doctor's passed checks do.
func (g *Guide) Exclude(codes ...cause.Code) {
	g.out = append(g.out, codes...)
	g.replay()
}

// Next is the question to ask now; there is none once the cause is shown or
// nothing that could still be asked would change anything.
func (g *Guide) Next() (Step, bool) {
	s, ok := g.next()
	if !ok {
		return Step{}, false
	}
	return g.render(s), true
}

// Answer takes an answer, to the question asked or to another one of this system.
func (g *Guide) Answer(id, answer string) error {
	s, ok := lookup(id)
	if !ok || !s.fits(g.on) {
		return fmt.Errorf("%w: %.40q", ErrStep, id)
	}
	if g.answer[id] != "" {
		return fmt.Errorf("%w: %s", ErrTwice, id)
	}
	if !slices.ContainsFunc(s.answers, func(a option) bool { return a.id == answer }) {
		return fmt.Errorf("%w: %s: %.40q", ErrAnswer, id, answer)
	}
	g.given = append(g.given, given{id, answer})
	g.take(s, answer)
	return nil
}

// Back takes the last answer back and reports whether there was one.
func (g *Guide) Back() bool {
	if len(g.given) == 0 {
		return false
	}
	g.given = g.given[:len(g.given)-1]
	g.replay()
	return true
}

// On is the system the guide is for.
func (g *Guide) On() string { return g.on }

// replay works the state out of what is known and answered.
func (g *Guide) replay() {
	g.alive, g.shown, g.by, g.gone, g.answer = nil, "", "", nil, map[string]string{}
	for _, f := range frequencies {
		if f.fits(g.on) {
			g.alive = append(g.alive, f.cause)
		}
	}
	var told []cause.Code
	for _, f := range g.known {
		if f.Cause != "unknown" && f.Cause != cause.Refused && !slices.Contains(told, f.Cause) {
			told = append(told, f.Cause)
		}
	}
	if len(told) > 0 {
		g.keep(told, "known")
	}
	for _, c := range g.out {
		g.drop(c, "known")
	}
	for _, a := range g.given {
		if s, ok := lookup(a.Step); ok {
			g.take(s, a.Answer)
		}
	}
}

func (g *Guide) take(s step, answer string) {
	g.answer[s.id] = answer
	for _, a := range s.answers {
		if a.id != answer {
			continue
		}
		for _, c := range a.out {
			g.drop(c, s.id)
		}
		if len(a.shows) > 0 {
			g.keep(a.shows, s.id+"-"+answer)
		}
	}
}

// keep leaves only these causes possible. Where answers contradict each other
// the last one holds.
func (g *Guide) keep(codes []cause.Code, by string) {
	var left []cause.Code
	for _, c := range g.alive {
		if slices.Contains(codes, c) {
			left = append(left, c)
		}
	}
	if len(left) == 0 {
		left = slices.Clone(codes)
		g.gone = slices.DeleteFunc(g.gone, func(e Excluded) bool { return slices.Contains(left, e.Cause) })
	}
	for _, c := range g.alive {
		if !slices.Contains(left, c) {
			g.note(c, by)
		}
	}
	g.alive, g.shown = left, ""
	if len(left) == 1 && len(codes) == 1 {
		g.shown, g.by = left[0], by
	}
}

func (g *Guide) drop(c cause.Code, by string) {
	if i := slices.Index(g.alive, c); i >= 0 {
		g.alive = slices.Delete(g.alive, i, i+1)
		g.note(c, by)
	}
	if g.shown == c {
		g.shown = ""
	}
}

func (g *Guide) note(c cause.Code, by string) {
	row, _ := cause.Lookup(c)
	g.gone = append(g.gone, Excluded{Cause: c, Title: row.Title, Step: by})
}

// next chooses the step that settles most by minute.
func (g *Guide) next() (step, bool) {
	if g.settled() {
		return step{}, false
	}
	var best step
	most := 0.0
	for _, s := range steps {
		if g.answer[s.id] != "" || !s.fits(g.on) || s.last {
			continue
		}
		ask, cost, ok := g.gated(s)
		if !ok {
			continue
		}
		// Equal worth keeps the table's order, which is the article's.
		if worth := g.settles(s) / (cost + asking); worth > most*(1+1e-9) {
			best, most = ask, worth
		}
	}
	if most > 0 {
		return best, true
	}
	for _, s := range steps {
		if s.last && g.answer[s.id] == "" && s.fits(g.on) {
			return s, true
		}
	}
	return step{}, false
}

// settled reports whether one cause was shown, or is left alone and likely
// enough that a test to confirm it would be a question too many.
func (g *Guide) settled() bool {
	return g.shown != "" || len(g.alive) == 1 && weight(g.alive[0]) >= enough*(weight(g.alive[0])+other)
}

// gated is the step that has to be asked to get at s: s itself or what must be
// known before, with the minutes of all of them.
func (g *Guide) gated(s step) (ask step, cost float64, ok bool) {
	ask, cost = s, s.minutes
	for i := len(s.gates) - 1; i >= 0; i-- {
		gate := s.gates[i]
		switch a := g.answer[gate.step]; {
		case a == "":
			before, _ := lookup(gate.step)
			ask, cost = before, cost+before.minutes
		case !slices.Contains(gate.open, a):
			return step{}, 0, false
		}
	}
	return ask, cost, true
}

// settles is the share of the likelihood that an answer is expected to take
// away from what it is not: for a test of one cause of likelihood p that is
// 2p(1-p), so that among rare causes the order is that of p by cost.
func (g *Guide) settles(s step) float64 {
	total := other
	for _, c := range g.alive {
		total += weight(c)
	}
	sum := 0.0
	for _, a := range s.answers {
		chance := 0.0
		for _, c := range g.alive {
			if s.truth(c) == a.id {
				chance += weight(c)
			}
		}
		if s.usual == a.id {
			chance += other
		}
		away := 0.0
		for _, c := range g.alive {
			if a.excludes(c) {
				away += weight(c)
			}
		}
		if len(a.shows) > 0 {
			away += other
		}
		sum += chance / total * away / total
	}
	return sum
}

func (g *Guide) render(s step) Step {
	out := Step{ID: s.id, Tests: s.tests, Question: s.question, Argv: s.argv, Minutes: s.minutes}
	for _, h := range s.how {
		if h.on == "" && !slices.ContainsFunc(s.how, func(o way) bool { return o.on == g.on && g.on != "" }) || h.on == g.on && g.on != "" {
			out.How = append(out.How, h.where)
		}
	}
	for _, a := range s.answers {
		shown := Answer{ID: a.id, Text: a.text}
		for _, c := range g.alive {
			if slices.Contains(a.shows, c) {
				shown.Shows = append(shown.Shows, c)
			} else if slices.Contains(a.out, c) || len(a.shows) > 0 {
				shown.RulesOut = append(shown.RulesOut, c)
			}
		}
		out.Answers = append(out.Answers, shown)
	}
	return out
}

// Conclusion is what the answers so far come to: the shown cause alone, or all
// that are still possible, the likeliest first.
func (g *Guide) Conclusion() Conclusion {
	c := Conclusion{Schema: 1, Findings: []cause.Finding{}, RuledOut: append([]Excluded{}, g.gone...), Asked: len(g.given)}
	left := slices.Clone(g.alive)
	if g.shown != "" {
		left = []cause.Code{g.shown}
	}
	slices.SortStableFunc(left, func(a, b cause.Code) int {
		switch wa, wb := weight(a), weight(b); {
		case wa > wb:
			return -1
		case wa < wb:
			return 1
		}
		return 0
	})
	for _, code := range left {
		c.Findings = append(c.Findings, g.finding(code))
	}
	c.Ambiguous = len(c.Findings) > 1
	if len(c.Findings) == 0 {
		c.Findings = cause.Find([]cause.Fact{cause.Note(cause.CheckText, cause.Word("understood"), cause.Word("not-understood"), cause.ByDevice)})
		c.Findings[0].Remedies = append(support(), c.Findings[0].Remedies...)
	}
	return c
}

func (g *Guide) finding(code cause.Code) cause.Finding {
	row, _ := cause.Lookup(code)
	f := cause.Finding{Cause: row.Code, Title: row.Title, Evidence: []cause.Fact{}, Remedies: remedies(code, g.on)}
	for _, k := range g.known {
		if k.Cause == code {
			f.Evidence = append(f.Evidence, k.Evidence...)
		}
	}
	if g.shown == code && g.by != "known" {
		f.Evidence = append(f.Evidence, cause.Note(cause.CheckTextRule, cause.Value{}, cause.Label("guide-"+g.by), cause.ByDevice))
	}
	if g.shown == "" && len(g.given) > 0 {
		f.Evidence = append(f.Evidence, cause.Note(cause.CheckTextRule, cause.Value{}, cause.Label("guide-not-ruled-out"), cause.ByDevice))
	}
	return f
}
