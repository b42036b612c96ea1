package desk

import (
	"context"
	"errors"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Agent is an account with the role.
type Agent struct {
	store.Agent
	Identifier string
}

// SetRole gives an account the role of an agent, or takes it. It is the
// operator's call.
func (s *Service) SetRole(ctx context.Context, typed string, may bool) error {
	now := s.Gate.Now()
	return s.Store.Update(ctx, func(tx store.Tx) error {
		key := s.Keys.Lookup(identifier.Normalise(typed))
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		if a.Ghost {
			return ErrNoAccount
		}
		r, err := tx.Agent(a.ID)
		none := errors.Is(err, store.ErrNotFound)
		switch {
		case err != nil && !none:
			return err
		case may && !none && r.Removed.IsZero(), !may && (none || !r.Removed.IsZero()):
			return nil
		}
		what := "made an agent of the support desk"
		if may {
			r = store.Agent{Account: a.ID, Added: now}
		} else {
			r.Removed, what = now, "no longer an agent of the support desk"
		}
		if err := tx.SaveAgent(r); err != nil {
			return err
		}
		return incident.Record(tx, &a, store.RingChanges, incident.Content{
			Account: a.ID, Attempt: signin.NewID(), At: now, What: what, Outcome: incident.Done,
			Device: operator.Name, Client: operator.Shown, Address: operator.Address,
		})
	})
}

var operator = gate.Caller{Name: "operator", Shown: "operator", Address: "local"}

// Agents lists the accounts that have the role now.
func (s *Service) Agents(ctx context.Context) ([]Agent, error) {
	var list []Agent
	err := s.Store.View(ctx, func(tx store.Tx) error {
		list = nil
		all, err := tx.Agents()
		if err != nil {
			return err
		}
		for _, r := range all {
			if !r.Removed.IsZero() {
				continue
			}
			a, err := tx.Subject(r.Account)
			if err != nil {
				return err
			}
			list = append(list, Agent{r, a.Identifier})
		}
		return nil
	})
	return list, err
}
