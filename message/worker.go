package message

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"readmit.dev/readmit/store"
)

const (
	// sendTime is how long one try may take.
	sendTime = 30 * time.Second
	// lease is how long a message that is being sent belongs to who sends it.
	// It is written down before the try: a crash costs this much delay, and
	// several nodes on one store do not send the same message at once.
	lease = 2 * time.Minute
	// atOnce is how many messages of one channel are sent together. Channels do
	// not wait for each other: an SMS service that hangs holds no mail up.
	atOnce = 4
	// look is how often the store is asked what is due.
	look = time.Second
	// firstPause and lastPause bound the pauses between tries; each is three
	// times the one before.
	firstPause = 10 * time.Second
	lastPause  = 6 * time.Hour
)

// pause is how long to wait after so many tries, give or take a fifth, so that
// what failed together is not tried again together.
func pause(tries int) time.Duration {
	p := firstPause
	for range tries - 1 {
		if p *= 3; p >= lastPause {
			p = lastPause
			break
		}
	}
	return p - p/5 + rand.N(2*p/5)
}

// Run sends what is due until the context ends.
func (o *Outbox) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	// A channel without a sender has its turn too: what was queued while it had
	// one is given up in time.
	for _, channel := range []string{store.Email, store.Phone} {
		all.Go(func() { o.run(ctx, channel) })
	}
}

func (o *Outbox) run(ctx context.Context, channel string) {
	var sending sync.WaitGroup
	defer sending.Wait()
	busy := make(chan struct{}, atOnce)
	ended := make(chan struct{}, atOnce)
	down := false
	for {
		claimed, err := o.claim(ctx, channel, atOnce-len(busy))
		if (err != nil) != down && ctx.Err() == nil {
			if down = err != nil; down {
				o.Log.Error("messages wait: the store does not answer", "channel", channel)
			}
		}
		for _, m := range claimed {
			busy <- struct{}{}
			sending.Go(func() {
				o.try(ctx, m)
				<-busy
				select {
				case ended <- struct{}{}:
				default:
				}
			})
		}
		// While messages are being sent, there may be more than fitted.
		more := ended
		if len(claimed) == 0 {
			more = nil
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		case <-time.After(look):
		}
	}
}

// dueAtOnce is how many due messages are looked through for those of a channel.
const dueAtOnce = 256

// claim takes messages that are due, and writes down when they are due again.
// Nothing is written where nothing is due.
func (o *Outbox) claim(ctx context.Context, channel string, n int) ([]store.Message, error) {
	now := o.Now()
	var due []store.Message
	find := func(tx store.Tx) error {
		all, err := tx.DueMessages(now, dueAtOnce)
		due = slices.DeleteFunc(all, func(m store.Message) bool { return m.Channel != channel })
		// Codes first: somebody waits for them. Then what waits longest.
		slices.SortStableFunc(due, func(a, b store.Message) int { return cmp.Compare(life(a.Kind), life(b.Kind)) })
		due = due[:min(n, len(due))]
		return err
	}
	if n == 0 {
		return nil, nil
	}
	if err := o.Store.View(ctx, find); err != nil || len(due) == 0 {
		return nil, err
	}
	err := o.Store.Update(ctx, func(tx store.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		for i := range due {
			due[i].Tries++
			due[i].Next = now.Add(lease)
			if err := tx.SaveMessage(due[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return due, nil
}

// try sends a claimed message and keeps what came of it.
func (o *Outbox) try(ctx context.Context, m store.Message) {
	failure := o.send(ctx, m)
	if failure != nil && ctx.Err() != nil {
		return // the server stops: it is tried again when the lease ends
	}
	now := o.Now()
	outcome := "sent"
	switch {
	case failure == nil:
		m.Sent, m.Why, m.Sealed = now, "", nil
	default:
		outcome, m.Why = "failed", failure.Why
		m.Next = now.Add(pause(m.Tries))
		if failure.Final || m.Next.Sub(m.Created) > life(m.Kind) {
			outcome, m.GaveUp, m.Sealed = "given-up", now, nil
		}
		o.Log.Warn("message not delivered", "channel", m.Channel, "kind", m.Kind, "why", m.Why, "tries", m.Tries, "given-up", outcome == "given-up")
	}
	if o.Observed != nil {
		o.Observed(m.Channel, outcome)
	}
	// Where the store does not take it, it is offered until the lease ends: a
	// message that was sent and not marked is sent once more.
	keep := context.WithoutCancel(ctx)
	for until := time.Now().Add(lease / 2); o.mark(keep, m, now) != nil && ctx.Err() == nil && time.Now().Before(until); {
		select {
		case <-ctx.Done():
		case <-time.After(look):
		}
	}
}

func (o *Outbox) send(ctx context.Context, m store.Message) *Failure {
	if o.Now().Sub(m.Created) > life(m.Kind) {
		return &Failure{Why: cmp.Or(m.Why, Unreachable), Final: true} // the server was down for as long
	}
	s := o.Senders[m.Channel]
	if s == nil {
		return &Failure{Why: NotConfigured}
	}
	text, err := o.open(m)
	if err != nil {
		return &Failure{Why: Lost, Final: true}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	if err = s.Send(ctx, text); err == nil {
		return nil
	}
	if f := new(Failure); errors.As(err, &f) && slices.Contains(Reasons, f.Why) {
		return f
	}
	return &Failure{Why: Unreachable}
}

// mark keeps what came of a try, in the message and in its address.
func (o *Outbox) mark(ctx context.Context, m store.Message, at time.Time) error {
	return o.Store.Update(ctx, func(tx store.Tx) error {
		err := tx.SaveMessage(m)
		if errors.Is(err, store.ErrNotFound) {
			return nil // the account was closed meanwhile
		}
		if err != nil || m.Address.IsZero() {
			return err
		}
		all, err := tx.Addresses(m.Account)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.ID != m.Address {
				continue
			}
			if m.Why == "" {
				a.Failed, a.FailedWhy = time.Time{}, ""
			} else {
				a.Failed, a.FailedWhy = at, m.Why
			}
			return tx.SaveAddress(a)
		}
		return nil
	})
}

// maxCounted is how far Waiting counts.
const maxCounted = 1000

// Waiting counts the messages that are neither sent nor given up, a thousand at most.
func (o *Outbox) Waiting(ctx context.Context) (n int, err error) {
	err = o.Store.View(ctx, func(tx store.Tx) error {
		all, err := tx.DueMessages(o.Now().Add(KeptTrying), maxCounted)
		n = len(all)
		return err
	})
	return n, err
}
