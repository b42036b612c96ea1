// Package session is what a finished sign-in leaves: the right of one device
// key to short access tokens, until the session ends.
//
// The rules it keeps:
//
//   - A session is bound to the device's key; every refresh proves possession
//     of it, so nothing needs to rotate and a refresh writes nothing.
//   - Every call passes package gate against the store as it is now: a session
//     ended, a device removed, a password changed or an account disabled take
//     effect at the next call, and the cause is kept.
//   - Checking an access token touches no store.
package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// ErrNone: the device has no living session of this account.
var ErrNone = errors.New("no living session")

// Service keeps sessions.
type Service struct {
	store  store.Store
	gate   *gate.Gate
	keys   *keys.Ring
	tokens *tokens
	news   Knowledge // nil where nobody follows the changes
	recent *recent   // nil where the store does not tell what changes

	mu   sync.Mutex
	used map[store.ID]time.Time // when sessions were used, not yet written
}

// New makes the service; issuer is the server's public URL.
func New(s store.Store, g *gate.Gate, k *keys.Ring, issuer string) *Service {
	return &Service{store: s, gate: g, keys: k, tokens: newTokens(k, issuer), recent: newRecent(s), used: map[store.ID]time.Time{}}
}

// Knowledge is what is known of changes since a token was issued: an error
// says why the token is not good, or that this is not known.
type Knowledge interface {
	Check(account, session store.ID, epoch int64, issued time.Time) error
}

// Follow makes Check ask k of every token.
func (s *Service) Follow(k Knowledge) { s.news = k }

// Actor is who makes a call on a session.
type Actor struct {
	Account store.Subject
	Device  store.Device
	Session store.Session
	Devices []store.Device // all of the account's
}

// Begin adds a session of the device and ends the device's older ones: they
// are superseded, and where one is still in use, the state was copied.
func (s *Service) Begin(tx store.Tx, account store.Subject, device store.Device, id store.ID) (store.Session, error) {
	now := s.gate.Now()
	if err := tx.Supersede(account.ID, device.ID, id, now); err != nil {
		return store.Session{}, err
	}
	n := store.Session{ID: id, Account: account.ID, Device: device.ID, Created: now, LastUsed: now}
	return n, tx.AddSession(n)
}

// Authorise lets a call on a session pass, or says why not. The refusal is the
// same for an unknown session and for one the key may not use.
func (s *Service) Authorise(ctx context.Context, id store.ID, c gate.Caller, what string) (Actor, *gate.Refusal, error) {
	var a Actor
	facts := s.gate.Public(c, false)
	err := s.store.View(ctx, func(tx store.Tx) error {
		more, err := s.Look(tx, id, c, &a)
		facts = append(facts, more...)
		return err
	})
	if err != nil {
		return Actor{}, nil, err
	}
	if len(facts) > 0 {
		refusal, err := s.refuse(ctx, a, id, c, what, facts)
		return Actor{}, refusal, err
	}
	s.use(id)
	return a, nil, nil
}

func (s *Service) use(id store.ID) {
	s.mu.Lock()
	s.used[id] = s.gate.Now()
	s.mu.Unlock()
}

// Look fills the actor and returns what the gate has against it.
func (s *Service) Look(tx store.Tx, id store.ID, c gate.Caller, a *Actor) ([]cause.Fact, error) {
	var err error
	a.Session, err = tx.Session(id)
	if errors.Is(err, store.ErrNotFound) {
		return []cause.Fact{cause.Note(cause.CheckSessionAlive, cause.Word("alive"), cause.Word("unknown"), cause.ByServer)}, nil
	}
	if err != nil {
		return nil, err
	}
	if a.Account, err = tx.Subject(a.Session.Account); err != nil {
		return nil, err
	}
	if a.Devices, err = tx.Devices(a.Session.Account); err != nil {
		return nil, err
	}
	for _, d := range a.Devices {
		if d.ID == a.Session.Device {
			a.Device = d
		}
	}
	s.mu.Lock()
	if used, ok := s.used[id]; ok {
		a.Session.LastUsed = used
	}
	s.mu.Unlock()
	return s.judge(*a, c), nil
}

func (s *Service) judge(a Actor, c gate.Caller) []cause.Fact {
	return append(s.gate.Account(a.Account), s.gate.Session(a.Session, c.Key, a.Devices)...)
}

