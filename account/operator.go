package account

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/policy"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// operator is the caller of what is done over the operator's socket.
var operator = gate.Caller{Name: "operator", Shown: "operator", Address: "local"}

// Invite lets the person with this identifier sign up. For an account that
// exists it makes a pass that stands in for the code of one new device, for
// somebody who has no enrolled device left; the password is needed all the same.
func (s *Service) Invite(ctx context.Context, typed string) (string, time.Time, error) {
	id := identifier.Normalise(typed)
	if !identifier.Valid(id) {
		return "", time.Time{}, ErrIdentifier
	}
	now := s.Gate.Now()
	secret := newSecret()
	key := s.Keys.Lookup(id)
	expires := now.Add(InvitationLife)
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		if a.Ghost {
			return tx.AddInvitation(store.Invitation{Hash: signin.HashPass(secret), Identifier: id, Created: now, Expires: expires})
		}
		if err := tx.AddPass(store.Pass{Hash: signin.HashPass(secret), Account: a.ID, Created: now, Expires: expires}); err != nil {
			return err
		}
		return s.note(tx, &a, "operator's pass made", operator.Name, operator)
	})
	return secret, expires, err
}

// Disable refuses every way into the account until Enable.
func (s *Service) Disable(ctx context.Context, identifier string) error {
	return s.change(ctx, identifier, "account disabled", signal.AccountDisabled, func(a *store.Subject) bool {
		if !a.Disabled.IsZero() {
			return false
		}
		a.Disabled = s.Gate.Now()
		return true
	})
}

// Enable undoes Disable.
func (s *Service) Enable(ctx context.Context, identifier string) error {
	return s.change(ctx, identifier, "account enabled", signal.AccountEnabled, func(a *store.Subject) bool {
		if a.Disabled.IsZero() {
			return false
		}
		a.Disabled = time.Time{}
		return true
	})
}

func (s *Service) change(ctx context.Context, identifier, what, kind string, f func(*store.Subject) bool) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.find(tx, identifier)
		if err != nil {
			return err
		}
		if !f(&a) {
			return nil
		}
		if err := signal.Raise(tx, &a, kind, signal.Detail{By: signal.ByAdmin}, s.Gate.Now()); err != nil {
			return err
		}
		return s.note(tx, &a, what, operator.Name, operator)
	})
}

func (s *Service) find(tx store.Tx, typed string) (store.Subject, error) {
	key := s.Keys.Lookup(identifier.Normalise(typed))
	a, err := tx.Find(key, store.StandKey(key))
	if err == nil && a.Ghost {
		err = ErrNoAccount
	}
	return a, err
}

// Find returns an account, or ErrNoAccount.
func (s *Service) Find(ctx context.Context, identifier string) (a store.Subject, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		a, err = s.find(tx, identifier)
		return err
	})
	return a, err
}

// Unlock forgets the failures of strangers, devices and codes.
func (s *Service) Unlock(ctx context.Context, identifier string) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.find(tx, identifier)
		if err != nil {
			return err
		}
		devices, err := tx.Devices(a.ID)
		if err != nil {
			return err
		}
		for _, d := range devices {
			d.Hot.Own = lockout.State{}
			if err := tx.SaveDeviceHot(a.ID, d.ID, d.Hot); err != nil {
				return err
			}
		}
		if err := tx.SaveStrangers(store.LaneOf(a.Key), lockout.State{}); err != nil {
			return err
		}
		a.Hot.StrangerFailures, a.Hot.CodeFailures = 0, 0
		return s.note(tx, &a, "unlocked", operator.Name, operator)
	})
}

// Listed is an account as the operator sees it.
type Listed struct {
	store.Subject
	Devices   int // enrolled now
	Strangers lockout.State
}

// List returns all accounts.
func (s *Service) List(ctx context.Context) ([]Listed, error) {
	var list []Listed
	err := s.Store.View(ctx, func(tx store.Tx) error {
		list = nil
		all, err := tx.Accounts()
		if err != nil {
			return err
		}
		for _, a := range all {
			l := Listed{Subject: a}
			devices, err := tx.Devices(a.ID)
			if err != nil {
				return err
			}
			for _, d := range devices {
				if d.Removed.IsZero() {
					l.Devices++
				}
			}
			if l.Strangers, err = tx.Strangers(store.LaneOf(a.Key)); err != nil {
				return err
			}
			list = append(list, l)
		}
		return nil
	})
	return list, err
}

// LoadPolicy puts the stored policy in force.
func (s *Service) LoadPolicy(ctx context.Context) error {
	var p policy.Policy
	err := s.Store.View(ctx, func(tx store.Tx) error {
		b, err := tx.Policy()
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &p)
	})
	if err == nil {
		s.Gate.SetPolicy(p)
	}
	return err
}

// SetPolicy stores a policy and puts it in force.
func (s *Service) SetPolicy(ctx context.Context, p policy.Policy) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := s.Store.Update(ctx, func(tx store.Tx) error { return tx.SavePolicy(b) }); err != nil {
		return err
	}
	s.Gate.SetPolicy(p)
	return nil
}
