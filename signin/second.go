package signin

import (
	"errors"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/store"
)

// Waiting is an attempt whose password was proved and which waits for a second
// factor, whichever it will be.
type Waiting struct {
	Request store.Request
	Account store.Subject
	Devices []store.Device
	Facts   []cause.Fact // what is against it
}

// Waiting finds an attempt for its second factor. It returns ErrOver for one
// that waits for none.
func (s *Service) Waiting(tx store.Tx, attempt store.ID, c gate.Caller) (Waiting, error) {
	r, err := tx.Request(attempt)
	if errors.Is(err, store.ErrNotFound) {
		return Waiting{}, ErrOver
	}
	if err != nil {
		return Waiting{}, err
	}
	// What another key brings, or after its time, is as good as unknown.
	if r.Thumbprint != c.Key || s.Gate.Now().After(r.Expires) {
		return Waiting{}, ErrOver
	}
	// Ended without a word of ours against it: it was finished, or gave way to
	// a newer one, or its device came in by another.
	if !r.Done.IsZero() && r.Denied.IsZero() && r.WrongCodes < CodeTries {
		return Waiting{}, ErrOver
	}
	if _, known, err := enrolled(tx, r.Account, r.Thumbprint); err != nil {
		return Waiting{}, err
	} else if known {
		return Waiting{}, ErrOver
	}
	w := Waiting{Request: r}
	if w.Account, err = tx.Subject(r.Account); err != nil {
		return Waiting{}, err
	}
	if w.Devices, err = tx.Devices(r.Account); err != nil {
		return Waiting{}, err
	}
	w.Facts = append(s.Gate.Account(w.Account), requestOver(r, w.Account, w.Devices)...)
	return w, nil
}

// Second ends a waiting attempt whose second factor was proved otherwise than
// by a code: its device is enrolled, and in.
func (s *Service) Second(tx store.Tx, w Waiting) (*SignedIn, error) {
	w.Request.Done = s.Gate.Now()
	if err := tx.SaveRequest(w.Request); err != nil {
		return nil, err
	}
	return s.enrol(tx, w.Account, w.Request)
}

// Enter begins a session for a key whose owner was proved without a password.
// Where it is not the account's yet, it is enrolled. One r.ID enters once: for
// the second time it returns ErrOver.
func (s *Service) Enter(tx store.Tx, account store.Subject, r store.Request, c gate.Caller) (*SignedIn, error) {
	device, known, err := enrolled(tx, account.ID, r.Thumbprint)
	if err != nil {
		return nil, err
	}
	if !known {
		in, err := s.enrol(tx, account, r)
		return in, once(err)
	}
	device.Hot.LastSeen, device.Hot.Skew = s.Gate.Now(), c.Time.Sub(s.Gate.Now())
	if err := tx.SaveDeviceHot(account.ID, device.ID, device.Hot); err != nil {
		return nil, err
	}
	session, err := s.Sessions.Begin(tx, account, device, r.ID)
	if err != nil {
		return nil, once(err)
	}
	return &SignedIn{account, device, session}, nil
}

func once(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return ErrOver
	}
	return err
}
