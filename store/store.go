// Package store says what the domain needs kept, and nothing about how.
//
// The rules every adapter holds, and storetest proves:
//
//   - Update returns nil only when everything the function wrote is durable.
//   - A function given to Update sees the effects of all Updates that returned
//     before it began, and runs as if alone; it may run more than once, so it
//     has no effect but through its Tx.
//   - When the function or the commit fails, nothing of it remains.
//   - A fault of the store is ErrUnavailable, never "not found".
//
// Decisions live in the domain packages: a Tx only fetches and puts.
package store

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"readmit.dev/readmit/lockout"
)

var (
	// ErrNotFound: no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the row exists already.
	ErrConflict = errors.New("exists already")
	// ErrUnavailable: the store cannot read or write; nothing was decided.
	ErrUnavailable = errors.New("store unavailable")
	// ErrNewer: the data were written by a newer version of the schema.
	ErrNewer = errors.New("data written by a newer version")
)

// ID names an account, a device, a session or an attempt: 128 random bits,
// of which the first 48 may be a time (package signin).
type ID [16]byte

// IsZero reports whether no ID was given.
func (id ID) IsZero() bool { return id == ID{} }

// MarshalText writes the ID in hex. As an array of numbers, which JSON would
// make of it, it costs ten times as much.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (id *ID) UnmarshalText(b []byte) error { return unhex(id[:], b) }

