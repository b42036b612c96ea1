package account_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/message/send"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

// A change that was authorised and comes after the session has ended, or the
// account was disabled, changes nothing and sends nothing.
func TestAddressesAfterTheSessionEnded(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }
	kept, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	ring, err := keys.Open(t.Context(), kept, make([]byte, 32), now)
	if err != nil {
		t.Fatal(err)
	}
	g := gate.New(now)
	mail, sms := send.NewTerminals(t.Output())
	s := &account.Service{
		Store: kept, Gate: g, Keys: ring, Sessions: session.New(kept, g, ring, "https://id.example.org"),
		Messages: &message.Outbox{
			Store: kept, Keys: ring, Now: now, URL: "https://id.example.org", Log: slog.New(slog.DiscardHandler),
			Senders: map[string]message.Sender{store.Email: mail, store.Phone: sms},
		},
	}
	for i, end := range []func(tx store.Tx, a session.Actor) error{
		func(tx store.Tx, a session.Actor) error {
			_, err := tx.EndSessions(a.Account.ID, store.ID{}, store.ID{}, now(), a.Device.ID, store.EndSignedOut)
			return err
		},
		func(tx store.Tx, a session.Actor) error {
			a.Account.Disabled = now()
			return tx.SaveSubject(a.Account)
		},
	} {
		n := byte(i + 1)
		a := session.Actor{
			Account: store.Subject{ID: store.ID{n}, Key: store.Key{n}, Identifier: "jane@example.org", Epoch: 1, Created: now()},
			Device:  store.Device{Account: store.ID{n}, ID: store.ID{n}, Thumbprint: store.Thumbprint{n}, Name: "laptop", Enrolled: now()},
			Session: store.Session{ID: store.ID{n}, Account: store.ID{n}, Device: store.ID{n}, Created: now(), LastUsed: now()},
		}
		if i > 0 {
			a.Account.Identifier = "joe@example.org"
		}
		verified := store.Address{Account: a.Account.ID, ID: store.ID{n, 1}, Kind: store.Email, Value: "home@example.org", Added: now(), Verified: now()}
		update := func(f func(store.Tx) error) {
			t.Helper()
			if err := kept.Update(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		update(func(tx store.Tx) error {
			return errors.Join(tx.AddSubject(a.Account), tx.AddDevice(a.Device), tx.AddSession(a.Session), tx.AddAddress(verified))
		})
		waiting, err := s.AddAddress(t.Context(), a, store.Phone, "+4930901820", "", gate.Caller{})
		if err != nil {
			t.Fatal(err)
		}
		update(func(tx store.Tx) error { return end(tx, a) })
		if _, err := s.AddAddress(t.Context(), a, store.Email, "other@example.org", "", gate.Caller{}); !errors.Is(err, session.ErrNone) {
			t.Errorf("%d: added: %v", i, err)
		}
		if _, refusal, err := s.VerifyAddress(t.Context(), a, waiting.ID, "000000", gate.Caller{}); !errors.Is(err, session.ErrNone) || refusal != nil {
			t.Errorf("%d: verified: %v", i, err)
		}
		if err := s.RemoveAddress(t.Context(), a, verified.ID, gate.Caller{}); !errors.Is(err, session.ErrNone) {
			t.Errorf("%d: removed: %v", i, err)
		}
		update(func(tx store.Tx) error {
			list, err := tx.Addresses(a.Account.ID)
			sent, err2 := tx.Messages(a.Account.ID)
			if len(list) != 2 || len(sent) != 1 {
				t.Errorf("%d: %d addresses, %d messages", i, len(list), len(sent))
			}
			return errors.Join(err, err2)
		})
	}
}
