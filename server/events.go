package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

const (
	// eventsLife is how long one stream goes on: its device then proves itself
	// anew, as every caller does.
	eventsLife = 10 * time.Minute
	// eventsLook is how often a stream looks by itself for what nobody told it
	// of: what another node wrote in the ledger, a request that ran out.
	eventsLook = 5 * time.Second
	// eventsSign is after how much silence a stream gives a sign of life, so that
	// a reader that is gone is noticed; readers give a stream up after twice that.
	// It wakes every device that is idle, so it is not more often.
	eventsSign = 20 * time.Second
	// eventsWrite is how long a reader may leave an event lying.
	eventsWrite = 15 * time.Second
	// eventsOfOne and eventsOfAll bound the streams of a session and of the server.
	eventsOfOne = 4
	eventsOfAll = 8192
)

// watchers are the streams that are open, by account.
type watchers struct {
	mu      sync.Mutex
	open    int
	stopped chan struct{}
	of      map[store.ID]map[*watcher]bool
}

type watcher struct {
	session store.ID
	poked   chan struct{}
	changed atomic.Bool // whether the account has, beside its requests
}

func newWatchers() *watchers {
	return &watchers{stopped: make(chan struct{}), of: map[store.ID]map[*watcher]bool{}}
}

// add is nil when there are too many.
func (w *watchers) add(account, session store.ID) *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	same := 0
	for other := range w.of[account] {
		if other.session == session {
			same++
		}
	}
	if same >= eventsOfOne || w.open >= eventsOfAll {
		return nil
	}
	n := &watcher{session: session, poked: make(chan struct{}, 1)}
	if w.of[account] == nil {
		w.of[account] = map[*watcher]bool{}
	}
	w.of[account][n] = true
	w.open++
	return n
}

func (w *watchers) drop(account store.ID, n *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.of[account], n)
	w.open--
	if len(w.of[account]) == 0 {
		delete(w.of, account)
	}
}

// poke makes an account's streams look at once. changed says that there is more
// to see than its requests, which a stream tells apart by itself.
func (w *watchers) poke(account store.ID, changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n := range w.of[account] {
		if changed {
			n.changed.Store(true)
		}
		select {
		case n.poked <- struct{}{}:
		default:
		}
	}
}

// stop ends all streams, so that the server can.
func (w *watchers) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.stopped:
	default:
		close(w.stopped)
	}
}

// events answers with what appears by itself, in the form of server-sent
// events: "requests", all of them, at once and whenever they change; "changed",
// when something else of the account has, after the requests where both have;
// "ended", when the session is. It is opened by a signed POST, as every call on a
// session: a GET could carry the session only in an address or a cookie.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	var a session.Actor
	var by gate.Caller
	_, err := s.run(w, r, api.PathEvents, func(ctx context.Context, c call) (_ any, err error) {
		a, by, err = s.on(ctx, c, "events")
		return nil, err
	})
	var n *watcher
	if err == nil {
		if n = s.watchers.add(a.Account.ID, a.Session.ID); n == nil {
			err = problem(http.StatusTooManyRequests, api.TooMany, api.ReasonStreams, "Too many streams of events", "Close some of the account's pages.")
		}
	}
	if err != nil {
		s.metrics.observe(api.PathEvents, s.answer(w, nil, err), time.Since(began))
		return
	}
	defer s.watchers.drop(a.Account.ID, n)
	s.metrics.observe(api.PathEvents, http.StatusOK, time.Since(began))
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	s.watchers.watch(r.Context(), w, n, func(ctx context.Context) (sight, error) { return s.seen(ctx, a, by) })
}

// sight is what a stream sees of its account when it looks.
type sight struct {
	living   bool               // the session
	requests []byte             // as JSON
	lines    [store.Rings]int64 // how many the ledger has had: whichever node wrote one, the account has changed
}

// watch writes a stream until its session, its reader, its time or the server
// has ended.
func (all *watchers) watch(ctx context.Context, w http.ResponseWriter, n *watcher, look func(context.Context) (sight, error)) {
	control := http.NewResponseController(w)
	said := time.Now()
	send := func(text string) bool {
		said = time.Now()
		control.SetWriteDeadline(time.Now().Add(eventsWrite)) // where the connection has one
		_, err := io.WriteString(w, text)
		return err == nil && control.Flush() == nil
	}
	life, again := time.NewTimer(eventsLife), time.NewTicker(eventsLook)
	defer life.Stop()
	defer again.Stop()
	var before sight
	// An attempt that began at another node was found by looking. Its line is
	// the same one when it ends there, so the next look tells of that unasked.
	var ends bool
	for {
		changed := n.changed.Swap(false) // before the look: what comes later is the next one's
		now, err := look(ctx)
		if err != nil {
			return // the next stream's beginning says what it is
		}
		if !now.living {
			send("event: ended\ndata: {}\n\n")
			return
		}
		text := ""
		if !bytes.Equal(now.requests, before.requests) {
			text = "event: requests\ndata: " + string(now.requests) + "\n\n"
		}
		moved := before.living && now.lines != before.lines
		if changed || moved || ends {
			text += "event: changed\ndata: {}\n\n"
		}
		before, ends = now, moved && !changed
		if text == "" && time.Since(said) >= eventsSign {
			text = ":\n\n"
		}
		if text != "" && !send(text) {
			return
		}
		select {
		case <-n.poked:
		case <-again.C:
		case <-life.C:
			return
		case <-ctx.Done():
			return
		case <-all.stopped:
			return
		}
	}
}

// seen asks the gate again, since much can have happened while a stream was
// open. It does not count as a use of the session: a page that was left open
// does not keep it alive.
func (s *Server) seen(ctx context.Context, a session.Actor, by gate.Caller) (sight, error) {
	var now session.Actor
	var out sight
	err := s.store.View(ctx, func(tx store.Tx) error {
		against, err := s.sessions.Look(tx, a.Session.ID, by, &now)
		out.living = len(against) == 0
		return err
	})
	if err != nil || !out.living {
		return out, err
	}
	out.lines = now.Account.Hot.Seq
	all, err := s.accounts.Requests(ctx, now)
	if err != nil {
		return out, err
	}
	out.requests, err = json.Marshal(shown(all))
	return out, err
}
