package resident

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

const (
	// look is how often the keeper looks whether the machine slept or its clock
	// was set: timers stand still while a machine sleeps.
	look = 30 * time.Second
	// leap is how far the two clocks may part between two looks.
	leap = 5 * time.Second
	// wanted is how long after the last question a token is kept fresh.
	wanted = 15 * time.Minute
	// patience is how long after the token's end nobody is told, unless a program
	// asks for one in vain.
	patience = 5 * time.Minute
	// enough is after how many times the same refusal the agent gives up.
	enough = 3
	// slowest is the longest wait between two tries: so long it takes until all
	// devices have come back to a server that was away.
	slowest = 25 * time.Second
)

// keeper keeps tokens fresh. Its rules: ask before the token ends, at a moment
// that differs from device to device; after a failure wait longer each time;
// after the same refusal three times ask no more.
type keeper struct {
	fetch  func(ctx context.Context, audience string, least time.Duration) (agent.Token, error)
	now    func() time.Time     // the clock on the wall
	steady func() time.Duration // a clock that nobody sets
	notice func(err error)      // once for each failure that matters
	woken  func()               // the machine slept, or the clock was set

	wake chan struct{}

	mu      sync.Mutex
	keep    map[string]*fresh // by audience
	failing error
	noticed bool
	bare    time.Time // since when there is no token; zero where there was one
}

// fresh is one token that is kept fresh.
type fresh struct {
	asked   time.Time // by a program, last; zero for the one always kept
	expires time.Time
	due     time.Time
}

// GaveUpError says that the agent has stopped by itself.
type GaveUpError struct{ Last *agent.RefusedError }

func (e *GaveUpError) Error() string {
	return fmt.Sprintf("refused %d times in the same way: the agent has stopped", enough)
}

func (e *GaveUpError) Unwrap() error { return e.Last }

func newKeeper(now func() time.Time) *keeper {
	began := time.Now()
	return &keeper{
		now: func() time.Time { return now().Round(0) }, steady: func() time.Duration { return time.Since(began) },
		wake: make(chan struct{}, 1), keep: map[string]*fresh{"": {}},
		notice: func(error) {}, woken: func() {},
	}
}

// poke lets the keeper look at once.
func (k *keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// asked notes that a program has asked for a token, and what came of it.
func (k *keeper) asked(audience string, t agent.Token, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if quiet(err) || ofAsk(err) {
			return
		}
		if k.failing == nil { // tried again soon, so that it is known when it has passed
			k.failing = err
			k.keep[""].due = k.now().Add(Pause(0))
			k.poke()
		}
		if !k.noticed {
			k.noticed = true
			k.notice(err)
		}
		return
	}
	f := k.keep[audience]
	if f == nil {
		f = &fresh{}
		k.keep[audience] = f
	}
	if audience != "" {
		f.asked = k.now()
	}
	if !t.Expires.Equal(f.expires) { // the server has just given it
		k.judge(nil, time.Time{})
		f.expires, f.due = t.Expires, k.moment(t.Expires)
		k.poke()
	}
}

// moment is when a token that ends then is refreshed: a quarter to six tenths of
// its life before, so that devices whose tokens end together do not ask together.
func (k *keeper) moment(expires time.Time) time.Time {
	life := min(agent.TokenLife, expires.Sub(k.now()))
	return expires.Add(-life/4 - rand.N(max(1, life*35/100)))
}

// quiet failures are no failures: nobody is signed in here.
func quiet(err error) bool {
	return errors.Is(err, agent.ErrNotEnrolled) || errors.Is(err, agent.ErrNotSignedIn) || errors.Is(err, context.Canceled)
}

// ofAsk are failures of what a program asked for: another would be given a token.
func ofAsk(err error) bool {
	p := new(api.Problem)
	return errors.As(err, &p) && (p.Code == api.BadRequest || p.Code == api.NotPossible)
}

