package server_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/store"
)

// warm makes m know the stretched password, so that telling a real answer from
// a stand-in costs a test no stretching.
func (m *machine) warm(account string) []byte {
	m.w.t.Helper()
	t, p := m.start(account, password)
	if p != nil {
		m.w.t.Fatalf("start: %v", p)
	}
	if _, opened := t.ke3(); !opened {
		m.w.t.Fatal("the right password does not open the answer")
	}
	if _, p := t.finish(); p != nil {
		m.w.t.Fatalf("finish: %v", p)
	}
	rp, _ := m.w.stretches.of(account, password)
	return rp
}

// TestNoConcurrencyPassesTheLimit lets 200 messages go at the same instant.
// All carry the right password, so that an answer made on the account's record
// opens, and so that it can be counted which ones were; none is finished with
// a proof, so that to the server each is a failing guess.
func TestNoConcurrencyPassesTheLimit(t *testing.T) {
	for _, finished := range []bool{false, true} {
		t.Run(fmt.Sprintf("finished=%v", finished), func(t *testing.T) {
			w := newWorld(t)
			rp := w.enrolled(jane, "laptop").warm(jane)
			spellings := []string{jane, "JANE@example.org", " jane@Example.ORG", "jane@example.org\t"}
			var guesses atomic.Int64
			atOnce(200, func(i int) {
				m := w.machine("stranger")
				try, p := m.start(spellings[i%len(spellings)], password)
				if p != nil {
					t.Errorf("start: %v", p)
					return
				}
				if _, _, _, err := try.login.FinishWith(try.started.KE2, rp); err == nil {
					guesses.Add(1)
				}
				if finished {
					if _, p := try.finishWith(opaque.DecoyKE3()); codeOf(p) != api.Failed && codeOf(p) != api.NotPossible {
						t.Errorf("finish: %v", p)
					}
				}
			})
			n := guesses.Load()
			if n == 0 || n > lockout.OpenLimit {
				t.Errorf("200 at once were %d guesses, want 1 to %d", n, lockout.OpenLimit)
			}
			t.Logf("%d guesses", n)
			w.restart()
			for range 3 {
				try, p := w.machine("stranger").start(jane, password)
				wantCode(t, "start", p, 0)
				if _, _, _, err := try.login.FinishWith(try.started.KE2, rp); err == nil {
					t.Error("after a restart the limit is forgotten")
				}
			}
		})
	}
}

// TestLockedAnswersTestNoGuess holds that what a locked account answers is of
// no use against an answer that was given before the lock: whoever has one
// could otherwise test any number of passwords on it, one evaluation each.
func TestLockedAnswersTestNoGuess(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop")
	stranger := w.machine("stranger")
	for range lockout.FailedLimit {
		stranger.fail(jane)
	}
	locked, p := stranger.start(jane, password) // the guess
	wantCode(t, "start", p, 0)
	rp, err := locked.login.Stretched(locked.started.KE2, cheap)
	must(t, err)

	opened, p := stranger.start(jane, password)
	wantCode(t, "start", p, 0)
	w.clock.advance(time.Hour)
	control, p := stranger.start(jane, password)
	wantCode(t, "start", p, 0)
	real, err := control.login.Stretched(control.started.KE2, cheap)
	must(t, err)
	if _, _, _, err := control.login.FinishWith(control.started.KE2, real); err != nil {
		t.Fatal("after the lock the right password does not open the answer")
	}
	if bytes.Equal(rp, real) {
		t.Error("a locked account's answer tells whether a guess fits an answer given before the lock")
	}
	again, err := opened.login.Stretched(opened.started.KE2, cheap)
	must(t, err)
	if !bytes.Equal(rp, again) {
		t.Error("two answers of a locked account do not agree: one sender of the same guess sees the lock at once")
	}
}

