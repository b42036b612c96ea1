package guide

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"readmit.dev/readmit/cause"
)

func TestTable(t *testing.T) {
	seen := map[string]bool{}
	weighed := map[cause.Code]bool{}
	for _, f := range frequencies {
		if _, ok := cause.Lookup(f.cause); !ok || weighed[f.cause] || f.n <= 0 {
			t.Errorf("frequency of %s", f.cause)
		}
		weighed[f.cause] = true
		if len(remedies(f.cause, "")) == 0 {
			t.Errorf("nothing ends %s", f.cause)
		}
		for _, on := range systems {
			if !f.fits(on) {
				continue
			}
			if !slices.ContainsFunc(steps, func(s step) bool {
				return s.fits(on) && slices.ContainsFunc(s.answers, func(a option) bool { return slices.Equal(a.shows, list(f.cause)) || slices.Contains(a.out, f.cause) })
			}) {
				t.Errorf("no step on %q settles %s", on, f.cause)
			}
		}
	}
	for _, s := range steps {
		if seen[s.id] || s.minutes <= 0 || s.tests == "" || s.question == "" || len(s.answers) < 2 {
			t.Errorf("step %q", s.id)
		}
		seen[s.id] = true
		answers := map[string]bool{}
		for _, a := range s.answers {
			if answers[a.id] || a.text == "" {
				t.Errorf("%s: answer %q", s.id, a.id)
			}
			answers[a.id] = true
			if l := "guide-" + s.id + "-" + a.id; cause.Label(l).String() != l {
				t.Errorf("%s is no label", l)
			}
			for _, c := range slices.Concat(a.shows, a.out) {
				if !weighed[c] {
					t.Errorf("%s, %s: %s has no frequency", s.id, a.id, c)
				}
			}
		}
		if !answers[s.usual] && (s.usual != "" || len(s.gates) == 0) {
			t.Errorf("%s: the usual answer %q is none", s.id, s.usual)
		}
		for _, g := range s.gates {
			before, ok := lookup(g.step)
			if !ok {
				t.Errorf("%s waits for %s", s.id, g.step)
			}
			for _, a := range g.open {
				if !slices.ContainsFunc(before.answers, func(o option) bool { return o.id == a }) {
					t.Errorf("%s waits for %s %s", s.id, g.step, a)
				}
			}
		}
		// Whoever answers as it is must never rule the cause out.
		for c := range weighed {
			for _, a := range s.answers {
				if a.id == s.truth(c) && a.excludes(c) && len(a.shows) == 0 {
					t.Errorf("%s: the answer %s rules out %s, of which it is the true one", s.id, a.id, c)
				}
			}
		}
	}
}

// iCloud's own causes and the article's all have a path that ends at them.
func TestEveryCauseIsReached(t *testing.T) {
	want := []cause.Code{
		"terms-pending", "access-not-approved", "region-wrong", "app-password", "security-keys", "rate-limited", "factor-unfinished", "trust-expired", "state-not-persisted",
		"account-locked", "provisioning-refused", "services-disagree", "change-pending",
		"password-wrong", "account-unknown", "client-outdated", "clock-off", "unreachable", "tls-intercepted", "state-damaged", "code-wrong", "code-late", "code-undelivered",
		"code-tries-spent", "service-fault", "session-expired",
	}
	for _, c := range want {
		reached := false
		for _, on := range systems {
			if !fits(c, on) {
				continue
			}
			g, _, _ := walk(t, on, c, g0)
			end := g.Conclusion()
			if end.Findings[0].Cause == c {
				reached = true
			} else {
				t.Errorf("%s on %q ends at %v after %v", c, on, end.Findings[0].Cause, g.given)
			}
			if len(end.Findings[0].Remedies) == 0 {
				t.Errorf("%s on %q: no remedy", c, on)
			}
		}
		if !reached {
			t.Errorf("no path ends at %s", c)
		}
	}
	// Where nothing holds, the guide says so and sends nobody away unwarned.
	g, _, _ := walk(t, "mac", "", g0)
	if end := g.Conclusion(); end.Findings[0].Cause != "unknown" || !strings.Contains(end.Findings[0].Remedies[0].Do, "takes days") || g.answer["support"] == "" {
		t.Errorf("with no cause: %+v", end.Findings)
	}
}

func fits(c cause.Code, on string) bool {
	return slices.ContainsFunc(frequencies, func(f frequency) bool { return f.cause == c && f.fits(on) })
}

type order func(g *Guide) (step, bool)

func g0(g *Guide) (step, bool) { return g.next() }

// asWritten asks in the order of the article and of the table, leaving out what
// can change nothing any more.
func asWritten(g *Guide) (step, bool) {
	if g.settled() {
		return step{}, false
	}
	for _, s := range steps {
		if g.answer[s.id] != "" || !s.fits(g.on) || s.last {
			continue
		}
		ask, _, ok := g.gated(s)
		if ok && g.settles(s) > 0 {
			return ask, true
		}
	}
	return step{}, false
}

