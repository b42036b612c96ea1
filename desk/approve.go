package desk

import (
	"context"
	"crypto/rand"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Approvals lists, for the owner, what the desk may see and what it asks for.
func (s *Service) Approvals(ctx context.Context, actor session.Actor) (given []store.Approval, asks []Act, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		given, asks = nil, nil
		all, err := tx.Approvals(actor.Account.ID)
		if err != nil {
			return err
		}
		given = all
		waiting, err := s.waiting(tx, actor.Account.ID, func(d store.DeskAct) bool { return true })
		if err != nil {
			return err
		}
		for _, w := range waiting {
			if _, err := s.approval(tx, actor.Account.ID, w.Reference); err != nil || w.Kind != asked {
				asks = append(asks, w)
			}
		}
		return nil
	})
	return given, asks, err
}

// inLedger reports whether the account has such an incident.
func inLedger(tx store.Tx, account store.ID, reference string) (bool, error) {
	all, err := tx.Ledger(account)
	for _, e := range all {
		if e.Reference == reference && e.Ring != store.RingLooks {
			return true, nil
		}
	}
	return false, err
}

// Approve lets the desk see one incident. It lets nobody in.
func (s *Service) Approve(ctx context.Context, actor session.Actor, reference string, c gate.Caller) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.owner(tx, actor)
		if err != nil {
			return err
		}
		there, err := inLedger(tx, a.ID, reference)
		if err != nil {
			return err
		}
		if !there {
			return ErrNoIncident
		}
		return s.approve(tx, &a, reference, actor.Device.Name, c)
	})
}

// owner is the account as it is now, by a session that still lives.
func (s *Service) owner(tx store.Tx, actor session.Actor) (store.Subject, error) {
	a, err := tx.Subject(actor.Account.ID)
	if err != nil {
		return a, err
	}
	n, err := tx.Session(actor.Session.ID)
	if err == nil && (!n.Ended.IsZero() || !a.Disabled.IsZero()) {
		err = session.ErrNone
	}
	return a, err
}

func (s *Service) approve(tx store.Tx, a *store.Subject, reference, by string, c gate.Caller) error {
	now := s.Gate.Now()
	err := tx.SaveApproval(store.Approval{Account: a.ID, Reference: reference, At: now, Expires: now.Add(ApprovalLife), By: by})
	if err != nil {
		return err
	}
	return s.said(tx, a, "support's look approved", reference, by, c)
}

func (s *Service) said(tx store.Tx, a *store.Subject, what, reference, by string, c gate.Caller) error {
	return incident.Record(tx, a, store.RingChanges, incident.Content{
		Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Done,
		Device: by, Client: c.Shown, Address: c.Address, Audience: cause.Owner.String(), About: reference,
	})
}

// ApproveByCode is Approve for an owner who has no device left: it uses up a
// recovery code. Whoever has none is told the same of every identifier.
func (s *Service) ApproveByCode(ctx context.Context, typed, reference, code string, c gate.Caller) (store.ID, *gate.Refusal, error) {
	if len(typed) > identifier.Max || len(code) > 64 {
		return store.ID{}, nil, signin.ErrForm
	}
	if err := s.Recovery.Slow(c); err != nil {
		return store.ID{}, nil, err
	}
	key := s.Keys.Lookup(identifier.Normalise(typed))
	var content incident.Content
	var of store.ID
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		of = a.ID
		content = incident.Content{
			Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: "support's look", Outcome: incident.Refused,
			Facts: append(s.Gate.Public(c, false), s.Gate.Account(a)...), Device: c.Name, Client: c.Shown, Address: c.Address,
		}
		there, err := inLedger(tx, a.ID, reference)
		if err != nil {
			return err
		}
		using := code
		if !there || len(content.Facts) > 0 {
			using = rand.Text() // a code that leads to nothing is not used up
		}
		right, err := s.Recovery.UseCode(tx, a.ID, using)
		if err != nil {
			return err
		}
		if !right {
			content.Facts = append(content.Facts, cause.Note(cause.CheckRecoveryCode, cause.Word("right"), cause.Word("wrong"), cause.ByServer))
			return incident.Record(tx, &a, store.RingStrangers, content)
		}
		content.Outcome = incident.Done
		return s.approve(tx, &a, reference, "recovery-code", c)
	})
	if err != nil {
		return of, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return store.ID{}, refusal, err
	}
	return of, nil, nil
}

// Revoke takes an approval back; the desk's next call finds none.
func (s *Service) Revoke(ctx context.Context, actor session.Actor, reference string, c gate.Caller) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.owner(tx, actor)
		if err != nil {
			return err
		}
		p, err := s.approval(tx, a.ID, reference)
		if err != nil {
			return err
		}
		p.Revoked = s.Gate.Now()
		if err := tx.SaveApproval(p); err != nil {
			return err
		}
		return s.said(tx, &a, "support's look taken back", reference, actor.Device.Name, c)
	})
}
