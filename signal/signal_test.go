package signal_test

import (
	"errors"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

func TestRaiseIsOfTheTransaction(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", "")
	a := w.account()
	own := errors.New("own")
	err := w.node.store.Update(t.Context(), func(tx store.Tx) error {
		copied := *a
		if err := signal.Raise(tx, &copied, signal.PasswordChanged, signal.Detail{}, w.clock.now()); err != nil {
			return err
		}
		return own
	})
	if !errors.Is(err, own) || len(w.receipts(a)) != 0 || len(w.node.heard) != 0 {
		t.Fatalf("%v: a change that did not happen left %d receipts and was heard %d times", err, len(w.receipts(a)), len(w.node.heard))
	}
	w.node.raise(a, signal.PasswordChanged)
	got := w.receipts(a)
	if len(got) != 1 || got[0].Epoch != 2 || got[0].Kind != signal.PasswordChanged || !got[0].Delivered.IsZero() {
		t.Fatalf("%+v", got)
	}
	var kept store.Subject
	w.store.View(t.Context(), func(tx store.Tx) (err error) { kept, err = tx.Subject(a.ID); return })
	if a.Epoch != 2 || kept.Epoch != 2 {
		t.Errorf("epoch %d, kept %d, want 2", a.Epoch, kept.Epoch)
	}
}

// TestNotes: what raises no epoch.
func TestNotes(t *testing.T) {
	w := newWorld(t)
	w.node.add("shop", "")
	a := w.account()
	w.update(w.node.store, func(tx store.Tx) error {
		return errors.Join(
			signal.Note(tx, *a, signal.SessionEnded, signal.Detail{Session: store.ID{1}}, w.clock.now()),
			signal.Poke(tx, a.ID, w.clock.now()),
			signal.Closed(tx, *a, w.clock.now()))
	})
	got := w.receipts(a)
	if len(got) != 2 || got[0].Kind != signal.AccountClosed || got[0].Epoch != 2 || got[1].Kind != signal.SessionEnded || got[1].Epoch != 1 {
		t.Fatalf("%+v", got)
	}
	if len(w.node.heard) != 3 {
		t.Errorf("heard %d, want 3", len(w.node.heard))
	}
}

func TestTail(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(), w.account()
	session, other := store.ID{1}, store.ID{2}
	issued := w.clock.now()
	check := func(what string, n *node, account store.ID, session store.ID, epoch int64, want error) {
		t.Helper()
		if err := n.tail.Check(account, session, epoch, issued); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: got %v, want %v", what, err, want)
		}
	}
	here, there := w.node, w.newNode(&pushes{})
	defer here.run()()
	defer there.run()()
	w.eventually("both know", func() bool { return here.tail.Age() < signal.Fresh && there.tail.Age() < signal.Fresh })
	check("before", here, a.ID, session, 1, nil)

	here.raise(a, signal.PasswordChanged)
	check("here at once", here, a.ID, session, 1, signal.ErrStale)
	w.eventually("the other node hears", func() bool { return errors.Is(there.tail.Check(a.ID, session, 1, issued), signal.ErrStale) })
	check("a token after it", there, a.ID, session, 2, nil)
	check("another account", there, b.ID, session, 1, nil)

	w.update(here.store, func(tx store.Tx) error {
		return signal.Note(tx, *b, signal.SessionEnded, signal.Detail{Session: session}, w.clock.now())
	})
	check("the ended session", here, b.ID, session, 1, signal.ErrEnded)
	check("another session", here, b.ID, other, 1, nil)

	here.raise(a, signal.AccountDisabled) // 3
	check("older than disabled", here, a.ID, other, 2, signal.ErrStale)
	check("newer than disabled", here, a.ID, other, 4, signal.ErrBehind)
	here.raise(a, signal.AccountEnabled) // 4
	check("enabled again", here, a.ID, other, 4, nil)

	// A node that starts knows what others do.
	late := w.newNode(&pushes{})
	check("late", late, a.ID, other, 3, signal.ErrStale)
	check("late, the session", late, b.ID, session, 1, signal.ErrEnded)
}

