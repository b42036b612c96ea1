package postgres

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// A transaction that the database ended for its node's pause is run again: it
// has changed nothing.
func TestRunAgainAfterAPause(t *testing.T) {
	s := openIn(t, empty(t))
	a := store.Subject{ID: store.ID{1}, Key: store.Key{2}, Identifier: "a@example.org", Epoch: 1}
	runs := 0
	err := s.Update(t.Context(), func(tx store.Tx) error {
		runs++
		if _, err := tx.Subject(a.ID); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if runs == 1 {
			time.Sleep(idle + 500*time.Millisecond)
		}
		if _, err := tx.Session(store.ID{3}); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return tx.AddSubject(a)
	})
	if err != nil || runs != 2 {
		t.Fatalf("%d runs, %v", runs, err)
	}
	if err := s.View(t.Context(), func(tx store.Tx) error { _, err := tx.Subject(a.ID); return err }); err != nil {
		t.Error(err)
	}
}

// silenced is a connection of which nothing arrives any more.
type silenced struct {
	net.Conn
	silent *atomic.Bool
}

func (c *silenced) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// A database that falls silent is waited for once, not once for each
// connection, and those there were are not used again.
func TestSilence(t *testing.T) {
	c := empty(t)
	c.Connections, c.Patience = 5, 400*time.Millisecond
	config, address, err := parse(c)
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Pointer[atomic.Bool]
	now.Store(new(atomic.Bool))
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		n, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &silenced{n, now.Load()}, err
	}
	s, err := openWith(t.Context(), c, config, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	read := func(then func()) error {
		return s.View(t.Context(), func(tx store.Tx) error {
			_, err := tx.Subject(store.ID{1})
			then()
			return err
		})
	}
	var all, together sync.WaitGroup
	together.Add(c.Connections)
	for range c.Connections {
		all.Go(func() {
			if err := read(func() { together.Done(); together.Wait() }); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	now.Swap(new(atomic.Bool)).Store(true)
	begun := time.Now()
	if err := read(func() {}); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("got error %v", err)
	}
	if d := time.Since(begun); d > 2*s.limits.answer() {
		t.Errorf("it took %v", d)
	}
	begun = time.Now()
	if err := read(func() {}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
	if d := time.Since(begun); d > s.limits.answer() {
		t.Errorf("afterwards it took %v", d)
	}
}
