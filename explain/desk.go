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
		// Each look is recorded, and the first one since the approval is told.
		_, before, err := desk.Looked(tx, line, approval.At)
		if err != nil {
			return err
		}
		if before == 0 {
			err := s.Desk.Messages.Tell(tx, a, desk.KindLooked, map[string]string{"agent": actor.Account.Identifier, "reference": reference})
			if err != nil {
				return err
			}
		}
		return s.Desk.Look(tx, &a, line)
	})
	if err != nil {
		return cause.Report{}, err
	}
	return s.tell(content, Ask{Reference: reference}, cause.Desk), nil
}
