// Package recovery is the way back in of somebody who has forgotten the
// identifier or the password.
//
// The rules it keeps:
//
//   - One answer. Whoever has proved nothing is told the same of every
//     identifier: a case of an account that does not exist is begun, refused
//     and shown as one that does, and costs the same.
//   - A case that nothing was proved for never opens. Two proofs of different
//     ways open it at once (NIST SP 800-63B-4 §4.2.2): a recovery code, a code
//     sent to a verified address, a code shown by an enrolled device. After one
//     alone it opens when the wait is over, of which every device and address
//     is told when it begins, and which each of them can stop.
//   - What was made for a case is good for that case and the key that began it.
//   - Strangers can neither fill nor close the way: what they begin takes one of
//     a few places that give way to each other, and is of no use to them; a case
//     for which something was proved has a row of its own.
//   - A new password ends every session, and is made under the same OPRF key;
//     every evaluation under that key is counted.
package recovery

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// DefaultWait is how long a case waits that has one proof alone.
	DefaultWait = 24 * time.Hour
	// MinWait is the least an operator can ask for: time to read a message.
	MinWait = time.Hour
	// MaxWait is the most: who is away for longer has forgotten more.
	MaxWait = 30 * 24 * time.Hour
	// ClaimLife is how long a case can be begun before anything is proved for it.
	ClaimLife = 24 * time.Hour
	// OpenFor is how long a case stays open when its time has come: a weekend.
	OpenFor = 72 * time.Hour
	// Tries is how many wrong codes, and how many evaluations, a case has.
	Tries = 10
	// places is how many cases without a proof an account shows at once.
	places = 5
)

var (
	// ErrCase: not a case that this device has begun.
	ErrCase = errors.New("this device has begun no such recovery, or it is over: begin anew")
	// ErrNone: an owner's call about a case that does not run.
	ErrNone = errors.New("no recovery that is named so is running: it may be over already")
	// ErrGiven: a second proof of the same way.
	ErrGiven = errors.New("this way has given its proof already: give another one, or wait")
	// ErrSlow: too many calls.
	ErrSlow = errors.New("too many of these: wait a minute")
	// ErrFresh: the proof of the password is too old.
	ErrFresh = errors.New("this needs a fresh proof of the password: sign in again, then do it within the hour")
)

// Service runs recoveries.
type Service struct {
	Store    store.Store
	Gate     *gate.Gate
	Keys     *keys.Ring
	OPAQUE   *opaque.Server
	SignIn   *signin.Service
	Sessions signin.Sessions
	Messages Messages
	Wait     time.Duration

	callers limiter
	mails   limiter
	pending pending
}

// claim travels sealed with the device that began a case, so that one for
// which nothing is ever proved costs no row.
type claim struct {
	ID     store.ID         `json:"id"`
	Key    store.Key        `json:"key"` // of the identifier
	By     store.Thumbprint `json:"by"`
	Opened time.Time        `json:"opened"`
}

const (
	claimLabel = "recovery"
	claimSize  = 512
)

func (s *Service) sealClaim(c claim) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return s.Keys.Seal(claimLabel, plain, claimSize)
}

func (s *Service) openClaim(sealed []byte, by store.Thumbprint) (claim, error) {
	var c claim
	plain, err := s.Keys.Open(claimLabel, sealed)
	if err != nil || json.Unmarshal(bytes.TrimRight(plain, "\x00"), &c) != nil {
		return c, signin.ErrForm
	}
	if c.By != by {
		return c, ErrCase
	}
	return c, nil
}

// Case is what its beginner is shown of it.
type Case struct {
	Claim   []byte // sealed; only Start gives it
	State   string
	Opens   time.Time // zero until something was proved
	Expires time.Time
	Proofs  []string
	Account store.ID // whose devices have news; zero where nobody's have
}

// States of a case. Without a proof all cases are Unproved, whatever has
// happened to them: who has proved nothing is told nothing.
const (
	Unproved  = "unproved"
	Waiting   = "waiting"
	Open      = "open"
	Cancelled = "cancelled"
	Finished  = "finished"
	Over      = "over" // left too long, too many wrong codes, or the password was changed meanwhile
)

// Ways of a proof.
const (
	ByCode    = "code"
	ByAddress = "address"
	ByDevice  = "device"
)

// proofs lists the ways that have given theirs.
func proofs(r store.Recovery) []string {
	list := []string{}
	if !r.ByCode.IsZero() {
		list = append(list, ByCode)
	}
	if !r.ByAddress.IsZero() {
		list = append(list, ByAddress)
	}
	if !r.ByDeviceAt.IsZero() {
		list = append(list, ByDevice)
	}
	return list
}

func proved(r store.Recovery) bool { return len(proofs(r)) > 0 }

