package message

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// post is a sender in the test's hand.
type post struct {
	mu   sync.Mutex
	sent []Text
	fail error
	hold chan struct{} // when set, nothing is sent until it is closed
}

func (p *post) Send(ctx context.Context, t Text) error {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	p.sent = append(p.sent, t)
	return nil
}

func (p *post) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.sent)
}

func (p *post) failing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// broken is a store that can be down.
type broken struct {
	store.Store
	down atomic.Bool
}

func (b *broken) View(ctx context.Context, f func(store.Tx) error) error {
	if b.down.Load() {
		return store.ErrUnavailable
	}
	return b.Store.View(ctx, f)
}

func (b *broken) Update(ctx context.Context, f func(store.Tx) error) error {
	if b.down.Load() {
		return store.ErrUnavailable
	}
	return b.Store.Update(ctx, f)
}

type office struct {
	*Outbox
	t     testing.TB
	dir   string
	at    atomic.Pointer[time.Time]
	mail  *post
	sms   *post
	logs  *bytes.Buffer
	store *broken
	jane  store.Subject
	home  store.Address // jane's, verified
	seen  map[string]int
}

func (o *office) advance(d time.Duration) {
	at := o.at.Load().Add(d)
	o.at.Store(&at)
}

func (o *office) now() time.Time { return *o.at.Load() }

func newOffice(t testing.TB) *office {
	o := &office{t: t, dir: t.TempDir(), mail: &post{}, sms: &post{}, logs: &bytes.Buffer{}, seen: map[string]int{}}
	at := start
	o.at.Store(&at)
	o.open()
	t.Cleanup(func() { o.store.Close() })
	o.jane = store.Subject{ID: store.ID{1}, Key: store.Key{1}, Identifier: "jane@example.org", Epoch: 1, Created: start}
	o.home = store.Address{Account: o.jane.ID, ID: store.ID{2}, Kind: store.Email, Value: "planted-home@example.org", Added: start, Verified: start}
	o.update(func(tx store.Tx) error { return errors.Join(tx.AddSubject(o.jane), tx.AddAddress(o.home)) })
	return o
}

// open starts an outbox on the data, as after a restart.
func (o *office) open() {
	o.t.Helper()
	kept, err := sqlite.Open(o.dir)
	if err != nil {
		o.t.Fatal(err)
	}
	o.store = &broken{Store: kept}
	ring, err := keys.Open(context.Background(), o.store, make([]byte, 32), o.now)
	if err != nil {
		o.t.Fatal(err)
	}
	o.Outbox = &Outbox{
		Store: o.store, Keys: ring, Now: o.now, URL: public, Log: slog.New(slog.NewTextHandler(o.logs, nil)),
		Senders:  map[string]Sender{store.Email: o.mail, store.Phone: o.sms},
		Observed: func(channel, outcome string) { o.seen[channel+" "+outcome]++ },
	}
}

func outbox(t testing.TB, _ *post) *Outbox { return newOffice(t).Outbox }

func (o *office) update(f func(store.Tx) error) {
	o.t.Helper()
	if err := o.store.Update(context.Background(), f); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) code(code string) {
	o.t.Helper()
	o.update(func(tx store.Tx) error {
		return o.Queue(tx, o.jane, o.home, AddressCode, map[string]string{"code": code})
	})
}

func (o *office) notice() {
	o.t.Helper()
	o.update(func(tx store.Tx) error {
		return o.Tell(tx, o.jane, PasswordChanged, map[string]string{"device": "laptop"})
	})
}

// work sends what is due now, one after the other, and tells how many were tried.
func (o *office) work() int {
	o.t.Helper()
	n := 0
	for _, channel := range []string{store.Email, store.Phone} {
		for {
			claimed, err := o.claim(context.Background(), channel, atOnce)
			if err != nil {
				o.t.Fatal(err)
			}
			if len(claimed) == 0 {
				break
			}
			for _, m := range claimed {
				o.try(context.Background(), m)
				n++
			}
		}
	}
	return n
}

func (o *office) messages() (all []store.Message) {
	o.t.Helper()
	if err := o.store.View(context.Background(), func(tx store.Tx) (err error) { all, err = tx.Messages(o.jane.ID); return }); err != nil {
		o.t.Fatal(err)
	}
	return all
}

func (o *office) address() store.Address {
	o.t.Helper()
	var all []store.Address
	if err := o.store.View(context.Background(), func(tx store.Tx) (err error) { all, err = tx.Addresses(o.jane.ID); return }); err != nil {
		o.t.Fatal(err)
	}
	return all[0]
}
