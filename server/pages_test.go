package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
)

// TestCrossSite: what a browser says another site's page has sent is taken by
// no path, whatever else is right about it.
func TestCrossSite(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for _, path := range posts {
		for what, tt := range map[string]struct {
			header, value string
			refused       bool
		}{
			"a program":              {"", "", false},
			"our own page":           {"Sec-Fetch-Site", "same-origin", false},
			"our own origin":         {"Origin", publicURL, false},
			"another site":           {"Sec-Fetch-Site", "cross-site", true},
			"a sister site":          {"Sec-Fetch-Site", "same-site", true},
			"typed by a person":      {"Sec-Fetch-Site", "none", true},
			"another origin":         {"Origin", "https://evil.example", true},
			"an origin that is none": {"Origin", "null", true},
			"our name, no TLS":       {"Origin", strings.Replace(publicURL, "https", "http", 1), true},
			"our name, as a part":    {"Origin", publicURL + ".evil.example", true},
		} {
			r := laptop.sign(path, []byte(`{"session":"`+laptop.in.Session[:8]+`"}`))
			if tt.header != "" {
				r.Header.Set(tt.header, tt.value)
			}
			a := w.serve(w.public, r)
			if refused := a.status == http.StatusForbidden; refused != tt.refused {
				t.Errorf("%s from %s: %d", path, what, a.status)
			}
			if tt.refused {
				wantCode(t, path, a.problem(t), api.BadRequest)
			}
		}
	}
	// The host a request names does not make its origin ours.
	r := laptop.sign(api.PathDevices, []byte(`{"session":"`+laptop.in.Session+`"}`))
	r.Host = "evil.example"
	r.Header.Set("Origin", "https://evil.example")
	if a := w.serve(w.public, r); a.status != http.StatusForbidden {
		t.Errorf("another host with its own origin: %d", a.status)
	}
}

// TestNoFraming: nothing that the server answers, errors included, may be
// shown in a frame or run what stands in it.
func TestNoFraming(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/account", "/recover", "/desk", "/incident/4K7Q-9FXM", "/help/4001", "/help/no-such", "/nothing", "/v1/hello", "/v1/nothing", "/qr/4K7Q-9FXM", "/qr/x", "/static/x/js/home.js"} {
		for _, accept := range []string{"", "text/html"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept", accept)
			a := w.serve(w.public, r)
			csp := a.header.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe-inline") || strings.Contains(csp, "'unsafe-eval'") {
				t.Errorf("%s (%d): policy %q", path, a.status, csp)
			}
			if a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s (%d): its type may be guessed", path, a.status)
			}
		}
	}
	if a := w.serve(w.public, httptest.NewRequest(http.MethodPost, "/v1/token", nil)); !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Error("a refusal may be framed")
	}
}

// TestAddressesOfConfiguration: no header of a request gets into a page or a
// QR code.
func TestAddressesOfConfiguration(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/account", "/recover", "/desk", "/help/4001", "/qr/4K7Q-9FXM", "/nothing", "//evil.example/x"} {
		want := w.get(path)
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.Header.Set("X-Forwarded-Proto", "ftp")
		r.Header.Set("Forwarded", "host=evil.example")
		r.Header.Set("Referer", "https://evil.example/")
		got := w.serve(w.public, r)
		if got.status != want.status || string(got.body) != string(want.body) || strings.Contains(got.header.Get("Location"), "evil.example") {
			t.Errorf("%s differs for another host: %d, %q", path, got.status, got.header)
		}
		html := httptest.NewRequest(http.MethodGet, path, nil)
		html.Header.Set("Accept", "text/html")
		if a := w.serve(w.public, html); strings.Contains(string(a.body), "//evil.example") {
			t.Errorf("%s: what was asked for has become a link", path)
		}
	}
}

// stream opens the events of a machine on a listening server and returns what
// comes, event by event.
func stream(t *testing.T, m *machine, server *httptest.Server) (<-chan string, func()) {
	t.Helper()
	body, err := json.Marshal(m.signed())
	must(t, err)
	signed := m.sign(api.PathEvents, body)
	ctx, stop := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+api.PathEvents, strings.NewReader(string(body)))
	must(t, err)
	r.Header.Set(api.HeaderProof, signed.Header.Get(api.HeaderProof))
	a, err := server.Client().Do(r)
	must(t, err)
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("events: %d %s", a.StatusCode, a.Header.Get("Content-Type"))
	}
	out := make(chan string, 16)
	go func() {
		defer close(out)
		defer a.Body.Close()
		lines := bufio.NewScanner(a.Body)
		kind := ""
		for lines.Scan() {
			if k, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = k
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- kind + " " + data
			}
		}
	}()
	return out, stop
}

// byItself is shorter than the time after which a stream looks by itself.
const byItself = 3 * time.Second

func next(t *testing.T, events <-chan string) string {
	t.Helper()
	return nextOf(t, events, "", byItself)
}

