package recovery

import (
	"context"
	"crypto/sha256"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// closed is why a case cannot set a password now.
func (s *Service) closed(a store.Subject, cl claim, r store.Recovery) []cause.Fact {
	facts := s.against(a, cl, r)
	switch {
	case !proved(r):
		facts = append(facts, cause.Note(cause.CheckRecoveryProofs, cause.Count(1), cause.Count(0), cause.ByServer))
	case s.Gate.Now().Before(r.Opens):
		facts = append(facts,
			cause.Note(cause.CheckRecoveryWait, cause.Word("over"), cause.Word("waiting"), cause.ByServer),
			cause.Note(cause.CheckRecoveryOpens, cause.Value{}, cause.Instant(r.Opens), cause.ByServer))
	}
	return facts
}

// StartPassword evaluates the new password's blinded form. A case that is not
// open gets an evaluation too, under a key of its own: the same answer to
// everybody, with which no guess at the account's password can be tested. One
// that is open counts each.
func (s *Service) StartPassword(ctx context.Context, sealed, request []byte, c gate.Caller) ([]byte, error) {
	cl, err := s.openClaim(sealed, c.Key)
	if err != nil {
		return nil, err
	}
	if err := s.Slow(c); err != nil {
		return nil, err
	}
	credential := sha256.Sum256(append([]byte("readmit recovery "), cl.Key[:]...))
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		a, all, err := s.read(tx, cl)
		if err != nil {
			return err
		}
		r, _ := find(all, a.ID, cl.ID)
		if r.ID.IsZero() {
			return nil
		}
		if len(s.Gate.Public(c, false)) == 0 && len(s.closed(a, cl, r)) == 0 {
			credential = cl.Key
			r.Wrong++
		}
		return tx.SaveRecovery(r)
	})
	if err != nil {
		return nil, err
	}
	response, err := s.OPAQUE.Register(request, credential[:])
	if err != nil {
		return nil, signin.ErrForm
	}
	return response, nil
}

// Done is a finished recovery. SignedIn is nil where the device still needs a
// code: it then signs in with the new password.
type Done struct {
	SignedIn *signin.SignedIn
	Account  store.ID
}

// SetPassword ends a recovery: a new record, no session, pass or request of
// before. Who gave two proofs, or a recovery code, is in at once; who gave an
// address's or a device's code alone has the password, and a new device still
// needs a code of an enrolled one, or a passkey, unless none is left.
func (s *Service) SetPassword(ctx context.Context, sealed, record []byte, stretch string, c gate.Caller) (Done, *gate.Refusal, error) {
	cl, err := s.openClaim(sealed, c.Key)
	if err != nil {
		return Done{}, nil, err
	}
	if err := opaque.CheckRecord(record); err != nil {
		return Done{}, nil, signin.ErrForm
	}
	if err := s.Slow(c); err != nil {
		return Done{}, nil, err
	}
	var out Done
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		out = Done{}
		a, all, err := s.read(tx, cl)
		if err != nil {
			return err
		}
		r, _ := find(all, a.ID, cl.ID)
		content = s.content(a, r, "recovery", c)
		content.Facts = append(s.Gate.Public(c, true), s.closed(a, cl, r)...)
		if len(content.Facts) > 0 {
			ring := store.RingStrangers
			if proved(r) {
				ring = store.RingDevices
			}
			return incident.Record(tx, &a, ring, content)
		}
		content.Outcome = incident.Done
		out.Account = a.ID
		out.SignedIn, err = s.set(tx, a, all, r, record, stretch, c)
		return err
	})
	if err != nil {
		return Done{}, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return Done{}, refusal, err
	}
	return out, nil, nil
}

func (s *Service) set(tx store.Tx, a store.Subject, all []store.Recovery, r store.Recovery, record []byte, stretch string, c gate.Caller) (*signin.SignedIn, error) {
	now := s.Gate.Now()
	device, known, err := enrolled(tx, a.ID, c.Key)
	if err != nil {
		return nil, err
	}
	left, err := factorsLeft(tx, a.ID)
	if err != nil {
		return nil, err
	}
	a.Record, a.Stretch, a.PasswordChanged, a.PasswordChangedBy = record, stretch, now, device.ID
	if err := signal.Raise(tx, &a, signal.Recovered, signal.Detail{Device: device.ID, By: signal.ByUser}, now); err != nil {
		return nil, err
	}
	if _, err := tx.EndSessions(a.ID, store.ID{}, store.ID{}, now, device.ID, store.EndPasswordChanged); err != nil {
		return nil, err
	}
	if err := tx.DropPasses(a.ID); err != nil {
		return nil, err
	}
	if err := endRequests(tx, a.ID, s.Gate); err != nil {
		return nil, err
	}
	r.Finished = now
	if err := tx.SaveRecovery(r); err != nil {
		return nil, err
	}
	if err := s.tellAll(tx, a, r, kindFinished, map[string]string{"device": r.Name, "from": c.Address}); err != nil {
		return nil, err
	}
	if err := s.note(tx, &a, "password set by recovery", r.Name, c); err != nil {
		return nil, err
	}
	switch {
	case known:
		n, err := s.Sessions.Begin(tx, a, device, signin.NewID())
		return &signin.SignedIn{Account: a, Device: device, Session: n}, err
	case len(proofs(r)) >= 2, !r.ByCode.IsZero(), left == 0: // with none left, nobody could be asked for a second step
		return s.SignIn.Enrol(tx, a, store.Request{
			ID: signin.NewID(), Account: a.ID, Thumbprint: c.Key, Name: c.Name,
			System: c.Client.System + " " + c.Client.SystemVersion.String(), Client: c.Shown, Address: c.Address,
		})
	}
	return nil, nil
}

// factorsLeft counts what can still give a second step: enrolled devices, whose
// codes it takes, and passkeys.
func factorsLeft(tx store.Tx, account store.ID) (int, error) {
	devices, err := tx.Devices(account)
	if err != nil {
		return 0, err
	}
	passkeys, err := tx.Passkeys(account)
	n := len(passkeys)
	for _, d := range devices {
		if d.Removed.IsZero() {
			n++
		}
	}
	return n, err
}

// endRequests ends what waits for a code: its password is the old one.
func endRequests(tx store.Tx, account store.ID, g *gate.Gate) error {
	all, err := tx.Requests(account)
	if err != nil {
		return err
	}
	for _, r := range all {
		if !r.Done.IsZero() {
			continue
		}
		r.Done = g.Now()
		if err := tx.SaveRequest(r); err != nil {
			return err
		}
	}
	return nil
}
