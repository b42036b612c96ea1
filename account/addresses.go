package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// MaxAddresses is how many an account can have.
	MaxAddresses = 5
	// AddressTries is how many wrong codes end a code that was sent.
	AddressTries = 5
	// How often codes are sent: whoever is at the address may be somebody else.
	resendAfter  = time.Minute
	sentADay     = 5  // to one address
	sentADayEach = 10 // by one account, however often addresses are removed and added
)

var (
	// ErrAddress: not of the form of an e-mail address or a phone number.
	ErrAddress = errors.New("want an e-mail address such as jane@example.org, or a phone number with its country, such as +49 30 901820")
	// ErrAddresses: the account has as many as it can.
	ErrAddresses = errors.New("an account has five addresses at most: remove one first")
	// ErrAddressKnown: the account has it, and it is verified.
	ErrAddressKnown = errors.New("this account has this address already")
	// ErrNoAddress: none with that ID.
	ErrNoAddress = errors.New("this account has no address with that ID")
	// ErrNoMail and ErrNoSMS: the server is not configured to send any.
	ErrNoMail = errors.New("this server sends no mail: whoever runs it has to configure smtp")
	ErrNoSMS  = errors.New("this server sends no SMS: whoever runs it has to configure sms")
	// ErrCodesSlow: too many codes were asked for.
	ErrCodesSlow = errors.New("a code can be sent once a minute and five times a day: wait, and look for the one that was sent")
)

var phoneForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) })

// NormaliseAddress makes one spelling of all that mean the same address: of an
// e-mail address that of an identifier, of a phone number + and digits (E.164).
func NormaliseAddress(kind, typed string) (string, error) {
	if len(typed) > 2*identifier.Max {
		return "", ErrAddress
	}
	switch kind {
	case store.Email:
		value := identifier.Normalise(typed)
		local, domain, _ := strings.Cut(value, "@")
		// What an e-mail address may hold in quotes or brackets has no place in
		// ours: it is also what injects headers.
		if identifier.Valid(value) && local != "" && emailDomain(domain) && emailLocal(local) {
			return value, nil
		}
	case store.Phone:
		value := strings.Map(phoneRune, strings.TrimSpace(typed))
		if rest, ok := strings.CutPrefix(value, "00"); ok {
			value = "+" + rest
		}
		if phoneForm().MatchString(value) {
			return value, nil
		}
	}
	return "", ErrAddress
}

// emailLocal and emailDomain are by hand: expressions over all letters take
// longer to compile than the program otherwise takes to start.
func emailLocal(s string) bool {
	n := utf8.RuneCountInString(s)
	return n >= 1 && n <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", r)
	}) < 0
}

func emailDomain(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return unicode.In(first, unicode.L, unicode.N) && unicode.In(last, unicode.L, unicode.M, unicode.N) &&
		strings.IndexFunc(s, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.N) && r != '.' && r != '-' }) < 0
}

// phoneRune leaves out what people write between digits, and reads the digits
// of Arabic and Persian.
func phoneRune(r rune) rune {
	switch {
	case strings.ContainsRune(" -./()\u00a0\u2011\u202a\u202c\u200e\u200f", r):
		return -1
	case r >= '٠' && r <= '٩':
		return '0' + r - '٠'
	case r >= '۰' && r <= '۹':
		return '0' + r - '۰'
	}
	return r
}

// addressCode hashes a code for one address, under a key of the server's.
func (s *Service) addressCode(address store.ID, c code.Code) [32]byte {
	return s.Keys.Recovery("address code", append(address[:], c...))
}

// living refuses a change by a session that was ended since it was looked at,
// and returns the account as it is now.
func (s *Service) living(tx store.Tx, actor session.Actor) (store.Subject, error) {
	n, err := tx.Session(actor.Session.ID)
	if err == nil && !n.Ended.IsZero() {
		err = session.ErrNone
	}
	if err != nil {
		return store.Subject{}, err
	}
	a, err := tx.Subject(actor.Account.ID)
	if err == nil && !a.Disabled.IsZero() {
		err = session.ErrNone
	}
	return a, err
}

