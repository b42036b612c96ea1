package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

func signalOf(seed uint64, account store.ID, epoch int64, when time.Time) store.Signal {
	n := sample[store.Signal](seed)
	n.Account, n.Epoch, n.At = account, epoch, when
	return n
}

func serviceOf(seed uint64, status string) store.Service {
	s := sample[store.Service](seed)
	s.Name, s.Status = fmt.Sprint("service ", seed), status
	return s
}

func signals(t *testing.T, open Open) {
	s, reopen := open(t)
	a := account(1).ID
	var all []store.Signal
	for i, when := range []int64{10, 20, 20, 30} {
		all = append(all, signalOf(uint64(i), a, int64(i), at(when)))
	}
	if slices.Compare(all[1].ID[:], all[2].ID[:]) > 0 {
		all[1].ID, all[2].ID = all[2].ID, all[1].ID
	}
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddSignal(all[3]), tx.AddSignal(all[2]), tx.AddSignal(all[0]), tx.AddSignal(all[1]))
	})
	s = reopen()
	from := func(when int64, id store.ID, limit int) []store.Signal {
		return get(t, s, func(tx store.Tx) ([]store.Signal, error) { return tx.Signals(at(when), id, limit) })
	}
	same(t, "all", from(0, store.ID{}, 9), all)
	same(t, "first", from(0, store.ID{}, 2), all[:2])
	same(t, "after one of the same moment", from(20, all[1].ID, 9), all[2:])
	same(t, "after the last of a moment", from(20, all[2].ID, 9), all[3:])
	same(t, "at a moment", from(20, store.ID{}, 9), all[1:])
	same(t, "none", len(from(30, all[3].ID, 9)), 0)
	same(t, "one", get(t, s, func(tx store.Tx) (store.Signal, error) { return tx.Signal(at(20), all[1].ID) }), all[1])
	missing(t, s, func(tx store.Tx) (store.Signal, error) { return tx.Signal(at(10), all[1].ID) })
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddSignal(all[1]) })

	tallies := func(from int64) map[int64]store.Tally {
		return get(t, s, func(tx store.Tx) (map[int64]store.Tally, error) { return tx.Tallies(at(from), 8*time.Microsecond) })
	}
	of := func(when int64) int64 { return at(when).UnixMicro() / 8 }
	in := func(when int64) int64 { return at(when).UnixMicro() % 8 }
	same(t, "tallies", tallies(0), map[int64]store.Tally{of(10): {Signals: 1, Stamps: in(10)}, of(20): {Signals: 2, Stamps: 2 * in(20)}, of(30): {Signals: 1, Stamps: in(30)}})
	same(t, "later ones", tallies(21), map[int64]store.Tally{of(30): {Signals: 1, Stamps: in(30)}})
}

