package recovery

import (
	"readmit.dev/readmit/store"
)

// Begin is the desk's start of a recovery: a case that waits for the person.
// The word gives it to the device it is typed on, and is no proof of anything.
func (s *Service) Begin(tx store.Tx, account, agent store.ID) (word string, err error) {
	now := s.Gate.Now()
	all, err := tx.Recoveries(account)
	if err != nil {
		return "", err
	}
	// The newest is the only one of the desk's that waits.
	for _, r := range all {
		if !r.Agent.IsZero() && r.Thumbprint == (store.Thumbprint{}) && r.Cancelled.IsZero() {
			r.Cancelled, r.CancelledBy = now, "support"
			if err := tx.SaveRecovery(r); err != nil {
				return "", err
			}
		}
	}
	id := s.newID()
	return s.word(id), tx.AddRecovery(store.Recovery{
		ID: id, Account: account, Name: "support", Opened: now, Expires: now.Add(ClaimLife), Agent: agent,
	})
}
