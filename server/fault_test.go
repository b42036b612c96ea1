package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// TestCauseServiceFault: when the store cannot write, nobody is refused and
// nothing is evaluated; who needs no write is served.
func TestCauseServiceFault(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	digits := laptop.allow(need).Code
	begun, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	ke3, _ := begun.ke3()
	out, p := laptop.twin().signInWith(api.SignInStart{Account: jane, Purpose: api.ForPassword}, password)
	wantCode(t, "grant", p, 0)
	registration, request, err := opaque.StartRegistration([]byte("new"))
	must(t, err)
	var evaluated api.SignUpStarted
	wantCode(t, "password start", laptop.call(api.PathPasswordStart, api.PasswordStart{Grant: out.Grant, Request: request}, &evaluated), 0)
	record, _, err := registration.Finish(evaluated.Response, cheap)
	must(t, err)
	refusal := phone.twin().fail("nobody@example.org")
	stranger := w.machine("stranger")
	stranger.in.Session = "00000000000000000000000000000000"

	w.store.failing.Store(true)
	signIn := func(account string) answer {
		_, ke1, err := opaque.StartLogin([]byte(password))
		must(t, err)
		return stranger.post(api.PathSignInStart, api.SignInStart{Account: account, Purpose: api.ForSignIn, KE1: ke1, Client: stranger.client()})
	}
	session := laptop.signed()
	for what, a := range map[string]answer{
		"sign-in":                       signIn(jane),
		"sign-in of nobody":             signIn("nobody@example.org"),
		"finish":                        laptop.post(api.PathSignInFinish, api.SignInFinish{State: begun.started.State, KE3: ke3}),
		"finish with a wrong proof":     laptop.post(api.PathSignInFinish, api.SignInFinish{State: begun.started.State, KE3: opaque.DecoyKE3()}),
		"code":                          phone.post(api.PathSignInCode, api.SignInCode{Attempt: need.Attempt, Code: digits}),
		"wrong code":                    phone.post(api.PathSignInCode, api.SignInCode{Attempt: need.Attempt, Code: laptop.wrongCode(digits)}),
		"refresh of no session":         stranger.post(api.PathToken, api.TokenRequest{Session: stranger.in.Session}),
		"pass":                          laptop.post(api.PathPass, session),
		"sign-out":                      laptop.post(api.PathSignOut, session),
		"password change":               laptop.post(api.PathPasswordFinish, api.PasswordFinish{Grant: out.Grant, Session: laptop.in.Session, Record: record, Stretch: wire(cheap)}),
		"look that cannot be recorded":  laptop.post(api.PathExplain, api.Explain{Incident: refusal.Incident}),
		"sign-up":                       stranger.post(api.PathSignUpStart, api.SignUpStart{Account: "new@example.org", Request: request, Client: stranger.client()}),
		"sign-up, last message":         stranger.post(api.PathSignUpFinish, api.SignUpFinish{Account: "new@example.org", Record: record, Stretch: wire(cheap), Client: stranger.client()}),
		"ready":                         w.get(api.PathReady),
		"requests that nobody had seen": laptop.post(api.PathAllow, api.SignedID{Session: "00000000000000000000000000000000", ID: need.Request}),
	} {
		p := a.problem(t)
		if codeOf(p) != api.Unavailable || a.status != http.StatusServiceUnavailable || p.Type != publicURL+api.PathCauses+"service-fault" || p.Incident != "" {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
		if strings.Contains(string(a.body), "disk") {
			t.Errorf("%s: the answer tells what is wrong inside: %s", what, a.body)
		}
	}
	if a := w.get(api.PathHealth); a.status != http.StatusOK {
		t.Errorf("health: %d", a.status)
	}
	wantCode(t, "refresh", laptop.refresh(), 0)
	if !strings.Contains(string(w.logs.bytes()), "the disk is full") {
		t.Error("the log does not say what is wrong")
	}

	w.store.failing.Store(false)
	if a := w.get(api.PathReady); a.status != http.StatusOK {
		t.Errorf("ready again: %d", a.status)
	}
	wantCode(t, "the code, as nothing was counted", phone.code(need, digits), 0)
	_, p = begun.finishWith(ke3)
	wantCode(t, "the attempt, as nothing was counted", p, 0)
}

// TestStoreThatIsGone: not even reading.
func TestStoreThatIsGone(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	must(t, w.store.Close())
	wantCode(t, "refresh", laptop.refresh(), api.Unavailable)
	_, p := laptop.start(jane, password)
	wantCode(t, "sign-in", p, api.Unavailable)
	_, p = laptop.whoAmI()
	wantCode(t, "who am I, while what has changed is known", p, 0)
	for range 300 {
		if _, p = laptop.whoAmI(); p != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	wantCode(t, "who am I, when it is not any more", p, api.Unavailable)
	wantCode(t, "restore", laptop.call(api.PathSession, api.SessionRequest{Account: jane, Client: laptop.client()}, nil), api.Unavailable)
}

func TestRestoreSession(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	lost := laptop.twin()
	lost.in = api.SignedIn{}
	ask := api.SessionRequest{Account: "Jane@example.org", Client: lost.client()}
	wantCode(t, "restore", lost.call(api.PathSession, ask, &lost.in), 0)
	if lost.in.Session != laptop.in.Session || string(lost.in.CodeSecret) != string(laptop.in.CodeSecret) {
		t.Error("another session or code secret than before")
	}
	wantCode(t, "refresh", lost.refresh(), 0)
	wantCode(t, "of another account", lost.call(api.PathSession, api.SessionRequest{Account: "other@example.org", Client: lost.client()}, nil), api.NotPossible)
	wantCode(t, "sign-out", lost.call(api.PathSignOut, lost.signed(), nil), 0)
	wantCode(t, "restore what was ended", lost.call(api.PathSession, ask, nil), api.NotPossible)
	w.act(api.AdminDisable, jane)
	wantCode(t, "restore of a disabled account", lost.call(api.PathSession, ask, nil), api.NotPossible)
}
