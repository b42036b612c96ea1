package recovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Kinds of messages; package message has their texts.
const (
	kindBegun       = "recovery-begun"
	kindCancelled   = "recovery-cancelled"
	kindFinished    = "recovery-finished"
	kindCode        = "recovery-code"
	kindCodesMade   = "recovery-codes-made"
	kindIdentifiers = "identifiers"
)

// Messages queues what an account's addresses are told, inside the transaction
// that makes what it tells of.
type Messages interface {
	Queue(tx store.Tx, a store.Subject, to store.Address, kind string, values map[string]string) error
	// Tell queues to all verified addresses of the account.
	Tell(tx store.Tx, a store.Subject, kind string, values map[string]string) error
}

const (
	// codesADay is how many times a day codes are sent to one account's addresses.
	codesADay = 10
	// pendingAtOnce is how much that strangers ask for waits to be looked at.
	pendingAtOnce = 1024

	toldLabel = "recovery told"
	toldSize  = 2048
)

// notFound says in this package's words that there is no such case.
func notFound(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return ErrNone
	}
	return err
}

// told is an address that a case was told to.
type told struct {
	ID       store.ID `json:"id"`
	Kind     string   `json:"kind"`
	Value    string   `json:"value"`
	Language string   `json:"language,omitempty"`
}

// begun tells all addresses that a case has begun, and returns, sealed, who
// they were.
func (s *Service) begun(tx store.Tx, a store.Subject, r store.Recovery) ([]byte, error) {
	all, err := tx.Addresses(a.ID)
	if err != nil {
		return nil, err
	}
	list := []told{}
	for _, x := range all {
		if !x.Verified.IsZero() {
			list = append(list, told{x.ID, x.Kind, x.Value, x.Language})
		}
	}
	plain, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	sealed, err := s.Keys.Seal(toldLabel, plain, toldSize)
	if err != nil {
		return nil, err
	}
	return sealed, s.Messages.Tell(tx, a, kindBegun, map[string]string{
		"device": r.Name, "from": r.Address, "opens": r.Opens.UTC().Format(time.RFC3339), "word": s.word(r.ID),
	})
}

// tellAll tells the addresses of now, and those that were told of the beginning
// and have been removed since.
func (s *Service) tellAll(tx store.Tx, a store.Subject, r store.Recovery, kind string, values map[string]string) error {
	if err := s.Messages.Tell(tx, a, kind, values); err != nil {
		return err
	}
	plain, err := s.Keys.Open(toldLabel, r.Told)
	if err != nil {
		return nil // the key is gone: a month has passed
	}
	var before []told
	if err := json.Unmarshal(bytes.TrimRight(plain, "\x00"), &before); err != nil {
		return nil
	}
	all, err := tx.Addresses(a.ID)
	if err != nil {
		return err
	}
	now := map[string]bool{}
	for _, x := range all {
		now[x.Kind+x.Value] = !x.Verified.IsZero()
	}
	for _, x := range before {
		if now[x.Kind+x.Value] {
			continue
		}
		to := store.Address{Account: a.ID, Kind: x.Kind, Value: x.Value, Language: x.Language}
		if err := s.Messages.Queue(tx, a, to, kind, values); err != nil {
			return err
		}
	}
	return nil
}

// pending is what strangers ask to be sent. It is looked at after they were
// answered, so that the answer's time tells nothing; what is lost in a crash
// can be asked for again.
type pending struct {
	mu     sync.Mutex
	emails []string
	claims []claim
}

// SendIdentifiers sends to an e-mail address which accounts have it, if any.
func (s *Service) SendIdentifiers(email string, c gate.Caller) error {
	if len(email) > identifier.Max {
		return signin.ErrForm
	}
	if err := s.Slow(c); err != nil {
		return err
	}
	email = identifier.Normalise(email)
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	if len(s.pending.emails) >= pendingAtOnce {
		return ErrSlow
	}
	s.pending.emails = append(s.pending.emails, email)
	return nil
}

// SendCode sends a code for the case to the account's addresses, if it has any
// that count.
func (s *Service) SendCode(sealed []byte, c gate.Caller) error {
	cl, err := s.openClaim(sealed, c.Key)
	if err != nil {
		return err
	}
	if err := s.Slow(c); err != nil {
		return err
	}
	s.pending.mu.Lock()
	defer s.pending.mu.Unlock()
	if len(s.pending.claims) >= pendingAtOnce {
		return ErrSlow
	}
	s.pending.claims = append(s.pending.claims, cl)
	return nil
}

// Flush queues what was asked for since the last time.
func (s *Service) Flush(ctx context.Context) error {
	s.pending.mu.Lock()
	emails, claims := s.pending.emails, s.pending.claims
	s.pending.emails, s.pending.claims = nil, nil
	s.pending.mu.Unlock()
	if len(emails)+len(claims) == 0 {
		return nil
	}
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		for _, e := range emails {
			if err := s.queueIdentifiers(tx, e); err != nil {
				return err
			}
		}
		for _, cl := range claims {
			if err := s.queueCode(tx, cl); err != nil {
				return err
			}
		}
		return nil
	})
	// Only what the store could not take, or was not given the time for, is tried
	// again: what fails by itself would fail for ever, and hold up the rest.
	if errors.Is(err, store.ErrUnavailable) || err != nil && ctx.Err() != nil {
		s.pending.mu.Lock()
		s.pending.emails, s.pending.claims = append(emails, s.pending.emails...), append(claims, s.pending.claims...)
		s.pending.mu.Unlock()
	}
	return err
}

func (s *Service) queueIdentifiers(tx store.Tx, email string) error {
	found, err := tx.FindAddresses(store.Email, email)
	if err != nil || len(found) == 0 {
		return err
	}
	if !s.mails.allow(email, mailBurst, mailRate, s.Gate.Now()) {
		return nil
	}
	var names []string
	for _, x := range found {
		a, err := tx.Subject(x.Account)
		if err != nil {
			return err
		}
		names = append(names, a.Identifier)
	}
	a, err := tx.Subject(found[0].Account)
	if err != nil {
		return err
	}
	return s.Messages.Queue(tx, a, found[0], kindIdentifiers, map[string]string{"accounts": strings.Join(names, "\n")})
}

// queueCode sends the code of the moment to the addresses that count; to those
// that are older than a wait alone, where there are any.
func (s *Service) queueCode(tx store.Tx, cl claim) error {
	now := s.Gate.Now()
	a, all, err := s.read(tx, cl)
	if err != nil || a.Ghost || now.Sub(cl.Opened) > ClaimLife+s.Wait {
		return err
	}
	if r, _ := find(all, a.ID, cl.ID); len(s.against(a, cl, r)) > 0 || !r.ByAddress.IsZero() {
		return nil
	}
	addresses, err := tx.Addresses(a.ID)
	if err != nil {
		return err
	}
	to := s.sentTo(addresses, cl.Opened)
	sent, err := tx.Messages(a.ID)
	if err != nil {
		return err
	}
	times := map[time.Time]bool{}
	for _, m := range sent {
		if m.Kind == kindCode && now.Sub(m.Created) < 24*time.Hour {
			times[m.Created.Truncate(time.Second)] = true
		}
	}
	if len(times) >= codesADay || !s.mails.allow(string(cl.ID[:]), 1, 1/window.Seconds(), now) {
		return nil
	}
	code := spell(s.bound("recovery address code", cl.ID, store.ID{}, step(now, window), addressBytes))
	for _, x := range to {
		if err := s.Messages.Queue(tx, a, x, kindCode, map[string]string{"code": code}); err != nil {
			return err
		}
	}
	return nil
}
