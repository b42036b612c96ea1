// Package passkey lets people sign in with WebAuthn credentials (W3C Web
// Authentication, Level 3): as the second factor after the password, and as the
// only step.
//
// The rules it keeps:
//
//   - Every passkey can be found by its authenticator alone and is unlocked by
//     its owner, at each use. So the server never lists the passkeys of an
//     account to somebody who signs in: one that has none gets the same answer,
//     and nobody is asked who they are.
//   - A challenge is sealed to the device key that asked for it, for one
//     purpose, and is good for two minutes. It ends with the change it leads to:
//     the attempt that is done, the session that has its ID, the epoch it raises.
//   - Name and origin are those of the configured public address, never what a
//     request says.
//   - A signature is checked outside of the store's transaction; that the
//     passkey is still the account's, and its counter, inside of it.
//   - No lock holds a passkey back, and none counts it: locks count guesses, and
//     a signature is none.
package passkey

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// Max is how many passkeys an account can have.
	Max = 10
	// Life is how long a challenge waits for its signature.
	Life = 2 * time.Minute
)

var (
	// ErrName: browsers know passkeys of names only, not of IP addresses.
	ErrName = errors.New("passkeys belong to a name, and this server's public address is a number: set url to a name (on one machine: http://localhost and the port)")
	// ErrFresh: the proof of the password is too old.
	ErrFresh = errors.New("this needs a fresh proof of the password: sign in again, then do it within the hour")
	// ErrMany: the account has as many as it can.
	ErrMany = errors.New("an account has ten passkeys at most: remove one first")
	// ErrKnown: a credential with this ID is registered.
	ErrKnown = errors.New("this passkey was added already")
	// ErrNone: nothing has that ID.
	ErrNone = errors.New("this account has no such passkey")
)

// Service keeps and judges passkeys.
type Service struct {
	Store    store.Store
	Gate     *gate.Gate
	Keys     *keys.Ring
	SignIn   *signin.Service
	Sessions *session.Service
	Notices  signin.Notices

	url   string
	party *webauthn.WebAuthn // nil where the public address is no name
	stand []byte             // a public key for credentials that nobody knows
}

// New completes a service for the public address.
func New(address string, s Service) (*Service, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	s.url = address
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return &s, nil
	}
	if s.stand, err = standKey(); err != nil {
		return nil, err
	}
	wait := webauthn.TimeoutConfig{Timeout: Life, TimeoutUVD: Life}
	s.party, err = webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Readmit", RPOrigins: []string{address},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: protocol.ResidentKeyRequired(),
			UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: wait, Registration: wait},
		// Password managers report what nobody asked for; nothing of it is used.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	return &s, err
}

// standKey makes the public key against which a signature by an unknown
// credential is checked: the same work, and nobody has the other half.
func standKey() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := k.PublicKey.Bytes() // 4, X, Y
	if err != nil {
		return nil, err
	}
	return webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
	})
}

// Possible reports whether the public address can have passkeys.
func (s *Service) Possible() bool { return s.party != nil }

// Purposes of a challenge.
const (
	toAdd    = "add"
	toSecond = "second"
	toEnter  = "enter"
)

// ceremony travels sealed with the client between its two messages.
type ceremony struct {
	Purpose   string           `json:"purpose"`
	ID        store.ID         `json:"id"` // the attempt's; of the session that comes of it
	Key       store.Thumbprint `json:"key"`
	Challenge string           `json:"challenge"`
	Begun     time.Time        `json:"begun"`
	Account   store.ID         `json:"account,omitzero"`
	Session   store.ID         `json:"session,omitzero"`
	Epoch     int64            `json:"epoch,omitempty"`
	Name      string           `json:"name,omitempty"`
	System    string           `json:"system,omitempty"`
	Shown     string           `json:"shown,omitempty"`
}

const (
	stateLabel = "passkey state"
	stateSize  = 1280
)

// Begun is what a client hands to the authenticator, and the sealed state that
// comes back with the answer.
type Begun struct {
	Options json.RawMessage // PublicKeyCredential…OptionsJSON
	State   []byte
}

func (s *Service) begun(options any, c ceremony) (Begun, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return Begun{}, err
	}
	sealed, err := s.Keys.Seal(stateLabel, plain, stateSize)
	if err != nil {
		return Begun{}, err
	}
	o, err := json.Marshal(options)
	return Begun{Options: o, State: sealed}, err
}

// resume opens a state. What another key brings, or after its time, is over.
func (s *Service) resume(purpose string, sealed []byte, by store.Thumbprint) (ceremony, error) {
	var c ceremony
	plain, err := s.Keys.Open(stateLabel, sealed)
	if err != nil || json.Unmarshal(bytes.TrimRight(plain, "\x00"), &c) != nil || c.Purpose != purpose {
		return c, signin.ErrForm
	}
	if c.Key != by || s.Gate.Now().Sub(c.Begun) > Life {
		return c, signin.ErrOver
	}
	return c, nil
}

// user is an account as the library sees it.
type user struct {
	id          []byte
	name        string
	credentials []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return u.id }
func (u user) WebAuthnName() string                       { return u.name }
func (u user) WebAuthnDisplayName() string                { return u.name }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }

// List shows the account's passkeys, oldest first.
func (s *Service) List(ctx context.Context, actor session.Actor) (list []store.Passkey, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		list, err = tx.Passkeys(actor.Account.ID)
		return err
	})
	return list, err
}

// Remove takes a passkey off the account.
func (s *Service) Remove(ctx context.Context, actor session.Actor, credential []byte, c gate.Caller) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.acting(tx, actor, c)
		if err != nil {
			return err
		}
		gone, err := tx.Passkey(credential)
		if errors.Is(err, store.ErrNotFound) || err == nil && gone.Account != a.ID {
			return ErrNone
		}
		if err != nil {
			return err
		}
		if err := tx.DropPasskey(a.ID, credential); err != nil {
			return err
		}
		return s.changed(tx, a, message.PasskeyRemoved, "passkey removed", gone.Name, actor, c)
	})
}

// acting looks at session and account again, inside the transaction that
// changes something: they may have ended since the gate looked.
func (s *Service) acting(tx store.Tx, actor session.Actor, c gate.Caller) (store.Subject, error) {
	var now session.Actor
	facts, err := s.Sessions.Look(tx, actor.Session.ID, c, &now)
	if err == nil && len(facts) > 0 {
		err = session.ErrNone
	}
	return now.Account, err
}

// changed is what goes with each change of an account's passkeys: the epoch,
// the notice, the ledger's line.
func (s *Service) changed(tx store.Tx, a store.Subject, kind, what, name string, actor session.Actor, c gate.Caller) error {
	if err := signal.Raise(tx, &a, signal.FactorChanged, signal.Detail{By: signal.ByUser}, s.Gate.Now()); err != nil {
		return err
	}
	if err := s.Notices.Tell(tx, a, kind, map[string]string{"passkey": name, "device": actor.Device.Name}); err != nil {
		return err
	}
	return incident.Record(tx, &a, store.RingChanges, incident.Content{
		Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Done,
		Device: actor.Device.Name, Client: c.Shown, Address: c.Address,
	})
}
