package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

// TestAudiences asks about each kind of refusal as everybody who can ask. What
// is told is an audience's by proof of this very account, and to all others,
// enrolled elsewhere or not, byte for byte the same.
func TestAudiences(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	other := w.enrolled("other@example.org", "other")
	w.clock.advance(time.Second)
	former := w.another(laptop, jane, "former")
	remove := api.SignedID{Session: laptop.in.Session, ID: former.in.Device[:8]}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	thief := w.machine("thief")
	thief.in = laptop.in
	stranger := w.machine("stranger")
	kinds := map[string]func() *api.Problem{
		"password-wrong": func() *api.Problem { return stranger.fail(jane) },
		"locked-by-strangers": func() *api.Problem {
			for range lockout.FailedLimit {
				stranger.fail(jane)
			}
			return stranger.fail(jane)
		},
		"device-removed": func() *api.Problem { return refusedWith(t, former.refresh()) },
		"key-mismatch":   func() *api.Problem { return refusedWith(t, thief.refresh()) },
	}
	for _, want := range []string{"password-wrong", "locked-by-strangers", "device-removed", "key-mismatch"} {
		p := kinds[want]()
		wantCauses(t, laptop.explain(p, true), cause.Owner, want)
		wantCauses(t, w.forOperator(p), cause.Operator, want)
		holder := want
		if want == "device-removed" || want == "key-mismatch" {
			holder = string(cause.Refused) // the owner's alone to know
		}
		wantCauses(t, laptop.explain(p, false), cause.Holder, holder)

		anyone := w.machine("nobody").post(api.PathExplain, api.Explain{Incident: p.Incident})
		var r cause.Report
		w.read(anyone, &r)
		wantCauses(t, r, cause.Anyone, "refused")
		for who, m := range map[string]*machine{"the stranger": stranger, "enrolled for another": other, "formerly enrolled": former, "a thief of the session's name": thief} {
			for _, session := range []string{"", m.in.Session, laptop.in.Session, other.in.Session} {
				a := m.post(api.PathExplain, api.Explain{Incident: p.Incident, Session: session})
				if a.status != anyone.status || !bytes.Equal(a.body, anyone.body) {
					t.Errorf("%s: %s is told\n%s\nanyone\n%s", want, who, a.body, anyone.body)
				}
			}
		}
	}
}

func TestReferenceOpensNothingAlone(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	other := w.enrolled("other@example.org", "other")
	p := w.machine("stranger").fail(jane)
	ask := func(m *machine, reference, session string) answer {
		return m.post(api.PathExplain, api.Explain{Reference: reference, Session: session})
	}
	var r cause.Report
	w.read(ask(laptop, " "+strings.ToLower(strings.Replace(p.Reference, "-", " ", 1)), laptop.in.Session), &r)
	wantCauses(t, r, cause.Owner, "password-wrong")
	if r.Incident != p.Reference {
		t.Errorf("the report is of %s, want %s", r.Incident, p.Reference)
	}
	unknown := "0000-0000"
	for who, session := range map[*machine]string{
		w.machine("nobody"): "", other: "", laptop: "", // the holder's key alone names no account
	} {
		a, b := ask(who, p.Reference, session), ask(who, unknown, session)
		w.read(a, &r)
		wantCauses(t, r, cause.Anyone, "refused")
		if got := bytes.ReplaceAll(a.body, []byte(p.Reference), []byte(unknown)); !bytes.Equal(got, b.body) {
			t.Errorf("%s sees whether a reference exists:\n%s\n%s", who.name, a.body, b.body)
		}
	}
	a, b := ask(other, p.Reference, other.in.Session), ask(other, unknown, other.in.Session)
	if a.status != http.StatusConflict || !bytes.Equal(a.body, b.body) {
		t.Errorf("an owner of another account sees whether a reference exists: %d\n%s\n%s", a.status, a.body, b.body)
	}
	wantCode(t, "no reference", laptop.call(api.PathExplain, api.Explain{Reference: "hello"}, nil), api.BadRequest)
	wantCode(t, "no incident", laptop.call(api.PathExplain, api.Explain{Incident: "AAAA"}, nil), api.NotPossible)
}

