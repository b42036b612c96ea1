package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/store"
)

// form is what of an answer a stranger can compare; of what is fresh each time,
// the length.
func form(t testing.TB, a answer) string {
	t.Helper()
	h := a.header.Clone()
	h.Del(api.HeaderNonce)
	s := fmt.Sprint(a.status)
	for _, k := range slices.Sorted(maps.Keys(h)) {
		s += fmt.Sprintf("\n%s: %q", k, h[k])
	}
	if len(a.body) == 0 {
		return s
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Errorf("body: %v", err)
	}
	for _, k := range slices.Sorted(maps.Keys(body)) {
		if slices.Contains([]string{"recovery", "response", "reference", "incident"}, k) {
			s += fmt.Sprintf("\n%s of %d", k, len(body[k]))
			continue
		}
		s += fmt.Sprintf("\n%s = %s", k, body[k])
	}
	return s
}

// stranger's whole recovery of an account without any proof, as seen outside.
func (m *machine) recoverAsStranger(account string) []string {
	m.w.t.Helper()
	t := m.w.t
	var all []string
	post := func(path string, in any) answer {
		a := m.post(path, in)
		all = append(all, path+"\n"+form(t, a))
		return a
	}
	a := post(api.PathRecoveryStart, api.RecoveryStart{Account: account, DeviceName: m.name, Client: m.client()})
	if a.status != http.StatusOK {
		return all
	}
	var r api.Recovery
	m.w.read(a, &r)
	again := post(api.PathRecoveryStart, api.RecoveryStart{Account: account, Word: "0000-0000-0000-0000", DeviceName: m.name, Client: m.client()})
	m.w.read(again, &r)
	of := api.RecoveryCase{Recovery: r.Recovery}
	post(api.PathRecoveryStatus, of)
	post(api.PathRecoverySend, of)
	must(t, m.w.server.Flush(context.Background()))
	_, req, err := opaque.StartRegistration([]byte(fresh))
	must(t, err)
	reg := make([]byte, opaque.RecordSize)
	record, p := m.someRecord()
	if p != nil {
		record = reg
	}
	tries := func() {
		for _, in := range []api.RecoveryProve{{Code: "AAAA-BBBB-CCCC-DDDD"}, {AddressCode: "AAAA-BBBB"}, {DeviceCode: "AAAA-BBBB"}, {Code: "x"}} {
			in.Recovery = r.Recovery
			post(api.PathRecoveryProve, in)
		}
		post(api.PathRecoveryPasswordStart, api.RecoveryPasswordStart{Recovery: r.Recovery, Request: req})
		post(api.PathRecoveryPasswordFinish, api.RecoveryPasswordFinish{
			Recovery: r.Recovery, Record: record, Stretch: wire(m.stretch), DeviceName: m.name, Client: m.client(),
		})
		post(api.PathRecoveryStatus, of)
	}
	tries()
	for range 3 { // past the tries
		tries()
	}
	post(api.PathRecoveryGiveUp, of)
	post(api.PathRecoveryStatus, of)
	post(api.PathRecoveryGiveUp, of)
	return all
}

// someRecord is a record that a client makes.
func (m *machine) someRecord() ([]byte, *api.Problem) {
	m.w.t.Helper()
	r, req, err := opaque.StartRegistration([]byte(fresh))
	must(m.w.t, err)
	var started api.SignUpStarted
	if p := m.call(api.PathSignUpStart, api.SignUpStart{Account: "somebody-new@example.org", Request: req, Client: m.client()}, &started); p != nil {
		return nil, p
	}
	record, _, err := r.Finish(started.Response, m.stretch)
	must(m.w.t, err)
	return record, nil
}

