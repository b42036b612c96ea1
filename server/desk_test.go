package server_test

import (
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/desk"
	"readmit.dev/readmit/store"
)

const (
	ann = "ann@example.org" // agents of the desk
	bob = "bob@example.org"
)

// agent is a device of an account that works at the desk.
func (w *world) agent(account string) *machine {
	w.t.Helper()
	m := w.enrolled(account, "desk of "+account)
	w.act(api.AdminDeskAdd, account)
	return m
}

func (m *machine) ask(reference string) api.DeskAsk {
	return api.DeskAsk{Session: m.in.Session, Identifier: jane, Reference: reference}
}

func (m *machine) approveSupport(reference string) *api.Problem {
	return m.call(api.PathApprovalsGive, api.ApprovalGive{Session: m.in.Session, Reference: reference}, nil)
}

func (m *machine) do(reference, kind string) (api.DeskDone, *api.Problem) {
	m.w.t.Helper()
	var out api.DeskDone
	p := m.call(api.PathDeskAct, api.DeskDo{Session: m.in.Session, Identifier: jane, Reference: reference, Kind: kind}, &out)
	return out, p
}

func (m *machine) agree(act string) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathDeskAgree, api.SignedID{Session: m.in.Session, ID: act}, nil)
}

func TestDesk(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	agent := w.agent(ann)
	p := w.machine("stranger").fail(jane)
	var known api.DeskAccount
	wantCode(t, "find", agent.call(api.PathDeskAccount, agent.ask(""), &known), 0)
	if known.Account != jane || len(known.Approved) != 0 {
		t.Errorf("%+v", known)
	}
	none := agent.ask("")
	none.Identifier = "nobody@example.org"
	wantCode(t, "find nobody", agent.call(api.PathDeskAccount, none, nil), api.NotPossible)

	// Before the approval an agent sees nothing, and does nothing.
	var r cause.Report
	wantCode(t, "explain before the approval", agent.call(api.PathDeskExplain, agent.ask(p.Reference), &r), api.NotPossible)
	for _, kind := range desk.Acts {
		_, q := agent.do(p.Reference, kind)
		wantCode(t, kind+" before the approval", q, api.NotPossible)
	}
	var anyone cause.Report
	wantCode(t, "explain as anybody can", agent.call(api.PathExplain, api.Explain{Incident: p.Incident, Session: agent.in.Session}, &anyone), 0)
	wantCauses(t, anyone, cause.Anyone, "refused")

	w.deliver()
	wantCode(t, "ask", agent.call(api.PathDeskAsk, agent.ask(strings.ToLower(p.Reference)), nil), 0)
	wantCode(t, "ask again", agent.call(api.PathDeskAsk, agent.ask(p.Reference), nil), 0)
	if got := told(w.deliver(), home); len(got) != 1 {
		t.Errorf("asked twice, the owner is told %q", got)
	}
	var list api.Approvals
	wantCode(t, "approvals", laptop.call(api.PathApprovals, laptop.signed(), &list), 0)
	if len(list.Asked) != 1 || list.Asked[0].Agent != ann || list.Asked[0].Reference != p.Reference || list.Asked[0].Kind != "ask" {
		t.Errorf("%+v", list)
	}
	wantCode(t, "an agent approves it himself", agent.approveSupport(p.Reference), api.NotPossible)
	wantCode(t, "approve what is not there", laptop.approveSupport("0000-0000"), api.NotPossible)
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	list = api.Approvals{}
	wantCode(t, "approvals", laptop.call(api.PathApprovals, laptop.signed(), &list), 0)
	if len(list.Asked) != 0 || len(list.Approvals) != 1 || list.Approvals[0].By != "laptop" {
		t.Errorf("%+v", list)
	}
	for range 3 {
		r = cause.Report{}
		wantCode(t, "explain", agent.call(api.PathDeskExplain, agent.ask(p.Reference), &r), 0)
		wantCauses(t, r, cause.Desk, "password-wrong")
	}
	if got := told(w.deliver(), home); len(got) != 1 || !strings.HasPrefix(got[0], "Support has looked") {
		t.Errorf("the owner is told %q", got)
	}
	looks := 0
	for _, a := range w.activity(jane) {
		if a.What == "explanation read of "+p.Reference+" by desk" && a.Device == ann {
			looks++
		}
	}
	if looks != 3 {
		t.Errorf("%d of 3 looks stand in the owner's ledger", looks)
	}
	// One incident is one incident.
	other := w.machine("stranger").fail(jane)
	wantCode(t, "another incident", agent.call(api.PathDeskExplain, agent.ask(other.Reference), nil), api.NotPossible)
	_, q := agent.do(other.Reference, api.ActEndSessions)
	wantCode(t, "an act for it", q, api.NotPossible)

	revoke := api.SignedReference{Session: laptop.in.Session, Reference: p.Reference}
	wantCode(t, "another account takes it back", agent.call(api.PathApprovalsRevoke, api.SignedReference{Session: agent.in.Session, Reference: p.Reference}, nil), api.NotPossible)
	wantCode(t, "take it back", laptop.call(api.PathApprovalsRevoke, revoke, nil), 0)
	wantCode(t, "explain after that", agent.call(api.PathDeskExplain, agent.ask(p.Reference), nil), api.NotPossible)
	_, q = agent.do(p.Reference, api.ActEndSessions)
	wantCode(t, "act after that", q, api.NotPossible)
	wantCode(t, "approve again", laptop.approveSupport(p.Reference), 0)
	agent.signIn(ann, password)
	w.clock.advance(desk.ApprovalLife - time.Minute)
	agent.signIn(ann, password)
	wantCode(t, "explain just before it ends", agent.call(api.PathDeskExplain, agent.ask(p.Reference), nil), 0)
	w.clock.advance(time.Minute)
	wantCode(t, "explain a day later", agent.call(api.PathDeskExplain, agent.ask(p.Reference), nil), api.NotPossible)
}

