package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"readmit.dev/readmit/api"
)

// authenticator is a browser with an authenticator of its own, as the W3C's
// standard has them: ES256, credentials that it finds by itself. What a test
// sets of it, it does wrong.
type authenticator struct {
	t          testing.TB
	origin     string
	party      string // RP ID
	unverified bool   // does not ask its owner
	mistaken   bool   // signs for the other purpose: to add for to sign in
	counts     bool
	kept       []*resident
}

type resident struct {
	id    []byte
	user  []byte
	key   *ecdsa.PrivateKey
	count uint32
}

func newAuthenticator(t testing.TB) *authenticator {
	return &authenticator{t: t, origin: publicURL, party: "id.example.org", counts: true}
}

// clone is a copy of all it keeps.
func (a *authenticator) clone() *authenticator {
	c := *a
	c.kept = nil
	for _, r := range a.kept {
		n := *r
		c.kept = append(c.kept, &n)
	}
	return &c
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *authenticator) clientData(kind, challenge string) []byte {
	if a.mistaken {
		kind = map[string]string{"webauthn.get": "webauthn.create", "webauthn.create": "webauthn.get"}[kind]
	}
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false})
	must(a.t, err)
	return b
}

func (a *authenticator) data(r *resident, attested []byte) []byte {
	id := sha256.Sum256([]byte(a.party))
	flags := byte(0x01)
	if !a.unverified {
		flags |= 0x04
	}
	if attested != nil {
		flags |= 0x40
	}
	if a.counts {
		r.count++
	}
	out := append(id[:], flags)
	return append(binary.BigEndian.AppendUint32(out, r.count), attested...)
}

// create answers options to make a credential.
func (a *authenticator) create(options json.RawMessage) json.RawMessage {
	a.t.Helper()
	var o struct {
		Challenge string
		User      struct{ ID api.Bytes }
		Rp        struct{ ID string }
	}
	must(a.t, json.Unmarshal(options, &o))
	if o.Rp.ID != "id.example.org" {
		a.t.Errorf("the party is %q", o.Rp.ID)
	}
	r := &resident{id: make([]byte, 32), user: o.User.ID}
	rand.Read(r.id)
	var err error
	r.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	a.kept = append(a.kept, r)
	return a.attest(r, o.Challenge)
}

// attest makes the answer for a credential that is there.
func (a *authenticator) attest(r *resident, challenge string) json.RawMessage {
	a.t.Helper()
	point, err := r.key.PublicKey.Bytes()
	must(a.t, err)
	key, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
	})
	must(a.t, err)
	attested := binary.BigEndian.AppendUint16(make([]byte, 16), uint16(len(r.id)))
	attested = append(append(attested, r.id...), key...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": a.data(r, attested)})
	must(a.t, err)
	return a.answer(r, map[string]any{"clientDataJSON": b64(a.clientData("webauthn.create", challenge)), "attestationObject": b64(object), "transports": []string{"internal"}})
}

func (a *authenticator) answer(r *resident, response map[string]any) json.RawMessage {
	out, err := json.Marshal(map[string]any{
		"id": b64(r.id), "rawId": b64(r.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}, "response": response,
	})
	must(a.t, err)
	return out
}

// get answers options to sign, with the credential made last.
func (a *authenticator) get(options json.RawMessage) json.RawMessage {
	a.t.Helper()
	return a.getWith(options, a.kept[len(a.kept)-1])
}

func (a *authenticator) getWith(options json.RawMessage, r *resident) json.RawMessage {
	a.t.Helper()
	var o struct {
		Challenge        string
		RpID             string
		UserVerification string
		AllowCredentials []any
	}
	must(a.t, json.Unmarshal(options, &o))
	if o.RpID != "id.example.org" || o.UserVerification != "required" || len(o.AllowCredentials) != 0 {
		a.t.Errorf("options to sign: %s", options)
	}
	client, data := a.clientData("webauthn.get", o.Challenge), a.data(r, nil)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, r.key, digest[:])
	must(a.t, err)
	return a.answer(r, map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(r.user),
	})
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
