package signin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

const (
	// RequestLife is how long a proved password waits for its code: ten
	// minutes, as the codes of NIST SP 800-63B-4 §3.1.3.2 do at most.
	RequestLife = 10 * time.Minute
	// MaxRequests is how many wait at once; the oldest gives way. Prompts by
	// the dozen are an attack on the owner's patience.
	MaxRequests = 5
	// keptRequests is how many are kept in all: whoever knows the password can
	// make any number, and each is read again for every code of the account.
	keptRequests = 32
	// GrantLife is how long a fresh proof of the password allows its change.
	GrantLife = 5 * time.Minute
)

// Finished is the outcome of a proved password: exactly one of its fields.
type Finished struct {
	SignedIn *SignedIn
	Request  *store.Request // the device is new: a code is needed
	Grant    []byte         // for what needs a fresh proof
}

// SignedIn is a session that has begun.
type SignedIn struct {
	Account store.Subject
	Device  store.Device
	Session store.Session
}

// Grant says that the password was proved on an enrolled device just now.
type Grant struct {
	Account store.ID         `json:"account"`
	Key     store.Thumbprint `json:"key"`
	Proved  time.Time        `json:"proved"` // a change since then uses it up
	Purpose string           `json:"purpose"`
}

// GrantLabel is what grants are sealed for.
const GrantLabel = "password grant"

const grantSize = 512

func (s *Service) seal(label string, v any, size int) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return s.Keys.Seal(label, plain, size)
}

// OpenGrant reads a grant; it returns ErrForm for what is none and ErrOver for
// one whose time has passed.
func (s *Service) OpenGrant(sealed []byte) (Grant, error) {
	var g Grant
	if err := s.open(GrantLabel, sealed, &g); err != nil {
		return g, err
	}
	if s.Gate.Now().Sub(g.Proved) > GrantLife {
		return g, ErrOver
	}
	return g, nil
}

func (s *Service) open(label string, sealed []byte, v any) error {
	plain, err := s.Keys.Open(label, sealed)
	if err != nil {
		return ErrForm
	}
	if err := json.Unmarshal(bytes.TrimRight(plain, "\x00"), v); err != nil {
		return ErrForm
	}
	return nil
}

// Finish takes the client's proof. It can be called once for an attempt;
// after that, or when the attempt was left too long, it returns ErrOver.
//
// The message is not signed by the device's key: KE3 is a MAC that only who
// sent KE1 can make, KE1 was signed, and what comes of it is bound to that key.
func (s *Service) Finish(ctx context.Context, sealed, ke3 []byte, c gate.Caller) (Finished, *gate.Refusal, error) {
	st, err := s.openState(sealed)
	if err != nil {
		return Finished{}, nil, err
	}
	if s.Gate.Now().Sub(st.Begun) > AttemptLife {
		return Finished{}, nil, ErrOver
	}
	proved := opaque.Expected{ClientMAC: [opaque.KE3Size]byte(st.Expected)}.Verify(ke3) && st.Real
	former := len(st.Former) == opaque.KE3Size && opaque.Expected{ClientMAC: [opaque.KE3Size]byte(st.Former)}.Verify(ke3)
	var out Finished
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		out = Finished{}
		var err error
		content, err = s.settle(tx, st, proved, former, c, &out)
		return err
	})
	// Who closed the entry has finished the attempt: for the next one there is
	// none to close, or what it leads to is there already.
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return Finished{}, nil, ErrOver
	}
	if err != nil {
		return Finished{}, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return Finished{}, refusal, err
	}
	if st.Purpose != ToSignIn {
		out.Grant, err = s.seal(GrantLabel, Grant{st.Account, st.Key, s.Gate.Now(), st.Purpose}, grantSize)
	}
	return out, nil, err
}

// settle closes the attempt: its entry, its counter, and what it leads to.
func (s *Service) settle(tx store.Tx, st state, proved, former bool, c gate.Caller, out *Finished) (incident.Content, error) {
	now := s.Gate.Now()
	content := incident.Content{
		Account: st.Account, Attempt: st.Attempt, At: st.Begun, What: st.Purpose, Outcome: incident.Refused,
		Facts: st.Facts, Device: st.Name, Client: st.Shown, Address: c.Address,
	}
	account, err := tx.Subject(st.Account)
	if err != nil {
		return content, err
	}
	device, known, err := enrolled(tx, st.Account, st.Key)
	if err != nil {
		return content, err
	}
	changed := account.PasswordChanged.After(st.Begun) || known != (st.Way == ownDevice)
	if known && st.Way == ownDevice {
		content.Device = device.Name
	}
	switch {
	case !proved && former && !changed:
		facts, err := typedFormer(tx, account)
		if err != nil {
			return content, err
		}
		content.Facts = append(append(content.Facts, facts...), signedBy(device))
	case !proved:
		content.Facts = append(content.Facts, notProved("not-proved", account)...)
		if st.Real && known && st.Way == ownDevice {
			content.Facts = append(content.Facts, signedBy(device))
		}
	case st.Way == ownDevice && !known:
		content.Facts = append(content.Facts, removed(device)...)
	case changed:
		content.Facts = append(content.Facts, notProved("changed-meanwhile", account)...)
	default:
		content.Facts = append(content.Facts, s.Gate.Account(account)...)
	}
	if len(content.Facts) == 0 {
		if err := s.proved(tx, st, account, device, c, &content, out); err != nil {
			return content, err
		}
	}

	before := account.Hot
	if out.SignedIn != nil {
		account = out.SignedIn.Account // a device enrolled with a pass has changed it
	}
	right := proved && !changed
	switch {
	case st.Way == strangers:
		if err := settleStrangers(tx, st, right, &account, now); err != nil {
			return content, err
		}
	case st.Counted && st.Way == ownDevice:
		device.Hot.Own = settled(device.Hot.Own, right, now)
		if right {
			account.Hot.CodeFailures = 0 // the password on an enrolled device binds its codes again
		}
		if err := tx.SaveDeviceHot(st.Account, device.ID, device.Hot); err != nil {
			return content, err
		}
	}
	// For those who are not enrolled it is written in any case: the same work,
	// whether the guess was evaluated or not.
	if st.Way != ownDevice || account.Hot != before {
		if err := tx.SaveSubjectHot(st.Account, account.Hot); err != nil {
			return content, err
		}
	}
	return content, tx.CloseEntry(content.Entry(st.Ring, st.Seq))
}

