package account

import (
	"context"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// SignOutEverywhere ends every session of the account, the actor's too. The
// devices stay enrolled. It tells how many ended.
func (s *Service) SignOutEverywhere(ctx context.Context, actor session.Actor, c gate.Caller) (int, error) {
	ended := 0
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := tx.Subject(actor.Account.ID)
		if err != nil {
			return err
		}
		now := s.Gate.Now()
		if ended, err = tx.EndSessions(a.ID, store.ID{}, store.ID{}, now, actor.Device.ID, store.EndSignedOut); err != nil {
			return err
		}
		if err := signal.Raise(tx, &a, signal.SessionsEnded, signal.Detail{By: signal.ByUser}, now); err != nil {
			return err
		}
		if err := s.tell(tx, a, message.SignedOut, map[string]string{"device": actor.Device.Name}); err != nil {
			return err
		}
		return s.note(tx, &a, "signed out everywhere", actor.Device.Name, c)
	})
	return ended, err
}