// run keeps tokens fresh until the context ends, or returns a GaveUpError.
func (k *keeper) run(ctx context.Context) error {
	var tries, refusals int
	var last *agent.RefusedError
	next := k.now()
	for {
		if wait := next.Sub(k.now()); wait > 0 {
			slept, err := k.sleep(ctx, wait)
			if err != nil {
				return nil
			}
			if slept {
				k.woken()
				tries = 0
			}
		}
		err := k.refresh(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var refused *agent.RefusedError
		switch {
		case err == nil || quiet(err):
			tries, refusals, last = 0, 0, nil
			next = k.next()
			if err != nil {
				next = k.now().Add(look)
			}
			continue
		case errors.As(err, &refused) && refused.Public != "clock-off": // a clock can be set; it is looked at each time
			if last == nil || last.Public != refused.Public || last.What != refused.What {
				refusals = 0
			}
			last = refused
			if refusals++; refusals >= enough {
				return &GaveUpError{refused}
			}
		default:
			refusals, last = 0, nil
		}
		next = k.now().Add(Pause(tries))
		tries++
	}
}

// Pause is how long to wait after so many tries: from two seconds, doubling, to
// 25 seconds, and less by chance, so that devices that failed together part.
func Pause(tries int) time.Duration {
	d := min(slowest, 2*time.Second<<min(tries, 10))
	return d/2 + rand.N(d/2)
}

// sleep waits, and reports whether the machine slept or its clock was set
// meanwhile.
func (k *keeper) sleep(ctx context.Context, d time.Duration) (slept bool, err error) {
	for until := k.now().Add(d); k.now().Before(until); {
		wall, steady := k.now(), k.steady()
		t := time.NewTimer(min(look, until.Sub(wall)))
		select {
		case <-ctx.Done():
			t.Stop()
			return false, ctx.Err()
		case <-k.wake:
			t.Stop()
			return false, nil
		case <-t.C:
		}
		if (k.now().Sub(wall) - (k.steady() - steady)).Abs() > leap {
			return true, nil
		}
	}
	return false, nil
}

// next is when the first of the tokens is due.
func (k *keeper) next() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	var first time.Time
	for _, f := range k.keep {
		if first.IsZero() || f.due.Before(first) {
			first = f.due
		}
	}
	return first
}

// refresh fetches what is due.
func (k *keeper) refresh(ctx context.Context) error {
	for audience, f := range k.due() {
		// As much life as it would have left had it just been refreshed: whoever
		// did so meanwhile, by hand, did it for us.
		least := max(0, min(agent.TokenLife, f.expires.Sub(k.now())+time.Second))
		t, err := k.fetch(ctx, audience, least)
		k.mu.Lock()
		if err == nil {
			k.keep[audience].expires, k.keep[audience].due = t.Expires, k.moment(t.Expires)
		}
		k.judge(err, k.keep[""].expires)
		k.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// judge decides whether a failure matters by now. k.mu is held.
func (k *keeper) judge(err error, ends time.Time) {
	if err == nil || quiet(err) {
		k.failing, k.noticed, k.bare = nil, false, time.Time{}
		return
	}
	k.failing = err
	if ends.IsZero() {
		if k.bare.IsZero() {
			k.bare = k.now()
		}
		ends = k.bare
	}
	if !k.noticed && k.now().Sub(ends) >= patience {
		k.noticed = true
		k.notice(err)
	}
}

// due are the tokens to fetch now; those nobody has asked for lately are let go.
func (k *keeper) due() map[string]fresh {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, all := k.now(), map[string]fresh{}
	for audience, f := range k.keep {
		if audience != "" && now.Sub(f.asked).Abs() > wanted {
			delete(k.keep, audience)
			continue
		}
		// One that lives longer than any was had before the clock was set back.
		if !now.Before(f.due) || f.expires.Sub(now) > agent.TokenLife {
			all[audience] = *f
		}
	}
	return all
}

// state is what the keeper knows, for a status.
func (k *keeper) state() (expires, due time.Time, failing error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.keep[""]
	return f.expires, f.due, k.failing
}

// reason says what a person can make of a failure, in a sentence.
func reason(err error) string {
	var (
		refused *agent.RefusedError
		gone    *agent.UnreachableError
		keys    *agent.KeyStoreError
		state   *agent.StateError
		unkept  *agent.WriteError
		problem *api.Problem
	)
	switch {
	case errors.As(err, &refused) && refused.Public != "refused":
		return refused.Title + ". Run: readmit explain " + refused.Reference
	case errors.As(err, &refused):
		return "The account server refuses this device. Run: readmit explain " + refused.Reference
	case errors.As(err, &gone):
		return "The account server cannot be reached (" + gone.Why + "). Run: readmit doctor"
	case errors.As(err, &keys):
		return "This device's key cannot be read: " + keys.Error() + ". Unlock it, or run: readmit doctor"
	case errors.As(err, &state) && state.Problem == agent.Newer:
		return state.Error() + ". Update this program, or use that one"
	case errors.As(err, &state):
		return state.Error() + ". Run: readmit doctor --fix"
	case errors.As(err, &unkept):
		return unkept.Error() + ". Make room there, and see that the folder is yours to write. Run: readmit doctor"
	case errors.As(err, &problem) && problem.Code == api.Unavailable:
		return "The account server cannot do its work now; it is not you. Run: readmit doctor"
	}
	return "This device cannot refresh its access. Run: readmit doctor"
}