// MarshalText writes the thumbprint in hex.
func (t Thumbprint) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, t[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (t *Thumbprint) UnmarshalText(b []byte) error { return unhex(t[:], b) }

func unhex(to, from []byte) error {
	if hex.DecodedLen(len(from)) != len(to) {
		return hex.ErrLength
	}
	_, err := hex.Decode(to, from)
	return err
}

// Key is what a subject is found by: a keyed hash of the normalised identifier.
type Key [32]byte

// Thumbprint is a device key's RFC 7638 SHA-256 thumbprint.
type Thumbprint [32]byte

// Ghosts is how many stand-in subjects there are. Identifiers without an
// account share them, so that guessing at unknown names is counted like any
// other and still needs a table of fixed size.
const Ghosts = 1024

// Subject is what an identifier leads to: an account, or the ghost that
// stands in for one.
type Subject struct {
	ID         ID
	Key        Key
	Ghost      bool
	Identifier string // normalised; empty for a ghost

	Record  []byte // OPAQUE registration record (RFC 9807 §3.3.1); empty for a ghost
	Stretch string // the Argon2id parameters the record was made with

	Epoch             int64 // raised by every change of credentials or devices
	Created           time.Time
	Disabled          time.Time // zero while enabled
	PasswordChanged   time.Time
	PasswordChangedBy ID // device

	Hot SubjectHot
}

// SubjectHot is the part of a subject that every attempt rewrites.
type SubjectHot struct {
	StrangerFailures int          // wrong passwords by strangers since the last right one
	CodeFailures     int          // wrong codes in a row, over all attempts
	Seq              [Rings]int64 // how many entries each ring of the ledger has had
}

// Lanes is how many counters there are for strangers, the devices that are not
// enrolled. Identifiers share them, whether there is such an account or not:
// a lock can be seen from outside, so it must come of the same attempts for
// both. Many lanes make sharing rare; a fixed number keeps a flood of names
// from growing anything.
const Lanes = 1 << 14

// Lane names one of them.
type Lane uint16

// Device is a key enrolled for one account. The same key enrolled for two
// accounts is two Devices that know nothing of each other.
type Device struct {
	Account    ID
	Thumbprint Thumbprint
	ID         ID
	Name       string
	System     string // "linux 6.1", as it said when it enrolled
	Enrolled   time.Time
	Removed    time.Time // zero while enrolled
	RemovedBy  ID        // device
	Hot        DeviceHot
}

// DeviceHot is the part of a device that its use rewrites.
type DeviceHot struct {
	Own          lockout.State // this device's own way in
	LastSeen     time.Time
	Skew         time.Duration // its clock minus ours when last seen
	LastCodeStep int64         // the last step whose offline code was accepted
}

// Session is what a finished sign-in leaves: the right of one device key to
// fresh access tokens.
type Session struct {
	ID       ID
	Account  ID
	Device   ID
	Created  time.Time
	LastUsed time.Time
	Ended    time.Time // zero while it lives
	EndedBy  ID        // device; zero when the operator or time ended it
	EndedWhy string    // one of the End constants
}

// Why a session ended.
const (
	EndSignedOut       = "signed-out"
	EndPasswordChanged = "password-changed"
	EndDeviceRemoved   = "device-removed"
	EndSuperseded      = "superseded" // the same device signed in again
)

// Request is an attempt of a new device whose password was proved and which
// now waits for a code.
type Request struct {
	ID         ID // the attempt's
	Account    ID
	Thumbprint Thumbprint // of the new device's key
	Name       string     // what the new device calls itself
	System     string
	Client     string
	Address    string
	Opened     time.Time
	Expires    time.Time
	WrongCodes int
	Seen       time.Time // when an enrolled device first fetched it
	SeenBy     ID
	Allowed    time.Time
	AllowedBy  ID
	Denied     time.Time
	DeniedBy   ID
	Done       time.Time // signed in, denied or out of tries
}

// Pass lets one new device of the owner try while strangers are locked out.
type Pass struct {
	Hash    [32]byte
	Account ID
	MadeBy  ID // device
	Created time.Time
	Expires time.Time
	Tries   int       // attempts begun with it
	Used    time.Time // when a sign-in with it succeeded
}

// Former is what is kept of the password before the last change, so that an
// enrolled device can be told that it is what was typed. There is at most one
// for an account; it never signs anybody in.
type Former struct {
	Account  ID
	Sealed   []byte // the OPAQUE record, sealed
	Stretch  string
	Replaced time.Time // the very moment of the change that replaced it
}

// Invitation allows one sign-up for one identifier.
type Invitation struct {
	Hash       [32]byte
	Identifier string
	Created    time.Time
	Expires    time.Time
	Used       time.Time
}

// Ring tells apart what shares a ledger, so that a flood of one kind cannot
// push out the others. Each account keeps RingSize entries of each.
type Ring int

// The rings of an account's ledger.
const (
	RingStrangers Ring = iota // attempts by keys that are not enrolled
	RingDevices               // attempts by enrolled keys, or with a pass
	RingChanges               // what was changed in the account
	RingLooks                 // who looked at an explanation
	Rings
)

// RingSize is how many entries a ring keeps; the oldest gives way.
// 64 is a page or two to read; four rings of 64 are at most some 100 KB an account.
const RingSize = 64

// Entry is one line of an account's ledger.
type Entry struct {
	Account   ID
	Ring      Ring
	Seq       int64 // counts up from 1 in its ring
	ID        ID    // the attempt's, for attempts
	Reference string
	At        time.Time
	Open      bool   // an attempt that was begun and is neither finished nor refused
	Detail    []byte // the incident's content, as JSON; never a secret
}

// SealedKey is one of the server's own keys, encrypted under the master key.
type SealedKey struct {
	ID      string
	Purpose string
	Created time.Time
	Retired time.Time // zero while it is the one to use
	Sealed  []byte
}

// Tx is one transaction.
type Tx interface {
	// Find returns the account with this key, or, where there is none, the
	// ghost with the key stand. It does the same work in both cases.
	Find(key, stand Key) (Subject, error)
	Subject(id ID) (Subject, error)
	Accounts() ([]Subject, error) // without ghosts, by identifier
	AddSubject(Subject) error     // ErrConflict when the key is taken
	SaveSubject(Subject) error    // all but Hot, by ID
	SaveSubjectHot(ID, SubjectHot) error

	// Strangers returns a lane's counter; one never saved is zero.
	Strangers(Lane) (lockout.State, error)
	SaveStrangers(Lane, lockout.State) error

	// Device finds an enrolled or removed device by its key; ErrNotFound when
	// the key was never enrolled for this account.
	Device(account ID, key Thumbprint) (Device, error)
	Devices(account ID) ([]Device, error) // removed ones too, oldest first
	AddDevice(Device) error               // replaces a removed device with the same key
	SaveDevice(Device) error              // all but Hot, by account and ID
	SaveDeviceHot(account, device ID, hot DeviceHot) error

	Session(ID) (Session, error)
	Sessions(account ID) ([]Session, error) // newest first
	AddSession(Session) error
	// EndSessions ends the living sessions of an account at the time, except
	// one; of one device only when device is not zero. It tells how many.
	EndSessions(account, device, except ID, at time.Time, by ID, why string) (int, error)
	// Supersede ends the living sessions of a device but one, as superseded, and
	// counts none: see EndSessions.
	Supersede(account, device, except ID, at time.Time) error
	TouchSession(id ID, used time.Time) error
	// Trim deletes sessions that ended before, requests and passes and
	// invitations that expired before, former passwords replaced before, and
	// signals made before with their receipts: at most so many of them, the
	// oldest first, and tells how many. Who wants all gone calls it, a
	// transaction each, until it is none.
	Trim(before time.Time, most int) (int, error)

	Append(Entry) error // puts the entry at its Seq, over the one RingSize before it
	Entry(account ID, ring Ring, seq int64) (Entry, error)
	// CloseEntry replaces Detail of an open entry and closes it; ErrNotFound
	// when it is not there with that ID, or no longer open. Who closes an
	// attempt first has finished it; nobody can again.
	CloseEntry(Entry) error
	Ledger(account ID) ([]Entry, error)              // all rings, newest first
	FindReference(reference string) ([]Entry, error) // over all accounts, for the operator

	Request(ID) (Request, error)
	Requests(account ID) ([]Request, error) // newest first
	AddRequest(Request) error
	SaveRequest(Request) error
	DropRequest(ID) error

	Pass(hash [32]byte) (Pass, error)
	AddPass(Pass) error
	SavePass(Pass) error
	DropPasses(account ID) error

	Former(account ID) (Former, error)
	SaveFormer(Former) error // in the place of an older one

	Invitation(hash [32]byte) (Invitation, error)
	AddInvitation(Invitation) error
	SaveInvitation(Invitation) error

	People
	Signals

	Policy() ([]byte, error) // JSON; ErrNotFound when none was set
	SavePolicy([]byte) error

	Keys() ([]SealedKey, error) // oldest first
	AddKey(SealedKey) error
	SaveKey(SealedKey) error // Retired only
	DropKey(id string) error
}

// Store keeps it all.
type Store interface {
	View(ctx context.Context, f func(Tx) error) error   // reads only; f may run more than once
	Update(ctx context.Context, f func(Tx) error) error // durable when it returns nil
	// Mark is Update for writes that are right whatever runs beside them: each is
	// one statement that says itself when it applies, and f decides nothing by
	// what it reads. An adapter may isolate it less.
	Mark(ctx context.Context, f func(Tx) error) error
	Ready(ctx context.Context) error // whether it can write now
	Close() error
}
