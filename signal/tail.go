package signal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"readmit.dev/readmit/store"
)

const (
	// look is how often a node reads what others have written.
	look = 50 * time.Millisecond
	// A signal carries the time of its node and is seen when its transaction
	// ends, so each look goes back over what was read before: by near every time,
	// which holds what is usual, and by far once a second, which holds a clock or
	// a transaction that lags so much behind the others.
	near = 2 * time.Second
	far  = 15 * time.Second
	// late is how long after its time a change may be written: the looks of
	// other nodes must still come by it.
	late = 5 * time.Second
	wide = time.Second
	// Fresh is how old what a node knows may be for an answer.
	Fresh = time.Second
	// page is how many signals one read takes.
	page = 5000
	// kept is how many accounts, and how many sessions, a node remembers. A
	// hundred octets each, so some 50 MB at most.
	kept = 1 << 18
)

// Why a token is not good.
var (
	// ErrStale: the account has changed since it was issued. A fresh one says more.
	ErrStale = errors.New("the account has changed since this token was issued")
	// ErrEnded: its session has ended.
	ErrEnded = errors.New("the session has ended")
	// ErrBehind: it tells of a change that this node has not heard of.
	ErrBehind = errors.New("this node has not yet heard of the account's last change")
	// ErrUnknown: what the node knows is too old for an answer.
	ErrUnknown = errors.New("this node does not know what has changed")
)

// Tail is what a node knows of the changes of the last minutes: all that
// matters to tokens that have not yet ended.
type Tail struct {
	store store.Store
	now   func() time.Time
	keep  time.Duration
	heard func(store.Signal)

	mu       sync.Mutex
	read     time.Time // when the last look began, by the machine's clock
	newest   time.Time // the latest signal
	last     store.ID
	accounts map[store.ID]known
	ended    map[store.ID]time.Time // sessions, and when they ended
	seen     map[store.ID]time.Time // signals
	floor    time.Time              // what was issued before may have been forgotten
}

type known struct {
	epoch    int64 // the lowest that is good
	disabled int64 // since which epoch; 0 while enabled
	at       time.Time
}

// NewTail makes a tail that remembers for as long as tokens live and a while
// more. heard is told each signal once, whichever node made it.
func NewTail(s store.Store, now func() time.Time, keep time.Duration, heard func(store.Signal)) *Tail {
	return &Tail{
		store: s, now: now, keep: keep, heard: heard,
		accounts: map[store.ID]known{}, ended: map[store.ID]time.Time{}, seen: map[store.ID]time.Time{},
	}
}

// Load reads all that matters; the tail knows nothing before.
func (t *Tail) Load(ctx context.Context) error { return t.readFrom(ctx, t.now().Add(-t.keep)) }

// Run follows the store until the context ends.
func (t *Tail) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	widely, down := time.Time{}, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		back := near
		if time.Since(widely) >= wide { // so too when it was held up
			back = far
		}
		began := time.Now()
		err := t.readFrom(ctx, t.from(back))
		if err == nil && back > near {
			widely = began
		}
		if (err != nil) != down && ctx.Err() == nil {
			if down = err != nil; down {
				log.Error("the changes of other nodes cannot be read; tokens are not checked meanwhile", "error", err)
			}
		}
		if back > near {
			t.forget()
		}
	}
}

// from is where a look begins. No clock is believed alone: neither this
// node's, nor that of the node that wrote last.
func (t *Tail) from(back time.Duration) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	if t.newest.Before(at) {
		at = t.newest
	}
	if oldest := t.now().Add(-t.keep); at.Add(-back).Before(oldest) {
		return oldest
	}
	return at.Add(-back)
}

// lookTime is how long one look may take.
const lookTime = 5 * time.Second

func (t *Tail) readFrom(ctx context.Context, from time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	began := time.Now()
	after, id := from, store.ID{}
	for {
		var list []store.Signal
		err := t.store.View(ctx, func(tx store.Tx) (err error) {
			list, err = tx.Signals(after, id, page)
			return err
		})
		if err != nil {
			return err
		}
		t.Add(list)
		t.reached(list)
		if len(list) < page {
			break
		}
		after, id = list[len(list)-1].At, list[len(list)-1].ID
	}
	t.mu.Lock()
	t.read = began
	t.mu.Unlock()
	return nil
}

