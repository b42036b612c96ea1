package resident

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// asking is an account server's side of requests: streams that say what they are
// told to, and a list that is fetched.
type asking struct {
	mu      sync.Mutex
	now     api.Requests
	opened  []time.Time
	fetched []time.Time
	fail    error // of a fetch
	say     chan struct{}
}

func (s *asking) set(all ...api.Request) {
	s.mu.Lock()
	s.now = api.Requests{Requests: all}
	s.mu.Unlock()
}

func (s *asking) list(context.Context) (api.Requests, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched = append(s.fetched, time.Now())
	return s.now, s.fail
}

// events is one stream: all requests at once, then whenever s.say says so.
func (s *asking) events(ctx context.Context, each func(api.Requests), _ func()) error {
	s.mu.Lock()
	s.opened = append(s.opened, time.Now())
	s.mu.Unlock()
	for {
		s.mu.Lock()
		now := s.now
		s.mu.Unlock()
		each(now)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.say:
		}
	}
}

// following runs requests against a server in time that passes by itself.
func following(t *testing.T, during func(s *asking, r *requests, shown func() []string)) {
	synctest.Test(t, func(t *testing.T) {
		s := &asking{say: make(chan struct{})}
		r := newRequests()
		var mu sync.Mutex
		var all []string
		r.events, r.list, r.changed = s.events, s.list, func() {}
		r.show = func(q api.Request) func() {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, q.ID)
			return func() {}
		}
		ctx, stop := context.WithCancel(t.Context())
		var over sync.WaitGroup
		over.Go(func() { r.run(ctx) })
		synctest.Wait()
		during(s, r, func() []string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		})
		stop()
		over.Wait()
	})
}

func asks(id, status string) api.Request { return api.Request{ID: id, Status: status} }

// A request that came by the stream is fetched once, so that the server knows;
// what needs no answer is not, and neither is the same one again.
func TestShownIsAcknowledged(t *testing.T) {
	following(t, func(s *asking, _ *requests, shown func() []string) {
		if len(s.fetched) > 0 {
			t.Errorf("%d fetches while nobody asks", len(s.fetched))
		}
		for i, step := range []struct {
			now     []api.Request
			fetches int
		}{
			{[]api.Request{asks("A", waiting)}, 1},
			{[]api.Request{asks("A", waiting)}, 1},
			{[]api.Request{asks("A", allowed)}, 1},
			{[]api.Request{asks("B", waiting), asks("A", "done")}, 2},
			{[]api.Request{asks("C", "denied"), asks("B", waiting)}, 2},
			{nil, 2},
		} {
			s.set(step.now...)
			s.say <- struct{}{}
			synctest.Wait()
			if len(s.fetched) != step.fetches {
				t.Errorf("step %d: %d fetches, want %d", i, len(s.fetched), step.fetches)
			}
		}
		if got := shown(); !slices.Equal(got, []string{"A", "B"}) {
			t.Errorf("shown: %v", got)
		}
	})
}

