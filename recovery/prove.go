package recovery

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

const (
	// window is how often the code that is sent to an address changes, and how
	// often it is sent anew; it is good for three to four windows.
	window       = 5 * time.Minute
	windows      = 4
	addressBytes = 5 // 40 bits: a case whose place is gone counts no wrong ones
	// deviceWindow is how long an enrolled device shows a code; the one before is
	// good for as long again.
	deviceWindow = 30 * time.Second
	deviceBytes  = 5 // 40 bits, for a minute
)

// Proof is what is brought for a case: exactly one of these.
type Proof struct {
	Code        string // a recovery code
	AddressCode string // sent to a verified address
	DeviceCode  string // shown by an enrolled device
}

func (p Proof) valid() bool {
	n := 0
	for _, s := range []string{p.Code, p.AddressCode, p.DeviceCode} {
		if s != "" {
			n++
		}
		if len(s) > 64 {
			return false
		}
	}
	return n == 1
}

// bound makes a code that is good for one case in one span of time.
func (s *Service) bound(label string, id, device store.ID, step int64, size int) []byte {
	b := append(append([]byte{}, id[:]...), device[:]...)
	m := s.Keys.Recovery(label, binary.BigEndian.AppendUint64(b, uint64(step)))
	return m[:size]
}

func step(t time.Time, of time.Duration) int64 { return t.Unix() / int64(of/time.Second) }

// fits compares what was typed with the codes of the last spans.
func (s *Service) fits(typed, label string, id, device store.ID, now time.Time, of time.Duration, spans, size int) bool {
	given, ok := unspell(typed, size)
	if !ok {
		given = make([]byte, size+1)
	}
	right := 0
	for i := range spans {
		right |= subtle.ConstantTimeCompare(given, s.bound(label, id, device, step(now, of)-int64(i), size))
	}
	return right == 1
}

// Prove takes one proof. Wrong ones count against the case.
func (s *Service) Prove(ctx context.Context, sealed []byte, p Proof, c gate.Caller) (Case, *gate.Refusal, error) {
	cl, err := s.openClaim(sealed, c.Key)
	if err != nil {
		return Case{}, nil, err
	}
	if !p.valid() {
		return Case{}, nil, signin.ErrForm
	}
	if err := s.Slow(c); err != nil {
		return Case{}, nil, err
	}
	var out Case
	var content incident.Content
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		a, all, err := s.read(tx, cl)
		if err != nil {
			return err
		}
		r, place := find(all, a.ID, cl.ID)
		content = s.content(a, r, "recovery proof", c)
		content.Facts = append(s.Gate.Public(c, false), s.against(a, cl, r)...)
		right, undelivered, err := s.right(tx, a, cl, r, p, len(content.Facts) > 0)
		if err != nil {
			return err
		}
		if right && len(content.Facts) == 0 {
			content.Outcome = incident.Done
			if r, err = s.give(tx, &a, cl, r, place, p.way(), c, &content); err != nil {
				return err
			}
			out = s.shown(cl, r, a)
			out.Account = a.ID
			return nil
		}
		if !right {
			content.Facts = append(content.Facts, cause.Note(cause.CheckRecoveryCode, cause.Word("right"), cause.Word("wrong"), cause.ByServer))
			content.Facts = append(content.Facts, undelivered...)
		}
		return s.wrong(tx, &a, r, content)
	})
	if err != nil {
		return Case{}, nil, err
	}
	if content.Outcome == incident.Refused {
		refusal, err := gate.Refuse(s.Keys, content)
		return Case{}, refusal, err
	}
	return out, nil, nil
}

func (p Proof) way() string {
	switch {
	case p.Code != "":
		return ByCode
	case p.AddressCode != "":
		return ByAddress
	}
	return ByDevice
}

func (s *Service) read(tx store.Tx, cl claim) (store.Subject, []store.Recovery, error) {
	a, err := tx.Find(cl.Key, store.StandKey(cl.Key))
	if err != nil {
		return a, nil, err
	}
	all, err := tx.Recoveries(a.ID)
	return a, all, err
}

func (s *Service) content(a store.Subject, r store.Recovery, what string, c gate.Caller) incident.Content {
	return incident.Content{
		Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: what, Outcome: incident.Refused,
		Device: r.Name, Client: r.Client, Address: c.Address,
	}
}

// wrong counts against the case and records why. Where there is no row, the
// same work is done on a place.
func (s *Service) wrong(tx store.Tx, a *store.Subject, r store.Recovery, content incident.Content) error {
	if !r.ID.IsZero() {
		r.Wrong++
		if err := tx.SaveRecovery(r); err != nil {
			return err
		}
	}
	ring := store.RingStrangers
	if proved(r) {
		ring = store.RingDevices
	}
	return incident.Record(tx, a, ring, content)
}

