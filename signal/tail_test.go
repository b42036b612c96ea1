package signal_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// TestTailClockForwardAndBack: what a node remembers outlives a clock that runs
// ahead for a moment, and no answer is given between.
func TestTailClockForwardAndBack(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(), w.account()
	issued := w.clock.now()
	session := store.ID{7}
	stop := w.node.follow()
	w.node.raise(a, signal.PasswordChanged)
	w.update(w.node.store, func(tx store.Tx) error {
		return signal.Note(tx, *b, signal.SessionEnded, signal.Detail{Session: session}, w.clock.now())
	})
	knows := func(what string) {
		t.Helper()
		w.eventually(what, func() bool {
			of, ended := w.node.tail.Check(a.ID, store.ID{}, 1, issued), w.node.tail.Check(b.ID, session, 1, issued)
			if of == nil || ended == nil {
				t.Fatalf("%s: an old token was taken: %v, %v", what, of, ended)
			}
			return errors.Is(of, signal.ErrStale) && errors.Is(ended, signal.ErrEnded)
		})
	}
	knows("at once")
	w.clock.advance(time.Minute) // beyond the looks
	knows("after a minute")
	w.clock.advance(24 * time.Hour)
	time.Sleep(1300 * time.Millisecond) // a wide look, with which things are forgotten
	knows("ahead")
	w.clock.advance(-24 * time.Hour)
	knows("back")
	w.clock.advance(-30 * time.Second)
	knows("before it all")
	stop()
}

// TestTailSetBack: a clock that goes back lets tokens live longer, so all that
// matters to them is read again before an answer, what was forgotten too.
func TestTailSetBack(t *testing.T) {
	w := newWorld(t)
	a := w.account()
	issued := w.clock.now()
	w.node.raise(a, signal.PasswordChanged)
	w.clock.advance(7 * time.Minute)
	n := w.newNode(&pushes{}) // which has never read of it
	stop := n.follow()
	w.eventually("it knows", func() bool { return n.tail.Check(a.ID, store.ID{}, 1, issued) == nil })
	stop()
	for range 3 { // in steps, none of which is much
		w.clock.advance(-800 * time.Millisecond)
	}
	if err := n.tail.Check(a.ID, store.ID{}, 1, issued); !errors.Is(err, signal.ErrUnknown) {
		t.Errorf("before it has read again: %v, want %v", err, signal.ErrUnknown)
	}
	w.clock.advance(-5 * time.Minute)
	defer n.follow()()
	w.eventually("it knows again", func() bool {
		err := n.tail.Check(a.ID, store.ID{}, 1, issued)
		if err == nil {
			t.Fatal("an old token was taken")
		}
		return errors.Is(err, signal.ErrStale)
	})
}

// TestTailAsleep: while a machine sleeps only the wall's clock goes on.
func TestTailAsleep(t *testing.T) {
	w := newWorld(t)
	a := w.account()
	stop := w.node.follow()
	w.eventually("it knows", func() bool { return w.node.tail.Age() < signal.Fresh })
	stop()
	w.clock.advance(signal.Fresh + time.Second)
	if err := w.node.tail.Check(a.ID, store.ID{}, 1, w.clock.now()); !errors.Is(err, signal.ErrUnknown) {
		t.Errorf("got %v, want %v", err, signal.ErrUnknown)
	}
	if age := w.node.tail.Age(); age < signal.Fresh {
		t.Errorf("it is %v old", age)
	}
}

// TestTailAhead: a node whose clock runs ahead hears what others write.
func TestTailAhead(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(), w.account()
	there := w.newNode(&pushes{})
	own := &clock{}
	n := w.newNodeAt(&pushes{}, own)
	defer n.follow()()
	there.raise(a, signal.PasswordChanged)
	w.eventually("the first", func() bool { return errors.Is(n.tail.Check(a.ID, store.ID{}, 1, own.now()), signal.ErrStale) })
	own.advance(time.Hour)
	n.raise(w.account(), signal.PasswordChanged) // its own time says nothing
	time.Sleep(1200 * time.Millisecond)
	there.raise(b, signal.PasswordChanged)
	w.eventually("the next", func() bool { return errors.Is(n.tail.Check(b.ID, store.ID{}, 1, own.now()), signal.ErrStale) })
}

