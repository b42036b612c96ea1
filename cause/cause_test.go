package cause

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// codes are the causes that were ever given out. A code may be added here and
// never leaves: it stands in files, in the ledger and in other programs.
var codes = []Code{
	"client-outdated", "clock-off", "service-fault", "unreachable", "tls-intercepted", "state-damaged",
	"account-unknown", "password-wrong", "locked-by-strangers", "locked-by-own-device", "account-disabled",
	"code-undelivered", "code-wrong", "code-late", "code-elsewhere", "code-clock-off", "code-used",
	"code-tries-spent", "factor-missing", "session-expired", "session-ended", "token-superseded",
	"key-mismatch", "device-removed", "request-denied", "refused",
	"recovery-over", "recovery-pending", "recovery-code-wrong", "recovery-unproved", "passkey-refused", "passkey-copied",
	"terms-pending", "access-not-approved", "region-wrong", "app-password", "security-keys", "rate-limited", "factor-unfinished",
	"trust-expired", "state-not-persisted", "account-locked", "provisioning-refused", "services-disagree", "change-pending", "unknown",
	"keystore-locked", "agent-stopped", "password-former",
}

var audiences = []Audience{Anyone, Holder, Owner, Desk, Operator}

func TestCodesAreStable(t *testing.T) {
	var have []Code
	for _, r := range Table() {
		if slices.Contains(have, r.Code) {
			t.Errorf("%s has two rows", r.Code)
		}
		have = append(have, r.Code)
	}
	for _, c := range codes {
		if !slices.Contains(have, c) {
			t.Errorf("%s has gone", c)
		}
	}
	for _, c := range have {
		if !slices.Contains(codes, c) {
			t.Errorf("%s is new: add it to the list of this test", c)
		}
	}
}

func TestAudiences(t *testing.T) {
	want := map[Audience][]Code{
		Anyone: {"client-outdated", "clock-off", "service-fault", "unreachable", "tls-intercepted", "state-damaged", "refused",
			"terms-pending", "access-not-approved", "region-wrong", "app-password", "security-keys", "rate-limited", "factor-unfinished",
			"trust-expired", "state-not-persisted", "account-locked", "provisioning-refused", "services-disagree", "unknown", "keystore-locked", "agent-stopped"},
		Holder: {"password-wrong", "locked-by-strangers", "locked-by-own-device", "account-disabled", "session-expired", "session-ended", "token-superseded", "change-pending", "recovery-pending", "password-former"},
		Owner: {"code-undelivered", "code-wrong", "code-late", "code-elsewhere", "code-clock-off", "code-used", "code-tries-spent",
			"factor-missing", "key-mismatch", "device-removed", "request-denied",
			"recovery-over", "recovery-code-wrong", "recovery-unproved", "passkey-refused", "passkey-copied"},
		Operator: {"account-unknown"},
	}
	for a, list := range want {
		for _, c := range list {
			if r, ok := Lookup(c); !ok || r.Audience != a {
				t.Errorf("%s is for %s, want %s", c, r.Audience, a)
			}
			for _, to := range audiences {
				told := Refused
				if to >= a {
					told = c
				}
				if got := Disclose(c, nil, to); got != told {
					t.Errorf("%s disclosed to %s as %s", c, to, got)
				}
			}
		}
	}
	if got := Disclose("no-such-cause", nil, Operator); got != Refused {
		t.Errorf("an unknown code is disclosed as %s", got)
	}
	var zero Audience
	if zero != Anyone || Audience(-1).String() != "anyone" || Audience(99).String() != "anyone" {
		t.Error("an audience that is none has rights")
	}
	names := []string{"anyone", "holder", "owner", "desk", "operator"}
	for i, a := range audiences {
		if int(a) != i || a.String() != names[i] {
			t.Errorf("audience %d is %s, want %s", a, a, names[i])
		}
	}
}

// toldAs opens the paragraph "Who is told" of a cause's page.
var toldAs = map[Audience]string{
	Anyone:   "Anyone: ",
	Holder:   "A device that is enrolled for this account, and those who may be told more.",
	Owner:    "A device that is enrolled for this account and signed in to it, and the operator.",
	Operator: "The operator alone.",
}

func TestPages(t *testing.T) {
	for _, r := range Table() {
		b, err := os.ReadFile("../docs/causes/" + string(r.Code) + ".md")
		if err != nil {
			t.Error(err)
			continue
		}
		page := string(b)
		if first, _, _ := strings.Cut(page, "\n"); first != "# "+r.Title {
			t.Errorf("%s: the page begins %q, the row's title is %q", r.Code, first, r.Title)
		}
		if !strings.Contains(page, "\n`"+string(r.Code)+"`\n") {
			t.Errorf("%s: the page does not give the code", r.Code)
		}
		if told := section(page, "Who is told"); !strings.HasPrefix(told, toldAs[r.Audience]) {
			t.Errorf("%s is for %s; the page says %q", r.Code, r.Audience, told)
		}
		if section(page, "What ends it") == "" {
			t.Errorf("%s: the page does not say what ends it", r.Code)
		}
		if r.Proof == "" {
			continue
		}
		line := "Checks: `" + string(r.Proof)
		for _, c := range r.With {
			line += "`, `" + string(c)
		}
		if !strings.Contains(page, "\n"+line+"`.\n") {
			t.Errorf("%s: the page lacks the line %s`.", r.Code, line)
		}
	}
	pages, err := os.ReadDir("../docs/causes")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if p.IsDir() {
			continue // of another language
		}
		if _, ok := Lookup(Code(strings.TrimSuffix(p.Name(), ".md"))); !ok {
			t.Errorf("%s is the page of no cause", p.Name())
		}
	}
}

