// Package signin is one attempt to sign in: check everything, record, answer.
//
// The order is what protects the account, and every step of it is done for
// every attempt, against the real account or a ghost that costs the same:
//
//  1. Start looks at policy, clock, account, lock and device, counts the guess
//     (with OPAQUE the client learns the outcome from our first answer, RFC
//     9807 §9.2), keeps the record, and only then evaluates.
//  2. Where the attempt may not succeed, the evaluation is made against a
//     stand-in: the right password then opens as little as a wrong one. Where
//     the counter does not allow it, the stand-in has an OPRF key of its own:
//     an evaluation under the account's would test a guess on any answer that
//     was given before the lock.
//  3. Finish closes the attempt's entry in the ledger; who closes it first has
//     finished it, and nobody can again.
//  4. Code is the second factor of a new device.
//
// This package appends to the ledger and never reads it. Evidence leaves it
// only inside incidents.
package signin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/store"
)

const (
	// AttemptLife is how long a client has between the two messages of the
	// password: half a minute of stretching on a slow phone, and a bad network.
	AttemptLife = lockout.AttemptLife
	// PassTries is how many attempts one pass begins: a slip or two.
	PassTries = 3
)

var (
	// ErrForm: a message that no correct client sends.
	ErrForm = errors.New("not of the protocol's form")
	// ErrOver: the attempt was finished, or was left too long; begin again.
	ErrOver = errors.New("this attempt is over: begin the sign-in again")
)

// Sessions begins sessions; package session does.
type Sessions interface {
	// Begin adds a session of the device and ends the device's older ones.
	Begin(tx store.Tx, account store.Subject, device store.Device, id store.ID) (store.Session, error)
}

// Service runs attempts.
type Service struct {
	Store    store.Store
	Gate     *gate.Gate
	Keys     *keys.Ring
	OPAQUE   *opaque.Server
	Sessions Sessions
	Notices  Notices // may be nil
	Shared   bool    // the store, with nodes that may be of the version before
}

// Notices tells an account's addresses what happened; package message does.
type Notices interface {
	// Tell queues a message to every verified address of an account.
	Tell(tx store.Tx, a store.Subject, kind string, values map[string]string) error
}

func (s *Service) tell(tx store.Tx, a store.Subject, kind string, values map[string]string) error {
	if s.Notices == nil {
		return nil
	}
	return s.Notices.Tell(tx, a, kind, values)
}

// Purposes of a password proof.
const (
	ToSignIn         = "sign-in"
	ToChangePassword = "password"
	ToChangeSettings = "settings" // what else needs a fresh proof
	ToClose          = "close"    // the account
)

// purposes lists them.
var purposes = []string{ToSignIn, ToChangePassword, ToChangeSettings, ToClose}

// Start is the first message.
type Start struct {
	Identifier string // as typed
	Purpose    string
	KE1        []byte
	Pass       string
	Caller     gate.Caller
}

// Started answers it.
type Started struct {
	KE2     []byte
	Former  []byte // opens to an enrolled device that typed the former password
	Stretch string // the account's parameters, or the usual ones
	State   []byte // sealed; comes back with the last message
}

// way is what an attempt is counted under.
type way int

const (
	strangers way = iota // a key that is not enrolled
	ownDevice            // an enrolled device
	withPass             // a new device with a pass of the owner's
)

// NewID makes a random ID.
func NewID() (id store.ID) {
	rand.Read(id[:])
	return id
}

// newAttempt makes the ID of an attempt, which is also that of the session it
// leads to: the millisecond in which it begins, and 80 random bits, in the order
// of RFC 9562 §5.7. Sessions are kept in the order of their IDs, so those that
// begin together lie together, and one page is written for several. On a shared
// store all of it is random: there, changes of pages that others read are run
// again.
func (s *Service) newAttempt() store.ID {
	id := NewID()
	if s.Shared {
		return id
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(s.Gate.Now().UnixMilli()))
	copy(id[:6], ms[2:])
	return id
}

