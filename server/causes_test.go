package server_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/policy"
)

// wrongCode is a code that is right for nothing: not for these, and for no
// code that the machine could make by hand in the searched time.
func (m *machine) wrongCode(not ...string) string {
	for s := int64(-61); s <= 61; s++ {
		not = append(not, string(code.Offline(m.in.CodeSecret, m.w.clock.now().Add(time.Duration(s)*code.Period))))
	}
	for _, c := range []string{"000000", "111111", "222222", "333333"} {
		if !slices.Contains(not, c) {
			return c
		}
	}
	m.w.t.Fatal("every code is right for something")
	return ""
}

// instant is how evidence tells a moment.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func TestCausePasswordWrong(t *testing.T) {
	w := newWorld(t)
	made := w.clock.now()
	laptop := w.enrolled(jane, "laptop")
	w.clock.advance(time.Hour)
	r := laptop.asOwner(t, w.machine("stranger").fail(jane), "password-wrong")
	wantEvidence(t, r, cause.CheckPassword, "not-proved")
	wantEvidence(t, r, cause.CheckPasswordChanged, instant(made))
	wantCauses(t, laptop.explain(laptop.fail(jane), false), cause.Holder, "password-wrong")

	// A guess that was begun and never finished is one all the same.
	_, p := w.machine("ghostly").start(jane, "a wrong one")
	wantCode(t, "start", p, 0)
	if a := w.activity(jane)[0]; a.Outcome != "unfinished" || a.Cause != "password-wrong" {
		t.Errorf("an unfinished attempt is %q with cause %q", a.Outcome, a.Cause)
	}

	// The password was changed between the two messages.
	try, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	w.clock.advance(time.Second)
	if _, p := laptop.twin().changePassword(jane, password, "a new password"); p != nil {
		t.Fatal(p)
	}
	_, p = try.finish()
	wantEvidence(t, laptop.asOwner(t, p, "password-wrong"), cause.CheckPassword, "changed-meanwhile")
}

func TestCauseLocks(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	stranger := w.machine("stranger")
	for range lockout.FailedLimit {
		stranger.fail(jane)
	}
	r := laptop.asOwner(t, stranger.fail(jane), "locked-by-strangers")
	wantEvidence(t, r, cause.CheckStrangers, "10")
	wantEvidence(t, r, cause.CheckStrangersUntil, instant(w.clock.now().Add(lockout.FirstLock)))

	for range lockout.FailedLimit {
		laptop.fail(jane)
	}
	_, p := laptop.signIn(jane, password)
	r = laptop.asOwner(t, p, "locked-by-own-device")
	wantEvidence(t, r, cause.CheckOwnDeviceName, "laptop")
	wantEvidence(t, r, cause.CheckOwnDeviceUntil, instant(w.clock.now().Add(lockout.FirstLock)))
	wantCode(t, "refresh of the locked device", laptop.refresh(), 0)
	if out, p := phone.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("one device's failures lock another: %v", p)
	}
	w.act(api.AdminUnlock, jane)
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("after the operator's unlock: %v", p)
	}
}

func TestCauseAccountDisabled(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	digits := laptop.allow(need).Code
	try, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	w.clock.advance(time.Second)
	w.act(api.AdminDisable, jane)
	refusals := map[string]*api.Problem{"refresh": laptop.refresh(), "code": phone.code(need, digits)}
	_, refusals["finish"] = try.finish()
	_, refusals["sign-in"] = laptop.signIn(jane, password)
	for what, p := range refusals {
		r := laptop.explain(refusedWith(t, p), true)
		if causes(r) != "account-disabled" || evidence(r, cause.CheckDisabledAt) != instant(w.clock.now()) {
			t.Errorf("%s: %s at %s", what, causes(r), evidence(r, cause.CheckDisabledAt))
		}
	}
}

