package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

func subjects(t *testing.T, open Open) {
	s, _ := open(t)
	a, b := account(1), account(2)
	a.Identifier, b.Identifier = "zoe@example.org", "adam@example.org"
	update(t, s, func(tx store.Tx) error {
		if err := tx.AddSubject(a); err != nil {
			return err
		}
		return tx.AddSubject(b)
	})
	for _, want := range []store.Subject{a, b} {
		same(t, "by key", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(want.Key, store.StandKey(want.Key)) }), want)
		same(t, "by ID", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(want.ID) }), want)
	}
	same(t, "accounts by identifier", get(t, s, store.Tx.Accounts), []store.Subject{b, a})

	twin := account(3)
	twin.Key = a.Key
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddSubject(twin) })

	saved := account(4)
	saved.ID = a.ID
	update(t, s, func(tx store.Tx) error { return tx.SaveSubject(saved) })
	want := saved
	want.Hot = a.Hot
	same(t, "saved, hot part untouched", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(a.ID) }), want)
	same(t, "found by the new key", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(saved.Key, store.StandKey(saved.Key)) }), want)
	old := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(a.Key, store.StandKey(a.Key)) })
	if !old.Ghost {
		t.Fatalf("the old key still leads to %+v", old)
	}

	want.Hot = account(5).Hot
	update(t, s, func(tx store.Tx) error { return tx.SaveSubjectHot(a.ID, want.Hot) })
	same(t, "hot part saved, the rest untouched", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(a.ID) }), want)
	same(t, "the other account", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(b.ID) }), b)

	nobody := account(6)
	missing(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(nobody.ID) })
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveSubject(nobody) })
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveSubjectHot(nobody.ID, nobody.Hot) })
	taken := want
	taken.Key = b.Key
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.SaveSubject(taken) })
}

func ghosts(t *testing.T, open Open) {
	s, reopen := open(t)
	all := map[store.ID]bool{}
	for i := range store.Ghosts {
		k := store.GhostKey(i)
		g := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(k, k) })
		same(t, "a ghost", g, store.Subject{ID: g.ID, Key: k, Ghost: true})
		all[g.ID] = true
	}
	if len(all) != store.Ghosts {
		t.Fatalf("%d ghosts, want %d", len(all), store.Ghosts)
	}

	// Guessing at many unknown names is counted, and makes no new rows.
	for i := range 3 * store.Ghosts {
		k := account(uint64(100 + i)).Key
		g := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(k, store.StandKey(k)) })
		if !g.Ghost || g.Key != store.StandKey(k) || !all[g.ID] {
			t.Fatalf("an unknown key leads to %+v", g)
		}
	}
	k := account(1).Key
	g := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(k, store.StandKey(k)) })
	hot := account(2).Hot
	e := entry(3, g.ID, store.RingStrangers, 1)
	update(t, s, func(tx store.Tx) error {
		if err := tx.SaveSubjectHot(g.ID, hot); err != nil {
			return err
		}
		return tx.Append(e)
	})
	g.Hot = hot
	same(t, "a counted ghost", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(k, store.StandKey(k)) }), g)
	same(t, "a ghost's ledger", get(t, s, func(tx store.Tx) ([]store.Entry, error) { return tx.Ledger(g.ID) }), []store.Entry{e})
	same(t, "accounts", len(get(t, s, store.Tx.Accounts)), 0)

	a := account(1)
	update(t, s, func(tx store.Tx) error { return tx.AddSubject(a) })
	same(t, "an account in front of its ghost", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(k, store.StandKey(k)) }), a)

	s = reopen()
	same(t, "the same ghost later", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(g.Key, g.Key) }), g)
}

func lanes(t *testing.T, open Open) {
	s, reopen := open(t)
	first, last := store.Lane(0), store.Lane(store.Lanes-1)
	read := func(l store.Lane) lockout.State {
		return get(t, s, func(tx store.Tx) (lockout.State, error) { return tx.Strangers(l) })
	}
	same(t, "a lane never saved", read(first), lockout.State{})
	a, b := sample[lockout.State](1), sample[lockout.State](2)
	for range 2 { // saved anew, and over what is there
		a, b = b, a
		update(t, s, func(tx store.Tx) error { return errors.Join(tx.SaveStrangers(first, a), tx.SaveStrangers(last, b)) })
		same(t, "the first lane", read(first), a)
		same(t, "the last lane", read(last), b)
	}
	s = reopen()
	same(t, "a lane later", read(first), a)
	if n := len(map[store.Lane]bool{store.LaneOf(account(1).Key): true, store.LaneOf(account(2).Key): true, store.LaneOf(account(3).Key): true}); n < 2 {
		t.Error("identifiers share one lane")
	}
}

