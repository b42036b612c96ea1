package storetest

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

func addresses(t *testing.T, open Open) {
	s, reopen := open(t)
	a, b := account(1).ID, account(2).ID
	first, second, other := sample[store.Address](1), sample[store.Address](2), sample[store.Address](3)
	first.Account, second.Account, other.Account = a, a, b
	first.Added, second.Added = at(1), at(2)
	first.Kind, first.Value = store.Email, "jane@example.org"
	other.Kind, other.Value = store.Email, "jane@example.org"
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddAddress(second), tx.AddAddress(first), tx.AddAddress(other))
	})
	same(t, "oldest first", list(t, s, a, store.Tx.Addresses), []store.Address{first, second})
	again := sample[store.Address](4)
	again.Account, again.Kind, again.Value = a, first.Kind, first.Value
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddAddress(again) })

	unverified := other
	unverified.Verified = time.Time{}
	update(t, s, func(tx store.Tx) error { return tx.SaveAddress(unverified) })
	same(t, "verified ones with this value", get(t, s, func(tx store.Tx) ([]store.Address, error) { return tx.FindAddresses(store.Email, "jane@example.org") }), []store.Address{first})
	same(t, "of another kind", len(get(t, s, func(tx store.Tx) ([]store.Address, error) { return tx.FindAddresses(store.Phone, "jane@example.org") })), 0)

	s = reopen()
	same(t, "after opening again", list(t, s, b, store.Tx.Addresses), []store.Address{unverified})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DropAddress(b, first.ID) })
	update(t, s, func(tx store.Tx) error { return tx.DropAddress(a, first.ID) })
	same(t, "what is left", list(t, s, a, store.Tx.Addresses), []store.Address{second})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveAddress(first) })
}

func recoveryCodes(t *testing.T, open Open) {
	s, reopen := open(t)
	a, b := account(1).ID, account(2).ID
	made := func(of store.ID, seeds ...uint64) []store.RecoveryCode {
		var all []store.RecoveryCode
		for _, n := range seeds {
			c := sample[store.RecoveryCode](n)
			c.Account, c.Created, c.Used = of, at(int64(n)), time.Time{}
			all = append(all, c)
		}
		return all
	}
	old, others := made(a, 1, 2, 3), made(b, 4)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.ReplaceRecoveryCodes(a, old), tx.ReplaceRecoveryCodes(b, others))
	})
	same(t, "made", list(t, s, a, store.Tx.RecoveryCodes), old)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.UseRecoveryCode(b, old[0].Hash, at(9)) })

	// However many come at once, a code is good once.
	var used atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.UseRecoveryCode(a, old[1].Hash, at(9)) }); err == nil {
				used.Add(1)
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	same(t, "times it was used", used.Load(), int64(1))
	s = reopen()
	old[1].Used = at(9)
	same(t, "after it was used", list(t, s, a, store.Tx.RecoveryCodes), old)

	renewed := made(a, 5, 6)
	update(t, s, func(tx store.Tx) error { return tx.ReplaceRecoveryCodes(a, renewed) })
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.UseRecoveryCode(a, old[0].Hash, at(10)) })
	same(t, "the new ones", list(t, s, a, store.Tx.RecoveryCodes), renewed)
	same(t, "another account's", list(t, s, b, store.Tx.RecoveryCodes), others)
}

func recoveries(t *testing.T, open Open) {
	s, reopen := open(t)
	a := account(1).ID
	first, second := sample[store.Recovery](1), sample[store.Recovery](2)
	first.Account, second.Account = a, a
	first.Opened, second.Opened = at(1), at(2)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddRecovery(first), tx.AddRecovery(second)) })
	same(t, "newest first", list(t, s, a, store.Tx.Recoveries), []store.Recovery{second, first})
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddRecovery(first) })
	saved := sample[store.Recovery](3)
	saved.ID, saved.Account = first.ID, a
	update(t, s, func(tx store.Tx) error { return tx.SaveRecovery(saved) })
	s = reopen()
	same(t, "saved", get(t, s, func(tx store.Tx) (store.Recovery, error) { return tx.Recovery(first.ID) }), saved)
	missing(t, s, func(tx store.Tx) (store.Recovery, error) { return tx.Recovery(a) })
	unknown := sample[store.Recovery](4)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveRecovery(unknown) })
}

