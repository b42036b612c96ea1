package server_test

import (
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/store"
)

// TestNoFloodEndsTheOwnersAttempt: what others make the ledger hold, whether
// they know the password or had a device once, pushes no attempt of an enrolled
// device out of it.
func TestNoFloodEndsTheOwnersAttempt(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.clock.advance(time.Second)
	former := w.another(laptop, jane, "former")
	remove := api.SignedID{Session: laptop.in.Session, ID: former.in.Device[:8]}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	knower := w.machine("knower")
	need := knower.needCode(jane, password, "")
	stranger := w.machine("stranger")
	floods := map[string]func(){
		"of a removed device": func() { refusedWith(t, former.refresh()) },
		"of empty codes":      func() { refusedWith(t, knower.code(need, "")) },
		"of spent codes":      func() { refusedWith(t, knower.code(need, "000000")) },
		"of strangers":        func() { stranger.fail(jane) },
		"of looks":            func() { w.machine("looker").explain(former.refresh(), false) },
		"of stolen sessions": func() {
			thief := w.machine("thief")
			thief.in = laptop.in
			refusedWith(t, thief.refresh())
		},
	}
	for what, flood := range floods {
		try, p := laptop.start(jane, password)
		wantCode(t, "start", p, 0)
		for range store.RingSize + 1 {
			flood()
		}
		if out, p := try.finish(); p != nil || out.SignedIn == nil {
			t.Errorf("after a flood %s: %v", what, p)
		}
	}
}

// TestDeviceRemovedMeanwhile: a device that is removed between the two messages
// of its sign-in is refused, and the owner can see why.
func TestDeviceRemovedMeanwhile(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	try, p := phone.start(jane, password)
	wantCode(t, "start", p, 0)
	remove := api.SignedID{Session: laptop.in.Session, ID: phone.in.Device[:8]}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	ke3, opened := try.ke3()
	if !opened {
		t.Fatal("the right password does not open the answer")
	}
	_, p = try.finishWith(ke3)
	wantEvidence(t, laptop.asOwner(t, p, "device-removed"), cause.CheckDeviceRemovedAt, instant(w.clock.now()))

	// And one that is enrolled meanwhile by another attempt of its own.
	tablet := w.machine("tablet")
	need := tablet.needCode(jane, password, "")
	try, p = tablet.start(jane, password)
	wantCode(t, "start", p, 0)
	wantCode(t, "code", tablet.code(need, laptop.allow(need).Code), 0)
	_, p = try.finishWith(opaque.DecoyKE3())
	refusedWith(t, p)
}

// TestPassIsGoodOnce: of attempts that run side by side with one pass, one is
// finished.
func TestPassIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	var owners api.Pass
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &owners), 0)
	var operators api.AdminInvitation
	if p := w.operator(api.AdminInvite, api.AdminAccount{Account: jane}, &operators); p != nil {
		t.Fatal(p)
	}
	for what, pass := range map[string]string{"owner": owners.Pass, "operator": operators.Invitation} {
		var tries []*try
		for range 2 {
			try, p := w.machine("new").startWith(api.SignInStart{Account: jane, Pass: pass}, password)
			wantCode(t, "start", p, 0)
			tries = append(tries, try)
		}
		_, p := tries[0].finish()
		wantCode(t, what+"'s pass, first", p, 0)
		_, p = tries[1].finish()
		wantCode(t, what+"'s pass, second", p, api.NotPossible)
	}
}

// TestOneMachineWithTwoRequests: the second one is over when the first has
// enrolled it, and nobody is blamed.
func TestOneMachineWithTwoRequests(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	first, second := phone.needCode(jane, password, ""), phone.needCode(jane, password, "")
	code1, code2 := laptop.allow(first).Code, laptop.allow(second).Code
	wantCode(t, "first", phone.code(first, code1), 0)
	wantCode(t, "second", phone.code(second, code2), api.NotPossible)

	tablet := w.machine("tablet")
	oldest := tablet.needCode(jane, password, "")
	for range 5 {
		w.clock.advance(time.Second)
		w.machine("crowd").needCode(jane, password, "")
	}
	wantCode(t, "one that gave way to newer ones", tablet.code(oldest, "123456"), api.NotPossible)
	var list api.Requests
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), &list), 0)
	waiting := 0
	for _, r := range list.Requests {
		if r.Status == "waiting" {
			waiting++
		}
	}
	if waiting > 5 {
		t.Errorf("%d requests wait for the owner", waiting)
	}
	for range 40 {
		w.machine("crowd").needCode(jane, password, "")
	}
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), &list), 0)
	if len(list.Requests) != 32 {
		t.Errorf("%d requests are kept", len(list.Requests))
	}
	w.machine("crowd").needCode(jane, password, "") // not seen yet
	meanwhile := func() { w.machine("crowd").needCode(jane, password, "") }
	w.store.before.Store(&meanwhile)
	wantCode(t, "requests, of which one gives way", laptop.call(api.PathRequests, laptop.signed(), nil), 0)
}