func devices(t *testing.T, open Open) {
	s, _ := open(t)
	a, b := account(1).ID, account(2).ID
	first, second, elsewhere := enrolled(1, a), enrolled(2, a), enrolled(3, b)
	first.Enrolled, second.Enrolled = at(1), at(2)
	elsewhere.Thumbprint = first.Thumbprint
	update(t, s, func(tx store.Tx) error {
		for _, d := range []store.Device{second, first, elsewhere} {
			if err := tx.AddDevice(d); err != nil {
				return err
			}
		}
		return nil
	})
	list := func(account store.ID) []store.Device {
		return get(t, s, func(tx store.Tx) ([]store.Device, error) { return tx.Devices(account) })
	}
	same(t, "oldest first", list(a), []store.Device{first, second})
	same(t, "the same key elsewhere", list(b), []store.Device{elsewhere})
	same(t, "by key", get(t, s, func(tx store.Tx) (store.Device, error) { return tx.Device(a, first.Thumbprint) }), first)
	missing(t, s, func(tx store.Tx) (store.Device, error) { return tx.Device(b, second.Thumbprint) })

	again := enrolled(4, a)
	again.Thumbprint, again.Enrolled = first.Thumbprint, at(3)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddDevice(again) })

	removed := enrolled(5, a)
	removed.ID, removed.Thumbprint, removed.Enrolled, removed.Removed = first.ID, first.Thumbprint, first.Enrolled, at(9)
	update(t, s, func(tx store.Tx) error { return tx.SaveDevice(removed) })
	want := removed
	want.Hot = first.Hot
	same(t, "removed, hot part untouched", list(a), []store.Device{want, second})

	want.Hot = enrolled(6, a).Hot
	update(t, s, func(tx store.Tx) error { return tx.SaveDeviceHot(a, want.ID, want.Hot) })
	same(t, "hot part saved, the rest untouched", list(a), []store.Device{want, second})
	same(t, "the same key elsewhere is another device", list(b), []store.Device{elsewhere})

	update(t, s, func(tx store.Tx) error { return tx.AddDevice(again) })
	same(t, "enrolled again", list(a), []store.Device{second, again})

	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveDeviceHot(b, second.ID, second.Hot) })
	wrong := second
	wrong.Account = b
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveDevice(wrong) })
}

func sessions(t *testing.T, open Open) {
	s, _ := open(t)
	a, b := account(1).ID, account(2).ID
	phone, desk := enrolled(1, a).ID, enrolled(2, a).ID
	var mine []store.Session // newest first
	for i := range 4 {
		n := living(uint64(i), a, []store.ID{phone, desk}[i%2])
		n.Created, n.LastUsed = at(int64(100-i)), at(int64(200))
		mine = append(mine, n)
	}
	other := living(9, b, phone)
	list := func(account store.ID) []store.Session {
		return get(t, s, func(tx store.Tx) ([]store.Session, error) { return tx.Sessions(account) })
	}
	update(t, s, func(tx store.Tx) error {
		for _, n := range append(slices.Clone(mine), other) {
			if err := tx.AddSession(n); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "newest first", list(a), mine)
	same(t, "by ID", get(t, s, func(tx store.Tx) (store.Session, error) { return tx.Session(other.ID) }), other)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddSession(other) })
	missing(t, s, func(tx store.Tx) (store.Session, error) { return tx.Session(phone) })

	end := func(device, except store.ID, when time.Time, by store.ID, why string) (n int) {
		update(t, s, func(tx store.Tx) (err error) {
			n, err = tx.EndSessions(a, device, except, when, by, why)
			return err
		})
		return n
	}
	same(t, "ended of the phone", end(phone, mine[0].ID, at(300), desk, store.EndSuperseded), 1)
	mine[2].Ended, mine[2].EndedBy, mine[2].EndedWhy = at(300), desk, store.EndSuperseded
	same(t, "after that", list(a), mine)
	same(t, "ended of all but one", end(store.ID{}, mine[1].ID, at(400), store.ID{}, store.EndPasswordChanged), 2)
	for _, i := range []int{0, 3} {
		mine[i].Ended, mine[i].EndedWhy = at(400), store.EndPasswordChanged
	}
	same(t, "after that", list(a), mine)
	same(t, "ended of all", end(store.ID{}, store.ID{}, at(500), phone, store.EndSignedOut), 1)
	same(t, "nothing left", end(store.ID{}, store.ID{}, at(600), phone, store.EndSignedOut), 0)
	same(t, "of another account", list(b), []store.Session{other})

	touch := func(when time.Time) {
		update(t, s, func(tx store.Tx) error { return tx.TouchSession(other.ID, when) })
	}
	other.LastUsed = other.LastUsed.Add(time.Hour)
	touch(other.LastUsed)
	touch(other.LastUsed.Add(-time.Minute))
	touch(other.LastUsed)
	same(t, "last use never goes back", list(b), []store.Session{other})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.TouchSession(phone, at(1)) })
}

func keys(t *testing.T, open Open) {
	s, _ := open(t)
	var all []store.SealedKey
	for i := range 3 {
		k := sample[store.SealedKey](uint64(i))
		k.Created, k.Retired = at(int64(i)), time.Time{}
		k.ID = strings.Repeat("k", 3-i)
		all = append(all, k)
	}
	update(t, s, func(tx store.Tx) error {
		for _, i := range []int{1, 0, 2} {
			if err := tx.AddKey(all[i]); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "oldest first", get(t, s, store.Tx.Keys), all)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddKey(all[0]) })
	all[0].Retired = at(77)
	changed := all[0]
	changed.Purpose, changed.Sealed = "another", []byte("another")
	update(t, s, func(tx store.Tx) error { return tx.SaveKey(changed) })
	same(t, "only Retired is saved", get(t, s, store.Tx.Keys), all)
	update(t, s, func(tx store.Tx) error { return tx.DropKey(all[1].ID) })
	same(t, "dropped", get(t, s, store.Tx.Keys), []store.SealedKey{all[0], all[2]})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DropKey(all[1].ID) })
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveKey(all[1]) })
}