func services(t *testing.T, open Open) {
	s, reopen := open(t)
	one, two := serviceOf(1, store.StreamEnabled), serviceOf(2, store.StreamPaused)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddService(two), tx.AddService(one)) })
	s = reopen()
	same(t, "by name", get(t, s, store.Tx.Services), []store.Service{one, two})
	twin := serviceOf(3, store.StreamEnabled)
	twin.Name = one.Name
	fails(t, s, store.ErrConflict, func(tx store.Tx) error { return tx.AddService(twin) })
	saved := serviceOf(4, store.StreamDisabled)
	saved.ID = one.ID
	update(t, s, func(tx store.Tx) error { return tx.SaveService(saved) })
	same(t, "saved", get(t, s, store.Tx.Services), []store.Service{two, saved})
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.SaveService(serviceOf(9, "")) })

	none := get(t, s, func(tx store.Tx) (store.Work, error) { return tx.Work(two.ID) })
	same(t, "no work", none, store.Work{Service: two.ID})
	for _, c := range []struct {
		what             string
		node             byte
		now, until, held int64 // held: until when it is somebody's after that
		claimed          bool
	}{
		{"the first", 1, 10, 50, 50, true},
		{"another's", 2, 49, 80, 50, false},
		{"its own, longer", 1, 20, 60, 60, true},
		{"one that is over", 2, 60, 90, 90, true},
		{"of a clock that is far ahead", 1, 30, 55, 55, true},
	} {
		mark(t, s, func(tx store.Tx) error {
			w := store.Work{Service: two.ID, Node: store.ID{c.node}, Lease: at(c.until)}
			if claimed, err := tx.Claim(w, at(c.now), at(c.now+50)); err != nil || claimed != c.claimed {
				return fmt.Errorf("%s: claimed %v, %v", c.what, claimed, err)
			}
			return nil
		})
		same(t, c.what, get(t, s, func(tx store.Tx) (store.Work, error) { return tx.Work(two.ID) }).Lease, at(c.held))
	}
	mark(t, s, func(tx store.Tx) error { return errors.Join(tx.Heard(two.ID, at(70)), tx.Heard(one.ID, at(71))) })
	same(t, "heard", get(t, s, func(tx store.Tx) (store.Work, error) { return tx.Work(two.ID) }), store.Work{Service: two.ID, Node: store.ID{1}, Lease: at(55), Heard: at(70)})
	same(t, "heard before any claim", get(t, s, func(tx store.Tx) (store.Work, error) { return tx.Work(one.ID) }), store.Work{Service: one.ID, Heard: at(71)})

	update(t, s, func(tx store.Tx) error { return tx.DropService(two.ID) })
	same(t, "after a removal", get(t, s, store.Tx.Services), []store.Service{saved})
	same(t, "its work", get(t, s, func(tx store.Tx) (store.Work, error) { return tx.Work(two.ID) }), none)
	fails(t, s, store.ErrNotFound, func(tx store.Tx) error { return tx.DropService(two.ID) })
}

