package signal

import (
	"context"
	"errors"
	"slices"
	"time"

	"readmit.dev/readmit/store"
)

// State is a service with what waits for it.
type State struct {
	store.Service
	Heard   time.Time // when it last took a signal
	Waiting int
	Oldest  time.Time
}

// List returns all services, by name.
func (o *Outbox) List(ctx context.Context) (list []State, err error) {
	err = o.Store.View(ctx, func(tx store.Tx) error {
		list, err = states(tx)
		return err
	})
	return list, err
}

func states(tx store.Tx) (list []State, err error) {
	all, err := tx.Services()
	if err != nil {
		return nil, err
	}
	backlogs, err := tx.Backlogs()
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		w, err := tx.Work(s.ID)
		if err != nil {
			return nil, err
		}
		n := State{Service: s, Heard: w.Heard}
		for _, b := range backlogs {
			if b.Service == s.ID {
				n.Waiting, n.Oldest = b.Waiting, b.Oldest
			}
		}
		list = append(list, n)
	}
	return list, nil
}

// lookedThrough is how many of the newest signals are looked through for one
// that was applied.
const lookedThrough = 4096

// Standing is how a service stands, for who runs the account server.
type Standing struct {
	State
	// Applied is when it last said that it acts on a change: zero where it never
	// did, or not of the last few thousand changes made before it last took one.
	Applied time.Time
	First   store.Receipt // the oldest that waits, where any does
	Account string        // the identifier of the account of First; empty where there is none, or none any more
}

// Show tells how one service stands. It returns ErrNoService where there is none
// of this name.
func (o *Outbox) Show(ctx context.Context, name string) (out Standing, err error) {
	err = o.Store.View(ctx, func(tx store.Tx) error {
		out = Standing{}
		list, err := states(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(s State) bool { return s.Name == name })
		if i < 0 {
			return ErrNoService
		}
		out.State = list[i]
		if out.Applied, err = tx.LastApplied(out.ID, out.Heard, lookedThrough); err != nil || out.Waiting == 0 {
			return err
		}
		if out.First, err = tx.LongestWaiting(out.ID); err != nil {
			return err
		}
		a, err := tx.Subject(out.First.Account)
		if errors.Is(err, store.ErrNotFound) || a.Ghost {
			return nil
		}
		out.Account = a.Identifier
		return err
	})
	return out, err
}
