package signin

import (
	"errors"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/store"
)

// FormerLife is how long a password that was changed can still be told from a
// wrong one: the month in which people type it.
const FormerLife = 30 * 24 * time.Hour

const (
	formerLabel = "former record"
	formerSize  = 256
)

// KeepFormer keeps the record of the password that is about to be replaced, in
// the place of the one before. It is called in the transaction of the change,
// with its very moment: one that was kept for another change is never offered.
func (s *Service) KeepFormer(tx store.Tx, account store.Subject, replaced time.Time) error {
	sealed, err := s.Keys.Seal(formerLabel, account.Record, formerSize)
	if err != nil {
		return err
	}
	return tx.SaveFormer(store.Former{Account: account.ID, Sealed: sealed, Stretch: account.Stretch, Replaced: replaced})
}

// former finds what may be offered to this attempt: to an enrolled device whose
// guess is counted and might succeed. For all others the offer is a stand-in.
// That a row is read for some only shows to those who know their key is enrolled.
func (s *Service) former(tx store.Tx, account store.Subject, st state) (store.Former, error) {
	if st.Way != ownDevice || !st.Real || !st.Counted {
		return store.Former{}, nil
	}
	f, err := tx.Former(account.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Former{}, nil
	case err != nil:
		return f, err
	case !f.Replaced.Equal(account.PasswordChanged), s.Gate.Now().Sub(f.Replaced) > FormerLife:
		return store.Former{}, nil
	case f.Stretch != account.Stretch: // the client stretches once
		return store.Former{}, nil
	}
	return f, nil
}

// formerRecord opens what was kept; a record whose sealing key is gone is none.
func (s *Service) formerRecord(f store.Former) []byte {
	if len(f.Sealed) == 0 {
		return nil
	}
	plain, err := s.Keys.Open(formerLabel, f.Sealed)
	if err != nil || len(plain) < opaque.RecordSize || opaque.CheckRecord(plain[:opaque.RecordSize]) != nil {
		return nil
	}
	return plain[:opaque.RecordSize]
}

// typedFormer says that what was typed is the password before the last change,
// and when and where that was.
func typedFormer(tx store.Tx, account store.Subject) ([]cause.Fact, error) {
	facts := []cause.Fact{
		cause.Note(cause.CheckPasswordAge, cause.Word("present"), cause.Word("former"), cause.ByServer),
		cause.Note(cause.CheckPasswordChanged, cause.Value{}, cause.Instant(account.PasswordChanged), cause.ByServer),
	}
	devices, err := tx.Devices(account.ID)
	for _, d := range devices {
		if d.ID == account.PasswordChangedBy {
			facts = append(facts, cause.Note(cause.CheckPasswordChangedBy, cause.Value{}, cause.Name(d.Name), cause.ByServer))
		}
	}
	return facts, err
}

// signedBy names the enrolled device that made an attempt.
func signedBy(d store.Device) cause.Fact {
	return cause.Note(cause.CheckSignedBy, cause.Value{}, cause.Name(d.Name), cause.ByServer)
}
