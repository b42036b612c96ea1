// Package explain turns an attempt and its evidence into findings for an
// audience. It reads incidents and the ledger; all it writes is that somebody
// looked, and, where that was support, a message about it; and that an owner
// has said of an attempt that it was theirs.
//
// The default audience is the smallest: an audience is only what this very
// call proves, about the account that the incident is of. A key enrolled for
// one account proves nothing about another. A reference opens nothing; it is
// looked up in the ledger of the account whose session signs the call.
package explain

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/desk"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

var (
	// ErrNotRefused: the reference is of an attempt that went on.
	ErrNotRefused = errors.New("this attempt was not refused: it signed in, or waits for a code; there is nothing to explain")
	// ErrNoSuch: the owner's ledger has no such reference.
	ErrNoSuch = errors.New("this account's ledger has no incident with this reference: it may be of another account, or older than the ledger reaches; the device that was refused keeps the whole incident")
	// ErrEvidence: evidence that claims to be ours.
	ErrEvidence = errors.New("a device can only give evidence that it has seen itself")
	// ErrSlow: too many look-ups.
	ErrSlow = errors.New("too many look-ups: wait a minute")
)

// Service explains.
type Service struct {
	Store               store.Store
	Gate                *gate.Gate
	Keys                *keys.Ring
	Sessions            *session.Service
	Desk                *desk.Service
	strangers, enrolled limiter // so that strangers, of any number of keys, slow only each other
}

// Ask is one question.
type Ask struct {
	Incident  string // sealed; or
	Reference string
	Session   store.ID
	Evidence  []cause.Fact // what the asking device has seen itself
	Caller    gate.Caller

	pending []cause.Fact // changes of the account on their way now
}

// Explain answers what the caller may know, and records for the owner that
// they looked.
func (s *Service) Explain(ctx context.Context, ask Ask) (cause.Report, error) {
	for _, f := range ask.Evidence {
		if f.Seen() != cause.ByDevice {
			return cause.Report{}, ErrEvidence
		}
	}
	var content incident.Content
	if ask.Incident != "" {
		var err error
		if content, err = incident.Open(s.Keys, ask.Incident, s.Gate.Now()); err != nil {
			return cause.Report{}, err
		}
	}
	var to cause.Audience
	err := s.Store.View(ctx, func(tx store.Tx) error {
		var actor session.Actor
		account := content.Account
		to = cause.Anyone
		if !ask.Session.IsZero() {
			facts, err := s.Sessions.Look(tx, ask.Session, ask.Caller, &actor)
			if err != nil {
				return err
			}
			if len(facts) > 0 {
				actor = session.Actor{}
			}
		}
		if ask.Incident == "" {
			account = actor.Account.ID
		}
		limit := &s.strangers
		if !account.IsZero() {
			var err error
			if to, err = audience(tx, account, actor, ask.Caller.Key); err != nil {
				return err
			}
			if to != cause.Anyone {
				limit = &s.enrolled
			}
		}
		if !limit.allow(ask.Caller.Key, s.Gate.Now()) {
			return ErrSlow
		}
		if ask.Incident != "" || account.IsZero() {
			return nil
		}
		var err error
		content, err = lookup(tx, account, ask.Reference)
		return err
	})
	if err != nil {
		return cause.Report{}, err
	}
	if to != cause.Anyone && !content.Account.IsZero() {
		if ask.pending, err = s.pending(ctx, content.Account); err != nil {
			return cause.Report{}, err
		}
	}
	if content.Account.IsZero() { // a reference, and nothing proved
		return s.tell(content, ask, to), nil
	}
	if err := s.look(ctx, content, ask.Caller, to); err != nil {
		return cause.Report{}, err
	}
	return s.tell(content, ask, to), nil
}

// audience says what the call proves about the account.
func audience(tx store.Tx, account store.ID, actor session.Actor, key store.Thumbprint) (cause.Audience, error) {
	d, err := tx.Device(account, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return cause.Anyone, nil
	case err != nil:
		return cause.Anyone, err
	case !d.Removed.IsZero():
		return cause.Anyone, nil
	case actor.Account.ID == account && actor.Device.ID == d.ID:
		return cause.Owner, nil
	}
	return cause.Holder, nil
}

func lookup(tx store.Tx, account store.ID, reference string) (incident.Content, error) {
	entries, err := tx.Ledger(account)
	if err != nil {
		return incident.Content{}, err
	}
	for _, e := range entries {
		if e.Reference != reference || e.Ring == store.RingLooks {
			continue
		}
		c, err := finished(e)
		if err == nil && !explicable(c) {
			err = ErrNotRefused
		}
		return c, err
	}
	return incident.Content{}, ErrNoSuch
}

// finished reads a line; an attempt that was begun and never finished is a
// guess that failed (RFC 9807 §9.2).
func finished(e store.Entry) (incident.Content, error) {
	c, err := incident.Read(e)
	if err == nil && c.Outcome == incident.Unfinished {
		c.Facts = append(c.Facts, cause.Note(cause.CheckPassword, cause.Word("proved"), cause.Word("not-finished"), cause.ByServer))
	}
	return c, err
}

// explicable reports whether something was refused. A reference is given out
// when an attempt begins, so those that went on have one too.
func explicable(c incident.Content) bool { return c.Outcome == incident.Refused || len(c.Facts) > 0 }

func (s *Service) tell(c incident.Content, ask Ask, to cause.Audience) cause.Report {
	r := cause.Tell(cause.Find(slices.Concat(c.Facts, ask.Evidence, ask.pending)), to)
	if r.Incident = ask.Reference; !c.Attempt.IsZero() {
		r.Incident = incident.Reference(c.Attempt)
	}
	return r
}