// TestDeskIsARole: nobody works there without it, with an old proof, or a
// moment after it was taken.
func TestDeskIsARole(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	agent := w.agent(ann)
	p := w.machine("stranger").fail(jane)
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	if q := w.operator(api.AdminDeskAdd, api.AdminAccount{Account: "nobody@example.org"}, nil); codeOf(q) != api.NotPossible {
		t.Errorf("an agent without an account: %v", q)
	}
	var agents api.AdminAgents
	w.read(w.operatorGet(api.AdminDesk), &agents)
	if len(agents.Agents) != 1 || agents.Agents[0].Account != ann {
		t.Errorf("%+v", agents)
	}
	calls := func(m *machine) map[string]*api.Problem {
		_, act := m.do(p.Reference, api.ActUnlock)
		return map[string]*api.Problem{
			"hello":   m.call(api.PathDesk, m.signed(), nil),
			"find":    m.call(api.PathDeskAccount, m.ask(""), nil),
			"ask":     m.call(api.PathDeskAsk, m.ask(p.Reference), nil),
			"explain": m.call(api.PathDeskExplain, m.ask(p.Reference), nil),
			"act":     act,
		}
	}
	want := func(who string, m *machine, code int) {
		t.Helper()
		for what, q := range calls(m) {
			wantCode(t, who+": "+what, q, code)
		}
	}
	want("an agent", agent, 0)
	want("somebody", w.enrolled("mallory@example.org", "m"), api.NotPossible)
	thief := w.machine("thief")
	thief.in = agent.in
	want("a thief of the session's name", thief, api.Failed)
	w.clock.advance(time.Hour + time.Second)
	want("an agent with an old proof", agent, api.NotPossible)
	agent.signIn(ann, password)
	want("an agent who proved it again", agent, 0)
	w.act(api.AdminDeskRemove, ann)
	want("one who is none any more", agent, api.NotPossible)
	w.act(api.AdminDeskAdd, ann)
	want("one who is again", agent, 0)
	w.act(api.AdminDisable, ann)
	want("one whose account is disabled", agent, api.Failed)

	own := w.agent(bob)
	q := w.machine("stranger").fail(bob)
	wantCode(t, "approve one's own", own.approveSupport(q.Reference), 0)
	ask := api.DeskAsk{Session: own.in.Session, Identifier: bob, Reference: q.Reference}
	wantCode(t, "support oneself", own.call(api.PathDeskExplain, ask, nil), api.NotPossible)
}

