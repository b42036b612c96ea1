package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"readmit.dev/readmit/store"
)

// What a client of the history does.
type operation int

const (
	doRaise operation = iota // count up and tell the count before
	doUndo                   // count up, tell the count before, and fail
	doClose                  // finish the attempt that may be finished once
	doRead                   // tell the count, in a View
	operations
)

type outcome struct {
	count  int
	closed bool // by this operation
}

type state struct {
	count  int
	closed bool
}

// model is the store as one sequence of operations, which every concurrent
// history must be equal to.
var model = porcupine.Model{
	Init: func() any { return state{} },
	Step: func(before, input, output any) (bool, any) {
		s, out := before.(state), output.(outcome)
		switch input.(operation) {
		case doRaise:
			return out.count == s.count, state{s.count + 1, s.closed}
		case doClose:
			return out.closed == !s.closed, state{s.count, true}
		default:
			return out.count == s.count, s
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%d: %+v", input, output) },
}

func history(t *testing.T, open Open) {
	s, _ := open(t)
	for round := range 5 {
		a := add(t, s, uint64(10+round))
		e := entry(uint64(round), a.ID, store.RingStrangers, 1)
		update(t, s, func(tx store.Tx) error { return tx.Append(e) })
		const clients, each = 10, 20
		histories := make([][]porcupine.Operation, clients)
		begin := time.Now()
		together(clients, func(client int) {
			for i := range each {
				// Closing late, so that the history has both sides of it.
				op := operation((client + i*3) % int(operations))
				if op == doClose && i < each/2 {
					op = doRead
				}
				call := time.Since(begin).Nanoseconds()
				out, err := perform(s, op, a.ID, e)
				if err != nil {
					t.Errorf("operation %d: %v", op, err)
					return
				}
				histories[client] = append(histories[client], porcupine.Operation{
					ClientId: client, Input: op, Output: out, Call: call, Return: time.Since(begin).Nanoseconds(),
				})
			}
		})
		var all []porcupine.Operation
		for _, h := range histories {
			all = append(all, h...)
		}
		if r := porcupine.CheckOperationsTimeout(model, all, 20*time.Second); r != porcupine.Ok {
			t.Fatalf("round %d: %d operations have no order that explains them: %s", round, len(all), r)
		}
	}
}

func perform(s store.Store, op operation, id store.ID, e store.Entry) (out outcome, err error) {
	ctx := context.Background()
	switch op {
	case doRead:
		err = s.View(ctx, func(tx store.Tx) error {
			a, err := tx.Subject(id)
			out.count = a.Hot.CodeFailures
			return err
		})
	case doClose:
		err = s.Update(ctx, func(tx store.Tx) error { return tx.CloseEntry(e) })
		out.closed = err == nil
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
	default:
		err = s.Update(ctx, func(tx store.Tx) (err error) {
			if out.count, err = raise(tx, id); err == nil && op == doUndo {
				return errMine
			}
			return err
		})
		if op == doUndo && errors.Is(err, errMine) {
			err = nil
		}
	}
	return out, err
}
