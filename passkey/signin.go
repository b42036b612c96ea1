package passkey

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// noticeEvery is how often the owner is told that a counter went back.
const noticeEvery = time.Hour

// what is how the ledger calls a sign-in with a passkey.
const what = "passkey"

// options are the same for everybody: they name no passkey.
func (s *Service) options() (any, string, error) {
	assertion, begun, err := s.party.BeginDiscoverableLogin()
	if err != nil {
		return nil, "", err
	}
	return assertion.Response, begun.Challenge, nil
}

// StartEnter begins a sign-in of which a passkey is the only step. Nobody is
// asked who they are.
func (s *Service) StartEnter(ctx context.Context, c gate.Caller) (Begun, *gate.Refusal, error) {
	if !s.Possible() {
		return Begun{}, nil, ErrName
	}
	id := signin.NewID()
	if facts := s.Gate.Public(c, true); len(facts) > 0 {
		content := incident.Content{
			Attempt: id, At: s.Gate.Now(), What: what, Outcome: incident.Refused, Facts: facts,
			Device: c.Name, Client: c.Shown, Address: c.Address,
		}
		err := s.Store.Update(ctx, func(tx store.Tx) error {
			a, err := nobody(tx, id[:])
			if err != nil {
				return err
			}
			content.Account = a.ID
			return incident.Record(tx, &a, store.RingStrangers, content)
		})
		if err != nil {
			return Begun{}, nil, err
		}
		refusal, err := gate.Refuse(s.Keys, content)
		return Begun{}, refusal, err
	}
	options, challenge, err := s.options()
	if err != nil {
		return Begun{}, nil, err
	}
	out, err := s.begun(options, ceremony{
		Purpose: toEnter, ID: id, Key: c.Key, Challenge: challenge, Begun: s.Gate.Now(),
		Name: c.Name, System: c.Client.System + " " + c.Client.SystemVersion.String(), Shown: c.Shown,
	})
	return out, nil, err
}

// nobody is the stand-in whose ledger takes what belongs to no account.
func nobody(tx store.Tx, seed []byte) (store.Subject, error) {
	stand := store.StandKey(sha256.Sum256(seed))
	return tx.Find(stand, stand)
}

// FinishEnter judges the passkey and begins the session.
func (s *Service) FinishEnter(ctx context.Context, sealed, answer []byte, c gate.Caller) (*signin.SignedIn, *gate.Refusal, error) {
	if !s.Possible() {
		return nil, nil, ErrName
	}
	st, err := s.resume(toEnter, sealed, c.Key)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.prove(ctx, st, answer)
	if err != nil {
		return nil, nil, err
	}
	c.Name, c.Shown = st.Name, st.Shown
	return s.settle(ctx, p, func(tx store.Tx, p *proof) (*judged, error) {
		a, err := owner(tx, p)
		if err != nil {
			return nil, err
		}
		j := &judged{account: a, ring: store.RingStrangers, content: incident.Content{
			Account: a.ID, Attempt: st.ID, At: s.Gate.Now(), What: what, Outcome: incident.Refused,
			Facts: s.Gate.Public(c, false), Device: c.Name, Client: c.Shown, Address: c.Address,
		}}
		if !a.Ghost {
			j.content.Facts = append(j.content.Facts, s.Gate.Account(a)...)
		}
		d, err := tx.Device(a.ID, c.Key)
		if err == nil && d.Removed.IsZero() {
			j.ring, j.content.Device = store.RingDevices, d.Name
		} else if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		now := s.Gate.Now()
		j.enter = func() (*signin.SignedIn, error) {
			return s.SignIn.Enter(tx, a, store.Request{
				ID: st.ID, Account: a.ID, Thumbprint: c.Key, Name: st.Name, System: st.System, Client: st.Shown,
				Address: c.Address, Opened: st.Begun, Expires: now, Done: now,
			}, c)
		}
		return j, nil
	})
}

// owner is the account at which a use of a passkey is recorded: the passkey's,
// or the one the authenticator names, so that who uses a removed one can be
// told so by the account's devices; else nobody's.
func owner(tx store.Tx, p *proof) (store.Subject, error) {
	id := p.kept.Account
	if id.IsZero() {
		id = p.owner
	}
	a, err := tx.Subject(id)
	if errors.Is(err, store.ErrNotFound) {
		return nobody(tx, p.id)
	}
	return a, err
}

