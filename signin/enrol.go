package signin

import "readmit.dev/readmit/store"

// Enrol makes a device the account's own and begins its session, for those who
// have judged by other ways than Code that it may be.
func (s *Service) Enrol(tx store.Tx, account store.Subject, r store.Request) (*SignedIn, error) {
	return s.enrol(tx, account, r)
}
