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
	// back is how far the wall's clock may fall behind the steady one before nothing
	// is answered until all is read again; what tokens live longer for it is within
	// the while that the memory is longer than they are. A look reads all again at
	// half of it, so that a clock that is slow, and not set, is no reason for silence.
	back = time.Second
	// quiet is after how much silence of the other nodes their pace says nothing
	// of the time any more.
	quiet = time.Minute
	// part is the part of time for which a look asks how many signals there are,
	// and when: where that is what was read, none of them is read again.
	part = 100 * time.Millisecond
	// whole is how often a look reads all the same: an account that is closed
	// takes its signals along, and what comes in their place could tally.
	whole = 15 * time.Second
	// page is how many signals one read takes.
	page = 5000
	// kept is how many accounts, and how many sessions, a node remembers. A
	// hundred octets each, so some 50 MB at most.
	kept = 1 << 18
	// seenKept is how many names of signals one generation holds: with two of
	// some 40 octets each, 5 MB. One that comes again after both is heard twice,
	// which wakes somebody for nothing.
	seenKept = 1 << 16
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
//
// Two clocks keep it. By the wall's, which signals and tokens carry, it is
// decided where a look begins and whether a memory must be read anew: a clock
// that is set back lets tokens live longer. By the steady one, which nobody can
// set, it is decided when something may be forgotten: so a clock that runs ahead
// for a moment empties no memory. And nothing is fresh that is old by either,
// since the steady one stands still while a machine sleeps.
type Tail struct {
	store store.Store
	now   func() time.Time // the wall's
	keep  time.Duration
	heard func(store.Signal)
	ready func(store.Signal) store.Signal // what becomes of a signal before it is written; nil for nothing
	began time.Time

	mu       sync.Mutex
	read     moment        // when the last look began that came to its end
	looked   time.Time     // from where it went back
	widely   moment        // when the last wide one began
	wideFrom time.Time     // from where that went back
	lead     time.Duration // the most that the wall's clock was ahead of the steady one
	others   time.Time     // the latest signal of other nodes
	othersAt time.Duration // when it was read
	accounts map[store.ID]known
	ended    map[store.ID]ending // sessions
	seen     [2]map[store.ID]bool
	parts    map[int64]store.Tally // of the signals that are known
	wholly   moment                // when the last whole one began
	floor    time.Time             // what was issued before may have been forgotten
}

// moment is a time on both clocks.
type moment struct {
	wall   time.Time
	steady time.Duration // since the tail was made
}

type known struct {
	epoch    int64 // the lowest that is good
	disabled int64 // since which epoch; 0 while enabled
	at       time.Time
	read     time.Duration
}

type ending struct {
	at   time.Time
	read time.Duration
}

// NewTail makes a tail that remembers for as long as tokens live and a while
// more. heard is told each signal once, whichever node made it.
func NewTail(s store.Store, now func() time.Time, keep time.Duration, heard func(store.Signal)) *Tail {
	return &Tail{
		store: s, now: now, keep: keep, heard: heard, began: time.Now(),
		accounts: map[store.ID]known{}, ended: map[store.ID]ending{}, seen: [2]map[store.ID]bool{{}, {}}, parts: map[int64]store.Tally{},
	}
}

func (t *Tail) moment() moment { return moment{t.now().Round(0), time.Since(t.began)} }

// since is how long ago a moment was, by the clock that says the most.
func (m moment) since(earlier moment) time.Duration {
	return max(m.wall.Sub(earlier.wall).Abs(), m.steady-earlier.steady)
}

// Load reads all that matters; the tail knows nothing before.
func (t *Tail) Load(ctx context.Context) error { return t.look(ctx) }

// Run follows the store until the context ends.
func (t *Tail) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	down := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := t.look(ctx)
		if (err != nil) != down && ctx.Err() == nil {
			if down = err != nil; down {
				log.Error("the changes of other nodes cannot be read; tokens are not checked meanwhile", "error", err)
			}
		}
	}
}

// plan is what one look reads.
type plan struct {
	began moment
	base  time.Time // the present, as far as it is known
	from  time.Time
	wide  bool
	anew  bool // all of the memory
	whole bool // whatever is known
	known map[int64]store.Tally
}

// plan decides where a look begins. No clock is believed alone: neither this
// node's, nor that of the nodes that wrote last.
func (t *Tail) plan() plan {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := plan{began: t.moment()}
	p.base = p.began.wall
	if gone := p.began.steady - t.othersAt; !t.others.IsZero() && gone < quiet && t.others.Add(gone).Before(p.base) {
		p.base = t.others.Add(gone)
	}
	oldest := p.base.Add(-t.keep)
	if p.anew = t.read == (moment{}) || t.behind(p.began) > back/2; p.anew {
		p.from, p.wide, p.whole = oldest, true, true
		// All is read that the floor stands for. Until then nothing is answered.
		t.floor = earlier(t.floor, p.began.wall)
		return p
	}
	// A look goes back from where the one before it stood, so that one that was
	// held up has no gap behind it.
	if p.wide = p.began.since(t.widely) >= wide; p.wide {
		p.from = earlier(p.base, t.wideFrom).Add(-far)
	} else {
		p.from = earlier(p.base, t.looked).Add(-near)
	}
	if p.from.Before(oldest) {
		p.from = oldest
	}
	if p.whole = p.wide && p.began.since(t.wholly) >= whole; p.whole {
		return p
	}
	// Of before anything is asked: what there is then are these and what is new.
	p.known = make(map[int64]store.Tally)
	for at, n := range t.parts {
		if at >= partOf(p.from) {
			p.known[at] = n
		}
	}
	return p
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// behind is how far the wall's clock has fallen behind the steady one since all
// was read.
func (t *Tail) behind(now moment) time.Duration { return t.lead - now.lead() }

// lead is how far the wall's clock is ahead of the steady one. What it is ahead
// by at the start counts for nothing, only how that changes.
func (m moment) lead() time.Duration {
	return time.Duration(m.wall.UnixNano()) - m.steady
}

// lookTime is how long one look may take.
const lookTime = 5 * time.Second

func (t *Tail) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	p := t.plan()
	after, id, new := p.from, store.ID{}, true
	if !p.whole {
		var err error
		if after, new, err = t.news(ctx, p); err != nil {
			return err
		}
	}
	for new {
		var list []store.Signal
		err := t.store.View(ctx, func(tx store.Tx) (err error) {
			list, err = tx.Signals(after, id, page)
			return err
		})
		if err != nil {
			return err
		}
		t.take(list, true)
		if len(list) < page {
			break
		}
		after, id = list[len(list)-1].At, list[len(list)-1].ID
	}
	t.looks(p)
	return nil
}

