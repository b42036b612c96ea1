package agent

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
)

// TestTokenAfterTheClockWasSet: a token in hand is used for as long as it lives,
// and not for longer by a clock that was ahead when it came.
func TestTokenAfterTheClockWasSet(t *testing.T) {
	var s *httptest.Server
	refreshed := 0
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.PathHello {
			hello(s.URL).ServeHTTP(w, r)
			return
		}
		refreshed++
		w.Header().Set(api.HeaderNonce, "one")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, fmt.Sprintf(`{"access_token":"token %d","token_type":"DPoP","expires_in":300}`, refreshed))
	}))
	t.Cleanup(s.Close)
	k, err := device.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	a := &Agent{Home: newHome(t), Now: func() time.Time { return now }}
	if err := a.Home.SaveIdentity(Identity{Key: string(pem), Server: s.URL, Account: "jane@example.org"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Home.Save(SessionFile, Session{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		clock time.Duration
		want  string
	}{
		{0, "token 1"}, {3 * time.Minute, "token 1"}, {90 * time.Second, "token 2"},
		{-4 * time.Minute, "token 3"}, {0, "token 3"}, {-24 * time.Hour, "token 4"},
	} {
		now = now.Add(step.clock)
		got, err := a.Token(t.Context(), "", time.Minute)
		if err != nil || got.Value != step.want {
			t.Errorf("after %s: %q, %v; want %q", step.clock, got.Value, err, step.want)
		}
	}
}
