package desk

import (
	"context"
	"errors"
	"slices"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Outcome of an act.
type Outcome struct {
	Act  store.ID // that waits for a second agent; zero when it was done
	Word string   // of a recovery that was begun: the person types it
	Of   store.ID // whose devices have news
}

// whats are the ledger's words.
var whats = map[string]string{
	StartRecovery: "recovery begun by support", EndSessions: "sessions ended by support",
	Unlock: "unlocked by support", RemoveFactors: "devices and passkeys removed by support",
}

// Act does one thing in an account whose owner has approved the incident, or
// asks for what needs two agents.
func (s *Service) Act(ctx context.Context, actor session.Actor, identifier, reference, kind string, c gate.Caller) (Outcome, error) {
	if !slices.Contains(Acts, kind) {
		return Outcome{}, signin.ErrForm
	}
	var out Outcome
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		out = Outcome{}
		a, _, err := s.Admit(tx, actor, identifier, reference)
		if err != nil {
			return err
		}
		out.Of = a.ID
		if err := s.often(tx, a.ID, kind, actor); err != nil {
			return err
		}
		d := s.newAct(a.ID, reference, kind, actor)
		if !slices.Contains(Alone, kind) {
			out.Act, err = s.propose(tx, &a, d, actor, c)
			return err
		}
		d.Done = s.Gate.Now()
		if err := tx.AddDeskAct(d); err != nil {
			return err
		}
		out.Word, err = s.do(tx, &a, d, actor, c)
		return err
	})
	return out, err
}

// propose writes down what needs another agent. Asked twice, it waits once.
func (s *Service) propose(tx store.Tx, a *store.Subject, d store.DeskAct, actor session.Actor, c gate.Caller) (store.ID, error) {
	waiting, err := s.waiting(tx, a.ID, func(w store.DeskAct) bool { return w.Kind == d.Kind && w.Reference == d.Reference })
	if err != nil {
		return store.ID{}, err
	}
	if len(waiting) > 0 {
		return waiting[0].ID, nil
	}
	if err := tx.AddDeskAct(d); err != nil {
		return store.ID{}, err
	}
	if err := s.tell(tx, *a, kindAsked, actor, d.Reference); err != nil {
		return store.ID{}, err
	}
	return d.ID, incident.Record(tx, a, store.RingChanges, s.Line(*a, "asked for: "+whats[d.Kind], actor, d.Reference, c))
}

// Agree is the second agent's word. Everything is judged again: both agents,
// the approval, the account.
func (s *Service) Agree(ctx context.Context, actor session.Actor, act store.ID, c gate.Caller) (Outcome, error) {
	var out Outcome
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		out = Outcome{}
		if err := s.agent(tx, actor); err != nil {
			return err
		}
		d, err := tx.DeskAct(act)
		if errors.Is(err, store.ErrNotFound) || err == nil && (d.Kind == asked || !d.Done.IsZero() || s.Gate.Now().After(d.Expires)) {
			return ErrNoAct
		}
		if err != nil {
			return err
		}
		if d.AskedBy == actor.Account.ID {
			return ErrSame
		}
		if d.Account == actor.Account.ID {
			return ErrOwn
		}
		first, err := tx.Agent(d.AskedBy)
		if errors.Is(err, store.ErrNotFound) || err == nil && !first.Removed.IsZero() {
			return ErrNoAct // who asked may no longer
		}
		if err != nil {
			return err
		}
		a, err := tx.Subject(d.Account)
		if err != nil {
			return err
		}
		if _, err := s.approval(tx, a.ID, d.Reference); err != nil {
			return err
		}
		d.AgreedBy, d.Agreed, d.Done = actor.Account.ID, s.Gate.Now(), s.Gate.Now()
		if err := tx.SaveDeskAct(d); err != nil {
			return err
		}
		out.Of = a.ID
		out.Word, err = s.do(tx, &a, d, actor, c)
		return err
	})
	return out, err
}

// do carries an act out. The owner is told, and the ledger says who did it.
func (s *Service) do(tx store.Tx, a *store.Subject, d store.DeskAct, actor session.Actor, c gate.Caller) (word string, err error) {
	now := s.Gate.Now()
	switch d.Kind {
	case StartRecovery:
		word, err = s.Recovery.Begin(tx, a.ID, actor.Account.ID)
	case EndSessions:
		if _, err = tx.EndSessions(a.ID, store.ID{}, store.ID{}, now, store.ID{}, store.EndSignedOut); err == nil {
			err = signal.Raise(tx, a, signal.SessionsEnded, signal.Detail{By: signal.ByAdmin}, now)
		}
	case Unlock:
		err = tx.SaveStrangers(store.LaneOf(a.Key), lockout.State{})
		a.Hot.StrangerFailures = 0
	case RemoveFactors:
		if err = s.removeFactors(tx, a); err == nil {
			err = signal.Raise(tx, a, signal.FactorChanged, signal.Detail{By: signal.ByAdmin}, now)
		}
	}
	if err != nil {
		return "", err
	}
	if d.Kind == RemoveFactors {
		err = s.Messages.Tell(tx, *a, kindRemoved, map[string]string{"agent": actor.Account.Identifier})
	} else {
		err = s.tell(tx, *a, kindActed, actor, d.Reference)
	}
	if err != nil {
		return "", err
	}
	return word, incident.Record(tx, a, store.RingChanges, s.Line(*a, whats[d.Kind], actor, d.Reference, c))
}

// removeFactors takes away every device and passkey: for an owner whose devices
// are in other hands. The password stays, and gets nobody in by itself.
func (s *Service) removeFactors(tx store.Tx, a *store.Subject) error {
	now := s.Gate.Now()
	devices, err := tx.Devices(a.ID)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if !d.Removed.IsZero() {
			continue
		}
		d.Removed = now
		if err := tx.SaveDevice(d); err != nil {
			return err
		}
	}
	if _, err := tx.EndSessions(a.ID, store.ID{}, store.ID{}, now, store.ID{}, store.EndDeviceRemoved); err != nil {
		return err
	}
	passkeys, err := tx.Passkeys(a.ID)
	if err != nil {
		return err
	}
	for _, p := range passkeys {
		if err := tx.DropPasskey(a.ID, p.Credential); err != nil {
			return err
		}
	}
	if err := tx.DropPasses(a.ID); err != nil {
		return err
	}
	requests, err := tx.Requests(a.ID)
	if err != nil {
		return err
	}
	for _, r := range requests {
		if r.Done.IsZero() {
			r.Done = now
			if err := tx.SaveRequest(r); err != nil {
				return err
			}
		}
	}
	return nil
}
