package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/verify/verifytest"
)

func TestRightRequestPasses(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 7)
		for range 2 { // read, and remembered
			o := w.serve(w.request(p, token, "POST", "/notes/a%2Fb", "milk"))
			if !o.passed || o.body != "milk" {
				t.Fatalf("%+v", o)
			}
			if o.who.Account != hex.EncodeToString(p.Account[:]) || o.who.Device != hex.EncodeToString(p.Device[:]) ||
				o.who.Session != hex.EncodeToString(p.Session[:]) || o.who.Epoch != 7 || time.Until(o.who.Expires) != 5*time.Minute {
				t.Errorf("%+v", o.who)
			}
		}
		if n := w.server.Asked(api.PathKeys); n != 1 {
			t.Errorf("the keys were asked for %d times", n)
		}
		if _, ok := FromContext(context.Background()); ok {
			t.Error("somebody is in an empty context")
		}
		r := w.request(p, token, "GET", "/notes", "")
		who, err := w.v.Check(t.Context(), Request{Token: token, Proof: r.Header.Get("DPoP"), Method: "GET", URL: service + "/notes"})
		if err != nil || who.Epoch != 7 {
			t.Errorf("Check: %+v, %v", who, err)
		}
	})
}

// A client that knows RFC 9449 alone says nothing of the body, and is served.
func TestClientOfTheNormAlone(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 1)
		r := w.request(p, token, "POST", "/notes", "milk")
		r.Header.Set("DPoP", normProof(t, p, token, "POST", service+"/notes"))
		if o := w.serve(r); !o.passed || o.body != "milk" {
			t.Errorf("%+v", o)
		}
	})
}

func TestRefusals(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p, other := verifytest.NewPerson(), verifytest.NewPerson()
		token := w.server.Token(p, 1)
		resign := func(r *http.Request, k device.Key, d device.Request) {
			if d.Method == "" {
				d.Method = "POST"
			}
			if d.URL == "" {
				d.URL = service + "/notes"
			}
			if d.Token == "" {
				d.Token = token
			}
			if d.Body == nil {
				d.Body = []byte("milk")
			}
			if d.Time.IsZero() {
				d.Time = time.Now()
			}
			proof, err := k.Sign(d)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("DPoP", proof)
		}
		const nothing, badToken, badProof = `DPoP algs="ES256"`, `DPoP error="invalid_token"`, `DPoP error="invalid_dpop_proof"`
		for name, c := range map[string]struct {
			change    func(*http.Request)
			want      Reason
			status    int
			challenge string
		}{
			"no token":                                 {func(r *http.Request) { r.Header.Del("Authorization") }, Missing, 401, nothing},
			"another scheme":                           {func(r *http.Request) { r.Header.Set("Authorization", "Basic YTpi") }, Missing, 401, nothing},
			"as a bearer token":                        {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, NotBound, 401, badToken},
			"two tokens":                               {func(r *http.Request) { r.Header.Add("Authorization", "DPoP "+token) }, Malformed, 401, badToken},
			"an empty token":                           {func(r *http.Request) { r.Header.Set("Authorization", "DPoP ") }, Malformed, 401, badToken},
			"a broken token":                           {func(r *http.Request) { r.Header.Set("Authorization", "DPoP "+token[:len(token)-5]) }, Malformed, 401, badToken},
			"no proof":                                 {func(r *http.Request) { r.Header.Del("DPoP") }, NotBound, 401, badToken},
			"two proofs":                               {func(r *http.Request) { r.Header.Add("DPoP", r.Header.Get("DPoP")) }, BadProof, 401, badProof},
			"a broken proof":                           {func(r *http.Request) { r.Header.Set("DPoP", "a.b.c") }, BadProof, 401, badProof},
			"another key's proof":                      {func(r *http.Request) { resign(r, other.Key, device.Request{}) }, NotBound, 401, badToken},
			"another token's proof":                    {func(r *http.Request) { resign(r, p.Key, device.Request{Token: token + "x"}) }, BadProof, 401, badProof},
			"another method's proof":                   {func(r *http.Request) { resign(r, p.Key, device.Request{Method: "PUT"}) }, BadProof, 401, badProof},
			"another host's proof":                     {func(r *http.Request) { resign(r, p.Key, device.Request{URL: "https://example.com/notes"}) }, BadProof, 401, badProof},
			"another path's proof":                     {func(r *http.Request) { resign(r, p.Key, device.Request{URL: service + "/note"}) }, BadProof, 401, badProof},
			"another body's proof":                     {func(r *http.Request) { resign(r, p.Key, device.Request{Body: []byte("malt")}) }, BadProof, 401, badProof},
			"a proof of 61 s ago":                      {func(r *http.Request) { resign(r, p.Key, device.Request{Time: time.Now().Add(-61 * time.Second)}) }, ClockOff, 401, badProof},
			"a proof of 61 s ahead":                    {func(r *http.Request) { resign(r, p.Key, device.Request{Time: time.Now().Add(61 * time.Second)}) }, ClockOff, 401, badProof},
			"a proof of a minute ago":                  {func(r *http.Request) { resign(r, p.Key, device.Request{Time: time.Now().Add(-time.Minute)}) }, "", 200, ""},
			"another host in the request's own header": {func(r *http.Request) { r.Host = "example.com" }, "", 200, ""},
		} {
			r := w.request(p, token, "POST", "/notes", "milk")
			c.change(r)
			o := w.serve(r)
			if o.problem.Reason != c.want || o.status != c.status || !strings.HasPrefix(o.header.Get("WWW-Authenticate"), c.challenge) {
				t.Errorf("%s: %d %q %q, want %d %q", name, o.status, o.problem.Reason, o.header.Get("WWW-Authenticate"), c.status, c.want)
			}
			if o.passed {
				continue
			}
			if o.problem.Status != c.status || o.problem.Service != service || o.problem.Title == "" || o.problem.Detail == "" || o.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %+v", name, o.problem)
			}
			if c.want == Missing && strings.Contains(o.header.Get("WWW-Authenticate"), "error") {
				t.Errorf("%s: an error is told to who sent no token: RFC 6750 §3.1", name)
			}
			if c.want == ClockOff && o.problem.Type != issuer+"/help/clock-off" {
				t.Errorf("%s: type %s", name, o.problem.Type)
			}
		}
	})
}