func passkeys(t *testing.T, open Open) {
	s, reopen := open(t)
	a, b := account(1).ID, account(2).ID
	first, second := sample[store.Passkey](1), sample[store.Passkey](2)
	first.Account, second.Account, first.Added, second.Added = a, a, at(1), at(2)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddPasskey(second), tx.AddPasskey(first)) })
	same(t, "oldest first", list(t, s, a, store.Tx.Passkeys), []store.Passkey{first, second})
	stolen := sample[store.Passkey](3)
	stolen.Account, stolen.Credential = b, first.Credential
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddPasskey(stolen) })
	first.Count, first.LastUsed, first.Name = first.Count+1, at(9), "renamed"
	update(t, s, func(tx store.Tx) error { return tx.SavePasskey(first) })
	s = reopen()
	same(t, "by its credential", get(t, s, func(tx store.Tx) (store.Passkey, error) { return tx.Passkey(first.Credential) }), first)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DropPasskey(b, first.Credential) })
	update(t, s, func(tx store.Tx) error { return tx.DropPasskey(a, first.Credential) })
	missing(t, s, func(tx store.Tx) (store.Passkey, error) { return tx.Passkey(first.Credential) })
}

func desk(t *testing.T, open Open) {
	s, reopen := open(t)
	a := account(1).ID
	old, recent := sample[store.Approval](1), sample[store.Approval](2)
	old.Account, recent.Account, old.At, recent.At = a, a, at(1), at(2)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.SaveApproval(old), tx.SaveApproval(recent)) })
	old.Revoked = at(5)
	update(t, s, func(tx store.Tx) error { return tx.SaveApproval(old) })
	same(t, "approvals, newest first", list(t, s, a, store.Tx.Approvals), []store.Approval{recent, old})

	first, second := sample[store.Agent](1), sample[store.Agent](2)
	first.Added, second.Added = at(1), at(2)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.SaveAgent(second), tx.SaveAgent(first)) })
	first.Removed = time.Time{}
	update(t, s, func(tx store.Tx) error { return tx.SaveAgent(first) })
	s = reopen()
	same(t, "agents", get(t, s, store.Tx.Agents), []store.Agent{first, second})
	same(t, "one", get(t, s, func(tx store.Tx) (store.Agent, error) { return tx.Agent(first.Account) }), first)
	missing(t, s, func(tx store.Tx) (store.Agent, error) { return tx.Agent(a) })

	one, two := sample[store.DeskAct](1), sample[store.DeskAct](2)
	one.Account, two.Account, one.Asked, two.Asked = a, a, at(1), at(2)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddDeskAct(one), tx.AddDeskAct(two)) })
	one.AgreedBy, one.Agreed = second.Account, at(7)
	update(t, s, func(tx store.Tx) error { return tx.SaveDeskAct(one) })
	same(t, "acts, newest first", list(t, s, a, store.Tx.DeskActs), []store.DeskAct{two, one})
	same(t, "an act", get(t, s, func(tx store.Tx) (store.DeskAct, error) { return tx.DeskAct(one.ID) }), one)
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddDeskAct(one) })
	missing(t, s, func(tx store.Tx) (store.DeskAct, error) { return tx.DeskAct(a) })
}

func messages(t *testing.T, open Open) {
	s, reopen := open(t)
	a := account(1).ID
	waiting := func(seed uint64, next int64) store.Message {
		m := sample[store.Message](seed)
		m.Account, m.Created, m.Next, m.Sent, m.GaveUp = a, at(int64(seed)), at(next), time.Time{}, time.Time{}
		return m
	}
	late, soon, sent, given := waiting(1, 50), waiting(2, 20), waiting(3, 10), waiting(4, 10)
	sent.Sent, given.GaveUp = at(11), at(12)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddMessage(late), tx.AddMessage(soon), tx.AddMessage(sent), tx.AddMessage(given))
	})
	due := func(now int64, limit int) []store.Message {
		return get(t, s, func(tx store.Tx) ([]store.Message, error) { return tx.DueMessages(at(now), limit) })
	}
	same(t, "due now", due(20, 10), []store.Message{soon})
	same(t, "due later", due(99, 10), []store.Message{soon, late})
	same(t, "a few of them", due(99, 1), []store.Message{soon})
	same(t, "too early", len(due(19, 10)), 0)
	soon.Tries, soon.Next, soon.Why = 1, at(70), "refused"
	update(t, s, func(tx store.Tx) error { return tx.SaveMessage(soon) })
	s = reopen()
	same(t, "put off", due(60, 10), []store.Message{late})
	same(t, "all, newest first", list(t, s, a, store.Tx.Messages), []store.Message{given, sent, soon, late})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveMessage(sample[store.Message](9)) })
}

