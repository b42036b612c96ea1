package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// upgrade takes three nodes of the version before to this one, one after the
// other, while people use them: nothing acknowledged is lost, nobody is refused
// for it, and while both versions run, what changes at one ends at the other.
func (t *torture) upgrade(ctx context.Context, before string) (string, error) {
	if before == fromHistory {
		dir, err := os.MkdirTemp("", "readmit-torture-*")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(dir)
		if before, err = previous(ctx, dir); errors.Is(err, errNoHistory) {
			return "left out: " + err.Error(), nil
		} else if err != nil {
			return "", err
		}
	}
	before, err := filepath.Abs(before)
	if err == nil {
		_, err = os.Stat(before)
	}
	if err != nil {
		return "", fmt.Errorf("-previous names a program of the version before: %w", err)
	}
	f, end, err := newFleetAlone(before)
	if err != nil {
		return "", err
	}
	defer end()
	if err := f.start(ctx); err != nil {
		return "", fmt.Errorf("the version before: %w", err)
	}
	shop, err := f.openShop(ctx, before)
	if err != nil {
		return "", err
	}
	defer shop.close()
	c := newCrowd(f)
	moved := newCrowd(f) // of whom things change here and there
	moved.name = "moved"
	if err := c.until(ctx, 2*time.Second); err != nil {
		return "", err
	}
	var worst time.Duration
	for i, n := range f.nodes {
		acting, stop := context.WithCancel(ctx)
		ended := c.act(acting, load)
		time.Sleep(300 * time.Millisecond)
		err := n.replace(ctx, t.binary)
		time.Sleep(time.Second)
		stop()
		if err := errors.Join(err, <-ended); err != nil {
			return "", fmt.Errorf("node %d: %w", i+1, err)
		}
		if err := c.verify(ctx, 50); err != nil {
			return "", fmt.Errorf("with %d nodes of this version: %w", i+1, err)
		}
		if i+1 == len(f.nodes) {
			break
		}
		// The first runs this version, the last the one before.
		for _, way := range [][2]*server{{f.nodes[0], f.nodes[nodeCount-1]}, {f.nodes[nodeCount-1], f.nodes[0]}} {
			took, err := moved.across(ctx, f, shop, way[0], way[1])
			if err != nil {
				return "", fmt.Errorf("with %d nodes of this version: %w", i+1, err)
			}
			worst = max(worst, took)
		}
	}
	if err := c.verify(ctx, len(c.people)); err != nil {
		return "", fmt.Errorf("at the end: %w", err)
	}
	return fmt.Sprintf("3 nodes, one after the other: while both versions ran, a change at one was refused at the other and at a service after %d ms at most; %d calls were answered \"cannot work now\", none refused; nothing acknowledged was lost: %s",
		worst.Milliseconds(), c.unavailable.Load(), c), nil
}

// replace ends a node as an operator does, and starts another program in its
// place.
func (s *server) replace(ctx context.Context, binary string) error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	s.process.Wait()
	s.process, s.binary = nil, binary
	http.DefaultClient.CloseIdleConnections()
	return s.start(ctx)
}

// across makes changes of all kinds that end tokens at one node, where a service
// polls meanwhile, and returns how long the service or another node took them at
// the most.
func (c *crowd) across(ctx context.Context, f *fleet, s *shop, from, to *server) (worst time.Duration, err error) {
	f.front.only(from.address)
	defer f.lead(f.nodes)
	for _, kind := range []string{ofPassword, ofRemoval, ofDisable, ofSignOut} {
		p, err := c.concern(ctx, kind, s.url())
		if err != nil {
			return 0, fmt.Errorf("before a %s: %w", kind, err)
		}
		if err := errors.Join(taken(ctx, p, "the other version", to.show), taken(ctx, p, "the service", s.show)); err != nil {
			return 0, err
		}
		if err := p.makeChange(ctx, from); err != nil {
			return 0, fmt.Errorf("a %s: %w", kind, err)
		}
		changed := time.Now()
		for at, show := range map[string]func(context.Context, *concerned) (int, string, error){"the other version": to.show, "the service": s.show} {
			took, err := untilRefused(ctx, p, at, show, changed)
			if err != nil {
				return 0, err
			}
			worst = max(worst, took)
		}
	}
	return worst, nil
}

// untilRefused shows a token of before a change until it is refused.
func untilRefused(ctx context.Context, p *concerned, at string, show func(context.Context, *concerned) (int, string, error), changed time.Time) (time.Duration, error) {
	for {
		status, why, err := show(ctx, p)
		took := time.Since(changed)
		switch {
		case err != nil:
			return 0, err
		case status == http.StatusUnauthorized:
			return took, nil
		case took > back:
			return 0, fmt.Errorf("%w: %s answers a token of before a %s with %d %s", errWrong, at, p.kind, status, why)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