// The reason is found with errors.As and errors.Is.
func TestReasonIsTyped(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		_, err := w.v.Check(t.Context(), Request{Token: "a.b.c"})
		var reason Reason
		var refusal *Refusal
		if !errors.As(err, &reason) || reason != Malformed || !errors.Is(err, Malformed) || !errors.As(err, &refusal) || refusal.Reason != Malformed {
			t.Errorf("%v", err)
		}
		for _, r := range []Reason{Missing, Malformed, Audience, Expired, NotBound, BadProof, Replayed, ClockOff, TooLong, Stale, Ended, Behind, KeysUnavailable, Busy} {
			if r.text() == "refused" || strings.ContainsAny(r.text(), `"\`) {
				t.Errorf("%s has no words, or such as cannot stand in a challenge: %s", r, r.text())
			}
		}
	})
}

func TestProofCountsOnce(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 1)
		r, err := p.Key.Sign(device.Request{Method: "GET", URL: service + "/notes", Token: token, Time: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		send := func() Reason {
			q := w.request(p, token, "GET", "/notes", "")
			q.Header.Set("DPoP", r)
			return w.serve(q).problem.Reason
		}
		if got := send(); got != "" {
			t.Fatalf("the first time: %q", got)
		}
		for at := time.Duration(0); at <= 2*time.Minute; at += 10 * time.Second {
			if got := send(); got != Replayed {
				t.Fatalf("%s later: %q", at, got)
			}
			time.Sleep(10 * time.Second)
		}
		if got := send(); got != ClockOff {
			t.Errorf("when it is over: %q", got)
		}
	})
}

func TestProofsRememberedAreBounded(t *testing.T) {
	var r replays
	if err := r.spend([16]byte{1}, time.Second); err != nil {
		t.Fatal(err)
	}
	for i := range proofsKept {
		r.spent[0][[16]byte{9, byte(i), byte(i >> 8), byte(i >> 16)}] = struct{}{}
	}
	if err := r.spend([16]byte{2}, time.Second); !errors.Is(err, Busy) {
		t.Errorf("into a full memory: %v", err)
	}
	if err := r.spend([16]byte{1}, time.Second); !errors.Is(err, Replayed) {
		t.Errorf("a replay into a full memory: %v", err)
	}
	if err := r.spend([16]byte{2}, 2*proofsLife); err != nil {
		t.Errorf("later: %v", err)
	}
	if err := r.spend([16]byte{3}, 5*proofsLife); err != nil || len(r.spent[0])+len(r.spent[1]) != 1 {
		t.Errorf("much later %d proofs are remembered, %v", len(r.spent[0])+len(r.spent[1]), err)
	}
}

func TestLongBodyIsNotHeld(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 1)
		if o := w.serve(w.request(p, token, "POST", "/notes", strings.Repeat("a", maxBody))); !o.passed || len(o.body) != maxBody {
			t.Errorf("at the limit: %d %s", o.status, o.problem.Reason)
		}
		if o := w.serve(w.request(p, token, "POST", "/notes", strings.Repeat("a", maxBody+1))); o.passed || o.status != 413 || o.problem.Reason != TooLong {
			t.Errorf("beyond it: %d %s", o.status, o.problem.Reason)
		}
	})
}
