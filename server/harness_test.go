package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

// publicURL is what proofs are made for; the handler is called directly, so
// nothing has to listen there.
const publicURL = "https://id.example.org"

const (
	jane     = "jane@example.org"
	password = "correct horse battery staple"
)

// clock is the server's time, set by the test.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	moved time.Time // when it was set last
}

// justSet reports whether the clock was set a moment ago: until its next look a
// node does not know what has changed meanwhile.
func (c *clock) justSet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.moved) < time.Second
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.moved = c.at.Add(d), time.Now()
}

// logBuffer takes what the server logs, from many goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// faulty is a store whose disk can fail: it then reads and cannot write.
type faulty struct {
	store.Store
	failing atomic.Bool
	before  atomic.Pointer[func()] // runs once, before the next change
}

func (f *faulty) Update(ctx context.Context, g func(store.Tx) error) error {
	if f.failing.Load() {
		return fmt.Errorf("%w: the disk is full", store.ErrUnavailable)
	}
	if before := f.before.Swap(nil); before != nil {
		(*before)()
	}
	return f.Store.Update(ctx, g)
}

func (f *faulty) Ready(ctx context.Context) error {
	if f.failing.Load() {
		return store.ErrUnavailable
	}
	return f.Store.Ready(ctx)
}

// world is a server on a real store, with the clock in the test's hand.
type world struct {
	t       testing.TB
	dir     string
	clock   *clock
	proxy   netip.Addr
	invited bool // whether sign-up needs an invitation
	logs    *logBuffer
	errors  *logBuffer // all bodies of answers that are problems
	post    *postbox   // takes the messages that deliver sends
	store   *faulty
	keys    *keys.Ring
	server  *server.Server
	follow  func() // ends what follows the changes
	public  http.Handler
	admin   http.Handler

	stretch   opaque.Stretch // that is announced
	stretches *stretches
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, stretches: newStretches(), dir: t.TempDir(), clock: &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, logs: &logBuffer{}, errors: &logBuffer{}, post: &postbox{}}
	w.start()
	t.Cleanup(func() {
		w.follow()
		if err := w.store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return w
}

func (w *world) start() {
	w.t.Helper()
	ctx := context.Background()
	master, err := keys.Master(w.dir)
	must(w.t, err)
	kept, err := sqlite.Open(w.dir)
	must(w.t, err)
	w.store = &faulty{Store: kept}
	w.keys, err = keys.Open(ctx, w.store, master, w.clock.now)
	must(w.t, err)
	w.server, err = server.New(ctx, server.Options{
		URL: publicURL, Open: !w.invited, Stretch: w.stretch, Proxy: w.proxy, Store: w.store, Keys: w.keys, Gate: gate.New(w.clock.now), Senders: w.post.senders(),
		Log: slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(w.t, err)
	following, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.server.Follow(following)
	}()
	w.follow = func() {
		stop()
		<-ended
	}
	w.public, w.admin = w.server.Handler(), w.server.AdminHandler()
}

// beside is another node on the same store, which runs as long as the test does.
func (w *world) beside() *world {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	n := &world{t: w.t, dir: w.dir, clock: w.clock, logs: w.logs, errors: w.errors, post: w.post, store: w.store, keys: w.keys}
	var err error
	n.server, err = server.New(ctx, server.Options{
		URL: publicURL, Open: true, Shared: true, Store: w.store, Keys: w.keys, Gate: gate.New(w.clock.now), Senders: w.post.senders(),
		Log: slog.New(slog.NewTextHandler(w.logs, nil)),
	})
	must(w.t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.server.Follow(ctx)
	}()
	w.t.Cleanup(func() {
		stop()
		<-ended
	})
	n.public, n.admin = n.server.Handler(), n.server.AdminHandler()
	return n
}

// restart stops the server as a signal would, and starts another on its data.
func (w *world) restart() {
	w.t.Helper()
	must(w.t, w.server.Flush(context.Background()))
	w.follow()
	must(w.t, w.store.Close())
	w.start()
}

// days lets time pass with the upkeep that goes with it.
func (w *world) days(n int) {
	w.t.Helper()
	must(w.t, w.server.Flush(context.Background()))
	for range n {
		w.clock.advance(24 * time.Hour)
		must(w.t, w.keys.Rotate(context.Background()))
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem reads the answer as a problem; nil when it is none.
func (a answer) problem(t testing.TB) *api.Problem {
	t.Helper()
	if a.status < 300 {
		return nil
	}
	p := new(api.Problem)
	if err := json.Unmarshal(a.body, p); err != nil || p.Status != a.status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d without a problem: %v: %.200s", a.status, err, a.body)
	}
	return p
}

func (w *world) serve(h http.Handler, r *http.Request) answer {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if rec.Code >= 400 {
		w.errors.Write(rec.Body.Bytes())
	}
	return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (w *world) get(path string) answer {
	return w.serve(w.public, httptest.NewRequest(http.MethodGet, path, nil))
}

func (w *world) nonce() string { return w.get(api.PathHealth).header.Get(api.HeaderNonce) }

// operator calls the operator's socket's handler.
func (w *world) operator(path string, in, out any) *api.Problem {
	w.t.Helper()
	body, err := json.Marshal(in)
	must(w.t, err)
	a := w.serve(w.admin, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body)))
	if p := a.problem(w.t); p != nil {
		return p
	}
	w.read(a, out)
	return nil
}

func (w *world) operatorGet(path string) answer {
	return w.serve(w.admin, httptest.NewRequest(http.MethodGet, path, nil))
}

func (w *world) read(a answer, out any) {
	w.t.Helper()
	if out == nil {
		return
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		w.t.Fatalf("answer: %v", err)
	}
}

// act makes the operator do something to an account.
func (w *world) act(path, account string) {
	w.t.Helper()
	if p := w.operator(path, api.AdminAccount{Account: account}, nil); p != nil {
		w.t.Fatalf("%s: %v", path, p)
	}
}

// activity is the account's ledger as the operator sees it.
func (w *world) activity(account string) []api.Activity {
	w.t.Helper()
	var out api.Activities
	if p := w.operator(api.AdminActivity, api.AdminAccount{Account: account}, &out); p != nil {
		w.t.Fatalf("activity: %v", p)
	}
	return out.Activity
}

// forOperator explains a refusal to the operator.
func (w *world) forOperator(p *api.Problem) cause.Report {
	w.t.Helper()
	var r cause.Report
	if err := w.operator(api.AdminExplain, api.Explain{Incident: p.Incident}, &r); err != nil {
		w.t.Fatalf("explain to the operator: %v", err)
	}
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refusedWith fails unless p is a refusal.
func refusedWith(t testing.TB, p *api.Problem) *api.Problem {
	t.Helper()
	if p == nil {
		t.Fatal("not refused")
	}
	if p.Code != api.Failed || p.Status != http.StatusUnauthorized || p.Incident == "" || p.Reference == "" {
		t.Fatalf("not a refusal: %d, code %d, %s", p.Status, p.Code, p.Error())
	}
	return p
}

// codeOf is the code of a problem, 0 for none.
func codeOf(p *api.Problem) int {
	if p == nil {
		return 0
	}
	return p.Code
}

func wantCode(t testing.TB, what string, p *api.Problem, code int) {
	t.Helper()
	if codeOf(p) != code {
		t.Errorf("%s: code %d (%v), want %d", what, codeOf(p), p, code)
	}
}

// causes lists a report's causes, the likeliest first.
func causes(r cause.Report) string {
	var s []string
	for _, f := range r.Findings {
		s = append(s, string(f.Cause))
	}
	return strings.Join(s, " ")
}

func wantCauses(t testing.TB, r cause.Report, audience cause.Audience, want string) {
	t.Helper()
	if r.Audience != audience.String() || causes(r) != want {
		t.Errorf("%s is told %q, want %s and %q", r.Audience, causes(r), audience, want)
	}
}

// evidence is what a report's first finding found by a check.
func evidence(r cause.Report, c cause.Check) string {
	for _, f := range r.Findings[0].Evidence {
		if f.Check() == c {
			return f.Got()
		}
	}
	return ""
}

func wantEvidence(t testing.TB, r cause.Report, c cause.Check, want string) {
	t.Helper()
	if got := evidence(r, c); got != want {
		t.Errorf("%s: evidence %s is %q, want %q", causes(r), c, got, want)
	}
}

// atOnce runs f n times, released together.
func atOnce(n int, f func(i int)) {
	var ready, done sync.WaitGroup
	release := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-release
			f(i)
		})
	}
	ready.Wait()
	close(release)
	done.Wait()
}