// state says how a case stands.
func (s *Service) state(r store.Recovery, a store.Subject) string {
	now := s.Gate.Now()
	switch {
	case !r.Cancelled.IsZero():
		return Cancelled
	case !r.Finished.IsZero():
		return Finished
	case now.After(r.Expires), r.Wrong >= Tries, a.PasswordChanged.After(r.Opened):
		return Over
	case !proved(r):
		return Unproved
	case now.Before(r.Opens):
		return Waiting
	}
	return Open
}

func (s *Service) shown(c claim, r store.Recovery, a store.Subject) Case {
	if !proved(r) {
		return Case{State: Unproved, Expires: c.Opened.Add(ClaimLife), Proofs: []string{}}
	}
	return Case{State: s.state(r, a), Opens: r.Opens, Expires: r.Expires, Proofs: proofs(r)}
}

// newID makes a case's ID of a word: 80 bits that stop the case, or, of one
// that the desk began, give it to the person. The word is not kept: the ID is
// its encryption, and gives it back to this server alone.
func (s *Service) newID() store.ID {
	var block [16]byte
	rand.Read(block[:wordBytes])
	return s.crypt(block, true)
}

const wordBytes = 10

func (s *Service) crypt(block [16]byte, seal bool) (out store.ID) {
	key := s.Keys.Recovery("recovery word", nil)
	c, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	if seal {
		c.Encrypt(out[:], block[:])
	} else {
		c.Decrypt(out[:], block[:])
	}
	return out
}

func (s *Service) word(id store.ID) string {
	block := s.crypt(id, false)
	return spell(block[:wordBytes])
}

// ofWord is the case that a word belongs to, if it is one.
func (s *Service) ofWord(word string) store.ID {
	var block [16]byte
	b, ok := unspell(word, wordBytes)
	if !ok {
		return store.ID{}
	}
	copy(block[:], b)
	return s.crypt(block, true)
}

// ShortID is the name under which enrolled devices see a case.
func ShortID(id store.ID) string { return incident.Reference(id)[:4] }

// placeID names one of the few rows that cases without a proof share.
func placeID(account store.ID, n int) store.ID {
	b := binary.BigEndian.AppendUint32(append([]byte("readmit recovery place "), account[:]...), uint32(n))
	h := sha256.Sum256(b)
	return store.ID(h[:16])
}

// A place says in CancelHash which case has it.
func held(place store.Recovery) store.ID { return store.ID(place.CancelHash[:16]) }

// find returns the row of a case: its own, or its place. Where it has neither
// the row is empty, and place is -1.
func find(all []store.Recovery, account, id store.ID) (r store.Recovery, place int) {
	place = -1
	for _, x := range all {
		if x.ID == id {
			return x, -1
		}
		if n := isPlace(x, account); n >= 0 && held(x) == id {
			r, place = x, n
		}
	}
	return r, place
}

// isPlace is the number of a place, or -1.
func isPlace(r store.Recovery, account store.ID) int {
	for n := range places {
		if r.ID == placeID(account, n) {
			return n
		}
	}
	return -1
}

// Start begins a case. The answer is the same for every identifier. word is
// what the desk has given to the person, or empty.
func (s *Service) Start(ctx context.Context, typed, word string, c gate.Caller) (Case, *gate.Refusal, error) {
	if len(typed) > identifier.Max {
		return Case{}, nil, signin.ErrForm
	}
	if err := s.Slow(c); err != nil {
		return Case{}, nil, err
	}
	now := s.Gate.Now()
	key := s.Keys.Lookup(identifier.Normalise(typed))
	cl := claim{ID: s.newID(), Key: key, By: c.Key, Opened: now}
	given := s.ofWord(word)
	content := incident.Content{
		Attempt: signin.NewID(), At: now, What: "recovery begun", Outcome: incident.Done, Device: c.Name, Client: c.Shown, Address: c.Address,
	}
	var out Case
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		begun := cl
		content := &content
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		content.Account = a.ID
		if content.Facts = s.Gate.Public(c, true); len(content.Facts) > 0 {
			content.Outcome = incident.Refused
			return incident.Record(tx, &a, store.RingStrangers, *content)
		}
		all, err := tx.Recoveries(a.ID)
		if err != nil {
			return err
		}
		r := store.Recovery{
			Account: a.ID, Thumbprint: c.Key, Name: c.Name, System: c.Client.System + " " + c.Client.SystemVersion.String(),
			Client: c.Shown, Address: c.Address, Opened: now, Expires: now.Add(ClaimLife),
		}
		running, err := s.resume(tx, a, all, given, r)
		if err != nil {
			return err
		}
		ring := store.RingStrangers
		if _, known, err := enrolled(tx, a.ID, c.Key); err != nil {
			return err
		} else if known {
			ring = store.RingDevices
		}
		if running != nil {
			begun.ID, begun.Opened = running.ID, running.Opened
			r = *running
		} else if err := s.seat(tx, a.ID, all, begun.ID, r); err != nil {
			return err
		}
		out = s.shown(begun, r, a)
		out.Account = a.ID
		if out.Claim, err = s.sealClaim(begun); err != nil {
			return err
		}
		return incident.Record(tx, &a, ring, *content)
	})
	if err != nil {
		return Case{}, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return Case{}, refusal, err
	}
	return out, nil, nil
}

