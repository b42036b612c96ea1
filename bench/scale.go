package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store/postgres/pgtest"
)

// scaled is how many accounts sign in, refresh and are checked at each of the
// account servers that are held against each other.
const scaled = 64 * atOnce

// partScale holds three nodes on one PostgreSQL against one on it and one on an
// embedded store, all in one run: rates, and what each call costs in processor
// time of the nodes and of the database, and in round trips. Nodes and database
// share both cores, the load has one of them.
func (b *bench) partScale() (err error) {
	if err := b.scaledTo("one node, SQLite", 1, nil); err != nil {
		return err
	}
	var c *pgtest.Cluster
	if err := b.cores.unpinned(func() (err error) { c, err = database(); return err }); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	if err := b.scaledTo("one node, PostgreSQL", 1, c); err != nil {
		return err
	}
	return b.scaledTo("three nodes, PostgreSQL", nodeCount, c)
}

// used is what nodes and their database have used up to a moment.
type used struct {
	at                time.Time
	nodes, database   time.Duration
	trips, statements float64
	retries           float64 // transactions that were run again
}

func (u used) since(before used) used {
	return used{nodes: u.nodes - before.nodes, database: u.database - before.database, trips: u.trips - before.trips, statements: u.statements - before.statements, retries: u.retries - before.retries}
}

// cost is what one call costs, and how many there were in a second.
type cost struct {
	perSecond         float64
	nodes, database   float64 // ms
	trips, statements float64
	retries           float64
}

// scaledTo measures an account server of some nodes. A nil database is an
// embedded store.
func (b *bench) scaledTo(of string, count int, c *pgtest.Cluster) (err error) {
	store := ""
	if c != nil {
		name, err := c.Database()
		if err != nil {
			return err
		}
		store = c.URL(name)
	}
	fmt.Fprintf(b.log, "bench: %s\n", of)
	var n *nodes
	if err := b.cores.unpinned(func() (err error) {
		n, err = b.startNodes(strings.ReplaceAll(of, " ", "-"), store, count, cores{})
		return err
	}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	f := &fleet{}
	defer f.close()
	for i := range atOnce {
		one, err := dial(n.all[i%count].address)
		if err != nil {
			return err
		}
		one.public = n.public
		f.conns = append(f.conns, one)
	}
	people := make([]*person, scaled)
	if err := f.each(func(c *conn, who int) error {
		for i := who; i < scaled; i += atOnce {
			p, err := signUp(c, i)
			if err != nil {
				return err
			}
			people[i] = p
		}
		return nil
	}); err != nil {
		return err
	}
	mine := func(who, n int) *person { return people[(n*atOnce+who)%scaled] }
	idle, err := n.idle(c)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		what  string
		trips float64 // at most
		do    step
	}{
		{"sign-in", 3, func(c *conn, who, n int) error { return mine(who, n).signIn(c) }},
		{"refresh", 1, func(c *conn, who, n int) error { return mine(who, n).refresh(c) }},
		{"token check", 0, func(c *conn, who, n int) error { return mine(who, n).whoAmI(c) }},
	} {
		got, err := b.costs(n, c, f, m.do, idle)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", of, m.what, err)
		}
		b.rows = append(b.rows, row{
			What: of + ": " + m.what + ", 16 at once", Wanted: "said", Measured: got.perSecond, Unit: "/s", Good: got.perSecond > 0,
			Note: fmt.Sprintf("processor time of one: %.2f ms of the nodes, %.2f ms of the database", got.nodes, got.database),
		})
		if c == nil {
			continue
		}
		b.rows = append(b.rows, row{
			What: of + ": round trips of one " + m.what, Wanted: fmt.Sprintf("%.0f or fewer", m.trips), Measured: got.trips, Unit: "", Good: got.trips <= m.trips+0.05,
			Note: fmt.Sprintf("%.1f statements, BEGIN and COMMIT among them; %.2f transactions run again; what the nodes ask by themselves (%.0f round trips a second) is taken off", got.statements, got.retries, idle.trips),
		})
	}
	return nil
}

// each lets every connection do something, all at once.
func (f *fleet) each(do func(c *conn, who int) error) error {
	failed := make(chan error, len(f.conns))
	for who, c := range f.conns {
		go func() { failed <- do(c, who) }()
	}
	var all []error
	for range f.conns {
		all = append(all, <-failed)
	}
	return errors.Join(all...)
}