func TestLooksAreRecordedForTheOwner(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	stranger := w.machine("stranger")
	p := stranger.fail(jane)
	stranger.explain(p, false)
	laptop.explain(p, false)
	laptop.explain(p, true)
	w.forOperator(p)
	var list api.Activities
	wantCode(t, "activity", laptop.call(api.PathActivity, laptop.signed(), &list), 0)
	seen := map[string]string{}
	for _, a := range list.Activity {
		if who, ok := strings.CutPrefix(a.What, "explanation read of "+p.Reference+" by "); ok {
			seen[who] = a.Device
		}
	}
	want := map[string]string{"anyone": "unnamed", "holder": "laptop", "owner": "laptop", "operator": "operator"}
	for who := range want {
		if _, ok := seen[who]; !ok {
			t.Errorf("the owner does not see that %s looked: %v", who, seen)
		}
	}
	if seen["holder"] != "laptop" || seen["operator"] != "operator" {
		t.Errorf("who looked: %v", seen)
	}
}

// TestLooksAreNotPushedOut: whoever holds an incident can look at it with any
// number of keys.
func TestLooksAreNotPushedOut(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	p := w.machine("stranger").fail(jane)
	w.forOperator(p)
	for range 2 * store.RingSize {
		w.machine("looker").explain(p, false)
	}
	seen := slices.ContainsFunc(w.activity(jane), func(a api.Activity) bool {
		return a.What == "explanation read of "+p.Reference+" by operator"
	})
	if !seen {
		t.Error("strangers' looks push the operator's out of the owner's sight")
	}
	laptop.asOwner(t, p, "password-wrong")
}

// TestAgentsPushNothingOut: nor can an agent of the desk, whether or not the
// owner has approved anything, by looks or by acts.
func TestAgentsPushNothingOut(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	agent := w.agent(ann)
	p := w.machine("stranger").fail(jane)
	w.forOperator(p)
	wantCode(t, "recovery codes", laptop.call(api.PathRecoveryCodes, api.SignedFresh{Session: laptop.in.Session}, nil), 0)
	lines := func(what, by string) (n int) {
		for _, a := range w.activity(jane) {
			if a.What == what && (by == "" || a.Device == by) {
				n++
			}
		}
		return n
	}
	all := func(what string, call func() *api.Problem) (done int) {
		t.Helper()
		for range 2 * store.RingSize {
			q := call()
			if q == nil {
				done++
			} else if q.Code != api.TooMany {
				t.Fatalf("%s: %v", what, q)
			}
			w.clock.advance(7 * time.Second) // three times: less than the hour of the agent's proof
		}
		if lines("explanation read of "+p.Reference+" by operator", "") != 1 || lines("recovery codes made", "") != 1 {
			t.Errorf("%s push what was there before out of the owner's sight", what)
		}
		return done
	}
	all("look-ups", func() *api.Problem { return agent.call(api.PathDeskAccount, agent.ask(""), nil) })
	if n := lines("account looked up", ann); n != 1 {
		t.Errorf("a quarter of an hour of look-ups of one agent are %d lines", n)
	}
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	if n := all("readings", func() *api.Problem { return agent.call(api.PathDeskExplain, agent.ask(p.Reference), nil) }); n < 3 || n != lines("explanation read of "+p.Reference+" by desk", ann) {
		t.Errorf("%d readings, %d lines", n, lines("explanation read of "+p.Reference+" by desk", ann))
	}
	if n := all("acts", func() *api.Problem { _, q := agent.do(p.Reference, api.ActUnlock); return q }); n < 3 || n != lines("unlocked by support of "+p.Reference+" by desk", ann) {
		t.Errorf("%d acts, %d lines", n, lines("unlocked by support of "+p.Reference+" by desk", ann))
	}
}