// StartSecond begins the second factor of an attempt whose password was proved.
func (s *Service) StartSecond(ctx context.Context, attempt store.ID, c gate.Caller) (Begun, error) {
	if !s.Possible() {
		return Begun{}, ErrName
	}
	// What is against the attempt is told, and recorded, at the end.
	err := s.Store.View(ctx, func(tx store.Tx) error {
		_, err := s.SignIn.Waiting(tx, attempt, c)
		return err
	})
	if err != nil {
		return Begun{}, err
	}
	options, challenge, err := s.options()
	if err != nil {
		return Begun{}, err
	}
	return s.begun(options, ceremony{Purpose: toSecond, ID: attempt, Key: c.Key, Challenge: challenge, Begun: s.Gate.Now()})
}

// FinishSecond judges the passkey in place of the six digits.
func (s *Service) FinishSecond(ctx context.Context, attempt store.ID, sealed, answer []byte, c gate.Caller) (*signin.SignedIn, *gate.Refusal, error) {
	if !s.Possible() {
		return nil, nil, ErrName
	}
	st, err := s.resume(toSecond, sealed, c.Key)
	if err != nil {
		return nil, nil, err
	}
	if st.ID != attempt {
		return nil, nil, signin.ErrOver
	}
	p, err := s.prove(ctx, st, answer)
	if err != nil {
		return nil, nil, err
	}
	return s.settle(ctx, p, func(tx store.Tx, p *proof) (*judged, error) {
		w, err := s.SignIn.Waiting(tx, attempt, c)
		if err != nil {
			return nil, err
		}
		if p.kept.Account != w.Account.ID {
			p.kept, p.word = store.Passkey{}, notOfAccount
		}
		return &judged{
			account: w.Account, ring: store.RingStrangers,
			content: incident.Content{
				Account: w.Account.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Refused,
				Facts: append(s.Gate.Public(c, false), w.Facts...), Device: w.Request.Name, Client: w.Request.Client, Address: c.Address,
			},
			enter: func() (*signin.SignedIn, error) { return s.SignIn.Second(tx, w) },
		}, nil
	})
}

// judged is a use of a passkey with what is against it.
type judged struct {
	account store.Subject
	ring    store.Ring
	content incident.Content
	enter   func() (*signin.SignedIn, error)
}

// settle acts on a proof in one transaction: the session or the refusal, the
// passkey's counter, the ledger's line.
func (s *Service) settle(ctx context.Context, checked proof, judge func(store.Tx, *proof) (*judged, error)) (in *signin.SignedIn, refusal *gate.Refusal, err error) {
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		in = nil
		p := checked
		if err := p.still(tx); err != nil {
			return err
		}
		j, err := judge(tx, &p)
		if err != nil {
			return err
		}
		facts, back := p.facts()
		j.content.Facts = append(j.content.Facts, facts...)
		if len(j.content.Facts) == 0 {
			if in, err = s.use(tx, p, j); err != nil {
				return err
			}
		} else if back {
			if err := s.warn(tx, j.account, p.kept.Name); err != nil {
				return err
			}
		}
		content = j.content
		return incident.Record(tx, &j.account, j.ring, content)
	})
	if err != nil {
		return nil, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err = gate.Refuse(s.Keys, content)
		return nil, refusal, err
	}
	return in, nil, nil
}

func (s *Service) use(tx store.Tx, p proof, j *judged) (*signin.SignedIn, error) {
	in, err := j.enter()
	if err != nil {
		return nil, err
	}
	p.kept.LastUsed, p.kept.Count, p.kept.Data = s.Gate.Now(), p.count, p.data
	if err := tx.SavePasskey(p.kept); err != nil {
		return nil, err
	}
	j.account, j.ring, j.content.Outcome = in.Account, store.RingDevices, incident.SignedIn
	return in, nil
}

// warn tells the owner that a counter went back, once in an hour.
func (s *Service) warn(tx store.Tx, a store.Subject, name string) error {
	sent, err := tx.Messages(a.ID)
	if err != nil {
		return err
	}
	for _, m := range sent {
		if m.Kind == message.PasskeyCounter && s.Gate.Now().Sub(m.Created) < noticeEvery {
			return nil
		}
	}
	return s.Notices.Tell(tx, a, message.PasskeyCounter, map[string]string{"passkey": name})
}
