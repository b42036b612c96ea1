package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/signal"
)

const (
	token = "rmp_planted"
	set   = "eyJ0eXAiOiJzZWNldmVudCtqd3QifQ.e30.c2ln"
)

// receiver is a service with a certificate, and the settings to believe it.
func receiver(t *testing.T, h http.HandlerFunc) (*httptest.Server, *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s, &tls.Config{RootCAs: roots}
}

func why(t *testing.T, err error) signal.Failure {
	t.Helper()
	f := new(signal.Failure)
	if err != nil && !errors.As(err, &f) {
		t.Fatalf("no Failure: %v", err)
	}
	if strings.Contains(f.Error(), "planted") || strings.Contains(f.Error(), "127.0.0.1") {
		t.Errorf("it tells more than why: %s", f.Error())
	}
	return *f
}

var here = []string{"127.0.0.1"}

// TestPush: the form of RFC 8935 §2.1.
func TestPush(t *testing.T) {
	var got *http.Request
	var body []byte
	s, config := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	if err := New(here, config).Push(t.Context(), s.URL+"/signals", token, set); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/signals" || got.Header.Get("Content-Type") != "application/secevent+jwt" ||
		got.Header.Get("Accept") != "application/json" || got.Header.Get("Authorization") != "Bearer "+token || string(body) != set {
		t.Errorf("%s %s %v %q", got.Method, got.URL, got.Header, body)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status     int
		kind, body string
		want       signal.Failure
	}{
		{202, "", "", signal.Failure{}},
		{202, "text/html", "<html>", signal.Failure{}},
		{200, "", "", signal.Failure{Why: signal.WrongAnswer}}, // a page that answers everything has nothing
		{204, "", "", signal.Failure{Why: signal.WrongAnswer}},
		{400, "application/json", `{"err":"invalid_request","description":"planted"}`, signal.Failure{Why: signal.Rejected, Code: "invalid_request", Final: true}},
		{400, "application/json; charset=utf-8", `{"err":"invalid_issuer"}`, signal.Failure{Why: signal.Rejected, Code: "invalid_issuer", Final: true}},
		{400, "application/json", `{"err":"invalid_audience"}`, signal.Failure{Why: signal.Rejected, Code: "invalid_audience", Final: true}},
		{400, "application/json", `{"err":"invalid_key"}`, signal.Failure{Why: signal.Rejected, Code: "invalid_key"}},
		{400, "application/json", `{"err":"authentication_failed"}`, signal.Failure{Why: signal.Rejected, Code: "authentication_failed"}},
		{400, "application/json", `{"err":"planted"}`, signal.Failure{Why: signal.WrongAnswer}},
		{400, "application/json", `{`, signal.Failure{Why: signal.WrongAnswer}},
		{400, "text/html", `{"err":"invalid_request"}`, signal.Failure{Why: signal.WrongAnswer}},
		{401, "", "", signal.Failure{Why: signal.NoLogin}},
		{403, "", "", signal.Failure{Why: signal.NoLogin}},
		{404, "", "", signal.Failure{Why: signal.WrongAnswer}},
		{405, "", "", signal.Failure{Why: signal.WrongAnswer}},
		{408, "", "", signal.Failure{Why: signal.PutOff}},
		{429, "", "", signal.Failure{Why: signal.PutOff}},
		{500, "", "", signal.Failure{Why: signal.PutOff}},
		{503, "", "", signal.Failure{Why: signal.PutOff}},
	} {
		s, config := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			if c.status != http.StatusNoContent {
				io.WriteString(w, c.body)
			}
		})
		err := New(here, config).Push(t.Context(), s.URL, token, set)
		if got := why(t, err); got != c.want || (err == nil) != (c.status == 202) {
			t.Errorf("%d %s %s: %+v, want %+v", c.status, c.kind, c.body, got, c.want)
		}
	}
}

// TestRedirect: neither the signal nor the token goes where nobody registered.
func TestRedirect(t *testing.T) {
	var calls atomic.Int64
	other, _ := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusAccepted)
	})
	for _, code := range []int{301, 302, 303, 307, 308} {
		s, config := receiver(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) })
		if got := why(t, New(here, config).Push(t.Context(), s.URL, token, set)); got.Why != signal.Redirected || calls.Load() != 0 {
			t.Errorf("%d: %+v, %d calls elsewhere", code, got, calls.Load())
		}
	}
}

func TestPrivateAddress(t *testing.T) {
	var calls atomic.Int64
	s, config := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(http.StatusAccepted)
	})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.URL, "https://"))
	for _, names := range [][]string{nil, {"shop.example.org"}, {"localhost"}} {
		if got := why(t, New(names, config).Push(t.Context(), s.URL, token, set)); got.Why != signal.PrivateAddress || calls.Load() != 0 {
			t.Errorf("%v: %+v, %d calls", names, got, calls.Load())
		}
	}
	if got := why(t, New(here, config).Push(t.Context(), "https://localhost:"+port, token, set)); got.Why != signal.PrivateAddress || calls.Load() != 0 {
		t.Errorf("by another name: %+v, %d calls", got, calls.Load())
	}
}

func TestPlain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer s.Close()
	if got := why(t, New(nil, nil).Push(t.Context(), s.URL, token, set)); got.Why != signal.TLS {
		t.Errorf("without TLS and without a name: %+v", got)
	}
	if err := New(here, nil).Push(t.Context(), s.URL, token, set); err != nil {
		t.Errorf("without TLS on this machine, as its name allows: %v", err)
	}
	if New([]string{"10.0.0.1", "shop.example.org"}, nil).Plain("10.0.0.1") || New([]string{"shop.example.org"}, nil).Plain("shop.example.org") {
		t.Error("the token goes over a network without TLS")
	}
}

func TestUnreached(t *testing.T) {
	gone, config := receiver(t, func(http.ResponseWriter, *http.Request) {})
	gone.Close()
	if got := why(t, New(here, config).Push(t.Context(), gone.URL, token, set)); got.Why != signal.Unreachable {
		t.Errorf("gone: %+v", got)
	}
	strange, _ := receiver(t, func(http.ResponseWriter, *http.Request) {})
	if got := why(t, New(here, nil).Push(t.Context(), strange.URL, token, set)); got.Why != signal.TLS {
		t.Errorf("a certificate that nobody believes: %+v", got)
	}
	cut, config := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, _ := w.(http.Hijacker).Hijack()
		c.Close()
	})
	if got := why(t, New(here, config).Push(t.Context(), cut.URL, token, set)); got.Why != signal.Unreachable {
		t.Errorf("cut off: %+v", got)
	}
	release := make(chan struct{})
	defer close(release)
	slow, config := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if got := why(t, New(here, config).Push(ctx, slow.URL, token, set)); got.Why != signal.TimedOut || time.Since(began) > 3*time.Second {
		t.Errorf("slow: %+v after %v", got, time.Since(began))
	}
	endless, config := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		for range 4096 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	began = time.Now()
	if err := New(here, config).Push(t.Context(), endless.URL, token, set); err != nil || time.Since(began) > 3*time.Second {
		t.Errorf("an answer without end: %v after %v", err, time.Since(began))
	}
}
