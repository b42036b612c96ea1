package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/server"
)

// TestLoopbackNames: a server on loopback is the same by its name and its
// number; one with a public address is called by that alone.
func TestLoopbackNames(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	handler := func(url string) http.Handler {
		s, err := server.New(context.Background(), server.Options{
			URL: url, Open: true, Store: w.store, Keys: w.keys, Gate: gate.New(w.clock.now), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		must(t, err)
		return s.Handler()
	}
	for _, tt := range []struct{ public, host, signed, url, reason string }{
		{"http://localhost:4001", "localhost:4001", "http://localhost:4001", "http://localhost:4001", ""},
		{"http://localhost:4001", "127.0.0.1:4001", "http://127.0.0.1:4001", "http://127.0.0.1:4001", ""},
		{"http://localhost:4001", "[::1]:4001", "http://[::1]:4001", "http://[::1]:4001", ""},
		{"http://127.0.0.1:4001", "localhost:4001", "http://localhost:4001", "http://localhost:4001", ""},
		{"http://localhost:4001", "127.0.0.1:4001", "http://localhost:4001", "http://127.0.0.1:4001", api.ReasonUnsigned},
		{"http://localhost:4001", "127.0.0.1:4002", "http://127.0.0.1:4002", "http://localhost:4001", api.ReasonUnsigned},
		{"http://localhost:4001", "evil.example", "http://evil.example", "http://localhost:4001", api.ReasonUnsigned},
		{"https://id.example.org", "localhost:4001", "http://localhost:4001", "https://id.example.org", api.ReasonUnsigned},
		{"https://id.example.org", "localhost", "http://localhost", "https://id.example.org", api.ReasonUnsigned},
		{"https://id.example.org", "evil.example", "https://id.example.org", "https://id.example.org", ""},
	} {
		h := handler(tt.public)
		ask := httptest.NewRequest(http.MethodGet, api.PathHello, nil)
		ask.Host = tt.host
		hello := w.serve(h, ask)
		var said api.Hello
		w.read(hello, &said)
		if said.URL != tt.url {
			t.Errorf("%+v: it says it is %s", tt, said.URL)
		}
		body, err := json.Marshal(laptop.signed())
		must(t, err)
		proof, err := laptop.key.Sign(device.Request{Method: http.MethodPost, URL: tt.signed + api.PathDevices, Nonce: hello.header.Get(api.HeaderNonce), Body: body, Time: w.clock.now()})
		must(t, err)
		r := request(api.PathDevices, proof, body)
		r.Host = tt.host
		p := w.serve(h, r).problem(t)
		if reason := ""; p != nil {
			if reason = p.Reason; reason != tt.reason || reason == "" {
				t.Errorf("%+v: %v", tt, p)
			}
		} else if tt.reason != "" {
			t.Errorf("%+v: taken", tt)
		}
		// A page's origin is the public address and nothing else.
		r = request(api.PathDevices, proof, body)
		r.Host = tt.host
		r.Header.Set("Origin", "http://"+tt.host)
		if a := w.serve(h, r); (a.status == http.StatusForbidden) == (tt.public == "http://"+tt.host) {
			t.Errorf("%+v: of its own page: %d", tt, a.status)
		}
	}
	if !strings.HasPrefix(publicURL, "https://") {
		t.Fatal("the world's address is no public one")
	}
}
