// Torture kills, fills and breaks the disk under the built account server while
// people use it, and sees afterwards that everything acknowledged is there:
// sign-ups, enrolments, counters, password changes, ended sessions.
//
//	kill    kill -9 at a random moment, start again, look; many times
//	full    a data folder on a small file system that runs full
//	fsync   every fsync and fdatasync fails from some moment on (strace)
//	history kill -9 while accounts have histories, which must have an order
//	failover kill -9 the database under three nodes, and promote its standby,
//	        while tokens end that nodes and a service are shown
//	nodes   kill -9 nodes while people sign in; accounts have histories while
//	        nodes are killed and stopped and the database is lost
//	halted  SIGSTOP of a node and a service, changes elsewhere, SIGCONT
//	upgrade from the version before, node by node, where -previous names one, or
//	        says history and the clone has it
//	answer  kill -9 a device between the server's answer and its writing down
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	binary := flags.String("readmit", "bin/readmit", "the built program")
	rounds := flags.Int("rounds", 100, "how often to kill; devices twice as often")
	told := flags.Int("histories", 1000, "how many accounts have a history")
	failovers := flags.Int("failovers", 5, "how often to lose the database")
	signIns := flags.Int("sign-ins", 10_000, "how many sign-ins while nodes are killed")
	halts := flags.Int("halts", 10, "how often to stop a node and a service")
	previous := flags.String("previous", "", "a `program` of the version before, for the part upgrade; history: built from the clone's")
	only := flags.String("only", "", "only the part of this `name`")
	if flags.Parse(args) != nil {
		return 2
	}
	path, err := filepath.Abs(*binary)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Fprintln(stderr, "torture: build first (make build):", err)
		return 1
	}
	t := &torture{binary: path, stdout: stdout, stderr: stderr}
	failed := 0
	parts := []struct {
		name string
		run  func(context.Context) (string, error)
	}{
		{"kill", func(ctx context.Context) (string, error) { return t.kill(ctx, *rounds) }},
		{"full", t.full},
		{"fsync", t.fsync},
		{"history", func(ctx context.Context) (string, error) { return t.history(ctx, *told) }},
		{"failover", func(ctx context.Context) (string, error) { return t.failover(ctx, *failovers) }},
		{"nodes", func(ctx context.Context) (string, error) { return t.nodesKilled(ctx, *signIns, *told) }},
		{"halted", func(ctx context.Context) (string, error) { return t.halted(ctx, *halts) }},
		{"upgrade", func(ctx context.Context) (string, error) { return t.upgrade(ctx, *previous) }},
		{"answer", func(ctx context.Context) (string, error) { return t.answers(ctx, 2**rounds) }},
	}
	var names []string
	for _, part := range parts {
		names = append(names, part.name)
	}
	if *only != "" && !slices.Contains(names, *only) {
		fmt.Fprintf(stderr, "torture: there is no part %q; -only takes one of %s\n", *only, strings.Join(names, ", "))
		return 2
	}
	for _, part := range parts {
		if *only != "" && *only != part.name || part.name == "upgrade" && *previous == "" && *only == "" {
			continue
		}
		began := time.Now()
		text, err := part.run(ctx)
		if err != nil {
			failed++
			text = "FAILED: " + err.Error()
		}
		fmt.Fprintf(stdout, "%-8s %s (%.0f s)\n", part.name, text, time.Since(began).Seconds())
	}
	if failed > 0 {
		return 1
	}
	return 0
}

type torture struct {
	binary         string
	stdout, stderr io.Writer
}

// load is how many people act at once.
const load = 8

