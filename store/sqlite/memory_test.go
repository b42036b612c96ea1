package sqlite

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

// Whatever was written, taken back or failed: what the writer remembers of
// accounts, devices and counters is what a reader reads.
func TestMemoryIsWhatIsWritten(t *testing.T) {
	f := &faults{}
	s := openIn(t, t.TempDir(), f)
	const accounts, devices = 3, 3
	account := func(i int) store.ID { return store.ID{byte(i), 1} }
	device := func(i int) store.ID { return store.ID{byte(i), 2} }
	key := func(i int) store.Key { return store.Key{byte(i), 3} }
	thumbprint := func(i int) store.Thumbprint { return store.Thumbprint{byte(i), 4} }

	look := func(tx store.Tx) (all []any) {
		note := func(v any, err error) {
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
			all = append(all, v, err == nil)
		}
		for a := range accounts {
			note(tx.Subject(account(a)))
			for d := range devices {
				note(tx.Device(account(a), thumbprint(d)))
			}
			note(tx.Strangers(store.Lane(a)))
		}
		return all
	}
	type change struct{ What, Account, Device, Value int }
	step := func(tx store.Tx, c change) error {
		a, d, n := c.Account, c.Device, c.Value
		at := time.Unix(int64(n), int64(n)) // finer than what is kept
		switch c.What {
		case 0:
			return tx.AddSubject(store.Subject{ID: account(a), Key: key(a), Identifier: string(rune('a' + a)), Record: []byte{1}, Created: at})
		case 1:
			return tx.CloseAccount(account(a))
		case 2:
			return tx.SaveSubject(store.Subject{ID: account(a), Key: key(a), Record: []byte{byte(n)}, Epoch: int64(n)})
		case 3:
			return tx.SaveSubjectHot(account(a), store.SubjectHot{StrangerFailures: n, Seq: [store.Rings]int64{int64(n)}})
		case 4:
			return tx.AddDevice(store.Device{Account: account(a), ID: device(d), Thumbprint: thumbprint(d), Name: "n", Enrolled: at})
		case 5:
			return tx.SaveDevice(store.Device{Account: account(a), ID: device(d), Name: "m", Removed: at})
		case 6:
			own := lockout.State{Failed: n, OpenUntil: at, LockedUntil: at, LastFailure: at}
			return tx.SaveDeviceHot(account(a), device(d), store.DeviceHot{Own: own, LastSeen: at, Skew: time.Duration(n)})
		case 7:
			return tx.SaveStrangers(store.Lane(a), lockout.State{Failed: n, Open: n, Locks: n, OpenUntil: at, LockedUntil: at, LastFailure: at})
		}
		_, err := tx.Find(key(a), store.StandKey(key(a)))
		look(tx)
		return err
	}
	ctx := context.Background()
	same := func(tb interface{ Fatalf(string, ...any) }) {
		var remembered, read []any
		if err := s.Update(ctx, func(tx store.Tx) error { remembered = look(tx); return nil }); err != nil {
			tb.Fatalf("%v", err)
		}
		if err := s.View(ctx, func(tx store.Tx) error { read = look(tx); return nil }); err != nil {
			tb.Fatalf("%v", err)
		}
		if !reflect.DeepEqual(remembered, read) {
			tb.Fatalf("remembered %v,\nread %v", remembered, read)
		}
	}
	run := func(changes []change, end error) error {
		return s.Update(ctx, func(tx store.Tx) error {
			for _, c := range changes {
				if err := step(tx, c); err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
					return err
				}
			}
			if end == errPanic {
				panic(end)
			}
			return end
		})
	}
	draw := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) change {
		return change{
			rapid.IntRange(0, 8).Draw(t, "what"), rapid.IntRange(0, accounts-1).Draw(t, "account"),
			rapid.IntRange(0, devices-1).Draw(t, "device"), rapid.IntRange(1, 1e6).Draw(t, "value"),
		}
	}), 1, 6)
	ends := rapid.SampledFrom([]error{nil, nil, nil, store.ErrNotFound, errPanic})
	rapid.Check(t, func(rt *rapid.T) {
		for range 12 {
			changes, end := draw.Draw(rt, "changes"), ends.Draw(rt, "end")
			if err := run(changes, end); (err == nil) != (end == nil) {
				rt.Fatalf("end %v: %v", end, err)
			}
			same(rt)
		}
	})

	run([]change{{0, 0, 0, 1}, {4, 0, 0, 1}, {8, 0, 0, 0}}, nil)
	f.commit.Store(true)
	if run([]change{{3, 0, 0, 77}, {6, 0, 0, 77}, {7, 0, 0, 77}}, nil) == nil {
		t.Fatal("the commit did not fail")
	}
	f.commit.Store(false)
	eventually(t, func() error { return run(nil, nil) })
	same(t)
}

var errPanic = errors.New("panics")
