package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store/postgres/pgtest"
)

const (
	// changesWanted is how many changes there are in a second, those that are
	// watched beside them, unless another number is asked for.
	changesWanted = 500
	// watchers is how many changes are watched at a time: each until every
	// place has refused.
	watchers = 2
	// look is how long a place is left alone between two looks: what is measured
	// is longer by as much at the most, and the looks are not the load.
	look = 8 * time.Millisecond
	// given is after how long a change that is not refused is an error.
	given = 10 * time.Second
	// nodeCount is how many nodes are beside each other.
	nodeCount = 3
	// changers is how many make the changes that nobody watches.
	changers = 16
)

// place is where a token is shown: a node or a service.
type place struct {
	name     string
	address  string
	audience string // empty: the account server itself
}

// partSpread is one node on a store of its own.
func (b *bench) partSpread() error { return b.spreading("") }

// partNodes is three nodes on one PostgreSQL: the one that was named, or one
// that is made for it and waits for the disk.
func (b *bench) partNodes() (err error) {
	if b.store != "" {
		return b.spreading(b.store)
	}
	c, err := database()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	name, err := c.Database()
	if err != nil {
		return err
	}
	return b.spreading(c.URL(name))
}

// database starts a PostgreSQL that waits for the disk.
func database() (*pgtest.Cluster, error) {
	return pgtest.Start("fsync=on", "synchronous_commit=on", "full_page_writes=on")
}

// spreading makes changes and watches how long each place takes a token from
// before.
func (b *bench) spreading(store string) (err error) {
	name, count := "spread", 1
	if store != "" {
		name, count = "nodes", nodeCount
	}
	n, err := b.startNodes(name, store, count, b.cores)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	service, err := b.buildService()
	if err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		push bool
	}{{"pushed", true}, {"polled-1", false}, {"polled-2", false}} {
		if _, err := n.addService(service, s.name, s.push); err != nil {
			return err
		}
	}
	watched, crowd, err := n.people()
	if err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // tokens from before the services' start are refused anyhow
	places := n.places()
	ctx, cancel := context.WithTimeout(context.Background(), b.watch)
	defer cancel()
	var changes atomic.Int64
	var away unavailable
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed []error
	var seen []observed
	fails := func(err error) {
		if err == nil || ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		failed = append(failed, err)
		cancel()
	}
	busy, err := n.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	share := len(crowd) / changers
	for i := range changers {
		all.Go(func() { fails(n.change(ctx, crowd[i*share:(i+1)*share], i, b.changes, &changes, &away)) })
	}
	for i := range watchers {
		all.Go(func() {
			fails(n.watch(ctx, watched[i], i*len(kinds)/watchers, &changes, &away, func(o observed) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, o)
			}))
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := n.cpu()
	if err != nil {
		return err
	}
	b.spread(store != "", places, seen, float64(changes.Load())/took, (after-busy).Seconds()/took, away.Load())
	return nil
}

func (b *bench) spread(shared bool, places []place, seen []observed, rate, busy float64, away int64) {
	of := "one node, SQLite: "
	if shared {
		of = "three nodes, PostgreSQL: "
	}
	b.rows = append(b.rows, row{
		What: of + "changes", Wanted: fmt.Sprintf("%d/s", b.changes), Measured: rate, Unit: "/s", Good: rate >= float64(b.changes)*0.98,
		Note: fmt.Sprintf("accounts disabled and enabled by the operator, beside those that are watched; all nodes busy %.0f%% of a core; three services; %d answers that a node or service could not tell", 100*busy, away),
	})
	for i, p := range places {
		b.refusals(of+"refused at "+p.name, "changes", seen, func(o observed) bool { return o.place == i })
	}
	for _, k := range kinds {
		where := ", refused everywhere"
		if k == lockedDevice {
			where = ", refused at every node"
		}
		b.refusals(of+k+where, "refusals", seen, func(o observed) bool { return o.kind == k })
	}
	b.refusals(of+"all kinds, everywhere", "refusals", seen, func(observed) bool { return true })
}

// refusals are the two rows of some of what was seen.
func (b *bench) refusals(what, of string, seen []observed, wanted func(observed) bool) {
	var took []time.Duration
	for _, o := range seen {
		if wanted(o) {
			took = append(took, o.took)
		}
	}
	n := len(took)
	if n == 0 {
		b.rows = append(b.rows, row{What: what, Wanted: "some", Unit: of})
		return
	}
	slices.Sort(took)
	b.below(what+", p50", 100, ms(took[rank(n, 50)]), "ms", fmt.Sprintf("%d %s watched, the slowest %.0f ms", n, of, ms(took[n-1])))
	b.below(what+", p99", 1000, ms(took[rank(n, 99)]), "ms", "")
}

