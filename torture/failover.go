package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// fresh is how old what a node knows may be for an answer
	// (docs/security.md, 11): beyond it, it takes no token that a change ended.
	fresh = time.Second
	// each is of how many people each kind of change is made around one loss.
	each = 3
)

// failover kills the database under load and promotes its standby: nothing that
// was acknowledged may be lost, no token that an acknowledged change ended may be
// taken by a node or a service, and all of it must work again soon.
func (t *torture) failover(ctx context.Context, rounds int) (_ string, err error) {
	d, err := newPrimary()
	if err != nil {
		return "", err
	}
	defer d.stop()
	f, end, err := t.fleetOn(ctx, d)
	if err != nil {
		return "", err
	}
	defer end()
	c := newCrowd(f)
	// The service takes seconds to start, for which a standby is made and people act.
	acted := make(chan error, 1)
	go func() {
		err := d.follow()
		if err == nil {
			err = c.until(ctx, 2*time.Second)
		}
		acted <- err
	}()
	s, err := f.openShop(ctx, t.binary)
	if err == nil {
		defer s.close()
	}
	if err := errors.Join(err, <-acted); err != nil {
		return "", err
	}
	l := &loss{fleet: f, database: d, shop: s, crowd: c, moved: newCrowd(f)}
	l.moved.name = "moved" // of whom things change around the loss
	var worst time.Duration
	for round := 1; round <= rounds; round++ {
		if round > 1 {
			if err := c.until(ctx, 2*time.Second); err != nil {
				return "", fmt.Errorf("round %d: %w", round, err)
			}
		}
		took, err := l.once(ctx, round%2 == 1)
		if err != nil {
			return "", fmt.Errorf("round %d: %w", round, err)
		}
		if err := c.verify(ctx, 50); err != nil {
			return "", fmt.Errorf("round %d: after the standby was promoted: %w", round, err)
		}
		worst = max(worst, took)
		fmt.Fprintf(t.stderr, "failover: %d of %d, back after %.1f s, %s; %s\n", round, rounds, took.Seconds(), c, l)
		if round < rounds {
			if err := d.restore(); err != nil {
				return "", err
			}
		}
	}
	if err := c.verify(ctx, len(c.people)); err != nil {
		return "", fmt.Errorf("at the end: %w", err)
	}
	return fmt.Sprintf("%d times; back after %.1f s at most; %d calls were answered \"cannot work now\", none refused; nothing acknowledged was lost: %s; %s",
		rounds, worst.Seconds(), c.unavailable.Load()+l.moved.unavailable.Load(), c, l), nil
}

// loss is that of a database, with people of whom something changes around it,
// and all that takes their tokens looking on.
type loss struct {
	fleet    *fleet
	database *shared
	shop     *shop
	crowd    *crowd // the load
	moved    *crowd

	mu                       sync.Mutex
	before, later            int // changes acknowledged before the loss, and after
	refused, unknown, within int // answers to tokens that these ended
	service                  time.Duration
}

func (l *loss) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("of tokens that %d changes acknowledged before the loss and %d after it had ended, %d showings were refused, %d answered \"I do not know\", %d taken within the second, none later; the service took one for %d ms at most once it could hear",
		l.before, l.later, l.refused, l.unknown, l.within, l.service.Milliseconds())
}

// around is what is known of one loss while it happens.
type around struct {
	mu    sync.Mutex
	ended []ended
	all   bool          // no more will come
	heard time.Time     // since when everything can hear of changes again
	away  time.Duration // for how long nothing could
}

// ended is somebody whose tokens a change ended, and when that was acknowledged.
type ended struct {
	*concerned
	at time.Time
}

func (a *around) look() (list []ended, all bool, heard time.Time, away time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ended), a.all, a.heard, a.away
}

func (a *around) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.ended)
}