// walk answers as somebody for whom the cause holds, and counts questions and
// minutes until it is named.
func walk(t testing.TB, on string, c cause.Code, ask order) (g *Guide, questions int, minutes float64) {
	t.Helper()
	g = Start(on, nil)
	for {
		s, ok := ask(g)
		if !ok {
			return g, questions, minutes
		}
		a := s.truth(c)
		if err := g.Answer(s.id, a); err != nil {
			t.Fatal(err)
		}
		if !s.last {
			questions++
			minutes += s.minutes
		}
		if questions > len(steps) {
			t.Fatalf("%s on %q does not end", c, on)
		}
	}
}

// The order of worth asks less than the article's.
func TestFewestQuestions(t *testing.T) {
	for _, on := range systems {
		var sum, q, m, wq, wm float64
		for _, f := range frequencies {
			if !f.fits(on) {
				continue
			}
			_, n, min := walk(t, on, f.cause, g0)
			_, wn, wmin := walk(t, on, f.cause, asWritten)
			sum += f.n
			q, m = q+f.n*float64(n), m+f.n*min
			wq, wm = wq+f.n*float64(wn), wm+f.n*wmin
			if f.n >= 9 {
				t.Logf("%-8s %-20s %2d questions %4.1f min; in the article's order %2d and %4.1f min", on, f.cause, n, min, wn, wmin)
			}
		}
		t.Logf("%-8s weighted: %.2f questions, %.1f min; in the article's order %.2f and %.1f min", on, q/sum, m/sum, wq/sum, wm/sum)
		if q >= wq || m >= wm || q/sum > 3.5 {
			t.Errorf("on %q: %.2f questions and %.1f min, in the article's order %.2f and %.1f", on, q/sum, m/sum, wq/sum, wm/sum)
		}
	}
}

// Among tests of one rare cause each, the order is that of likelihood by cost.
func TestWorthIsLikelihoodByCost(t *testing.T) {
	g := Start("", nil)
	ratio := func(id string, c cause.Code) (worth, pc float64) {
		s, _ := lookup(id)
		return g.settles(s) / s.minutes, weight(c) / s.minutes
	}
	type test struct {
		id string
		c  cause.Code
	}
	tests := []test{{"tries", "rate-limited"}, {"clock", "clock-off"}, {"security-key", "security-keys"}, {"status", "service-fault"}, {"terms", "terms-pending"}, {"region", "region-wrong"}}
	for _, a := range tests {
		for _, b := range tests {
			wa, pa := ratio(a.id, a.c)
			wb, pb := ratio(b.id, b.c)
			if pa > 1.3*pb && wa <= wb {
				t.Errorf("%s (p/c %.2f) is worth %.4f, %s (p/c %.2f) %.4f", a.id, pa, wa, b.id, pb, wb)
			}
		}
	}
}

// Any answers end, no step comes twice, nothing is signed out before it was
// asked what that loses, and what was saved is taken up where it was left.
func TestAnyPath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		on := rapid.SampledFrom(systems).Draw(t, "on")
		var known []cause.Finding
		if rapid.Bool().Draw(t, "known") {
			for _, f := range rapid.SliceOfN(rapid.SampledFrom(frequencies), 1, 4).Draw(t, "findings") {
				row, _ := cause.Lookup(f.cause)
				known = append(known, cause.Finding{Cause: f.cause, Title: row.Title, Evidence: []cause.Fact{}, Remedies: row.Remedies})
			}
		}
		g := Start(on, known)
		asked := map[string]bool{}
		for {
			s, ok := g.Next()
			if !ok {
				break
			}
			if asked[s.ID] {
				t.Fatalf("%s is asked twice", s.ID)
			}
			asked[s.ID] = true
			if (s.ID == "sign-out" || s.ID == "reset") && (g.answer["local-copy"] != "uploaded" || g.answer["other-device"] != "yes") {
				t.Fatalf("%s before it is known what is lost", s.ID)
			}
			if on == "iphone" && len(s.Argv) > 0 && s.Argv[0] == "readmit" && slices.Contains(s.Argv, "--fix") {
				t.Fatal("a telephone is told to run the doctor")
			}
			a := rapid.SampledFrom(s.Answers).Draw(t, s.ID)
			if err := g.Answer(s.ID, a.ID); err != nil {
				t.Fatal(err)
			}
			if err := g.Answer(s.ID, a.ID); !errors.Is(err, ErrTwice) {
				t.Fatalf("answering twice: %v", err)
			}
			b, err := g.Save()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Load(b)
			if err != nil {
				t.Fatal(err)
			}
			s1, ok1 := g.Next()
			s2, ok2 := again.Next()
			if ok1 != ok2 || s1.ID != s2.ID {
				t.Fatalf("taken up at %q, left at %q", s2.ID, s1.ID)
			}
			b2, _ := again.Save()
			if !bytes.Equal(b, b2) {
				t.Fatal("saved otherwise after being loaded")
			}
		}
		end := g.Conclusion()
		if len(end.Findings) == 0 || end.Ambiguous != (len(end.Findings) > 1) {
			t.Fatalf("%+v", end)
		}
		for _, e := range end.RuledOut {
			if slices.ContainsFunc(end.Findings, func(f cause.Finding) bool { return f.Cause == e.Cause }) {
				t.Fatalf("%s is both found and ruled out", e.Cause)
			}
		}
		n := len(g.given)
		for g.Back() {
			n--
		}
		if n != 0 {
			t.Fatal("answers are left after all were taken back")
		}
	})
}