// trimPeople: what has ended goes, what somebody may still need stays.
func trimPeople(t *testing.T, open Open) {
	s, _ := open(t)
	a := account(1).ID
	past, future := sample[store.Recovery](1), sample[store.Recovery](2)
	gone, valid := sample[store.Approval](1), sample[store.Approval](2)
	done, open1 := sample[store.DeskAct](1), sample[store.DeskAct](2)
	sent, waiting := sample[store.Message](1), sample[store.Message](2)
	address, code := sample[store.Address](1), sample[store.RecoveryCode](1)
	past.Account, future.Account, gone.Account, valid.Account, done.Account, open1.Account, sent.Account, waiting.Account = a, a, a, a, a, a, a, a
	address.Account, code.Account = a, a
	past.Expires, gone.Expires, done.Expires, sent.Sent = at(9), at(9), at(9), at(9)
	future.Expires, valid.Expires, open1.Expires = at(11), at(11), at(11)
	sent.GaveUp, waiting.Sent, waiting.GaveUp, waiting.Next = time.Time{}, time.Time{}, time.Time{}, at(1)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddRecovery(past), tx.AddRecovery(future), tx.SaveApproval(gone), tx.SaveApproval(valid), tx.AddDeskAct(done), tx.AddDeskAct(open1),
			tx.AddMessage(sent), tx.AddMessage(waiting), tx.AddAddress(address), tx.ReplaceRecoveryCodes(a, []store.RecoveryCode{code}))
	})
	trimmed(t, s, at(10))
	same(t, "recoveries", list(t, s, a, store.Tx.Recoveries), []store.Recovery{future})
	same(t, "approvals", list(t, s, a, store.Tx.Approvals), []store.Approval{valid})
	same(t, "desk acts", list(t, s, a, store.Tx.DeskActs), []store.DeskAct{open1})
	same(t, "messages", list(t, s, a, store.Tx.Messages), []store.Message{waiting})
	same(t, "addresses", len(list(t, s, a, store.Tx.Addresses)), 1)
	same(t, "recovery codes", len(list(t, s, a, store.Tx.RecoveryCodes)), 1)
}

