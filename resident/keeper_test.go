package resident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// world is an account server and a machine, as a keeper sees them.
type world struct {
	calls   []time.Time
	fail    error
	shift   time.Duration // of the clock on the wall
	asleep  time.Duration // that the steady clock has missed
	notices []error
	woken   int
}

func newWorld() (*world, *keeper) {
	w := &world{}
	k := newKeeper(func() time.Time { return time.Now().Add(w.shift) })
	began := time.Now()
	k.steady = func() time.Duration { return time.Since(began) - w.asleep }
	k.fetch = func(context.Context, string, time.Duration) (agent.Token, error) {
		w.calls = append(w.calls, time.Now())
		if w.fail != nil {
			return agent.Token{}, w.fail
		}
		return agent.Token{Value: fmt.Sprint(len(w.calls)), Expires: k.now().Add(agent.TokenLife)}, nil
	}
	k.notice = func(err error) { w.notices = append(w.notices, err) }
	k.woken = func() { w.woken++ }
	return w, k
}

// running runs a keeper until the test ends it.
func running(t *testing.T, k *keeper) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.run(ctx) }()
	synctest.Wait()
	return func() error { cancel(); return <-ended }
}

var (
	gone    = &agent.UnreachableError{Server: "https://id.example.org", Why: agent.NoRoute}
	refusal = &agent.RefusedError{What: "token", Reference: "4K7Q-9FXM", Public: "refused"}
)

// Refreshed before its end, at a moment of its own, and not more often.
func TestRefreshAhead(t *testing.T) {
	moments := map[time.Duration]bool{}
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			w, k := newWorld()
			stop := running(t, k)
			time.Sleep(4 * time.Minute)
			synctest.Wait()
			if len(w.calls) != 2 {
				t.Fatalf("%d calls in four minutes", len(w.calls))
			}
			at := w.calls[1].Sub(w.calls[0])
			if at < 119*time.Second || at > 226*time.Second {
				t.Errorf("refreshed after %s of five minutes", at)
			}
			moments[at.Round(time.Second)] = true
			if err := stop(); err != nil || len(w.notices) > 0 {
				t.Errorf("%v, %v", err, w.notices)
			}
		})
	}
	if len(moments) < 20 {
		t.Errorf("50 devices refresh at %d moments", len(moments))
	}
}

// What fails for a while is nobody's business; what lasts is told once.
func TestQuietUntilItMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		stop := running(t, k)
		w.fail = gone
		time.Sleep(9*time.Minute + 30*time.Second) // five and a half with a token
		synctest.Wait()
		if len(w.notices) > 0 {
			t.Errorf("told %v while it did not matter", w.notices)
		}
		tried := len(w.calls)
		if tried < 6 || tried > 40 {
			t.Errorf("%d tries", tried)
		}
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if len(w.notices) != 1 || !errors.Is(w.notices[0], gone) {
			t.Errorf("told %v", w.notices)
		}
		if more := len(w.calls) - tried; more < 350 || more > 750 {
			t.Errorf("%d tries in three hours", more)
		}
		// The server comes back, and goes again: that is another matter.
		w.fail = nil
		time.Sleep(time.Minute)
		synctest.Wait()
		if expires, _, failing := k.state(); failing != nil || !expires.After(time.Now()) {
			t.Errorf("did not recover: %v", failing)
		}
		w.fail = gone
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(w.notices) != 2 {
			t.Errorf("told %d times of two failures", len(w.notices))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A program that asks in vain makes it matter at once.
func TestAskedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		w.fail = gone
		stop := running(t, k)
		for range 3 {
			k.asked("", agent.Token{}, gone)
		}
		if len(w.notices) != 1 {
			t.Errorf("told %d times", len(w.notices))
		}
		stop()
	})
}

// While the token in hand is still good nothing else has failed yet: it is told
// once all the same, is in the status, and is gone as soon as it works again.
func TestAskedInVainAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		stop := running(t, k)
		k.asked("", agent.Token{}, &api.Problem{Code: api.BadRequest})
		k.asked("", agent.Token{}, agent.ErrNotSignedIn)
		if _, _, failing := k.state(); failing != nil || len(w.notices) > 0 {
			t.Fatalf("what is no failure: %v, told %v", failing, w.notices)
		}
		w.fail = gone
		for range 3 {
			k.asked("files", agent.Token{}, gone)
		}
		if _, _, failing := k.state(); !errors.Is(failing, gone) || len(w.notices) != 1 {
			t.Errorf("failing %v, told %d times", failing, len(w.notices))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for range 3 {
			k.asked("", agent.Token{}, gone)
		}
		if n := len(w.calls); len(w.notices) != 1 || n < 3 || n > 12 {
			t.Errorf("told %d times, %d tries in a minute", len(w.notices), n)
		}
		w.fail = nil
		time.Sleep(slowest)
		synctest.Wait()
		if _, _, failing := k.state(); failing != nil {
			t.Errorf("still failing: %v", failing)
		}
		// What fails again is another matter; the same refusal ends the agent.
		w.fail = refusal
		k.asked("", agent.Token{}, refusal)
		time.Sleep(slowest)
		synctest.Wait()
		if len(w.notices) != 2 {
			t.Errorf("told %d times of two failures", len(w.notices))
		}
		gaveUp := new(GaveUpError)
		if err := stop(); !errors.As(err, &gaveUp) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		w.fail = fmt.Errorf("wrapped: %w", refusal)
		began := time.Now()
		err := k.run(t.Context())
		e := new(GaveUpError)
		if !errors.As(err, &e) || e.Last != refusal || len(w.calls) != 3 || time.Since(began) > 10*time.Second {
			t.Errorf("after %d calls and %s: %v", len(w.calls), time.Since(began), err)
		}
	})
}