func TestKnown(t *testing.T) {
	row, _ := cause.Lookup("clock-off")
	g := Start("mac", []cause.Finding{{Cause: row.Code, Title: row.Title}})
	if s, ok := g.Next(); ok {
		t.Errorf("asks %s though the cause is known", s.ID)
	}
	if c := g.Conclusion(); len(c.Findings) != 1 || c.Findings[0].Cause != "clock-off" {
		t.Errorf("%+v", c.Findings)
	}
	g = Start("mac", []cause.Finding{{Cause: "unknown"}})
	if _, ok := g.Next(); !ok {
		t.Error("an unknown text leaves nothing to ask")
	}
	g = Start("", []cause.Finding{{Cause: "client-outdated"}, {Cause: "rate-limited"}})
	if s, ok := g.Next(); !ok || s.ID != "tries" && s.ID != "version" && s.ID != "message" {
		t.Errorf("of two it asks %q", s.ID)
	}
	g = Start("", nil)
	g.Exclude("clock-off", "unreachable", "tls-intercepted")
	for {
		s, ok := g.Next()
		if !ok {
			break
		}
		if s.ID == "clock" || s.ID == "network" || s.ID == "certificate" {
			t.Errorf("asks %s though it is known", s.ID)
		}
		one, _ := lookup(s.ID)
		if err := g.Answer(s.ID, one.usual); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnswers(t *testing.T) {
	g := Start("iphone", nil)
	for _, c := range []struct {
		step, answer string
		want         error
	}{{"nonsense", "yes", ErrStep}, {"reset", "works", ErrStep}, {"web", "maybe", ErrAnswer}, {"web", "accepted", nil}, {"web", "refused", ErrTwice}} {
		if err := g.Answer(c.step, c.answer); !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v, want %v", c.step, c.answer, err, c.want)
		}
	}
	// The last of two answers that contradict each other holds.
	g = Start("", nil)
	for _, a := range [][2]string{{"web", "accepted"}, {"recovery", "not-known"}} {
		if err := g.Answer(a[0], a[1]); err != nil {
			t.Fatal(err)
		}
	}
	if c := g.Conclusion(); c.Findings[0].Cause != "account-unknown" || c.Ambiguous {
		t.Errorf("%+v", c.Findings)
	}
}

func TestHow(t *testing.T) {
	for _, on := range systems {
		for _, s := range steps {
			if !s.fits(on) {
				continue
			}
			for _, w := range Start(on, nil).render(s).How {
				if w == "" {
					t.Errorf("%s on %q: an empty way", s.id, on)
				}
			}
			if len(s.how) > 0 && on != "" && len(Start(on, nil).render(s).How) == 0 {
				t.Errorf("%s on %q: no way", s.id, on)
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"":                            ErrProgress,
		"{}":                          ErrProgress,
		`{"schema":2}`:                ErrNewer,
		`{"schema":99,"x":1}`:         ErrNewer,
		`{"schema":1,"x":1}`:          ErrProgress,
		`{"schema":1}{}`:              ErrProgress,
		`{"schema":1,"on":"toaster"}`: ErrProgress,
		`{"schema":1,"answers":[{"step":"web","answer":"maybe"}]}`:                             ErrProgress,
		`{"schema":1,"answers":[{"step":"web","answer":"key"},{"step":"web","answer":"key"}]}`: ErrProgress,
		`{"schema":1,"known":[{"cause":"sunspots"}]}`:                                          ErrProgress,
		`{"schema":1,"out":["sunspots"]}`:                                                      ErrProgress,
		strings.Repeat(" ", most+1):                                                            ErrProgress,
	} {
		if _, err := Load([]byte(in)); !errors.Is(err, want) {
			t.Errorf("%.60s: %v, want %v", in, err, want)
		}
	}
	if g, err := Load([]byte(`{"schema":1}`)); err != nil || g.On() != "" {
		t.Error(err)
	}
}

func FuzzLoad(f *testing.F) {
	g := Start("mac", []cause.Finding{{Cause: "clock-off", Evidence: []cause.Fact{}, Remedies: []cause.Remedy{}}})
	b, _ := g.Save()
	f.Add(b)
	g = Start("", nil)
	g.Answer("message", "password")
	g.Answer("web", "accepted")
	b, _ = g.Save()
	f.Add(b)
	f.Add([]byte(`{"schema":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := Load(b)
		if err != nil {
			if !errors.Is(err, ErrProgress) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		saved, err := g.Save()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(saved)
		if err != nil {
			t.Fatal(err)
		}
		if twice, _ := again.Save(); !bytes.Equal(saved, twice) {
			t.Fatal("saved otherwise after being loaded")
		}
		g.Next()
		g.Conclusion()
	})
}
