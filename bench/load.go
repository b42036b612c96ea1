package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// atOnce is how many clients work at the same time, as in the figures of the
// servers this one is held against.
const atOnce = 16

// rate is the outcome of one run.
type rate struct {
	perSecond float64
	serverCPU time.Duration // for each
	server    float64       // share of its core
	load      float64       // share of the generator's
}

// step is one client's next piece of work; who is the client's number, n
// counts its pieces.
type step func(c *conn, who, n int) error

// fleet is the clients of a run with their connections.
type fleet struct{ conns []*conn }

func newFleet(address string, n int) (*fleet, error) {
	f := &fleet{}
	for range n {
		c, err := dial(address)
		if err != nil {
			f.close()
			return nil, err
		}
		f.conns = append(f.conns, c)
	}
	return f, nil
}

func (f *fleet) close() {
	for _, c := range f.conns {
		c.close()
	}
}

// run lets all clients repeat a step until the context ends, and returns how
// many steps were done.
func (f *fleet) run(ctx context.Context, do step) (int64, error) {
	var done atomic.Int64
	var all sync.WaitGroup
	failed := make([]error, len(f.conns))
	for who, c := range f.conns {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := do(c, who, n); err != nil {
					failed[who] = err
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	return done.Load(), errors.Join(failed...)
}

// warmUp is what goes before each first run: connections and caches.
const warmUp = 300 * time.Millisecond

// measure runs a step several times and returns the run in the middle.
func (b *bench) measure(do step) (rate, error) {
	f, err := newFleet(b.server.address, atOnce)
	if err != nil {
		return rate{}, err
	}
	defer f.close()
	if _, err := b.once(f, do, warmUp); err != nil {
		return rate{}, err
	}
	runs := make([]rate, b.runs)
	for i := range runs {
		if runs[i], err = b.once(f, do, b.seconds); err != nil {
			return rate{}, err
		}
		fmt.Fprintf(b.log, "bench: %.0f/s, server %.2f ms each\n", runs[i].perSecond, ms(runs[i].serverCPU))
	}
	slices.SortFunc(runs, func(x, y rate) int { return int(x.perSecond - y.perSecond) })
	return runs[len(runs)/2], nil
}

func (b *bench) once(f *fleet, do step, d time.Duration) (rate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	server, err := b.server.cpu()
	if err != nil {
		return rate{}, err
	}
	load, err := cpuOf(os.Getpid())
	if err != nil {
		return rate{}, err
	}
	began := time.Now()
	n, err := f.run(ctx, do)
	if err != nil {
		return rate{}, err
	}
	took := time.Since(began)
	server2, err := b.server.cpu()
	if err != nil {
		return rate{}, err
	}
	load2, err := cpuOf(os.Getpid())
	if err != nil || n == 0 {
		return rate{}, errors.Join(err, fmt.Errorf("%d done in %s", n, took))
	}
	return rate{
		perSecond: float64(n) / took.Seconds(), serverCPU: (server2 - server) / time.Duration(n),
		server: (server2 - server).Seconds() / took.Seconds(), load: (load2 - load).Seconds() / took.Seconds(),
	}, nil
}