// reached moves on where looks begin. Only what was read does: of what this
// node wrote itself it is not known whether all before it was read.
func (t *Tail) reached(list []store.Signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range list {
		if n.At.After(t.newest) {
			t.newest = n.At
		}
	}
}

// Add takes signals in, those known already too.
func (t *Tail) Add(list []store.Signal) {
	for _, n := range list {
		if t.add(n) && t.heard != nil {
			t.heard(n)
		}
	}
}

func (t *Tail) add(n store.Signal) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.seen[n.ID]; known {
		return false
	}
	t.seen[n.ID] = n.At
	switch n.Kind {
	case Asked, Verification:
		return true
	case SessionEnded:
		if d, err := detail(n); err == nil {
			t.ended[d.Session] = n.At
		}
		return true
	}
	k := t.accounts[n.Account]
	if n.At.After(k.at) {
		k.at = n.At
	}
	if n.Epoch > k.epoch { // two nodes' signals can be read in another order than they were made
		k.epoch = n.Epoch
		switch n.Kind {
		case AccountDisabled:
			k.disabled = n.Epoch
		case AccountEnabled:
			k.disabled = 0
		}
	}
	t.accounts[n.Account] = k
	return true
}

// forget drops what no living token can be of.
func (t *Tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	before := now.Add(-t.keep)
	for id, at := range t.seen {
		if at.Before(before.Add(-far)) {
			delete(t.seen, id)
		}
	}
	for id, k := range t.accounts {
		if k.at.Before(before) {
			delete(t.accounts, id)
		}
	}
	for id, at := range t.ended {
		if at.Before(before) {
			delete(t.ended, id)
		}
	}
	if len(t.accounts) > kept || len(t.ended) > kept {
		// Rather than forget one change, none of the tokens in hand is believed:
		// each device gets a fresh one, which knows of all changes.
		clear(t.accounts)
		clear(t.ended)
		t.floor = now
	}
}

// Age is how long ago the store was last read to its end.
func (t *Tail) Age() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.age()
}

func (t *Tail) age() time.Duration {
	if t.read.IsZero() {
		return t.keep
	}
	return time.Since(t.read)
}

// Check holds a token against what the node knows: nil, ErrStale, ErrEnded,
// ErrBehind, or ErrUnknown where that is too old.
func (t *Tail) Check(account, session store.ID, epoch int64, issued time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.age() > Fresh {
		return ErrUnknown
	}
	k := t.accounts[account]
	_, ended := t.ended[session]
	switch {
	case epoch < k.epoch, issued.Before(t.floor):
		return ErrStale
	case ended:
		return ErrEnded
	case k.disabled > 0 && epoch > k.disabled:
		return ErrBehind
	}
	return nil
}

// Follow gives a store whose changes this tail knows when they are made,
// without a look.
func (t *Tail) Follow(s store.Store) store.Store {
	f := followed{s, t}
	if c, ok := s.(changing); ok {
		return followedChanging{f, c}
	}
	return f
}

type changing interface{ Changes() *store.Changes }

type followed struct {
	store.Store
	tail *Tail
}

type followedChanging struct {
	followed
	changing
}

func (f followed) Update(ctx context.Context, do func(store.Tx) error) error {
	var made []store.Signal
	err := f.Store.Update(ctx, func(tx store.Tx) error {
		made = made[:0] // it may run again
		return do(&noted{tx, f.tail, &made})
	})
	if err == nil && len(made) > 0 {
		f.tail.Add(slices.Clone(made))
	}
	return err
}

// noted is a transaction that keeps the signals written in it.
type noted struct {
	store.Tx
	tail *Tail
	made *[]store.Signal
}

func (n *noted) AddSignal(s store.Signal) error {
	if n.tail.now().Sub(s.At) > late {
		return fmt.Errorf("%w: a change has waited for its turn too long", store.ErrUnavailable)
	}
	err := n.Tx.AddSignal(s)
	if err == nil {
		*n.made = append(*n.made, s)
	}
	return err
}