func TestCausesOfCodes(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	fresh := func() (*machine, *api.NeedCode) {
		m := w.machine("new")
		return m, m.needCode(jane, password, "")
	}
	t.Run("wrong", func(t *testing.T) {
		m, need := fresh()
		shown := laptop.allow(need).Code
		p := m.code(need, laptop.wrongCode(shown))
		wantEvidence(t, laptop.asOwner(t, p, "code-wrong"), cause.CheckCode, "wrong")
		wantCode(t, "the right one then", m.code(need, shown), 0)
	})
	t.Run("late", func(t *testing.T) {
		m, need := fresh()
		shown := laptop.allow(need).Code
		w.clock.advance(75 * time.Second)
		r := laptop.asOwner(t, m.code(need, shown), "code-late")
		wantEvidence(t, r, cause.CheckCodeAge, "1m15s")
		wantEvidence(t, r, cause.CheckCodeDevice, "laptop")
	})
	t.Run("elsewhere", func(t *testing.T) {
		m, need := fresh()
		_, other := fresh()
		laptop.allow(need)
		r := laptop.asOwner(t, m.code(need, laptop.allow(other).Code), "code-elsewhere")
		wantEvidence(t, r, cause.CheckCodeDevice, "laptop")
	})
	t.Run("clock ahead", func(t *testing.T) {
		m, need := fresh()
		laptop.allow(need)
		laptop.off = 4 * time.Minute
		digits := laptop.offline()
		laptop.off = 0
		r := laptop.asOwner(t, m.code(need, digits), "code-clock-off")
		wantEvidence(t, r, cause.CheckCodeClock, "4m0s")
		wantEvidence(t, r, cause.CheckCodeDevice, "laptop")
	})
	t.Run("clock behind", func(t *testing.T) {
		m, need := fresh()
		laptop.allow(need)
		laptop.off = -4 * time.Minute
		if _, p := laptop.signIn(jane, password); p != nil { // the server sees that clock
			t.Fatal(p)
		}
		digits := laptop.offline()
		laptop.off = 0
		r := laptop.asOwner(t, m.code(need, digits), "code-clock-off")
		wantEvidence(t, r, cause.CheckCodeClock, "-4m0s")
		wantEvidence(t, r, cause.CheckCodeDeviceSkew, "-4m0s")
		if _, p := laptop.signIn(jane, password); p != nil {
			t.Fatal(p)
		}
	})
	t.Run("used", func(t *testing.T) {
		m, need := fresh()
		digits := laptop.offline()
		wantCode(t, "a code by hand", m.code(need, digits), 0)
		m, need = fresh()
		r := laptop.asOwner(t, m.code(need, digits), "code-used")
		wantEvidence(t, r, cause.CheckCodeDevice, "laptop")
	})
	t.Run("denied", func(t *testing.T) {
		m, need := fresh()
		shown := laptop.allow(need).Code
		deny := api.SignedID{Session: laptop.in.Session, ID: need.Request}
		wantCode(t, "deny", laptop.call(api.PathDeny, deny, nil), 0)
		r := laptop.asOwner(t, m.code(need, shown), "request-denied")
		wantEvidence(t, r, cause.CheckCodeDevice, "laptop")
	})
	t.Run("tries spent", func(t *testing.T) {
		m, need := fresh()
		shown := laptop.allow(need).Code
		for range 2 {
			laptop.asOwner(t, m.code(need, laptop.wrongCode(shown)), "code-wrong")
		}
		r := laptop.asOwner(t, m.code(need, laptop.wrongCode(shown)), "code-tries-spent")
		wantEvidence(t, r, cause.CheckCodeTries, "3")
		laptop.asOwner(t, m.code(need, shown), "code-tries-spent")
	})
}

func TestCauseCodeUndelivered(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.clock.advance(time.Hour)
	wantCode(t, "refresh", laptop.refresh(), 0)
	must(t, w.server.Flush(context.Background()))
	seen := w.clock.now()
	w.clock.advance(time.Hour)
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	unfetched := phone.code(need, "")
	r := laptop.asOwner(t, unfetched, "code-undelivered")
	wantEvidence(t, r, cause.CheckPromptDevice, "laptop")
	wantEvidence(t, r, cause.CheckPromptSeen, instant(seen))
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), nil), 0)
	fetched := phone.code(need, "")
	laptop.asOwner(t, fetched, "factor-unfinished")
	// Whose request it is must not learn from a refusal that somebody is there.
	if fetched.Type != unfetched.Type || fetched.Title != unfetched.Title {
		t.Errorf("whoever asks is told %s %q once a device has fetched the request, %s %q before", fetched.Type, fetched.Title, unfetched.Type, unfetched.Title)
	}
	wantCauses(t, phone.explain(fetched, false), cause.Anyone, string(cause.Refused))
	wantCode(t, "the empty codes cost no try", phone.code(need, laptop.allow(need).Code), 0)
	wantCode(t, "an attempt of another key", w.machine("other").code(need, "123456"), api.NotPossible)
	late := w.machine("late")
	need = late.needCode(jane, password, "")
	w.clock.advance(11 * time.Minute)
	wantCode(t, "an attempt of eleven minutes ago", late.code(need, "123456"), api.NotPossible)
}

