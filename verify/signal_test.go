package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/verify/verifytest"
)

// badSignals are texts that are no signal, by name, with the code of the answer.
func badSignals(s *verifytest.Server, p *verifytest.Person) map[string]struct{ text, code string } {
	type bad = struct{ text, code string }
	typ := map[string]any{"typ": "secevent+jwt"}
	set := func() map[string]any { return s.Set(verifytest.CredentialChange, p, 9, nil) }
	with := func(name string, value any) string {
		c := set()
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
		return s.SignSet(map[string]any{"typ": "secevent+jwt"}, c)
	}
	event := func(name string, value any) string {
		return s.SignSet(typ, s.Set(verifytest.CredentialChange, p, 9, map[string]any{name: value}))
	}
	good := s.SignSet(map[string]any{"typ": "secevent+jwt"}, set())
	two := set()
	two["events"] = map[string]any{verifytest.CredentialChange: map[string]any{"readmit_epoch": 9}, verifytest.AccountEnabled: map[string]any{"readmit_epoch": 9}}
	stranger := verifytest.New(issuer, service)
	return map[string]bad{
		"nothing":              {"", "invalid_request"},
		"no JWS":               {"a.b", "invalid_request"},
		"cut":                  {good[:len(good)-2], "invalid_key"},
		"an access token":      {s.Token(p, 9), "invalid_request"},
		"signed as a token":    {s.Sign(map[string]any{"typ": "secevent+jwt"}, set()), "invalid_request"},
		"typ JWT":              {s.SignSet(map[string]any{"typ": "JWT"}, set()), "invalid_request"},
		"typ of a token":       {s.SignSet(map[string]any{"typ": "at+jwt"}, set()), "invalid_request"},
		"critical":             {s.SignSet(map[string]any{"typ": "secevent+jwt", "crit": []string{"x"}, "x": 1}, set()), "invalid_request"},
		"an unknown key":       {s.SignSet(map[string]any{"typ": "secevent+jwt", "kid": "nobody's"}, set()), "invalid_key"},
		"a token's key named":  {s.SignSet(map[string]any{"typ": "secevent+jwt", "kid": tokenKid(s, p)}, set()), "invalid_key"},
		"another claim":        {swap(good, stranger.SignSet(map[string]any{"typ": "secevent+jwt"}, set())), "invalid_key"},
		"another issuer":       {with("iss", "https://id.example.com"), "invalid_issuer"},
		"no issuer":            {with("iss", nil), "invalid_issuer"},
		"another audience":     {with("aud", "https://mail.example.org"), "invalid_audience"},
		"no audience":          {with("aud", nil), "invalid_audience"},
		"audience of numbers":  {with("aud", []int{1}), "invalid_request"},
		"no jti":               {with("jti", nil), "invalid_request"},
		"a long jti":           {with("jti", strings.Repeat("a", maxName+1)), "invalid_request"},
		"no time":              {with("iat", nil), "invalid_request"},
		"time in words":        {with("iat", "now"), "invalid_request"},
		"time too great":       {with("iat", 1e300), "invalid_request"},
		"no events":            {with("events", nil), "invalid_request"},
		"empty events":         {with("events", map[string]any{}), "invalid_request"},
		"two events":           {s.SignSet(typ, two), "invalid_request"},
		"event is no object":   {with("events", map[string]any{verifytest.CredentialChange: 5}), "invalid_request"},
		"no subject":           {with("sub_id", nil), "invalid_request"},
		"subject by mail":      {with("sub_id", map[string]any{"format": "email", "email": "jane@example.org"}), "invalid_request"},
		"another's subject":    {with("sub_id", map[string]any{"format": "iss_sub", "iss": "https://id.example.com", "sub": fmt.Sprintf("%x", p.Account)}), "invalid_request"},
		"subject of no form":   {with("sub_id", map[string]any{"format": "iss_sub", "iss": issuer, "sub": "jane"}), "invalid_request"},
		"no epoch":             {event("readmit_epoch", nil), "invalid_request"},
		"negative epoch":       {event("readmit_epoch", -1), "invalid_request"},
		"epoch in words":       {event("readmit_epoch", "9"), "invalid_request"},
		"session of no form":   {s.SignSet(typ, s.Set(verifytest.SessionRevoked, p, 9, map[string]any{"readmit_kind": "session-ended", "readmit_session": "it"})), "invalid_request"},
		"no session":           {s.SignSet(typ, s.Set(verifytest.SessionRevoked, p, 9, map[string]any{"readmit_kind": "session-ended"})), "invalid_request"},
		"event's time no time": {event("event_timestamp", -5), "invalid_request"},
		"longer than one is":   {with("pad", strings.Repeat("a", maxSignal)), "invalid_request"},
	}
}

