package server_test

import (
	"net/http"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/opaque"
)

func TestThinPath(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	if laptop.in.Account != jane || len(laptop.in.CodeSecret) == 0 {
		t.Fatalf("signed up as %q with a code secret of %d bytes", laptop.in.Account, len(laptop.in.CodeSecret))
	}
	out, p := laptop.signIn(" Jane@Example.org ", password)
	if p != nil || out.SignedIn == nil {
		t.Fatalf("sign-in on the enrolled device: %v", p)
	}
	who, p := laptop.whoAmI()
	if p != nil || who.Account != jane || who.Session != laptop.in.Session || who.Device != laptop.in.Device {
		t.Errorf("who am I: %+v, %v", who, p)
	}
	wantCode(t, "refresh", laptop.refresh(), 0)
	if _, p := laptop.whoAmI(); p != nil {
		t.Errorf("who am I after a refresh: %v", p)
	}
	old := laptop.in.AccessToken
	w.clock.advance(6 * time.Minute)
	if _, p := laptop.whoAmI(); codeOf(p) != api.BadRequest || p.Status != http.StatusUnauthorized {
		t.Errorf("an access token of six minutes ago is still good: %v", p)
	}
	wantCode(t, "refresh", laptop.refresh(), 0)
	if laptop.in.AccessToken == old {
		t.Error("a refresh gave the same token")
	}
	wantCode(t, "sign-out", laptop.call(api.PathSignOut, laptop.signed(), nil), 0)
	refusedWith(t, laptop.refresh())
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("sign-in after signing out: %v", p)
	}
	wantCode(t, "a second sign-up", w.machine("other").signUp("JANE@example.org", "another password"), api.NotPossible)
}

func TestTokenForAnotherAudienceIsNotForUs(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	var token api.Token
	p := laptop.call(api.PathToken, api.TokenRequest{Session: laptop.in.Session, Audience: "https://mail.example.org"}, &token)
	wantCode(t, "token for a service", p, 0)
	laptop.in.AccessToken = token.AccessToken
	if _, p := laptop.whoAmI(); p == nil {
		t.Error("a token for another audience tells who one is here")
	}
}

func TestNewDeviceNeedsCode(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	if need.Digits != 6 || need.Tries != 3 {
		t.Errorf("code of %d digits, %d tries", need.Digits, need.Tries)
	}
	var list api.Requests
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), &list), 0)
	if len(list.Requests) != 1 || list.Requests[0].ID != need.Request || list.Requests[0].Name != "phone" || list.Requests[0].Status != "waiting" {
		t.Fatalf("requests: %+v", list.Requests)
	}
	first := laptop.allow(need)
	if len(first.Code) != 6 || first.Remaining != 30 {
		t.Errorf("code of %d characters for %d s", len(first.Code), first.Remaining)
	}
	w.clock.advance(45 * time.Second)
	if second := laptop.allow(need); second.Code == first.Code || second.Remaining != 15 {
		t.Errorf("after 45 s the code is the same or stays %d s", second.Remaining)
	}
	if p := phone.code(need, first.Code[:3]+" "+first.Code[3:]); p != nil {
		t.Fatalf("the last code but one, one step late: %v", p)
	}
	wantCode(t, "refresh of the new device", phone.refresh(), 0)
	wantCode(t, "the same code again", phone.twin().code(need, first.Code), api.NotPossible)
	if out, p := phone.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("the new device is not enrolled: %v", p)
	}
}

func TestOfflineCode(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	if p := phone.code(phone.needCode(jane, password, ""), laptop.offline()); p != nil {
		t.Fatalf("a code made by hand: %v", p)
	}
	wantCode(t, "refresh", phone.refresh(), 0)
}

func TestPass(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	var pass api.Pass
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	phone := w.machine("phone")
	need := phone.needCode(jane, password, pass.Pass)
	wantCode(t, "code", phone.code(need, laptop.allow(need).Code), 0)

	var invitation api.AdminInvitation
	if p := w.operator(api.AdminInvite, api.AdminAccount{Account: jane}, &invitation); p != nil {
		t.Fatal(p)
	}
	tablet := w.machine("tablet")
	out, p := tablet.signInWith(api.SignInStart{Account: jane, Pass: invitation.Invitation}, password)
	if p != nil || out.SignedIn == nil {
		t.Errorf("the operator's pass does not stand in for the code: %v", p)
	}
}

func TestPasswordChangeEndsOtherSessions(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	w.clock.advance(time.Second)
	changed, p := laptop.changePassword(jane, password, "a new password")
	if p != nil || changed.SessionsEnded != 1 {
		t.Fatalf("change: %+v, %v", changed, p)
	}
	wantCode(t, "refresh of the device that changed it", laptop.refresh(), 0)
	refusedWith(t, phone.refresh())
	if _, p := phone.signIn(jane, password); codeOf(p) != api.Failed {
		t.Errorf("the old password: %v", p)
	}
	if out, p := phone.signIn(jane, "a new password"); p != nil || out.SignedIn == nil {
		t.Errorf("the new password: %v", p)
	}
}

