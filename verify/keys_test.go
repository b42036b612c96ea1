package verify

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/verify/verifytest"
)

// smallKey is an RSA key that is too small to be believed. A prime for a modulus
// is enough of one: it is refused before it verifies anything.
func smallKey(t testing.TB) *rsa.PublicKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	small := k.PublicKey
	small.N = k.Primes[0]
	return &small
}

func TestKeysThatAreNotOurs(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := jose.JSONWebKey{Key: &p256.PublicKey, KeyID: "good", Algorithm: "ES256", Use: "sig"}
	for name, k := range map[string]jose.JSONWebKey{
		"P-384":               {Key: &p384.PublicKey, KeyID: "a", Algorithm: "ES384", Use: "sig"},
		"P-384, said ES256":   {Key: &p384.PublicKey, KeyID: "a", Algorithm: "ES256", Use: "sig"},
		"P-256, said ES384":   {Key: &p256.PublicKey, KeyID: "a", Algorithm: "ES384", Use: "sig"},
		"Ed25519":             {Key: edwards, KeyID: "a", Use: "sig"},
		"a secret":            {Key: []byte("sixteen octets.."), KeyID: "a", Algorithm: "HS256", Use: "sig"},
		"a private key":       {Key: p256, KeyID: "a", Algorithm: "ES256", Use: "sig"},
		"for encryption":      {Key: &p256.PublicKey, KeyID: "a", Algorithm: "ES256", Use: "enc"},
		"without a name":      {Key: &p256.PublicKey, Algorithm: "ES256", Use: "sig"},
		"RSA of 1024 bits":    {Key: smallKey(t), KeyID: "a", Algorithm: "RS256", Use: "sig"},
		"RSA for another use": {Key: &signalKeyOf(t).PublicKey, KeyID: "a", Algorithm: "RS256", Use: "enc"},
		"RSA for PS256":       {Key: &signalKeyOf(t).PublicKey, KeyID: "a", Algorithm: "PS256", Use: "sig"},
	} {
		b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k, good}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseKeys(b)
		if err != nil || len(got.tokens) != 1 || got.tokens["good"] == nil || len(got.signals) != 0 {
			t.Errorf("%s: %d keys for tokens, %d for signals, %v", name, len(got.tokens), len(got.signals), err)
		}
	}
	for name, text := range map[string]string{"no JSON": "<html>", "no set": "[]", "empty": `{"keys":[]}`, "nothing of ours": `{"keys":[5,{"kty":"oct"}]}`} {
		if _, err := parseKeys([]byte(text)); err == nil {
			t.Errorf("%s is a set of keys", name)
		}
	}
}

func signalKeyOf(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// An empty push token lets nobody in who sends none.
func TestEmptyPushToken(t *testing.T) {
	s := verifytest.New(issuer, service)
	c := config(s)
	c.PushToken = func() (string, error) { return "", nil }
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	_, text := s.Raise(verifytest.CredentialChange, verifytest.NewPerson(), 2)
	for _, credential := range []string{"Bearer ", "Bearer", ""} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/secevent+jwt")
		r.Header.Set("Authorization", credential)
		w := httptest.NewRecorder()
		v.Push().ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%q: %d", credential, w.Code)
		}
	}
}