// Start opens an attempt. A nil Refusal and error mean that it goes on. The
// Refusal is the same for everybody but for what anyone may be told.
func (s *Service) Start(ctx context.Context, in Start) (Started, *gate.Refusal, error) {
	if len(in.KE1) != opaque.KE1Size || len(in.Identifier) > identifier.Max || !slices.Contains(purposes, in.Purpose) {
		return Started{}, nil, ErrForm
	}
	key := s.Keys.Lookup(identifier.Normalise(in.Identifier))
	public := s.Gate.Public(in.Caller, true)
	st := state{
		Attempt: s.newAttempt(), Lane: store.LaneOf(key), Key: in.Caller.Key, Purpose: in.Purpose, Begun: s.Gate.Now(),
		Shown: in.Caller.Shown, Name: in.Caller.Name, System: in.Caller.Client.System + " " + in.Caller.Client.SystemVersion.String(),
	}
	if in.Pass != "" {
		hash := HashPass(in.Pass)
		st.Pass = hash[:]
	}
	var account store.Subject
	var content incident.Content
	var former store.Former
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		var err error
		if account, err = tx.Find(key, store.StandKey(key)); err != nil {
			return err
		}
		if content, err = s.admit(tx, account, &st, in.Caller, public); err != nil {
			return err
		}
		former, err = s.former(tx, account, st)
		return err
	})
	if err != nil {
		return Started{}, nil, err
	}
	if len(public) > 0 {
		refusal, err := gate.Refuse(s.Keys, content)
		return Started{}, refusal, err
	}
	record := account.Record
	switch {
	case !st.Real:
		record = nil
	case len(record) == 0: // an account's, and lost: no stand-in may answer for it
		return Started{}, nil, opaque.ErrRecord
	}
	credential, stand := key, standCredential(key)
	if !st.Counted && st.Way != withPass {
		credential = stand
	}
	ke2, expected, err := s.OPAQUE.Login(record, in.KE1, credential[:])
	if errors.Is(err, opaque.ErrRecord) {
		return Started{}, nil, err // the service's own fault, never the caller's
	}
	if err != nil {
		return Started{}, nil, ErrForm
	}
	st.Expected = expected.ClientMAC[:]
	offer, proof, err := s.OPAQUE.Former(s.formerRecord(former), in.KE1, ke2, credential[:])
	if err != nil {
		return Started{}, nil, err
	}
	st.Former = proof[:]
	sealed, err := s.sealState(st)
	return Started{KE2: ke2, Former: offer, Stretch: account.Stretch, State: sealed}, nil, err
}

// standCredential names the OPRF key under which guesses at a locked identifier
// are evaluated. It is always the same, so that a guess sent twice in a lock
// gets the same answer, as it does outside of one.
func standCredential(key store.Key) store.Key {
	return sha256.Sum256(append([]byte("readmit locked "), key[:]...))
}

// admit looks at everything, counts the guess and keeps the record, in one
// transaction. It fills what is missing of st.
func (s *Service) admit(tx store.Tx, account store.Subject, st *state, c gate.Caller, public []cause.Fact) (incident.Content, error) {
	now := s.Gate.Now()
	device, known, err := enrolled(tx, account.ID, c.Key)
	if err != nil {
		return incident.Content{}, err
	}
	st.Account, st.Counted = account.ID, false
	st.Facts = append(append([]cause.Fact{}, public...), s.Gate.Account(account)...)
	st.Way, st.Ring = strangers, store.RingStrangers
	if known {
		st.Way, st.Ring = ownDevice, store.RingDevices
	} else if st.Purpose != ToSignIn {
		st.Facts = append(st.Facts, cause.Note(cause.CheckDevice, cause.Word("enrolled"), cause.Word("never-enrolled"), cause.ByServer))
	}
	pass, err := livePass(tx, account, st.Pass, now)
	if err != nil {
		return incident.Content{}, err
	}
	if !known && pass != nil {
		st.Way, st.Ring = withPass, store.RingDevices
	}

	// What the public checks refuse is never evaluated, so it is no guess. What
	// the others refuse counts as any other guess of strangers does: they could
	// tell by the lock that does not come.
	if len(public) == 0 {
		switch {
		case st.Way == strangers:
			counter, err := tx.Strangers(st.Lane)
			if err != nil {
				return incident.Content{}, err
			}
			next, d := counter.Begin(now)
			if err := tx.SaveStrangers(st.Lane, next); err != nil {
				return incident.Content{}, err
			}
			st.Counted = d.Allowed
			st.Facts = append(st.Facts, strangersLocked(next, d)...)
		case st.Way == ownDevice && len(st.Facts) == 0:
			next, d := device.Hot.Own.Begin(now)
			device.Hot.Own = next
			st.Counted = d.Allowed
			st.Facts = append(st.Facts, deviceLocked(device.Name, next, d)...)
		case st.Way == withPass:
			pass.Tries++
			if err := tx.SavePass(*pass); err != nil {
				return incident.Content{}, err
			}
		}
	}
	st.Real = len(st.Facts) == 0

	account.Hot.Seq[st.Ring]++
	st.Seq = account.Hot.Seq[st.Ring]
	if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
		return incident.Content{}, err
	}
	if known {
		device.Hot.LastSeen, device.Hot.Skew = now, c.Time.Sub(now)
		if err := tx.SaveDeviceHot(account.ID, device.ID, device.Hot); err != nil {
			return incident.Content{}, err
		}
	}
	content := incident.Content{
		Account: account.ID, Attempt: st.Attempt, At: now, What: st.Purpose, Outcome: incident.Unfinished,
		Facts: st.Facts, Device: c.Name, Client: c.Shown, Address: c.Address,
	}
	if known { // what its owner calls it, not what it calls itself today
		content.Device = device.Name
	}
	if len(public) > 0 {
		content.Outcome = incident.Refused
	}
	line := content.Entry(st.Ring, st.Seq)
	if st.Way == strangers {
		line.Detail = withRoom(line.Detail)
	}
	return content, tx.Append(line)
}