func section(page, title string) string {
	_, s, _ := strings.Cut(page, "\n## "+title+"\n\n")
	s, _, _ = strings.Cut(s, "\n## ")
	return s
}

func TestRows(t *testing.T) {
	for _, r := range Table() {
		if r.Title == "" || len(r.Remedies) == 0 {
			t.Errorf("%s has no title or nothing that ends it", r.Code)
		}
		if (r.Proof == "") != (r.Code == Refused) {
			t.Errorf("%s: proof %q", r.Code, r.Proof)
		}
		for _, c := range append(slices.Clone(r.With), alsoProof[r.Code]...) {
			if _, ok := checks[c]; !ok {
				t.Errorf("%s rests on the unknown check %s", r.Code, c)
			}
		}
		// What shows a cause and is not among its evidence would leave a finding
		// without its reason.
		for _, c := range alsoProof[r.Code] {
			if !slices.Contains(r.With, c) {
				t.Errorf("%s is shown by %s, which is not among its evidence", r.Code, c)
			}
		}
		for _, m := range r.Remedies {
			if m.Do == "" || !slices.Contains([]By{Person, ADevice, ADesk, AnOperator}, m.By) {
				t.Errorf("%s: remedy %+v", r.Code, m)
			}
			if len(m.Argv) > 0 && m.Argv[0] != "readmit" {
				t.Errorf("%s: a remedy runs %s", r.Code, m.Argv[0])
			}
			for _, a := range m.Argv {
				if strings.HasPrefix(a, "{") && !slices.Contains([]string{"{server}", "{account}", "{device}", "{reference}"}, a) {
					t.Errorf("%s: nobody fills in %s", r.Code, a)
				}
			}
		}
	}
	for c := range alsoProof {
		if _, ok := Lookup(c); !ok {
			t.Errorf("alsoProof names %s, which is no cause", c)
		}
	}
	proves := map[Check]Code{}
	for _, r := range Table() {
		for _, c := range append([]Check{r.Proof}, alsoProof[r.Code]...) {
			if c != "" && proves[c] != "" {
				t.Errorf("%s proves both %s and %s", c, proves[c], r.Code)
			}
			proves[c] = r.Code
		}
	}
}

// A check that no row names would be collected and shown to nobody.
func TestEveryCheckServesARow(t *testing.T) {
	var named []Check
	for _, r := range Table() {
		named = append(append(named, r.Proof), r.With...)
	}
	for c := range checks {
		if !slices.Contains(named, c) {
			t.Errorf("no cause names the check %s", c)
		}
	}
}

// Whoever may be told nothing must not learn from what is missing: what hides
// a row for anyone is itself for anyone.
func TestHidingTellsNothing(t *testing.T) {
	for _, r := range Table() {
		if r.Audience != Anyone {
			continue
		}
		for root := range roots(t, r.Code) {
			if up, _ := Lookup(root); up.Audience != Anyone {
				t.Errorf("%s, for anyone, is hidden by %s, for %s", r.Code, root, up.Audience)
			}
		}
		for _, c := range append([]Check{r.Proof}, append(slices.Clone(r.With), alsoProof[r.Code]...)...) {
			for _, o := range Table() {
				if o.Audience != Anyone && (o.Proof == c || slices.Contains(o.With, c)) {
					t.Errorf("%s is evidence of %s, for anyone, and of %s", c, r.Code, o.Code)
				}
			}
		}
	}
}

func TestHidingHasNoCycles(t *testing.T) {
	rows := Table()
	at := map[Code]int{}
	for i, r := range rows {
		at[r.Code] = i
	}
	for i, r := range rows {
		for _, h := range r.HiddenBy {
			j, ok := at[h]
			if !ok {
				t.Errorf("%s is hidden by %s, which is no cause", r.Code, h)
			}
			if j >= i {
				t.Errorf("%s stands before %s, which hides it", r.Code, h)
			}
		}
	}
}

// roots is all that hides a row, found without the code under test.
func roots(t *testing.T, of Code) map[Code]bool {
	t.Helper()
	all := map[Code]bool{}
	todo := []Code{of}
	for len(todo) > 0 {
		r, ok := Lookup(todo[0])
		if !ok {
			t.Fatalf("%s is no cause", todo[0])
		}
		todo = todo[1:]
		for _, h := range r.HiddenBy {
			if h == of {
				t.Fatalf("%s hides itself", of)
			}
			if !all[h] {
				all[h] = true
				todo = append(todo, h)
			}
		}
	}
	return all
}

func TestTableIsACopy(t *testing.T) {
	Table()[0].Title = "spoilt"
	if Table()[0].Title == "spoilt" {
		t.Error("whoever lists the table can change it")
	}
}

func TestLookup(t *testing.T) {
	for _, c := range codes {
		if r, ok := Lookup(c); !ok || r.Code != c {
			t.Errorf("%s is found as %q", c, r.Code)
		}
	}
	if r, ok := Lookup("no-such-cause"); ok {
		t.Error(fmt.Sprint("found ", r.Code))
	}
}