// TestLocksTellNoAccount: a lock can be seen from outside, because the same
// guess is answered otherwise. So it must come of the same attempts, at the
// same moment, whether there is an account or not: also of attempts at other
// identifiers that share the counter.
func TestLocksTellNoAccount(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop")
	lane := store.LaneOf(w.keys.Lookup(jane))
	var nobody, other string // without an account, in jane's lane
	for i := 0; other == ""; i++ {
		id := fmt.Sprintf("nobody-%d@example.org", i)
		if store.LaneOf(w.keys.Lookup(id)) != lane {
			continue
		}
		if nobody == "" {
			nobody = id
		} else {
			other = id
		}
	}
	// evaluated is what a stranger sees of a guess that is always the same.
	_, ke1, err := opaque.StartLogin([]byte("a guess"))
	must(t, err)
	evaluated := func(id string) string {
		var started api.SignInStarted
		m := w.machine("stranger")
		p := m.call(api.PathSignInStart, api.SignInStart{Account: id, Purpose: api.ForSignIn, KE1: ke1, Client: m.client()}, &started)
		wantCode(t, "start", p, 0)
		return string(started.KE2[:32])
	}
	for _, guessedAt := range []string{jane, nobody, other} {
		open := map[string]string{jane: evaluated(jane), nobody: evaluated(nobody)}
		stranger := w.machine("stranger")
		for range lockout.FailedLimit {
			stranger.fail(guessedAt)
		}
		for _, id := range []string{jane, nobody} {
			if evaluated(id) == open[id] {
				t.Errorf("guesses at %s do not lock %s", guessedAt, id)
			}
		}
		w.clock.advance(25 * time.Hour)
		for _, id := range []string{jane, nobody} {
			if evaluated(id) != open[id] {
				t.Errorf("after guesses at %s the lock of %s does not end", guessedAt, id)
			}
		}
		w.clock.advance(25 * time.Hour)
	}
}

func TestFiftyRightSignInsAtOnce(t *testing.T) {
	const n = 50
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.warm(jane)
	t.Run("one device", func(t *testing.T) {
		atOnce(n, func(int) { signInWarm(t, laptop.twin()) })
	})
	machines := make([]*machine, n)
	for i := range machines {
		var invitation api.AdminInvitation
		if p := w.operator(api.AdminInvite, api.AdminAccount{Account: jane}, &invitation); p != nil {
			t.Fatal(p)
		}
		machines[i] = w.machine(fmt.Sprint("device ", i))
		if out, p := machines[i].signInWith(api.SignInStart{Account: jane, Pass: invitation.Invitation}, password); p != nil || out.SignedIn == nil {
			t.Fatalf("enrol: %v", p)
		}
	}
	t.Run("many devices", func(t *testing.T) {
		atOnce(n, func(i int) { signInWarm(t, machines[i].twin()) })
	})
	t.Run("new devices", func(t *testing.T) {
		atOnce(n, func(i int) {
			m := w.machine("new")
			out, p := m.signIn(jane, password)
			if p != nil || out.Code == nil {
				t.Errorf("no code is asked for: %v", p)
			}
		})
	})
}

func signInWarm(t testing.TB, m *machine) {
	t.Helper()
	if out, p := m.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("a right sign-in among fifty: %v", p)
	}
}

func TestLockEndsByItself(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	rp := laptop.warm(jane)
	stranger := w.machine("stranger")
	opens := func() bool {
		t.Helper()
		try, p := w.machine("probe").start(jane, password)
		wantCode(t, "start", p, 0)
		_, _, _, err := try.login.FinishWith(try.started.KE2, rp)
		_, p = try.finishWith(opaque.DecoyKE3())
		refusedWith(t, p)
		return err == nil
	}
	for range lockout.FailedLimit {
		stranger.fail(jane)
	}
	if opens() {
		t.Error("ten failures do not lock")
	}
	w.clock.advance(lockout.FirstLock + time.Second)
	if !opens() {
		t.Error("the lock does not end by itself") // and this failure locks again, for longer
	}
	w.clock.advance(lockout.FirstLock + time.Second)
	if opens() {
		t.Error("the second lock is no longer than the first")
	}
	w.clock.advance(lockout.FirstLock)
	if !opens() {
		t.Error("the second lock does not end by itself")
	}
	if n := w.accounts()[0].Locked; n == 0 {
		t.Error("the operator does not see the lock")
	}
	w.act(api.AdminUnlock, jane)
	if !opens() {
		t.Error("the operator cannot lift the lock")
	}
}

