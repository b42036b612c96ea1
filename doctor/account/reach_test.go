package account

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/policy"
)

// noName is a name service that knows nothing, or does not answer.
type noName struct{ err *net.DNSError }

func (n noName) LookupHost(context.Context, string) ([]string, error) { return nil, n.err }

// moved is the same device, enrolled at another address.
func moved(t *testing.T, a *agent.Agent, server string) *agent.Agent {
	t.Helper()
	b := twin(t, a)
	id, err := b.Identity()
	must(t, err)
	id.Server = server
	must(t, b.Home.SaveIdentity(id))
	return b
}

// hangUp takes connections and closes them at once.
func hangUp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

func serving(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// stand is an account server that answers what needs no key.
func stand(t *testing.T, change func(*api.Hello), ready int) string {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case api.PathHello:
			h := api.Hello{Protocol: api.Protocol, URL: s.URL, Time: time.Now().UnixMilli()}
			if change != nil {
				change(&h)
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(h)
		case api.PathReady:
			if ready == http.StatusOK {
				return
			}
			fallthrough
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(api.Problem{Title: "down", Status: http.StatusServiceUnavailable, Code: api.Unavailable})
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestUnreached makes each way in which a server is not reached, over real
// connections.
func TestUnreached(t *testing.T) {
	t.Parallel()
	device := enrolled(t)
	closed, err := freeAddress()
	must(t, err)
	silent := httptest.NewUnstartedServer(http.NotFoundHandler())
	silent.Config.ErrorLog = log.New(io.Discard, "", 0)
	silent.StartTLS()
	t.Cleanup(silent.Close)
	plain := serving(t, func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		name, server string
		cause        cause.Code
		check        cause.Check
		got          string
	}{
		{"closed", "http://" + closed, "unreachable", cause.CheckConnection, "refused"},
		{"hangs up", hangUp(t), "unreachable", cause.CheckConnection, "cut-off"},
		{"a page", serving(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>Log in to this hotel")) }), "unreachable", cause.CheckConnection, "other-server"},
		{"JSON of another", serving(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{}`))
		}), "unreachable", cause.CheckConnection, "other-server"},
		{"sent on", serving(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}), "unreachable", cause.CheckConnection, "other-server"},
		{"another address", stand(t, func(h *api.Hello) { h.URL = "https://id.example.org" }, http.StatusOK), "unreachable", cause.CheckConnection, "other-server"},
		{"somebody's certificate", silent.URL, "tls-intercepted", cause.CheckTLS, "untrusted"},
		{"no TLS", "https" + strings.TrimPrefix(plain, "http"), "tls-intercepted", cause.CheckTLS, "no-tls"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ex, w := examine(t, moved(t, device, c.server))
			if len(ex.Findings) != 1 || ex.Findings[0].Cause != c.cause || !slices.Equal(words(ex, c.check), []string{c.got}) {
				t.Fatalf("found %q: %v", found(ex), ex.Findings)
			}
			if !ex.Unreached() || ex.SignedIn || !ex.Enrolled {
				t.Errorf("unreached: %t, signed in: %t, enrolled: %t", ex.Unreached(), ex.SignedIn, ex.Enrolled)
			}
			for _, later := range []string{"server", "clock", "versions", "session", "last refusal"} {
				if w.saw[later] != leftOut || w.bad[later] {
					t.Errorf("%s: %q", later, w.saw[later])
				}
			}
			plan, err := ex.Plan(journal(moved(t, device, c.server)))
			if len(plan) > 0 || err != nil {
				t.Errorf("plan %v, %v: nothing on this device is broken", told(plan), err)
			}
		})
	}
}

// TestNoName asks name services that fail for a name that cannot exist (RFC
// 2606), so that the connection fails the same way wherever the test runs.
func TestNoName(t *testing.T) {
	t.Parallel()
	a := moved(t, enrolled(t), "https://account.invalid")
	for got, err := range map[string]*net.DNSError{
		"no-such-name": {Err: "no such host", IsNotFound: true}, "no-answer": {Err: "timeout", IsTimeout: true},
	} {
		ex, _ := examineWith(t, &Examiner{Agent: a, Resolver: noName{err}})
		if found(ex) != "unreachable" || !slices.Contains(words(ex, cause.CheckName), got) || !ex.Unreached() {
			t.Errorf("%s: found %q: %v", got, found(ex), ex.Findings)
		}
	}
}

// TestServiceFault: a server that says it cannot work is not the person's fault.
func TestServiceFault(t *testing.T) {
	t.Parallel()
	device := enrolled(t)
	for name, ready := range map[string]int{"says it is not ready": http.StatusServiceUnavailable, "fails when asked": http.StatusOK} {
		t.Run(name, func(t *testing.T) {
			ex, _ := examine(t, moved(t, device, stand(t, nil, ready)))
			if found(ex) != "service-fault" || !ex.Unreached() || ex.SignedIn {
				t.Errorf("found %q: %v", found(ex), ex.Findings)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	device := enrolled(t)
	system, _ := agent.System()
	far := policy.Version{9999}
	for name, p := range map[string]policy.Policy{
		"client":   {Clients: map[string]policy.Version{"readmit": far}},
		"system":   {Systems: map[string]policy.Version{system: far}},
		"protocol": {Protocol: api.Protocol + 1},
	} {
		t.Run(name, func(t *testing.T) {
			ex, w := examine(t, moved(t, device, stand(t, func(h *api.Hello) { h.Policy = p }, http.StatusOK)))
			if !strings.HasPrefix(found(ex), "client-outdated") && !strings.Contains(found(ex), " client-outdated") || !w.bad["versions"] {
				t.Errorf("found %q", found(ex))
			}
		})
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"fast": 10 * time.Minute, "slow": -10 * time.Minute, "a year": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			a := enrolled(t)
			a.Now = func() time.Time { return time.Now().Add(off) }
			ex, w := examine(t, a)
			if !strings.HasPrefix(found(ex), "clock-off") || !w.bad["clock"] {
				t.Errorf("found %q", found(ex))
			}
			if got := words(ex, cause.CheckClock); len(got) == 0 || got[0] != off.String() {
				t.Errorf("evidence %q, want %s", got, off)
			}
			a.Now = func() time.Time { return time.Now().Add(off / 1000) }
			if ex, _ := examine(t, a); name != "a year" && found(ex) != "" {
				t.Errorf("a clock that is nearly right: found %q", found(ex))
			}
		})
	}
}

// TestWell: on a device that is signed in, everything is looked at, in order.
func TestWell(t *testing.T) {
	t.Parallel()
	ex, w := examine(t, enrolled(t))
	if found(ex) != "" || !ex.SignedIn || !ex.Enrolled || ex.Server != where || ex.Unreached() || ex.SignInEnds() || ex.Findings == nil {
		t.Errorf("found %q at %s, signed in: %t", found(ex), ex.Server, ex.SignedIn)
	}
	want := []string{"state files", "key store", "device key", "agent", "server's name", "connection", "server", "clock", "versions", "session", "last refusal", "services", "agent's calls"}
	if !slices.Equal(w.names, want) {
		t.Errorf("looked at %q", w.names)
	}
	for _, name := range w.names {
		if w.bad[name] || w.saw[name] == "" {
			t.Errorf("%s: %q", name, w.saw[name])
		}
	}
}

// TestNotEnrolled: a device that never was has nothing that could be broken.
func TestNotEnrolled(t *testing.T) {
	t.Parallel()
	ex, w := examine(t, newDevice(t))
	if found(ex) != "" || ex.Enrolled || ex.SignedIn || len(w.names) != 4 {
		t.Errorf("found %q, looked at %q", found(ex), w.names)
	}
	ex, w = examineWith(t, &Examiner{Agent: newDevice(t), Server: where})
	if found(ex) != "" || ex.Enrolled || ex.SignedIn || ex.Server != where || len(w.names) != 13 {
		t.Errorf("found %q, looked at %q", found(ex), w.names)
	}
	closed, err := freeAddress()
	must(t, err)
	if ex, _ = examineWith(t, &Examiner{Agent: newDevice(t), Server: "http://" + closed}); found(ex) != "unreachable" {
		t.Errorf("found %q", found(ex))
	}
}

// TestLastRefusal: what the server tells an enrolled device of its own failure
// is what the examination finds.
func TestLastRefusal(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	id, err := a.Identity()
	must(t, err)
	_, err = a.SignOut(t.Context())
	must(t, err)
	_, err = a.SignIn(t.Context(), where, id.Account, "zq seven grey lanterns", "", "laptop")
	refused := new(agent.RefusedError)
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	ex, w := examine(t, a)
	if found(ex) != "password-wrong" || ex.Audience != cause.Holder.String() || ex.Incident != refused.Reference || !ex.SignInEnds() {
		t.Errorf("found %q for %s of %s; %v", found(ex), ex.Audience, ex.Incident, w.saw)
	}
	if plan, err := ex.Plan(journal(a)); len(plan) > 0 || err != nil {
		t.Errorf("plan %v, %v", told(plan), err)
	}
	later := *a
	later.Now = func() time.Time { return time.Now().Add(lately + time.Hour) }
	if _, ok := (&running{x: &Examiner{Agent: &later}, ex: &Examination{}}).newest(); ok {
		t.Error("a refusal of the day before yesterday still counts")
	}

	// A device that nobody knows is told no more than anyone.
	b := newDevice(t)
	_, err = b.SignIn(t.Context(), where, id.Account, "zq seven grey lanterns", "", "mallory")
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	if ex, _ := examine(t, b); found(ex) != string(cause.Refused) || ex.Audience != cause.Anyone.String() || len(ex.Findings[0].Evidence) > 0 {
		t.Errorf("a stranger finds %q for %s", found(ex), ex.Audience)
	}
}

// TestInterrupted: an examination that is broken off says so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Examiner{Agent: newDevice(t), Server: where}).Examine(ctx, &watched{saw: map[string]string{}, bad: map[string]bool{}}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
