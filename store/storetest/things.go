package storetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

func rings(t *testing.T, open Open) {
	s, _ := open(t)
	a, b := account(1).ID, account(2).ID
	kept := entry(1, b, store.RingStrangers, 7)
	update(t, s, func(tx store.Tx) error { return tx.Append(kept) })

	// A flood in one ring, a little in the others.
	last := [store.Rings]int64{3*store.RingSize + 5, store.RingSize, store.RingSize + 1, 2}
	var want []store.Entry
	clock := int64(0)
	for ring := range store.Rings {
		for seq := int64(1); seq <= last[ring]; seq++ {
			clock++
			e := entry(uint64(clock), a, ring, seq)
			e.At = at(clock)
			update(t, s, func(tx store.Tx) error { return tx.Append(e) })
			if seq > last[ring]-store.RingSize {
				want = append(want, e)
			}
			n := len(get(t, s, func(tx store.Tx) ([]store.Entry, error) { return tx.Ledger(a) }))
			if n > int(store.Rings)*store.RingSize || n > len(want)+store.RingSize {
				t.Fatalf("%d entries after %d in ring %d", n, seq, ring)
			}
		}
	}
	slices.Reverse(want)
	same(t, "newest first, of each ring the newest", get(t, s, func(tx store.Tx) ([]store.Entry, error) { return tx.Ledger(a) }), want)
	same(t, "another account's", get(t, s, func(tx store.Tx) ([]store.Entry, error) { return tx.Ledger(b) }), []store.Entry{kept})
	missing(t, s, func(tx store.Tx) (store.Entry, error) {
		return tx.Entry(a, store.RingStrangers, last[0]-store.RingSize)
	})
	oldest := last[0] - store.RingSize + 1
	same(t, "the oldest that is kept", get(t, s, func(tx store.Tx) (store.Entry, error) { return tx.Entry(a, store.RingStrangers, oldest) }).Seq, oldest)
	missing(t, s, func(tx store.Tx) (store.Entry, error) { return tx.Entry(a, store.RingStrangers, last[0]+1) })
}

func entries(t *testing.T, open Open) {
	s, _ := open(t)
	a, b := account(1).ID, account(2).ID
	first, second, third := entry(1, a, store.RingDevices, 1), entry(2, b, store.RingStrangers, 1), entry(3, a, store.RingLooks, 1)
	second.Reference = first.Reference
	first.At, second.At = at(1), at(2)
	third.Open = false
	update(t, s, func(tx store.Tx) error {
		for _, e := range []store.Entry{first, second, third} {
			if err := tx.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "by number", get(t, s, func(tx store.Tx) (store.Entry, error) { return tx.Entry(a, store.RingDevices, 1) }), first)
	find := func(ref string) []store.Entry {
		return get(t, s, func(tx store.Tx) ([]store.Entry, error) { return tx.FindReference(ref) })
	}
	same(t, "by reference, newest first", find(first.Reference), []store.Entry{second, first})
	same(t, "an unknown reference", len(find("none")), 0)

	// What is closed must be the same attempt, there, and open.
	closing := first
	closing.Detail = []byte(`{"outcome":"refused"}`)
	for _, wrong := range []func(e *store.Entry){
		func(e *store.Entry) { e.ID = second.ID },
		func(e *store.Entry) { e.Seq++ },
		func(e *store.Entry) { e.Seq += store.RingSize },
		func(e *store.Entry) { e.Ring = store.RingStrangers },
		func(e *store.Entry) { e.Account = b },
	} {
		e := closing
		wrong(&e)
		fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.CloseEntry(e) })
	}
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.CloseEntry(third) })
	update(t, s, func(tx store.Tx) error { return tx.CloseEntry(closing) })
	first.Detail, first.Open = closing.Detail, false
	same(t, "closed", get(t, s, func(tx store.Tx) (store.Entry, error) { return tx.Entry(a, store.RingDevices, 1) }), first)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.CloseEntry(closing) })
	same(t, "by reference after that", find(first.Reference), []store.Entry{second, first})

	over := entry(4, a, store.RingDevices, 1+store.RingSize)
	update(t, s, func(tx store.Tx) error { return tx.Append(over) })
	missing(t, s, func(tx store.Tx) (store.Entry, error) { return tx.Entry(a, store.RingDevices, 1) })
	same(t, "by the reference of one that gave way", find(first.Reference), []store.Entry{second})
}