// settleStrangers gives the lane the outcome it waits for. A right password
// takes back what was counted there at this account, and nothing of what was
// counted at others. Where it waits for none the same rows are written.
func settleStrangers(tx store.Tx, st state, right bool, account *store.Subject, now time.Time) error {
	counter, err := tx.Strangers(st.Lane)
	if err != nil {
		return err
	}
	switch {
	case !st.Counted:
	case right:
		counter = counter.Forgive(account.Hot.StrangerFailures, now)
		account.Hot.StrangerFailures = 0
	default:
		counter = counter.Fail(now)
		account.Hot.StrangerFailures++
	}
	return tx.SaveStrangers(st.Lane, counter)
}

func removed(d store.Device) []cause.Fact {
	return []cause.Fact{
		cause.Note(cause.CheckDevice, cause.Word("enrolled"), cause.Word("removed"), cause.ByServer),
		cause.Note(cause.CheckDeviceRemovedAt, cause.Value{}, cause.Instant(d.Removed), cause.ByServer),
	}
}

func notProved(how string, account store.Subject) []cause.Fact {
	facts := []cause.Fact{cause.Note(cause.CheckPassword, cause.Word("proved"), cause.Word(how), cause.ByServer)}
	if !account.PasswordChanged.IsZero() {
		facts = append(facts, cause.Note(cause.CheckPasswordChanged, cause.Value{}, cause.Instant(account.PasswordChanged), cause.ByServer))
	}
	return facts
}

// proved goes on after the right password: a session for an enrolled device, a
// request for a code from a new one.
func (s *Service) proved(tx store.Tx, st state, account store.Subject, device store.Device, c gate.Caller, content *incident.Content, out *Finished) error {
	if st.Purpose != ToSignIn {
		content.Outcome = incident.Done
		return nil
	}
	if st.Way == ownDevice {
		session, err := s.Sessions.Begin(tx, account, device, st.Attempt)
		if err != nil {
			return err
		}
		content.Outcome = incident.SignedIn
		out.SignedIn = &SignedIn{account, device, session}
		return nil
	}
	if st.Way == withPass {
		pass, err := tx.Pass([32]byte(st.Pass))
		if err != nil {
			return err
		}
		if !pass.Used.IsZero() { // by an attempt that ran beside this one
			return store.ErrNotFound
		}
		pass.Used = s.Gate.Now()
		if err := tx.SavePass(pass); err != nil {
			return err
		}
		if pass.MadeBy.IsZero() { // the operator's word stands in for the code
			in, err := s.enrol(tx, account, st.request(account, c, s.Gate.Now()))
			content.Outcome, out.SignedIn = incident.SignedIn, in
			return err
		}
	}
	devices, err := tx.Devices(account.ID)
	if err != nil {
		return err
	}
	passkeys, err := tx.Passkeys(account.ID)
	if err != nil {
		return err
	}
	if len(passkeys) == 0 { // with one there is a second factor beside codes
		content.Facts = append(content.Facts, factorMissing(account, devices)...)
	}
	if len(content.Facts) > 0 {
		return nil
	}
	request := st.request(account, c, s.Gate.Now())
	if err := s.makeRoom(tx, account.ID); err != nil {
		return err
	}
	if err := errors.Join(tx.AddRequest(request), signal.Poke(tx, account.ID, request.Opened)); err != nil {
		return err
	}
	content.Outcome = incident.CodeAsked
	out.Request = &request
	return nil
}

func (st state) request(account store.Subject, c gate.Caller, now time.Time) store.Request {
	return store.Request{
		ID: st.Attempt, Account: account.ID, Thumbprint: st.Key, Name: st.Name, System: st.System,
		Client: st.Shown, Address: c.Address, Opened: now, Expires: now.Add(RequestLife),
	}
}

// makeRoom ends the oldest waiting requests, so that with one more there are
// no more than MaxRequests, and drops those that are over, so that there are no
// more than keptRequests.
func (s *Service) makeRoom(tx store.Tx, account store.ID) error {
	requests, err := tx.Requests(account)
	if err != nil {
		return err
	}
	waiting := 0
	for i, r := range requests {
		if i >= keptRequests-1 {
			if err := tx.DropRequest(r.ID); err != nil {
				return err
			}
			continue
		}
		if !r.Done.IsZero() || s.Gate.Now().After(r.Expires) {
			continue
		}
		if waiting++; waiting < MaxRequests {
			continue
		}
		r.Done = s.Gate.Now()
		if err := tx.SaveRequest(r); err != nil {
			return err
		}
	}
	return nil
}