// TestTailFull: a memory that is full takes no old token for good, and goes on.
func TestTailFull(t *testing.T) {
	w := newWorld(t)
	began := w.clock.now().Truncate(time.Second).Add(-time.Minute)
	list := make([]store.Signal, 1<<18+1)
	for i := range list {
		rand.Read(list[i].ID[:])
		rand.Read(list[i].Account[:])
		list[i].Kind, list[i].Epoch, list[i].At = signal.PasswordChanged, 2, began
	}
	quiet := signal.NewTail(w.store, w.clock.now, 6*time.Minute, nil)
	if err := quiet.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	quiet.Add(list[:1])
	if err := quiet.Check(list[0].Account, store.ID{}, 1, began); !errors.Is(err, signal.ErrStale) {
		t.Fatalf("before: %v", err)
	}
	quiet.Add(list)
	if err := quiet.Load(t.Context()); err != nil { // as a look does
		t.Fatal(err)
	}
	if err := quiet.Check(list[0].Account, store.ID{}, 1, began); !errors.Is(err, signal.ErrStale) {
		t.Errorf("an old token: %v", err)
	}
	if err := quiet.Check(list[0].Account, store.ID{}, 2, w.clock.now().Add(time.Second)); err != nil {
		t.Errorf("a fresh one: %v", err)
	}
}

// TestTailForgets what no living token can be of: it was read last longer ago
// than tokens live, by the clock that nobody sets.
func TestTailForgets(t *testing.T) {
	w := newWorld(t)
	a := w.account()
	n := w.node
	n.tail = signal.NewTail(w.store, w.clock.now, 500*time.Millisecond, nil)
	n.store = n.tail.Follow(w.store)
	if err := n.tail.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	issued := w.clock.now()
	n.raise(a, signal.PasswordChanged)
	if err := n.tail.Check(a.ID, store.ID{}, 1, issued); !errors.Is(err, signal.ErrStale) {
		t.Fatalf("before: %v", err)
	}
	defer n.follow()()
	w.eventually("forgotten", func() bool { return n.tail.Check(a.ID, store.ID{}, 1, issued) == nil })
}

// reads counts the signals that are read from a store.
type reads struct {
	store.Store
	n *atomic.Int64
}

type readsTx struct {
	store.Tx
	n *atomic.Int64
}

func (r reads) View(ctx context.Context, f func(store.Tx) error) error {
	return r.Store.View(ctx, func(tx store.Tx) error { return f(readsTx{tx, r.n}) })
}

func (r readsTx) Signals(at time.Time, id store.ID, limit int) ([]store.Signal, error) {
	list, err := r.Tx.Signals(at, id, limit)
	r.n.Add(int64(len(list)))
	return list, err
}

// TestTailReadsOnce: what was read is not read with every look, and yet nothing
// is missed, however it comes between what is known.
func TestTailReadsOnce(t *testing.T) {
	w := newWorld(t)
	var read, heard atomic.Int64
	tail := signal.NewTail(reads{w.node.store, &read}, w.clock.now, 10*time.Minute, func(store.Signal) { heard.Add(1) })
	if err := tail.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ran := make(chan struct{})
	go func() {
		tail.Run(ctx, slog.New(slog.DiscardHandler))
		close(ran)
	}()
	defer func() { stop(); <-ran }()
	a := w.account()
	// In the middle of a part, so that each below is in one with others or alone
	// as it says.
	base := w.clock.now().Truncate(100 * time.Millisecond).Add(-900 * time.Millisecond)
	add := func(at time.Duration) {
		t.Helper()
		n := store.Signal{Account: a.ID, Kind: signal.Asked, At: base.Add(at), Detail: []byte("{}")}
		rand.Read(n.ID[:])
		w.update(w.node.store, func(tx store.Tx) error { return tx.AddSignal(n) })
	}
	for i := range 200 {
		add(time.Duration(i) * time.Millisecond)
	}
	w.eventually("all are heard", func() bool { return heard.Load() == 200 })
	read.Store(0)
	time.Sleep(500 * time.Millisecond)
	if n := read.Load(); n > 200 { // the whole look may come by
		t.Errorf("%d signals were read again", n)
	}
	for i, at := range []time.Duration{-1500 * time.Millisecond, 50*time.Millisecond + time.Microsecond, 199*time.Millisecond + time.Microsecond, 250 * time.Millisecond} {
		add(at)
		w.eventually("one between those known", func() bool { return heard.Load() == int64(201+i) })
	}
	// As many go as come, within one part.
	closing := w.account()
	put := func(of store.ID, at time.Duration) {
		n := store.Signal{Account: of, Kind: signal.Asked, At: base.Add(at), Detail: []byte("{}")}
		rand.Read(n.ID[:])
		w.update(w.node.store, func(tx store.Tx) error { return tx.AddSignal(n) })
	}
	put(closing.ID, 320*time.Millisecond)
	w.eventually("one more", func() bool { return heard.Load() == 205 })
	n := store.Signal{Account: a.ID, Kind: signal.Asked, At: base.Add(330 * time.Millisecond), Detail: []byte("{}")}
	rand.Read(n.ID[:])
	w.update(w.node.store, func(tx store.Tx) error { return errors.Join(tx.CloseAccount(closing.ID), tx.AddSignal(n)) })
	swapped := time.Now()
	w.eventually("one in the place of another", func() bool { return heard.Load() == 206 })
	if took := time.Since(swapped); took > 5*time.Second {
		t.Errorf("one in the place of another was heard after %s", took)
	}
}
