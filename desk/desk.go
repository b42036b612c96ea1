// Package desk is the support desk: accounts of this server whose owners help
// others. An agent finds an account and learns nothing of it; what a refusal's
// explanation says is the owner's to let them see, one incident at a time.
//
// The rules it keeps:
//
//   - Nobody becomes an agent but by the operator's word, and from the moment
//     that is taken back they are none.
//   - Every call rests on a proof of the agent's own password within the last
//     hour, and is judged inside the transaction that does it: role, approval
//     and account as they are then.
//   - The list of what an agent can do is closed. Nothing on it reads or sets a
//     password, reads a code, signs in as another or shortens a wait.
//   - What lowers the security of an account needs two agents.
//   - Each look and each act stands in the owner's ledger under the agent's
//     identifier, and the owner's addresses are told.
package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// ApprovalLife is how long an owner's approval is good.
	ApprovalLife = 24 * time.Hour
	// ActLife is how long a question or an act waits for its answer.
	ActLife = 24 * time.Hour
	// waitingAtOnce is how much of it waits at one account.
	waitingAtOnce = 10
)

// Kinds of acts. This is all that the desk can do.
const (
	asked         = "ask" // to see an incident
	StartRecovery = "start-recovery"
	EndSessions   = "end-sessions"
	Unlock        = "unlock"         // the strangers' way in
	RemoveFactors = "remove-factors" // every device and passkey; two agents
)

// Acts lists what can be asked for; Alone what one agent can do.
var (
	Acts  = []string{StartRecovery, EndSessions, Unlock, RemoveFactors}
	Alone = []string{StartRecovery, EndSessions, Unlock}
)

// Kinds of messages; package message has their texts.
const (
	kindAsked   = "desk-asked"
	kindFound   = "desk-found"
	KindLooked  = "desk-looked"
	kindActed   = "desk-acted"
	kindRemoved = "factor-removed"
)

var (
	// ErrNoAgent: the account does not work at the desk, or no longer.
	ErrNoAgent = errors.New("this account does not work at the support desk")
	// ErrFresh: the agent's proof is too old.
	ErrFresh = errors.New("the desk needs a fresh proof of your password: sign in again")
	// ErrNoAccount: no such account.
	ErrNoAccount = errors.New("there is no account with that identifier")
	// ErrOwn: an agent's own account.
	ErrOwn = errors.New("nobody supports their own account: another agent has to")
	// ErrNotApproved: the owner has not approved this incident, or no longer.
	ErrNotApproved = errors.New("the owner has not approved this incident, or has taken it back: ask")
	// ErrNoIncident: the owner's ledger has no such reference.
	ErrNoIncident = errors.New("this account's ledger has no incident with this reference")
	// ErrNoAct: nothing of that name waits for a second agent.
	ErrNoAct = errors.New("no act of that name waits for a second agent")
	// ErrSame: the agent who asked cannot agree too.
	ErrSame = errors.New("this needs two agents: another one has to agree")
	// ErrSlow: too much waits already.
	ErrSlow = errors.New("too much waits for this owner already: wait for an answer")
)

// Service is the desk.
type Service struct {
	Store    store.Store
	Gate     *gate.Gate
	Keys     *keys.Ring
	Recovery *recovery.Service
	Messages recovery.Messages

	calls limiter
}