// Addresses lists the account's, oldest first.
func (s *Service) Addresses(ctx context.Context, actor session.Actor) (list []store.Address, err error) {
	err = s.Store.View(ctx, func(tx store.Tx) error {
		list, err = tx.Addresses(actor.Account.ID)
		return err
	})
	return list, err
}

// AddAddress adds an address and sends a code to it; for one that is not
// verified yet, it sends another. Whether another account has the address makes
// no difference.
func (s *Service) AddAddress(ctx context.Context, actor session.Actor, kind, typed, language string, c gate.Caller) (store.Address, error) {
	value, err := NormaliseAddress(kind, typed)
	if err != nil {
		return store.Address{}, err
	}
	if s.Messages == nil || !s.Messages.Sends(kind) {
		if kind == store.Phone {
			return store.Address{}, ErrNoSMS
		}
		return store.Address{}, ErrNoMail
	}
	var out store.Address
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		now := s.Gate.Now()
		a, err := s.living(tx, actor)
		if err != nil {
			return err
		}
		all, err := tx.Addresses(a.ID)
		if err != nil {
			return err
		}
		out = store.Address{}
		for _, o := range all {
			if o.Kind == kind && o.Value == value {
				out = o
			}
		}
		fresh := out.ID.IsZero()
		switch {
		case !out.Verified.IsZero():
			return ErrAddressKnown
		case fresh && len(all) >= MaxAddresses:
			return ErrAddresses
		}
		if err := s.mayAsk(tx, a.ID, out, now); err != nil {
			return err
		}
		if fresh {
			out = store.Address{Account: a.ID, ID: signin.NewID(), Kind: kind, Value: value, Added: now, AddedBy: actor.Device.ID}
		}
		sent := newCode()
		out.Language = message.Language(language)
		out.CodeHash, out.CodeUntil, out.CodeTries = s.addressCode(out.ID, sent), now.Add(message.CodeLife), 0
		out.Failed, out.FailedWhy = time.Time{}, ""
		if fresh {
			err = tx.AddAddress(out)
		} else {
			err = tx.SaveAddress(out)
		}
		if err != nil {
			return err
		}
		if err := s.Messages.Queue(tx, a, out, message.AddressCode, map[string]string{"code": string(sent)}); err != nil {
			return err
		}
		return s.note(tx, &a, "address code sent", actor.Device.Name, c)
	})
	return out, err
}

// newCode makes six digits that nothing leads to.
func newCode() code.Code {
	var secret [32]byte
	rand.Read(secret[:])
	return code.AtStep(secret[:], 0)
}

// mayAsk holds codes back that come too often.
func (s *Service) mayAsk(tx store.Tx, account store.ID, to store.Address, now time.Time) error {
	sent, err := tx.Messages(account)
	if err != nil {
		return err
	}
	here, all := 0, 0
	for _, m := range sent {
		ago := now.Sub(m.Created)
		if m.Kind != message.AddressCode || ago >= 24*time.Hour {
			continue
		}
		all++
		if m.Address == to.ID {
			here++
			if ago < resendAfter {
				return ErrCodesSlow
			}
		}
	}
	if here >= sentADay || all >= sentADayEach {
		return ErrCodesSlow
	}
	return nil
}

