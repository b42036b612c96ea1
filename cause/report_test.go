package cause

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// draw makes a value of a kind. What could be recognised in a report begins
// with zq, which no title and no remedy has.
func draw(t *rapid.T, k kind, words []string) Value {
	switch k {
	case word:
		return Word(rapid.SampledFrom(words).Draw(t, "word"))
	case count:
		return Count(rapid.IntRange(0, 100).Draw(t, "count"))
	case duration:
		return Duration(time.Duration(rapid.IntRange(-9999, 9999).Draw(t, "seconds")) * time.Second)
	case instant:
		return Instant(time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "instant"), 0))
	case version:
		return Version(fmt.Sprintf("%d.%d", rapid.IntRange(0, 9).Draw(t, "major"), rapid.IntRange(0, 99).Draw(t, "minor")))
	case name:
		return Name("zq" + rapid.StringN(0, 12, -1).Draw(t, "name"))
	case fingerprint:
		return Fingerprint(rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "digest"))
	case place:
		return Place("/zq" + rapid.StringN(0, 30, -1).Draw(t, "place"))
	case label:
		return Label("zq-" + rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "label"))
	case identifier:
		return Identifier("zq" + rapid.StringMatching(`[a-z]{0,8}@[a-z]{1,8}\.example`).Draw(t, "identifier"))
	}
	return Value{}
}

var sortedChecks = func() []Check {
	var all []Check
	for c := range checks {
		all = append(all, c)
	}
	slices.Sort(all)
	return all
}()

func drawFact(t *rapid.T) Fact {
	c := rapid.SampledFrom(sortedChecks).Draw(t, "check")
	s := checks[c]
	want := draw(t, s.want, s.words)
	if s.want == word && rapid.Bool().Draw(t, "expects the good word") {
		want = Word(s.words[0])
	}
	return Note(c, want, draw(t, s.got, s.words), rapid.SampledFrom([]Seen{ByServer, ByDevice}).Draw(t, "seen"))
}

var facts = rapid.SliceOfN(rapid.Custom(drawFact), 0, 12)

// failed makes a fact that proves a check's cause.
func failed(c Check) Fact {
	s := checks[c]
	switch s.got {
	case word:
		return Note(c, Word(s.words[0]), Word(s.words[1]), ByServer)
	case count:
		return Note(c, Count(10), Count(11), ByServer)
	case duration:
		return Note(c, Duration(time.Minute), Duration(time.Hour), ByServer)
	case version:
		return Note(c, Version("2"), Version("1"), ByServer)
	case fingerprint:
		return Note(c, Fingerprint([]byte{1}), Fingerprint([]byte{2}), ByDevice)
	}
	panic("no proof is of this kind: " + string(c))
}

func TestEveryCauseIsFound(t *testing.T) {
	for _, r := range Table() {
		if r.Proof == "" {
			continue
		}
		for _, c := range append([]Check{r.Proof}, alsoProof[r.Code]...) {
			f := failed(c)
			found := Find([]Fact{f})
			if len(found) != 1 || found[0].Cause != r.Code || found[0].Title != r.Title || len(found[0].Remedies) == 0 ||
				!slices.Equal(found[0].Evidence, []Fact{f}) {
				t.Errorf("%s shows %+v, want %s with it", c, found, r.Code)
			}
			passed := f
			passed.got = passed.want
			if found := Find([]Fact{passed}); len(found) != 0 {
				t.Errorf("%s, which passed, shows %s", c, found[0].Cause)
			}
		}
	}
}

// Every pair of causes at once: of two that depend on one another, the root
// alone is named; of two that do not, the one nearer the table's top first.
func TestRootIsNamedFirst(t *testing.T) {
	rows := Table()
	for i, a := range rows {
		for j, b := range rows {
			if j <= i || a.Proof == "" || b.Proof == "" {
				continue
			}
			want := []Code{a.Code, b.Code}
			if roots(t, b.Code)[a.Code] {
				want = []Code{a.Code}
			}
			for _, both := range [][]Fact{{failed(a.Proof), failed(b.Proof)}, {failed(b.Proof), failed(a.Proof)}} {
				if got := causes(Find(both)); !slices.Equal(got, want) {
					t.Errorf("%s and %s at once are told as %v, want %v", a.Code, b.Code, got, want)
				}
			}
		}
	}
}

// A root hides the consequences of its consequences also where the one between
// was not seen.
func TestHidesThroughOthers(t *testing.T) {
	got := causes(Find([]Fact{failed(CheckSessionIdle), failed(CheckAccount)}))
	if !slices.Equal(got, []Code{"account-unknown"}) {
		t.Errorf("account-unknown hides account-disabled hides session-expired; told %v", got)
	}
}

func causes(found []Finding) []Code {
	var all []Code
	for _, f := range found {
		all = append(all, f.Cause)
	}
	return all
}

func TestFindHides(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seen := facts.Draw(r, "facts")
		held := map[Code]bool{}
		for _, f := range seen {
			for _, row := range table {
				if f.Want() != f.Got() && (f.Check() == row.Proof || slices.Contains(alsoProof[row.Code], f.Check())) {
					held[row.Code] = true
				}
			}
		}
		var want []Code
		for _, row := range table {
			hidden := false
			for root := range roots(t, row.Code) {
				hidden = hidden || held[root]
			}
			if held[row.Code] && !hidden {
				want = append(want, row.Code)
			}
		}
		found := Find(seen)
		if got := causes(found); !slices.Equal(got, want) {
			r.Fatalf("found %v, want %v", got, want)
		}
		for _, f := range found {
			row, _ := Lookup(f.Cause)
			for _, e := range f.Evidence {
				if e.Check() != row.Proof && !slices.Contains(row.With, e.Check()) {
					r.Fatalf("%s with evidence of %s", f.Cause, e.Check())
				}
			}
		}
	})
}

