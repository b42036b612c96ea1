package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/opaque"
)

// cheap is the least stretching that is allowed.
var cheap = opaque.Stretch{Memory: 19 << 10, Time: 2, Threads: 1}

// machine is a device with a key of its own, as a client sees it.
type machine struct {
	w          *world
	key        device.Key
	name       string
	off        time.Duration // its clock minus the server's
	version    string
	stretch    opaque.Stretch // of the records it makes
	invitation string
	in         api.SignedIn
}

// stretches are the stretched passwords of a world, by account and password:
// each is worked out once, not by every machine again.
type stretches struct {
	mu    sync.Mutex
	known map[string][]byte
}

func newStretches() *stretches { return &stretches{known: map[string][]byte{}} }

func (s *stretches) of(account, password string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rp, ok := s.known[account+"\x00"+password]
	return rp, ok
}

func (s *stretches) keep(account, password string, rp []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[account+"\x00"+password] = rp
}

func (w *world) machine(name string) *machine {
	w.t.Helper()
	k, err := device.GenerateKey()
	must(w.t, err)
	return &machine{w: w, key: k, name: name, version: "1.0.0", stretch: cheap}
}

// twin is another client with the same key and the same session.
func (m *machine) twin() *machine {
	return &machine{w: m.w, key: m.key, name: m.name, off: m.off, version: m.version, stretch: m.stretch, in: m.in}
}

func (m *machine) now() time.Time { return m.w.clock.now().Add(m.off) }

func (m *machine) client() api.Client {
	return api.Client{Name: "readmit", Version: m.version, System: "linux", SystemVersion: "6.1", Protocol: api.Protocol}
}

// sign makes the request of a message.
func (m *machine) sign(path string, body []byte) *http.Request {
	m.w.t.Helper()
	proof, err := m.key.Sign(device.Request{Method: http.MethodPost, URL: publicURL + path, Nonce: m.w.nonce(), Body: body, Time: m.now()})
	if err != nil {
		m.w.t.Errorf("sign: %v", err)
	}
	return request(path, proof, body)
}

func request(path, proof string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set(api.HeaderProof, proof)
	return r
}

// post sends a message and returns all that came back.
func (m *machine) post(path string, in any) answer {
	m.w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		m.w.t.Errorf("marshal: %v", err)
	}
	return m.w.serve(m.w.public, m.sign(path, body))
}

// call sends a message; out is filled unless a problem came back.
func (m *machine) call(path string, in, out any) *api.Problem {
	m.w.t.Helper()
	a := m.post(path, in)
	if p := a.problem(m.w.t); p != nil {
		return p
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			m.w.t.Errorf("%s: answer: %v", path, err)
		}
	}
	return nil
}

func (m *machine) signUp(account, password string) *api.Problem {
	m.w.t.Helper()
	r, req, err := opaque.StartRegistration([]byte(password))
	must(m.w.t, err)
	var started api.SignUpStarted
	if p := m.call(api.PathSignUpStart, api.SignUpStart{Account: account, Invitation: m.invitation, Request: req, Client: m.client()}, &started); p != nil {
		return p
	}
	record := m.record(r, started.Response, account, password)
	return m.call(api.PathSignUpFinish, api.SignUpFinish{
		Account: account, Invitation: m.invitation, Record: record, Stretch: wire(m.stretch), DeviceName: m.name, Client: m.client(),
	}, &m.in)
}

// record makes the record of a new password.
func (m *machine) record(r *opaque.Registration, response []byte, account, password string) []byte {
	m.w.t.Helper()
	rp, err := r.Stretched(response, m.stretch)
	must(m.w.t, err)
	record, _, err := r.FinishWith(response, rp)
	must(m.w.t, err)
	m.w.stretches.keep(account, password, rp)
	return record
}

func wire(s opaque.Stretch) api.Stretch {
	return api.Stretch{Memory: s.Memory, Time: s.Time, Threads: s.Threads}
}

// enrolled is a machine on which the account was made.
func (w *world) enrolled(account, name string) *machine {
	w.t.Helper()
	m := w.machine(name)
	if p := m.signUp(account, password); p != nil {
		w.t.Fatalf("sign-up of %s: %v", account, p)
	}
	return m
}

// another is a further machine enrolled for the account, with a code shown by by.
func (w *world) another(by *machine, account, name string) *machine {
	w.t.Helper()
	m := w.machine(name)
	need := m.needCode(account, password, "")
	if p := m.code(need, by.allow(need).Code); p != nil {
		w.t.Fatalf("enrol %s: %v", name, p)
	}
	return m
}

// try is a sign-in between its two messages.
type try struct {
	m       *machine
	login   *opaque.Login
	account string
	pass    string // the password
	started api.SignInStarted
}

func (m *machine) startWith(in api.SignInStart, password string) (*try, *api.Problem) {
	m.w.t.Helper()
	login, ke1, err := opaque.StartLogin([]byte(password))
	must(m.w.t, err)
	in.KE1, in.DeviceName, in.Client = ke1, m.name, m.client()
	if in.Purpose == "" {
		in.Purpose = api.ForSignIn
	}
	t := &try{m: m, login: login, account: in.Account, pass: password}
	p := m.call(api.PathSignInStart, in, &t.started)
	return t, p
}

func (m *machine) start(account, password string) (*try, *api.Problem) {
	m.w.t.Helper()
	return m.startWith(api.SignInStart{Account: account}, password)
}

