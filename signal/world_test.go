package signal_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

const issuer = "https://id.example.org"

// clock is real time, moved by the test.
type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// pushes is a Sender that keeps what it is given, and fails as it is told.
type pushes struct {
	mu    sync.Mutex
	got   []string // the SETs that arrived, in their order
	tried int
	fail  func(set string) *signal.Failure
	slow  time.Duration
}

func (p *pushes) Push(ctx context.Context, _, _, set string) error {
	p.mu.Lock()
	p.tried++
	fail, slow := p.fail, p.slow
	p.mu.Unlock()
	time.Sleep(slow)
	if fail != nil {
		if f := fail(set); f != nil {
			return f
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, set)
	return nil
}

func (p *pushes) set(f func(p *pushes)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

func (p *pushes) arrived() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.got...)
}

func (p *pushes) tries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried
}

// world is a store with its keys and one node.
type world struct {
	t     *testing.T
	clock *clock
	store *sqlite.Store
	keys  *keys.Ring
	node  *node
}

// node is one of those that share the store.
type node struct {
	w      *world
	clock  *clock
	store  store.Store
	tail   *signal.Tail
	outbox *signal.Outbox
	sender *pushes
	heard  chan store.Signal
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}}
	var err error
	if w.store, err = sqlite.Open(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	if w.keys, err = keys.Open(t.Context(), w.store, make([]byte, 32), w.clock.now); err != nil {
		t.Fatal(err)
	}
	w.node = w.newNode(&pushes{})
	return w
}

func (w *world) newNode(sender *pushes) *node { return w.newNodeAt(sender, w.clock) }

// newNodeAt makes one whose clock is its own.
func (w *world) newNodeAt(sender *pushes, at *clock) *node {
	w.t.Helper()
	n := &node{w: w, clock: at, sender: sender, heard: make(chan store.Signal, 1000)}
	n.tail = signal.NewTail(w.store, at.now, 6*time.Minute, func(s store.Signal) {
		n.heard <- s
		n.outbox.Wake()
	})
	n.store = n.tail.Follow(w.store)
	n.outbox = &signal.Outbox{Store: n.store, Keys: w.keys, Now: at.now, URL: issuer, Sender: sender, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if err := n.tail.Load(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// run starts a node's work; what it returns ends it.
func (n *node) run() (stop func()) {
	return n.working(func(ctx context.Context) { n.tail.Run(ctx, n.outbox.Log) }, n.outbox.Run)
}

// follow starts its tail alone.
func (n *node) follow() (stop func()) {
	return n.working(func(ctx context.Context) { n.tail.Run(ctx, n.outbox.Log) })
}

func (n *node) working(parts ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, p := range parts {
		all.Go(func() { p(ctx) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	n.w.t.Cleanup(stop)
	return stop
}

func (w *world) account() *store.Subject {
	w.t.Helper()
	var a store.Subject
	rand.Read(a.ID[:])
	rand.Read(a.Key[:])
	a.Epoch = 1
	w.update(w.store, func(tx store.Tx) error { return tx.AddSubject(a) })
	return &a
}

func (w *world) update(s store.Store, f func(store.Tx) error) {
	w.t.Helper()
	if err := s.Update(context.Background(), f); err != nil {
		w.t.Fatal(err)
	}
}

// raise makes a change at a node.
func (n *node) raise(a *store.Subject, kind string) {
	n.w.t.Helper()
	n.w.update(n.store, func(tx store.Tx) error {
		return signal.Raise(tx, a, kind, signal.Detail{By: signal.ByUser}, n.clock.now())
	})
}

func (n *node) add(name, push string) signal.Registered {
	n.w.t.Helper()
	r, err := n.outbox.Add(n.w.t.Context(), name, "https://"+name+".example.org", push, func(string) bool { return false })
	if err != nil {
		n.w.t.Fatal(err)
	}
	return r
}

func (w *world) receipts(a *store.Subject) []store.Receipt {
	w.t.Helper()
	var list []store.Receipt
	err := w.store.View(context.Background(), func(tx store.Tx) (err error) {
		list, err = tx.Receipts(a.ID, 1000)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) services() []signal.State {
	w.t.Helper()
	list, err := w.node.outbox.List(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// eventually waits until it is so.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	w.t.Fatalf("never: %s", what)
}
