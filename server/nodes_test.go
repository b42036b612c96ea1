package server_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store/postgres"
	"readmit.dev/readmit/store/postgres/pgtest"
)

// newNode is a world on a store that others share.
func newNode(t *testing.T, address string, clock *clock) (*world, *postgres.Store) {
	t.Helper()
	ctx := context.Background()
	kept, err := postgres.Open(ctx, postgres.Config{Address: address, Connections: 4})
	must(t, err)
	t.Cleanup(func() { kept.Close() })
	w := &world{t: t, stretches: newStretches(), dir: t.TempDir(), clock: clock, logs: &logBuffer{}, errors: &logBuffer{}, post: &postbox{}}
	w.store = &faulty{Store: kept}
	w.keys, err = keys.OpenShared(ctx, w.store, make([]byte, 32), clock.now)
	must(t, err)
	w.server, err = server.New(ctx, server.Options{
		URL: publicURL, Open: true, Shared: true, Store: w.store, Copied: kept, Keys: w.keys, Gate: gate.New(clock.now), Senders: w.post.senders(),
		Log: slog.New(slog.NewTextHandler(w.logs, nil)),
	})
	must(t, err)
	w.public, w.admin = w.server.Handler(), w.server.AdminHandler()
	return w, kept
}

// What a message costs in round trips to the database, as a client sends it.
func TestRoundTripsOfMessages(t *testing.T) {
	pg, err := pgtest.Start()
	must(t, err)
	defer pg.Stop()
	name, err := pg.Database()
	must(t, err)
	clock := &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	one, kept := newNode(t, pg.URL(name), clock)
	two, other := newNode(t, pg.URL(name), clock)
	laptop := one.enrolled(jane, "laptop")

	trips := func(do func()) int64 {
		t.Helper()
		total := func() int64 {
			a, _, _ := kept.Counts()
			b, _, _ := other.Counts()
			return a + b
		}
		do() // prepares the statements of each connection
		do()
		before := total()
		do()
		return total() - before
	}
	well := func(p *api.Problem) {
		t.Helper()
		if p != nil {
			t.Fatal(p)
		}
	}
	// At a node that has just read what has changed: none of these follows.
	three, alone := newNode(t, pg.URL(name), clock)
	laptop.w = three
	before, _, _ := alone.Counts()
	_, p := laptop.whoAmI()
	well(p)
	if after, _, _ := alone.Counts(); after != before {
		t.Errorf("check of an access token: %d round trips, want none", after-before)
	}
	laptop.w = one
	for _, c := range []struct {
		what string
		want int64
		do   func()
	}{
		{"sign-in on an enrolled device", 3, func() {
			_, p := laptop.signIn(jane, password)
			well(p)
		}},
		{"sign-in begun at one node, finished at another", 4, func() {
			try, p := laptop.start(jane, password)
			well(p)
			laptop.w = two
			_, p = try.finish()
			laptop.w = one
			well(p)
		}},
		{"refresh", 1, func() { well(laptop.refresh()) }},
		{"wrong password of a stranger", 5, func() { one.machine("stranger").fail(jane) }},
		{"name without an account", 5, func() { one.machine("stranger").fail("nobody@example.org") }},
	} {
		if got := trips(c.do); got != c.want {
			t.Errorf("%s: %d round trips, want %d", c.what, got, c.want)
		} else {
			t.Logf("%s: %d round trips", c.what, got)
		}
	}
}
