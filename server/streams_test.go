package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/api"
)

// TestStreamOfUnknownTypes: a stream that asks for nothing we have gets nothing
// but what is about itself.
func TestStreamOfUnknownTypes(t *testing.T) {
	w := newWorld(t)
	shop := w.registered("shop")
	const unknown = "https://example.org/x"
	var one api.Stream
	w.read(w.asService(shop.Secret, http.MethodPatch, api.PathStream, map[string]any{"stream_id": shop.Stream, "events_requested": []string{unknown}}), &one)
	if len(one.Delivered) != 0 || !slices.Equal(*one.Requested, []string{unknown}) || len(one.Supported) == 0 {
		t.Errorf("%+v", one)
	}
	w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	if a := w.asService(shop.Secret, http.MethodPost, api.PathVerify, api.StreamVerify{ID: shop.Stream, State: "s"}); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	got := w.polls(shop.Secret, api.Poll{})
	if len(got.Sets) != 1 || !strings.Contains(w.payload(got), "event-type/verification") {
		t.Errorf("%d signals: %s", len(got.Sets), w.payload(got))
	}
	for _, bad := range []any{[]string{"a b"}, []string{""}, []string{"x\n"}, slices.Repeat([]string{"x"}, 65), []string{strings.Repeat("x", 5000)}, "x"} {
		if a := w.asService(shop.Secret, http.MethodPatch, api.PathStream, map[string]any{"stream_id": shop.Stream, "events_requested": bad}); a.status != http.StatusBadRequest {
			t.Errorf("%v: %d %s", bad, a.status, a.body)
		}
	}
}

// payload is what stands in the signals of an answer, one after the other.
func (w *world) payload(p api.Polled) (all string) {
	w.t.Helper()
	for _, text := range p.Sets {
		set, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
		must(w.t, err)
		all += string(set.UnsafePayloadWithoutVerification())
	}
	return all
}

// TestStreamIsDeletedAndMadeAgain by its receiver (SSF 1.0 §8.1.1.1, §8.1.1.5).
func TestStreamIsDeletedAndMadeAgain(t *testing.T) {
	w := newWorld(t)
	shop, mail := w.registered("shop"), w.registered("mail")
	status := func(secret, method, path string, in any, want int) answer {
		t.Helper()
		a := w.asService(secret, method, path, in)
		if a.status != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, a.status, a.body, want)
		}
		return a
	}
	of := "?stream_id=" + shop.Stream
	w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane) // which waits
	status(mail.Secret, http.MethodDelete, api.PathStream+of, nil, http.StatusNotFound)
	status(shop.Secret, http.MethodDelete, api.PathStream, nil, http.StatusBadRequest)
	status("", http.MethodDelete, api.PathStream+of, nil, http.StatusUnauthorized)
	if a := status(shop.Secret, http.MethodDelete, api.PathStream+of, nil, http.StatusNoContent); len(a.body) != 0 {
		t.Errorf("%s", a.body)
	}

	var list []api.Stream
	w.read(status(shop.Secret, http.MethodGet, api.PathStream, nil, http.StatusOK), &list)
	if len(list) != 0 {
		t.Errorf("%+v", list)
	}
	status(shop.Secret, http.MethodDelete, api.PathStream+of, nil, http.StatusNotFound)
	status(shop.Secret, http.MethodGet, api.PathStream+of, nil, http.StatusNotFound)
	status(shop.Secret, http.MethodPatch, api.PathStream, map[string]any{"stream_id": shop.Stream}, http.StatusNotFound)
	status(shop.Secret, http.MethodGet, api.PathStatus+of, nil, http.StatusNotFound)
	status(shop.Secret, http.MethodPost, api.PathStatus, api.StreamStatus{ID: shop.Stream, Status: "enabled"}, http.StatusNotFound)
	status(shop.Secret, http.MethodPost, api.PathVerify, api.StreamVerify{ID: shop.Stream}, http.StatusNotFound)
	status(shop.Secret, http.MethodPost, api.PathPoll, api.Poll{ReturnImmediately: true}, http.StatusNotFound)
	w.act(api.AdminEnable, jane) // of which it does not hear
	var services api.AdminServiceList
	w.read(w.operatorGet(api.AdminServices), &services)
	for _, s := range services.Services {
		if s.Name == "shop" && (s.Status != "deleted" || s.Waiting != 0) || s.Name == "mail" && s.Waiting != 2 {
			t.Errorf("%+v", s)
		}
	}

	status(shop.Secret, http.MethodPost, api.PathStream, map[string]any{"aud": "https://elsewhere.example.org"}, http.StatusBadRequest)
	status(shop.Secret, http.MethodPost, api.PathStream, map[string]any{"events_requested": []string{"a b"}}, http.StatusBadRequest)
	var made api.Stream
	w.read(status(shop.Secret, http.MethodPost, api.PathStream, map[string]any{"delivery": map[string]string{"method": api.DeliveryPoll}, "description": "again"}, http.StatusCreated), &made)
	if made.ID != shop.Stream || *made.Description != "again" || len(made.Delivered) != len(made.Supported) || !slices.Equal(made.Audience, api.Audience{shop.Audience}) {
		t.Errorf("%+v", made)
	}
	status(shop.Secret, http.MethodPost, api.PathStream, map[string]any{}, http.StatusConflict)
	if got := w.polls(shop.Secret, api.Poll{}); len(got.Sets) != 0 {
		t.Errorf("what was made while there was no stream came: %s", w.payload(got))
	}
	w.act(api.AdminDisable, jane)
	if got := w.polls(shop.Secret, api.Poll{}); len(got.Sets) != 1 {
		t.Errorf("%d signals in the new one, want 1", len(got.Sets))
	}
}

// TestStreamUpdated: a receiver is told when somebody else has changed its
// stream's status (SSF 1.0 §8.1.5), in the stream.
func TestStreamUpdated(t *testing.T) {
	w := newWorld(t)
	shop, mail := w.registered("shop"), w.registered("mail")
	w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	resume := func() {
		t.Helper()
		if p := w.operator(api.AdminServiceResume, api.AdminServiceName{Name: "shop"}, nil); p != nil {
			t.Fatal(p)
		}
	}
	resume() // it runs: nothing is changed
	first := w.polls(shop.Secret, api.Poll{})
	if len(first.Sets) != 1 || strings.Contains(w.payload(first), "stream-updated") {
		t.Fatalf("%s", w.payload(first))
	}
	w.polls(shop.Secret, api.Poll{SetErrs: map[string]api.SETError{names(first)[0]: {Err: "invalid_issuer"}}}) // parks it
	resume()
	got := w.polls(shop.Secret, api.Poll{})
	text := w.payload(got)
	for _, want := range []string{
		`"https://schemas.openid.net/secevent/ssf/event-type/stream-updated":{"status":"enabled","reason":`, `"sub_id":{"format":"opaque","id":"` + shop.Stream + `"}`, `"aud":"` + shop.Audience + `"`,
	} {
		if len(got.Sets) != 2 || !strings.Contains(text, want) {
			t.Errorf("%d signals without %s: %s", len(got.Sets), want, text)
		}
	}
	if other := w.polls(mail.Secret, api.Poll{}); strings.Contains(w.payload(other), "stream-updated") {
		t.Error("another service is told")
	}
}
