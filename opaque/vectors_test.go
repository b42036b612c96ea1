package opaque

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// The vectors of RFC 9807, Appendix C, for ristretto255-SHA512.
func vectors(t *testing.T) []map[string][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/rfc9807.json")
	if err != nil {
		t.Fatal(err)
	}
	var raw []map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	var out []map[string][]byte
	for _, r := range raw {
		v := map[string][]byte{}
		for k, x := range r {
			if s, ok := x.(string); ok {
				d, err := hex.DecodeString(s)
				if err != nil {
					t.Fatal(err)
				}
				v[k] = d
			} else if x == true {
				v[k] = []byte{1}
			}
		}
		out = append(out, v)
	}
	return out
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if len(want) == 0 || !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", what, got, want)
	}
}

func none(b []byte) ([]byte, error) { return b, nil }

func TestVectors(t *testing.T) {
	for i, v := range vectors(t) {
		id := identities{context: v["context"], client: v["client_identity"], server: v["server_identity"]}
		s := &Server{seed: v["oprf_seed"], private: numberOf(v["server_private_key"]), public: v["server_public_key"]}
		if v["fake"] != nil {
			record := concat(v["client_public_key"], v["masking_key"], make([]byte, envelopeSize))
			ke2, _, err := s.login(record, v["KE1"], v["credential_identifier"], id, v["masking_nonce"], v["server_nonce"], v["server_keyshare_seed"])
			if err != nil {
				t.Fatal(err)
			}
			same(t, "fake KE2", ke2, v["KE2"])
			continue
		}

		r := &Registration{password: v["password"], blind: numberOf(v["blind_registration"]), nonce: v["envelope_nonce"], id: id}
		request, err := blindElement(r.password, r.blind)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "registration request", request, v["registration_request"])
		response, err := s.Register(request, v["credential_identifier"])
		if err != nil {
			t.Fatal(err)
		}
		same(t, "registration response", response, v["registration_response"])
		record, export, err := r.finish(response, none)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "registration upload", record, v["registration_upload"])
		same(t, "export key", export, v["export_key"])

		l, ke1, err := startLogin(v["password"], numberOf(v["blind_login"]), v["client_nonce"], v["client_keyshare_seed"], id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "KE1", ke1, v["KE1"])
		ke2, expected, err := s.login(record, ke1, v["credential_identifier"], id, v["masking_nonce"], v["server_nonce"], v["server_keyshare_seed"])
		if err != nil {
			t.Fatal(err)
		}
		same(t, "KE2", ke2, v["KE2"])
		rp, err := l.stretched(ke2, none)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "randomized password", rp, v["randomized_password"])
		ke3, session, export, err := l.FinishWith(ke2, rp)
		if err != nil {
			t.Fatalf("vector %d: %v", i, err)
		}
		same(t, "KE3", ke3, v["KE3"])
		same(t, "session key", session, v["session_key"])
		same(t, "export key of login", export, v["export_key"])
		same(t, "session key of server", expected.SessionKey[:], v["session_key"])
		if !expected.Verify(ke3) {
			t.Error("the server does not verify KE3")
		}
	}
}