// TestOneRecovery: to who has proved nothing the recovery of every identifier
// looks the same, from its beginning to long after.
func TestOneRecovery(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	laptop.codes()
	const disabled, bare, running, stopped = "disabled@example.org", "bare@example.org", "running@example.org", "stopped@example.org"
	for _, account := range []string{disabled, bare, running, stopped} {
		w.enrolled(account, "first")
	}
	w.act(api.AdminDisable, disabled)
	for _, account := range []string{running, stopped} {
		owner := w.machine("owner")
		if out, p := owner.signInWith(api.SignInStart{Account: account, Pass: w.pass(account)}, password); p != nil || out.SignedIn == nil {
			t.Fatal(p)
		}
		codes := owner.codes()
		other := w.machine("other")
		_, p := other.prove(other.begin(account), "code", codes[0])
		wantCode(t, "prove", p, 0)
		if account == stopped {
			wantCode(t, "stop", owner.call(api.PathRecoveriesCancel, api.SignedID{Session: owner.in.Session, ID: owner.recoveries()[0].ID}, nil), 0)
		}
	}
	at := w.clock.now()
	look := func(account string) []string {
		w.clock.mu.Lock()
		at = at.Add(time.Hour)
		w.clock.at = at
		w.clock.mu.Unlock()
		return w.machine("stranger").recoverAsStranger(account)
	}
	unstamped := func(all []string, at time.Time) string {
		s := strings.Join(all, "\n\n")
		for _, x := range []struct {
			at time.Time
			as string
		}{{at, "NOW"}, {at.Add(recovery.ClaimLife), "EXPIRES"}} {
			s = strings.ReplaceAll(s, fmt.Sprint(x.at.Unix()), x.as)
		}
		return s
	}
	want := unstamped(look("nobody@example.org"), at)
	if !strings.Contains(want, "unproved") || strings.Count(want, `code = 4001`) != 20 {
		t.Fatalf("an unknown account's recovery:\n%s", want)
	}
	for _, account := range []string{jane, disabled, bare, running, stopped, "hunter2", "", "nobody-else@example.org"} {
		if got := unstamped(look(account), at); got != want {
			a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
			for i := range min(len(a), len(b)) {
				if a[i] != b[i] {
					t.Errorf("%q differs from an unknown account: line %d is %s, want %s", account, i, a[i], b[i])
					break
				}
			}
		}
	}

	// What anyone may be told is the same for all as well.
	old := w.machine("old")
	old.off = time.Hour
	if a, b := old.recoverAsStranger(jane), old.recoverAsStranger("nobody@example.org"); strings.Join(a, "") != strings.Join(b, "") || !strings.Contains(a[0], "clock-off") {
		t.Errorf("with a wrong clock:\n%s\n%s", a, b)
	}
}

// pass is the operator's, for one more device.
func (w *world) pass(account string) string {
	w.t.Helper()
	var out api.AdminInvitation
	if p := w.operator(api.AdminInvite, api.AdminAccount{Account: account}, &out); p != nil {
		w.t.Fatal(p)
	}
	return out.Invitation
}

func TestForgottenIdentifier(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	other := w.enrolled("other@example.org", "other")
	laptop.has(store.Email, home)
	other.has(store.Email, home)
	unverified, p := other.addAddress(store.Email, "unverified@example.org")
	wantCode(t, "add", p, 0)
	w.deliver()
	stranger := w.machine("stranger")
	ask := func(email string) string {
		return form(t, stranger.post(api.PathRecoveryIdentifier, api.RecoveryIdentifier{Email: email}))
	}
	want := ask("nobody@example.org")
	for _, email := range []string{" Jane.Home@Example.com", jane, unverified.Value, "hunter2", ""} {
		if got := ask(email); got != want {
			t.Errorf("%q: %s, want %s", email, got, want)
		}
	}
	must(t, w.server.Flush(context.Background()))
	got := w.deliver()
	if len(got) != 1 || got[0].To != home || !strings.Contains(got[0].Body, jane) || !strings.Contains(got[0].Body, "other@example.org") {
		t.Fatalf("%d messages: %+v", len(got), got)
	}
	for range 10 {
		ask(home)
	}
	must(t, w.server.Flush(context.Background()))
	if n := len(w.deliver()); n > 3 {
		t.Errorf("strangers send %d messages to one mailbox", n)
	}
	for range 200 {
		ask("nobody@example.org")
	}
	wantCode(t, "the next one of this address", stranger.call(api.PathRecoveryIdentifier, api.RecoveryIdentifier{Email: "x@example.org"}, nil), api.TooMany)
}