func tokenKid(s *verifytest.Server, p *verifytest.Person) string {
	c, err := parseCompact(s.Token(p, 1), "ES256", tokenType)
	if err != nil {
		panic(err)
	}
	return c.header.Key
}

// swap gives one JWS the payload of another.
func swap(a, b string) string {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	return x[0] + "." + y[1] + "." + x[2]
}

func TestSignalsThatAreNone(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 8)
		n := 0
		for name, c := range badSignals(w.server, p) {
			time.Sleep(keysPause)
			_, err := w.v.signal(t.Context(), c.text)
			var bad *eventError
			if !errors.As(err, &bad) || bad.code != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
			time.Sleep(keysPause)
			jti := fmt.Sprintf("one-%d", n)
			n++
			w.server.Hand(jti, c.text)
			synctest.Wait()
			if got := w.server.Refused(jti); got != c.code {
				t.Errorf("%s, polled: answered %q, want %s", name, got, c.code)
			}
		}
		_, text := w.server.Raise(verifytest.CredentialChange, p, 7)
		w.server.Hand("another name", text)
		synctest.Wait()
		if got := w.server.Refused("another name"); got != "invalid_request" {
			t.Errorf("under another name than its jti: %q", got)
		}
		w.want(p, token, "", "after all of them")
		if s := w.v.Status(); s.Applied != 1 || s.Refused != int64(n)+1 {
			t.Errorf("%+v", s)
		}
	})
}

// Forms that a right transmitter may use.
func TestSignalsOfOtherForms(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		for name, change := range map[string]func(map[string]any) string{
			"two audiences": func(c map[string]any) string {
				c["aud"] = []string{"https://mail.example.org", service}
				return w.server.SignSet(map[string]any{"typ": "secevent+jwt"}, c)
			},
			"a type in full": func(c map[string]any) string {
				return w.server.SignSet(map[string]any{"typ": "application/secevent+jwt"}, c)
			},
			"a type of event that is not known": func(c map[string]any) string {
				events := c["events"].(map[string]any)
				c["events"] = map[string]any{"https://example.org/new": events[verifytest.CredentialChange]}
				return w.server.SignSet(map[string]any{"typ": "secevent+jwt"}, c)
			},
		} {
			p := verifytest.NewPerson()
			c := w.server.Set(verifytest.CredentialChange, p, 9, nil)
			w.server.Hand(c["jti"].(string), change(c))
			synctest.Wait()
			w.want(p, w.server.Token(p, 8), Stale, name)
		}
	})
}

func TestPush(t *testing.T) {
	in(t, pushed, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 1)
		jti, text := w.server.Raise(verifytest.CredentialChange, p, 2)
		push := func(change func(*http.Request)) (int, refusedSet, http.Header) {
			r := httptest.NewRequest("POST", "/ssf/push", strings.NewReader(text))
			r.Header.Set("Authorization", "Bearer "+pushToken)
			r.Header.Set("Content-Type", "application/secevent+jwt")
			change(r)
			rec := httptest.NewRecorder()
			w.v.Push().ServeHTTP(rec, r)
			var bad refusedSet
			if rec.Body.Len() > 0 {
				if err := json.Unmarshal(rec.Body.Bytes(), &bad); err != nil {
					t.Error(err)
				}
			}
			return rec.Code, bad, rec.Header()
		}
		body := func(s string) func(*http.Request) {
			return func(r *http.Request) { r.Body = http.NoBody; *r = *httptestBody(r, s) }
		}
		for name, c := range map[string]struct {
			change func(*http.Request)
			status int
			code   string
		}{
			"no credential":      {func(r *http.Request) { r.Header.Del("Authorization") }, 401, "authentication_failed"},
			"another credential": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+verifytest.Secret) }, 401, "authentication_failed"},
			"another scheme":     {func(r *http.Request) { r.Header.Set("Authorization", "Basic "+pushToken) }, 401, "authentication_failed"},
			"a part of it":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+pushToken[:5]) }, 401, "authentication_failed"},
			"an empty one":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, 401, "authentication_failed"},
			"two of them":        {func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+pushToken) }, 401, "authentication_failed"},
			"GET":                {func(r *http.Request) { r.Method = "GET" }, 405, "invalid_request"},
			"JSON":               {func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request"},
			"too long":           {body(strings.Repeat("a", maxSignal+1)), 400, "invalid_request"},
			"nothing":            {body(""), 400, "invalid_request"},
			"another's":          {body(badSignals(w.server, p)["another audience"].text), 400, "invalid_audience"},
		} {
			if status, bad, _ := push(c.change); status != c.status || bad.Code != c.code || bad.Text == "" {
				t.Errorf("%s: %d %+v, want %d %s", name, status, bad, c.status, c.code)
			}
		}
		w.want(p, token, "", "before")
		for range 2 { // the second time it is known
			if status, bad, _ := push(func(*http.Request) {}); status != http.StatusAccepted || bad.Code != "" {
				t.Errorf("%d %+v", status, bad)
			}
		}
		w.want(p, token, Stale, "after")
		synctest.Wait()
		if _, ok := w.server.Applied(jti); !ok {
			t.Error("it was not reported as applied")
		}
		if n := w.server.Asked(pathPoll); n != 0 {
			t.Errorf("a service that is pushed to polls: %d times", n)
		}
	})
}