// news is from where there is something that was not read.
func (t *Tail) news(ctx context.Context, p plan) (from time.Time, any bool, err error) {
	var there map[int64]store.Tally
	err = t.store.View(ctx, func(tx store.Tx) error {
		there, err = tx.Tallies(timeOf(partOf(p.from)), part)
		return err
	})
	if err != nil {
		return from, false, err
	}
	first := int64(0)
	for at, n := range there {
		if n != p.known[at] && (!any || at < first) {
			first, any = at, true
		}
	}
	return timeOf(first), any, nil
}

func partOf(at time.Time) int64     { return at.UnixMicro() / part.Microseconds() }
func timeOf(number int64) time.Time { return time.UnixMicro(number * part.Microseconds()) }

// looks notes a look that came to its end.
func (t *Tail) looks(p plan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.read, t.looked = p.began, p.base
	if p.wide {
		t.widely, t.wideFrom = p.began, p.base
	}
	if p.whole {
		t.wholly = p.began
	}
	if lead := p.began.lead(); p.anew || lead > t.lead {
		t.lead = lead
	}
	if p.wide {
		t.forget(p.began)
	}
}

// Add takes signals in that this node has written, those known already too.
func (t *Tail) Add(list []store.Signal) { t.take(list, false) }

func (t *Tail) take(list []store.Signal, read bool) {
	for _, n := range list {
		if t.add(n, read) && t.heard != nil {
			t.heard(n)
		}
	}
}

// add takes a signal in, each time it comes: what is read again is kept anew.
// It reports whether it was new.
func (t *Tail) add(n store.Signal, read bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Since(t.began)
	own, seen := t.sawOwn(n.ID)
	if !seen {
		if len(t.seen[0]) >= seenKept {
			t.seen[0], t.seen[1] = make(map[store.ID]bool, seenKept), t.seen[0]
		}
		t.seen[0][n.ID] = !read
		tally := t.parts[partOf(n.At)]
		tally.Signals++
		tally.Stamps += n.At.UnixMicro() % part.Microseconds()
		t.parts[partOf(n.At)] = tally
	}
	// Only what others wrote says how late it is elsewhere.
	if read && !own && n.At.After(t.others) {
		t.others, t.othersAt = n.At, now
	}
	switch n.Kind {
	case Asked, Verification, StreamUpdated:
		return !seen
	case SessionEnded:
		if d, err := detail(n); err == nil {
			t.ended[d.Session] = ending{n.At, now}
		}
	default:
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
		k.read = now
		t.accounts[n.Account] = k
	}
	if len(t.accounts) > kept || len(t.ended) > kept {
		t.overflow()
	}
	return !seen
}

func (t *Tail) sawOwn(id store.ID) (own, seen bool) {
	for _, g := range t.seen {
		if own, seen = g[id]; seen {
			return own, true
		}
	}
	return false, false
}

// overflow empties a memory that is full. Rather than forget one change, none of
// the tokens in hand is believed: each device gets a fresh one, which knows of
// all changes.
func (t *Tail) overflow() {
	t.floor = later(t.floor, t.now())
	for _, k := range t.accounts {
		t.floor = later(t.floor, k.at)
	}
	for _, e := range t.ended {
		t.floor = later(t.floor, e.at)
	}
	clear(t.accounts)
	clear(t.ended)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// forget drops what no living token can be of: so long ago was it read last, by
// the clock that nobody sets. What the wall's clock alone makes old stays.
func (t *Tail) forget(now moment) {
	before := now.steady - t.keep
	oldest := partOf(t.wideFrom.Add(-2 * far))
	for at := range t.parts {
		if at < oldest {
			delete(t.parts, at)
		}
	}
	for id, k := range t.accounts {
		if k.read < before {
			delete(t.accounts, id)
		}
	}
	for id, e := range t.ended {
		if e.read < before {
			delete(t.ended, id)
		}
	}
}

// Age is how long ago the store was last read to its end, by the clock that
// says the most; all that is kept where the clock was set back since.
func (t *Tail) Age() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.age()
}

func (t *Tail) age() time.Duration {
	now := t.moment()
	if t.read == (moment{}) || t.behind(now) > back {
		return t.keep
	}
	return now.since(t.read)
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

// Ready has each signal go through this before it is written, from now on. It is
// called before anything is followed.
func (t *Tail) Ready(f func(store.Signal) store.Signal) { t.ready = f }

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
	written := s
	if n.tail.ready != nil {
		written = n.tail.ready(s)
	}
	err := n.Tx.AddSignal(written)
	if err == nil {
		*n.made = append(*n.made, s)
	}
	return err
}