// nextOf is the next event of a kind.
func nextOf(t *testing.T, events <-chan string, kind string, most time.Duration) string {
	t.Helper()
	late := time.After(most)
	for {
		select {
		case e, open := <-events:
			if !open {
				t.Fatal("the stream is over")
			}
			if strings.HasPrefix(e, kind) {
				return e
			}
		case <-late:
			t.Fatalf("nothing %s appears by itself", kind)
		}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.public)
	defer server.Close()
	laptop := w.enrolled(jane, "laptop")
	other := w.enrolled("other@example.org", "other's")
	events, stop := stream(t, laptop, server)
	defer stop()
	others, stopOthers := stream(t, other, server)
	defer stopOthers()
	const none = `requests {"requests":[]}`
	if e := next(t, events); e != none {
		t.Fatalf("at first: %s", e)
	}
	if e := next(t, others); e != none {
		t.Fatalf("another's at first: %s", e)
	}
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	if e := nextOf(t, events, "requests", byItself); !strings.Contains(e, `"id":"`+need.Request+`"`) || !strings.Contains(e, `"status":"waiting"`) {
		t.Errorf("a new device asks: %s", e)
	}
	allowed := laptop.allow(need)
	if e := nextOf(t, events, "requests", byItself); !strings.Contains(e, `"status":"allowed"`) {
		t.Errorf("allowed: %s", e)
	}
	wantCode(t, "code", phone.code(need, allowed.Code), 0)
	if e := nextOf(t, events, "requests", byItself); !strings.Contains(e, `"status":"done"`) {
		t.Errorf("signed in: %s", e)
	}
	// In the same look: the account has one more device.
	if e := next(t, events); e != "changed {}" {
		t.Errorf("after the requests: %s", e)
	}
	select {
	case e := <-others:
		t.Errorf("another account is told: %s", e)
	default:
	}

	// What ends the session ends the stream.
	var ended api.SignedOut
	wantCode(t, "sign out everywhere", phone.call(api.PathSignOutAll, phone.signed(), &ended), 0)
	if ended.SessionsEnded != 2 {
		t.Errorf("%d sessions ended", ended.SessionsEnded)
	}
	if e := nextOf(t, events, "ended", byItself); e != "ended {}" {
		t.Errorf("after signing out: %s", e)
	}
	if _, open := <-events; open {
		t.Error("the stream goes on")
	}
	refusedWith(t, laptop.refresh())
	refusedWith(t, phone.refresh())
	wantCode(t, "the other account", other.refresh(), 0)
	if out, p := laptop.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Errorf("a device that was signed out is no longer enrolled: %v", p)
	}
}

// TestStreamIsNoDelivery: what was written to a stream may lie in the socket of a
// machine that sleeps. A device has a request once it has asked for it.
func TestStreamIsNoDelivery(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.public)
	defer server.Close()
	laptop := w.enrolled(jane, "laptop")
	events, stop := stream(t, laptop, server)
	defer stop()
	next(t, events)
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	if e := nextOf(t, events, "requests", byItself); !strings.Contains(e, need.Request) {
		t.Fatalf("a new device asks: %s", e)
	}
	laptop.asOwner(t, phone.code(need, ""), "code-undelivered")
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), nil), 0)
	laptop.asOwner(t, phone.code(need, ""), "factor-unfinished")
}

// TestEventsOfAnotherNode: a request that is made at one node is at once on a
// stream that another one holds, and so is what becomes of it; all else that the
// ledger tells is there when the stream looks by itself.
func TestEventsOfAnotherNode(t *testing.T) {
	here := newWorld(t)
	there := here.beside()
	listening := httptest.NewServer(there.public)
	defer listening.Close()
	laptop := here.enrolled(jane, "laptop")
	laptop.w = there
	events, stop := stream(t, laptop, listening)
	defer stop()
	within := func(most time.Duration, what string, do func(), kind string, parts ...string) {
		t.Helper()
		began := time.Now()
		do()
		e := nextOf(t, events, kind, most+time.Second)
		if took := time.Since(began); took > most {
			t.Errorf("%s: after %v, want %v at most", what, took, most)
		}
		for _, p := range parts {
			if !strings.Contains(e, p) {
				t.Errorf("%s: %s does not say %s", what, e, p)
			}
		}
	}
	within(time.Second, "at first", func() {}, "requests", `{"requests":[]}`)
	phone := here.machine("phone")
	var need *api.NeedCode
	within(time.Second, "a new device asks", func() { need = phone.needCode(jane, password, "") }, "requests", `"status":"waiting"`)
	laptop.w = here
	var allowed api.Allowed
	within(time.Second, "allowed", func() { allowed = laptop.allow(need) }, "requests", `"status":"allowed"`)
	within(time.Second, "signed in", func() { wantCode(t, "code", phone.code(need, allowed.Code), 0) }, "requests", `"status":"done"`)
	within(time.Second, "its device", func() {}, "changed")
	within(6*time.Second, "recovery codes, of which only the ledger tells", func() { laptop.codes() }, "changed")
}

// TestEventsAreBounded: one session cannot hold all streams.
func TestEventsAreBounded(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.public)
	defer server.Close()
	laptop := w.enrolled(jane, "laptop")
	for range 4 {
		events, stop := stream(t, laptop, server)
		defer stop()
		next(t, events)
	}
	wantCode(t, "one more", laptop.call(api.PathEvents, laptop.signed(), nil), api.TooMany)
	refusedWith(t, w.machine("stranger").call(api.PathEvents, laptop.signed(), nil))
}
