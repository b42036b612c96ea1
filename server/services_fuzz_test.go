package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/signal"
)

// FuzzServiceCalls: whatever a service sends to its stream's addresses, it makes
// no fault of the server, and is answered in the protocol's form. STREAM and JTI
// stand for its own stream and what waits in it.
func FuzzServiceCalls(f *testing.F) {
	w := newWorld(f)
	shop := w.registered("shop")
	w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	waiting := w.polls(shop.Secret, api.Poll{})
	words := strings.NewReplacer("STREAM", shop.Stream, "JTI", names(waiting)[0])
	calls := []struct{ method, path string }{
		{http.MethodPost, api.PathPoll}, {http.MethodPost, api.PathApplied}, {http.MethodPost, api.PathVerify}, {http.MethodPost, api.PathStatus},
		{http.MethodPatch, api.PathStream}, {http.MethodPut, api.PathStream}, {http.MethodPost, api.PathStream}, {http.MethodDelete, api.PathStream},
		{http.MethodGet, api.PathStream}, {http.MethodGet, api.PathStatus},
	}
	for i := range calls {
		for _, body := range []string{
			`{"maxEvents":9,"returnImmediately":true,"ack":["JTI",""],"setErrs":{"JTI":{"err":"invalid_key","description":"x"}}}`, `{"maxEvents":0,"ack":["JTI"]}`, `{"maxEvents":-1}`,
			`{"applied":{"JTI":1772366400000000,"x":-9223372036854775808}}`, `{"stream_id":"STREAM","state":"s"}`, `{"stream_id":"STREAM","status":"paused","reason":"night"}`,
			`{"stream_id":"STREAM","status":"enabled"}`, `{"stream_id":"STREAM","events_requested":["https://example.org/x"],"description":"d","aud":["a","b"]}`,
			`{"stream_id":"STREAM","events_requested":null,"delivery":{"method":"urn:ietf:rfc:8936"},"aud":"a","iss":5}`, `{"stream_id":"STREAM","events_requested":["` + signal.EventSessionRevoked + `"]}`,
			`[]`, `null`, `"x"`, `{`, ``, `{"sets":{}}`,
		} {
			f.Add(uint8(i), body, "?stream_id=STREAM")
		}
	}
	known := []int{200, 201, 204, 400, 404, 405, 409, 413, 429}
	f.Fuzz(func(t *testing.T, which uint8, body, query string) {
		c := calls[int(which)%len(calls)]
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(words.Replace(body)))
		r.URL.RawQuery = strings.TrimPrefix(words.Replace(query), "?")
		r.Header.Set("Authorization", "Bearer "+shop.Secret)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond) // what is held is let go
		defer cancel()
		rec := httptest.NewRecorder()
		w.public.ServeHTTP(rec, r.WithContext(ctx))
		cut := ctx.Err() != nil && rec.Code == http.StatusServiceUnavailable // a store that was asked by who had gone
		if !slices.Contains(known, rec.Code) && !cut {
			t.Errorf("%s %s: %d %s", c.method, c.path, rec.Code, rec.Body)
		}
		if rec.Code != http.StatusNoContent && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%s %s: %d with %q", c.method, c.path, rec.Code, rec.Body)
		}
		if bytes.Contains(rec.Body.Bytes(), []byte(shop.Secret)) {
			t.Error("the answer has the secret")
		}
	})
}
