package explain

import (
	"context"
	"crypto/rand"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

// Recognised is what the ledger says of an attempt that its owner knows.
const Recognised = "recognised"

// Mine records that the owner says an attempt was their own. It stands among
// the looks, where it pushes out no attempt and no change; said again, it is
// there already. It returns ErrNoSuch for what is not in the owner's ledger.
func (s *Service) Mine(ctx context.Context, actor session.Actor, reference string, by gate.Caller) error {
	return s.Store.Update(ctx, func(tx store.Tx) error {
		account, err := tx.Subject(actor.Account.ID)
		if err != nil {
			return err
		}
		if _, err := lookup(tx, account.ID, reference); err != nil {
			return err
		}
		entries, err := tx.Ledger(account.ID)
		if err != nil {
			return err
		}
		if said, err := recognised(entries); err != nil || !said[reference].IsZero() {
			return err
		}
		line := incident.Content{
			Account: account.ID, At: s.Gate.Now(), What: Recognised, Outcome: incident.Done,
			Device: by.Name, Client: by.Shown, Address: by.Address, Audience: cause.Owner.String(), About: reference,
		}
		rand.Read(line.Attempt[:])
		return incident.Record(tx, &account, store.RingLooks, line)
	})
}

// recognised are the attempts that the owner has said were theirs, and when.
func recognised(entries []store.Entry) (map[string]time.Time, error) {
	all := map[string]time.Time{}
	for _, e := range entries {
		if e.Ring != store.RingLooks {
			continue
		}
		c, err := incident.Read(e)
		if err != nil {
			return nil, err
		}
		if c.What == Recognised {
			all[c.About] = c.At
		}
	}
	return all, nil
}
