package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"readmit.dev/readmit/store"
)

// A node works on beside the next version's schema, which has columns and
// tables that it knows nothing of, while it is running.
func TestBesideTheNextSchema(t *testing.T) {
	c := empty(t)
	s := openIn(t, c)
	account := func(n byte) store.Subject {
		return store.Subject{ID: store.ID{n}, Key: store.Key{n}, Identifier: "a@example.org", Record: []byte{1}, Epoch: 1}
	}
	work := func(n byte) {
		t.Helper()
		a := account(n)
		d := store.Device{Account: a.ID, Thumbprint: store.Thumbprint{n}, ID: store.ID{n}, Enrolled: time.Now()}
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for _, err := range []error{
				tx.AddSubject(a), tx.AddDevice(d), tx.AddSession(store.Session{ID: store.ID{n}, Account: a.ID, Device: d.ID}),
				tx.Append(store.Entry{Account: a.ID, Seq: 1, ID: store.ID{n}, Open: true}), tx.AddRequest(store.Request{ID: store.ID{n}, Account: a.ID}),
				tx.SavePolicy([]byte("{}")), tx.SaveFormer(store.Former{Account: a.ID}), tx.AddSignal(store.Signal{ID: store.ID{n}, Account: a.ID}),
				tx.SaveApproval(store.Approval{Account: a.ID}), tx.AddMessage(store.Message{ID: store.ID{n}, Account: a.ID}),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			err = s.Update(t.Context(), func(tx store.Tx) error {
				found, err := tx.Find(a.Key, store.StandKey(a.Key))
				if err != nil {
					return err
				}
				if _, err := tx.Device(found.ID, d.Thumbprint); err != nil {
					return err
				}
				return tx.SaveSubjectHot(found.ID, found.Hot)
			})
			if err != nil {
				t.Fatal(err)
			}
			err = s.Update(t.Context(), func(tx store.Tx) error {
				if _, err := tx.Subject(a.ID); err != nil {
					return err
				}
				return tx.SaveDeviceHot(a.ID, d.ID, d.Hot)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		err = s.View(t.Context(), func(tx store.Tx) error {
			_, err := tx.Session(store.ID{n})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	work(1) // and prepares the statements
	db, err := pgx.Connect(t.Context(), c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.Background())
	tables, err := texts(t.Context(), db, tablesQuery)
	if err != nil {
		t.Fatal(err)
	}
	next := []string{"CREATE TABLE of_the_next_version (id BIGINT NOT NULL PRIMARY KEY)", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)"}
	for _, name := range tables {
		next = append(next, "ALTER TABLE "+name+" ADD COLUMN of_the_next_version BIGINT NOT NULL DEFAULT 7")
	}
	for _, n := range next {
		if _, err := db.Exec(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	work(2)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}
