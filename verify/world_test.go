package verify

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/device"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/verify/verifytest"
)

const (
	issuer  = "https://id.example.org"
	service = "https://notes.example.org"
)

// inProcess calls a handler without a network, so that time can be synctest's.
type inProcess struct{ h http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		t.h.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), r.Context().Err()
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
}

// world is a service with its verifier, and an account server.
type world struct {
	t      testing.TB
	server *verifytest.Server
	v      *Verifier
	stop   func()
}

func secret() (string, error) { return verifytest.Secret, nil }

const pushToken = "rmp_of-the-tests"

func config(s *verifytest.Server) Config {
	return Config{Issuer: issuer, Audience: service, Secret: secret, Client: &http.Client{Transport: inProcess{s}}}
}

// newWorld begins some seconds after the verifier: what is issued from now on is
// not from before its start.
func newWorld(t testing.TB, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, server: verifytest.New(issuer, service)}
	c := config(w.server)
	if change != nil {
		change(&c)
	}
	w.start(c)
	return w
}

func (w *world) start(c Config) {
	w.t.Helper()
	w.begin(c)
	time.Sleep(margin + time.Second)
}

func (w *world) begin(c Config) {
	w.t.Helper()
	v, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	w.v, w.stop = v, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.t.Errorf("Run ended with %v", err)
		}
	}
	synctest.Wait()
	time.Sleep(time.Second)
}

// in runs a test in a bubble whose time is the test's own.
func in(t *testing.T, change func(*Config), test func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, change)
		defer func() { w.stop() }()
		test(t, w)
	})
}

func pushed(c *Config) { c.PushToken = func() (string, error) { return pushToken, nil } }

// request is a request as a right client makes it.
func (w *world) request(p *verifytest.Person, token, method, path, body string) *http.Request {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	proof, err := p.Key.Sign(device.Request{Method: method, URL: service + path, Token: token, Body: []byte(body), Time: time.Now()})
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", proof)
	return r
}

// outcome is an answer: whom the handler saw, or the problem.
type outcome struct {
	passed  bool
	who     Identity
	body    string
	status  int
	header  http.Header
	problem Problem
}

func (w *world) serve(r *http.Request) outcome {
	w.t.Helper()
	var o outcome
	rec := httptest.NewRecorder()
	w.v.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		o.who, o.passed = FromContext(r.Context())
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
		}
		o.body = string(b)
	})).ServeHTTP(rec, r)
	o.status, o.header = rec.Code, rec.Header()
	if !o.passed {
		if kind := o.header.Get("Content-Type"); kind != "application/problem+json" {
			w.t.Errorf("a refusal of type %q", kind)
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &o.problem); err != nil {
			w.t.Errorf("%q: %v", rec.Body, err)
		}
	}
	return o
}

// use sends a token with a right proof, and says why it was refused; "" when
// it was not.
func (w *world) use(p *verifytest.Person, token string) Reason {
	w.t.Helper()
	return w.serve(w.request(p, token, "GET", "/notes", "")).problem.Reason
}

func (w *world) want(p *verifytest.Person, token string, want Reason, when string) {
	w.t.Helper()
	if got := w.use(p, token); got != want {
		w.t.Errorf("%s: %q, want %q", when, got, want)
	}
}

func TestTokenLifeIsTheServers(t *testing.T) {
	if tokenLife != session.TokenLife {
		t.Errorf("tokens live %s, signals are remembered for tokens of %s", session.TokenLife, tokenLife)
	}
}
