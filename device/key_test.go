package device

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestKeyRoundTrip(t *testing.T) {
	k := newTestKey(t)
	b, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(b)
	if err != nil {
		t.Fatal(err)
	}
	if again.Thumbprint() != k.Thumbprint() || !again.private.Equal(k.private) || again.IsZero() {
		t.Error("another key came back")
	}
	if other := newTestKey(t); other.Thumbprint() == k.Thumbprint() {
		t.Error("two keys have one name")
	}
}

// RFC 7638 §3.2: the required members in the order of their names.
func TestThumbprint(t *testing.T) {
	k := newTestKey(t)
	b, err := k.private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	want := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + text(b[1:33]) + `","y":"` + text(b[33:]) + `"}`))
	if k.Thumbprint() != want {
		t.Error("not the thumbprint of RFC 7638")
	}
}

func TestZeroKey(t *testing.T) {
	var k Key
	if !k.IsZero() {
		t.Error("the zero key is one")
	}
	if _, err := k.Sign(request); !errors.Is(err, ErrKey) {
		t.Errorf("signs: %v", err)
	}
	if _, err := k.MarshalPEM(); !errors.Is(err, ErrKey) {
		t.Errorf("is written: %v", err)
	}
}

func TestKeyPrintsAsNothing(t *testing.T) {
	k := newTestKey(t)
	d, err := k.private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(struct{ Key Key }{k})
	if err != nil {
		t.Fatal(err)
	}
	holder := struct {
		Key    Key
		hidden Key
	}{k, k}
	for _, s := range []string{
		fmt.Sprintf("%v %+v %#v %s %q %x", k, k, k, k, k, k),
		fmt.Sprintf("%v %+v %#v", holder, holder, holder),
		fmt.Sprintf("%v %+v %#v", &holder, &holder, &holder),
		string(asJSON),
	} {
		for _, secret := range []string{
			string(d), fmt.Sprintf("%x", d), fmt.Sprintf("%X", d), fmt.Sprint(d), k.private.D.String(), base64.RawURLEncoding.EncodeToString(d),
		} {
			if strings.Contains(s, secret) {
				t.Error("the key is printed with its holder")
			}
		}
	}
}

// otherKeys are texts that hold no device key.
func otherKeys(t testing.TB) map[string][]byte {
	t.Helper()
	good, err := newTestKey(t).MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(k any) []byte {
		b, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: b})
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&p256.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"nothing":            nil,
		"words":              []byte("no key"),
		"two keys":           append(bytes.Clone(good), good...),
		"cut":                good[:len(good)/2],
		"P-384":              pkcs8(p384),
		"Ed25519":            pkcs8(edwards),
		"SEC 1":              pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1}),
		"SEC 1 under PKCS 8": pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: sec1}),
		"public":             pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"another name":       bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("SECRET")),
	}
}

func TestParseKeyRefuses(t *testing.T) {
	for name, b := range otherKeys(t) {
		if k, err := ParseKey(b); !errors.Is(err, ErrKey) || !k.IsZero() || err.Error() != ErrKey.Error() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	good, err := newTestKey(f).MarshalPEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, b := range otherKeys(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := ParseKey(in)
		if err != nil {
			if !errors.Is(err, ErrKey) || !k.IsZero() {
				t.Fatalf("%v", err)
			}
			return
		}
		out, err := k.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKey(out); err != nil || again.Thumbprint() != k.Thumbprint() {
			t.Fatalf("written anew it is another key: %v", err)
		}
		if _, err := Verify(sign(t, k, request), wanted); err != nil {
			t.Fatalf("the key signs nothing: %v", err)
		}
	})
}