func (t *torture) kill(ctx context.Context, rounds int) (string, error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(t.binary, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	c := newCrowd(s)
	for round := 1; round <= rounds; round++ {
		if err := s.start(ctx); err != nil {
			return "", fmt.Errorf("round %d: %w", round, err)
		}
		if err := c.verify(ctx, 20); err != nil {
			s.kill()
			return "", fmt.Errorf("round %d: after kill -9: %w", round, err)
		}
		acting, stop := context.WithCancel(ctx)
		ended := c.act(acting, load)
		time.Sleep(time.Duration(50+rand.IntN(350)) * time.Millisecond)
		s.kill()
		stop()
		if err := <-ended; err != nil {
			return "", fmt.Errorf("round %d: %w", round, err)
		}
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if round%10 == 0 && round < rounds {
			fmt.Fprintf(t.stderr, "kill: %d of %d, %s\n", round, rounds, c)
		}
	}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	defer s.kill()
	if err := c.verify(ctx, len(c.people)); err != nil {
		return "", fmt.Errorf("at the end: %w", err)
	}
	return fmt.Sprintf("%d times; nothing acknowledged was lost: %s", rounds, c), nil
}

// full lets the data folder run full. What cannot be kept must not be
// acknowledged, and must not be called a refusal either.
func (t *torture) full(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	disk, err := smallDisk(dir)
	if err != nil {
		return "", err
	}
	defer disk.remove()
	s, err := newServer(t.binary, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	defer s.kill()
	c := newCrowd(s)
	if err := c.until(ctx, 2*time.Second); err != nil {
		return "", err
	}
	if err := disk.fill(); err != nil {
		return "", err
	}
	if err := c.until(ctx, 2*time.Second); err != nil {
		return "", err
	}
	if c.unavailable.Load() == 0 {
		return "", fmt.Errorf("the disk was full and nothing was answered with 5030")
	}
	faults := c.unavailable.Load()
	if err := disk.free(); err != nil {
		return "", err
	}
	if err := s.ready(ctx, 15*time.Second); err != nil {
		return "", fmt.Errorf("with space again: %w", err)
	}
	if err := c.verify(ctx, len(c.people)); err != nil {
		return "", fmt.Errorf("with space again: %w", err)
	}
	s.kill()
	if err := s.start(ctx); err != nil {
		return "", err
	}
	if err := c.verify(ctx, len(c.people)); err != nil {
		return "", fmt.Errorf("after a restart: %w", err)
	}
	return fmt.Sprintf("%s: %d calls were answered \"cannot work now\", none refused; it went on by itself; %s", disk.kind, faults, c), nil
}

// fsync lets every fsync fail from some moment on. The server must say that it
// cannot work, go on by itself when the disk does, and have everything that it
// acknowledged, also when it is killed while the disk still fails.
func (t *torture) fsync(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(t.binary, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	c := newCrowd(s)
	const times = 4
	for i := range times {
		if err := s.start(ctx); err != nil {
			return "", err
		}
		if err := t.failing(ctx, s, c, i%2 == 0); err != nil {
			s.kill()
			return "", err
		}
		s.kill()
		if err := s.start(ctx); err != nil {
			return "", err
		}
		err := c.verify(ctx, len(c.people))
		s.kill()
		if err != nil {
			return "", fmt.Errorf("after failing fsyncs: %w", err)
		}
	}
	return fmt.Sprintf("%d times; %d calls were answered \"cannot work now\", none refused; %s", times, c.unavailable.Load(), c), nil
}

// failing loads the server, lets fsync fail under it, and, where it may
// recover, sees that it does.
func (t *torture) failing(ctx context.Context, s *server, c *crowd, recovers bool) error {
	if err := c.until(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	before := c.unavailable.Load()
	right, err := s.failSyncs()
	if err != nil {
		return err
	}
	defer right()
	if err := c.until(ctx, 1500*time.Millisecond); err != nil {
		return err
	}
	if c.unavailable.Load() == before {
		return errors.New("fsync failed and nothing was answered with 5030")
	}
	if !recovers {
		return nil
	}
	right()
	if err := s.ready(ctx, 15*time.Second); err != nil {
		return fmt.Errorf("with fsync working again: %w", err)
	}
	return c.verify(ctx, len(c.people))
}
