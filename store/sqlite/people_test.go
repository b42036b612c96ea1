package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

// TestDataOfFormerSchemas: a start on them keeps every row and can keep what
// came later.
func TestDataOfFormerSchemas(t *testing.T) {
	for _, from := range []int64{1, schema - 1} {
		t.Run(fmt.Sprint(from), func(t *testing.T) { dataOf(t, from) })
	}
}

func dataOf(t *testing.T, from int64) {
	dir := t.TempDir()
	old := &Store{dir: dir, faults: &faults{}}
	if err := private(filepath.Join(dir, file)); err != nil {
		t.Fatal(err)
	}
	c, err := old.connect(false)
	if err != nil {
		t.Fatal(err)
	}
	c.one.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, c.db, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(context.Background(), from); err != nil {
		t.Fatal(err)
	}
	c.db.Close()
	if c, err = old.connect(false); err != nil {
		t.Fatal(err)
	}
	if at, err := version(c); err != nil || at != from {
		t.Fatalf("schema %d (%v), want %d", at, err, from)
	}
	if err := addGhosts(c); err != nil {
		t.Fatal(err)
	}
	when := time.UnixMicro(1_700_000_000_000_001).UTC()
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "jane@example.org", Record: []byte{3}, Epoch: 4, Created: when}
	d := store.Device{Account: a.ID, ID: store.ID{5}, Name: "desk", Enrolled: when}
	n := store.Session{ID: store.ID{6}, Account: a.ID, Device: d.ID, Created: when, LastUsed: when}
	e := store.Entry{Account: a.ID, Seq: 1, Reference: "R", At: when, Detail: []byte("{}")}
	w := sqltx.New(c.queries, tell)
	if err := errors.Join(w.AddSubject(a), w.AddDevice(d), w.AddSession(n), w.Append(e)); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}

	address := store.Address{Account: a.ID, ID: store.ID{7}, Kind: store.Email, Value: a.Identifier}
	for round := range 2 {
		s := openIn(t, dir, &faults{})
		if at, err := version(s.writer); err != nil || at != schema {
			t.Fatalf("schema %d (%v), want %d", at, err, schema)
		}
		if round == 0 {
			if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.AddAddress(address) }); err != nil {
				t.Fatal(err)
			}
		}
		err := s.View(t.Context(), func(tx store.Tx) error {
			subject, err1 := tx.Find(a.Key, store.StandKey(a.Key))
			devices, err2 := tx.Devices(a.ID)
			sessions, err3 := tx.Sessions(a.ID)
			ledger, err4 := tx.Ledger(a.ID)
			addresses, err5 := tx.Addresses(a.ID)
			got := []any{subject, devices, sessions, ledger, addresses}
			want := []any{a, []store.Device{d}, []store.Session{n}, []store.Entry{e}, []store.Address{address}}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("round %d:\n got %+v\nwant %+v", round, got, want)
			}
			return errors.Join(err1, err2, err3, err4, err5)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCloseAccountIsNoted: who remembers a session of it learns that it ended.
func TestCloseAccountIsNoted(t *testing.T) {
	s := openIn(t, t.TempDir(), &faults{})
	a := store.Subject{ID: store.ID{1, 2}, Key: store.Key{1}, Identifier: "jane@example.org"}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.AddSubject(a) }); err != nil {
		t.Fatal(err)
	}
	before := s.Changes().Mark(a.ID)
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.CloseAccount(a.ID) }); err != nil {
		t.Fatal(err)
	}
	if s.Changes().Mark(a.ID) == before {
		t.Fatal("a closed account's sessions are still remembered")
	}
}

// TestRolledBackPeople: what failed, a closing too, has left everything as it was.
func TestRolledBackPeople(t *testing.T) {
	s := openIn(t, t.TempDir(), &faults{})
	a, id, own := store.Subject{ID: store.ID{1}, Key: store.Key{1}, Identifier: "j"}, store.ID{1}, errors.New("own")
	address := store.Address{Account: id, ID: store.ID{2}, Kind: store.Email, Value: "j"}
	codes := []store.RecoveryCode{{Account: id, Hash: [32]byte{3}}}
	err := s.Update(t.Context(), func(tx store.Tx) error {
		return errors.Join(tx.AddSubject(a), tx.AddAddress(address), tx.ReplaceRecoveryCodes(id, codes))
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(store.Tx) error{
		"close":   func(tx store.Tx) error { return tx.CloseAccount(id) },
		"use":     func(tx store.Tx) error { return tx.UseRecoveryCode(id, codes[0].Hash, time.Unix(1, 0)) },
		"replace": func(tx store.Tx) error { return tx.ReplaceRecoveryCodes(id, nil) },
		"add": func(tx store.Tx) error {
			return errors.Join(tx.AddRecovery(store.Recovery{Account: id}), tx.AddMessage(store.Message{Account: id}),
				tx.AddPasskey(store.Passkey{Account: id}), tx.SaveApproval(store.Approval{Account: id}), tx.AddDeskAct(store.DeskAct{Account: id}))
		},
	} {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			if err := f(tx); err != nil {
				return err
			}
			return own
		})
		if !errors.Is(err, own) {
			t.Fatalf("%s: %v", name, err)
		}
		s.View(t.Context(), func(tx store.Tx) error {
			_, gone := tx.Subject(id)
			addresses, _ := tx.Addresses(id)
			kept, _ := tx.RecoveryCodes(id)
			r, _ := tx.Recoveries(id)
			m, _ := tx.Messages(id)
			p, _ := tx.Passkeys(id)
			ap, _ := tx.Approvals(id)
			acts, _ := tx.DeskActs(id)
			if gone != nil || len(addresses) != 1 || !reflect.DeepEqual(kept, codes) || len(r)+len(m)+len(p)+len(ap)+len(acts) > 0 {
				t.Errorf("%s that failed has left something", name)
			}
			return nil
		})
	}
}