func receipts(t *testing.T, open Open) {
	s, reopen := open(t)
	a, b := account(1).ID, account(2).ID
	on, paused, off := serviceOf(1, store.StreamEnabled), serviceOf(2, store.StreamPaused), serviceOf(3, store.StreamDisabled)
	first, second, other := signalOf(1, a, 1, at(10)), signalOf(2, a, 2, at(20)), signalOf(3, b, 5, at(15))
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddService(on), tx.AddService(paused), tx.AddService(off))
	})
	all := []store.Signal{first, second, other}
	for _, n := range all {
		update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddSignal(n), tx.AddReceipts(n)) })
	}
	s = reopen()
	waits := func(of store.ID, n store.Signal) store.Receipt {
		return store.Receipt{Service: of, Signal: n.ID, Account: n.Account, Epoch: n.Epoch, Kind: n.Kind, Made: n.At, Next: n.At}
	}
	due := func(of store.ID, now int64, limit int) []store.Receipt {
		t.Helper()
		var list []store.Receipt
		for _, d := range get(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.DueReceipts(of, at(now), limit) }) {
			i := slices.IndexFunc(all, func(n store.Signal) bool { return n.ID == d.Signal })
			if d.Lost != (i < 0) || i >= 0 && !bytes.Equal(d.Detail, all[i].Detail) {
				t.Fatalf("a receipt of a signal that says %x, lost %v", d.Detail, d.Lost)
			}
			list = append(list, d.Receipt)
		}
		return list
	}
	of := func(account store.ID, limit int) []store.Receipt {
		t.Helper()
		return get(t, s, func(tx store.Tx) ([]store.Receipt, error) { return tx.Receipts(account, limit) })
	}
	same(t, "not for a disabled stream", len(due(off.ID, 99, 9)), 0)
	same(t, "only the first of each account", due(on.ID, 99, 9), []store.Receipt{waits(on.ID, first), waits(on.ID, other)})
	same(t, "so many", due(on.ID, 99, 1), []store.Receipt{waits(on.ID, first)})
	same(t, "not yet due", due(on.ID, 12, 9), []store.Receipt{waits(on.ID, first)})
	same(t, "newest first", len(of(a, 9)), 4)
	same(t, "the newest", of(a, 1)[0].Signal, second.ID)
	backlogs := get(t, s, store.Tx.Backlogs)
	for _, b := range backlogs {
		if b.Waiting != 3 || !b.Oldest.Equal(at(10)) || b.Service == off.ID {
			t.Fatalf("backlog %+v", b)
		}
	}
	same(t, "backlogs", len(backlogs), 2)

	// One that is put off holds back what comes after it in its account alone.
	update(t, s, func(tx store.Tx) error { return tx.PutOff(on.ID, first.ID, at(500), "unreachable") })
	same(t, "put off", due(on.ID, 99, 9), []store.Receipt{waits(on.ID, other)})
	update(t, s, func(tx store.Tx) error { return tx.Hurry(on.ID, at(50)) })
	hurried := waits(on.ID, first)
	hurried.Next, hurried.Tries, hurried.Why = at(50), 1, "unreachable"
	same(t, "hurried", due(on.ID, 99, 9), []store.Receipt{waits(on.ID, other), hurried})
	same(t, "of another service", due(paused.ID, 99, 9), []store.Receipt{waits(paused.ID, first), waits(paused.ID, other)})

	update(t, s, func(tx store.Tx) error { return tx.Deliver(on.ID, first.ID, at(60), "") })
	same(t, "the next of the account", due(on.ID, 99, 9), []store.Receipt{waits(on.ID, other), waits(on.ID, second)})
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Deliver(on.ID, first.ID, at(99), "again"), tx.PutOff(on.ID, first.ID, at(99), "late"), // neither changes anything
			tx.Apply(on.ID, first.ID, at(61), at(62)), tx.Apply(on.ID, first.ID, at(63), at(64)), // the first counts
			tx.Apply(on.ID, second.ID, at(70), at(71)), // before it was marked as delivered
			tx.Apply(on.ID, store.ID{1}, at(70), at(71)))
	})
	kept := of(a, 9)
	find := func(n store.Signal) store.Receipt {
		t.Helper()
		i := slices.IndexFunc(kept, func(r store.Receipt) bool { return r.Signal == n.ID && r.Service == on.ID })
		if i < 0 {
			t.Fatal("a receipt is gone")
		}
		return kept[i]
	}
	hurried.Delivered, hurried.Applied, hurried.Why = at(60), at(61), ""
	same(t, "delivered and applied", find(first), hurried)
	early := waits(on.ID, second)
	early.Delivered, early.Applied = at(71), at(70)
	same(t, "applied first", find(second), early)
	same(t, "what is left", due(on.ID, 99, 9), []store.Receipt{waits(on.ID, other)})

	alone := sample[store.Receipt](9)
	alone.Service, alone.Account, alone.Delivered, alone.Next = on.ID, store.ID{}, time.Time{}, at(1)
	update(t, s, func(tx store.Tx) error { return tx.AddReceipt(alone) })
	same(t, "for one service", due(on.ID, 5, 9), []store.Receipt{alone})

	update(t, s, func(tx store.Tx) error { return tx.DropService(on.ID) })
	same(t, "of a service that is gone", len(due(on.ID, 999, 9)), 0)
	trimmed(t, s, at(18))
	same(t, "trimmed", due(paused.ID, 99, 9), []store.Receipt{waits(paused.ID, second)})
	same(t, "trimmed signals", get(t, s, func(tx store.Tx) ([]store.Signal, error) { return tx.Signals(at(0), store.ID{}, 9) }), []store.Signal{second})
}

// receiptsOrder: however an account's changes come in, what is due first is its
// earliest change.
func receiptsOrder(t *testing.T, open Open) {
	s, _ := open(t)
	a, on := account(1).ID, serviceOf(1, store.StreamEnabled)
	update(t, s, func(tx store.Tx) error { return tx.AddService(on) })
	// By epoch; a clock that lags does not change it. Notes of one epoch go by time.
	for _, n := range []store.Signal{signalOf(1, a, 3, at(10)), signalOf(2, a, 1, at(30)), signalOf(3, a, 2, at(25)), signalOf(4, a, 2, at(24))} {
		update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddSignal(n), tx.AddReceipts(n)) })
	}
	var got []int64
	for range 4 {
		due := get(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.DueReceipts(on.ID, at(99), 9) })
		if len(due) != 1 {
			t.Fatalf("%d of one account are due", len(due))
		}
		got = append(got, due[0].Epoch*100+due[0].Made.Sub(at(0)).Microseconds())
		update(t, s, func(tx store.Tx) error { return tx.Deliver(on.ID, due[0].Signal, at(99), "") })
	}
	same(t, "order", got, []int64{130, 224, 225, 310})
}

