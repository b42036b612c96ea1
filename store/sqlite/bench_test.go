package sqlite

import (
	"context"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// The statements of a sign-in's beginning; 32 at a time, so that they share
// commits as they do in the server.
func BenchmarkBegin(b *testing.B) {
	s := openIn(b, b.TempDir(), &faults{})
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "jane@example.org", Record: make([]byte, 192), Epoch: 1, Created: time.Now()}
	d := store.Device{Account: a.ID, ID: store.ID{5}, Name: "desk", Enrolled: time.Now()}
	err := s.Update(b.Context(), func(tx store.Tx) error {
		if err := tx.AddSubject(a); err != nil {
			return err
		}
		return tx.AddDevice(d)
	})
	if err != nil {
		b.Fatal(err)
	}
	detail := make([]byte, 400)
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			err := s.Update(context.Background(), func(tx store.Tx) error {
				a, err := tx.Find(a.Key, store.StandKey(a.Key))
				if err != nil {
					return err
				}
				if _, err := tx.Devices(a.ID); err != nil {
					return err
				}
				if _, err := tx.Strangers(1); err != nil {
					return err
				}
				a.Hot.Seq[1]++
				hot := store.DeviceHot{LastSeen: time.Now()}
				if err := tx.SaveSubjectHot(a.ID, a.Hot); err != nil {
					return err
				}
				if err := tx.SaveDeviceHot(a.ID, d.ID, hot); err != nil {
					return err
				}
				return tx.Append(store.Entry{Account: a.ID, Ring: 1, Seq: a.Hot.Seq[1], At: time.Now(), Detail: detail})
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