// agent judges whether the actor works at the desk now, by a living session
// with a fresh proof.
func (s *Service) agent(tx store.Tx, actor session.Actor) error {
	r, err := tx.Agent(actor.Account.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !r.Removed.IsZero() {
		return ErrNoAgent
	}
	if err != nil {
		return err
	}
	a, err := tx.Subject(actor.Account.ID)
	if err != nil {
		return err
	}
	n, err := tx.Session(actor.Session.ID)
	if err != nil {
		return err
	}
	if !a.Disabled.IsZero() || !n.Ended.IsZero() || !s.Gate.Fresh(n) {
		return ErrFresh
	}
	return nil
}

// meet is what begins each of the desk's calls.
func (s *Service) meet(tx store.Tx, actor session.Actor, typed string) (store.Subject, error) {
	if err := s.agent(tx, actor); err != nil {
		return store.Subject{}, err
	}
	if !s.calls.allow(actor.Account.ID, s.Gate.Now()) {
		return store.Subject{}, ErrOften
	}
	if len(typed) > identifier.Max {
		return store.Subject{}, ErrNoAccount
	}
	key := s.Keys.Lookup(identifier.Normalise(typed))
	a, err := tx.Find(key, store.StandKey(key))
	switch {
	case err != nil:
		return a, err
	case a.Ghost:
		return a, ErrNoAccount
	case a.ID == actor.Account.ID:
		return a, ErrOwn
	}
	return a, nil
}

// Admit lets an agent see one incident of one account, if its owner does.
func (s *Service) Admit(tx store.Tx, actor session.Actor, identifier, reference string) (store.Subject, store.Approval, error) {
	a, err := s.meet(tx, actor, identifier)
	if err != nil {
		return a, store.Approval{}, err
	}
	p, err := s.approval(tx, a.ID, reference)
	return a, p, err
}

func (s *Service) approval(tx store.Tx, account store.ID, reference string) (store.Approval, error) {
	all, err := tx.Approvals(account)
	if err != nil {
		return store.Approval{}, err
	}
	for _, p := range all {
		if p.Reference == reference && s.live(p) {
			return p, nil
		}
	}
	return store.Approval{}, ErrNotApproved
}

func (s *Service) live(p store.Approval) bool {
	return p.Revoked.IsZero() && s.Gate.Now().Before(p.Expires)
}

// Line is a line of the owner's ledger about something the desk did.
func (s *Service) Line(a store.Subject, what string, actor session.Actor, reference string, c gate.Caller) incident.Content {
	return incident.Content{
		Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Done,
		Device: cause.Identifier(actor.Account.Identifier).String(), Client: c.Shown, Address: c.Address,
		Audience: cause.Desk.String(), About: reference,
	}
}

// Known is what an agent sees of an account: that there is one, and what its
// owner has let the desk do.
type Known struct {
	Of       store.ID // whose devices have news; zero where nothing was written down
	Account  string
	Approved []store.Approval
	Waiting  []Act
}

// Act is an act that waits, or was done.
type Act struct {
	store.DeskAct
	By string // the identifier of the agent who asked
}

// Account finds an account. That somebody did is a line the owner sees: one for
// each agent and hour, or an agent's look-ups would push out all looks of before.
// The first one of an agent on a day (UTC) is told to the owner's addresses.
func (s *Service) Account(ctx context.Context, actor session.Actor, typed string, c gate.Caller) (Known, error) {
	var out Known
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.meet(tx, actor, typed)
		if err != nil {
			return err
		}
		out = Known{Account: a.Identifier}
		approvals, err := tx.Approvals(a.ID)
		if err != nil {
			return err
		}
		for _, p := range approvals {
			if s.live(p) {
				out.Approved = append(out.Approved, p)
			}
		}
		if out.Waiting, err = s.waiting(tx, a.ID, func(d store.DeskAct) bool { return d.Kind != asked }); err != nil {
			return err
		}
		line := s.Line(a, "account looked up", actor, "", c)
		if _, same, err := Looked(tx, line, line.At.Add(-lookedUpOnce)); err != nil || same > 0 {
			return err
		}
		out.Of = a.ID
		_, today, err := Looked(tx, line, line.At.UTC().Truncate(day))
		if err != nil {
			return err
		}
		if today == 0 {
			if err := s.Messages.Tell(tx, a, kindFound, map[string]string{"agent": actor.Account.Identifier}); err != nil {
				return err
			}
		}
		return s.Look(tx, &a, line)
	})
	return out, err
}

func (s *Service) waiting(tx store.Tx, account store.ID, which func(store.DeskAct) bool) ([]Act, error) {
	all, err := tx.DeskActs(account)
	if err != nil {
		return nil, err
	}
	var list []Act
	for _, d := range all {
		if !d.Done.IsZero() || s.Gate.Now().After(d.Expires) || !which(d) {
			continue
		}
		by, err := tx.Subject(d.AskedBy)
		if errors.Is(err, store.ErrNotFound) {
			continue // an agent whose account is closed waits for nothing
		}
		if err != nil {
			return nil, err
		}
		list = append(list, Act{d, by.Identifier})
	}
	return list, nil
}

// Works returns nil for an agent who can work now.
func (s *Service) Works(ctx context.Context, actor session.Actor) error {
	return s.Store.View(ctx, func(tx store.Tx) error { return s.agent(tx, actor) })
}

// Ask asks the owner to let the desk see an incident.
func (s *Service) Ask(ctx context.Context, actor session.Actor, identifier, reference string, c gate.Caller) (of store.ID, err error) {
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.meet(tx, actor, identifier)
		if err != nil {
			return err
		}
		of = a.ID
		waiting, err := s.waiting(tx, a.ID, func(store.DeskAct) bool { return true })
		if err != nil {
			return err
		}
		if slices.ContainsFunc(waiting, func(d Act) bool {
			return d.Kind == asked && d.Reference == reference && d.AskedBy == actor.Account.ID
		}) {
			return nil
		}
		if len(waiting) >= waitingAtOnce {
			return ErrSlow
		}
		if err := tx.AddDeskAct(s.newAct(a.ID, reference, asked, actor)); err != nil {
			return err
		}
		if err := s.tell(tx, a, kindAsked, actor, reference); err != nil {
			return err
		}
		return s.Look(tx, &a, s.Line(a, "approval asked for", actor, reference, c))
	})
	return of, err
}

func (s *Service) newAct(account store.ID, reference, kind string, actor session.Actor) store.DeskAct {
	now := s.Gate.Now()
	return store.DeskAct{ID: signin.NewID(), Account: account, Reference: reference, Kind: kind, AskedBy: actor.Account.ID, Asked: now, Expires: now.Add(ActLife)}
}

func (s *Service) tell(tx store.Tx, a store.Subject, kind string, actor session.Actor, reference string) error {
	return s.Messages.Tell(tx, a, kind, map[string]string{"agent": actor.Account.Identifier, "reference": reference})
}