func TestRemoveDevice(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.clock.advance(time.Second)
	phone := w.another(laptop, jane, "phone")
	var list api.Devices
	wantCode(t, "devices", laptop.call(api.PathDevices, laptop.signed(), &list), 0)
	if len(list.Devices) != 2 || !list.Devices[0].This || list.Devices[1].Name != "phone" || !list.Devices[1].SignedIn {
		t.Fatalf("devices: %+v", list.Devices)
	}
	remove := api.SignedID{Session: laptop.in.Session, ID: list.Devices[1].ID}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	wantCode(t, "remove again", laptop.call(api.PathRemoveDevice, remove, nil), api.NotPossible)
	refusedWith(t, phone.refresh())
	need := phone.needCode(jane, password, "")
	wantCode(t, "enrol again", phone.code(need, laptop.allow(need).Code), 0)
	wantCode(t, "refresh", phone.refresh(), 0)
}

func TestDisableAndEnable(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	refusedWith(t, laptop.refresh())
	_, p := laptop.signIn(jane, password)
	refusedWith(t, p)
	w.act(api.AdminEnable, jane)
	wantCode(t, "refresh", laptop.refresh(), 0)
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("sign-in after enabling: %v", p)
	}
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	try, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	w.restart()
	wantCode(t, "refresh after a restart", laptop.refresh(), 0)
	if out, p := try.finish(); p != nil || out.SignedIn == nil {
		t.Errorf("an attempt that a restart came between: %v", p)
	}
}

func TestAttemptIsFinishedOnce(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	try, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	ke3, opened := try.ke3()
	if !opened {
		t.Fatal("the right password does not open the answer")
	}
	results := make([]int, 20)
	atOnce(len(results), func(i int) {
		other := *try
		other.m = laptop.twin()
		_, p := other.finishWith(ke3)
		results[i] = codeOf(p)
	})
	in := 0
	for _, c := range results {
		switch c {
		case 0:
			in++
		case api.NotPossible:
		default:
			t.Errorf("a finish that lost the race: code %d", c)
		}
	}
	if in != 1 {
		t.Errorf("one attempt was finished %d times", in)
	}
	late, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	w.clock.advance(3 * time.Minute)
	_, p = late.finish()
	wantCode(t, "finish after three minutes", p, api.NotPossible)
}

// TestCodeIsForTheAttemptsOwnKey: the right code, in time, by another machine
// than the one whose password was proved.
func TestCodeIsForTheAttemptsOwnKey(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone, thief := w.machine("phone"), w.machine("thief")
	need := phone.needCode(jane, password, "")
	shown := laptop.allow(need).Code
	wantCode(t, "by another machine", thief.code(need, shown), api.NotPossible)
	wantCode(t, "by the one that asked", phone.code(need, shown), 0)
}

// TestPasswordChangedBeforeTheCode: a password that was proved and is no longer
// the account's lets nobody in, with the right code either.
func TestPasswordChangedBeforeTheCode(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	w.clock.advance(time.Second)
	_, p := laptop.changePassword(jane, password, "another password")
	wantCode(t, "change", p, 0)
	r := laptop.asOwner(t, phone.code(need, laptop.allow(need).Code), "password-wrong")
	wantEvidence(t, r, cause.CheckPassword, "changed-meanwhile")
}

// TestGrant: a fresh proof of the password is good for one change, by the device
// that proved it, for five minutes.
func TestGrant(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	desk := w.another(laptop, jane, "desk")
	grant := func() api.Bytes {
		w.clock.advance(time.Second)
		done, p := laptop.signInWith(api.SignInStart{Account: jane, Purpose: api.ForPassword}, password)
		wantCode(t, "grant", p, 0)
		return done.Grant
	}
	registration, request, err := opaque.StartRegistration([]byte(password))
	must(t, err)
	start := func(m *machine, g api.Bytes) (started api.SignUpStarted, p *api.Problem) {
		p = m.call(api.PathPasswordStart, api.PasswordStart{Grant: g, Request: request}, &started)
		return started, p
	}
	good := grant()
	started, p := start(laptop, good)
	wantCode(t, "start", p, 0)
	record, _, err := registration.Finish(started.Response, cheap)
	must(t, err)
	finish := func(m *machine, g api.Bytes) *api.Problem {
		return m.call(api.PathPasswordFinish, api.PasswordFinish{Grant: g, Session: m.in.Session, Record: record, Stretch: wire(cheap)}, nil)
	}
	_, p = start(desk, good)
	wantCode(t, "start by another device", p, api.NotPossible)
	wantCode(t, "finish by another device", finish(desk, good), api.NotPossible)
	try, p := laptop.start(jane, password)
	wantCode(t, "sign-in", p, 0)
	wantCode(t, "the state of a sign-in", finish(laptop, try.started.State), api.NotPossible)

	old := grant()
	w.clock.advance(5*time.Minute + time.Second)
	_, p = start(laptop, old)
	wantCode(t, "start, too late", p, api.NotPossible)
	wantCode(t, "finish, too late", finish(laptop, old), api.NotPossible)

	good = grant()
	w.clock.advance(time.Second)
	wantCode(t, "finish", finish(laptop, good), 0)
	_, p = start(laptop, good)
	wantCode(t, "start once more", p, api.NotPossible)
	wantCode(t, "finish once more", finish(laptop, good), api.NotPossible)
}