// TestLookUpsAreTold: the first one of an agent in a day goes to the owner's
// addresses, and each line of the ledger to the owner's pages at once.
func TestLookUpsAreTold(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	agent, other := w.agent(ann), w.agent(bob)
	w.deliver()
	find := func(by *machine, account string, want int) {
		t.Helper()
		if _, p := by.signIn(account, password); p != nil {
			t.Fatal(p)
		}
		w.deliver()
		wantCode(t, "find", by.call(api.PathDeskAccount, by.ask(""), nil), 0)
		got := told(w.deliver(), home)
		if len(got) != want || want > 0 && !strings.HasPrefix(got[0], "Support looked your account up"+account) {
			t.Errorf("the owner is told %q", got)
		}
	}
	server := httptest.NewServer(w.public)
	defer server.Close()
	events, stop := stream(t, laptop, server)
	defer stop()
	next(t, events)
	find(agent, ann, 1)
	nextOf(t, events, "changed", byItself)
	find(agent, ann, 0)
	find(other, bob, 1)
	w.clock.advance(2 * time.Hour)
	find(agent, ann, 0)
	w.clock.advance(23 * time.Hour) // the next day, and less than a day after the last one
	find(agent, ann, 1)
}

// TestAgentsDoNotTryNames: what an agent asks about accounts is limited, whether
// or not there are such.
func TestAgentsDoNotTryNames(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop")
	agent, other := w.agent(ann), w.agent(bob)
	try := agent.ask("")
	for i := range 60 {
		try.Identifier = fmt.Sprint(i, "@example.org")
		wantCode(t, "a name", agent.call(api.PathDeskAccount, try, nil), api.NotPossible)
	}
	wantCode(t, "the next name", agent.call(api.PathDeskAccount, try, nil), api.TooMany)
	wantCode(t, "jane", agent.call(api.PathDeskAccount, agent.ask(""), nil), api.TooMany)
	wantCode(t, "another agent", other.call(api.PathDeskAccount, other.ask(""), nil), 0)
	w.clock.advance(10 * time.Second)
	wantCode(t, "jane, later", agent.call(api.PathDeskAccount, agent.ask(""), nil), 0)
}

func TestLooksAreLimited(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	stranger, other := w.machine("stranger"), w.machine("other")
	bucket := func(m *machine) [2]byte { return [2]byte{m.key.Thumbprint()[0] & 3, m.key.Thumbprint()[1]} }
	for bucket(stranger) != bucket(laptop) { // as one of many strangers has
		stranger = w.machine("stranger")
	}
	for bucket(other) == bucket(stranger) {
		other = w.machine("other")
	}
	ask := api.Explain{Reference: "0000-0000"}
	refusal := other.fail(jane)
	for range 30 {
		wantCode(t, "a look", stranger.call(api.PathExplain, ask, nil), 0)
	}
	wantCode(t, "the next look", stranger.call(api.PathExplain, ask, nil), api.TooMany)
	wantCode(t, "another device's look", other.call(api.PathExplain, ask, nil), 0)
	wantCode(t, "the holder's look", laptop.call(api.PathExplain, api.Explain{Incident: refusal.Incident}, nil), 0)
	for range 29 {
		laptop.asOwner(t, refusal, "password-wrong")
	}
	wantCode(t, "the owner's next look", laptop.call(api.PathExplain, api.Explain{Incident: refusal.Incident, Session: laptop.in.Session}, nil), api.TooMany)
	w.clock.advance(2 * time.Second)
	wantCode(t, "a look after two seconds", stranger.call(api.PathExplain, ask, nil), 0)
	wantCode(t, "and one more", stranger.call(api.PathExplain, ask, nil), api.TooMany)
}

