package account

import (
	"context"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Close deletes the account and all that is kept of it, under a grant (a fresh
// proof of the password). Its addresses are told before they go with it. From
// then on its identifier is unknown, like any that never had an account.
func (s *Service) Close(ctx context.Context, actor session.Actor, grant []byte, c gate.Caller) error {
	g, err := s.SignIn.OpenGrant(grant)
	if err != nil || g.Key != c.Key || g.Account != actor.Account.ID || g.Purpose != signin.ToClose {
		return ErrGrant
	}
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.living(tx, actor)
		if err != nil {
			return err
		}
		if a.PasswordChanged.After(g.Proved) {
			return ErrGrant
		}
		if err := s.tell(tx, a, message.AccountClosed, map[string]string{"device": actor.Device.Name}); err != nil {
			return err
		}
		if err := tx.CloseAccount(a.ID); err != nil {
			return err
		}
		return signal.Closed(tx, a, s.Gate.Now())
	})
}
