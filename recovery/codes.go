package recovery

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// Codes is how many recovery codes are made at once.
	Codes = 10
	// codeBytes of 80 bits: the norm asks for 64 (NIST SP 800-63B-4 §4.2.1.1).
	codeBytes = 10
)

// hash is what is kept of a recovery code.
func (s *Service) hash(account store.ID, code string) [32]byte {
	return s.Keys.Recovery("recovery code", append(account[:], plain(code)...))
}

// MakeCodes makes ten new codes, told this once; the former are dead. It needs
// a fresh proof, of the session or by a grant: whoever holds a device could
// otherwise make himself the second way to its account.
func (s *Service) MakeCodes(ctx context.Context, actor session.Actor, grant []byte, c gate.Caller) ([]string, error) {
	if err := s.fresh(actor, grant, c); err != nil {
		return nil, err
	}
	now := s.Gate.Now()
	codes, rows := make([]string, Codes), make([]store.RecoveryCode, Codes)
	for i := range codes {
		var b [codeBytes]byte
		rand.Read(b[:])
		codes[i] = spell(b[:])
		rows[i] = store.RecoveryCode{Account: actor.Account.ID, Hash: s.hash(actor.Account.ID, codes[i]), Created: now}
	}
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.acting(tx, actor)
		if err != nil {
			return err
		}
		if err := tx.ReplaceRecoveryCodes(a.ID, rows); err != nil {
			return err
		}
		if err := s.Messages.Tell(tx, a, kindCodesMade, map[string]string{"device": actor.Device.Name}); err != nil {
			return err
		}
		return s.note(tx, &a, "recovery codes made", actor.Device.Name, c)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}

// acting reads the account again, inside the transaction that changes it: it
// and the session may have ended since the gate looked.
func (s *Service) acting(tx store.Tx, actor session.Actor) (store.Subject, error) {
	a, err := tx.Subject(actor.Account.ID)
	if err != nil {
		return a, err
	}
	n, err := tx.Session(actor.Session.ID)
	if err == nil && (!n.Ended.IsZero() || !a.Disabled.IsZero()) {
		err = ErrFresh
	}
	return a, err
}

func (s *Service) fresh(actor session.Actor, grant []byte, c gate.Caller) error {
	if len(grant) == 0 {
		if !s.Gate.Fresh(actor.Session) {
			return ErrFresh
		}
		return nil
	}
	g, err := s.SignIn.OpenGrant(grant)
	if err != nil || g.Key != c.Key || g.Account != actor.Account.ID || g.Purpose != signin.ToChangeSettings || actor.Account.PasswordChanged.After(g.Proved) {
		return ErrFresh
	}
	return nil
}

func (s *Service) note(tx store.Tx, a *store.Subject, what, device string, c gate.Caller) error {
	return incident.Record(tx, a, store.RingChanges, incident.Content{
		Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Done,
		Device: device, Client: c.Shown, Address: c.Address,
	})
}

// CountCodes tells how many codes are left, and when they were made.
func (s *Service) CountCodes(ctx context.Context, actor session.Actor) (left int, made time.Time, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		left, made = 0, time.Time{}
		all, err := tx.RecoveryCodes(actor.Account.ID)
		for _, x := range all {
			made = x.Created
			if x.Used.IsZero() {
				left++
			}
		}
		return err
	})
	return left, made, err
}

// UseCode uses up a recovery code of an account for something else than a
// recovery. It reports whether there was such a code.
func (s *Service) UseCode(tx store.Tx, account store.ID, code string) (bool, error) {
	err := tx.UseRecoveryCode(account, s.hash(account, code), s.Gate.Now())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
