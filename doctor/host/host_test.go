package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"readmit.dev/readmit/cause"
)

// TestMain sets the proxies before anything asks for them: net/http reads
// these variables once in the life of a process.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "REQUEST_METHOD"} {
		os.Unsetenv(name)
		os.Unsetenv(strings.ToLower(name))
	}
	os.Setenv("HTTPS_PROXY", "http://somebody:zqproxysecret@proxy.example.org:3128")
	os.Setenv("NO_PROXY", "direct.example.org,.inside.example.org")
	os.Exit(m.Run())
}

// resolver answers with an error of its own, and remembers what was asked.
type resolver struct {
	err   error
	asked []string
}

func (r *resolver) LookupHost(_ context.Context, name string) ([]string, error) {
	r.asked = append(r.asked, name)
	if r.err != nil {
		return nil, r.err
	}
	return []string{"192.0.2.1"}, nil
}

// only sees that there is one fact, of this check, with these values.
func only(t *testing.T, facts []cause.Fact, check cause.Check, want, got string) {
	t.Helper()
	if len(facts) != 1 {
		t.Fatalf("facts %v, want one", facts)
	}
	f := facts[0]
	if f.Check() != check || f.Want() != want || f.Got() != got || f.Seen() != cause.ByDevice {
		t.Errorf("%s: want %q, got %q, seen by %s", f.Check(), f.Want(), f.Got(), f.Seen())
	}
}

func none(t *testing.T, facts []cause.Fact) {
	t.Helper()
	if len(facts) != 0 {
		t.Errorf("facts %v, want none", facts)
	}
}

func TestName(t *testing.T) {
	gone := &net.DNSError{Err: "no such host", Name: "direct.example.org", IsNotFound: true}
	slow := &net.DNSError{Err: "i/o timeout", Name: "direct.example.org", IsTimeout: true}
	for _, c := range []struct {
		server, got string // an empty got: the name is not looked up
		err         error
	}{
		{"https://direct.example.org", "resolves", nil},
		{"https://direct.example.org:8443", "resolves", nil},
		{"https://direct.example.org", "no-such-name", gone},
		{"https://direct.example.org", "no-such-name", fmt.Errorf("lookup: %w", gone)},
		{"https://direct.example.org", "no-answer", slow},
		{"https://direct.example.org", "no-answer", errors.New("something else")},
		{"https://direct.example.org", "no-answer", context.DeadlineExceeded},
		{"http://localhost:4001", "resolves", nil},
		{"https://192.0.2.1", "", gone},
		{"https://192.0.2.1:8443", "", gone},
		{"https://[2001:db8::1]:8443", "", gone},
		{"http://127.0.0.1:4001", "", gone},
		{"https://id.example.org", "", gone}, // the proxy looks it up
	} {
		r := &resolver{err: c.err}
		facts, saw := Name(t.Context(), r, c.server)
		switch c.got {
		case "":
			none(t, facts)
			if len(r.asked) > 0 || saw == "" || saw == "resolves" {
				t.Errorf("%s: looked up %q, saw %q", c.server, r.asked, saw)
			}
			continue
		case "resolves":
			none(t, facts)
		default:
			only(t, facts, cause.CheckName, "resolves", c.got)
		}
		if saw != c.got || len(r.asked) != 1 || strings.ContainsAny(r.asked[0], ":/") {
			t.Errorf("%s: saw %q, looked up %q", c.server, saw, r.asked)
		}
	}
}

// stuck never answers.
type stuck struct{}

func (stuck) LookupHost(ctx context.Context, _ string) ([]string, error) {
	<-ctx.Done()
	return nil, &net.DNSError{Err: ctx.Err().Error(), IsTimeout: true}
}

// TestNameTakesNoLonger: a name service that never answers does not hold the
// examination up.
func TestNameTakesNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		facts, _ := Name(t.Context(), stuck{}, "https://direct.example.org")
		only(t, facts, cause.CheckName, "resolves", "no-answer")
		if took := time.Since(begun); took != nameTime {
			t.Errorf("took %s", took)
		}
	})
}

// TestRealResolver asks a name service that is not there.
func TestRealResolver(t *testing.T) {
	r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the network is down")
	}}
	facts, _ := Name(t.Context(), r, "https://direct.example.org")
	only(t, facts, cause.CheckName, "resolves", "no-answer")
}

