package signal

import (
	"context"
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
// Held. most is 0 for who only acknowledges.
func (o *Outbox) Poll(ctx context.Context, s store.Service, acks []string, refused map[string]Refused, most int, wait bool) (sets map[string]string, more bool, err error) {
	o.init()
	if err := o.acknowledge(ctx, s, acks, refused); err != nil {
		return nil, false, err
	}
	if !s.Parked.IsZero() {
		// An empty answer would read as if there were no news.
		return nil, false, ErrParked
	}
	sets = map[string]string{}
	if most = min(most, MostSets); most <= 0 {
		return sets, false, nil
	}
	over := time.NewTimer(Held)
	defer over.Stop()
	for {
		woken := o.bell.next()
		items, audiences, err := o.due(ctx, s, most)
		if err != nil {
			return nil, false, err
		}
		if err := o.give(ctx, s, items, audiences, sets); err != nil {
			return nil, false, err
		}
		if len(sets) > 0 || !wait {
			return sets, len(items) == most, nil
		}
		if len(items) > 0 { // none of those, so what is behind them
			continue
		}
		select {
		case <-woken:
			if !sleep(ctx, gather) {
				return sets, false, nil
			}
		case <-time.After(lookout): // another node's doing that no signal tells of
		case <-over.C:
			return sets, false, nil
		case <-o.stopped:
			return sets, false, nil
		case <-ctx.Done():
			return sets, false, nil
		}
	}
}

// give makes the SETs. What the stream does not have is passed over for good.
func (o *Outbox) give(ctx context.Context, s store.Service, items []item, audiences []string, sets map[string]string) error {
	var over []item
	for _, one := range items {
		if one.lost || !wanted(s, one.signal) {
			over = append(over, one)
			continue
		}
		text, err := o.sets.make(ctx, one.signal, s, audiences)
		if err != nil {
			return err
		}
		sets[hexOf(one.Signal)] = text
	}
	if len(over) == 0 {
		return nil
	}
	now := o.Now()
	return o.Store.Update(ctx, func(tx store.Tx) error {
		for _, one := range over {
			why := NotAsked
			if one.lost {
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
	parked := ""
	err := o.Store.Update(ctx, func(tx store.Tx) error {
		parked = ""
		var tries map[store.ID]int
		if len(refused) > 0 {
			given, err := tx.DueReceipts(s.ID, now, MostSets)
			if err != nil {
				return err
			}
			tries = map[store.ID]int{}
			for _, r := range given {
				tries[r.Signal] = r.Tries + 1
			}
		}
		for _, jti := range acks {
			if id, ok := parseID(jti); ok {
				if err := tx.Deliver(s.ID, id, now, ""); err != nil {
					return err
				}
			}
		}
		for jti, why := range refused {
			id, ok := parseID(jti)
			if !ok {
				continue
			}
			f := Failure{Why: Rejected}
			if slices.Contains(codes, why.Code) {
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
			if err := park(tx, s.ID, parked, now); err != nil {
				return err
			}
		}
		if len(acks) == 0 {
			return nil
		}
		w, err := tx.Work(s.ID)
		if err != nil {
			return err
		}
		w.Heard = now
		return tx.SaveWork(w)
	})
	if err == nil && parked != "" {
		if o.Observed != nil {
			o.Observed(s.Name, "parked")
		}
		o.Log.Error("a service is parked: it refuses a signal", "service", s.Name, "why", parked)
	}
	for range acks {
		if err == nil && o.Observed != nil {
			o.Observed(s.Name, "delivered")
		}
	}
	return err
}

// Applied keeps since when a service acts on signals. A moment that is not
// between the service's registration and now is taken for now.
func (o *Outbox) Applied(ctx context.Context, s store.Service, at map[string]time.Time) error {
	now := o.Now()
	return o.Store.Update(ctx, func(tx store.Tx) error {
		for jti, when := range at {
			id, ok := parseID(jti)
			if !ok {
				continue
			}
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
