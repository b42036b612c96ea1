package session_test

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/session"
)

func (w *world) token(audience string) string {
	w.t.Helper()
	a := w.passes(w.begin(w.phone), w.caller(w.phone))
	token, life, err := w.sessions.Issue(a, audience)
	if err != nil || life != session.TokenLife {
		w.t.Fatalf("%s, %v", life, err)
	}
	return token
}

// accepted reports whether a token is taken, and fails the test where a token
// that is not leaves claims or another error.
func (w *world) accepted(token string) bool {
	w.t.Helper()
	c, err := w.sessions.Check(token)
	if err != nil && (!errors.Is(err, session.ErrToken) || c != session.Claims{} || err.Error() != session.ErrToken.Error()) {
		w.t.Errorf("%+v, %v", c, err)
	}
	return err == nil
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	a := w.passes(w.begin(w.phone), w.caller(w.phone))
	for _, audience := range []string{"", issuer} {
		token, _, err := w.sessions.Issue(a, audience)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time from memory
			c, err := w.sessions.Check(token)
			if err != nil {
				t.Fatal(err)
			}
			if c.ID == "" {
				t.Error("the token has no name")
			}
			want := session.Claims{
				Issuer: issuer, Audience: issuer, Subject: hex.EncodeToString(w.jane.ID[:]), Account: w.jane.Identifier,
				Issued: w.at.Unix(), Expires: w.at.Add(5 * time.Minute).Unix(), ID: c.ID, Client: "readmit",
				Session: hex.EncodeToString(a.Session.ID[:]), Device: hex.EncodeToString(w.phone.ID[:]), Epoch: 3,
			}
			want.Confirm.Thumbprint = base64.RawURLEncoding.EncodeToString(w.phone.Thumbprint[:])
			if c != want {
				t.Errorf("%+v, want %+v", c, want)
			}
		}
	}
	one, _, _ := w.sessions.Issue(a, "")
	two, _, _ := w.sessions.Issue(a, "")
	if one == two {
		t.Error("two tokens are one")
	}
}

// Services that know nothing of Readmit check tokens with what is published.
func TestTokenForAService(t *testing.T) {
	w := newWorld(t)
	token := w.token("https://mail.example.org")
	if w.accepted(token) {
		t.Error("a token for a service is good here")
	}
	set := w.sessions.PublicKeys()
	b, err := json.Marshal(set)
	if err != nil || strings.Contains(string(b), `"d"`) {
		t.Fatalf("published: %s, %v", b, err)
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	found := set.Key(jws.Signatures[0].Header.KeyID)
	if len(found) != 1 || !found[0].IsPublic() || found[0].Algorithm != "ES256" || found[0].Use != "sig" {
		t.Fatalf("the key %q is published as %+v", jws.Signatures[0].Header.KeyID, found)
	}
	payload, err := jws.Verify(found[0])
	if err != nil {
		t.Fatal(err)
	}
	var c session.Claims
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	if c.Audience != "https://mail.example.org" || c.Account != "" || strings.Contains(string(payload), w.jane.Identifier) {
		t.Errorf("a service is told %s", payload)
	}
}

func TestTokenExpires(t *testing.T) {
	w := newWorld(t)
	seen, unseen := w.token(""), w.token("")
	w.at = w.at.Add(session.TokenLife - time.Second)
	if !w.accepted(seen) {
		t.Error("expired before its time")
	}
	w.at = w.at.Add(time.Second)
	if w.accepted(unseen) {
		t.Error("an expired token is good")
	}
	if w.accepted(seen) {
		t.Error("an expired token is good, because it was before")
	}
}

// TestTokenOfAClockAhead: it would be good for longer than what has ended since
// is remembered.
func TestTokenOfAClockAhead(t *testing.T) {
	w := newWorld(t)
	w.at = w.at.Add(time.Hour)
	seen, unseen := w.token(""), w.token("")
	if !w.accepted(seen) {
		t.Error("not good by the clock that made it")
	}
	w.at = w.at.Add(-time.Hour)
	if w.accepted(unseen) || w.accepted(seen) {
		t.Error("a token of a clock that was ahead is good")
	}
}

func TestTokenTampered(t *testing.T) {
	w := newWorld(t)
	token := w.token("")
	want, err := w.sessions.Check(token)
	if err != nil {
		t.Fatal(err)
	}
	w.restart() // so that nothing is remembered
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		if c, err := w.sessions.Check(string(b)); err == nil && c != want {
			t.Fatalf("byte %d changed: %+v", i, c)
		}
	}
	for _, bad := range []string{
		"", ".", "..", token[:len(token)-2], token + ".", token + "A", "x" + token, strings.Replace(token, ".", "..", 1),
		token[:strings.LastIndex(token, ".")+1], strings.Repeat("a", 5000), token + strings.Repeat(".", 5000),
	} {
		if w.accepted(bad) {
			t.Errorf("%d characters are a token", len(bad))
		}
	}
}