// Three in a row, of the same kind: what lies between begins the count anew, and
// a wrong clock is not counted.
func TestDoesNotGiveUp(t *testing.T) {
	for name, fails := range map[string][]error{
		"another refusal": {refusal, refusal, &agent.RefusedError{What: "token", Public: "client-outdated"}, refusal, refusal},
		"no network":      {refusal, refusal, gone, refusal, refusal},
		"a success":       {refusal, refusal, nil},
		"a wrong clock":   {&agent.RefusedError{What: "token", Public: "clock-off"}},
		"not signed in":   {agent.ErrNotSignedIn},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, k := newWorld()
				fetch, n := k.fetch, 0
				k.fetch = func(ctx context.Context, audience string, least time.Duration) (agent.Token, error) {
					w.fail = fails[min(n, len(fails)-1)]
					if n++; n > len(fails) && len(fails) > 3 {
						w.fail = nil
					}
					return fetch(ctx, audience, least)
				}
				stop := running(t, k)
				time.Sleep(time.Hour)
				if err := stop(); err != nil {
					t.Errorf("after %d calls: %v", n, err)
				}
				if name == "not signed in" && (n > 130 || len(w.notices) > 0) {
					t.Errorf("%d calls, told %v", n, w.notices)
				}
			})
		})
	}
}

// A machine that slept finds its token ended, and refreshes within half a minute
// of waking, whatever its timers say.
func TestAfterSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		stop := running(t, k)
		time.Sleep(time.Minute)
		w.asleep, w.shift = 0, 8*time.Hour // the wall's clock goes on, timers do not
		time.Sleep(look + time.Second)
		synctest.Wait()
		if len(w.calls) != 2 || w.woken != 1 {
			t.Errorf("%d calls, noticed %d times", len(w.calls), w.woken)
		}
		stop()
	})
}

// A clock that is set back makes tokens look as if they lived for ever.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, k := newWorld()
		stop := running(t, k)
		time.Sleep(time.Minute)
		w.shift = -3 * time.Hour
		time.Sleep(look + time.Second)
		synctest.Wait()
		if len(w.calls) != 2 || w.woken != 1 {
			t.Errorf("%d calls, noticed %d times", len(w.calls), w.woken)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(w.calls) < 4 || len(w.calls) > 8 {
			t.Errorf("%d calls ten minutes later", len(w.calls))
		}
		stop()
	})
}

// Tokens for others are kept while somebody asks for them.
func TestOtherAudiences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, k := newWorld()
		asked, fetch := map[string]int{}, k.fetch
		k.fetch = func(ctx context.Context, audience string, least time.Duration) (agent.Token, error) {
			asked[audience]++
			return fetch(ctx, audience, least)
		}
		stop := running(t, k)
		k.asked("files", agent.Token{Expires: time.Now().Add(agent.TokenLife)}, nil)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := asked["files"]; n < 4 || n > 8 {
			t.Errorf("refreshed %d times for somebody who asked once", n)
		}
		if n := asked[""]; n < 30 || n > 61 {
			t.Errorf("refreshed its own %d times in two hours", n)
		}
		stop()
	})
}

func TestReasonsSayWhatToDo(t *testing.T) {
	full := &agent.WriteError{Path: "/home/jane/readmit/session.json", Err: syscall.ENOSPC}
	if text := reason(full); !strings.Contains(text, full.Path) || !strings.Contains(text, "no space left") || !strings.Contains(text, "Make room there") {
		t.Errorf("of a full disk: %s", text)
	}
	for _, err := range []error{
		refusal, &agent.RefusedError{Public: "client-outdated", Title: "This client is older than the server allows", Reference: "4K7Q-9FXM"}, gone,
		&agent.KeyStoreError{Why: "locked"}, &agent.StateError{File: "session.json", Problem: agent.Malformed}, full, &api.Problem{Code: api.Unavailable}, errors.New("x"),
	} {
		if text := reason(err); !containsRun(text) {
			t.Errorf("%T: %s", err, text)
		}
	}
}

func containsRun(s string) bool {
	for i := range len(s) - len("readmit ") {
		if s[i:i+len("readmit ")] == "readmit " {
			return true
		}
	}
	return false
}
