// Package account is what is done to an account: it is made, its password
// changed, devices removed, requests of new devices answered; and what the
// operator does to it. Every change of credentials or devices raises the
// account's epoch, in the transaction that makes it, and leaves a line in the
// ledger's ring of changes.
package account

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// InvitationLife is how long an invitation or an operator's pass is good.
	InvitationLife = 7 * 24 * time.Hour
	// PassLife is how long an owner's pass is good: the time to carry it to the
	// new device in hand.
	PassLife = 15 * time.Minute
)

var (
	// ErrInvitation: none, another identifier's, used or too old.
	ErrInvitation = errors.New("sign-up needs an invitation for this identifier that is neither used nor expired: ask whoever runs the server for one")
	// ErrIdentifier: not of the form of an e-mail address.
	ErrIdentifier = errors.New("the account's identifier must have the form of an e-mail address, such as jane@example.org")
	// ErrTaken: there is such an account.
	ErrTaken = errors.New("this account exists: sign in to it")
	// ErrSlow: too many sign-ups begun under this identifier.
	ErrSlow = errors.New("too many sign-ups were begun for this identifier: wait a few minutes")
	// ErrNoDevice and the like: nothing has that name.
	ErrNoDevice = errors.New("this account has no device with that ID that is still enrolled: see readmit devices")
	// ErrSameName: a name that does not say which.
	ErrSameName = errors.New("several devices of this account have that name: say which by its ID, see readmit devices")
	// ErrThisDevice: what is for other devices.
	ErrThisDevice = errors.New("this is the device you are at: sign it out with readmit sign-out")
	ErrNoRequest  = errors.New("no device is waiting under that ID: see readmit requests")
	ErrNoAccount  = errors.New("there is no account with that identifier")
	// ErrGrant: the proof of the password is missing, old or used.
	ErrGrant = errors.New("the password must be proved again: begin anew")
	// ErrRecord: a record that no client makes.
	ErrRecord = errors.New("not a registration record")
)

// Service changes accounts.
type Service struct {
	Store    store.Store
	Gate     *gate.Gate
	Keys     *keys.Ring
	OPAQUE   *opaque.Server
	SignIn   *signin.Service
	Sessions *session.Service
	Messages *message.Outbox // nil sends nothing
	Open     bool            // sign-up without an invitation: only where loopback alone can reach it
}

// still returns session.ErrNone where the actor's session has ended since the
// call passed the gate: what two messages do to each other at the same instant
// is what they would do one after the other.
func (s *Service) still(tx store.Tx, actor session.Actor) error {
	n, err := tx.Session(actor.Session.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !n.Ended.IsZero() {
		return session.ErrNone
	}
	return err
}

// note appends a line about a change; account.Hot is saved with it.
func (s *Service) note(tx store.Tx, a *store.Subject, what, device string, c gate.Caller) error {
	line := incident.Content{
		Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Done,
		Device: device, Client: c.Shown, Address: c.Address,
	}
	a.Hot.Seq[store.RingChanges]++
	if err := tx.SaveSubjectHot(a.ID, a.Hot); err != nil {
		return err
	}
	return tx.Append(line.Entry(store.RingChanges, a.Hot.Seq[store.RingChanges]))
}

// StartSignUp evaluates the new account's blinded password. Each evaluation is
// counted as a guess is: an evaluation under the identifier's OPRF key is what
// somebody could later test guesses with (see docs/security.md).
func (s *Service) StartSignUp(ctx context.Context, typed, invitation string, request []byte) ([]byte, error) {
	id := identifier.Normalise(typed)
	if !identifier.Valid(id) {
		return nil, ErrIdentifier
	}
	key := s.Keys.Lookup(id)
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		if err := s.invited(tx, id, invitation); err != nil {
			return err
		}
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		if !a.Ghost {
			return ErrTaken
		}
		counter, err := tx.Strangers(store.LaneOf(key))
		if err != nil {
			return err
		}
		next, d := counter.Begin(s.Gate.Now())
		if !d.Allowed {
			return ErrSlow
		}
		return tx.SaveStrangers(store.LaneOf(key), next)
	})
	if err != nil {
		return nil, err
	}
	response, err := s.OPAQUE.Register(request, key[:])
	if err != nil {
		return nil, signin.ErrForm
	}
	return response, nil
}

func (s *Service) invited(tx store.Tx, id, invitation string) error {
	if invitation == "" {
		if s.Open {
			return nil
		}
		return ErrInvitation
	}
	i, err := tx.Invitation(signin.HashPass(invitation))
	if errors.Is(err, store.ErrNotFound) {
		return ErrInvitation
	}
	if err == nil && (i.Identifier != id || !i.Used.IsZero() || s.Gate.Now().After(i.Expires)) {
		return ErrInvitation
	}
	return err
}

