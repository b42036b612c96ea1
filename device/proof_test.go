package device

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var (
	body    = []byte(`{"account":"jane@example.org"}`)
	request = Request{
		Method: "POST", URL: "https://id.example.org/v1/sign-in/start", Nonce: "a nonce", Body: body,
		Time: time.Unix(1772366400, 0),
	}
	wanted = Expectation{Method: request.Method, URL: request.URL, Body: body}
)

func newTestKey(t testing.TB) Key {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t testing.TB, k Key, r Request) string {
	t.Helper()
	p, err := k.Sign(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// verified is Verify, after it has seen that a Verifier says the same: one that
// does not know the key, and one that does.
func verified(t testing.TB, proof string, want Expectation) (Seen, error) {
	t.Helper()
	seen, err := Verify(proof, want)
	v := NewVerifier()
	for _, state := range []string{"new", "that has seen the key"} {
		if also, alsoErr := v.Verify(proof, want); also != seen || !errors.Is(alsoErr, err) {
			t.Errorf("Verify says %+v, %v; a Verifier %s %+v, %v", seen, err, state, also, alsoErr)
		}
	}
	return seen, err
}

func TestProof(t *testing.T) {
	k := newTestKey(t)
	p := sign(t, k, request)
	seen, err := verified(t, p, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if seen.Thumbprint != k.Thumbprint() || !seen.Time.Equal(request.Time) || seen.Nonce != request.Nonce || seen.ID == [16]byte{} {
		t.Errorf("%+v", seen)
	}
	if again, err := verified(t, p, wanted); err != nil || again.ID != seen.ID {
		t.Errorf("the same proof is named %x and %x, %v", seen.ID, again.ID, err)
	}
	if next, err := verified(t, sign(t, k, request), wanted); err != nil || next.ID == seen.ID {
		t.Errorf("two proofs of one message have one name, %v", err)
	}

	empty := Request{Method: "GET", URL: "https://id.example.org/v1/whoami", Time: request.Time}
	if _, err := verified(t, sign(t, k, empty), Expectation{Method: "GET", URL: empty.URL}); err != nil {
		t.Errorf("without a body and a nonce: %v", err)
	}
}

func TestProofIsForOneMessage(t *testing.T) {
	p := sign(t, newTestKey(t), request)
	for name, want := range map[string]Expectation{
		"method":       {Method: "GET", URL: request.URL, Body: body},
		"method case":  {Method: "post", URL: request.URL, Body: body},
		"scheme":       {Method: "POST", URL: "http://id.example.org/v1/sign-in/start", Body: body},
		"host":         {Method: "POST", URL: "https://id.example.com/v1/sign-in/start", Body: body},
		"path":         {Method: "POST", URL: "https://id.example.org/v1/sign-in/finish", Body: body},
		"slash":        {Method: "POST", URL: request.URL + "/", Body: body},
		"body":         {Method: "POST", URL: request.URL, Body: []byte(`{"account":"jnae@example.org"}`)},
		"body's end":   {Method: "POST", URL: request.URL, Body: append([]byte{}, append(body, '\n')...)},
		"without body": {Method: "POST", URL: request.URL, Body: nil},
	} {
		if _, err := verified(t, p, want); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A service holds a proof against the token beside it (RFC 9449 §7), and
// reads the body later.
func TestProofForAService(t *testing.T) {
	k := newTestKey(t)
	r := request
	r.Token, r.Nonce = "a.b.c", ""
	p := sign(t, k, r)
	want := wanted
	want.Token = r.Token
	if seen, err := verified(t, p, want); err != nil || !HashOf(body, seen.Body) || HashOf(body[1:], seen.Body) {
		t.Fatalf("%+v, %v", seen, err)
	}
	without := sign(t, k, request)
	for name, c := range map[string]struct {
		proof, token string
	}{
		"another token": {p, "a.b.d"}, "a part of it": {p, "a.b"}, "a proof without one": {without, r.Token},
	} {
		want := want
		want.Token = c.token
		if _, err := verified(t, c.proof, want); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want.Body, want.LaterBody = nil, true
	if seen, err := verified(t, p, want); err != nil || !HashOf(body, seen.Body) {
		t.Errorf("with the body for later: %+v, %v", seen, err)
	}
	bare := forged(t, map[string]any{"alg": "ES256", "typ": proofType, "jwk": jwk(t, &k.private.PublicKey)},
		map[string]any{"jti": "one", "htm": request.Method, "htu": request.URL, "iat": 1772366400, "ath": bodyHash([]byte(r.Token))}, es256(t, k.private))
	if seen, err := verified(t, bare, want); err != nil || seen.Body != "" {
		t.Errorf("of RFC 9449 alone: %+v, %v", seen, err)
	}
	want.LaterBody = false
	if _, err := verified(t, bare, want); !errors.Is(err, ErrProof) {
		t.Errorf("without the body's hash, where it is asked for: %v", err)
	}
}

// forged makes a proof by hand: header and payload as given, the signature by
// any function of the signing input.
func forged(t testing.TB, header, payload map[string]any, sign func(input []byte) []byte) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	input := part(header) + "." + part(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func es256(t testing.TB, k *ecdsa.PrivateKey) func([]byte) []byte {
	return func(input []byte) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, k, sum(input))
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

// jwk is a key as a header has it.
func jwk(t testing.TB, key any) map[string]any {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestForgedProofs(t *testing.T) {
	k := newTestKey(t)
	other := newTestKey(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := es256(t, k.private)
	header := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(t, &k.private.PublicKey)}
	payload := map[string]any{"jti": "one", "htm": request.Method, "htu": request.URL, "iat": 1772366400, "bh": bodyHash(body)}
	with := func(m map[string]any, name string, v any) map[string]any {
		m = maps.Clone(m)
		m[name] = v
		if v == nil {
			delete(m, name)
		}
		return m
	}
	if _, err := verified(t, forged(t, header, payload, good), wanted); err != nil {
		t.Fatalf("made by hand and right: %v", err)
	}

	mac := func(secret []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, nil)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := s.Sign(input)
			if err != nil {
				t.Fatal(err)
			}
			return jws.Signatures[0].Signature
		}
	}
	es384 := func(input []byte) []byte {
		h := crypto.SHA384.New()
		h.Write(input)
		r, s, err := ecdsa.Sign(rand.Reader, p384, h.Sum(nil))
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...)
	}
	nothing := func([]byte) []byte { return nil }
	raw, err := k.private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	zero := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	symmetric := map[string]any{"kty": "oct", "k": base64.RawURLEncoding.EncodeToString(raw)}

	for name, p := range map[string]string{
		"alg none, no signature":   forged(t, with(header, "alg", "none"), payload, nothing),
		"alg none, a signature":    forged(t, with(header, "alg", "none"), payload, good),
		"alg None":                 forged(t, with(header, "alg", "None"), payload, nothing),
		"no alg":                   forged(t, with(header, "alg", nil), payload, good),
		"HS256 with the public":    forged(t, with(header, "alg", "HS256"), payload, mac(raw)),
		"HS256 with an oct jwk":    forged(t, with(with(header, "alg", "HS256"), "jwk", symmetric), payload, mac(raw)),
		"ES256 with an oct jwk":    forged(t, with(header, "jwk", symmetric), payload, good),
		"ES384":                    forged(t, with(with(header, "alg", "ES384"), "jwk", jwk(t, &p384.PublicKey)), payload, es384),
		"ES256 named, P-384 key":   forged(t, with(header, "jwk", jwk(t, &p384.PublicKey)), payload, es384),
		"private key in jwk":       forged(t, with(header, "jwk", jwk(t, k.private)), payload, good),
		"an empty d in jwk":        forged(t, with(header, "jwk", with(jwk(t, &k.private.PublicKey), "d", "")), payload, good),
		"a point off the curve":    forged(t, with(header, "jwk", with(jwk(t, &k.private.PublicKey), "y", jwk(t, &other.private.PublicKey)["y"])), payload, good),
		"the point zero":           forged(t, with(header, "jwk", with(with(jwk(t, &k.private.PublicKey), "x", zero), "y", zero)), payload, func([]byte) []byte { return make([]byte, 64) }),
		"a short coordinate":       forged(t, with(header, "jwk", with(jwk(t, &k.private.PublicKey), "x", zero[:42])), payload, good),
		"no coordinate":            forged(t, with(header, "jwk", with(jwk(t, &k.private.PublicKey), "y", nil)), payload, good),
		"kty RSA":                  forged(t, with(header, "jwk", with(jwk(t, &k.private.PublicKey), "kty", "RSA")), payload, good),
		"crv P-384":                forged(t, with(header, "jwk", with(jwk(t, &k.private.PublicKey), "crv", "P-384")), payload, good),
		"another's key in jwk":     forged(t, with(header, "jwk", jwk(t, &other.private.PublicKey)), payload, good),
		"no jwk":                   forged(t, with(header, "jwk", nil), payload, good),
		"typ JWT":                  forged(t, with(header, "typ", "JWT"), payload, good),
		"typ of an access token":   forged(t, with(header, "typ", "at+jwt"), payload, good),
		"no typ":                   forged(t, with(header, "typ", nil), payload, good),
		"typ of a number":          forged(t, with(header, "typ", 5), payload, good),
		"unknown critical header":  forged(t, with(with(header, "crit", []string{"x"}), "x", 1), payload, good),
		"no jti":                   forged(t, header, with(payload, "jti", nil), good),
		"no method":                forged(t, header, with(payload, "htm", nil), good),
		"no address":               forged(t, header, with(payload, "htu", nil), good),
		"no body hash":             forged(t, header, with(payload, "bh", nil), good),
		"time in words":            forged(t, header, with(payload, "iat", "now"), good),
		"no signature":             forged(t, header, payload, nothing),
		"signature of zeros":       forged(t, header, payload, func([]byte) []byte { return make([]byte, 64) }),
		"short signature":          forged(t, header, payload, func(b []byte) []byte { return good(b)[:63] }),
		"long signature":           forged(t, header, payload, func(b []byte) []byte { return append(good(b), 0) }),
		"empty":                    "",
		"dots":                     "..",
		"not base64":               "?.?.?",
		"longer than a proof is":   forged(t, with(header, "pad", strings.Repeat("a", maxProof)), payload, good),
		"payload is no object":     forged(t, header, nil, good),
		"followed by something":    forged(t, header, payload, good) + ".x",
		"a second proof beside it": forged(t, header, payload, good) + "," + forged(t, header, payload, good),
	} {
		seen, err := verified(t, p, wanted)
		if !errors.Is(err, ErrProof) || err.Error() != ErrProof.Error() {
			t.Errorf("%s: %v", name, err)
		}
		if seen != (Seen{}) {
			t.Errorf("%s: seen %+v", name, seen)
		}
	}
}

// Oversize is refused by its size, not by what is in it.
func TestLongProof(t *testing.T) {
	k := newTestKey(t)
	for _, c := range []struct {
		path int
		ok   bool
	}{{2000, true}, {4000, false}} {
		r := request
		r.URL += strings.Repeat("a", c.path)
		_, err := verified(t, sign(t, k, r), Expectation{Method: r.Method, URL: r.URL, Body: body})
		if (err == nil) != c.ok {
			t.Errorf("a path of %d more: %v", c.path, err)
		}
	}
}

// Any byte of a proof that changes what it says makes it none.
func TestTamperedProof(t *testing.T) {
	p := sign(t, newTestKey(t), request)
	seen, err := verified(t, p, wanted)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p {
		b := []byte(p)
		b[i] ^= 1
		if got, err := verified(t, string(b), wanted); err == nil && got != seen {
			t.Fatalf("byte %d changed: accepted as %+v", i, got)
		}
	}
	for i := range p {
		if _, err := verified(t, p[:i], wanted); err == nil && i < len(p)-1 {
			t.Fatalf("cut to %d of %d: accepted", i, len(p))
		}
	}
}

// Whoever sees a proof can give its signature the second form that ECDSA has.
// It is the same proof still.
func TestSecondFormIsTheSameProof(t *testing.T) {
	p := sign(t, newTestKey(t), request)
	seen, err := verified(t, p, wanted)
	if err != nil {
		t.Fatal(err)
	}
	i := strings.LastIndex(p, ".") + 1
	b, err := base64.RawURLEncoding.DecodeString(p[i:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(b[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(b[32:])
	second := p[:i] + base64.RawURLEncoding.EncodeToString(b)
	if second == p {
		t.Fatal("the forms are the same")
	}
	if again, err := verified(t, second, wanted); err == nil && again.ID != seen.ID {
		t.Error("one proof is good twice")
	}
}

func FuzzVerify(f *testing.F) {
	// Workers are other processes: what one accepts all must.
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	k, err := newKey(private)
	if err != nil {
		f.Fatal(err)
	}
	good := sign(f, k, request)
	warm := NewVerifier()
	if _, err := warm.Verify(good, wanted); err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(forged(f, map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(f, k.private)}, map[string]any{"jti": "a"}, es256(f, k.private)))
	f.Fuzz(func(t *testing.T, p string) {
		seen, err := verified(t, p, wanted)
		if known, knownErr := warm.Verify(p, wanted); known != seen || !errors.Is(knownErr, err) {
			t.Fatalf("%+v, %v, and of a key that is known %+v, %v", seen, err, known, knownErr)
		}
		switch {
		case err != nil && (!errors.Is(err, ErrProof) || seen != Seen{}):
			t.Fatalf("%+v, %v", seen, err)
		case err == nil && seen.Thumbprint != k.Thumbprint():
			t.Fatal("accepted a proof by a key that made none")
		}
	})
}

// What a Verifier remembers is the key of a header, never that a proof by it
// was good; and it remembers a bounded number.
func TestVerifierRemembersKeys(t *testing.T) {
	k, other := newTestKey(t), newTestKey(t)
	v := NewVerifier()
	good := sign(t, k, request)
	if _, err := v.Verify(good, wanted); err != nil {
		t.Fatal(err)
	}
	next := request
	next.Nonce = "another"
	header, rest, _ := strings.Cut(good, ".")
	_, othersRest, _ := strings.Cut(sign(t, other, request), ".")
	payload, _, _ := strings.Cut(rest, ".")
	_, signature, _ := strings.Cut(othersRest, ".")
	for name, p := range map[string]string{
		"another's payload and signature": header + "." + othersRest,
		"another's signature":             header + "." + payload + "." + signature,
		"no signature":                    header + "." + payload + ".",
		"no payload":                      header + "..",
		"the header alone":                header,
	} {
		if _, err := v.Verify(p, wanted); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if seen, err := v.Verify(sign(t, k, next), wanted); err != nil || seen.Nonce != "another" || seen.Thumbprint != k.Thumbprint() {
		t.Errorf("the next proof: %+v, %v", seen, err)
	}
	if len(v.keys[0]) != 1 {
		t.Errorf("%d headers are remembered after one key", len(v.keys[0]))
	}

	for i := range generation {
		v.keys[0][fmt.Sprint(i)] = public{}
	}
	if _, err := v.Verify(sign(t, other, request), wanted); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(good, wanted); err != nil {
		t.Errorf("after %d other keys: %v", generation, err)
	}
	if n := len(v.keys[0]); n > 2 {
		t.Errorf("%d headers in a new generation", n)
	}
	long := forged(t, map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(t, &other.private.PublicKey), "pad": strings.Repeat("a", 1000)},
		map[string]any{"jti": "one", "htm": request.Method, "htu": request.URL, "iat": 1, "bh": bodyHash(body)}, es256(t, other.private))
	before := len(v.keys[0])
	if _, err := v.Verify(long, wanted); err != nil || len(v.keys[0]) != before {
		t.Errorf("a header of 1000 characters: %v, %d remembered", err, len(v.keys[0]))
	}
}

func TestVerifierAtOnce(t *testing.T) {
	v := NewVerifier()
	var all sync.WaitGroup
	for range 8 {
		k := newTestKey(t)
		p := sign(t, k, request)
		all.Go(func() {
			for i := range 300 {
				h := forged(t, map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk(t, &k.private.PublicKey), "pad": i}, nil, func([]byte) []byte { return nil })
				header, _, _ := strings.Cut(h, ".")
				if by, err := v.read(header); err != nil || by.thumb != k.Thumbprint() {
					t.Errorf("%x, %v", by.thumb, err)
				}
			}
		})
		for range 4 {
			all.Go(func() {
				for range 20 {
					if seen, err := v.Verify(p, wanted); err != nil || seen.Thumbprint != k.Thumbprint() {
						t.Errorf("%+v, %v", seen, err)
					}
				}
			})
		}
	}
	all.Wait()
}

func BenchmarkVerify(b *testing.B) {
	p := sign(b, newTestKey(b), request)
	for b.Loop() {
		if _, err := Verify(p, wanted); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifier(b *testing.B) {
	v, p := NewVerifier(), sign(b, newTestKey(b), request)
	for b.Loop() {
		if _, err := v.Verify(p, wanted); err != nil {
			b.Fatal(err)
		}
	}
}
