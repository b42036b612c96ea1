package recovery

import (
	"context"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// GiveUp ends a case for the device that began it. One that nothing was proved
// for gives back its place, and the answer is the same for every identifier;
// one with a proof is stopped, and all are told who were told of its beginning.
// It returns ErrNone for one with a proof that has ended by itself.
func (s *Service) GiveUp(ctx context.Context, sealed []byte, c gate.Caller) (of store.ID, err error) {
	cl, err := s.openClaim(sealed, c.Key)
	if err != nil {
		return of, err
	}
	if err := s.Slow(c); err != nil {
		return of, err
	}
	err = s.Store.Update(ctx, func(tx store.Tx) error {
		a, all, err := s.read(tx, cl)
		if err != nil {
			return err
		}
		of = a.ID
		r, place := find(all, a.ID, cl.ID)
		name := r.Name
		if name == "" { // its place was given to another
			name = "unnamed"
		}
		ring := store.RingStrangers
		switch st := s.state(r, a); {
		case place >= 0:
			err = s.leave(tx, r)
		case r.ID.IsZero():
		case st != Unproved && st != Waiting && st != Open:
			if proved(r) {
				return ErrNone
			}
		default:
			ring = store.RingChanges
			r.Cancelled, r.CancelledBy = s.Gate.Now(), message.WhoBegan
			if err = tx.SaveRecovery(r); err == nil && proved(r) {
				err = s.tellAll(tx, a, r, kindCancelled, map[string]string{"whom": message.WhoBegan})
			}
		}
		if err != nil {
			return err
		}
		return incident.Record(tx, &a, ring, incident.Content{
			Account: a.ID, Attempt: signin.NewID(), At: s.Gate.Now(), What: "recovery given up", Outcome: incident.Done,
			Device: name, Client: r.Client, Address: c.Address,
		})
	})
	return of, err
}
