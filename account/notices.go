package account

import (
	"readmit.dev/readmit/store"
)

// tell queues a message about a change to every verified address of the
// account, in the transaction that makes it.
func (s *Service) tell(tx store.Tx, a store.Subject, kind string, values map[string]string) error {
	if s.Messages == nil {
		return nil
	}
	return s.Messages.Tell(tx, a, kind, values)
}
