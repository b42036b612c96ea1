package recovery

import (
	"context"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Shown is a case as the account's devices see it.
type Shown struct {
	store.Recovery
	ID     string // short
	State  string
	Proofs []string
}

func (s *Service) shownTo(r store.Recovery, a store.Subject) (Shown, bool) {
	id := r.ID
	if isPlace(r, a.ID) >= 0 {
		if id = held(r); id.IsZero() || s.Gate.Now().After(r.Expires) {
			return Shown{}, false
		}
	}
	return Shown{Recovery: r, ID: ShortID(id), State: s.state(r, a), Proofs: proofs(r)}, true
}

// List shows the account's cases, newest first.
func (s *Service) List(ctx context.Context, actor session.Actor) ([]Shown, error) {
	var list []Shown
	err := s.Store.View(ctx, func(tx store.Tx) error {
		list = nil
		all, err := tx.Recoveries(actor.Account.ID)
		for _, r := range all {
			if x, ok := s.shownTo(r, actor.Account); ok {
				list = append(list, x)
			}
		}
		return err
	})
	return list, err
}

// running finds the case of a short name that can still come to something.
func (s *Service) running(tx store.Tx, actor session.Actor, shortID string) (store.Subject, store.Recovery, store.ID, error) {
	a, err := s.acting(tx, actor)
	if err != nil {
		return a, store.Recovery{}, store.ID{}, err
	}
	all, err := tx.Recoveries(a.ID)
	if err != nil {
		return a, store.Recovery{}, store.ID{}, err
	}
	for _, r := range all {
		x, ok := s.shownTo(r, a)
		if !ok || x.ID != shortID || x.State != Unproved && x.State != Waiting && x.State != Open {
			continue
		}
		id := r.ID
		if isPlace(r, a.ID) >= 0 {
			id = held(r)
		}
		return a, r, id, nil
	}
	return a, store.Recovery{}, store.ID{}, ErrNone
}

// Approve lets an enrolled device vouch for a case. It shows a code, which the
// person types where the case was begun: a bare "yes" would be given to the
// wrong one. The device that has itself begun the case needs none.
func (s *Service) Approve(ctx context.Context, actor session.Actor, shortID string, c gate.Caller) (x Shown, code string, left time.Duration, err error) {
	now := s.Gate.Now()
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		code, left = "", 0
		a, r, id, err := s.running(tx, actor, shortID)
		if err != nil {
			return err
		}
		if !r.ByDeviceAt.IsZero() {
			return ErrGiven
		}
		anew := r.ByDevice != actor.Device.ID
		r.ByDevice = actor.Device.ID
		if r.Thumbprint == c.Key {
			content := s.content(a, r, "", c)
			content.Outcome = incident.Done
			if err := tx.SaveRecovery(r); err != nil {
				return err
			}
			if r, err = s.give(tx, &a, claim{ID: id, By: c.Key, Opened: r.Opened}, r, isPlace(r, a.ID), ByDevice, c, &content); err != nil {
				return err
			}
			x, _ = s.shownTo(r, a)
			return nil
		}
		x, _ = s.shownTo(r, a)
		code = spell(s.bound("recovery device code", id, r.ByDevice, step(now, deviceWindow), deviceBytes))
		left = deviceWindow - time.Duration(now.UnixNano())%deviceWindow
		if !anew {
			return nil
		}
		if err := tx.SaveRecovery(r); err != nil {
			return err
		}
		return s.note(tx, &a, "recovery approved", actor.Device.Name, c)
	})
	return x, code, left, err
}

// Cancel stops a case from one of the account's devices.
func (s *Service) Cancel(ctx context.Context, actor session.Actor, shortID string, c gate.Caller) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, r, id, err := s.running(tx, actor, shortID)
		if err != nil {
			return err
		}
		if isPlace(r, a.ID) >= 0 {
			// A row of its own: its place may be given to another.
			own := r
			own.ID, own.CancelHash, own.Cancelled, own.CancelledBy = id, [32]byte{}, s.Gate.Now(), actor.Device.Name
			if err := s.leave(tx, r); err != nil {
				return err
			}
			if err := tx.AddRecovery(own); err != nil {
				return err
			}
			return s.note(tx, &a, "recovery stopped", actor.Device.Name, c)
		}
		return s.cancel(tx, &a, r, "by", actor.Device.Name, c)
	})
}

// cancel stops a case. as is what messages know by as: a name, or one of their
// own words.
func (s *Service) cancel(tx store.Tx, a *store.Subject, r store.Recovery, as, by string, c gate.Caller) error {
	r.Cancelled, r.CancelledBy = s.Gate.Now(), by
	if err := tx.SaveRecovery(r); err != nil {
		return err
	}
	if err := s.tellAll(tx, *a, r, kindCancelled, map[string]string{as: by}); err != nil {
		return err
	}
	return s.note(tx, a, "recovery stopped", by, c)
}

// CancelByWord stops the case that the word of a message belongs to. Who has
// the message needs nothing else.
func (s *Service) CancelByWord(ctx context.Context, word string, c gate.Caller) (of store.ID, err error) {
	if len(word) > 64 {
		return of, signin.ErrForm
	}
	if err := s.Slow(c); err != nil {
		return of, err
	}
	id := s.ofWord(word)
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		r, err := tx.Recovery(id)
		if err != nil {
			return err
		}
		a, err := tx.Subject(r.Account)
		if err != nil {
			return err
		}
		// The desk's word gives a case to a person; it was in no message.
		if st := s.state(r, a); !proved(r) || st != Waiting && st != Open {
			return store.ErrNotFound
		}
		of = a.ID
		return s.cancel(tx, &a, r, "whom", message.WhoHasWord, c)
	})
	return of, notFound(err)
}
