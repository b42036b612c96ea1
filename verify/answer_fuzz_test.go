package verify

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"readmit.dev/readmit/verify/verifytest"
)

// canned answers every call with the same.
type canned struct{ body []byte }

func (c canned) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.Write(c.body) }

// FuzzPolled: whatever answers a poll (RFC 8936 §2.4), each SET in it is applied,
// refused under its name, or kept for later; never two of these, and never one
// that was not there.
func FuzzPolled(f *testing.F) {
	s := verifytest.New(issuer, service)
	p := verifytest.NewPerson()
	v, err := New(config(s))
	if err != nil {
		f.Fatal(err)
	}
	jti, good := s.Raise(verifytest.CredentialChange, p, 2)
	if _, err := v.signal(f.Context(), good); err != nil {
		f.Fatal(err)
	}
	for _, sets := range []map[string]string{{jti: good}, {"other": good}, {jti: good + "x"}, {jti: "", "": good}, {jti: "a.b.c"}} {
		b, err := json.Marshal(pollAnswer{Sets: sets, More: true})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, b := range []string{"", "null", "{}", `{"sets":null}`, `{"sets":[]}`, `{"sets":{"a":5}}`, `{"sets":{"a":"b"},"moreAvailable":"x"}`, `{"SETS":{}}`} {
		f.Add([]byte(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := *v.http
		c.Transport = inProcess{canned{b}}
		asks, err := New(Config{Issuer: issuer, Audience: service, Secret: secret, Client: &c})
		if err != nil {
			t.Fatal(err)
		}
		var got pollAnswer
		if asks.call(context.Background(), http.MethodPost, pathPoll, pollTime, pollAsk{}, &got) != nil {
			return
		}
		acks, refused, _ := v.takeAll(t.Context(), got.Sets)
		if len(acks)+len(refused) > len(got.Sets) {
			t.Fatalf("%d taken and %d refused of %d", len(acks), len(refused), len(got.Sets))
		}
		for _, a := range acks {
			if _, twice := refused[a]; twice || got.Sets[a] == "" {
				t.Fatalf("%q of %s", a, b)
			}
		}
		for name, why := range refused {
			if _, there := got.Sets[name]; !there || why.Code == "" || why.Text == "" {
				t.Fatalf("%q: %+v", name, why)
			}
		}
	})
}

// FuzzPushed: whatever is posted where signals are pushed to, it is answered in
// the form of RFC 8935 §2.3, and a fault is the sender's.
func FuzzPushed(f *testing.F) {
	s := verifytest.New(issuer, service)
	c := config(s)
	pushed(&c)
	v, err := New(c)
	if err != nil {
		f.Fatal(err)
	}
	_, good := s.Raise(verifytest.CredentialChange, verifytest.NewPerson(), 2)
	if _, err := v.signal(f.Context(), good); err != nil {
		f.Fatal(err)
	}
	const kind = "application/secevent+jwt"
	for _, body := range []string{good, " " + good + "\n", good + good, "", ".", "..", "a.b.c", strings.ToUpper(good), good[:len(good)-1]} {
		f.Add(kind, body)
	}
	f.Add("application/json", good)
	f.Add("", good)
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest(http.MethodPost, "/signals", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+pushToken)
		r.Header["Content-Type"] = []string{kind}
		w := httptest.NewRecorder()
		v.Push().ServeHTTP(w, r)
		switch w.Code {
		case http.StatusAccepted:
			if w.Body.Len() > 0 {
				t.Errorf("202 with %q", w.Body)
			}
		case http.StatusBadRequest, http.StatusServiceUnavailable: // the latter where a key that is named cannot be asked for so soon
			var said refusedSet
			if json.Unmarshal(w.Body.Bytes(), &said) != nil || said.Code == "" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		default:
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
}
