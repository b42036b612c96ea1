package signal

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"readmit.dev/readmit/store"
)

const (
	// Held is how long a poll waits for something to give out.
	Held = 25 * time.Second
	// MostSets is how many SETs one answer has at most.
	MostSets = 128
	// gather is how long a poll that was woken waits for more: each answer
	// costs a round trip and a look at the store.
	gather = 5 * time.Millisecond
)

// Refused is why a receiver does not take a SET (RFC 8935 §2.4).
type Refused struct{ Code string }

// codes are those of RFC 8935 §2.4; nothing else that a receiver says is kept.
var codes = []string{"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied"}

// Poll takes what a service acknowledges or refuses, and gives out what is due
// to it, by jti: at once, or as soon as there is something, or nothing after
// Held, or before where the service has begun newer polls (heldPolls). most is 0
// for who only acknowledges.
func (o *Outbox) Poll(ctx context.Context, s store.Service, acks []string, refused map[string]Refused, most int, wait bool) (sets map[string]string, more bool, err error) {
	o.init()
	if err := o.acknowledge(ctx, s, acks, refused); err != nil {
		return nil, false, err
	}
	// An empty answer would read as if there were no news.
	if err := silent(s); err != nil {
		return nil, false, err
	}
	sets = map[string]string{}
	if most = min(most, MostSets); most <= 0 {
		return sets, false, nil
	}
	over := time.NewTimer(Held)
	defer over.Stop()
	var letGo <-chan struct{}
	if !wait && o.holds.told(s.ID, o.Now()) {
		return sets, false, nil
	}
	if wait {
		var done func()
		letGo, done = o.holds.hold(s.ID)
		defer done()
	}
	for {
		woken := o.bell.next()
		items, audiences, err := o.due(ctx, s, most)
		if err != nil {
			return nil, false, err
		}
		if err := o.give(ctx, s, items, audiences, sets); err != nil {
			return nil, false, err
		}
		if len(sets) == 0 && len(items) == 0 && !wait {
			o.holds.tell(s.ID, o.Now(), woken)
		}
		if len(sets) > 0 || !wait {
			return sets, len(items) == most, nil
		}
		if len(items) > 0 { // none of those, so what is behind them
			continue
		}
		if now, err := o.directory.find(ctx, s.Secret, o.services); err != nil {
			return nil, false, err
		} else if err := silent(now); err != nil {
			return nil, false, err
		}
		select {
		case <-woken:
			if !sleep(ctx, gather) {
				return sets, false, nil
			}
		case <-time.After(lookout): // another node's doing that no signal tells of
		case <-over.C:
			return sets, false, nil
		case <-letGo:
			return sets, false, nil
		case <-o.stopped:
			return sets, false, nil
		case <-ctx.Done():
			return sets, false, nil
		}
	}
}

// give makes the SETs. What the stream does not have is passed over for good.
func (o *Outbox) give(ctx context.Context, s store.Service, items []store.Due, audiences []string, sets map[string]string) error {
	var over []store.Due
	for _, one := range items {
		if one.Lost || !wanted(s, signalOf(one)) {
			over = append(over, one)
			continue
		}
		text, err := o.sets.make(ctx, signalOf(one), s, audiences)
		if err != nil {
			return err
		}
		sets[hexOf(one.Signal)] = text
	}
	if len(over) == 0 {
		return nil
	}
	now := o.Now()
	return o.Store.Mark(ctx, func(tx store.Tx) error {
		for _, one := range over {
			why := NotAsked
			if one.Lost {
				why = Lost
			}
			if err := tx.Deliver(s.ID, one.Signal, now, why); err != nil {
				return err
			}
		}
		return nil
	})
}

// acknowledge keeps what a service says of what it was given. One that refuses
// a SET is parked: what comes after it must not overtake it.
func (o *Outbox) acknowledge(ctx context.Context, s store.Service, acks []string, refused map[string]Refused) error {
	if len(acks)+len(refused) == 0 {
		return nil
	}
	now := o.Now()
	given := ids(acks)
	if len(given) > 0 {
		err := o.Store.Mark(ctx, func(tx store.Tx) error {
			for _, id := range given {
				if err := tx.Deliver(s.ID, id, now, ""); err != nil {
					return err
				}
			}
			return tx.Heard(s.ID, now)
		})
		if err != nil {
			return err
		}
		for range acks {
			o.observed(s.Name, "delivered")
		}
	}
	if len(refused) == 0 {
		return nil
	}
	parked := ""
	err := o.Store.Update(ctx, func(tx store.Tx) error {
		parked = ""
		due, err := tx.DueReceipts(s.ID, now, MostSets)
		if err != nil {
			return err
		}
		tries := map[store.ID]int{}
		for _, r := range due {
			tries[r.Signal] = r.Tries + 1
		}
		for _, id := range ids(slices.Collect(maps.Keys(refused))) {
			f := Failure{Why: Rejected}
			if why := refused[hexOf(id)]; slices.Contains(codes, why.Code) {
				f.Code = why.Code
			}
			if err := tx.PutOff(s.ID, id, now.Add(backoff(tries[id], 0.5)), f.Error()); err != nil {
				return err
			}
			if f.Code != "invalid_key" || tries[id] >= keyTries {
				parked = f.Error()
			}
		}
		if parked != "" {
			return park(tx, s.ID, parked, now)
		}
		return nil
	})
	if err == nil && parked != "" {
		o.directory.changed()
		o.observed(s.Name, "parked")
		o.Log.Error("a service is parked: it refuses a signal", "service", s.Name, "why", parked)
	}
	return err
}

// ids reads those that are some, in order: transactions that mark the same
// receipts must come upon them in the same order, or they would wait for each
// other.
func ids(jtis []string) []store.ID {
	var out []store.ID
	for _, jti := range jtis {
		if id, ok := parseID(jti); ok {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, byID)
	return out
}

func byID(a, b store.ID) int { return bytes.Compare(a[:], b[:]) }

// Applied keeps since when a service acts on signals. A moment that is not
// between the service's registration and now is taken for now.
func (o *Outbox) Applied(ctx context.Context, s store.Service, at map[string]time.Time) error {
	now := o.Now()
	return o.Store.Mark(ctx, func(tx store.Tx) error {
		for _, id := range ids(slices.Collect(maps.Keys(at))) {
			when := at[hexOf(id)]
			if when.After(now) || when.Before(s.Added) {
				when = now
			}
			if err := tx.Apply(s.ID, id, when, now); err != nil {
				return err
			}
		}
		return nil
	})
}