// TestCauseOfManyDevices: whose account has more devices than an incident can
// name is refused and told why like everybody else.
func TestCauseOfManyDevices(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for i := range 12 {
		w.clock.advance(time.Minute)
		w.another(laptop, jane, fmt.Sprintf("device %d", i))
	}
	w.clock.advance(time.Minute)
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	r := laptop.asOwner(t, phone.code(need, ""), "code-undelivered")
	wantEvidence(t, r, cause.CheckPromptDevice, "device 11")
	laptop.asOwner(t, phone.code(need, "000000"), "code-undelivered")
}

func TestCauseFactorMissing(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for range 7 {
		phone := w.machine("phone")
		need := phone.needCode(jane, password, "")
		shown := laptop.allow(need).Code
		for range 3 {
			refusedWith(t, phone.code(need, laptop.wrongCode(shown)))
		}
	}
	phone := w.machine("phone")
	_, p := phone.signIn(jane, password)
	wantEvidence(t, laptop.asOwner(t, p, "factor-missing"), cause.CheckFactorFailures, "20")
	if _, p := laptop.signIn(jane, password); p != nil {
		t.Fatal(p)
	}
	need := phone.needCode(jane, password, "")
	wantCode(t, "after the password on an enrolled device", phone.code(need, laptop.allow(need).Code), 0)

	var list api.Devices
	wantCode(t, "devices", laptop.call(api.PathDevices, laptop.signed(), &list), 0)
	slices.SortFunc(list.Devices, func(a, b api.Device) int { return map[bool]int{true: 1}[a.This] - map[bool]int{true: 1}[b.This] })
	for _, d := range list.Devices {
		wantCode(t, "remove", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: d.ID}, nil), 0)
	}
	tablet := w.machine("tablet")
	_, p = tablet.signIn(jane, password)
	r := w.forOperator(refusedWith(t, p))
	wantCauses(t, r, cause.Operator, "factor-missing")
	wantEvidence(t, r, cause.CheckFactor, "0")
	var invitation api.AdminInvitation
	if p := w.operator(api.AdminInvite, api.AdminAccount{Account: jane}, &invitation); p != nil {
		t.Fatal(p)
	}
	if out, p := tablet.signInWith(api.SignInStart{Account: jane, Pass: invitation.Invitation}, password); p != nil || out.SignedIn == nil {
		t.Errorf("with the operator's pass: %v", p)
	}
}