// TestOwnerGetsIn is rule 3: strangers lock only the strangers' way in.
func TestOwnerGetsIn(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	stranger := w.machine("stranger")
	for range 3 * lockout.OpenLimit {
		stranger.fail(jane)
	}
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("the enrolled device: %v", p)
	}
	wantCode(t, "refresh", laptop.refresh(), 0)

	phone := w.machine("phone")
	_, p := phone.signIn(jane, password)
	wantCauses(t, laptop.explain(refusedWith(t, p), true), cause.Owner, "locked-by-strangers")
	var pass api.Pass
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	phone.fail(jane) // without the pass: still locked
	need := phone.needCode(jane, password, pass.Pass)
	wantCode(t, "code", phone.code(need, laptop.allow(need).Code), 0)
	wantCode(t, "refresh of the new device", phone.refresh(), 0)

	// The pass was good once, and three tries.
	tablet := w.machine("tablet")
	_, p = tablet.signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, password)
	refusedWith(t, p)
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	for range 3 {
		try, p := tablet.startWith(api.SignInStart{Account: jane, Pass: pass.Pass}, "a wrong one")
		wantCode(t, "start", p, 0)
		_, p = try.finishWith(opaque.DecoyKE3())
		refusedWith(t, p)
	}
	_, p = tablet.signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, password)
	refusedWith(t, p)
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	w.clock.advance(16 * time.Minute)
	stranger.fail(jane) // locks again
	_, p = tablet.signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, password)
	refusedWith(t, p)
}

// TestOtherAccountsPassIsNone: a pass of one account opens no other.
func TestOtherAccountsPassIsNone(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop")
	other := w.enrolled("other@example.org", "other")
	stranger := w.machine("stranger")
	for range lockout.FailedLimit {
		stranger.fail(jane)
	}
	var pass api.Pass
	wantCode(t, "pass", other.call(api.PathPass, other.signed(), &pass), 0)
	_, p := stranger.signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, password)
	refusedWith(t, p)
}

func (w *world) accounts() []api.AdminAccountState {
	w.t.Helper()
	var list api.AdminAccountList
	w.read(w.operatorGet(api.AdminAccounts), &list)
	return list.Accounts
}

// TestAllAreCountedAlike: an identifier without an account, and one whose
// account is disabled, lock after as many failures as any other, and for as
// long. What a stranger can see of a lock is that the same password is
// evaluated to something else.
func TestAllAreCountedAlike(t *testing.T) {
	w := newWorld(t)
	w.enrolled(jane, "laptop")
	w.enrolled("disabled@example.org", "other")
	w.act(api.AdminDisable, "disabled@example.org")
	stranger := w.machine("stranger")
	for _, purpose := range []string{api.ForSignIn, api.ForPassword} {
		value := func(account string) string {
			try, p := stranger.startWith(api.SignInStart{Account: account, Purpose: purpose}, "the same each time")
			wantCode(t, "start", p, 0)
			rp, err := try.login.Stretched(try.started.KE2, cheap)
			must(t, err)
			_, p = try.finishWith(opaque.DecoyKE3())
			refusedWith(t, p)
			return string(rp)
		}
		var story [3]string
		for i, account := range []string{jane, purpose + "-nobody@example.org", "disabled@example.org"} {
			first := value(account)
			for range 7 {
				refusedWith(t, stranger.guessAs(account, purpose))
			}
			for _, wait := range []time.Duration{0, 0, 0, 59 * time.Second, 2 * time.Second, 0, 119 * time.Second, 2 * time.Second} {
				w.clock.advance(wait)
				story[i] += fmt.Sprint(value(account) == first, " ")
			}
		}
		if story[0] != story[1] || story[0] != story[2] || !strings.Contains(story[0], "false") {
			t.Errorf("%s: whether the evaluation is the first one's:\n%s for an account\n%s for none\n%s for a disabled one", purpose, story[0], story[1], story[2])
		}
		w.act(api.AdminUnlock, jane)
		w.act(api.AdminUnlock, "disabled@example.org")
	}
}

// guessAs fails with a purpose, without the work of stretching.
func (m *machine) guessAs(account, purpose string) *api.Problem {
	m.w.t.Helper()
	try, p := m.startWith(api.SignInStart{Account: account, Purpose: purpose}, "a wrong one")
	wantCode(m.w.t, "start", p, 0)
	_, p = try.finishWith(opaque.DecoyKE3())
	return p
}

// TestDisabledTimeIsNotHeldAgainstADevice: what an enrolled device tries while
// its account is disabled locks nothing.
func TestDisabledTimeIsNotHeldAgainstADevice(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	for range 2 * lockout.OpenLimit {
		laptop.fail(jane)
	}
	w.act(api.AdminEnable, jane)
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("after the account was enabled: %v", p)
	}
}