// right judges a proof, with the same work whatever comes of it. A recovery
// code that fits a case that may do nothing is not used up. undelivered says why
// the code that the proof needs got to none of the addresses, if it did not.
func (s *Service) right(tx store.Tx, a store.Subject, cl claim, r store.Recovery, p Proof, refused bool) (right bool, undelivered []cause.Fact, err error) {
	now := s.Gate.Now()
	byAddress := s.fits(p.AddressCode, "recovery address code", cl.ID, store.ID{}, now, window, windows, addressBytes)
	byDevice := s.fits(p.DeviceCode, "recovery device code", cl.ID, r.ByDevice, now, deviceWindow, 2, deviceBytes)
	switch p.way() {
	case ByCode:
		if !r.ByCode.IsZero() {
			return false, nil, ErrGiven
		}
		hash := s.hash(a.ID, p.Code)
		if refused {
			rand.Read(hash[:])
		}
		err := tx.UseRecoveryCode(a.ID, hash, now)
		if errors.Is(err, store.ErrNotFound) {
			return false, nil, nil
		}
		return err == nil, nil, err
	case ByAddress:
		if !r.ByAddress.IsZero() {
			return false, nil, ErrGiven
		}
		// Read in any case: an address that was removed proves nothing any more.
		addresses, err := tx.Addresses(a.ID)
		return byAddress && len(counting(addresses, cl.Opened)) > 0, s.undelivered(addresses, cl), err
	}
	if !r.ByDeviceAt.IsZero() {
		return false, nil, ErrGiven
	}
	// A device that was removed meanwhile has approved nothing.
	devices, err := tx.Devices(a.ID)
	there := false
	for _, d := range devices {
		there = there || d.ID == r.ByDevice && d.Removed.IsZero()
	}
	return byDevice && there, nil, err
}

// sentTo are the addresses that a case's codes go to: those that are older than
// a wait alone, where there are any.
func (s *Service) sentTo(all []store.Address, begun time.Time) []store.Address {
	if to := counting(all, begun.Add(-s.Wait)); len(to) > 0 {
		return to
	}
	return counting(all, begun)
}

// undelivered is the evidence of the first address, where sending has failed
// since the case was begun at each that its codes go to: one that got there can
// be typed.
func (s *Service) undelivered(all []store.Address, cl claim) []cause.Fact {
	to := s.sentTo(all, cl.Opened)
	for _, x := range to {
		if x.Failed.Before(cl.Opened) {
			return nil
		}
	}
	if len(to) == 0 {
		return nil
	}
	return message.Evidence(to[0])
}

// counting are the addresses that a proof can come by: those that were verified
// before the case was begun.
func counting(all []store.Address, begun time.Time) []store.Address {
	var list []store.Address
	for _, x := range all {
		if !x.Verified.IsZero() && x.Verified.Before(begun) {
			list = append(list, x)
		}
	}
	return list
}

// give notes a proof. The first one moves the case to a row of its own, starts
// the wait and tells everybody; the second one, of another way, ends the wait.
func (s *Service) give(tx store.Tx, a *store.Subject, cl claim, r store.Recovery, place int, way string, c gate.Caller, content *incident.Content) (store.Recovery, error) {
	now := s.Gate.Now()
	first := !proved(r)
	if r.ID != cl.ID {
		own := r
		if own.ID.IsZero() { // its place was given to another
			own = store.Recovery{Account: a.ID, Thumbprint: cl.By, Name: "unnamed", Address: c.Address}
		}
		if place >= 0 {
			if err := s.leave(tx, r); err != nil {
				return r, err
			}
		}
		own.ID, own.CancelHash = cl.ID, [32]byte{}
		if err := tx.AddRecovery(own); err != nil {
			return own, err
		}
		r = own
	}
	switch way {
	case ByCode:
		r.ByCode = now
	case ByAddress:
		r.ByAddress = now
	case ByDevice:
		r.ByDeviceAt = now
	}
	if first {
		r.Opened, r.Opens, r.Expires = now, now.Add(s.Wait), now.Add(s.Wait+OpenFor)
		told, err := s.begun(tx, *a, r)
		if err != nil {
			return r, err
		}
		r.Told = told
	}
	enough, err := s.enough(tx, r)
	if err != nil {
		return r, err
	}
	if enough {
		r.Opens = now
	}
	if err := tx.SaveRecovery(r); err != nil {
		return r, err
	}
	content.What, content.Device, content.Client = "recovery proved by "+way, r.Name, r.Client
	return r, incident.Record(tx, a, store.RingChanges, *content)
}

// enough reports whether the proofs given open the case without a wait. An
// address and a device are two ways only where the address is older than a
// wait: whoever holds the device could have added it just now.
func (s *Service) enough(tx store.Tx, r store.Recovery) (bool, error) {
	if len(proofs(r)) != 2 || !r.ByCode.IsZero() {
		return len(proofs(r)) >= 2, nil
	}
	addresses, err := tx.Addresses(r.Account)
	return len(counting(addresses, r.Opened.Add(-s.Wait))) > 0, err
}
