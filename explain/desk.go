package explain

import (
	"context"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/desk"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

// ForDesk explains one incident to an agent of the support desk, while its
// owner lets them. Whether they may is judged in the transaction that records
// the look, so that nobody is told after the approval or the role was taken.
func (s *Service) ForDesk(ctx context.Context, actor session.Actor, identifier, reference string, c gate.Caller) (cause.Report, error) {
	if !s.enrolled.allow(c.Key, s.Gate.Now()) {
		return cause.Report{}, ErrSlow
	}
	var content incident.Content
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, approval, err := s.Desk.Admit(tx, actor, identifier, reference)
		if err != nil {
			return err
		}
		if content, err = lookup(tx, a.ID, reference); err != nil {
			return err
		}
		line := s.Desk.Line(a, "explanation read", actor, reference, c)
		told, err := s.looked(tx, line, approval)
		if err != nil {
			return err
		}
		if !told {
			err := s.Desk.Messages.Tell(tx, a, desk.KindLooked, map[string]string{"agent": actor.Account.Identifier, "reference": reference})
			if err != nil {
				return err
			}
		}
		return incident.Record(tx, &a, store.RingLooks, line)
	})
	if err != nil {
		return cause.Report{}, err
	}
	return s.tell(content, Ask{Reference: reference}, cause.Desk), nil
}

// looked reports whether the same agent has looked since the owner's approval:
// each look is recorded, and the first one is told.
func (s *Service) looked(tx store.Tx, now incident.Content, since store.Approval) (bool, error) {
	entries, err := tx.Ledger(now.Account)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Ring != store.RingLooks || e.At.Before(since.At) {
			continue
		}
		l, err := incident.Read(e)
		if err != nil {
			return false, err
		}
		if l.What == now.What && l.Audience == now.Audience && l.About == now.About && l.Device == now.Device {
			return true, nil
		}
	}
	return false, nil
}