func TestRecoveryIsStopped(t *testing.T) {
	for _, how := range []string{"device", "device, unproved", "word"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			laptop := w.enrolled(jane, "laptop")
			laptop.has(store.Email, home)
			codes := laptop.codes()
			w.deliver()
			tablet := w.machine("tablet")
			r := tablet.begin(jane)
			word := ""
			if how != "device, unproved" {
				_, p := tablet.prove(r, "code", codes[0])
				wantCode(t, "prove", p, 0)
				word = find(w.deliver(), home, aWord)
			}
			stop := func() *api.Problem {
				if how == "word" {
					return w.machine("anybody").call(api.PathRecoveryCancel, api.RecoveryWord{Word: strings.ToLower(word)}, nil)
				}
				return laptop.call(api.PathRecoveriesCancel, api.SignedID{Session: laptop.in.Session, ID: laptop.recoveries()[0].ID}, nil)
			}
			wantCode(t, "a wrong word", w.machine("m").call(api.PathRecoveryCancel, api.RecoveryWord{Word: "AAAA-BBBB-CCCC-DDDD"}, nil), api.NotPossible)
			wantCode(t, "no word", w.machine("m").call(api.PathRecoveryCancel, api.RecoveryWord{}, nil), api.NotPossible)
			wantCode(t, "stop", stop(), 0)
			wantCode(t, "stop again", stop(), api.NotPossible)
			if how != "device, unproved" {
				wantState(t, "its status", tablet.status(r), "cancelled", "code")
				if got := told(w.deliver(), home); len(got) == 0 {
					t.Error("the address is not told")
				}
			}
			if how == "device, unproved" {
				wantState(t, "its status, of which nothing is told", tablet.status(r), "unproved")
			}
			_, p := tablet.prove(r, "code", codes[1])
			if how == "device, unproved" {
				laptop.asOwner(t, p, "recovery-over")
			}
			w.clock.advance(recovery.DefaultWait)
			_, p = tablet.setPassword(r, fresh)
			refusedWith(t, p)
			if done, p := laptop.signIn(jane, password); p != nil || done.SignedIn == nil {
				t.Errorf("the owner's password: %v", p)
			}
		})
	}
}

// TestStopRacesFinish: one of the two wins, and what the winner said holds.
func TestStopRacesFinish(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	present := password
	stops, sets := 0, 0
	for i := range 8 {
		if out, p := laptop.signIn(jane, present); p != nil || out.SignedIn == nil {
			t.Fatal(p)
		}
		codes := laptop.codes()
		w.deliver()
		tablet := w.machine(fmt.Sprint("tablet", i))
		r := tablet.begin(jane)
		_, p := tablet.prove(r, "code", codes[0])
		wantCode(t, "prove", p, 0)
		word := find(w.deliver(), home, aWord)
		w.clock.advance(recovery.DefaultWait)
		next := fmt.Sprint("another good password ", i)
		var stopped, set *api.Problem
		atOnce(2, func(n int) {
			if n == 0 {
				stopped = laptop.twin().call(api.PathRecoveryCancel, api.RecoveryWord{Word: word}, nil)
			} else {
				_, set = tablet.setPassword(r, next)
			}
		})
		switch {
		case stopped == nil && codeOf(set) == api.Failed:
			stops++
		case codeOf(stopped) == api.NotPossible && set == nil:
			sets++
			present = next
		default:
			t.Fatalf("stop: %v, set: %v", stopped, set)
		}
		w.clock.advance(time.Minute)
	}
	t.Log(stops, "stopped", sets, "set")
	if out, p := laptop.signIn(jane, present); p != nil || out.SignedIn == nil {
		t.Errorf("the password that was acknowledged: %v", p)
	}
}

// TestAnothersRecovery: a case is the key's that began it, and an account's
// devices deal with its own cases alone.
func TestAnothersRecovery(t *testing.T) {
	w := newWorld(t)
	codes := w.enrolled(jane, "laptop").codes()
	other := w.enrolled("other@example.org", "other")
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	thief := w.machine("thief")
	wantCode(t, "status", thief.call(api.PathRecoveryStatus, api.RecoveryCase{Recovery: r.Recovery}, nil), api.NotPossible)
	_, p := thief.prove(r, "code", codes[0])
	wantCode(t, "prove", p, api.NotPossible)
	wantCode(t, "send", thief.call(api.PathRecoverySend, api.RecoveryCase{Recovery: r.Recovery}, nil), api.NotPossible)
	_, p = tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	w.clock.advance(recovery.DefaultWait)
	_, p = thief.setPassword(r, fresh)
	wantCode(t, "set the password", p, api.NotPossible)
	if list := other.recoveries(); len(list) != 0 {
		t.Errorf("another account sees %+v", list)
	}
	for _, path := range []string{api.PathRecoveriesApprove, api.PathRecoveriesCancel} {
		for _, x := range w.recoveriesOf(t, jane) {
			wantCode(t, path, other.call(path, api.SignedID{Session: other.in.Session, ID: x}, nil), api.NotPossible)
		}
	}
	damaged := append(api.Bytes{}, r.Recovery...)
	damaged[len(damaged)/2] ^= 1
	wantCode(t, "a damaged case", tablet.call(api.PathRecoveryStatus, api.RecoveryCase{Recovery: damaged}, nil), api.BadRequest)
	_, p = tablet.setPassword(r, fresh)
	wantCode(t, "the beginner's own", p, 0)
}