// rank is where the nearest-rank percentile stands among n sorted values.
func rank(n, percent int) int { return max((n*percent+99)/100, 1) - 1 }

func (n *nodes) places() []place {
	var all []place
	for i, one := range n.all {
		all = append(all, place{name: fmt.Sprintf("node %d", i+1), address: one.address})
	}
	for _, s := range n.services {
		all = append(all, place{name: s.name, address: s.address, audience: s.audience()})
	}
	return all
}

// people makes those who are watched, and the identifiers of the others.
func (n *nodes) people() (watched []*person, crowd []string, err error) {
	c, err := dial(n.all[0].address)
	if err != nil {
		return nil, nil, err
	}
	defer c.close()
	c.public = n.public
	for i := range watchers + 32*changers {
		p, err := signUp(c, i)
		if err != nil {
			return nil, nil, err
		}
		if i < watchers {
			watched = append(watched, p)
		} else {
			crowd = append(crowd, p.id)
		}
	}
	return watched, crowd, nil
}

// change disables and enables accounts, at all nodes in turn, at its share of
// the wanted rate.
func (n *nodes) change(ctx context.Context, crowd []string, who, rate int, changes *atomic.Int64, busy *unavailable) error {
	every := time.Second * changers / time.Duration(rate)
	began := time.Now()
	for i := 0; ; i++ {
		// One that fell behind catches up.
		wait := time.NewTimer(time.Until(began.Add(time.Duration(i) * every)))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		path := api.AdminDisable
		if i/len(crowd)%2 == 1 {
			path = api.AdminEnable
		}
		if err := busy.patient(func() error { return n.all[(who+i)%len(n.all)].act(path, crowd[i%len(crowd)]) }); err != nil {
			return err
		}
		changes.Add(1)
	}
}

var errNone = errors.New("no error")

func errOr(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// unavailable counts how often a place said that it could not tell: what
// neither takes a token nor refuses it is asked again.
type unavailable struct{ atomic.Int64 }

// patient repeats what a node cannot do now.
func (u *unavailable) patient(do func() error) error {
	for began := time.Now(); ; time.Sleep(look) {
		err := do()
		var p *api.Problem
		if !errors.As(err, &p) || p.Code != api.Unavailable || time.Since(began) > given {
			return err
		}
		u.Add(1)
	}
}

// tokenFor gets a token for a place.
func (p *person) tokenFor(c *conn, audience string) (string, error) {
	var out api.Token
	err := call(c, p.key, api.PathToken, api.TokenRequest{Session: p.session, Audience: audience}, &out)
	return out.AccessToken, err
}

// show shows a token at a place: a service wants a proof beside it.
func (p *person) show(c *conn, at place, token string) (int, []byte, error) {
	if at.audience == "" {
		return c.get(api.PathWhoAmI, token)
	}
	proof, err := p.key.proveToken(at.audience+"/notes", token)
	if err != nil {
		return 0, nil, err
	}
	return c.get("/notes", token, proof...)
}

// untilTaken shows a fresh token until it is taken: of an account that was
// disabled, the place has to hear first that it is no longer.
func (u *unavailable) untilTaken(p *person, c *conn, at place, token string) error {
	for began := time.Now(); ; time.Sleep(look) {
		status, body, err := p.show(c, at, token)
		if err == nil && status == http.StatusOK {
			return nil
		}
		if err != nil || time.Since(began) > given {
			return fmt.Errorf("%s refuses a fresh token: status %d, %s, %w", at.name, status, reason(body), errOr(err))
		}
	}
}

// untilRefused shows a token until it is refused, and once more.
func (u *unavailable) untilRefused(p *person, c *conn, at place, token string, from time.Time) (time.Duration, error) {
	for {
		status, body, err := p.show(c, at, token)
		took := time.Since(from)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s: %w", at.name, err)
		case status == http.StatusOK && took < given:
			time.Sleep(look)
			continue
		case status == http.StatusServiceUnavailable && took < given:
			u.Add(1)
			time.Sleep(look)
			continue
		case status == http.StatusOK:
			return 0, fmt.Errorf("%s takes a token %s after the change", at.name, took)
		case status != http.StatusUnauthorized:
			return 0, fmt.Errorf("%s: status %d, %s", at.name, status, reason(body))
		}
		if status, _, err := p.show(c, at, token); err != nil || status == http.StatusOK {
			return 0, fmt.Errorf("%s takes a token that it has refused: %w", at.name, errOr(err))
		}
		return took, nil
	}
}

func reason(body []byte) string {
	var p struct {
		Reason string `json:"reason"`
		Title  string `json:"title"`
	}
	if json.Unmarshal(body, &p) != nil {
		return "no problem"
	}
	return p.Title + " " + p.Reason
}