func httptestBody(r *http.Request, s string) *http.Request {
	q := httptest.NewRequest(r.Method, "/ssf/push", strings.NewReader(s))
	q.Header = r.Header
	return q
}

// A pushed stream that is silent is asked to prove that it arrives.
func TestPushedStreamIsAskedToProveItself(t *testing.T) {
	in(t, pushed, func(t *testing.T, w *world) {
		time.Sleep(10 * time.Minute)
		states := w.server.States()
		if len(states) < 15 || states[0] == "" || states[0] == states[1] {
			t.Fatalf("%d verifications asked for: %q", len(states), states)
		}
		if s := w.v.Status(); s.Ready || s.Stale != -1 {
			t.Errorf("with no signal ever: %+v", s)
		}
		c := w.server.Set(verifytest.VerificationEvent, verifytest.NewPerson(), 0, map[string]any{"state": states[0]})
		c["sub_id"] = map[string]any{"format": "opaque", "id": "the stream"}
		_, text := w.server.Send(c)
		r := httptest.NewRequest("POST", "/ssf/push", strings.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+pushToken)
		r.Header.Set("Content-Type", "application/secevent+jwt")
		rec := httptest.NewRecorder()
		w.v.Push().ServeHTTP(rec, r)
		if s := w.v.Status(); rec.Code != http.StatusAccepted || !s.Ready || s.Stale != 0 || s.Applied != 0 || s.Entries != 0 {
			t.Errorf("%d, %+v", rec.Code, s)
		}
	})
}

func TestPushWithoutKeysComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := verifytest.New(issuer, service)
		s.Fault(down)
		c := config(s)
		pushed(&c)
		v, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		_, text := s.Raise(verifytest.CredentialChange, verifytest.NewPerson(), 2)
		r := httptest.NewRequestWithContext(context.Background(), "POST", "/", strings.NewReader(text))
		r.Header.Set("Authorization", "Bearer "+pushToken)
		r.Header.Set("Content-Type", "application/secevent+jwt")
		rec := httptest.NewRecorder()
		v.Push().ServeHTTP(rec, r)
		if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	})
}

func FuzzSignal(f *testing.F) {
	s := verifytest.New(issuer, service)
	p := verifytest.NewPerson()
	v, err := New(config(s))
	if err != nil {
		f.Fatal(err)
	}
	_, good := s.Raise(verifytest.CredentialChange, p, 2)
	f.Add(good)
	for _, c := range badSignals(s, p) {
		f.Add(c.text)
	}
	if _, err := v.signal(f.Context(), good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, err := v.signal(t.Context(), text)
		var bad *eventError
		if err != nil && !errors.As(err, &bad) && !errors.Is(err, errKeys) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

// The claims behind the signature, which no fuzzer gets past.
func FuzzSet(f *testing.F) {
	s := verifytest.New(issuer, service)
	p := verifytest.NewPerson()
	v, err := New(config(s))
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []map[string]any{
		s.Set(verifytest.CredentialChange, p, 2, nil),
		s.Set(verifytest.SessionRevoked, p, 2, map[string]any{"readmit_kind": "session-ended", "readmit_session": fmt.Sprintf("%x", p.Session)}),
		s.Set(verifytest.VerificationEvent, p, 2, map[string]any{"state": "a"}),
	} {
		b, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := v.read(b)
		if err != nil {
			var bad *eventError
			if !errors.As(err, &bad) {
				t.Fatalf("%s: %v", b, err)
			}
			return
		}
		if e.jti == "" || e.at.IsZero() || e.epoch < 0 {
			t.Fatalf("%s became %+v", b, e)
		}
		v.take(e)
	})
}

func FuzzKeys(f *testing.F) {
	s := verifytest.New(issuer, service)
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	f.Add(rec.Body.Bytes())
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA","kid":"a"},{"kty":"EC","crv":"P-384"},5]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseKeys(b)
		if err == nil && len(got.tokens) == 0 {
			t.Fatalf("%s: no keys", b)
		}
		for _, k := range got.signals {
			if k.N.BitLen() < 2048 {
				t.Fatalf("%s: a key of %d bits", b, k.N.BitLen())
			}
		}
	})
}