func closeEntryOnce(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	for round := range 5 {
		e := entry(uint64(round), a.ID, store.RingStrangers, int64(round+1))
		update(t, s, func(tx store.Tx) error { return tx.Append(e) })
		var closed, refused atomic.Int32
		together(50, func(int) {
			err := s.Update(context.Background(), func(tx store.Tx) error {
				if _, err := raise(tx, a.ID); err != nil {
					return err
				}
				return tx.CloseEntry(e)
			})
			switch {
			case err == nil:
				closed.Add(1)
			case errors.Is(err, store.ErrNotFound):
				refused.Add(1)
			default:
				t.Errorf("close: %v", err)
			}
		})
		if closed.Load() != 1 || refused.Load() != 49 {
			t.Fatalf("closed %d times, refused %d times", closed.Load(), refused.Load())
		}
		same(t, "what the refused wrote beside it", failures(t, s, a.ID), round+1)
	}
}

func requests(t *testing.T, open Open) {
	s, _ := open(t)
	a := account(1).ID
	older, newer := sample[store.Request](1), sample[store.Request](2)
	older.Account, newer.Account = a, a
	older.Opened, newer.Opened = at(1), at(2)
	update(t, s, func(tx store.Tx) error {
		if err := tx.AddRequest(older); err != nil {
			return err
		}
		return tx.AddRequest(newer)
	})
	same(t, "newest first", get(t, s, func(tx store.Tx) ([]store.Request, error) { return tx.Requests(a) }), []store.Request{newer, older})
	same(t, "of nobody", len(get(t, s, func(tx store.Tx) ([]store.Request, error) { return tx.Requests(newer.ID) })), 0)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddRequest(older) })
	c := sample[store.Request](3)
	older.WrongCodes, older.Seen, older.SeenBy = c.WrongCodes, c.Seen, c.SeenBy
	older.Allowed, older.AllowedBy, older.Denied, older.DeniedBy, older.Done = c.Allowed, c.AllowedBy, c.Denied, c.DeniedBy, time.Time{}
	update(t, s, func(tx store.Tx) error { return tx.SaveRequest(older) })
	same(t, "saved", get(t, s, func(tx store.Tx) (store.Request, error) { return tx.Request(older.ID) }), older)
	missing(t, s, func(tx store.Tx) (store.Request, error) { return tx.Request(a) })
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveRequest(c) })
	update(t, s, func(tx store.Tx) error { return tx.DropRequest(older.ID) })
	same(t, "what is left", get(t, s, func(tx store.Tx) ([]store.Request, error) { return tx.Requests(a) }), []store.Request{newer})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DropRequest(older.ID) })
}

func passes(t *testing.T, open Open) {
	s, _ := open(t)
	p, q := sample[store.Pass](1), sample[store.Pass](2)
	update(t, s, func(tx store.Tx) error {
		if err := tx.AddPass(p); err != nil {
			return err
		}
		return tx.AddPass(q)
	})
	fetch := func(hash [32]byte) func(store.Tx) (store.Pass, error) {
		return func(tx store.Tx) (store.Pass, error) { return tx.Pass(hash) }
	}
	same(t, "a pass", get(t, s, fetch(p.Hash)), p)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddPass(p) })
	p.Tries, p.Used = p.Tries+1, time.Time{}
	update(t, s, func(tx store.Tx) error { return tx.SavePass(p) })
	same(t, "saved", get(t, s, fetch(p.Hash)), p)
	update(t, s, func(tx store.Tx) error { return tx.DropPasses(p.Account) })
	missing(t, s, fetch(p.Hash))
	same(t, "another account's", get(t, s, fetch(q.Hash)), q)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SavePass(p) })
	update(t, s, func(tx store.Tx) error { return tx.DropPasses(p.Account) })
}

func invitations(t *testing.T, open Open) {
	s, _ := open(t)
	i := sample[store.Invitation](1)
	i.Used = time.Time{}
	fetch := func(tx store.Tx) (store.Invitation, error) { return tx.Invitation(i.Hash) }
	missing(t, s, fetch)
	update(t, s, func(tx store.Tx) error { return tx.AddInvitation(i) })
	same(t, "an invitation", get(t, s, fetch), i)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddInvitation(i) })
	i.Used = at(5)
	update(t, s, func(tx store.Tx) error { return tx.SaveInvitation(i) })
	same(t, "used", get(t, s, fetch), i)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveInvitation(sample[store.Invitation](2)) })
}