// slow is how long a change may be on its way before that explains something.
const slow = time.Second

// pending notes which services have not taken a change of the account yet.
func (s *Service) pending(ctx context.Context, account store.ID) ([]cause.Fact, error) {
	var facts []cause.Fact
	waiting, err := signal.Pending(ctx, s.Store, account, s.Gate.Now().Add(-slow))
	for i, w := range waiting {
		if i == 0 {
			facts = append(facts, cause.Note(cause.CheckChange, cause.Word("everywhere"), cause.Word("on-its-way"), cause.ByServer))
		}
		facts = append(facts,
			cause.Note(cause.CheckChangeService, cause.Value{}, cause.Name(w.Name), cause.ByServer),
			cause.Note(cause.CheckChangeKind, cause.Value{}, cause.ChangeKind(w.Kind), cause.ByServer),
			cause.Note(cause.CheckChangeSince, cause.Value{}, cause.Instant(w.Made), cause.ByServer))
	}
	return facts, err
}

// look records that somebody looked, durably, before they are told.
func (s *Service) look(ctx context.Context, c incident.Content, by gate.Caller, to cause.Audience) error {
	line := incident.Content{
		Account: c.Account, At: s.Gate.Now(), What: "explanation read", Outcome: incident.Done,
		Device: by.Name, Client: by.Shown, Address: by.Address, Audience: to.String(), About: incident.Reference(c.Attempt),
	}
	rand.Read(line.Attempt[:])
	return s.Store.Update(ctx, func(tx store.Tx) error {
		account, err := tx.Subject(c.Account)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if d, err := tx.Device(c.Account, by.Key); err == nil {
			line.Device = d.Name
		}
		// Whoever has an incident can look with any number of keys: that must not
		// push out the looks of those who were told something.
		ring := store.RingLooks
		if to == cause.Anyone {
			ring = store.RingStrangers
		}
		account.Hot.Seq[ring]++
		if err := tx.SaveSubjectHot(account.ID, account.Hot); err != nil {
			return err
		}
		return tx.Append(line.Entry(ring, account.Hot.Seq[ring]))
	})
}

// ForOperator explains by incident or reference to who runs the server, and
// names the account.
func (s *Service) ForOperator(ctx context.Context, ask Ask) (r cause.Report, account string, err error) {
	var contents []incident.Content
	if ask.Incident != "" {
		c, err := incident.Open(s.Keys, ask.Incident, s.Gate.Now())
		if err != nil {
			return r, "", err
		}
		contents = append(contents, c)
	} else {
		err := s.Store.View(ctx, func(tx store.Tx) error {
			entries, err := tx.FindReference(ask.Reference)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e.Ring == store.RingLooks {
					continue
				}
				c, err := finished(e)
				if err != nil {
					return err
				}
				contents = append(contents, c)
			}
			return nil
		})
		if err != nil {
			return r, "", err
		}
	}
	if len(contents) == 0 {
		return r, "", ErrNoSuch
	}
	if !explicable(contents[0]) {
		return r, "", ErrNotRefused
	}
	ask.Caller = gate.Caller{Name: "operator", Shown: "admin socket", Address: "local"}
	if err := s.look(ctx, contents[0], ask.Caller, cause.Operator); err != nil {
		return r, "", err
	}
	err = s.Store.View(ctx, func(tx store.Tx) error {
		a, err := tx.Subject(contents[0].Account)
		if errors.Is(err, store.ErrNotFound) || a.Ghost {
			return nil
		}
		account = a.Identifier
		return err
	})
	if err == nil {
		ask.pending, err = s.pending(ctx, contents[0].Account)
	}
	return s.tell(contents[0], ask, cause.Operator), account, err
}

// Line is a line of an account's ledger with its cause.
type Line struct {
	incident.Content
	Reference  string
	Cause      cause.Code // the likeliest that the audience may know
	Recognised time.Time  // when the owner said that it was them; zero if never
}

// Activity lists an account's ledger for its owner or the operator, newest first.
func (s *Service) Activity(ctx context.Context, account store.ID, to cause.Audience) ([]Line, error) {
	var lines []Line
	err := s.Store.View(ctx, func(tx store.Tx) error {
		lines = nil
		entries, err := tx.Ledger(account)
		if err != nil {
			return err
		}
		said, err := recognised(entries)
		if err != nil {
			return err
		}
		for _, e := range entries {
			c, err := finished(e)
			if err != nil {
				return err
			}
			l := Line{Content: c, Reference: e.Reference}
			if e.Ring != store.RingLooks {
				l.Recognised = said[e.Reference]
			}
			if len(c.Facts) > 0 {
				l.Cause = cause.Tell(cause.Find(c.Facts), to).Findings[0].Cause
			}
			lines = append(lines, l)
		}
		return nil
	})
	return lines, err
}

// limiter slows look-ups by one key: thirty at once, then one in two seconds.
// It remembers a fixed number of keys; those that collide share a bucket.
type limiter struct {
	mu      sync.Mutex
	buckets [1024]struct {
		left float64
		at   time.Time
	}
}

const (
	lookBurst = 30
	lookRate  = 0.5 // per second
)

func (l *limiter) allow(key store.Thumbprint, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.buckets[(int(key[0])<<8|int(key[1]))%len(l.buckets)]
	if b.at.IsZero() {
		b.left = lookBurst
	} else {
		b.left = min(lookBurst, b.left+lookRate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