// TestTailHearsEachOnce: whoever wakes somebody for a signal does so once.
func TestTailHearsEachOnce(t *testing.T) {
	w := newWorld(t)
	there := w.newNode(&pushes{})
	stopHere, stopThere := w.node.run(), there.run()
	for range 20 {
		w.node.raise(w.account(), signal.DeviceAdded)
	}
	w.eventually("all heard", func() bool { return len(there.heard) >= 20 })
	time.Sleep(1200 * time.Millisecond) // a wide look
	stopHere()
	stopThere()
	if len(there.heard) != 20 || len(w.node.heard) != 20 {
		t.Errorf("heard %d here and %d there, want 20", len(w.node.heard), len(there.heard))
	}
}

// TestTailHearsClocksThatLag: a node whose clock is seconds behind is heard.
func TestTailHearsClocksThatLag(t *testing.T) {
	w := newWorld(t)
	there := w.newNode(&pushes{})
	defer there.run()()
	a, b := w.account(), w.account()
	w.node.raise(a, signal.DeviceAdded)
	w.eventually("the first", func() bool { return len(there.heard) == 1 })
	w.update(w.store, func(tx store.Tx) error { // as a node with such a clock does
		return signal.Raise(tx, b, signal.PasswordChanged, signal.Detail{}, w.clock.now().Add(-12*time.Second))
	})
	w.eventually("the one from behind", func() bool { return errors.Is(there.tail.Check(b.ID, store.ID{}, 1, w.clock.now()), signal.ErrStale) })
}

// TestTailThatIsCutOff answers neither yes nor no.
func TestTailThatIsCutOff(t *testing.T) {
	w := newWorld(t)
	a := w.account()
	stop := w.node.follow()
	w.eventually("it knows", func() bool { return w.node.tail.Check(a.ID, store.ID{}, 1, w.clock.now()) == nil })
	stop()
	time.Sleep(signal.Fresh + 100*time.Millisecond)
	if err := w.node.tail.Check(a.ID, store.ID{}, 1, w.clock.now()); !errors.Is(err, signal.ErrUnknown) {
		t.Errorf("got %v, want %v", err, signal.ErrUnknown)
	}
	// What was missed meanwhile, however long ago, is known before it answers.
	there := w.newNode(&pushes{})
	there.raise(a, signal.PasswordChanged)
	for range 5 {
		w.clock.advance(30 * time.Second)
		there.raise(w.account(), signal.DeviceAdded)
	}
	defer w.node.follow()()
	w.eventually("it knows again", func() bool {
		err := w.node.tail.Check(a.ID, store.ID{}, 1, w.clock.now())
		if err == nil {
			t.Fatal("it answered before it knew")
		}
		return errors.Is(err, signal.ErrStale)
	})
}

// TestOwnChangeMovesNoLook: a node that was held up, and then makes a change of
// its own, still reads what others did before that.
func TestOwnChangeMovesNoLook(t *testing.T) {
	w := newWorld(t)
	a, b := w.account(), w.account()
	stop := w.node.follow()
	w.eventually("it knows", func() bool { return w.node.tail.Check(a.ID, store.ID{}, 1, w.clock.now()) == nil })
	stop()
	time.Sleep(signal.Fresh + 100*time.Millisecond)
	there := w.newNode(&pushes{})
	there.raise(a, signal.PasswordChanged)
	w.clock.advance(time.Minute)
	w.node.raise(b, signal.PasswordChanged)
	defer w.node.follow()()
	w.eventually("it knows again", func() bool {
		return !errors.Is(w.node.tail.Check(b.ID, store.ID{}, 9, w.clock.now()), signal.ErrUnknown)
	})
	if err := w.node.tail.Check(a.ID, store.ID{}, 1, w.clock.now()); !errors.Is(err, signal.ErrStale) {
		t.Errorf("got %v, want %v", err, signal.ErrStale)
	}
}

// TestLateChange: what waited so long that other nodes' looks have passed by is
// not written.
func TestLateChange(t *testing.T) {
	w := newWorld(t)
	a := w.account()
	err := w.node.store.Update(t.Context(), func(tx store.Tx) error {
		return signal.Raise(tx, a, signal.PasswordChanged, signal.Detail{}, w.clock.now().Add(-6*time.Second))
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v, want %v", err, store.ErrUnavailable)
	}
}
