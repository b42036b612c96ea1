package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

var errMine = errors.New("the function's own error")

func counter(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	const goroutines, each = 200, 10
	together(goroutines, func(int) {
		for range each {
			err := s.Update(context.Background(), func(tx store.Tx) error {
				_, err := raise(tx, a.ID)
				return err
			})
			if err != nil {
				t.Errorf("update: %v", err)
			}
		}
	})
	same(t, "count", failures(t, s, a.ID), goroutines*each)
}

func rollback(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	fails(t, s, errMine, func(tx store.Tx) error {
		if _, err := raise(tx, a.ID); err != nil {
			return err
		}
		if err := tx.AddSubject(account(2)); err != nil {
			return err
		}
		return errMine
	})
	same(t, "count", failures(t, s, a.ID), 0)
	missing(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(account(2).ID) })
	fails(t, s, errMine, func(store.Tx) error { return errMine })
}

// conflictUndoes: a function that ignores a conflict goes on, one that returns
// it has done nothing.
func conflictUndoes(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	try := func(tx store.Tx) error {
		if _, err := raise(tx, a.ID); err != nil {
			return err
		}
		return tx.AddSubject(a)
	}
	fails(t, s, store.ErrConflict, try)
	same(t, "count after a conflict that was returned", failures(t, s, a.ID), 0)
	update(t, s, func(tx store.Tx) error {
		if err := try(tx); !errors.Is(err, store.ErrConflict) {
			return fmt.Errorf("got error %v, want %w", err, store.ErrConflict)
		}
		return nil
	})
	same(t, "count after a conflict that was expected", failures(t, s, a.ID), 1)
}

// failuresAmongOthers: what fails or panics, before or after it wrote, takes
// nothing else along.
func failuresAmongOthers(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	var good atomic.Int32
	together(120, func(i int) {
		err := s.Update(context.Background(), func(tx store.Tx) error {
			switch i % 6 {
			case 0:
				return errMine
			case 1:
				panic("before it wrote")
			}
			if _, err := raise(tx, a.ID); err != nil {
				return err
			}
			switch i % 6 {
			case 2:
				return errMine
			case 3:
				panic("after it wrote")
			}
			return nil
		})
		switch i % 6 {
		case 0, 2:
			if !errors.Is(err, errMine) {
				t.Errorf("got error %v, want %v", err, errMine)
			}
		case 1, 3:
			if err == nil {
				t.Error("a function that panicked succeeded")
			}
		default:
			if err != nil {
				t.Errorf("update: %v", err)
			}
			good.Add(1)
		}
	})
	same(t, "count", failures(t, s, a.ID), int(good.Load()))
}

func panics(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	err := s.Update(context.Background(), func(tx store.Tx) error {
		if _, err := raise(tx, a.ID); err != nil {
			return err
		}
		panic(fmt.Sprintf("a value that nobody may %s", "print"))
	})
	if err == nil || errors.Is(err, store.ErrNotFound) {
		t.Fatalf("got error %v", err)
	}
	if got := err.Error(); len(got) == 0 || strings.Contains(got, "nobody may print") {
		t.Fatalf("the error prints the value: %v", err)
	}
	same(t, "count", failures(t, s, a.ID), 0)
	func() {
		defer func() { recover() }()
		s.View(context.Background(), func(store.Tx) error { panic("in a view") })
	}()
	for range 10 {
		same(t, "count", failures(t, s, a.ID), 0)
	}
	update(t, s, func(tx store.Tx) error {
		_, err := raise(tx, a.ID)
		return err
	})
	same(t, "count", failures(t, s, a.ID), 1)
}