func formers(t *testing.T, open Open) {
	s, _ := open(t)
	f := sample[store.Former](1)
	fetch := func(tx store.Tx) (store.Former, error) { return tx.Former(f.Account) }
	missing(t, s, fetch)
	update(t, s, func(tx store.Tx) error { return tx.SaveFormer(f) })
	same(t, "a former password", get(t, s, fetch), f)
	f.Sealed, f.Replaced = []byte("another"), at(9)
	update(t, s, func(tx store.Tx) error { return tx.SaveFormer(f) })
	same(t, "the next one", get(t, s, fetch), f)
	missing(t, s, func(tx store.Tx) (store.Former, error) { return tx.Former(sample[store.Former](2).Account) })
	trimmed(t, s, at(9))
	same(t, "one as old as the limit", get(t, s, fetch), f)
	trimmed(t, s, at(10))
	missing(t, s, fetch)
}

func policy(t *testing.T, open Open) {
	s, _ := open(t)
	missing(t, s, store.Tx.Policy)
	for _, want := range []string{`{"a":1}`, `{"b":2}`} {
		update(t, s, func(tx store.Tx) error { return tx.SavePolicy([]byte(want)) })
		same(t, "policy", string(get(t, s, store.Tx.Policy)), want)
	}
}

func trim(t *testing.T, open Open) {
	s, _ := open(t)
	a := account(1).ID
	limit := at(1000)
	before, after := limit.Add(-time.Microsecond), limit
	var ended, late, lives store.Session = living(1, a, a), living(2, a, a), living(3, a, a)
	ended.Ended, late.Ended = before, after
	gone, stays := sample[store.Request](1), sample[store.Request](2)
	gone.Expires, stays.Expires = before, after
	gonePass, staysPass := sample[store.Pass](1), sample[store.Pass](2)
	gonePass.Expires, staysPass.Expires = before, after
	goneInvitation, staysInvitation := sample[store.Invitation](1), sample[store.Invitation](2)
	goneInvitation.Expires, staysInvitation.Expires = before, after
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.AddSession(ended), tx.AddSession(late), tx.AddSession(lives), tx.AddRequest(gone), tx.AddRequest(stays),
			tx.AddPass(gonePass), tx.AddPass(staysPass), tx.AddInvitation(goneInvitation), tx.AddInvitation(staysInvitation),
		)
	})
	trimmed(t, s, limit)
	missing(t, s, func(tx store.Tx) (store.Session, error) { return tx.Session(ended.ID) })
	missing(t, s, func(tx store.Tx) (store.Request, error) { return tx.Request(gone.ID) })
	missing(t, s, func(tx store.Tx) (store.Pass, error) { return tx.Pass(gonePass.Hash) })
	missing(t, s, func(tx store.Tx) (store.Invitation, error) { return tx.Invitation(goneInvitation.Hash) })
	same(t, "sessions left", len(get(t, s, func(tx store.Tx) ([]store.Session, error) { return tx.Sessions(a) })), 2)
	same(t, "request left", get(t, s, func(tx store.Tx) (store.Request, error) { return tx.Request(stays.ID) }), stays)
	same(t, "pass left", get(t, s, func(tx store.Tx) (store.Pass, error) { return tx.Pass(staysPass.Hash) }), staysPass)
	same(t, "invitation left", get(t, s, func(tx store.Tx) (store.Invitation, error) { return tx.Invitation(staysInvitation.Hash) }), staysInvitation)
}

// trimmed lets go of all that is old.
func trimmed(t *testing.T, s store.Store, before time.Time) {
	t.Helper()
	if err := store.Trim(t.Context(), s, before); err != nil {
		t.Fatal(err)
	}
}

