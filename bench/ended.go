package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"readmit.dev/readmit/resident"
)

const (
	// devicesEnded is how many devices' tokens end within one second.
	devicesEnded = 10_000
	// away is how long the server is not there, from before that second on.
	away = 2 * time.Minute
	// drained is in what time all of them must have a token again.
	drained = 30 * time.Second
)

// returns is when a device asks again after the server came back, by the rule of
// the agent: it has asked in vain since its token ended.
func returns() time.Duration {
	at := rand.N(time.Second)
	for tries := 0; at < away; tries++ {
		at += resident.Pause(tries)
	}
	return at - away
}

// partEnded lets the tokens of 10,000 devices end within one second while the
// server is away, and measures their return. Each opens a connection, asks for a
// nonce and refreshes, as the agent does. The server is one of its own: where
// strangers have failed before, it lets nobody sign up by their counters for a while.
func (b *bench) partEnded() (err error) {
	s, _, err := launch(b.binary, filepath.Join(b.data, "ended"), b.cores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	all, err := signUps(s.address, devicesEnded)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var took []time.Duration
	var last time.Duration
	var failed []error
	var done sync.WaitGroup
	had, waited, err := s.shares()
	if err != nil {
		return err
	}
	began := time.Now()
	for _, p := range all {
		wait := returns()
		done.Go(func() {
			time.Sleep(wait)
			d, err := p.comeBack(s.address)
			mu.Lock()
			defer mu.Unlock()
			took, last = append(took, d), time.Since(began)
			if err != nil {
				failed = append(failed, err)
			}
		})
	}
	done.Wait()
	hadAll, waitedAll, err := s.shares()
	if err != nil {
		return err
	}
	had, waited = hadAll-had, waitedAll-waited
	slices.Sort(took)
	note := fmt.Sprintf("median %.1f ms, worst %.0f ms; %d of %d failed; the server had %.1f s of a core and was ready without one for %.1f s",
		ms(took[len(took)/2]), ms(took[len(took)-1]), len(failed), len(all), had.Seconds(), waited.Seconds())
	b.below("10,000 devices come back: a refresh, 99 %", 250, ms(took[len(took)*99/100]), "ms", note)
	b.below("10,000 devices come back: until the last", drained.Seconds(), last.Seconds(), "s", "their tokens ended within one second while the server was away")
	return errors.Join(failed[:min(3, len(failed))]...)
}

// comeBack refreshes as the agent does, and says how long the account server's
// answer took.
func (p *person) comeBack(address string) (time.Duration, error) {
	c, err := dial(address)
	if err != nil {
		return 0, err
	}
	defer c.close()
	began := time.Now()
	err = p.refresh(c)
	return time.Since(began), err
}

// signUps makes n people.
func signUps(address string, n int) ([]*person, error) {
	all := make([]*person, n)
	f, err := newFleet(address, atOnce)
	if err != nil {
		return nil, err
	}
	defer f.close()
	failed := make([]error, atOnce)
	var done sync.WaitGroup
	for who, c := range f.conns {
		done.Go(func() {
			for i := who; i < n && failed[who] == nil; i += atOnce {
				all[i], failed[who] = signUp(c, i)
			}
		})
	}
	done.Wait()
	return all, errors.Join(failed...)
}
