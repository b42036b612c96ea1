package server_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/passkey/virtual"
)

// authenticator is one in software, which looks at what it is asked.
type authenticator struct {
	t testing.TB
	*virtual.Authenticator
}

func newAuthenticator(t testing.TB) *authenticator {
	return &authenticator{t, &virtual.Authenticator{Origin: publicURL}}
}

func (a *authenticator) clone() *authenticator { return &authenticator{a.t, a.Clone()} }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) create(options json.RawMessage) json.RawMessage {
	a.t.Helper()
	var o struct {
		RP                     struct{ ID string }
		Attestation            string
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
	}
	must(a.t, json.Unmarshal(options, &o))
	if o.RP.ID != "id.example.org" || o.Attestation != "none" || o.AuthenticatorSelection.ResidentKey != "required" || o.AuthenticatorSelection.UserVerification != "required" {
		a.t.Errorf("options to add: %s", options)
	}
	out, err := a.Create(options)
	must(a.t, err)
	return out
}

func (a *authenticator) attest(options json.RawMessage) json.RawMessage {
	a.t.Helper()
	out, err := a.Attest(options, a.Kept[0])
	must(a.t, err)
	return out
}

func (a *authenticator) get(options json.RawMessage) json.RawMessage {
	a.t.Helper()
	return a.getWith(options, a.Kept[len(a.Kept)-1])
}

func (a *authenticator) getWith(options json.RawMessage, k *virtual.Credential) json.RawMessage {
	a.t.Helper()
	var o struct {
		RPID             string
		UserVerification string
		AllowCredentials []any
	}
	must(a.t, json.Unmarshal(options, &o))
	if o.RPID != "id.example.org" || o.UserVerification != "required" || len(o.AllowCredentials) != 0 {
		a.t.Errorf("options to sign: %s", options)
	}
	out, err := a.GetWith(options, k)
	must(a.t, err)
	return out
}

// addStart begins to add a passkey.
func (m *machine) addStart(grant []byte) (api.PasskeyStarted, *api.Problem) {
	m.w.t.Helper()
	var out api.PasskeyStarted
	p := m.call(api.PathAddPasskeyStart, api.AddPasskeyStart{Session: m.in.Session, Grant: grant}, &out)
	return out, p
}

func (m *machine) addFinish(started api.PasskeyStarted, credential json.RawMessage, name string) (api.Passkey, *api.Problem) {
	m.w.t.Helper()
	var out api.Passkey
	p := m.call(api.PathAddPasskeyFinish, api.AddPasskeyFinish{Session: m.in.Session, State: started.State, Credential: credential, Name: name}, &out)
	return out, p
}

// addPasskey adds one, and fails the test where it cannot.
func (m *machine) addPasskey(a *authenticator, name string) api.Passkey {
	m.w.t.Helper()
	started, p := m.addStart(nil)
	if p != nil {
		m.w.t.Fatalf("begin to add a passkey: %v", p)
	}
	out, p := m.addFinish(started, a.create(started.Options), name)
	if p != nil {
		m.w.t.Fatalf("add a passkey: %v", p)
	}
	return out
}

func (m *machine) passkeys() api.Passkeys {
	m.w.t.Helper()
	var out api.Passkeys
	if p := m.call(api.PathPasskeys, m.signed(), &out); p != nil {
		m.w.t.Fatalf("passkeys: %v", p)
	}
	return out
}

func (m *machine) removePasskey(k api.Passkey) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathRemovePasskey, api.SignedID{Session: m.in.Session, ID: b64(k.ID)}, nil)
}

// enterStart begins a sign-in with a passkey alone.
func (m *machine) enterStart() (api.PasskeyStarted, *api.Problem) {
	m.w.t.Helper()
	var out api.PasskeyStarted
	p := m.call(api.PathPasskeyStart, api.PasskeyStart{DeviceName: m.name, Client: m.client()}, &out)
	return out, p
}

func (m *machine) enterFinish(started api.PasskeyStarted, credential json.RawMessage) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathPasskeyFinish, api.PasskeyFinish{State: started.State, Credential: credential}, &m.in)
}

// enter signs in with a passkey alone.
func (m *machine) enter(a *authenticator) *api.Problem {
	m.w.t.Helper()
	started, p := m.enterStart()
	if p != nil {
		return p
	}
	return m.enterFinish(started, a.get(started.Options))
}

func (m *machine) secondStart(need *api.NeedCode) (api.PasskeyStarted, *api.Problem) {
	m.w.t.Helper()
	var out api.PasskeyStarted
	p := m.call(api.PathSecondPasskeyStart, api.SecondPasskeyStart{Attempt: need.Attempt}, &out)
	return out, p
}

func (m *machine) secondFinish(need *api.NeedCode, started api.PasskeyStarted, credential json.RawMessage) *api.Problem {
	m.w.t.Helper()
	return m.call(api.PathSecondPasskeyFinish, api.SecondPasskeyFinish{Attempt: need.Attempt, State: started.State, Credential: credential}, &m.in)
}

// second gives a passkey in place of the six digits.
func (m *machine) second(need *api.NeedCode, a *authenticator) *api.Problem {
	m.w.t.Helper()
	started, p := m.secondStart(need)
	if p != nil {
		return p
	}
	return m.secondFinish(need, started, a.get(started.Options))
}