// TestOneKeyAtTwoAccounts: a machine can be enrolled for two accounts, and is
// two devices.
func TestOneKeyAtTwoAccounts(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	second := laptop.twin()
	wantCode(t, "a second account", second.signUp("second@example.org", password), 0)
	if second.in.Device == laptop.in.Device {
		t.Error("one device ID for two accounts")
	}
	wantCode(t, "refresh of the first", laptop.refresh(), 0)
	wantCode(t, "refresh of the second", second.refresh(), 0)
	wantCode(t, "sign-out of the second", second.call(api.PathSignOut, second.signed(), nil), 0)
	wantCode(t, "refresh of the first", laptop.refresh(), 0)
}

// TestRemovedDeviceLetsNobodyIn: neither by what it showed nor by what it made.
func TestRemovedDeviceLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	stolen := w.another(laptop, jane, "stolen")
	thief, second := w.machine("thief"), w.machine("second")
	need, other := thief.needCode(jane, password, ""), second.needCode(jane, password, "")
	shown, offline := stolen.allow(need).Code, stolen.offline()
	var pass api.Pass
	wantCode(t, "pass", stolen.call(api.PathPass, stolen.signed(), &pass), 0)
	remove := api.SignedID{Session: laptop.in.Session, ID: stolen.in.Device[:8]}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)

	laptop.asOwner(t, thief.code(need, shown), "code-wrong")
	laptop.asOwner(t, second.code(other, offline), "code-undelivered")
	for range 12 {
		w.machine("stranger").fail(jane)
	}
	_, p := w.machine("third").signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, password)
	laptop.asOwner(t, p, "locked-by-strangers")
	wantCode(t, "the code of a device that stays", thief.code(need, laptop.allow(need).Code), 0)
}

// TestTwoDevicesAllow: what one shows stays good when the other shows it too.
func TestTwoDevicesAllow(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	desk := w.another(laptop, jane, "desk")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	first := laptop.allow(need).Code
	lines := len(w.activity(jane))
	for range 3 {
		w.clock.advance(3 * time.Second)
		if again := desk.allow(need).Code; again != first {
			t.Errorf("the desk shows %s, the laptop %s", again, first)
		}
		laptop.allow(need)
	}
	if n := len(w.activity(jane)); n != lines {
		t.Errorf("%d lines more about one that was allowed", n-lines)
	}
	wantCode(t, "the first code", phone.code(need, first), 0)
}

// TestRemovedAtTheSameInstant: a device whose session ends between the check of
// its message and the change that the message asks for changes nothing. Two
// devices that remove each other leave one.
func TestRemovedAtTheSameInstant(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	for what, call := range map[string]func(desk *machine) *api.Problem{
		"remove": func(desk *machine) *api.Problem {
			return desk.call(api.PathRemoveDevice, api.SignedID{Session: desk.in.Session, ID: laptop.in.Device[:8]}, nil)
		},
		"allow": func(desk *machine) *api.Problem {
			return desk.call(api.PathAllow, api.SignedID{Session: desk.in.Session, ID: need.Request}, nil)
		},
		"deny": func(desk *machine) *api.Problem {
			return desk.call(api.PathDeny, api.SignedID{Session: desk.in.Session, ID: need.Request}, nil)
		},
		"pass": func(desk *machine) *api.Problem { return desk.call(api.PathPass, desk.signed(), nil) },
	} {
		desk := w.another(laptop, jane, "desk")
		meanwhile := func() {
			remove := api.SignedID{Session: laptop.in.Session, ID: desk.in.Device[:8]}
			wantCode(t, what+": remove the desk", laptop.call(api.PathRemoveDevice, remove, nil), 0)
		}
		w.store.before.Store(&meanwhile)
		wantCode(t, what, call(desk), api.NotPossible)
		wantCode(t, what+": refresh", laptop.refresh(), 0)
	}

	desk := w.another(laptop, jane, "desk")
	done, p := desk.signInWith(api.SignInStart{Account: jane, Purpose: api.ForPassword}, password)
	wantCode(t, "grant", p, 0)
	registration, request, err := opaque.StartRegistration([]byte("another password"))
	must(t, err)
	var started api.SignUpStarted
	wantCode(t, "password start", desk.call(api.PathPasswordStart, api.PasswordStart{Grant: done.Grant, Request: request}, &started), 0)
	record, _, err := registration.Finish(started.Response, cheap)
	must(t, err)
	meanwhile := func() {
		remove := api.SignedID{Session: laptop.in.Session, ID: desk.in.Device[:8]}
		wantCode(t, "remove the desk", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	}
	w.store.before.Store(&meanwhile)
	wantCode(t, "password", desk.call(api.PathPasswordFinish, api.PasswordFinish{
		Grant: done.Grant, Session: desk.in.Session, Record: record, Stretch: wire(cheap),
	}, nil), api.NotPossible)
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("the password is another: %v", p)
	}
}

// TestPassEndsWithThePassword: who may have made it need not be the owner.
func TestPassEndsWithThePassword(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for range 12 {
		w.machine("stranger").fail(jane)
	}
	var pass api.Pass
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	w.clock.advance(time.Second)
	_, p := laptop.changePassword(jane, password, "another password")
	wantCode(t, "change", p, 0)
	_, p = w.machine("phone").signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, "another password")
	laptop.asOwner(t, p, "locked-by-strangers")
	wantCode(t, "a new pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	w.machine("phone").needCode(jane, "another password", pass.Pass)
}
