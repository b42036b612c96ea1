// Package signal brings the news of changes to nodes and services.
//
// The rules it keeps:
//
//   - Raise and Note are the only ways to make news. They write in the
//     transaction of the change, so there is no change without its signal and
//     no signal without its change.
//   - Each account's signals reach a service in their order, at least once, and
//     none is sent before the one before it was taken.
//   - What a node knows of changes (Tail) is at most a second old, or it says
//     that it does not know. It never answers from what is older.
//   - A service that does not take its signals holds up nobody else; what it
//     has not taken is kept, and shown.
package signal

import (
	"crypto/rand"
	"encoding/json"
	"time"

	"readmit.dev/readmit/store"
)

// Kinds of a signal: what has changed.
const (
	PasswordChanged = "password-changed"
	DeviceAdded     = "device-added"
	DeviceRemoved   = "device-removed"
	SessionsEnded   = "sessions-ended"
	SessionEnded    = "session-ended" // one; the account's epoch stays
	AccountDisabled = "account-disabled"
	AccountEnabled  = "account-enabled"
	Recovered       = "recovered"
	AccountClosed   = "account-closed"
	FactorChanged   = "factor-changed"
)

// Asked is a signal for nodes alone: a request to sign in has come or changed,
// and open streams of events look at once. No service hears of it.
const Asked = "asked"

// Verification is a signal for one service alone: its stream works (OpenID
// Shared Signals Framework 1.0, §8.1.4).
const Verification = "verification"

// StreamUpdated is a signal for one service alone: somebody else than its
// receiver has changed its stream's status (OpenID Shared Signals Framework 1.0,
// §8.1.5).
const StreamUpdated = "stream-updated"

// ofStream reports whether a signal is about a stream, and about no account.
func ofStream(kind string) bool { return kind == Verification || kind == StreamUpdated }

// Detail is what a signal says beside its kind.
type Detail struct {
	Session store.ID  `json:"session,omitzero"`
	Device  store.ID  `json:"device,omitzero"`
	By      string    `json:"by,omitempty"`     // who made the change: one of the By constants
	State   string    `json:"state,omitempty"`  // of a verification
	Status  string    `json:"status,omitempty"` // of a stream: enabled, paused or disabled
	Reason  string    `json:"reason,omitempty"` // for that
	Set     *readySet `json:"set,omitempty"`    // where the node that made the change has signed it for all
}

// readySet is a SET that waits for its services.
type readySet struct {
	For  string `json:"for"` // audiences, as a JSON list
	Text string `json:"text"`
}

// Who made a change (CAEP 1.0, §2, initiating_entity).
const (
	ByUser  = "user"
	ByAdmin = "admin"
)

// Raise is for every change of credentials, devices or sessions: it raises the
// account's epoch, saves the account, and writes the news of it.
func Raise(tx store.Tx, a *store.Subject, kind string, d Detail, now time.Time) error {
	a.Epoch++
	if err := tx.SaveSubject(*a); err != nil {
		return err
	}
	return add(tx, a.ID, a.Epoch, kind, d, now)
}

// Note is for the end of a single session: it touches no other, so the
// account's epoch stays.
func Note(tx store.Tx, a store.Subject, kind string, d Detail, now time.Time) error {
	return add(tx, a.ID, a.Epoch, kind, d, now)
}

// Closed is for the end of an account, after it was deleted.
func Closed(tx store.Tx, a store.Subject, now time.Time) error {
	return add(tx, a.ID, a.Epoch+1, AccountClosed, Detail{By: ByUser}, now)
}

// Poke tells the nodes alone that a request to sign in has come or changed.
func Poke(tx store.Tx, account store.ID, now time.Time) error {
	n, err := made(account, 0, Asked, Detail{}, now)
	if err != nil {
		return err
	}
	return tx.AddSignal(n)
}

// Verify asks for a verification event to one service, which repeats the state
// that its receiver chose.
func Verify(tx store.Tx, service store.ID, state string, now time.Time) error {
	return toStream(tx, service, Verification, Detail{State: state}, now)
}

// Updated tells one service that its stream has another status.
func Updated(tx store.Tx, service store.ID, status, reason string, now time.Time) error {
	return toStream(tx, service, StreamUpdated, Detail{Status: status, Reason: reason}, now)
}

func toStream(tx store.Tx, service store.ID, kind string, d Detail, now time.Time) error {
	n, err := made(store.ID{}, 0, kind, d, now)
	if err != nil {
		return err
	}
	if err := tx.AddSignal(n); err != nil {
		return err
	}
	return tx.AddReceipt(store.Receipt{Service: service, Signal: n.ID, Kind: n.Kind, Made: now, Next: now})
}

func add(tx store.Tx, account store.ID, epoch int64, kind string, d Detail, now time.Time) error {
	n, err := made(account, epoch, kind, d, now)
	if err != nil {
		return err
	}
	if err := tx.AddSignal(n); err != nil {
		return err
	}
	return tx.AddReceipts(n)
}

func made(account store.ID, epoch int64, kind string, d Detail, now time.Time) (store.Signal, error) {
	n := store.Signal{Account: account, Epoch: epoch, Kind: kind, At: now}
	rand.Read(n.ID[:])
	var err error
	n.Detail, err = json.Marshal(d)
	return n, err
}

func detail(n store.Signal) (d Detail, err error) {
	err = json.Unmarshal(n.Detail, &d)
	return d, err
}