// recoveriesOf lists the short names of an account's cases.
func (w *world) recoveriesOf(t testing.TB, account string) (ids []string) {
	t.Helper()
	must(t, w.store.View(context.Background(), func(tx store.Tx) error {
		key := w.keys.Lookup(account)
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		all, err := tx.Recoveries(a.ID)
		for _, r := range all {
			ids = append(ids, recovery.ShortID(r.ID))
		}
		return err
	}))
	return ids
}

// TestCodesNeedAFreshProof: whoever finds a device unlocked cannot make himself
// the second way to its account.
func TestCodesNeedAFreshProof(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.clock.advance(time.Hour + time.Second)
	ask := func(grant []byte) *api.Problem {
		return laptop.call(api.PathRecoveryCodes, api.SignedFresh{Session: laptop.in.Session, Grant: grant}, nil)
	}
	wantCode(t, "on an old session", ask(nil), api.NotPossible)
	grants := map[string][]byte{}
	for _, purpose := range []string{api.ForPassword, api.ForSettings, api.ForClose} {
		done, p := laptop.signInWith(api.SignInStart{Account: jane, Purpose: purpose}, password)
		if p != nil || len(done.Grant) == 0 {
			t.Fatalf("%s: %v", purpose, p)
		}
		grants[purpose] = done.Grant
	}
	wantCode(t, "with a grant to change the password", ask(grants[api.ForPassword]), api.NotPossible)
	wantCode(t, "with a grant to close", ask(grants[api.ForClose]), api.NotPossible)
	wantCode(t, "with nonsense", ask([]byte("nonsense")), api.NotPossible)
	wantCode(t, "with its grant", ask(grants[api.ForSettings]), 0)
	var started api.SignUpStarted
	_, req, err := opaque.StartRegistration([]byte(fresh))
	must(t, err)
	for _, purpose := range []string{api.ForSettings, api.ForClose} {
		wantCode(t, "a password with a grant for "+purpose, laptop.call(api.PathPasswordStart, api.PasswordStart{Grant: grants[purpose], Request: req}, &started), api.NotPossible)
	}
	w.clock.advance(6 * time.Minute)
	wantCode(t, "with an old grant", ask(grants[api.ForSettings]), api.NotPossible)
}

// TestOneAnswerOnPeoplesCalls: the calls of recovery, the desk, export and
// closing tell a stranger nothing of a session.
func TestOneAnswerOnPeoplesCalls(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	agent := w.agent(ann)
	other := w.enrolled("other@example.org", "other")
	w.act(api.AdminDisable, "other@example.org")
	stranger := w.machine("stranger")
	bodies := map[string]func(session string) any{
		api.PathApprovalsGive: func(s string) any { return api.ApprovalGive{Session: s, Reference: "0000-0000"} },
		api.PathApprovalsRevoke: func(s string) any {
			return api.SignedReference{Session: s, Reference: "0000-0000"}
		},
		api.PathDeskAct: func(s string) any {
			return api.DeskDo{Session: s, Identifier: jane, Reference: "0000-0000", Kind: api.ActUnlock}
		},
	}
	for _, path := range []string{api.PathRecoveries, api.PathRecoveryCodeCount, api.PathExport, api.PathApprovals, api.PathDesk, api.PathRecoveryCodes, api.PathClose} {
		bodies[path] = func(s string) any { return api.Signed{Session: s} }
	}
	for _, path := range []string{api.PathRecoveriesApprove, api.PathRecoveriesCancel} {
		bodies[path] = func(s string) any { return api.SignedID{Session: s, ID: "0000"} }
	}
	bodies[api.PathDeskAgree] = func(s string) any { return api.SignedID{Session: s, ID: strings.Repeat("0", 32)} }
	for _, path := range []string{api.PathDeskAccount, api.PathDeskAsk, api.PathDeskExplain} {
		bodies[path] = func(s string) any { return api.DeskAsk{Session: s, Identifier: jane, Reference: "0000-0000"} }
	}
	for path, body := range bodies {
		want := form(t, stranger.post(path, body("000102030405060708090a0b0c0d0e0f")))
		if !strings.Contains(want, "code = 4001") {
			t.Errorf("%s: %s", path, want)
		}
		for what, session := range map[string]string{"living": laptop.in.Session, "an agent's": agent.in.Session, "of a disabled account": other.in.Session} {
			if got := form(t, stranger.post(path, body(session))); got != want {
				t.Errorf("%s: a session that is %s: \n%s\none that is unknown\n%s", path, what, got, want)
			}
		}
	}
}