// resume finds the case that the device goes on with: its own, for which it
// has proved something, or the one that the desk began and whose word it has.
func (s *Service) resume(tx store.Tx, a store.Subject, all []store.Recovery, given store.ID, by store.Recovery) (*store.Recovery, error) {
	for _, x := range all {
		st := s.state(x, a)
		if x.Thumbprint == by.Thumbprint && isPlace(x, a.ID) < 0 && (st == Waiting || st == Open || st == Unproved) {
			return &x, nil
		}
		if x.ID == given && st == Unproved && !x.Agent.IsZero() && x.Thumbprint == (store.Thumbprint{}) {
			x.Thumbprint, x.Name, x.System, x.Client, x.Address = by.Thumbprint, by.Name, by.System, by.Client, by.Address
			return &x, tx.SaveRecovery(x)
		}
	}
	return nil, nil
}

// seat gives a case one of the places: the device's former one, a free one, or
// the one that was taken longest ago.
func (s *Service) seat(tx store.Tx, account store.ID, all []store.Recovery, id store.ID, r store.Recovery) error {
	taken := map[int]store.Recovery{}
	for _, x := range all {
		if n := isPlace(x, account); n >= 0 {
			taken[n] = x
		}
	}
	best, rank := 0, 0
	for n := range places {
		x, there := taken[n]
		switch {
		case there && x.Thumbprint == r.Thumbprint:
			best, rank = n, 3
		case rank < 2 && (!there || s.Gate.Now().After(x.Expires)):
			best, rank = n, 2
		case rank == 0 || rank == 1 && x.Opened.Before(taken[best].Opened):
			best, rank = n, 1
		}
		if rank == 3 {
			break
		}
	}
	r.ID = placeID(account, best)
	copy(r.CancelHash[:], id[:])
	if _, there := taken[best]; there {
		return tx.SaveRecovery(r)
	}
	return tx.AddRecovery(r)
}

// leave gives a place back.
func (s *Service) leave(tx store.Tx, place store.Recovery) error {
	return tx.SaveRecovery(store.Recovery{ID: place.ID, Account: place.Account, Expires: s.Gate.Now().Add(-time.Second)})
}

func enrolled(tx store.Tx, account store.ID, key store.Thumbprint) (store.Device, bool, error) {
	d, err := tx.Device(account, key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Device{}, false, nil
	}
	return d, err == nil && d.Removed.IsZero(), err
}

// Status shows a case to the device that began it.
func (s *Service) Status(ctx context.Context, sealed []byte, c gate.Caller) (Case, error) {
	cl, err := s.openClaim(sealed, c.Key)
	if err != nil {
		return Case{}, err
	}
	var out Case
	err = s.Store.View(ctx, func(tx store.Tx) error {
		a, err := tx.Find(cl.Key, store.StandKey(cl.Key))
		if err != nil {
			return err
		}
		all, err := tx.Recoveries(a.ID)
		if err != nil {
			return err
		}
		r, _ := find(all, a.ID, cl.ID)
		out = s.shown(cl, r, a)
		return nil
	})
	return out, err
}

// against is all that speaks against a case doing anything now: the same looks
// for every account, and evidence for each that fails.
func (s *Service) against(a store.Subject, cl claim, r store.Recovery) []cause.Fact {
	facts := s.Gate.Account(a)
	end := ""
	switch {
	case !r.Cancelled.IsZero():
		end = "cancelled"
	case !r.Finished.IsZero():
		end = "finished"
	case r.Wrong >= Tries:
		end = "tries-spent"
	case a.PasswordChanged.After(cl.Opened):
		end = "password-changed"
	case proved(r) && s.Gate.Now().After(r.Expires), !proved(r) && s.Gate.Now().Sub(cl.Opened) > ClaimLife:
		end = "expired"
	}
	if end != "" {
		facts = append(facts, cause.Note(cause.CheckRecovery, cause.Word("running"), cause.Word(end), cause.ByServer))
		if end == "cancelled" {
			facts = append(facts, cause.Note(cause.CheckRecoveryEndedBy, cause.Value{}, cause.Name(r.CancelledBy), cause.ByServer))
		}
	}
	return facts
}
