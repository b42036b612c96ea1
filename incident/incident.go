// Package incident keeps why an attempt failed: sealed, in what the refusal
// carries, and in the account's ledger.
//
// An incident can be opened by this server alone, and only for 30 days; what
// of it is then told to whom is package explain's to decide. The ledger is
// bounded per account, so that a flood of bad sign-ins grows nothing.
package incident

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/store"
)

// OpenFor is how long an incident can be explained.
const OpenFor = 30 * 24 * time.Hour

// size is what the content of an incident is padded to: above the longest
// evidence that a single attempt can gather (1,785 bytes), so that length tells no cause.
const size = 2048

var (
	// ErrUnknown: not an incident of this server.
	ErrUnknown = errors.New("this is neither a reference, such as 4K7Q-9FXM, nor an incident of this server")
	// ErrTooOld: the incident is older than OpenFor.
	ErrTooOld = errors.New("the incident is too old to be explained")
)

// Outcomes of what a ledger line tells.
const (
	Refused    = "refused"
	SignedIn   = "signed-in"
	CodeAsked  = "code-asked"
	Unfinished = "unfinished" // begun; a guess was possible
	Done       = "done"       // of a change or a look
)

// Content is what an incident and a line of the ledger hold. It has no room
// for free text: names were cleaned, addresses and versions parsed.
type Content struct {
	Account  store.ID     `json:"account"` // or the ghost's
	Attempt  store.ID     `json:"attempt"`
	At       time.Time    `json:"at"`
	What     string       `json:"what"` // sign-in, code, token, ...
	Outcome  string       `json:"outcome"`
	Facts    []cause.Fact `json:"facts,omitempty"`
	Device   string       `json:"device,omitempty"` // cleaned name
	Client   string       `json:"client,omitempty"`
	Address  string       `json:"address,omitempty"`
	Audience string       `json:"audience,omitempty"` // of a look
	About    string       `json:"about,omitempty"`    // the reference that was looked at
}

// Reference is the short name of an attempt, to be read aloud: 40 bits of its
// hash in Crockford's base 32. It identifies within an account; it opens nothing.
func Reference(attempt store.ID) string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	h := sha256.Sum256(attempt[:])
	var b [9]byte
	var bits uint64
	for _, x := range h[:5] {
		bits = bits<<8 | uint64(x)
	}
	for i, j := 8, 0; i >= 0; i-- {
		if i == 4 {
			b[i] = '-'
			continue
		}
		b[i] = alphabet[bits>>(5*j)&31]
		j++
	}
	return string(b[:])
}

// Entry makes the ledger's line of a content.
func (c Content) Entry(ring store.Ring, seq int64) store.Entry {
	detail, err := json.Marshal(c)
	if err != nil {
		panic(err) // a Content of this package's making always marshals
	}
	return store.Entry{
		Account: c.Account, Ring: ring, Seq: seq, ID: c.Attempt, Reference: Reference(c.Attempt),
		At: c.At, Open: c.Outcome == Unfinished, Detail: detail,
	}
}

// Read reads a line of the ledger.
func Read(e store.Entry) (Content, error) {
	var c Content
	err := json.Unmarshal(e.Detail, &c)
	return c, err
}

// Box seals for one server; keys.Ring is one.
type Box interface {
	Seal(label string, plain []byte, size int) ([]byte, error)
	Open(label string, sealed []byte) ([]byte, error)
}

const label = "incident"

// Seal makes the incident that a refusal carries.
func Seal(b Box, c Content) (string, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	sealed, err := b.Seal(label, plain, size)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// Open reads an incident. It returns ErrUnknown or ErrTooOld.
func Open(b Box, incident string, now time.Time) (Content, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(incident)
	if err != nil {
		return Content{}, ErrUnknown
	}
	plain, err := b.Open(label, sealed)
	if err != nil {
		return Content{}, ErrUnknown
	}
	var c Content
	if err := json.Unmarshal(bytes.TrimRight(plain, "\x00"), &c); err != nil {
		return Content{}, ErrUnknown
	}
	if now.Sub(c.At) > OpenFor {
		return Content{}, ErrTooOld
	}
	return c, nil
}