// idle is what a second costs in which nothing is asked: nodes look for each
// other's changes.
func (n *nodes) idle(c *pgtest.Cluster) (used, error) {
	const quiet = 3 * time.Second
	time.Sleep(time.Second) // what the sign-ups have left to do
	before, err := n.used(c)
	if err != nil {
		return used{}, err
	}
	time.Sleep(quiet)
	after, err := n.used(c)
	if err != nil {
		return used{}, err
	}
	d, seconds := after.since(before), after.at.Sub(before.at).Seconds()
	return used{
		nodes: time.Duration(float64(d.nodes) / seconds), database: time.Duration(float64(d.database) / seconds),
		trips: d.trips / seconds, statements: d.statements / seconds, retries: d.retries / seconds,
	}, nil
}

// costs runs a step several times and returns the run in the middle.
func (b *bench) costs(n *nodes, c *pgtest.Cluster, f *fleet, do step, idle used) (cost, error) {
	runs := make([]cost, b.runs)
	for i := -1; i < b.runs; i++ {
		length := b.seconds
		if i < 0 {
			length = warmUp
		}
		before, err := n.used(c)
		if err != nil {
			return cost{}, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), length)
		done, err := f.run(ctx, do)
		cancel()
		if err != nil {
			return cost{}, err
		}
		after, err := n.used(c)
		if err != nil {
			return cost{}, err
		}
		if i < 0 {
			continue
		}
		if done == 0 {
			return cost{}, fmt.Errorf("none was done in %s", length)
		}
		d, seconds, each := after.since(before), after.at.Sub(before.at).Seconds(), float64(done)
		runs[i] = cost{
			perSecond: each / seconds,
			nodes:     ms(d.nodes) / each, database: ms(d.database) / each,
			trips: max(0, d.trips-seconds*idle.trips) / each, statements: max(0, d.statements-seconds*idle.statements) / each,
			retries: max(0, d.retries-seconds*idle.retries) / each,
		}
		fmt.Fprintf(b.log, "bench: %.0f/s, nodes %.2f ms, database %.2f ms, %.2f round trips each, %.2f run again\n", runs[i].perSecond, runs[i].nodes, runs[i].database, runs[i].trips, runs[i].retries)
	}
	slices.SortFunc(runs, func(x, y cost) int { return int(x.perSecond - y.perSecond) })
	return runs[len(runs)/2], nil
}

// used reads what nodes and database have used.
func (n *nodes) used(c *pgtest.Cluster) (u used, err error) {
	if u.nodes, err = n.cpu(); err != nil {
		return u, err
	}
	u.at = time.Now()
	if c == nil {
		return u, nil
	}
	if u.database, err = cpuBelow(c.Pid()); err != nil {
		return u, err
	}
	for _, one := range n.all {
		if err := one.sent(&u); err != nil {
			return u, err
		}
	}
	return u, nil
}

// sent adds what a node has sent to the store, by its own count.
func (one *node) sent(u *used) error {
	a, err := one.operator.Get("http://operator" + api.AdminMetrics)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", api.AdminMetrics, a.StatusCode)
	}
	found := 0
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		to := map[string]*float64{"readmit_store_round_trips_total": &u.trips, "readmit_store_statements_total": &u.statements, "readmit_store_retries_total": &u.retries}[name]
		if to == nil {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return err
		}
		*to += v
		found++
	}
	if found != 3 {
		return errors.Join(errors.New("the metrics do not tell what was sent to the store"), lines.Err())
	}
	return nil
}

// cpuBelow is the processor time of a process and of all below it, those that
// have ended among them.
func cpuBelow(pid int) (time.Duration, error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	type process struct {
		parent int
		ticks  int64
	}
	seen := map[int]process{}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended: whom it belonged to counts it
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		field := strings.Fields(rest)
		if len(field) < 15 {
			return 0, fmt.Errorf("%s has %d fields", path, len(field))
		}
		var p process
		p.parent, _ = strconv.Atoi(field[1])
		for _, f := range field[11:15] { // user, kernel, and both of the children that were waited for
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			p.ticks += n
		}
		seen[id] = p
	}
	if _, lives := seen[pid]; !lives {
		return 0, fmt.Errorf("there is no process %d", pid)
	}
	var sum int64
	for id, p := range seen {
		for at := id; at > 1; at = seen[at].parent {
			if at == pid {
				sum += p.ticks
				break
			}
		}
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
