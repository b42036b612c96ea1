package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/store"
)

// said is an answer that keeps when what of it was written.
type said struct {
	http.ResponseWriter
	mu    sync.Mutex
	texts []string
	times []time.Time
}

func (*said) Flush() {}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts, s.times = append(s.texts, string(b)), append(s.times, time.Now())
	return len(b), nil
}

// held runs a stream in time that passes by itself, and returns what was said.
// What is listed as lines and a number is the ledger's count of them.
func held(t *testing.T, during func(poke func(), list func(string), stop context.CancelFunc)) (*said, time.Time) {
	out := &said{ResponseWriter: httptest.NewRecorder()}
	var began time.Time
	synctest.Test(t, func(t *testing.T) {
		began = time.Now()
		all := newWatchers()
		account := store.ID{1}
		n := all.add(account, store.ID{2})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var mu sync.Mutex
		now, lines := "none", int64(0)
		var over sync.WaitGroup
		over.Go(func() {
			all.watch(ctx, out, n, func(context.Context) (sight, error) {
				mu.Lock()
				defer mu.Unlock()
				if now == "fails" {
					return sight{}, errors.New("the store is gone")
				}
				return sight{living: now != "ended", requests: []byte(now), lines: [store.Rings]int64{lines}}, nil
			})
		})
		go func() { // where it does not end by itself, the test does
			select {
			case <-ctx.Done():
			case <-time.After(2 * eventsLife):
				stop()
			}
		}()
		during(func() { all.poke(account, true) }, func(s string) {
			mu.Lock()
			defer mu.Unlock()
			if _, err := fmt.Sscanf(s, "lines %d", &lines); err != nil {
				now = s
			}
		}, stop)
		over.Wait()
		stop()
	})
	return out, began
}

// TestSignOfLife: a stream on which nothing happens says every 20 seconds that
// it lives, not before and not more often; what is said besides counts.
func TestSignOfLife(t *testing.T) {
	out, began := held(t, func(poke func(), list func(string), stop context.CancelFunc) {
		time.Sleep(50 * time.Second)
		poke() // after ten seconds of silence
		time.Sleep(35 * time.Second)
		stop()
	})
	var got []string
	for i, text := range out.texts {
		got = append(got, out.times[i].Sub(began).String()+" "+strings.TrimSpace(text))
	}
	want := []string{"0s event: requests\ndata: none", "20s :", "40s :", "50s event: changed\ndata: {}", "1m10s :"}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("said:\n%q, want\n%q", got, want)
	}
}

// TestEndsAreTold: an attempt at another node has one line, which says how it
// ended once it has. Who was told of the line is told once more, and not again.
func TestEndsAreTold(t *testing.T) {
	out, began := held(t, func(poke func(), list func(string), stop context.CancelFunc) {
		time.Sleep(time.Second)
		list("lines 1")
		time.Sleep(30 * time.Second)
		list("lines 2")
		poke() // of this node: it ended before that was said
		time.Sleep(15 * time.Second)
		stop()
	})
	var got []string
	for i, text := range out.texts {
		if strings.Contains(text, "changed") {
			got = append(got, out.times[i].Sub(began).String())
		}
	}
	if want := []string{"5s", "10s", "31s"}; !slices.Equal(got, want) {
		t.Errorf("told after %v, want %v", got, want)
	}
}

// TestStreamsEnd: a stream goes on for ten minutes; then its device proves
// itself anew. It ends at once with its session, and where nothing can be known.
func TestStreamsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		then string
		last string
		ends time.Duration
	}{
		{"its time is up", "none", ":\n\n", eventsLife},
		{"its session ended", "ended", "event: ended\ndata: {}\n\n", time.Minute},
		{"the store is gone", "fails", ":\n\n", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, began := held(t, func(poke func(), list func(string), stop context.CancelFunc) {
				time.Sleep(time.Minute)
				synctest.Wait()
				list(tt.then)
				poke()
				synctest.Wait()
				if tt.ends == eventsLife {
					time.Sleep(eventsLife - time.Minute - time.Millisecond)
				}
			})
			took := out.times[len(out.times)-1].Sub(began)
			if last := out.texts[len(out.texts)-1]; last != tt.last || tt.ends-took > eventsSign || took > tt.ends {
				t.Errorf("the last is %q after %v", last, took)
			}
		})
	}
}