func TestCausesOfSessions(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")

	copied := phone.twin()
	w.clock.advance(time.Minute)
	if _, p := phone.signIn(jane, password); p != nil {
		t.Fatal(p)
	}
	p := copied.refresh()
	r := laptop.asOwner(t, p, "token-superseded")
	wantEvidence(t, r, cause.CheckSessionNewer, instant(w.clock.now()))
	wantCauses(t, copied.explain(p, true), cause.Holder, "token-superseded")

	thief := w.machine("thief")
	thief.in = phone.in
	p = refusedWith(t, thief.refresh())
	laptop.asOwner(t, p, "key-mismatch")
	wantCauses(t, thief.explain(p, true), cause.Anyone, "refused")

	wantCode(t, "sign-out", phone.call(api.PathSignOut, phone.signed(), nil), 0)
	p = phone.refresh()
	r = phone.explain(refusedWith(t, p), true)
	wantCauses(t, r, cause.Holder, "session-ended")
	wantEvidence(t, r, cause.CheckSessionAlive, "signed-out")
	wantEvidence(t, r, cause.CheckSessionEndedBy, "phone")

	if _, p := phone.signIn(jane, password); p != nil {
		t.Fatal(p)
	}
	w.clock.advance(time.Minute)
	if _, p := laptop.changePassword(jane, password, "a new password"); p != nil {
		t.Fatal(p)
	}
	r = laptop.asOwner(t, phone.refresh(), "session-ended")
	wantEvidence(t, r, cause.CheckSessionAlive, "password-changed")
	wantEvidence(t, r, cause.CheckSessionEndedBy, "laptop")

	if _, p := phone.signIn(jane, "a new password"); p != nil {
		t.Fatal(p)
	}
	remove := api.SignedID{Session: laptop.in.Session, ID: phone.in.Device[:8]}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	p = phone.refresh()
	r = laptop.asOwner(t, p, "device-removed")
	wantEvidence(t, r, cause.CheckDeviceRemovedBy, "laptop")
	wantEvidence(t, r, cause.CheckDeviceRemovedAt, instant(w.clock.now()))
	wantCauses(t, phone.explain(p, true), cause.Anyone, "refused")

	used := w.clock.now()
	wantCode(t, "refresh", laptop.refresh(), 0)
	w.days(31)
	p = laptop.refresh()
	r = laptop.explain(refusedWith(t, p), true)
	wantCauses(t, r, cause.Holder, "session-expired")
	wantEvidence(t, r, cause.CheckSessionIdle, "744h0m0s")
	wantEvidence(t, r, cause.CheckSessionUsed, instant(used))
	if out, p := laptop.signIn(jane, "a new password"); p != nil || out.SignedIn == nil {
		t.Errorf("sign in again: %v", p)
	}
}

// TestCausesForAnyone are told to whoever asks, in the refusal itself too.
func TestCausesForAnyone(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	told := func(t *testing.T, p *api.Problem, want string) cause.Report {
		t.Helper()
		refusedWith(t, p)
		if p.Type != publicURL+api.PathCauses+want {
			t.Errorf("the refusal's type is %s, want %s", p.Type, want)
		}
		r := w.machine("stranger").explain(p, false)
		wantCauses(t, r, cause.Anyone, want)
		return r
	}
	for _, off := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		laptop.off = off
		_, p := laptop.signIn(jane, password)
		wantEvidence(t, told(t, p, "clock-off"), cause.CheckClock, off.String())
		wantEvidence(t, told(t, laptop.refresh(), "clock-off"), cause.CheckClock, off.String())
		_, p = laptop.signIn("nobody@example.org", password)
		told(t, p, "clock-off")
	}
	laptop.off = 0
	wantCode(t, "refresh with the clock set", laptop.refresh(), 0)

	for check, p := range map[cause.Check]policy.Policy{
		cause.CheckClientVersion: {Clients: map[string]policy.Version{"readmit": {2}}},
		cause.CheckSystemVersion: {Systems: map[string]policy.Version{"linux": {7}}},
		cause.CheckProtocol:      {Protocol: 2},
	} {
		if p := w.operator(api.AdminPolicy, p, nil); p != nil {
			t.Fatal(p)
		}
		_, refusal := laptop.signIn(jane, password)
		r := told(t, refusal, "client-outdated")
		if evidence(r, check) == "" {
			t.Errorf("no evidence %s", check)
		}
		told(t, w.machine("new").signUp("new@example.org", password), "client-outdated")
	}
	if p := w.operator(api.AdminPolicy, policy.Policy{}, nil); p != nil {
		t.Fatal(p)
	}
	if _, p := laptop.signIn(jane, password); p != nil {
		t.Errorf("with the policy taken back: %v", p)
	}
}

func TestCauseAccountUnknownIsTheOperators(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	p := laptop.fail("jnae@example.org")
	wantCauses(t, laptop.explain(p, true), cause.Anyone, "refused")
	wantCauses(t, w.forOperator(p), cause.Operator, "account-unknown")
	var r cause.Report
	if p := w.operator(api.AdminExplain, api.Explain{Reference: p.Reference}, &r); p != nil {
		t.Fatal(p)
	}
	wantCauses(t, r, cause.Operator, "account-unknown")
}