// refuse records the refusal before it is answered. A call on a session that
// does not exist is charged to a ghost, as a bad sign-in would be.
func (s *Service) refuse(ctx context.Context, a Actor, id store.ID, c gate.Caller, what string, facts []cause.Fact) (*gate.Refusal, error) {
	content := incident.Content{
		At: s.gate.Now(), What: what, Outcome: incident.Refused, Facts: facts,
		Device: c.Name, Client: c.Shown, Address: c.Address,
	}
	rand.Read(content.Attempt[:])
	err := s.store.Update(ctx, func(tx store.Tx) error {
		var err error
		account := a.Account
		ring := store.RingStrangers
		if account.ID.IsZero() {
			stand := store.StandKey(store.Key(sha256.Sum256(id[:])))
			account, err = tx.Find(stand, stand)
		} else {
			account, err = tx.Subject(account.ID)
			if d, derr := tx.Device(account.ID, c.Key); derr == nil {
				content.Device = d.Name
				if d.Removed.IsZero() {
					ring = store.RingDevices
				}
			}
		}
		if err != nil {
			return err
		}
		content.Account = account.ID
		account.Hot.Seq[ring]++
		if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
			return err
		}
		return tx.Append(content.Entry(ring, account.Hot.Seq[ring]))
	})
	if err != nil {
		return nil, err
	}
	return gate.Refuse(s.keys, content)
}

// Restore finds, by the device's key alone, its living session: for a device
// whose own note of it was damaged. It returns ErrNone where there is none,
// and for keys and accounts unknown.
func (s *Service) Restore(ctx context.Context, key store.Key, c gate.Caller) (Actor, error) {
	var a Actor
	err := s.store.View(ctx, func(tx store.Tx) error {
		account, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		device, err := tx.Device(account.ID, c.Key)
		if errors.Is(err, store.ErrNotFound) {
			return ErrNone
		}
		if err != nil {
			return err
		}
		sessions, err := tx.Sessions(account.ID)
		if err != nil {
			return err
		}
		for _, n := range sessions {
			if n.Device != device.ID || !n.Ended.IsZero() {
				continue
			}
			facts, err := s.Look(tx, n.ID, c, &a)
			if err != nil {
				return err
			}
			if len(facts) == 0 && len(s.gate.Public(c, true)) == 0 {
				return nil
			}
		}
		return ErrNone
	})
	return a, err
}

// End ends the actor's own session.
func (s *Service) End(ctx context.Context, a Actor) error {
	return s.store.Update(ctx, func(tx store.Tx) error {
		n, err := tx.Session(a.Session.ID)
		if err != nil || !n.Ended.IsZero() {
			return err
		}
		// All but none: EndSessions of this device ends its one living session.
		now := s.gate.Now()
		if _, err := tx.EndSessions(a.Account.ID, a.Device.ID, store.ID{}, now, a.Device.ID, store.EndSignedOut); err != nil {
			return err
		}
		account, err := tx.Subject(a.Account.ID)
		if err != nil {
			return err
		}
		return signal.Note(tx, account, signal.SessionEnded, signal.Detail{Session: n.ID, Device: a.Device.ID, By: signal.ByUser}, now)
	})
}

// flushTogether is how many uses are written at once.
const flushTogether = 200

// Flush writes when sessions were last used. It is called every few seconds
// and at the end: losing it in a crash makes a session look idle for that much
// longer, of thirty days.
func (s *Service) Flush(ctx context.Context) error {
	s.mu.Lock()
	used := s.used
	s.used = map[store.ID]time.Time{}
	s.mu.Unlock()
	// In one order at every node, so that two of them wait for each other at
	// most once, and in parts, so that neither waits for long.
	order := slices.SortedFunc(maps.Keys(used), func(a, b store.ID) int { return bytes.Compare(a[:], b[:]) })
	for part := range slices.Chunk(order, flushTogether) {
		err := s.store.Update(ctx, func(tx store.Tx) error {
			for _, id := range part {
				if err := tx.TouchSession(id, used[id]); err != nil && !errors.Is(err, store.ErrNotFound) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			s.mu.Lock()
			for id, at := range used {
				if s.used[id].Before(at) {
					s.used[id] = at
				}
			}
			s.mu.Unlock()
			return err
		}
		for _, id := range part {
			delete(used, id)
		}
	}
	return nil
}

// Living tells which devices of an account have a living session, and when it
// was last used.
func (s *Service) Living(ctx context.Context, account store.ID) (map[store.ID]time.Time, error) {
	living := map[store.ID]time.Time{}
	err := s.store.View(ctx, func(tx store.Tx) error {
		all, err := tx.Sessions(account)
		for _, n := range all {
			if n.Ended.IsZero() {
				living[n.Device] = n.LastUsed
			}
		}
		return err
	})
	return living, err
}