// ke3 makes the proof, or the decoy where the answer does not open; opened
// says which. The stretched password is remembered: it is the long work.
func (t *try) ke3() (proof []byte, opened bool) {
	t.m.w.t.Helper()
	if rp, ok := t.m.w.stretches.of(t.account, t.pass); ok {
		if proof, _, _, err := t.login.FinishWith(t.started.KE2, rp); err == nil {
			return proof, true
		}
	}
	s := t.started.Stretch
	rp, err := t.login.Stretched(t.started.KE2, opaque.Stretch{Memory: s.Memory, Time: s.Time, Threads: s.Threads})
	must(t.m.w.t, err)
	proof, _, _, err = t.login.FinishWith(t.started.KE2, rp)
	if err != nil {
		return opaque.DecoyKE3(), false
	}
	t.m.w.stretches.keep(t.account, t.pass, rp)
	return proof, true
}

func (t *try) finishWith(ke3 []byte) (api.SignInFinished, *api.Problem) {
	t.m.w.t.Helper()
	var out api.SignInFinished
	p := t.m.call(api.PathSignInFinish, api.SignInFinish{State: t.started.State, KE3: ke3}, &out)
	if p == nil && out.SignedIn != nil {
		t.m.in = *out.SignedIn
	}
	return out, p
}

func (t *try) finish() (api.SignInFinished, *api.Problem) {
	t.m.w.t.Helper()
	ke3, _ := t.ke3()
	return t.finishWith(ke3)
}

func (m *machine) signInWith(in api.SignInStart, password string) (api.SignInFinished, *api.Problem) {
	m.w.t.Helper()
	t, p := m.startWith(in, password)
	if p != nil {
		return api.SignInFinished{}, p
	}
	return t.finish()
}

func (m *machine) signIn(account, password string) (api.SignInFinished, *api.Problem) {
	m.w.t.Helper()
	return m.signInWith(api.SignInStart{Account: account}, password)
}

// fail tries a wrong password, without the work of stretching it, and returns
// the refusal.
func (m *machine) fail(account string) *api.Problem {
	m.w.t.Helper()
	t, p := m.start(account, "a wrong one")
	if p == nil {
		_, p = t.finishWith(opaque.DecoyKE3())
	}
	return refusedWith(m.w.t, p)
}

// needCode signs in on a new device up to the code.
func (m *machine) needCode(account, password, pass string) *api.NeedCode {
	m.w.t.Helper()
	out, p := m.signInWith(api.SignInStart{Account: account, Pass: pass}, password)
	if p != nil || out.Code == nil {
		m.w.t.Fatalf("no code is asked for on %s: %v", m.name, p)
	}
	return out.Code
}

func (m *machine) code(need *api.NeedCode, digits string) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathSignInCode, api.SignInCode{Attempt: need.Attempt, Code: digits}, &m.in)
}

func (m *machine) signed() api.Signed { return api.Signed{Session: m.in.Session} }

func (m *machine) allow(need *api.NeedCode) api.Allowed {
	m.w.t.Helper()
	var out api.Allowed
	if p := m.call(api.PathAllow, api.SignedID{Session: m.in.Session, ID: need.Request}, &out); p != nil {
		m.w.t.Fatalf("allow: %v", p)
	}
	return out
}

// offline makes a code by hand, by the machine's own clock.
func (m *machine) offline() string { return string(code.Offline(m.in.CodeSecret, m.now())) }

func (m *machine) refresh() *api.Problem {
	m.w.t.Helper()
	var t api.Token
	p := m.call(api.PathToken, api.TokenRequest{Session: m.in.Session}, &t)
	if p == nil {
		m.in.AccessToken = t.AccessToken
	}
	return p
}

func (m *machine) whoAmI() (api.WhoAmI, *api.Problem) {
	m.w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, api.PathWhoAmI, nil)
	r.Header.Set("Authorization", "DPoP "+m.in.AccessToken)
	a := m.w.serve(m.w.public, r)
	var out api.WhoAmI
	if p := a.problem(m.w.t); p != nil {
		if p.Code == api.Unavailable && m.w.clock.justSet() {
			time.Sleep(10 * time.Millisecond)
			return m.whoAmI()
		}
		return out, p
	}
	m.w.read(a, &out)
	return out, nil
}

// changePassword proves the old one and sets the new one.
func (m *machine) changePassword(account, old, new string) (api.PasswordChanged, *api.Problem) {
	m.w.t.Helper()
	var out api.PasswordChanged
	done, p := m.signInWith(api.SignInStart{Account: account, Purpose: api.ForPassword}, old)
	if p != nil {
		return out, p
	}
	r, req, err := opaque.StartRegistration([]byte(new))
	must(m.w.t, err)
	var started api.SignUpStarted
	if p := m.call(api.PathPasswordStart, api.PasswordStart{Grant: done.Grant, Request: req}, &started); p != nil {
		return out, p
	}
	record := m.record(r, started.Response, account, new)
	p = m.call(api.PathPasswordFinish, api.PasswordFinish{
		Grant: done.Grant, Session: m.in.Session, Record: record, Stretch: wire(m.stretch),
	}, &out)
	return out, p
}

// explain asks about a refusal by its incident: as the owner with a session,
// else by the key alone.
func (m *machine) explain(p *api.Problem, withSession bool) cause.Report {
	m.w.t.Helper()
	ask := api.Explain{Incident: p.Incident}
	if withSession {
		ask.Session = m.in.Session
	}
	var r cause.Report
	if err := m.call(api.PathExplain, ask, &r); err != nil {
		m.w.t.Fatalf("explain: %v", err)
	}
	return r
}

// asOwner is what an enrolled device with a session is told.
func (m *machine) asOwner(t testing.TB, p *api.Problem, want string) cause.Report {
	t.Helper()
	r := m.explain(refusedWith(t, p), true)
	wantCauses(t, r, cause.Owner, want)
	return r
}
