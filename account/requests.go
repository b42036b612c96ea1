package account

import (
	"context"
	"errors"
	"slices"
	"time"

	"readmit.dev/readmit/code"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// ShortID is the name under which enrolled devices see a request.
func ShortID(attempt store.ID) string { return incident.Reference(attempt)[:4] }

// Requests lists who asks to sign in, newest first. It keeps nothing: what is
// written towards a device need not reach it, since a machine that sleeps still
// takes what comes into its sockets.
func (s *Service) Requests(ctx context.Context, actor session.Actor) ([]store.Request, error) {
	var list []store.Request
	err := s.Store.View(ctx, func(tx store.Tx) error {
		all, err := tx.Requests(actor.Account.ID)
		list = slices.DeleteFunc(all, func(r store.Request) bool { return s.Gate.Now().After(r.Expires) })
		return err
	})
	return list, err
}

// FetchRequests lists them for a device that asks for them itself, and keeps that
// it did: it is what tells an undelivered request.
func (s *Service) FetchRequests(ctx context.Context, actor session.Actor) ([]store.Request, error) {
	list, err := s.Requests(ctx, actor)
	if err != nil || !slices.ContainsFunc(list, func(r store.Request) bool { return r.Seen.IsZero() }) {
		return list, err
	}
	return list, s.Store.Update(ctx, func(tx store.Tx) error {
		for _, r := range list {
			if err := s.markSeen(tx, r.ID, actor); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) markSeen(tx store.Tx, id store.ID, actor session.Actor) error {
	r, err := tx.Request(id)
	if errors.Is(err, store.ErrNotFound) { // it has given way to newer ones since
		return nil
	}
	if err != nil || !r.Seen.IsZero() {
		return err
	}
	r.Seen, r.SeenBy = s.Gate.Now(), actor.Device.ID
	return tx.SaveRequest(r)
}

// Allow lets the new device in if it knows the code, and returns the code of
// the moment and how long it stays. Asking again gives the next one. Where
// another device has allowed it, its code is shown here too: two that took turns
// would make each other's worthless.
func (s *Service) Allow(ctx context.Context, actor session.Actor, shortID string, c gate.Caller) (store.Request, code.Code, time.Duration, error) {
	var r store.Request
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		var err error
		if r, err = s.waiting(tx, actor, shortID); err != nil {
			return err
		}
		devices, err := tx.Devices(actor.Account.ID)
		if err != nil {
			return err
		}
		enrolled := func(d store.Device) bool { return d.ID == r.AllowedBy && d.Removed.IsZero() }
		if !r.Allowed.IsZero() && slices.ContainsFunc(devices, enrolled) {
			return nil
		}
		now := s.Gate.Now()
		r.Allowed, r.AllowedBy = now, actor.Device.ID
		if r.Seen.IsZero() {
			r.Seen, r.SeenBy = now, actor.Device.ID
		}
		if err := errors.Join(tx.SaveRequest(r), signal.Poke(tx, r.Account, s.Gate.Now())); err != nil {
			return err
		}
		a, err := tx.Subject(actor.Account.ID)
		if err != nil {
			return err
		}
		return s.note(tx, &a, "request allowed", actor.Device.Name, c)
	})
	if err != nil {
		return r, "", 0, err
	}
	shown, _, left := code.ForAttempt(s.Keys.Code(), r.ID, r.AllowedBy, r.Allowed, s.Gate.Now())
	return r, shown, left, nil
}

// Deny ends the attempt.
func (s *Service) Deny(ctx context.Context, actor session.Actor, shortID string, c gate.Caller) (store.Request, error) {
	var r store.Request
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		var err error
		if r, err = s.waiting(tx, actor, shortID); err != nil {
			return err
		}
		r.Denied, r.DeniedBy = s.Gate.Now(), actor.Device.ID
		r.Done = r.Denied
		if err := errors.Join(tx.SaveRequest(r), signal.Poke(tx, r.Account, s.Gate.Now())); err != nil {
			return err
		}
		a, err := tx.Subject(actor.Account.ID)
		if err != nil {
			return err
		}
		return s.note(tx, &a, "request denied", actor.Device.Name, c)
	})
	return r, err
}

func (s *Service) waiting(tx store.Tx, actor session.Actor, shortID string) (store.Request, error) {
	if err := s.still(tx, actor); err != nil {
		return store.Request{}, err
	}
	all, err := tx.Requests(actor.Account.ID)
	if err != nil {
		return store.Request{}, err
	}
	for _, r := range all {
		if ShortID(r.ID) == shortID && r.Done.IsZero() && !s.Gate.Now().After(r.Expires) {
			return r, nil
		}
	}
	return store.Request{}, ErrNoRequest
}
