package resident

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

const (
	// soon is how long after a change of the account its recoveries are looked at,
	// at most: the devices of many accounts do not ask at the same moment.
	soon = 2 * time.Second
	// between is the least time between two looks, however much changes.
	between = 5 * time.Second
)

// recoveries tells of what would set a new password: each once, as soon as
// something is proved. What waits without a proof anybody can begin, and as often
// as they like.
type recoveries struct {
	list func(ctx context.Context) (api.Recoveries, error)
	tell func(api.RecoverySeen)

	wake chan struct{}
	told map[string]bool // by ID; run's alone
}

func newRecoveries() *recoveries {
	return &recoveries{wake: make(chan struct{}, 1), told: map[string]bool{}}
}

// poke has them looked at soon. It never waits.
func (r *recoveries) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *recoveries) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		if !sleepFor(ctx, rand.N(soon)) {
			return
		}
		now, err := r.list(ctx)
		if err == nil {
			r.seen(now)
		}
		if !sleepFor(ctx, between) {
			return
		}
		// A refusal is the keeper's to judge; the next stream looks again.
		if e := new(agent.RefusedError); err != nil && !quiet(err) && !errors.As(err, &e) {
			r.poke()
		}
	}
}

// seen tells of those that are new, and forgets those that are gone.
func (r *recoveries) seen(now api.Recoveries) {
	there := map[string]bool{}
	for _, q := range now.Recoveries {
		if q.State != "waiting" && q.State != "open" {
			continue
		}
		there[q.ID] = true
		if !r.told[q.ID] {
			r.tell(q)
		}
	}
	r.told = there
}

// recoveryText is what a person is told of one.
func recoveryText(q api.RecoverySeen) (title, text string) {
	title = q.Name + " recovers this account"
	text = fmt.Sprintf("From %s, with %s. It can set a new password now. ", q.Address, q.Client)
	if q.State == "waiting" {
		text = fmt.Sprintf("From %s, with %s. It can set a new password from %s on. ", q.Address, q.Client, time.Unix(q.Opens, 0).Format("2006-01-02 15:04"))
	}
	return title, text + "If that is not you: readmit recoveries stop " + q.ID
}

// sleepFor waits, and reports whether the context still lives.
func sleepFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