func TestDeskActs(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	codes := laptop.codes()
	first, second := w.agent(ann), w.agent(bob)
	stranger := w.machine("stranger")
	p := stranger.fail(jane)
	for range 12 {
		stranger.fail(jane)
	}
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	w.deliver()

	_, q := first.do(p.Reference, "set-password")
	wantCode(t, "an act that there is none", q, api.BadRequest)
	done, q := first.do(p.Reference, api.ActUnlock)
	wantCode(t, "unlock", q, 0)
	if !done.Done || w.machine("new").needCode(jane, password, "") == nil {
		t.Error("the strangers' way in is still locked")
	}
	if got := told(w.deliver(), home); len(got) != 1 || !strings.HasPrefix(got[0], "Support has done something in your account") {
		t.Errorf("the owner is told %q", got)
	}

	done, q = first.do(p.Reference, api.ActStartRecovery)
	wantCode(t, "begin a recovery", q, 0)
	tablet := w.machine("tablet")
	var r api.Recovery
	wantCode(t, "the person goes on with it", tablet.call(api.PathRecoveryStart, api.RecoveryStart{Account: jane, Word: done.Word, DeviceName: "tablet", Client: tablet.client()}, &r), 0)
	wantState(t, "begun by the desk", r, "unproved")
	agents := w.machine("the agent's own")
	var taken api.Recovery
	wantCode(t, "the agent takes it too", agents.call(api.PathRecoveryStart, api.RecoveryStart{Account: jane, Word: done.Word, DeviceName: "x", Client: agents.client()}, &taken), 0)
	w.clock.advance(25 * time.Hour)
	_, q = tablet.setPassword(r, fresh)
	refusedWith(t, q)
	_, q = agents.setPassword(taken, fresh)
	refusedWith(t, q)
	seen := false
	for _, x := range laptop.recoveries() {
		seen = seen || x.Support && x.Name == "tablet"
	}
	if !seen {
		t.Error("the owner does not see that support began it")
	}

	// Two agents, and none of them twice.
	laptop.signIn(jane, password)
	first.signIn(ann, password)
	second.signIn(bob, password)
	p = w.machine("stranger").fail(jane)
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	done, q = first.do(p.Reference, api.ActRemoveFactors)
	wantCode(t, "ask for the removal", q, 0)
	if done.Done || done.Act == "" {
		t.Fatalf("one agent alone: %+v", done)
	}
	again, q := first.do(p.Reference, api.ActRemoveFactors)
	if q != nil || again.Act != done.Act {
		t.Errorf("asked again: %+v, %v", again, q)
	}
	wantCode(t, "the same agent agrees", first.agree(done.Act), api.NotPossible)
	wantCode(t, "the owner's devices are there", laptop.refresh(), 0)
	wantCode(t, "somebody else agrees", w.enrolled("mallory@example.org", "m").agree(done.Act), api.NotPossible)
	wantCode(t, "an act that is none", second.agree("00000000000000000000000000000000"), api.NotPossible)
	var known api.DeskAccount
	wantCode(t, "find", second.call(api.PathDeskAccount, second.ask(""), &known), 0)
	if len(known.Waiting) != 1 || known.Waiting[0].AskedBy != ann || known.Waiting[0].Act != done.Act || known.Waiting[0].Own {
		t.Errorf("%+v", known.Waiting)
	}

	w.act(api.AdminDeskRemove, ann)
	wantCode(t, "with the first agent gone", second.agree(done.Act), api.NotPossible)
	w.act(api.AdminDeskAdd, ann)
	wantCode(t, "take the approval back", laptop.call(api.PathApprovalsRevoke, api.SignedReference{Session: laptop.in.Session, Reference: p.Reference}, nil), 0)
	wantCode(t, "without the approval", second.agree(done.Act), api.NotPossible)
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	results := make([]int, 10)
	atOnce(len(results), func(i int) { results[i] = codeOf(second.twin().agree(done.Act)) })
	did := 0
	for _, c := range results {
		if c == 0 {
			did++
		}
	}
	if did != 1 {
		t.Errorf("one act was done %d times", did)
	}
	refusedWith(t, laptop.refresh())
	if got := told(w.deliver(), home); !strings.Contains(strings.Join(got, "|"), "second step was taken away") {
		t.Errorf("the owner is told %q", got)
	}
	_, q = laptop.signIn(jane, password)
	wantCauses(t, w.forOperator(refusedWith(t, q)), cause.Operator, "factor-missing")

	// The way back is a recovery; its device is the first one.
	back := w.machine("back")
	rb := back.begin(jane)
	w.clock.advance(6 * time.Minute)
	_, q = back.prove(rb, "address", back.sent(rb, home))
	wantCode(t, "an address's code", q, 0)
	w.clock.advance(24 * time.Hour)
	out, q := back.setPassword(rb, fresh)
	if q != nil || out.SignedIn == nil {
		t.Errorf("set the password, with no device left: %v", q)
	}
	_ = codes
}

