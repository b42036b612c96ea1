package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/server"
)

// TestFloodLeavesTheOwnersWay: strangers begin as many cases as they like.
func TestFloodLeavesTheOwnersWay(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	for i := range 40 {
		w.machine(fmt.Sprint("flood", i)).begin(jane)
		w.clock.advance(4 * time.Second)
	}
	if list := laptop.recoveries(); len(list) != 5 {
		t.Errorf("%d cases without a proof are kept", len(list))
	}
	now, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "a proof for a case whose place is gone", p, 0)
	wantState(t, "it", now, "waiting", "code")
	w.clock.advance(recovery.DefaultWait)
	if out, p := tablet.setPassword(r, fresh); p != nil || out.SignedIn == nil {
		t.Errorf("set the password: %v", p)
	}
}

func TestEvaluationsAreCounted(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	_, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	_, req, err := opaque.StartRegistration([]byte("a guess"))
	must(t, err)
	ask := func() string {
		var started api.SignUpStarted
		wantCode(t, "start", tablet.call(api.PathRecoveryPasswordStart, api.RecoveryPasswordStart{Recovery: r.Recovery, Request: req}, &started), 0)
		return string(started.Response)
	}
	early := ask()
	w.clock.advance(recovery.DefaultWait)
	real := map[string]int{}
	for range recovery.Tries + 5 {
		real[ask()]++
	}
	if real[early] != 5 || len(real) != 2 {
		t.Errorf("evaluations under the account's key: %v, with %d before it was open", len(real), real[early])
	}
	_, p = tablet.setPassword(r, fresh)
	refusedWith(t, p)
}

func TestDisabledIsNotRecovered(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	_, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	w.act(api.AdminDisable, jane)
	w.clock.advance(recovery.DefaultWait)
	_, p = tablet.setPassword(r, fresh)
	wantCauses(t, w.forOperator(refusedWith(t, p)), cause.Operator, "account-disabled")
	other := w.machine("other")
	_, p = other.prove(other.begin(jane), "code", codes[1])
	refusedWith(t, p)
	w.act(api.AdminEnable, jane)
	_, p = other.prove(other.begin(jane), "code", codes[1])
	wantCode(t, "the code was not used up", p, 0)
}

func TestStoreDownAtRecovery(t *testing.T) {
	w := newWorld(t)
	codes := w.enrolled(jane, "laptop").codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	w.store.failing.Store(true)
	_, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove without a disk", p, api.Unavailable)
	wantCode(t, "begin", w.machine("m").call(api.PathRecoveryStart, api.RecoveryStart{Account: jane, DeviceName: "m", Client: tablet.client()}, nil), api.Unavailable)
	w.store.failing.Store(false)
	_, p = tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
}

// TestPasswordChangedMeanwhile: whoever knows the password needs no recovery,
// and nobody else's goes on.
func TestPasswordChangedMeanwhile(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	proved, early := w.machine("proved"), w.machine("early")
	r, e := proved.begin(jane), early.begin(jane)
	_, p := proved.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	w.clock.advance(time.Second)
	if _, p := laptop.changePassword(jane, password, "the owner's next one"); p != nil {
		t.Fatal(p)
	}
	wantState(t, "its status", proved.status(r), "over", "code")
	w.clock.advance(recovery.DefaultWait - time.Hour)
	_, p = early.prove(e, "code", codes[1])
	laptop.asOwner(t, p, "recovery-over")
	w.clock.advance(time.Hour)
	_, p = proved.setPassword(r, fresh)
	laptop.asOwner(t, p, "recovery-over")
	if done, p := laptop.signIn(jane, "the owner's next one"); p != nil || done.SignedIn == nil {
		t.Errorf("the owner's password: %v", p)
	}
}

// TestRecoveryEndsWhatWasBegun: passes and sign-ins of before rest on a
// password that is none any more.
func TestRecoveryEndsWhatWasBegun(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	waiting := w.machine("waiting")
	need := waiting.needCode(jane, password, "")
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	_, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	wantCode(t, "prove", func() *api.Problem { _, p := tablet.prove(r, "device", laptop.approve(t, "tablet").Code); return p }(), 0)
	var pass api.Pass
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	w.clock.advance(time.Second)
	if out, p := tablet.setPassword(r, fresh); p != nil || out.SignedIn == nil {
		t.Fatal(p)
	}
	wantCode(t, "the code of a sign-in with the old password", waiting.code(need, laptop.offline()), api.NotPossible)
	stranger := w.machine("stranger")
	for range lockout.FailedLimit {
		stranger.fail(jane)
	}
	_, p = w.machine("new").signInWith(api.SignInStart{Account: jane, Pass: pass.Pass}, fresh)
	refusedWith(t, p)
}

func TestRemovedDeviceVouchesForNobody(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.clock.advance(time.Second)
	phone := w.another(laptop, jane, "phone")
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	code := phone.approve(t, "tablet").Code
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: phone.in.Device[:8]}, nil), 0)
	_, p := tablet.prove(r, "device", code)
	laptop.asOwner(t, p, "recovery-code-wrong")
}

func TestWrongCodesEndTheCase(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	results := make([]int, recovery.Tries+5)
	atOnce(len(results), func(i int) {
		_, p := tablet.twin().prove(r, []string{"code", "address", "device"}[i%3], "0000-0000")
		results[i] = codeOf(p)
	})
	for _, c := range results {
		if c != api.Failed {
			t.Errorf("a wrong code: %d", c)
		}
	}
	_, p := tablet.prove(r, "code", codes[0])
	laptop.asOwner(t, p, "recovery-over")
	again := tablet.begin(jane)
	_, p = tablet.prove(again, "code", codes[0])
	wantCode(t, "the code that was refused is not used up", p, 0)
}

// TestRecoveryWaitIsConfigured: no shorter than an owner needs to read a message.
func TestRecoveryWaitIsConfigured(t *testing.T) {
	for text, ok := range map[string]bool{
		"1h": true, "24h": true, "720h": true, "59m": false, "1s": false, "-24h": false, "721h": false, "soon": false, "24": false,
	} {
		file := filepath.Join(t.TempDir(), "readmit.toml")
		must(t, os.WriteFile(file, []byte(fmt.Sprintf("recovery_wait = %q\n", text)), 0o600))
		c, err := server.ReadConfig(file)
		if err == nil {
			_, err = c.Complete()
		}
		if (err == nil) != ok {
			t.Errorf("recovery_wait %s: %v", text, err)
		}
	}
}
