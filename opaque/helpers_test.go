package opaque

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// testServer has keys that are the same each time.
func testServer(tb testing.TB) *Server {
	tb.Helper()
	s, err := NewServer([64]byte{1}, [64]byte{2})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func publicOf(private *number) []byte { return multBase(private).bytes() }

// numberOf is the number of 32 bytes that are less than the group's order.
func numberOf(b []byte) *number { return uniformNumber(concat(b, make([]byte, 32))) }

// enrol makes a record without stretching, which is of no matter to a server.
func enrol(tb testing.TB, s *Server, credentialID, password []byte) []byte {
	tb.Helper()
	r, request, err := StartRegistration(password)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := s.Register(request, credentialID)
	if err != nil {
		tb.Fatal(err)
	}
	record, _, err := r.finish(response, none)
	if err != nil {
		tb.Fatal(err)
	}
	return record
}

// begin is a client's first message.
func begin(tb testing.TB, password []byte) (*Login, []byte) {
	tb.Helper()
	l, ke1, err := StartLogin(password)
	if err != nil {
		tb.Fatal(err)
	}
	return l, ke1
}

// finishQuickly is Login.Finish without stretching.
func finishQuickly(l *Login, ke2 []byte) (ke3, sessionKey []byte, err error) {
	rp, err := l.stretched(ke2, none)
	if err != nil {
		return nil, nil, err
	}
	ke3, sessionKey, _, err = l.FinishWith(ke2, rp)
	return ke3, sessionKey, err
}

// run is the run of the first vector of RFC 9807, with its keys.
type run struct {
	server       *Server
	registration *Registration
	login        *Login
	id           []byte
	expected     Expected

	request, response, record, ke1, ke2, ke3 []byte
}

func vectorRun(tb testing.TB) run {
	tb.Helper()
	b, err := os.ReadFile("testdata/rfc9807.json")
	if err != nil {
		tb.Fatal(err)
	}
	var all []map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		tb.Fatal(err)
	}
	v := func(name string) []byte {
		text, _ := all[0][name].(string)
		d, err := hex.DecodeString(text)
		if err != nil || len(d) == 0 {
			tb.Fatalf("vector without %s", name)
		}
		return d
	}
	id := identities{context: v("context")}
	r := run{
		server:       newServer(v("oprf_seed"), numberOf(v("server_private_key")), v("server_public_key")),
		registration: &Registration{password: v("password"), blind: numberOf(v("blind_registration")), nonce: v("envelope_nonce"), id: id},
		id:           v("credential_identifier"),
		request:      v("registration_request"), response: v("registration_response"), record: v("registration_upload"),
		ke1: v("KE1"), ke2: v("KE2"), ke3: v("KE3"),
	}
	r.login, _, err = startLogin(v("password"), numberOf(v("blind_login")), v("client_nonce"), v("client_keyshare_seed"), id)
	if err != nil {
		tb.Fatal(err)
	}
	_, r.expected, err = r.server.login(r.record, r.ke1, r.id, id, v("masking_nonce"), v("server_nonce"), v("server_keyshare_seed"))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