// trimParts: no transaction deletes more than it may, however much there is, the
// oldest goes first, and what is not old stays.
func trimParts(t *testing.T, open Open) {
	s, _ := open(t)
	const each = 7
	a, on := account(1).ID, serviceOf(1, store.StreamEnabled)
	update(t, s, func(tx store.Tx) error { return tx.AddService(on) })
	for i := range each + 1 {
		seed, made := uint64(i+1), at(int64(10+i)) // the last is not old
		if i == each {
			made = at(1000)
		}
		session, request, pass, invitation := living(seed, a, a), sample[store.Request](seed), sample[store.Pass](seed), sample[store.Invitation](seed)
		former, recovery, approval, act := sample[store.Former](seed), sample[store.Recovery](seed), sample[store.Approval](seed), sample[store.DeskAct](seed)
		sent, lost := sample[store.Message](seed), sample[store.Message](seed+100)
		session.Ended, request.Expires, pass.Expires, invitation.Expires = made, made, made, made
		former.Replaced, recovery.Expires, approval.Expires, act.Expires = made, made, made, made
		sent.Sent, sent.GaveUp, lost.Sent, lost.GaveUp = made, time.Time{}, time.Time{}, made
		n := signalOf(seed, a, int64(seed), made)
		update(t, s, func(tx store.Tx) error {
			return errors.Join(tx.AddSession(session), tx.AddRequest(request), tx.AddPass(pass), tx.AddInvitation(invitation),
				tx.SaveFormer(former), tx.AddRecovery(recovery), tx.SaveApproval(approval), tx.AddDeskAct(act),
				tx.AddMessage(sent), tx.AddMessage(lost), tx.AddSignal(n), tx.AddReceipts(n))
		})
	}
	living := living(200, a, a) // and one that has not ended
	update(t, s, func(tx store.Tx) error { return tx.AddSession(living) })
	const kinds, most = 11, 5
	var parts []int
	for range 2*kinds*each/most + 2 {
		n := 0
		update(t, s, func(tx store.Tx) (err error) { n, err = tx.Trim(at(1000), most); return err })
		if n > most {
			t.Fatalf("%d were deleted at once, want %d at most", n, most)
		}
		parts = append(parts, n)
		if len(parts) == 1 {
			left := get(t, s, func(tx store.Tx) ([]store.Session, error) { return tx.Sessions(a) })
			same(t, "sessions after the first part", len(left), each-most+2)
			for _, l := range left {
				if !l.Ended.IsZero() && l.Ended.Before(at(10+most)) {
					t.Errorf("one that ended at %v is left, which is older than what went", l.Ended)
				}
			}
		}
		if n == 0 {
			break
		}
	}
	all := 0
	for _, n := range parts {
		all += n
	}
	if all != kinds*each || parts[len(parts)-1] != 0 {
		t.Errorf("%d were deleted, in parts of %v, want %d and an end", all, parts, kinds*each)
	}
	same(t, "sessions left", len(get(t, s, func(tx store.Tx) ([]store.Session, error) { return tx.Sessions(a) })), 2)
	same(t, "signals left", len(get(t, s, func(tx store.Tx) ([]store.Signal, error) { return tx.Signals(at(0), store.ID{}, 99) })), 1)
	same(t, "receipts left", len(get(t, s, func(tx store.Tx) ([]store.Receipt, error) { return tx.Receipts(a, 99) })), 1)
}

// emptyValues: no value of a record is a reason to fail.
func emptyValues(t *testing.T, open Open) {
	s, _ := open(t)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.AddSubject(store.Subject{}), tx.SaveSubject(store.Subject{}), tx.SaveSubjectHot(store.ID{}, store.SubjectHot{}),
			tx.AddDevice(store.Device{}), tx.AddSession(store.Session{}), tx.Append(store.Entry{Open: true}), tx.CloseEntry(store.Entry{}),
			tx.AddRequest(store.Request{}), tx.AddPass(store.Pass{}), tx.AddInvitation(store.Invitation{}), tx.SavePolicy(nil), tx.AddKey(store.SealedKey{}),
		)
	})
	a := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(store.ID{}) })
	if len(a.Record) > 0 || !a.Created.IsZero() || a.Ghost {
		t.Fatalf("an empty account came back as %+v", a)
	}
	d := get(t, s, func(tx store.Tx) (store.Device, error) { return tx.Device(store.ID{}, store.Thumbprint{}) })
	same(t, "an empty device", d, store.Device{})
	if p := get(t, s, store.Tx.Policy); len(p) > 0 {
		t.Fatalf("an empty policy came back as %q", p)
	}
}
