package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/device"
)

func TestTarget(t *testing.T) {
	for _, c := range []struct{ method, address, want string }{
		{"GET", "https://notes.example.org/notes?page=2#top", "https://notes.example.org/notes"},
		{"GET", "https://notes.example.org", "https://notes.example.org/"},
		{"PUT", "https://notes.example.org/a%2Fb/c%20d", "https://notes.example.org/a%2Fb/c%20d"},
		{"POST", "http://127.0.0.1:7001/notes", "http://127.0.0.1:7001/notes"},
		{"POST", "http://[::1]:7001/notes", "http://[::1]:7001/notes"},
		{"VERSION-CONTROL", "http://localhost/", "http://localhost/"},
		{"", "https://notes.example.org/", ""},
		{"get", "https://notes.example.org/", ""},
		{"GET\r\nX: y", "https://notes.example.org/", ""},
		{strings.Repeat("A", 21), "https://notes.example.org/", ""},
		{"GET", "", ""},
		{"GET", "/notes", ""},
		{"GET", "notes.example.org", ""},
		{"GET", "http://notes.example.org/", ""},
		{"GET", "ftp://notes.example.org/", ""},
		{"GET", "https:notes.example.org", ""},
		{"GET", "https://jane@notes.example.org/", ""},
		{"GET", "https://notes.example.org/" + strings.Repeat("a", maxTarget), ""},
		{"GET", "https://notes.example.org/\x00", ""},
	} {
		got, err := Target(c.method, c.address)
		if no := new(TargetError); got != c.want || (c.want == "") != errors.As(err, &no) {
			t.Errorf("%q %.60q: %q, %v", c.method, c.address, got, err)
		}
	}
}

// A proof is for one token and one request, by this device's key, and never for
// the account server.
func TestProve(t *testing.T) {
	h := newHome(t)
	key, err := device.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.SaveIdentity(Identity{Server: "https://id.example.org", Account: "jane@example.org", Key: string(pem)}); err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_795_000_000, 0)
	a := &Agent{Home: h, Now: func() time.Time { return now }}
	proof, err := a.Prove("the.access.token", "GET", "https://notes.example.org/notes?page=2")
	if err != nil {
		t.Fatal(err)
	}
	want := device.Expectation{Method: "GET", URL: "https://notes.example.org/notes", Token: "the.access.token", LaterBody: true}
	seen, err := device.Verify(proof, want)
	if err != nil || seen.Thumbprint != key.Thumbprint() || !seen.Time.Equal(now) || seen.Body != "" || seen.Nonce != "" {
		t.Errorf("%+v, %v", seen, err)
	}
	for _, other := range []device.Expectation{
		{Method: "POST", URL: want.URL, Token: want.Token, LaterBody: true},
		{Method: "GET", URL: want.URL + "/1", Token: want.Token, LaterBody: true},
		{Method: "GET", URL: want.URL, Token: "another.access.token", LaterBody: true},
		{Method: "GET", URL: want.URL, Token: want.Token}, // as the account server asks: with the body
	} {
		if _, err := device.Verify(proof, other); err == nil {
			t.Errorf("it is good for %+v", other)
		}
	}
	for _, own := range []string{"https://id.example.org/v1/whoami", "https://ID.example.org:443/", "https://id.example.org./", "https://id.example.org?x"} {
		var no *TargetError
		if _, err := a.Prove("the.access.token", "POST", own); !errors.As(err, &no) {
			t.Errorf("%s: %v", own, err)
		}
	}
}
