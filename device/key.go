// Package device is a device's key, and what it signs.
//
// A device proves itself by DPoP proofs (RFC 9449): small JWTs, signed with
// ES256 and carrying the public key, over method, address, time, a nonce of
// the server and, beyond the RFC, the hash of the body (claim "bh"). Whose key
// it is, is not decided here: a proof shows only that its maker holds the key.
//
// What a device signs is fresh and good once: see Nonces.
package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// ErrKey: not a private key of the one kind that devices have (P-256).
var ErrKey = errors.New("not a device key")

// Key is a device's private key. It prints as nothing.
type Key struct {
	private *ecdsa.PrivateKey
	thumb   [32]byte
}

// GenerateKey makes a key.
func GenerateKey() (Key, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Key{}, err
	}
	return newKey(k)
}

func newKey(k *ecdsa.PrivateKey) (Key, error) {
	t, err := thumbprint(&k.PublicKey)
	return Key{k, t}, err
}

func thumbprint(k *ecdsa.PublicKey) ([32]byte, error) {
	b, err := (&jose.JSONWebKey{Key: k}).Thumbprint(cryptoSHA256)
	if err != nil {
		return [32]byte{}, ErrKey
	}
	return [32]byte(b), nil
}

const pemType = "PRIVATE KEY"

// ParseKey reads what Key.MarshalPEM wrote. It returns ErrKey.
func ParseKey(b []byte) (Key, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != pemType || len(rest) > 0 {
		return Key{}, ErrKey
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, ErrKey
	}
	k, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return Key{}, ErrKey
	}
	return newKey(k)
}

// MarshalPEM writes the key in PKCS #8, PEM.
func (k Key) MarshalPEM() ([]byte, error) {
	if k.private == nil {
		return nil, ErrKey
	}
	b, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: b}), nil
}

// Thumbprint names the key: RFC 7638 with SHA-256.
func (k Key) Thumbprint() [32]byte { return k.thumb }

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.private == nil }

// String keeps the key out of whatever prints its holder.
func (Key) String() string { return "device key" }

// GoString does so for %#v.
func (Key) GoString() string { return "device key" }

func sum(b []byte) []byte {
	h := sha256.Sum256(b)
	return h[:]
}