// closeAccount: nothing of the account is left, and nothing of another is gone.
func closeAccount(t *testing.T, open Open) {
	s, reopen := open(t)
	a, b := account(1), account(2)
	fillAccount := func(tx store.Tx, x store.Subject, seed uint64) error {
		d, n, e, r := sample[store.Device](seed), sample[store.Session](seed), entry(seed, x.ID, store.RingDevices, 1), sample[store.Request](seed)
		d.Account, n.Account, r.Account = x.ID, x.ID, x.ID
		p, ad, c, re, k := sample[store.Pass](seed), sample[store.Address](seed), sample[store.RecoveryCode](seed), sample[store.Recovery](seed), sample[store.Passkey](seed)
		p.Account, ad.Account, c.Account, re.Account, k.Account = x.ID, x.ID, x.ID, x.ID, x.ID
		ap, ag, act, m, i := sample[store.Approval](seed), sample[store.Agent](seed), sample[store.DeskAct](seed), sample[store.Message](seed), sample[store.Invitation](seed)
		ap.Account, ag.Account, act.Account, m.Account, i.Identifier = x.ID, x.ID, x.ID, x.ID, x.Identifier
		sg, rc := sample[store.Signal](seed), sample[store.Receipt](seed)
		sg.Account, rc.Account = x.ID, x.ID
		return errors.Join(tx.AddSubject(x), tx.AddDevice(d), tx.AddSession(n), tx.Append(e), tx.AddRequest(r), tx.AddPass(p), tx.AddAddress(ad),
			tx.ReplaceRecoveryCodes(x.ID, []store.RecoveryCode{c}), tx.AddRecovery(re), tx.AddPasskey(k), tx.SaveApproval(ap), tx.SaveAgent(ag),
			tx.AddDeskAct(act), tx.AddMessage(m), tx.AddInvitation(i), tx.AddSignal(sg), tx.AddReceipt(rc))
	}
	update(t, s, func(tx store.Tx) error { return errors.Join(fillAccount(tx, a, 1), fillAccount(tx, b, 2)) })
	update(t, s, func(tx store.Tx) error { return tx.CloseAccount(a.ID) })
	s = reopen()
	for _, c := range []struct {
		of   store.ID
		want int
	}{{a.ID, 0}, {b.ID, 1}} {
		for name, n := range map[string]int{
			"devices": len(list(t, s, c.of, store.Tx.Devices)), "sessions": len(list(t, s, c.of, store.Tx.Sessions)), "ledger": len(list(t, s, c.of, store.Tx.Ledger)),
			"requests": len(list(t, s, c.of, store.Tx.Requests)), "addresses": len(list(t, s, c.of, store.Tx.Addresses)), "codes": len(list(t, s, c.of, store.Tx.RecoveryCodes)),
			"recoveries": len(list(t, s, c.of, store.Tx.Recoveries)), "passkeys": len(list(t, s, c.of, store.Tx.Passkeys)), "approvals": len(list(t, s, c.of, store.Tx.Approvals)),
			"acts": len(list(t, s, c.of, store.Tx.DeskActs)), "messages": len(list(t, s, c.of, store.Tx.Messages)),
			"signals":  len(list(t, s, c.of, signalsOf)),
			"receipts": len(list(t, s, c.of, func(tx store.Tx, of store.ID) ([]store.Receipt, error) { return tx.Receipts(of, 9) })),
		} {
			if n != c.want {
				t.Errorf("%d %s, want %d", n, name, c.want)
			}
		}
	}
	missing(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(a.ID) })
	missing(t, s, func(tx store.Tx) (store.Agent, error) { return tx.Agent(a.ID) })
	if x := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(a.Key, store.StandKey(a.Key)) }); !x.Ghost {
		t.Errorf("a closed account is found: %+v", x)
	}
	same(t, "accounts", get(t, s, store.Tx.Accounts), []store.Subject{b})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.CloseAccount(a.ID) })
	stand := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(a.Key, store.StandKey(a.Key)) })
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.CloseAccount(stand.ID) })
	if x := get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(stand.ID) }); !x.Ghost {
		t.Error("a stand-in was deleted")
	}
}

// signalsOf looks for an account's signals in all there are.
func signalsOf(tx store.Tx, of store.ID) ([]store.Signal, error) {
	all, err := tx.Signals(time.UnixMicro(0), store.ID{}, 99)
	return slices.DeleteFunc(all, func(n store.Signal) bool { return n.Account != of }), err
}

// list gets what an account has of one kind; none is an empty list.
func list[T any](t *testing.T, s store.Store, account store.ID, of func(store.Tx, store.ID) ([]T, error)) []T {
	t.Helper()
	all := get(t, s, func(tx store.Tx) ([]T, error) { return of(tx, account) })
	return slices.Clone(all)
}

// peopleZero: what was never set stays so.
func peopleZero(t *testing.T, open Open) {
	s, reopen := open(t)
	a := account(1).ID
	address := store.Address{Account: a, Kind: store.Phone, Value: "+15550100"}
	recovery := store.Recovery{ID: store.ID{1}, Account: a}
	message := store.Message{ID: store.ID{2}, Account: a, Sealed: []byte{1}}
	passkey := store.Passkey{Account: a, Credential: []byte{1}, Data: []byte{1}}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddAddress(address), tx.AddRecovery(recovery), tx.AddMessage(message), tx.AddPasskey(passkey))
	})
	s = reopen()
	for name, pair := range map[string][2]any{
		"address":  {list(t, s, a, store.Tx.Addresses), []store.Address{address}},
		"recovery": {list(t, s, a, store.Tx.Recoveries), []store.Recovery{recovery}},
		"message":  {list(t, s, a, store.Tx.Messages), []store.Message{message}},
		"passkey":  {list(t, s, a, store.Tx.Passkeys), []store.Passkey{passkey}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: got %+v, want %+v", name, pair[0], pair[1])
		}
	}
}