// room is by how much the line of a stranger's attempt may become longer when
// it is closed: by the two facts that one can add, and some.
const room = 200

// withRoom makes a line as long when it is begun as it will be when it is
// closed: spaces behind JSON are none of it. A line that grows makes the store
// divide a page now and then, and an account's grows by more than a stand-in's.
// Without it a last message told the two apart with a chance of 0.478 where
// people had signed in before; with it, 0.493.
func withRoom(detail []byte) []byte {
	return append(detail, bytes.Repeat([]byte{' '}, room)...)
}

// enrolled finds the device of a key, if it is enrolled for the account now.
func enrolled(tx store.Tx, account store.ID, key store.Thumbprint) (store.Device, bool, error) {
	d, err := tx.Device(account, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Device{}, false, nil
	}
	return d, err == nil && d.Removed.IsZero(), err
}

func strangersLocked(s lockout.State, d lockout.Decision) []cause.Fact {
	if d.Allowed {
		return nil
	}
	return []cause.Fact{
		cause.Note(cause.CheckStrangers, cause.Count(lockout.FailedLimit-1), cause.Count(max(s.Failed, lockout.FailedLimit)), cause.ByServer),
		cause.Note(cause.CheckStrangersUntil, cause.Value{}, cause.Instant(d.Until), cause.ByServer),
	}
}

func deviceLocked(name string, s lockout.State, d lockout.Decision) []cause.Fact {
	if d.Allowed {
		return nil
	}
	return []cause.Fact{
		cause.Note(cause.CheckOwnDevice, cause.Count(lockout.FailedLimit-1), cause.Count(max(s.Failed, lockout.FailedLimit)), cause.ByServer),
		cause.Note(cause.CheckOwnDeviceName, cause.Value{}, cause.Name(name), cause.ByServer),
		cause.Note(cause.CheckOwnDeviceUntil, cause.Value{}, cause.Instant(d.Until), cause.ByServer),
	}
}

// HashPass is what is kept of a pass or an invitation. Spaces, hyphens and
// case are not part of it.
func HashPass(pass string) [32]byte {
	return sha256.Sum256([]byte(strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(strings.TrimSpace(pass)))))
}

// livePass finds a pass of this account that can begin an attempt now. One that
// a device made ends with the device.
func livePass(tx store.Tx, account store.Subject, hash []byte, now time.Time) (*store.Pass, error) {
	if len(hash) == 0 {
		return nil, nil
	}
	p, err := tx.Pass([32]byte(hash))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if p.Account != account.ID || !p.Used.IsZero() || p.Tries >= PassTries || now.After(p.Expires) {
		return nil, nil
	}
	if p.MadeBy.IsZero() { // the operator's
		return &p, nil
	}
	devices, err := tx.Devices(account.ID)
	if slices.ContainsFunc(devices, func(d store.Device) bool { return d.ID == p.MadeBy && d.Removed.IsZero() }) {
		return &p, nil
	}
	return nil, err
}

// Enrolled reports whether the key is enrolled for the identifier's account.
// It decides nothing but whose attempt is worked on first.
func (s *Service) Enrolled(ctx context.Context, typed string, by store.Thumbprint) (bool, error) {
	if len(typed) > identifier.Max {
		return false, ErrForm
	}
	key := s.Keys.Lookup(identifier.Normalise(typed))
	known := false
	err := s.Store.View(ctx, func(tx store.Tx) error {
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		_, known, err = enrolled(tx, a.ID, by)
		return err
	})
	return known, err
}