// once loses the database while people act and tokens end, and returns how long
// it took until all nodes worked again. Where something is stopped, a node and
// the service sleep through all of it: what was acknowledged before reaches them
// from the standby alone.
func (l *loss) once(ctx context.Context, stopped bool) (time.Duration, error) {
	people, same, err := l.prepare(ctx)
	if err != nil {
		return 0, err
	}
	running, goOn := l.fleet.nodes, func() error { return nil }
	if stopped {
		running = running[:len(running)-1]
		asleep := []*os.Process{l.fleet.nodes[len(running)].process.Process, l.shop.process.Process}
		goOn = sync.OnceValue(func() error { return errors.Join(proceed(asleep[0]), proceed(asleep[1])) })
		defer goOn()
		if err := errors.Join(halt(asleep[0]), halt(asleep[1])); err != nil {
			return 0, err
		}
	}
	l.fleet.lead(running)
	defer l.fleet.lead(l.fleet.nodes)

	watched, stop := context.WithCancel(ctx)
	defer stop()
	a := &around{}
	places := []place{{"the service", l.shop.show, true}}
	for i, n := range l.fleet.nodes {
		places = append(places, place{fmt.Sprintf("node %d", i+1), n.show, false})
	}
	seen := make(chan error, len(places))
	for _, p := range places {
		go func() { seen <- l.watch(watched, a, p) }()
	}
	acting, end := context.WithCancel(ctx)
	defer end()
	acted := l.crowd.act(acting, load)
	changed := make(chan error, 1)
	go func() { changed <- a.change(ctx, people, running[0]) }()

	// Some are acknowledged before, some are on their way, some come after.
	for end := time.Now().Add(back); a.count() < each && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	time.Sleep(rand.N(300 * time.Millisecond))
	lost := time.Now()
	err = l.database.lose()
	for _, n := range running {
		if err == nil {
			err = n.ready(ctx, back)
		}
	}
	took := time.Since(lost)
	time.Sleep(500 * time.Millisecond)
	end()
	if err := errors.Join(err, <-acted, <-changed); err != nil {
		return took, err
	}
	if len(a.ended) == 0 {
		return took, errors.New("no change was acknowledged: nothing was seen")
	}
	// What sleeps has to know less than it may when it goes on.
	time.Sleep(time.Until(a.ended[len(a.ended)-1].at.Add(fresh + fresh/2)))
	if err := errors.Join(goOn(), l.fleet.ready(ctx, back)); err != nil {
		return took, fmt.Errorf("after the standby was promoted: %w", err)
	}
	a.mu.Lock()
	a.all, a.heard, a.away = true, time.Now(), took
	a.mu.Unlock()
	var wrong []error
	for range places {
		wrong = append(wrong, <-seen)
	}
	for _, p := range places { // or it would refuse whatever it is shown
		wrong = append(wrong, taken(ctx, same, p.name, p.show))
	}
	before := 0
	for _, e := range a.ended {
		if e.at.Before(lost) {
			before++
		}
	}
	if before == 0 {
		wrong = append(wrong, errors.New("no change was acknowledged before the database was lost: nothing was seen"))
	}
	l.before, l.later = l.before+before, l.later+len(a.ended)-before
	return took, errors.Join(wrong...)
}

// prepare gets tokens that changes will end, and those of somebody of whom
// nothing changes; all are good everywhere.
func (l *loss) prepare(ctx context.Context) (people []*concerned, same *concerned, err error) {
	kinds := []string{"nothing"}
	for range each {
		kinds = append(kinds, ofPassword, ofRemoval, ofDisable, ofSignOut)
	}
	for _, kind := range kinds {
		p, err := l.moved.concern(ctx, kind, l.shop.url())
		if err != nil {
			return nil, nil, fmt.Errorf("before a %s: %w", kind, err)
		}
		people = append(people, p)
	}
	for _, p := range people {
		err := taken(ctx, p, "the service", l.shop.show)
		for i, n := range l.fleet.nodes {
			err = errors.Join(err, taken(ctx, p, fmt.Sprintf("node %d", i+1), n.show))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return people[1:], people[0], nil
}

// change makes everybody's change at its moment of the next while, and notes
// those that are acknowledged.
func (a *around) change(ctx context.Context, people []*concerned, at *server) error {
	failed := make([]error, len(people))
	var wait sync.WaitGroup
	for i, p := range people {
		wait.Go(func() {
			time.Sleep(time.Duration(i) * 50 * time.Millisecond)
			err := p.makeChange(ctx, at)
			if errors.Is(err, errWrong) {
				failed[i] = fmt.Errorf("a %s: %w", p.kind, err)
			}
			if err != nil { // not acknowledged: both is right
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.ended = append(a.ended, ended{p, time.Now()})
		})
	}
	wait.Wait()
	return errors.Join(failed...)
}

// place is what takes tokens.
type place struct {
	name    string
	show    func(context.Context, *concerned) (int, string, error)
	service bool
}

// watch shows a place all tokens that have ended, again and again, until it has
// refused each and the second after that is over.
func (l *loss) watch(ctx context.Context, a *around, at place) error {
	refused := map[*concerned]bool{}
	for {
		list, all, heard, away := a.look()
		for _, e := range list {
			began := time.Now()
			status, why, err := at.show(ctx, e.concerned)
			late := began.Sub(e.at) > fresh
			if at.service {
				// It has to have heard of it, and a try that fails has it wait for
				// at most twice as long as that went on.
				late = !heard.IsZero() && began.Sub(heard) > fresh+2*away
			}
			switch {
			case err != nil:
				return err
			case status == http.StatusOK && (late || refused[e.concerned]):
				return fmt.Errorf("%w: %s takes a token %s after a %s was acknowledged", errWrong, at.name, began.Sub(e.at), e.kind)
			case status == http.StatusOK:
				l.taken(at, began, heard)
			case status == http.StatusServiceUnavailable && !at.service:
				l.add(&l.unknown)
			case status == http.StatusUnauthorized:
				refused[e.concerned] = true
				l.add(&l.refused)
			default:
				return fmt.Errorf("%w: %s answers a token of before a %s with %d %s", errWrong, at.name, e.kind, status, why)
			}
		}
		switch since := time.Since(heard); {
		case all && len(refused) == len(list) && since > after:
			return nil
		case all && since > back:
			return fmt.Errorf("%w: %s has refused %d of %d tokens that ended, %s after all was well again", errWrong, at.name, len(refused), len(list), since)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (l *loss) add(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

func (l *loss) taken(at place, began, heard time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.within++
	if at.service && !heard.IsZero() {
		l.service = max(l.service, began.Sub(heard))
	}
}
