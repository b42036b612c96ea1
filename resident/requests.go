package resident

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

const (
	// poll is how often requests are fetched where there is no stream of them.
	poll = 20 * time.Second
	// again is how long polling goes on before a stream is tried anew.
	again = time.Hour
	// waiting is the status of a request that nobody has decided, allowed of one
	// whose code is shown somewhere.
	waiting = "waiting"
	allowed = "allowed"
)

// requests shows who asks to sign in, by a stream where the server has one and
// by asking otherwise.
type requests struct {
	events  func(ctx context.Context, each func(api.Requests), changed func()) error
	list    func(ctx context.Context) (api.Requests, error) // tells the server, too, that they have come
	show    func(api.Request) (over func())
	back    func() // the server answers again
	changed func() // something else of the account has, or may have unseen

	wake  chan struct{}
	known map[string]bool // by ID: those the server knows to have come; of run alone

	mu    sync.Mutex
	how   string
	why   error             // where how is "not": what failed last
	shown map[string]func() // by ID: what ends the showing
}

func newRequests() *requests {
	return &requests{wake: make(chan struct{}, 1), shown: map[string]func(){}, how: "not", back: func() {}, changed: func() {}}
}

// poke drops the stream and opens another: this one may be dead without knowing.
func (r *requests) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *requests) set(how string, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.how == "not" && how != "not" {
		r.back()
	}
	r.how, r.why = how, why
}

// state is how requests arrive, and why they do not; nil where nothing has failed.
func (r *requests) state() (how string, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if quiet(r.why) {
		return r.how, nil
	}
	return r.how, r.why
}

// answered is called when the server has just answered this agent: where
// requests do not arrive, there is no need to wait longer.
func (r *requests) answered() {
	if how, _ := r.state(); how == "not" {
		r.poke()
	}
}

// anew is called when this device has another session, or none any more: what
// failed for the former one says nothing of this one.
func (r *requests) anew() {
	r.mu.Lock()
	r.why = nil
	r.mu.Unlock()
	r.poke()
}

// seen shows the requests that are new, and forgets those that are gone.
func (r *requests) seen(now api.Requests) {
	r.mu.Lock()
	defer r.mu.Unlock()
	there := map[string]func(){}
	for _, q := range now.Requests {
		over, shown := r.shown[q.ID]
		if !shown {
			over = func() {}
		}
		switch q.Status {
		case waiting, allowed:
			if !shown && q.Status == waiting {
				over = r.show(q)
			}
			there[q.ID] = over
			delete(r.shown, q.ID)
		}
	}
	for _, over := range r.shown {
		over()
	}
	r.shown = there
}

// acknowledge fetches the requests of a stream where one waits that was not
// fetched yet. A stream says nothing to the server of what has come through it:
// only this tells it that this device is awake and has shown them.
func (r *requests) acknowledge(ctx context.Context, streamed api.Requests) error {
	if !slices.ContainsFunc(streamed.Requests, func(q api.Request) bool { return q.Status == waiting && !r.known[q.ID] }) {
		return nil
	}
	now, err := r.list(ctx)
	if err != nil {
		return err
	}
	r.known = map[string]bool{}
	for _, q := range slices.Concat(streamed.Requests, now.Requests) {
		r.known[q.ID] = true
	}
	r.seen(now)
	return nil
}

func (r *requests) run(ctx context.Context) {
	for tries := 0; ctx.Err() == nil; tries++ {
		begun := time.Now()
		err := r.once(ctx)
		switch {
		case errors.Is(err, agent.ErrNoStream):
			err = r.polling(ctx)
		case errors.Is(err, agent.ErrStreamOver), err == nil:
			tries = -1
		}
		if time.Since(begun) > slowest {
			tries = -1
		}
		if err != nil && !errors.Is(err, agent.ErrStreamOver) {
			r.set("not", err)
		}
		wait := Pause(max(0, tries))
		if quiet(err) {
			wait = look
		}
		// A refusal is the keeper's to judge: asking is its part.
		if e := new(agent.RefusedError); errors.As(err, &e) {
			wait = slowest
			r.back()
		}
		if r.pause(ctx, wait) {
			tries = -1
		}
	}
}

// once holds one stream.
func (r *requests) once(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-r.wake:
			stop()
		case <-ended:
		}
	}()
	var unheard error
	begun := false
	err := r.events(ctx, func(now api.Requests) {
		if unheard != nil {
			return
		}
		r.set("stream", nil)
		r.seen(now)
		if !begun { // what changed before this stream was told on none
			begun = true
			r.changed()
		}
		if unheard = r.acknowledge(ctx, now); unheard != nil {
			stop() // the next stream begins with all of them
		}
	}, r.changed)
	if unheard != nil && !errors.Is(unheard, context.Canceled) {
		return unheard
	}
	if ctx.Err() != nil {
		return agent.ErrStreamOver
	}
	return err
}

// polling asks for an hour; then there may be a stream.
func (r *requests) polling(ctx context.Context) error {
	for begun := time.Now(); time.Since(begun) < again; {
		now, err := r.list(ctx)
		if err != nil {
			return err
		}
		r.set("polling", nil)
		r.seen(now)
		r.changed()
		r.pause(ctx, poll*3/4+rand.N(poll/2))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// pause waits, and reports whether it was woken.
func (r *requests) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-r.wake:
		return true
	}
	return false
}