// receiptsBehind: neither the receipts of one change nor the first that waits are
// hidden by however many are newer, of whichever service; and when a service last
// applied something is told from the signals it was given.
func receiptsBehind(t *testing.T, open Open) {
	s, _ := open(t)
	a, b := account(1).ID, account(2).ID
	on, stuck := serviceOf(1, store.StreamEnabled), serviceOf(2, store.StreamEnabled)
	update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddService(on), tx.AddService(stuck)) })
	const most = 40
	var all []store.Signal
	update(t, s, func(tx store.Tx) error {
		all = nil
		other := signalOf(99, b, 2, at(1))
		err := errors.Join(tx.AddSignal(other), tx.AddReceipts(other))
		for i := range most {
			n := signalOf(uint64(i), a, int64(i+1), at(int64(100+i)))
			all = append(all, n)
			err = errors.Join(err, tx.AddSignal(n), tx.AddReceipts(n))
		}
		// Of the same epoch, later; and of an epoch that a clock which lags has made.
		again, lags := signalOf(50, a, 2, at(500)), signalOf(51, a, most+1, at(50))
		all = append(all, again, lags)
		return errors.Join(err, tx.AddSignal(again), tx.AddReceipts(again), tx.AddSignal(lags), tx.AddReceipts(lags))
	})
	of := func(epoch int64, limit int) (list []string) {
		t.Helper()
		for _, r := range get(t, s, func(tx store.Tx) ([]store.Receipt, error) { return tx.ReceiptsOf(a, epoch, limit) }) {
			same(t, "account", r.Account, a)
			list = append(list, fmt.Sprint(r.Epoch, " at ", r.Made.Sub(at(0)).Microseconds()))
		}
		return list
	}
	same(t, "of one epoch, newest first", of(2, 9), []string{"2 at 500", "2 at 500", "2 at 101", "2 at 101"})
	same(t, "so many", of(2, 3), []string{"2 at 500", "2 at 500", "2 at 101"})
	same(t, "of an epoch that there is not", len(of(most+2, 9)), 0)

	first := func(of store.Service) store.Receipt {
		t.Helper()
		return get(t, s, func(tx store.Tx) (store.Receipt, error) { return tx.FirstWaiting(of.ID, a) })
	}
	waits := func(of store.Service, n store.Signal) store.Receipt {
		return store.Receipt{Service: of.ID, Signal: n.ID, Account: n.Account, Epoch: n.Epoch, Kind: n.Kind, Made: n.At, Next: n.At}
	}
	same(t, "the first that waits", first(on), waits(on, all[0]))
	update(t, s, func(tx store.Tx) error {
		var err error
		for i, n := range all {
			if i != 5 {
				err = errors.Join(err, tx.Deliver(on.ID, n.ID, at(900), ""))
			}
		}
		return errors.Join(err, tx.PutOff(stuck.ID, all[0].ID, at(950), "unreachable"))
	})
	same(t, "the one that waits", first(on), waits(on, all[5]))
	late := waits(stuck, all[0])
	late.Next, late.Tries, late.Why = at(950), 1, "unreachable"
	same(t, "one that was put off", first(stuck), late)
	update(t, s, func(tx store.Tx) error { return tx.Deliver(on.ID, all[5].ID, at(901), "") })
	missing(t, s, func(tx store.Tx) (store.Receipt, error) { return tx.FirstWaiting(on.ID, a) })
	missing(t, s, func(tx store.Tx) (store.Receipt, error) { return tx.FirstWaiting(stuck.ID, store.ID{9}) })

	// Of whichever account.
	oldest := get(t, s, func(tx store.Tx) (store.Receipt, error) { return tx.LongestWaiting(stuck.ID) })
	same(t, "the oldest", []any{oldest.Account, oldest.Made}, []any{b, at(1)})
	update(t, s, func(tx store.Tx) error { return tx.Deliver(on.ID, oldest.Signal, at(903), "") })
	missing(t, s, func(tx store.Tx) (store.Receipt, error) { return tx.LongestWaiting(on.ID) })

	applied := func(of store.Service, until int64, limit int) time.Time {
		t.Helper()
		return get(t, s, func(tx store.Tx) (time.Time, error) { return tx.LastApplied(of.ID, at(until), limit) })
	}
	same(t, "nothing applied", applied(on, 999, 99), time.Time{})
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.Apply(on.ID, all[7].ID, at(912), at(913)), tx.Apply(on.ID, all[9].ID, at(911), at(913)))
	})
	same(t, "last applied", applied(on, 999, 99), at(912))
	same(t, "by a service that has applied none", applied(stuck, 999, 99), time.Time{})
	same(t, "of the changes made until then", applied(on, 106, 99), time.Time{})
	same(t, "of the newest made until then", applied(on, 107, 1), at(912))
	same(t, "of too few", applied(on, 109, 1), at(911))
	same(t, "of none of so few", applied(on, 999, 9), time.Time{})
}

