package sqltx

import (
	"crypto/rand"
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/rows"
)

// What a ghost's row holds, so that it is as wide as an account's: a record
// (RFC 9807 §3.3.1 with ristretto255-SHA512: 32 + 64 + 96 octets), an
// identifier and parameters of usual length. Find never gives them out.
const (
	ghostRecord     = 192
	ghostIdentifier = "somebody@example.org"
	ghostStretch    = `{"memory":65536,"time":3,"threads":4}`
)

// HasGhosts reports whether the ghosts are there: they are made in one
// transaction, so that one tells of all.
func (t *Tx) HasGhosts() (bool, error) {
	last := store.GhostKey(store.Ghosts - 1)
	n, err := t.q.CountLookup(none, last[:])
	return n == 1, t.told(err)
}

// AddGhosts makes all of them.
func (t *Tx) AddGhosts() error {
	now := time.Now().UnixMicro()
	for i := range store.Ghosts {
		key, id, record := store.GhostKey(i), make([]byte, 16), make([]byte, ghostRecord)
		rand.Read(id)
		rand.Read(record)
		err := t.did(t.q.AddSubject(none, rows.AddSubjectParams{
			ID: id, Lookup: key[:], Ghost: 1, Identifier: ghostIdentifier, Record: record, Stretch: ghostStretch, Epoch: 1,
			Created: now, PasswordChanged: now, PasswordChangedBy: id,
		}))
		if err != nil {
			return err
		}
	}
	return nil
}
