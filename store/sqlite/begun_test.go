package sqlite

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

// What the last message of a sign-in is told from memory must be what the
// store would have said, whatever was written, undone or lost in between.
func TestRemembersAsTheStoreDoes(t *testing.T) {
	f := &faults{}
	s := openIn(t, t.TempDir(), f)
	random := rand.New(rand.NewPCG(4, 1))
	account := store.Subject{ID: store.ID{1}, Key: store.Key{1}, Identifier: "jo", Record: []byte("record")}
	keys := []store.Thumbprint{{1}, {2}, {3}}
	now := func() time.Time { return time.Now().Add(time.Duration(random.IntN(1e9))) }
	hot := func() store.DeviceHot {
		return store.DeviceHot{Own: lockout.State{Failed: random.IntN(9), OpenUntil: now(), LastFailure: now()}, LastSeen: now(), Skew: 7}
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.AddSubject(account) }); err != nil {
		t.Fatal(err)
	}

	type answer struct {
		subject store.Subject
		devices []store.Device
	}
	ask := func(of store.ID) (told, kept answer) {
		t.Helper()
		read := func(to *answer) func(store.Tx) error {
			return func(tx store.Tx) (err error) {
				*to = answer{}
				to.subject, err = tx.Subject(of)
				for _, k := range keys {
					d, derr := tx.Device(of, k)
					if derr != nil && !errors.Is(derr, store.ErrNotFound) {
						err = errors.Join(err, derr)
					}
					to.devices = append(to.devices, d)
				}
				return err
			}
		}
		if err := errors.Join(s.Update(t.Context(), read(&told)), s.View(t.Context(), read(&kept))); err != nil {
			t.Fatal(err)
		}
		return told, kept
	}

	undone := errors.New("undone")
	remembered := 0
	for n := range 1000 {
		d := store.Device{Account: account.ID, Thumbprint: keys[random.IntN(len(keys))], Enrolled: now(), Hot: hot()}
		d.ID = store.ID{d.Thumbprint[0], byte(random.IntN(2))} // a key can be enrolled anew, as another device
		fail := random.IntN(5) == 0
		f.commit.Store(n%300 == 299)
		err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := tx.Find(account.Key, store.StandKey(account.Key))
			if err != nil {
				return err
			}
			switch random.IntN(7) {
			case 1:
				changed := account
				changed.Epoch, changed.PasswordChanged, changed.Disabled = random.Int64N(99), now(), now()
				err = tx.SaveSubject(changed)
			case 2:
				err = tx.SaveSubjectHot(account.ID, store.SubjectHot{StrangerFailures: random.IntN(99), Seq: [store.Rings]int64{random.Int64N(99)}})
			case 3:
				err = tx.AddDevice(d)
			case 4:
				d.Removed = now()
				err = tx.SaveDevice(d)
			case 5:
				err = tx.SaveDeviceHot(account.ID, d.ID, d.Hot)
			case 6:
				_, err = tx.Device(account.ID, d.Thumbprint)
			}
			if fail {
				return errors.Join(err, undone)
			}
			return err
		})
		if err != nil && !errors.Is(err, undone) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
		f.commit.Store(false)
		for errors.Is(s.Update(t.Context(), func(store.Tx) error { return nil }), store.ErrUnavailable) {
			time.Sleep(time.Millisecond) // until the writer is back
		}
		if _, ok := s.begun.subject(account.ID); ok { // the writer is idle
			remembered++
		}
		if told, kept := ask(account.ID); !reflect.DeepEqual(told, kept) {
			t.Fatalf("step %d: told\n%+v, kept\n%+v", n, told, kept)
		}
	}
	if remembered < 200 {
		t.Errorf("remembered at %d of 1000 steps", remembered)
	}
}