// marking: marks are durable, nothing of one that failed remains, each of many
// beside each other and beside changes takes place, and of many who claim a
// service at the same moment one has it.
func marking(t *testing.T, open Open) {
	s, reopen := open(t)
	on := serviceOf(1, store.StreamEnabled)
	update(t, s, func(tx store.Tx) error { return tx.AddService(on) })
	const each = 40
	var all []store.Signal
	for i := range each {
		all = append(all, signalOf(uint64(i), account(uint64(i)).ID, 1, at(int64(i+1))))
		update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddSignal(all[i]), tx.AddReceipts(all[i])) })
	}
	own := errors.New("its own")
	if err := s.Mark(context.Background(), func(tx store.Tx) error {
		return errors.Join(tx.Deliver(on.ID, all[0].ID, at(99), ""), own)
	}); !errors.Is(err, own) {
		t.Fatalf("an error of a mark's own: %v", err)
	}
	same(t, "nothing of one that failed", len(get(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.DueReceipts(on.ID, at(99), 99) })), each)

	var claimed atomic.Int64
	var beside sync.WaitGroup
	for i := range each {
		beside.Go(func() {
			mark(t, s, func(tx store.Tx) error {
				return errors.Join(tx.Deliver(on.ID, all[i].ID, at(99), ""), tx.Apply(on.ID, all[i].ID, at(98), at(99)), tx.Heard(on.ID, at(99)))
			})
		})
		beside.Go(func() {
			n := signalOf(uint64(each+i), account(uint64(i)).ID, 2, at(int64(100+i)))
			update(t, s, func(tx store.Tx) error { return errors.Join(tx.AddSignal(n), tx.AddReceipts(n)) })
		})
		if i%4 == 0 {
			beside.Go(func() {
				var mine bool
				mark(t, s, func(tx store.Tx) (err error) {
					mine, err = tx.Claim(store.Work{Service: on.ID, Node: store.ID{byte(i + 1)}, Lease: at(50)}, at(10), at(60))
					return err
				})
				if mine {
					claimed.Add(1)
				}
			})
		}
	}
	beside.Wait()
	same(t, "who claimed it", claimed.Load(), 1)
	s = reopen()
	due := get(t, s, func(tx store.Tx) ([]store.Due, error) { return tx.DueReceipts(on.ID, at(999), 99) })
	same(t, "what is left", len(due), each)
	for _, d := range due {
		same(t, "of the second change", d.Epoch, 2)
	}
	for _, n := range all {
		r := get(t, s, func(tx store.Tx) ([]store.Receipt, error) { return tx.Receipts(n.Account, 9) })[1]
		if !r.Delivered.Equal(at(99)) || !r.Applied.Equal(at(98)) {
			t.Fatalf("a mark is lost: %+v", r)
		}
	}
}