// SignUp makes the account; the calling device is its first.
func (s *Service) SignUp(ctx context.Context, typed, invitation string, record []byte, stretch string, c gate.Caller) (signin.SignedIn, *gate.Refusal, error) {
	id := identifier.Normalise(typed)
	if !identifier.Valid(id) {
		return signin.SignedIn{}, nil, ErrIdentifier
	}
	if err := opaque.CheckRecord(record); err != nil {
		return signin.SignedIn{}, nil, ErrRecord
	}
	now := s.Gate.Now()
	if facts := s.Gate.Public(c, true); len(facts) > 0 {
		refusal, err := gate.Refuse(s.Keys, incident.Content{
			Attempt: signin.NewID(), At: now, What: "sign-up", Outcome: incident.Refused, Facts: facts, Client: c.Shown, Address: c.Address,
		})
		return signin.SignedIn{}, refusal, err
	}
	a := store.Subject{
		ID: signin.NewID(), Key: s.Keys.Lookup(id), Identifier: id, Record: record, Stretch: stretch,
		Epoch: 1, Created: now, PasswordChanged: now,
	}
	d := store.Device{
		Account: a.ID, Thumbprint: c.Key, ID: signin.NewID(), Name: c.Name,
		System: c.Client.System + " " + c.Client.SystemVersion.String(), Enrolled: now, Hot: store.DeviceHot{LastSeen: now, Skew: c.Time.Sub(now)},
	}
	a.PasswordChangedBy = d.ID
	var n store.Session
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		if err := s.invited(tx, id, invitation); err != nil {
			return err
		}
		found, err := tx.Find(a.Key, store.StandKey(a.Key))
		if err != nil {
			return err
		}
		if !found.Ghost {
			return ErrTaken
		}
		if err := s.useInvitation(tx, invitation); err != nil {
			return err
		}
		// The evaluation of StartSignUp led to an account, not to a guess.
		counter, err := tx.Strangers(store.LaneOf(a.Key))
		if err != nil {
			return err
		}
		if err := tx.SaveStrangers(store.LaneOf(a.Key), counter.Forgive(0, now)); err != nil {
			return err
		}
		if err := tx.AddSubject(a); err != nil {
			return err
		}
		if err := tx.AddDevice(d); err != nil {
			return err
		}
		if n, err = s.Sessions.Begin(tx, a, d, signin.NewID()); err != nil {
			return err
		}
		added := a
		return s.note(tx, &added, "account made", d.Name, c)
	})
	return signin.SignedIn{Account: a, Device: d, Session: n}, nil, err
}

func (s *Service) useInvitation(tx store.Tx, invitation string) error {
	if invitation == "" {
		return nil
	}
	i, err := tx.Invitation(signin.HashPass(invitation))
	if err != nil {
		return err
	}
	i.Used = s.Gate.Now()
	return tx.SaveInvitation(i)
}

// StartPassword evaluates the new password, under a grant (a fresh proof of
// the present one).
func (s *Service) StartPassword(ctx context.Context, grant, request []byte, c gate.Caller) ([]byte, error) {
	g, err := s.SignIn.OpenGrant(grant)
	if err != nil || g.Key != c.Key || g.Purpose != signin.ToChangePassword {
		return nil, ErrGrant
	}
	var a store.Subject
	err = s.Store.View(ctx, func(tx store.Tx) (err error) { a, err = tx.Subject(g.Account); return })
	if err != nil {
		return nil, err
	}
	if a.PasswordChanged.After(g.Proved) {
		return nil, ErrGrant
	}
	response, err := s.OPAQUE.Register(request, a.Key[:])
	if err != nil {
		return nil, signin.ErrForm
	}
	return response, nil
}

// ChangePassword replaces the record and ends every session but the actor's.
// It tells how many ended. The change itself uses the grant up.
func (s *Service) ChangePassword(ctx context.Context, actor session.Actor, grant, record []byte, stretch string, c gate.Caller) (int, error) {
	g, err := s.SignIn.OpenGrant(grant)
	if err != nil || g.Key != c.Key || g.Account != actor.Account.ID || g.Purpose != signin.ToChangePassword {
		return 0, ErrGrant
	}
	if err := opaque.CheckRecord(record); err != nil {
		return 0, ErrRecord
	}
	now := s.Gate.Now()
	ended := 0
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		if err := s.still(tx, actor); err != nil {
			return err
		}
		a, err := tx.Subject(g.Account)
		if err != nil {
			return err
		}
		if a.PasswordChanged.After(g.Proved) || !a.Disabled.IsZero() {
			return ErrGrant
		}
		if err := s.SignIn.KeepFormer(tx, a, now); err != nil {
			return err
		}
		a.Record, a.Stretch, a.PasswordChanged, a.PasswordChangedBy = record, stretch, now, actor.Device.ID
		if err := signal.Raise(tx, &a, signal.PasswordChanged, signal.Detail{Device: actor.Device.ID, By: signal.ByUser}, now); err != nil {
			return err
		}
		if ended, err = tx.EndSessions(a.ID, store.ID{}, actor.Session.ID, now, actor.Device.ID, store.EndPasswordChanged); err != nil {
			return err
		}
		if err := tx.DropPasses(a.ID); err != nil {
			return err
		}
		if err := s.tell(tx, a, message.PasswordChanged, map[string]string{"device": actor.Device.Name}); err != nil {
			return err
		}
		return s.note(tx, &a, "password changed", actor.Device.Name, c)
	})
	return ended, err
}