func viewSnapshot(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	err := s.View(context.Background(), func(tx store.Tx) error {
		for range 3 {
			b, err := tx.Subject(a.ID)
			if err != nil {
				return err
			}
			if b.Hot.CodeFailures != 0 {
				return fmt.Errorf("a later change is seen: %d", b.Hot.CodeFailures)
			}
			update(t, s, func(tx store.Tx) error {
				_, err := raise(tx, a.ID)
				return err
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "count in a new view", failures(t, s, a.ID), 3)
	if err := s.View(context.Background(), func(store.Tx) error { return errMine }); !errors.Is(err, errMine) {
		t.Fatalf("got error %v, want %v", err, errMine)
	}
}

func viewReads(t *testing.T, open Open) {
	s, _ := open(t)
	a := add(t, s, 1)
	err := s.View(context.Background(), func(tx store.Tx) error { return tx.AddSubject(account(2)) })
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a write in a view: got error %v", err)
	}
	missing(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Subject(account(2).ID) })
	same(t, "count", failures(t, s, a.ID), 0)
}

func contexts(t *testing.T, open Open) {
	s, _ := open(t)
	ran := false
	touch := func(store.Tx) error {
		ran = true
		return nil
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for name, f := range map[string]func(context.Context, func(store.Tx) error) error{"update": s.Update, "view": s.View} {
		if err := f(over, touch); !errors.Is(err, context.Canceled) || ran {
			t.Fatalf("%s with a context that is over: error %v, ran %v", name, err, ran)
		}
	}

	// While others hold all there is to hold, one gives up: it returns at once,
	// and does not run later either.
	const others = 100
	holds, let := make(chan struct{}, others), make(chan struct{})
	results := make(chan error, others)
	for range others {
		go func() {
			var told atomic.Bool
			results <- s.Update(context.Background(), func(store.Tx) error {
				if told.CompareAndSwap(false, true) {
					holds <- struct{}{}
				}
				<-let
				return nil
			})
		}()
	}
	release := sync.OnceFunc(func() { close(let) })
	defer release()
	for quiet := false; !quiet; { // until no more of them begin
		select {
		case <-holds:
		case <-time.After(300 * time.Millisecond):
			quiet = true
		}
	}
	soon, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Update(soon, touch); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("while waiting: got error %v, want %v", err, context.DeadlineExceeded)
	}
	release()
	for range others {
		if err := <-results; err != nil {
			t.Fatalf("update: %v", err)
		}
	}
	update(t, s, func(store.Tx) error { return nil })
	if ran {
		t.Fatal("a function ran after its caller had been told that it would not")
	}
}

func ready(t *testing.T, open Open) {
	s, _ := open(t)
	for range 3 {
		if err := s.Ready(context.Background()); err != nil {
			t.Fatalf("ready: %v", err)
		}
	}
}

func reopens(t *testing.T, open Open) {
	s, reopen := open(t)
	a := account(1)
	d, n, e, p := enrolled(2, a.ID), living(3, a.ID, a.ID), entry(4, a.ID, store.RingChanges, 1), sample[store.Pass](5)
	update(t, s, func(tx store.Tx) error {
		return errors.Join(tx.AddSubject(a), tx.AddDevice(d), tx.AddSession(n), tx.Append(e), tx.AddPass(p), tx.SavePolicy([]byte("{}")))
	})
	for range 3 {
		s = reopen()
		same(t, "account", get(t, s, func(tx store.Tx) (store.Subject, error) { return tx.Find(a.Key, store.StandKey(a.Key)) }), a)
		same(t, "device", get(t, s, func(tx store.Tx) (store.Device, error) { return tx.Device(a.ID, d.Thumbprint) }), d)
		same(t, "session", get(t, s, func(tx store.Tx) (store.Session, error) { return tx.Session(n.ID) }), n)
		same(t, "ledger", get(t, s, func(tx store.Tx) ([]store.Entry, error) { return tx.Ledger(a.ID) }), []store.Entry{e})
		same(t, "pass", get(t, s, func(tx store.Tx) (store.Pass, error) { return tx.Pass(p.Hash) }), p)
		same(t, "policy", string(get(t, s, store.Tx.Policy)), "{}")
		a.Hot.CodeFailures++
		update(t, s, func(tx store.Tx) error { return tx.SaveSubjectHot(a.ID, a.Hot) })
	}
}

func closed(t *testing.T, open Open) {
	s, _ := open(t)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	nothing := func(store.Tx) error { return errMine }
	for name, err := range map[string]error{
		"update": s.Update(context.Background(), nothing), "view": s.View(context.Background(), nothing), "ready": s.Ready(context.Background()),
	} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s after close: got error %v, want %v", name, err, store.ErrUnavailable)
		}
	}
}

// closeUnderLoad: each change is kept or its caller was told that the store is
// unavailable, and no caller waits for ever.
func closeUnderLoad(t *testing.T, open Open) {
	s, reopen := open(t)
	a := add(t, s, 1)
	var kept atomic.Int32
	started := make(chan struct{}, 100)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		together(40, func(int) {
			for {
				err := s.Update(context.Background(), func(tx store.Tx) error {
					_, err := raise(tx, a.ID)
					return err
				})
				if err != nil {
					if !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("got error %v, want %v", err, store.ErrUnavailable)
					}
					return
				}
				kept.Add(1)
				select {
				case started <- struct{}{}:
				default:
				}
				if err := s.View(context.Background(), func(tx store.Tx) error { _, err := tx.Subject(a.ID); return err }); err != nil && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("got error %v, want %v", err, store.ErrUnavailable)
				}
			}
		})
	}()
	for range cap(started) {
		<-started
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	<-finished
	same(t, "count", failures(t, reopen(), a.ID), int(kept.Load()))
}