func TestIncidentIsOpenForThirtyDays(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for range 3 { // sealed at different ages of the sealing key
		p := w.machine("stranger").fail(jane)
		ask := api.Explain{Incident: p.Incident, Session: laptop.in.Session}
		w.days(29)
		w.restart()
		wantCode(t, "refresh", laptop.refresh(), 0)
		wantCauses(t, laptop.explain(p, true), cause.Owner, "password-wrong")
		w.days(2)
		wantCode(t, "an incident of 31 days ago", laptop.call(api.PathExplain, ask, nil), api.NotPossible)
		w.days(9)
		wantCode(t, "an incident of 40 days ago", laptop.call(api.PathExplain, ask, nil), api.NotPossible)
		wantCode(t, "refresh", laptop.refresh(), 0)
	}
}

// TestDevicesEvidence: a device adds what it has seen itself, and nothing that
// claims to be the server's.
func TestDevicesEvidence(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	p := w.machine("stranger").fail(jane)
	fact := func(seen cause.Seen) []cause.Fact {
		return []cause.Fact{cause.Note(cause.CheckStateFile, cause.Word("intact"), cause.Word("malformed"), seen)}
	}
	ask := api.Explain{Incident: p.Incident, Session: laptop.in.Session, Evidence: fact(cause.ByServer)}
	wantCode(t, "evidence in the server's name", laptop.call(api.PathExplain, ask, nil), api.BadRequest)
	ask.Evidence = fact(cause.ByDevice)
	var r cause.Report
	wantCode(t, "the device's own", laptop.call(api.PathExplain, ask, &r), 0)
	wantCauses(t, r, cause.Owner, "state-damaged password-wrong")
	stranger := w.machine("stranger")
	ask.Session = ""
	wantCode(t, "a stranger's", stranger.call(api.PathExplain, ask, &r), 0)
	wantCauses(t, r, cause.Anyone, "state-damaged")
}

// TestWhatWentOnIsNoRefusal: a reference is known while an attempt is
// unfinished. Once that has gone on, nobody is told that it was refused.
func TestWhatWentOnIsNoRefusal(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for _, m := range []*machine{laptop, w.machine("phone")} { // signed in; asked for a code
		try, p := m.start(jane, password)
		if p != nil {
			t.Fatal(p)
		}
		var now api.Activities
		wantCode(t, "activity", laptop.call(api.PathActivity, laptop.signed(), &now), 0)
		reference := now.Activity[0].Reference
		ask := func() *api.Problem {
			return laptop.call(api.PathExplain, api.Explain{Session: laptop.in.Session, Reference: reference}, new(cause.Report))
		}
		wantCode(t, "unfinished", ask(), 0)
		_, p = try.finish()
		wantCode(t, "finish", p, 0)
		if q := ask(); q == nil || q.Reason != api.ReasonNotRefused {
			t.Errorf("of %s, the owner is told %v", m.name, q)
		}
		if q := w.operator(api.AdminExplain, api.Explain{Reference: reference}, nil); q == nil || q.Reason != api.ReasonNotRefused {
			t.Errorf("of %s, the operator is told %v", m.name, q)
		}
		wantCode(t, "another's", w.machine("stranger").call(api.PathExplain, api.Explain{Reference: reference}, new(cause.Report)), 0)
	}
}

// TestExplainingAuthenticatesNobody: an incident and its explanation are of no
// use for anything else.
func TestExplainingAuthenticatesNobody(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	stranger := w.machine("stranger")
	p := stranger.fail(jane)
	laptop.explain(p, true)
	before := len(w.accounts())
	_, again := stranger.signInWith(api.SignInStart{Account: jane, Pass: p.Reference}, "a wrong one")
	refusedWith(t, again)
	stranger.in.Session = "00000000000000000000000000000000"
	refusedWith(t, stranger.refresh())
	if len(w.accounts()) != before || w.accounts()[0].Devices != 1 {
		t.Error("an explanation changed the account")
	}
}
