package sqlite

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/internal/sqltx"
)

// maxGroup is how many changes share one commit at most: beyond it, the fsync
// is no longer what a change costs, and the last would wait for the first.
const maxGroup = 64

// retry is how long the writer leaves a failing disk alone: soon enough to be
// ready when the disk is, and few enough tries not to add to its trouble.
const retry = 500 * time.Millisecond

// job is one Update on its way to the writer.
type job struct {
	f     func(store.Tx) error
	taken atomic.Bool // by the writer, or by a caller who gave up before
	err   error
	done  chan struct{} // closed when err says the outcome
}

func (j *job) answer(err error) {
	j.err = err
	close(j.done)
}

// Update runs f in the next group. A context that ends before f was begun
// makes Update return its error, and f does not run; after that the outcome is
// waited for, as the change may already be durable.
func (s *Store) Update(ctx context.Context, f func(store.Tx) error) error {
	if !s.isOpen() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{f: f, done: make(chan struct{})}
	select {
	case s.jobs <- j:
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
	case <-s.done:
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		select {
		case <-j.done:
		case <-s.done:
		}
	}
	select {
	case <-j.done:
		return j.err
	default: // the writer stopped before this one's turn
		return errClosed
	}
}

// Mark is Update: there is one writer, and nothing to gain.
func (s *Store) Mark(ctx context.Context, f func(store.Tx) error) error { return s.Update(ctx, f) }

// write is the writer: it takes what waits, runs it as one transaction, and
// answers when that is durable.
func (s *Store) write() {
	defer close(s.done)
	group := make([]*job, 0, maxGroup)
	for {
		select {
		case <-s.closing:
			return
		case j := <-s.jobs:
			group = s.gather(group[:0], j)
		}
		outcomes, err := s.commit(group)
		// Also after a fault: whether it happened is not known.
		if len(s.changed) > 0 {
			s.changes.Note(s.changed...)
			s.changed = s.changed[:0]
		}
		if err != nil {
			// Before anybody is told: see reconnect.
			s.reconnect()
		}
		for i, j := range group {
			if err != nil {
				j.answer(s.fault(err))
			} else {
				j.answer(outcomes[i])
			}
		}
		for s.writer == nil {
			if !s.refuse(err, retry) {
				return
			}
			s.reconnect()
		}
	}
}

// turns is how often others are let go first before a group is closed. Most of
// who was answered a moment ago is back after one; three make 2 % more sign-ins.
const turns = 3

// gather takes what waits beside the first, and what comes while there is
// something else for the processor to do. As during the fsync there often is
// nothing, fewer of them are more work done.
func (s *Store) gather(group []*job, j *job) []*job {
	given := 0
	for {
		if j.taken.CompareAndSwap(false, true) {
			group = append(group, j)
		}
		if len(group) == maxGroup {
			return group
		}
		select {
		case j = <-s.jobs:
			continue
		default:
		}
		if given == turns {
			return group
		}
		given++
		if !s.turn.give() {
			given = turns
		}
		select {
		case j = <-s.jobs:
		default:
			return group
		}
	}
}

// commit runs a group as one transaction and returns each function's outcome,
// or the fault for which there is none: then nothing of the group is kept.
//
// Outcomes are told after the commit only, those of functions that failed too:
// they have seen what the others wrote, and it is true only once it is kept.
func (s *Store) commit(group []*job) ([]error, error) {
	outcomes, err := s.run(group, false)
	if errors.Is(err, errAgain) {
		outcomes, err = s.run(group, true)
	}
	return outcomes, err
}

// errAgain: a function failed after it had written.
var errAgain = errors.New("run again with savepoints")

// run runs a group once. Without savepoints, which cost each function two
// statements, what a failing function wrote can be undone only with the whole
// group; with them the group goes on without it. So a group runs at most twice,
// however many of it fail.
func (s *Store) run(group []*job, savepoints bool) (outcomes []error, fault error) {
	w := s.writer
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return nil, err
	}
	defer func() {
		if fault != nil {
			s.memory.Forget()
			w.exec("ROLLBACK")
		}
	}()
	outcomes = make([]error, len(group))
	for i, j := range group {
		if savepoints {
			if err := w.exec("SAVEPOINT f"); err != nil {
				return nil, err
			}
		}
		t := sqltx.New(w.queries, tell)
		t.Memory = &s.memory
		outcomes[i] = sqltx.Protect(j.f, t)
		s.changed = append(s.changed, t.Changed...)
		if t.Fault != nil {
			return nil, t.Fault
		}
		if outcomes[i] != nil && t.Wrote {
			if !savepoints {
				return nil, errAgain
			}
			s.memory.Forget()
			if err := w.exec("ROLLBACK TO f"); err != nil {
				return nil, err
			}
		}
		if savepoints {
			if err := w.exec("RELEASE f"); err != nil {
				return nil, err
			}
		}
	}
	if s.faults.commit.Load() {
		return nil, errInjected
	}
	return outcomes, w.exec("COMMIT")
}

var errInjected = errors.New("a commit failed, as a test wished")

// reconnect replaces the writer's connection after a fault, and leaves none
// where the disk does not take a commit.
//
// After a failed fsync the kernel may have dropped what it could not write and
// say "fine" to the next one, so neither the connection's pages nor a retry of
// its commit are believed. Its frames lie in the WAL behind the last good
// commit, and readers do not see them, because the WAL's index never learned
// of them. But a process that is killed now would, when it recovers, find them
// whole and take them for committed. So a small commit is made at once, by a
// new connection that holds nothing: it begins where the last good commit
// ended and so overwrites the first of them, and those behind no longer match
// the running checksum. Only then are the failed group's callers told, and
// only once such a commit was synced does the next group run.
//
// A machine that loses power while its disk fails both times can still come
// back with the whole group, or without it, as it likes; never with a part.
// That is what "unavailable" means: until the store is ready again, whether it
// happened is not known.
//
// A failed checkpoint needs nothing: its frames stay in the WAL, synced, and
// the next checkpoint writes all of their pages again.
func (s *Store) reconnect() {
	if s.writer != nil {
		s.writer.close()
		s.writer = nil
	}
	w, err := s.connect(false)
	if err != nil {
		return
	}
	s.writer = w
	outcomes, err := s.run([]*job{{f: touch}}, false)
	if err == nil {
		err = outcomes[0]
	}
	if err != nil {
		w.close()
		s.writer = nil
	}
}

// refuse answers what comes until the time is over; false when the store is
// being closed.
func (s *Store) refuse(err error, d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	for {
		select {
		case j := <-s.jobs:
			if j.taken.CompareAndSwap(false, true) {
				j.answer(s.fault(err))
			}
		case <-wait.C:
			return true
		case <-s.closing:
			return false
		}
	}
}