func TestTellKeepsToTheAudience(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seen := facts.Draw(r, "facts")
		to := rapid.SampledFrom(audiences).Draw(r, "audience")
		found := Find(seen)
		report := Tell(found, to)
		b, err := json.Marshal(report)
		if err != nil {
			r.Fatal(err)
		}
		text := string(b)

		may := map[Check]bool{}
		for _, row := range table {
			if row.Audience > to {
				// Who may see a session's end may see the word for why it ended, which
				// is also a cause's name; anyone may not even see that.
				if strings.Contains(text, `"cause":"`+string(row.Code)+`"`) || strings.Contains(text, row.Title) ||
					to == Anyone && strings.Contains(text, string(row.Code)) {
					r.Fatalf("%s is told of %s", to, row.Code)
				}
				continue
			}
			may[row.Proof] = true
			for _, c := range row.With {
				may[c] = true
			}
		}
		for _, f := range seen {
			if may[f.Check()] {
				continue
			}
			if strings.Contains(text, `"check":"`+string(f.Check())+`"`) {
				r.Fatalf("%s is shown %s", to, f.Check())
			}
			for _, v := range []string{f.Want(), f.Got()} {
				if strings.HasPrefix(v, "zq") && strings.Contains(text, v) && !told(seen, may, v) {
					r.Fatalf("%s is shown a value of %s", to, f.Check())
				}
			}
		}
		if report.Schema != 1 || report.Audience != to.String() || len(report.Findings) == 0 {
			r.Fatalf("schema %d, audience %s, %d findings", report.Schema, report.Audience, len(report.Findings))
		}
		// Whoever may be told something of what was found is told all of it;
		// who may not is told the one thing that says nothing.
		var want []Code
		for _, f := range found {
			row, _ := Lookup(f.Cause)
			least := row.Audience
			if f.Cause == "factor-unfinished" && slices.ContainsFunc(f.Evidence, func(e Fact) bool {
				return e.Check() == CheckSecondFactor && e.Seen() == ByServer && e.Want() != e.Got()
			}) {
				least = Owner
			}
			if least <= to {
				want = append(want, f.Cause)
			}
		}
		if want == nil {
			want = []Code{Refused}
			if len(report.Findings[0].Evidence) != 0 {
				r.Fatal("refused comes with evidence")
			}
		}
		if got := causes(report.Findings); !slices.Equal(got, want) {
			r.Fatalf("%s is told %v of %v", to, got, causes(found))
		}
	})
}

// told reports whether a value also belongs to evidence that may be shown.
func told(seen []Fact, may map[Check]bool, v string) bool {
	return slices.ContainsFunc(seen, func(f Fact) bool {
		return may[f.Check()] && (strings.Contains(f.Want(), v) || strings.Contains(f.Got(), v))
	})
}

// The report for anyone is the same, byte for byte, whatever else was found
// out about the account.
func TestAnyoneLearnsNothing(t *testing.T) {
	public := map[Check]bool{}
	for _, row := range table {
		if row.Audience == Anyone {
			public[row.Proof] = true
			for _, c := range append(slices.Clone(row.With), alsoProof[row.Code]...) {
				public[c] = true
			}
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		seen := facts.Draw(r, "facts")
		known := slices.DeleteFunc(slices.Clone(seen), func(f Fact) bool { return !public[f.Check()] })
		all, err := json.Marshal(Tell(Find(seen), Anyone))
		if err != nil {
			r.Fatal(err)
		}
		less, err := json.Marshal(Tell(Find(known), Anyone))
		if err != nil {
			r.Fatal(err)
		}
		if string(all) != string(less) {
			r.Fatalf("told %s, and without what is not public %s", all, less)
		}
	})
}

// What a device sees of its own client anyone may know; what the account server
// has seen of the same is told to the account's owner.
func TestSeenByWhom(t *testing.T) {
	for seen, want := range map[Seen]map[Audience]Code{
		ByDevice: {Anyone: "factor-unfinished", Holder: "factor-unfinished", Owner: "factor-unfinished"},
		ByServer: {Anyone: Refused, Holder: Refused, Owner: "factor-unfinished", Operator: "factor-unfinished"},
	} {
		found := Find([]Fact{Note(CheckSecondFactor, Word("finished"), Word("never-finished"), seen)})
		for to, code := range want {
			if got := Tell(found, to).Findings[0].Cause; got != code {
				t.Errorf("seen by the %s, %s is told %s, want %s", seen, to, got, code)
			}
		}
	}
}

// The form that programs read.
func TestReportJSON(t *testing.T) {
	b, err := json.Marshal(Tell(Find([]Fact{Note(CheckClock, Duration(5*time.Minute), Duration(-time.Hour), ByServer)}), Anyone))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":1,"audience":"anyone","findings":[{"cause":"clock-off","title":"This device's clock is wrong",` +
		`"evidence":[{"check":"clock","want":"5m0s","got":"-1h0m0s","seen":"server"}],"remedies":[{"by":"person","do":`
	if !strings.HasPrefix(string(b), want) {
		t.Errorf("report %s", b)
	}
}
