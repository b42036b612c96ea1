// Package opaque is OPAQUE-3DH (RFC 9807), both sides, with ristretto255,
// SHA-512, HKDF-SHA-512, HMAC-SHA-512 and Argon2id. The password never leaves
// the client, and the server holds nothing from which it can be guessed
// without its own seed.
//
// Rules of this package:
//
//   - Secrets meet the group only in constant time.
//   - Decoders take exact lengths, canonical encodings and never the identity.
//   - An account that does not exist is answered from a stand-in that is the
//     same each time and costs what a real one costs (RFC 9807 §10.9).
//   - Errors tell the form of a message, never a secret or a reason.
package opaque

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// Lengths of the messages in bytes.
const (
	RequestSize  = 32  // RegistrationRequest
	ResponseSize = 64  // RegistrationResponse
	RecordSize   = 192 // RegistrationRecord
	KE1Size      = 96
	KE2Size      = 320
	KE3Size      = 64

	elementSize  = 32
	nonceSize    = 32
	hashSize     = sha512.Size
	envelopeSize = nonceSize + hashSize
)

var (
	// ErrMalformed: a message of a wrong length, or with an element that is not
	// canonical or is the identity.
	ErrMalformed = errors.New("opaque: malformed message")
	// ErrRecord: what a server kept is no record any more. The client is not to
	// be told that it said something wrong.
	ErrRecord = errors.New("opaque: damaged record")
	// ErrCredentials: the password is not the account's, or the server is not
	// the one the account was made at; the two cannot be told apart.
	ErrCredentials = errors.New("opaque: the credentials do not open")
	// ErrStretch: parameters outside of what is safe.
	ErrStretch = errors.New("opaque: stretching parameters out of range")
)

// Stretch is how a client stretches a password: Argon2id (RFC 9106).
type Stretch struct {
	Memory  uint32 // KiB
	Time    uint32
	Threads uint8
}

// DefaultStretch is what new records are made with: the second choice of RFC
// 9106 §4, for devices that have no two gigabytes to spare.
var DefaultStretch = Stretch{Memory: 64 << 10, Time: 3, Threads: 4}

// LeastStretch is the least work that is accepted.
var LeastStretch = Stretch{Memory: 19 << 10, Time: 2, Threads: 1}

// Validate refuses what a client should not run: less than 19 MiB and two
// passes would make guessing cheap, more than 1 GiB would take the device
// down. It returns ErrStretch.
func (s Stretch) Validate() error {
	if s.Memory < 19<<10 || s.Memory > 1<<20 || s.Time < 2 || s.Time > 16 || s.Threads < 1 || s.Threads > 16 {
		return fmt.Errorf("%w: %d KiB, %d passes, %d lanes", ErrStretch, s.Memory, s.Time, s.Threads)
	}
	return nil
}

func (s Stretch) apply(in []byte) ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	// The salt is fixed: the input is already unique to account and password.
	return argon2.IDKey(in, make([]byte, 16), s.Time, s.Memory, s.Threads, hashSize), nil
}

// identities are the names bound into a run. Empty ones are the public keys.
type identities struct {
	context, client, server []byte
}

func expand(key []byte, size int, info ...[]byte) []byte {
	out, err := hkdf.Expand(sha512.New, key, string(concat(info...)), size)
	if err != nil {
		panic(err) // sizes are this package's own
	}
	return out
}

func extract(in ...[]byte) []byte {
	out, err := hkdf.Extract(sha512.New, concat(in...), nil)
	if err != nil {
		panic(err)
	}
	return out
}

func mac(key []byte, data ...[]byte) []byte {
	h := hmac.New(sha512.New, key)
	for _, d := range data {
		h.Write(d)
	}
	return h.Sum(nil)
}

func hash(data ...[]byte) []byte {
	h := sha512.New()
	for _, d := range data {
		h.Write(d)
	}
	return h.Sum(nil)
}

func concat(parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	out := make([]byte, 0, n)
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// prefixed writes a two-byte length before its argument (I2OSP(len, 2)).
func prefixed(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(b)), uint16(len(b))), b...)
}
