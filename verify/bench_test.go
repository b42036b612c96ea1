package verify

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"readmit.dev/readmit/device"
	"readmit.dev/readmit/verify/verifytest"
)

// checked makes a Verifier with its keys, and n good requests.
func checked(b *testing.B, n int) (*Verifier, *verifytest.Person, []Request) {
	b.Helper()
	s := verifytest.New(issuer, service)
	v, err := New(config(s))
	if err != nil {
		b.Fatal(err)
	}
	s.Now = func() time.Time { return time.Now().Add(2 * time.Second) } // after the start
	p := verifytest.NewPerson()
	token := s.Token(p, 1)
	if err := v.fetchFirstKeys(context.Background()); err != nil {
		b.Fatal(err)
	}
	v.accounts.floor = 0
	all := make([]Request, n)
	for i := range all {
		proof, err := p.Key.Sign(device.Request{Method: "GET", URL: service + "/notes", Token: token, Time: time.Now()})
		if err != nil {
			b.Fatal(err)
		}
		all[i] = Request{Token: token, Proof: proof, Method: "GET", URL: service + "/notes"}
	}
	return v, p, all
}

// BenchmarkCheck is the whole of it: a token seen before, with a new proof.
func BenchmarkCheck(b *testing.B) {
	v, _, all := checked(b, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range all {
		if _, err := v.Check(context.Background(), r); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequire is the same as a handler, net/http's own request included.
func BenchmarkRequire(b *testing.B) {
	v, _, all := checked(b, b.N)
	h := v.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	requests := make([]*http.Request, len(all))
	for i, one := range all {
		requests[i] = httptest.NewRequest("GET", "/notes", nil)
		requests[i].Header.Set("Authorization", "DPoP "+one.Token)
		requests[i].Header.Set("DPoP", one.Proof)
	}
	w := httptest.NewRecorder()
	b.ReportAllocs()
	b.ResetTimer()
	for _, r := range requests {
		h.ServeHTTP(w, r)
	}
	if w.Code != 200 {
		b.Fatal(w.Body)
	}
}

// BenchmarkKnownToken is the token's part of it: no allocation.
func BenchmarkKnownToken(b *testing.B) {
	v, _, all := checked(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		c, err := v.token(context.Background(), all[0].Token)
		if err == nil {
			err = v.accounts.judge(&c)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewToken is a token that was not seen before.
func BenchmarkNewToken(b *testing.B) {
	v, _, all := checked(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		v.tokens.drop()
		if _, err := v.token(context.Background(), all[0].Token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignal is one signal, read and applied.
func BenchmarkSignal(b *testing.B) {
	s := verifytest.New(issuer, service)
	v, err := New(config(s))
	if err != nil {
		b.Fatal(err)
	}
	_, text := s.Raise(verifytest.CredentialChange, verifytest.NewPerson(), 2)
	b.ReportAllocs()
	for b.Loop() {
		e, err := v.signal(context.Background(), text)
		if err != nil {
			b.Fatal(err)
		}
		v.accounts.apply(e, v.clock.mono())
	}
}

// What is known of a token costs nothing to look up.
func TestKnownTokenAllocatesNothing(t *testing.T) {
	s := verifytest.New(issuer, service)
	v, err := New(config(s))
	if err != nil {
		t.Fatal(err)
	}
	token := s.Token(verifytest.NewPerson(), 1)
	ctx := context.Background()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := v.token(ctx, token); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