func part(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// forge signs claims by any key under any header.
func forge(t *testing.T, alg jose.SignatureAlgorithm, key any, header map[string]any, claims any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for k, v := range header {
		options.WithHeader(jose.HeaderKey(k), v)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenForged(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	claims, err := w.sessions.Check(w.token(""))
	if err != nil {
		t.Fatal(err)
	}
	own := w.keys.Signing()[0]
	header := map[string]any{"typ": "at+jwt", "kid": own.ID}
	if !w.accepted(forge(t, jose.ES256, own.Key, header, claims)) {
		t.Fatal("made by hand and right: refused")
	}
	public, err := own.Key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*session.Claims)) session.Claims { c := claims; change(&c); return c }
	for name, token := range map[string]string{
		"another server's":        other.token(""),
		"another's key, our kid":  forge(t, jose.ES256, other.keys.Signing()[0].Key, header, claims),
		"unknown kid":             forge(t, jose.ES256, own.Key, map[string]any{"typ": "at+jwt", "kid": "00000000"}, claims),
		"no kid":                  forge(t, jose.ES256, own.Key, map[string]any{"typ": "at+jwt"}, claims),
		"no typ":                  forge(t, jose.ES256, own.Key, map[string]any{"kid": own.ID}, claims),
		"typ of a proof":          forge(t, jose.ES256, own.Key, map[string]any{"typ": "dpop+jwt", "kid": own.ID}, claims),
		"typ JWT":                 forge(t, jose.ES256, own.Key, map[string]any{"typ": "JWT", "kid": own.ID}, claims),
		"HS256 by the public key": forge(t, jose.HS256, public, header, claims),
		"alg none":                part(map[string]any{"alg": "none", "typ": "at+jwt", "kid": own.ID}) + "." + part(claims) + ".",
		"another issuer":          forge(t, jose.ES256, own.Key, header, with(func(c *session.Claims) { c.Issuer = "https://id.example.com" })),
		"another audience":        forge(t, jose.ES256, own.Key, header, with(func(c *session.Claims) { c.Audience = "https://mail.example.org" })),
		"no audience":             forge(t, jose.ES256, own.Key, header, with(func(c *session.Claims) { c.Audience = "" })),
		"expired":                 forge(t, jose.ES256, own.Key, header, with(func(c *session.Claims) { c.Expires = w.at.Unix() })),
		"no end":                  forge(t, jose.ES256, own.Key, header, with(func(c *session.Claims) { c.Expires = 0 })),
		"no claims":               forge(t, jose.ES256, own.Key, header, "claims"),
	} {
		if w.accepted(token) {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTokenAcrossRotation(t *testing.T) {
	w := newWorld(t)
	w.at = w.at.Add(keys.RotateAfter - time.Second)
	before := w.token("")
	w.at = w.at.Add(time.Second)
	if err := w.keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.token("")
	if !w.accepted(before) || !w.accepted(after) {
		t.Error("a rotation has cost a token that is good")
	}
	all := w.keys.Signing()
	if kid(t, before) != all[0].ID || kid(t, after) != all[1].ID || len(w.sessions.PublicKeys().Keys) != 2 {
		t.Error("the new key does not sign, or the old one is not published")
	}

	// A token that somebody made long-lived with a stolen key dies with the key.
	claims, err := w.sessions.Check(before)
	if err != nil {
		t.Fatal(err)
	}
	claims.Expires = w.at.Add(365 * 24 * time.Hour).Unix()
	header := map[string]any{"typ": "at+jwt", "kid": all[0].ID}
	w.at = w.at.Add(keys.PublishedFor + time.Second)
	if err := w.keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.accepted(forge(t, jose.ES256, all[0].Key, header, claims)) {
		t.Error("a key that is gone still signs")
	}
	if n := len(w.sessions.PublicKeys().Keys); n != 1 {
		t.Errorf("%d keys are published", n)
	}
}

func kid(t *testing.T, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return jws.Signatures[0].Header.KeyID
}

// Checking a token touches no store, so that it works while the store does not.
func TestCheckTouchesNoStore(t *testing.T) {
	w := newWorld(t)
	token := w.token("")
	w.store.Close()
	for range 2 {
		if !w.accepted(token) {
			t.Error("refused without a store")
		}
	}
}

func TestSigningKeyIsNotPrinted(t *testing.T) {
	w := newWorld(t)
	d, err := w.keys.Signing()[0].Key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	published := fmt.Sprintf("%+v", w.sessions.PublicKeys())
	for _, k := range w.sessions.PublicKeys().Keys {
		if _, ok := k.Key.(*ecdsa.PublicKey); !ok {
			t.Errorf("published as %T", k.Key)
		}
	}
	if strings.Contains(published, hex.EncodeToString(d)) {
		t.Error("the private key is published")
	}
}