func TestDeskEndsSessions(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	agent := w.agent(ann)
	p := w.machine("stranger").fail(jane)
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	wantCode(t, "refresh", laptop.refresh(), 0)
	_, q := agent.do(p.Reference, api.ActEndSessions)
	wantCode(t, "end sessions", q, 0)
	refusedWith(t, laptop.refresh())
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("the owner signs in again: %v", p)
	}
	wantCode(t, "refresh of the agent's own", agent.refresh(), 0)
}

// TestApproveByRecoveryCode: an owner without a device; and to everybody else
// the same answer for every identifier.
func TestApproveByRecoveryCode(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	agent := w.agent(ann)
	p := w.machine("stranger").fail(jane)
	phone := w.machine("phone")
	give := func(account, reference, code string) answer {
		return phone.post(api.PathApprovalsGive, api.ApprovalGive{Account: account, Reference: reference, Code: code})
	}
	want := form(t, give("nobody@example.org", p.Reference, "AAAA-BBBB-CCCC-DDDD"))
	for what, a := range map[string]answer{
		"a wrong code":              give(jane, p.Reference, "AAAA-BBBB-CCCC-DDDD"),
		"a reference that is none":  give(jane, "0000-0000", codes[0]),
		"another account's code":    give(ann, p.Reference, codes[0]),
		"an unknown account's code": give("nobody@example.org", p.Reference, codes[0]),
	} {
		if got := form(t, a); got != want {
			t.Errorf("%s: %s\nwant %s", what, got, want)
		}
	}
	results := make([]int, 20)
	atOnce(len(results), func(i int) {
		results[i] = codeOf(phone.twin().call(api.PathApprovalsGive, api.ApprovalGive{Account: jane, Reference: p.Reference, Code: codes[0]}, nil))
	})
	in := 0
	for _, c := range results {
		if c == 0 {
			in++
		}
	}
	if in != 1 {
		t.Errorf("one code approved %d times", in)
	}
	var r cause.Report
	wantCode(t, "explain", agent.call(api.PathDeskExplain, agent.ask(p.Reference), &r), 0)
	wantCauses(t, r, cause.Desk, "password-wrong")
	wantCode(t, "neither session nor code", phone.call(api.PathApprovalsGive, api.ApprovalGive{Account: jane, Reference: p.Reference}, nil), api.BadRequest)
	_, q := phone.signIn(jane, "a wrong one")
	refusedWith(t, q) // an approval lets nobody in
}

// TestAsksAreFew: an agent cannot fill the owner's mailbox.
func TestAsksAreFew(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop").has(store.Email, home)
	agent := w.agent(ann)
	w.deliver()
	for i := range 20 {
		q := agent.call(api.PathDeskAsk, agent.ask("0000-00"+string(rune('A'+i/10))+string(rune('0'+i%10))), nil)
		if want := map[bool]int{true: 0, false: api.TooMany}[i < 10]; codeOf(q) != want {
			t.Errorf("question %d: %v", i, q)
		}
	}
	if got := w.deliver(); len(got) != 10 {
		t.Errorf("%d messages", len(got))
	}
}