// VerifyAddress takes the code that was sent to an address. An empty one says
// that none came: no try is spent, and the refusal's explanation says what
// became of the message.
func (s *Service) VerifyAddress(ctx context.Context, actor session.Actor, id store.ID, typed string, c gate.Caller) (store.Address, *gate.Refusal, error) {
	none := strings.TrimSpace(typed) == ""
	given, err := code.Parse(typed)
	if err != nil && !none {
		return store.Address{}, nil, signin.ErrForm
	}
	var out store.Address
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		now := s.Gate.Now()
		a, err := s.living(tx, actor)
		if err != nil {
			return err
		}
		content = incident.Content{
			Account: a.ID, Attempt: signin.NewID(), At: now, What: "address code", Outcome: incident.Refused,
			Device: actor.Device.Name, Client: c.Shown, Address: c.Address,
		}
		if out, err = address(tx, a.ID, id); err != nil {
			return err
		}
		if !out.Verified.IsZero() {
			content.Outcome = incident.Done
			return nil
		}
		content.Facts = s.judgeAddress(&out, given, none, now)
		if len(content.Facts) > 0 {
			if err := tx.SaveAddress(out); err != nil {
				return err
			}
			a.Hot.Seq[store.RingDevices]++
			if err := tx.SaveSubjectHot(a.ID, a.Hot); err != nil {
				return err
			}
			return tx.Append(content.Entry(store.RingDevices, a.Hot.Seq[store.RingDevices]))
		}
		content.Outcome = incident.Done
		// The others first: the new one is none of those that are told of it.
		if err := s.tell(tx, a, message.AddressAdded, addressValues(out, actor)); err != nil {
			return err
		}
		out.Verified, out.CodeHash, out.CodeUntil, out.CodeTries = now, [32]byte{}, time.Time{}, 0
		if err := tx.SaveAddress(out); err != nil {
			return err
		}
		return s.note(tx, &a, "address added", actor.Device.Name, c)
	})
	if err != nil {
		return store.Address{}, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return store.Address{}, refusal, err
	}
	return out, nil, nil
}

func addressValues(a store.Address, actor session.Actor) map[string]string {
	return map[string]string{"address": message.Masked(a.Kind, a.Value), "device": actor.Device.Name}
}

func address(tx store.Tx, account, id store.ID) (store.Address, error) {
	all, err := tx.Addresses(account)
	if err != nil {
		return store.Address{}, err
	}
	for _, a := range all {
		if a.ID == id {
			return a, nil
		}
	}
	return store.Address{}, ErrNoAddress
}

// judgeAddress says what is against a code, and counts it when it is wrong.
func (s *Service) judgeAddress(a *store.Address, given code.Code, none bool, now time.Time) []cause.Fact {
	note := func(c cause.Check, want, got cause.Value) []cause.Fact {
		return []cause.Fact{cause.Note(c, want, got, cause.ByServer)}
	}
	spent := func() []cause.Fact {
		return note(cause.CheckCodeTries, cause.Count(AddressTries-1), cause.Count(a.CodeTries))
	}
	if none {
		return append(note(cause.CheckCode, cause.Word("right"), cause.Word("not-given")), message.Evidence(*a)...)
	}
	if a.CodeTries >= AddressTries {
		return spent()
	}
	hash := s.addressCode(a.ID, given)
	if subtle.ConstantTimeCompare(hash[:], a.CodeHash[:]) != 1 {
		a.CodeTries++
		facts := append(note(cause.CheckCode, cause.Word("right"), cause.Word("wrong")), message.Evidence(*a)...)
		if a.CodeTries >= AddressTries {
			facts = append(facts, spent()...)
		}
		return facts
	}
	if late := now.Sub(a.CodeUntil); late > 0 {
		a.CodeTries++
		return note(cause.CheckCodeAge, cause.Duration(message.CodeLife), cause.Duration(message.CodeLife+max(late, time.Second)))
	}
	return nil
}

// RemoveAddress removes an address. It is told too, and for the last time.
func (s *Service) RemoveAddress(ctx context.Context, actor session.Actor, id store.ID, c gate.Caller) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		a, err := s.living(tx, actor)
		if err != nil {
			return err
		}
		gone, err := address(tx, a.ID, id)
		if err != nil {
			return err
		}
		if !gone.Verified.IsZero() {
			if err := s.tell(tx, a, message.AddressRemoved, addressValues(gone, actor)); err != nil {
				return err
			}
		}
		if err := tx.DropAddress(a.ID, id); err != nil {
			return err
		}
		return s.note(tx, &a, "address removed", actor.Device.Name, c)
	})
}