func TestProxy(t *testing.T) {
	for server, want := range map[string]string{
		"https://id.example.org":        "proxy.example.org:3128",
		"https://id.example.org:8443":   "proxy.example.org:3128",
		"https://direct.example.org":    "",
		"https://id.inside.example.org": "",
		"https://localhost:4001":        "",
		"https://127.0.0.1:4001":        "",
		"http://127.0.0.1:4001":         "",
		"":                              "",
		"https://bad host":              "",
	} {
		if got := Proxy(server); got != want {
			t.Errorf("Proxy(%q) = %q, want %q: what one logs in with there is never part of it", server, got, want)
		}
	}
}

func TestReady(t *testing.T) {
	none(t, Ready(true))
	only(t, Ready(false), cause.CheckServer, "ready", "not-ready")
}

func TestWords(t *testing.T) {
	none(t, Connection("open"))
	none(t, TLS("trusted"))
	for _, why := range []string{"refused", "timed-out", "no-route", "cut-off", "other-server"} {
		only(t, Connection(why), cause.CheckConnection, "open", why)
	}
	for _, why := range []string{"untrusted", "wrong-name", "expired", "no-tls"} {
		only(t, TLS(why), cause.CheckTLS, "trusted", why)
	}
}

func TestKey(t *testing.T) {
	one, other := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	for _, c := range [][2]string{{one, one}, {"", one}, {one, ""}, {"", ""}, {"not hex", one}, {one, "not hex"}} {
		none(t, Key(c[0], c[1]))
	}
	facts := Key(one, other)
	if len(facts) != 1 || facts[0].Check() != cause.CheckTLSKey || facts[0].Want() == facts[0].Got() || facts[0].Want() == "" {
		t.Fatalf("facts %v", facts)
	}
	found := cause.Find(facts)
	if len(found) != 1 || found[0].Cause != "tls-intercepted" {
		t.Errorf("another key shows %v", found)
	}
}

func TestClock(t *testing.T) {
	asked := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const allowed = 5 * time.Minute
	for _, c := range []struct {
		trip, server time.Duration // the server's clock after asked
		off          time.Duration // 0: within what is allowed
		saw          string
	}{
		{0, 0, 0, "0s off"},
		{2 * time.Second, time.Second, 0, "0s off"},
		{0, -allowed, 0, "5m0s off"},
		{0, allowed, 0, "-5m0s off"},
		{0, -allowed - time.Second, allowed + time.Second, "5m1s off"},
		{0, allowed + time.Second, -allowed - time.Second, "-5m1s off"},
		// Of a slow answer half of the way is taken off.
		{10 * time.Second, 5*time.Second - allowed, 0, "5m0s off"},
		{10 * time.Second, -allowed, allowed + 5*time.Second, "5m5s off"},
		{10 * time.Second, 10*time.Second + allowed, -allowed - 5*time.Second, "-5m5s off"},
		{0, 24 * 365 * time.Hour, -24 * 365 * time.Hour, "-8760h0m0s off"},
	} {
		facts, saw := Clock(asked, asked.Add(c.trip), asked.Add(c.server), allowed)
		if saw != c.saw {
			t.Errorf("%+v: saw %q", c, saw)
		}
		if c.off == 0 {
			none(t, facts)
			continue
		}
		only(t, facts, cause.CheckClock, cause.Duration(0).String(), cause.Duration(c.off).String())
	}
}

// TestClockHalf: whatever the way took and wherever on it the server looked,
// the guess is wrong by half of the way at most.
func TestClockHalf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "asked"), 0)
		trip := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "trip"))
		at := time.Duration(rapid.Int64Range(0, int64(trip)).Draw(t, "at"))
		off := time.Duration(rapid.Int64Range(int64(-time.Hour), int64(time.Hour)).Draw(t, "off"))
		server := asked.Add(at).Add(-off)
		facts, _ := Clock(asked, asked.Add(trip), server, (trip+1)/2)
		if off == 0 && len(facts) > 0 {
			t.Errorf("a clock that is right is said to be wrong: %v", facts)
		}
		if off.Abs() > trip+time.Nanosecond && len(facts) == 0 {
			t.Errorf("a clock that is %s off is said to be right", off)
		}
	})
}

func TestSetClock(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows", "freebsd"} {
		r := SetClock(system)
		if r.By != cause.Person || r.Do == "" || len(r.Argv) < 2 || slices.Contains(r.Argv, "") {
			t.Errorf("%s: %+v", system, r)
		}
	}
}
