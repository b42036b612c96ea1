package signal

import (
	"context"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/store"
)

// What a receiver does with its own stream (OpenID Shared Signals Framework 1.0,
// §8.1). A registration makes the stream; its receiver may delete it, and make it
// again with the delivery and the audience that were registered.

const (
	mostEvents = 64
	maxEvents  = 4096 // characters of all together
)

// listed is a list of types as a service keeps it: all of them, those too that
// there are not, so that a stream which asks for nothing we have gets nothing.
// No list is all there are.
func listed(events []string) (string, error) {
	text := strings.Join(events, " ")
	bad := func(e string) bool {
		return e == "" || strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r > '~' })
	}
	if len(events) > mostEvents || len(text) > maxEvents || slices.ContainsFunc(events, bad) {
		return "", ErrEvents
	}
	return text, nil
}

// saidByReceiver stands before the reason of a status that a receiver has set:
// by it a stream that its receiver has paused differs from a parked one.
const saidByReceiver = "its receiver: "

// Parked reports whether this server has parked a stream, which then is paused.
func Parked(s store.Service) bool {
	return !s.Parked.IsZero() && s.Status == store.StreamPaused && !strings.HasPrefix(s.Why, saidByReceiver)
}

// ReasonOf is why a stream has its status, as who gave it said.
func ReasonOf(s store.Service) string { return strings.TrimPrefix(s.Why, saidByReceiver) }

// silent is why a service gets nothing, or nil.
func silent(s store.Service) error {
	switch {
	case s.Status == store.StreamDeleted:
		return ErrNoStream
	case s.Status == store.StreamDisabled:
		return ErrDisabled
	case Parked(s):
		return ErrParked
	case s.Status == store.StreamPaused:
		return ErrPaused
	}
	return nil
}

// Silence is a service whose stream is not enabled.
type Silence struct {
	Name   string
	Status string    // of the stream
	Since  time.Time // zero where that was not written down
	Parked bool      // it is this server that has paused it
}

// Silent tells which services get nothing now, by name.
func (o *Outbox) Silent(ctx context.Context) (out []Silence, err error) {
	all, err := o.services(ctx)
	for _, s := range all {
		if silent(s) != nil {
			out = append(out, Silence{s.Name, s.Status, s.Parked, Parked(s)})
		}
	}
	return out, err
}

// onStream is on for a stream that is there.
func (o *Outbox) onStream(ctx context.Context, s store.Service, f func(tx store.Tx, now store.Service) error) error {
	return o.on(ctx, s.Name, func(tx store.Tx, now store.Service) error {
		if now.ID != s.ID {
			return ErrNoService // another one has its name now
		}
		if now.Status == store.StreamDeleted {
			return ErrNoStream
		}
		return f(tx, now)
	})
}

// SetStatus is what a receiver says of its own stream. One that says it is
// enabled is resumed. ErrStatus, ErrNoStream.
func (o *Outbox) SetStatus(ctx context.Context, s store.Service, status, why string) error {
	if status != store.StreamEnabled && status != store.StreamPaused && status != store.StreamDisabled {
		return ErrStatus
	}
	return o.onStream(ctx, s, func(tx store.Tx, now store.Service) error { return o.resume(tx, now, status, why) })
}

// SetStream changes what a receiver may: the types of events it asks for, all
// of them where the list is empty, and its description. ErrEvents, ErrNoStream.
func (o *Outbox) SetStream(ctx context.Context, s store.Service, events []string, about string) (store.Service, error) {
	list, err := listed(events)
	if err != nil {
		return s, err
	}
	err = o.onStream(ctx, s, func(tx store.Tx, now store.Service) error {
		now.Events, now.About = list, about
		s = now
		return tx.SaveService(now)
	})
	return s, err
}

// DeleteStream is a receiver's end of its stream: what waits for it is dropped,
// and nothing is kept for it any more. Its registration stays. ErrNoStream.
func (o *Outbox) DeleteStream(ctx context.Context, s store.Service) error {
	return o.onStream(ctx, s, func(tx store.Tx, now store.Service) error {
		now.Status, now.Why, now.Parked, now.Events, now.About = store.StreamDeleted, "", time.Time{}, "", ""
		if err := tx.SaveService(now); err != nil {
			return err
		}
		return tx.DropWaiting(now.ID)
	})
}

// AddStream makes a stream again that its receiver has deleted. ErrEvents,
// ErrStreamThere.
func (o *Outbox) AddStream(ctx context.Context, s store.Service, events []string, about string) (store.Service, error) {
	list, err := listed(events)
	if err != nil {
		return s, err
	}
	err = o.on(ctx, s.Name, func(tx store.Tx, now store.Service) error {
		if now.ID != s.ID {
			return ErrNoService
		}
		if now.Status != store.StreamDeleted {
			return ErrStreamThere
		}
		now.Status, now.Events, now.About = store.StreamEnabled, list, about
		s = now
		if err := tx.SaveService(now); err != nil {
			return err
		}
		return tx.DropWaiting(now.ID) // what a node of the version before has kept
	})
	return s, err
}

// Verify sends a verification event to a service. Its state comes back in it.
func (o *Outbox) Verify(ctx context.Context, s store.Service, state string) error {
	o.init()
	now := o.Now()
	o.mu.Lock()
	last := o.verified[s.ID]
	soon := now.Sub(last).Abs() < VerifyEvery
	if !soon {
		o.verified[s.ID] = now
	}
	o.mu.Unlock()
	if soon {
		return ErrAsked
	}
	if silent(s) != nil {
		return nil // it would only wait with the rest
	}
	err := o.Store.Update(ctx, func(tx store.Tx) error {
		if err := Verify(tx, s.ID, state, now); err != nil {
			return err
		}
		return tx.Hurry(s.ID, now)
	})
	if err == nil {
		o.shows(s.ID)
		o.Wake()
	}
	return err
}