// onDevice does something to a device that is enrolled for the actor's account.
func (s *Service) onDevice(ctx context.Context, actor session.Actor, id store.ID, do func(tx store.Tx, a *store.Subject, d store.Device) error) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		if err := s.still(tx, actor); err != nil {
			return err
		}
		a, err := tx.Subject(actor.Account.ID)
		if err != nil {
			return err
		}
		devices, err := tx.Devices(a.ID)
		if err != nil {
			return err
		}
		for _, d := range devices {
			if d.ID == id && d.Removed.IsZero() {
				return do(tx, &a, d)
			}
		}
		return ErrNoDevice
	})
}

// RemoveDevice ends a device's enrolment and sessions.
func (s *Service) RemoveDevice(ctx context.Context, actor session.Actor, id store.ID, c gate.Caller) error {
	now := s.Gate.Now()
	return s.onDevice(ctx, actor, id, func(tx store.Tx, a *store.Subject, d store.Device) error {
		d.Removed, d.RemovedBy = now, actor.Device.ID
		if err := tx.SaveDevice(d); err != nil {
			return err
		}
		if _, err := tx.EndSessions(a.ID, d.ID, store.ID{}, now, actor.Device.ID, store.EndDeviceRemoved); err != nil {
			return err
		}
		if err := signal.Raise(tx, a, signal.DeviceRemoved, signal.Detail{Device: d.ID, By: signal.ByUser}, now); err != nil {
			return err
		}
		if err := s.tell(tx, *a, message.DeviceRemoved, map[string]string{"device": d.Name, "by": actor.Device.Name}); err != nil {
			return err
		}
		return s.note(tx, a, "device removed", d.Name, c)
	})
}

// EndDevice ends the sessions of another device of the account, and tells how
// many. It stays enrolled, and signs in again with the password alone.
func (s *Service) EndDevice(ctx context.Context, actor session.Actor, id store.ID, c gate.Caller) (ended int, err error) {
	if id == actor.Device.ID {
		return 0, ErrThisDevice
	}
	now := s.Gate.Now()
	err = s.onDevice(ctx, actor, id, func(tx store.Tx, a *store.Subject, d store.Device) (err error) {
		if ended, err = tx.EndSessions(a.ID, d.ID, store.ID{}, now, actor.Device.ID, store.EndSignedOut); err != nil {
			return err
		}
		if err := signal.Raise(tx, a, signal.SessionsEnded, signal.Detail{Device: d.ID, By: signal.ByUser}, now); err != nil {
			return err
		}
		return s.note(tx, a, "device signed out", d.Name, c)
	})
	return ended, err
}

// MakePass makes a one-time pass for one new device. It is told once.
func (s *Service) MakePass(ctx context.Context, actor session.Actor, c gate.Caller) (string, time.Time, error) {
	now := s.Gate.Now()
	secret := newSecret()
	p := store.Pass{Hash: signin.HashPass(secret), Account: actor.Account.ID, MadeBy: actor.Device.ID, Created: now, Expires: now.Add(PassLife)}
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		if err := s.still(tx, actor); err != nil {
			return err
		}
		a, err := tx.Subject(actor.Account.ID)
		if err != nil {
			return err
		}
		// The newest pass is the only one: what was made before and lost is dead.
		if err := tx.DropPasses(a.ID); err != nil {
			return err
		}
		if err := tx.AddPass(p); err != nil {
			return err
		}
		return s.note(tx, &a, "pass made", actor.Device.Name, c)
	})
	return secret, p.Expires, err
}

// newSecret makes what a person carries from one device to another: 80 bits
// (NIST SP 800-63B-4 §3.1.2 asks for 64 of look-up secrets), in four groups.
func newSecret() string {
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	var b [16]byte
	rand.Read(b[:])
	out := make([]byte, 0, 19)
	for i, x := range b {
		if i > 0 && i%4 == 0 {
			out = append(out, '-')
		}
		out = append(out, alphabet[x&31])
	}
	return string(out)
}