// Where that fails, the next stream begins with it again, soon and not at once.
func TestUnacknowledgedIsTriedAgain(t *testing.T) {
	following(t, func(s *asking, r *requests, shown func() []string) {
		unreached := &agent.UnreachableError{Why: agent.NoRoute}
		s.mu.Lock()
		s.fail = unreached
		s.mu.Unlock()
		s.set(asks("A", waiting))
		s.say <- struct{}{}
		time.Sleep(time.Minute)
		synctest.Wait()
		s.mu.Lock()
		tried := len(s.fetched)
		s.fail = nil
		s.mu.Unlock()
		if how, why := r.state(); tried < 4 || tried > 20 || how != "not" || !errors.Is(why, unreached) {
			t.Errorf("%d tries in a minute; requests arrive by %q, %v", tried, how, why)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		how, why := r.state()
		if got := shown(); len(s.fetched) != tried+1 || how != "stream" || why != nil || !slices.Equal(got, []string{"A"}) {
			t.Errorf("%d tries more once it could be; by %q, %v; shown: %v", len(s.fetched)-tried, how, why, got)
		}
	})
}

// A machine that wakes has a stream that may be dead without knowing: what was
// asked meanwhile comes by another one, opened at once. The agent is wired as it
// runs; only the clocks and the account server are the test's.
func TestRequestsAtWakeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		var shown []string
		r := &Resident{
			Agent: &agent.Agent{Now: time.Now}, Tell: func(title, text string) { t.Errorf("told %s: %s", title, text) }, Say: func(string) {},
			Asked: func(q api.Request) { shown = append(shown, q.ID) },
		}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		r.prepare(ctx, &all)
		s := &asking{say: make(chan struct{})}
		r.requests.events, r.requests.list = s.events, s.list
		r.keeper.fetch, r.keeper.now, r.keeper.steady = k.fetch, k.now, k.steady
		all.Go(func() { r.requests.run(ctx) })
		all.Go(func() { r.keeper.run(ctx) })
		time.Sleep(time.Minute)

		w.shift += 3 * time.Hour  // the wall's clock went on, timers and the steady one did not
		s.set(asks("A", waiting)) // the open stream does not hear of it
		woke := time.Now()
		time.Sleep(look + 2*time.Second)
		synctest.Wait()
		if !slices.Equal(shown, []string{"A"}) || len(s.opened) != 2 || len(s.fetched) != 1 {
			t.Errorf("%v after it woke: shown %v by %d streams, %d fetches", time.Since(woke), shown, len(s.opened), len(s.fetched))
		}
		stop()
		all.Wait()
	})
}

// What failed for a session is forgotten with it: after the next sign-in nothing
// waits for its time, and after a sign-out no token's times are told.
func TestStatusOfAnotherSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		home, err := agent.OpenHome(func(string) string { return t.TempDir() })
		if err != nil {
			t.Fatal(err)
		}
		signIn := func(session string) time.Time {
			ends := time.Now().Add(agent.TokenLife).UTC()
			if err := home.Save(agent.SessionFile, agent.Session{ID: session, Tokens: map[string]agent.Token{"": {Value: session, Expires: ends}}}); err != nil {
				t.Fatal(err)
			}
			return ends
		}
		r := &Resident{Agent: &agent.Agent{Home: home, Now: time.Now}, Tell: func(string, string) {}, Say: func(string) {}, Asked: func(api.Request) {}}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		r.prepare(ctx, &all)
		s := &asking{say: make(chan struct{})}
		r.requests.list = s.list
		r.requests.events = func(ctx context.Context, each func(api.Requests), changed func()) error {
			if now, err := home.Session(); err != nil || now.ID != "second" {
				return &agent.RefusedError{What: "events", Public: "refused"}
			}
			return s.events(ctx, each, changed)
		}
		signIn("first")
		r.status()
		all.Go(func() { r.requests.run(ctx) })
		all.Go(func() { r.keeper.run(ctx) })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := r.status(); got.Requests != "not" || got.Unheard == nil {
			t.Errorf("the session has ended: requests by %q, %v", got.Requests, got.Unheard)
		}

		ends := signIn("second")
		if got := r.status(); got.Unheard != nil || !got.Expires.Equal(ends) {
			t.Errorf("signed in again: %v is told; a token until %v, want %v", got.Unheard, got.Expires, ends)
		}
		synctest.Wait()
		if got := r.status(); got.Requests != "stream" || got.SignedOut {
			t.Errorf("signed in again: requests by %q, signed out: %v", got.Requests, got.SignedOut)
		}

		if err := home.Remove(agent.SessionFile); err != nil {
			t.Fatal(err)
		}
		if got := r.status(); !got.SignedOut || !got.Expires.IsZero() || !got.Next.IsZero() {
			t.Errorf("signed out: %v, a token until %v, next at %v", got.SignedOut, got.Expires, got.Next)
		}
		stop()
		all.Wait()
	})
}
