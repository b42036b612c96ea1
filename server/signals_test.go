package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
)

// registered is a service that polls.
func (w *world) registered(name string) api.AdminServiceAdded {
	w.t.Helper()
	var out api.AdminServiceAdded
	if p := w.operator(api.AdminServiceAdd, api.AdminServiceNew{Name: name, Audience: "https://" + name + ".example.org"}, &out); p != nil {
		w.t.Fatalf("register: %v", p)
	}
	return out
}

// asService makes a service's call.
func (w *world) asService(secret, method, path string, in any) answer {
	w.t.Helper()
	var body bytes.Buffer
	if in != nil {
		must(w.t, json.NewEncoder(&body).Encode(in))
	}
	r := httptest.NewRequest(method, path, &body)
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	return w.serve(w.public, r)
}

func (w *world) polls(secret string, in api.Poll) api.Polled {
	w.t.Helper()
	in.ReturnImmediately = true
	var out api.Polled
	a := w.asService(secret, http.MethodPost, api.PathPoll, in)
	if a.status != http.StatusOK {
		w.t.Fatalf("poll: %d %s", a.status, a.body)
	}
	w.read(a, &out)
	return out
}

func names(p api.Polled) (jtis []string) {
	for jti := range p.Sets {
		jtis = append(jtis, jti)
	}
	return jtis
}

// TestChangeReachesAService: from a password that is changed to the service's
// word that it acts on it, as the owner sees it.
func TestChangeReachesAService(t *testing.T) {
	w := newWorld(t)
	shop := w.registered("shop")
	laptop := w.enrolled(jane, "laptop")
	if _, p := laptop.changePassword(jane, password, "another fine password"); p != nil {
		t.Fatal(p)
	}
	var mine api.Receipts
	wantCode(t, "receipts", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session}, &mine), 0)
	if !slices.Equal(mine.Waiting, mine.Receipts) || mine.Waiting[0].Audience != "https://shop.example.org" {
		t.Errorf("%+v waits, of %+v", mine.Waiting, mine.Receipts)
	}
	if len(mine.Receipts) != 1 || mine.Receipts[0].Service != "shop" || mine.Receipts[0].Kind != "password-changed" || mine.Receipts[0].Waiting == 0 || mine.Receipts[0].Epoch != mine.Epoch {
		t.Fatalf("%+v", mine)
	}
	got := w.polls(shop.Secret, api.Poll{})
	if len(got.Sets) != 1 {
		t.Fatalf("%d signals", len(got.Sets))
	}
	// The keys are where those of tokens are.
	var keys jose.JSONWebKeySet
	w.read(w.get(api.PathKeys), &keys)
	for jti, text := range got.Sets {
		set, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
		must(t, err)
		found := keys.Key(set.Signatures[0].Header.KeyID)
		if len(found) != 1 || found[0].Algorithm != "RS256" {
			t.Fatalf("%+v", found)
		}
		if _, err := set.Verify(found[0].Key); err != nil {
			t.Error(err)
		}
		if jti != mine.Receipts[0].Signal {
			t.Errorf("signal %s, receipt %s", jti, mine.Receipts[0].Signal)
		}
	}
	if left := w.polls(shop.Secret, api.Poll{Ack: names(got)}); len(left.Sets) != 0 {
		t.Errorf("%d left", len(left.Sets))
	}
	at := w.clock.now().UnixMicro()
	if a := w.asService(shop.Secret, http.MethodPost, api.PathApplied, api.Applied{Applied: map[string]int64{names(got)[0]: at}}); a.status != http.StatusNoContent {
		t.Fatalf("%d %s", a.status, a.body)
	}
	mine = api.Receipts{}
	wantCode(t, "receipts", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session, Epoch: 2}, &mine), 0)
	if r := mine.Receipts; len(r) != 1 || mine.Waiting != nil || r[0].Delivered == 0 || r[0].Applied != at || r[0].Waiting != 0 {
		t.Errorf("%+v", r)
	}
	mine = api.Receipts{}
	wantCode(t, "receipts", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session}, &mine), 0)
	if mine.Waiting == nil || len(mine.Waiting) != 0 {
		t.Errorf("nothing waits: %+v", mine.Waiting)
	}
	mine = api.Receipts{}
	wantCode(t, "of another change", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session, Epoch: 99}, &mine), 0)
	if len(mine.Receipts) != 0 {
		t.Errorf("%+v", mine)
	}
	// Another account's receipts are not among them, and nobody sees any without a session.
	other := w.enrolled("other@example.org", "phone")
	mine = api.Receipts{}
	wantCode(t, "of another account", other.call(api.PathReceipts, api.ReceiptsRequest{Session: other.in.Session}, &mine), 0)
	if len(mine.Receipts) != 0 {
		t.Errorf("%+v", mine)
	}
	refusedWith(t, other.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session}, nil))
}

// TestTokensKnowOfChanges: the node's own check of a token.
func TestTokensKnowOfChanges(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	reason := func(what, want string) {
		t.Helper()
		_, p := laptop.whoAmI()
		if want == "" && p != nil || want != "" && (p == nil || p.Status != http.StatusUnauthorized || p.Reason != want) {
			t.Errorf("%s: %+v, want reason %q", what, p, want)
		}
	}
	reason("before", "")
	w.act(api.AdminDisable, jane)
	reason("disabled", api.ReasonStale)
	w.act(api.AdminEnable, jane)
	reason("the token is as old as ever", api.ReasonStale)
	wantCode(t, "refresh", laptop.refresh(), 0)
	reason("a fresh one", "")
	if _, p := laptop.changePassword(jane, password, "another fine password"); p != nil {
		t.Fatal(p)
	}
	reason("the password changed", api.ReasonStale)
	wantCode(t, "refresh", laptop.refresh(), 0)
	wantCode(t, "sign-out", laptop.call(api.PathSignOut, laptop.signed(), nil), 0)
	reason("signed out", api.ReasonEnded)
	w.restart()
	reason("and after a restart", api.ReasonEnded)
}

func TestServiceCalls(t *testing.T) {
	w := newWorld(t)
	shop, mail := w.registered("shop"), w.registered("mail")
	for _, path := range []string{api.PathStream, api.PathStatus} {
		for _, secret := range []string{"", "rms_wrong", shop.Secret + "x", "x" + shop.Secret} {
			challenge := "Bearer"
			if secret != "" {
				challenge = `Bearer error="invalid_token"`
			}
			a := w.asService(secret, http.MethodGet, path, nil)
			if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") != challenge || a.problem(t).Reason != api.ReasonSecret {
				t.Errorf("%s with %q: %d %s", path, secret, a.status, a.body)
			}
		}
	}
	for _, path := range []string{api.PathPoll, api.PathVerify, api.PathApplied, api.PathStatus, api.PathStream} {
		if a := w.asService("", http.MethodPost, path, map[string]string{}); a.status != http.StatusUnauthorized {
			t.Errorf("%s without a secret: %d", path, a.status)
		}
		if path == api.PathStream {
			continue
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("{"))
		r.Header.Set("Authorization", "Bearer "+shop.Secret)
		if a := w.serve(w.public, r); a.status != http.StatusBadRequest {
			t.Errorf("%s with nonsense: %d", path, a.status)
		}
		r = httptest.NewRequest(http.MethodPost, path, strings.NewReader(strings.Repeat(" ", 300<<10)))
		r.Header.Set("Authorization", "Bearer "+shop.Secret)
		if a := w.serve(w.public, r); a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s with too much: %d", path, a.status)
		}
	}
	var c api.SSFConfiguration
	w.read(w.get(api.PathSSF), &c)
	if c.Issuer != publicURL || c.Keys != publicURL+api.PathKeys || c.Version != "1_0" || !slices.Equal(c.Delivery, []string{api.DeliveryPush, api.DeliveryPoll}) ||
		c.Stream != publicURL+api.PathStream || c.Status != publicURL+api.PathStatus || c.Verification != publicURL+api.PathVerify || c.Authorization[0].URN != "urn:ietf:rfc:6750" {
		t.Errorf("%+v", c)
	}

	var list []api.Stream
	w.read(w.asService(shop.Secret, http.MethodGet, api.PathStream, nil), &list)
	if len(list) != 1 || list[0].ID != shop.Stream || !slices.Equal(list[0].Audience, api.Audience{shop.Audience}) || list[0].Delivery.Method != api.DeliveryPoll || list[0].Delivery.Endpoint != publicURL+api.PathPoll || len(list[0].Delivered) != len(list[0].Supported) {
		t.Fatalf("%+v", list)
	}
	if a := w.asService(mail.Secret, http.MethodGet, api.PathStream+"?stream_id="+shop.Stream, nil); a.status != http.StatusNotFound {
		t.Errorf("another's stream: %d", a.status)
	}
	if a := w.asService(shop.Secret, http.MethodPost, api.PathStream, map[string]string{}); a.status != http.StatusConflict {
		t.Errorf("a second stream: %d", a.status)
	}
	var one api.Stream
	change := map[string]any{"stream_id": shop.Stream, "events_requested": []string{list[0].Supported[0], "https://example.org/x"}, "description": "the shop"}
	w.read(w.asService(shop.Secret, http.MethodPatch, api.PathStream, change), &one)
	if !slices.Equal(one.Delivered, list[0].Supported[:1]) || *one.Description != "the shop" {
		t.Errorf("%+v", one)
	}
	one = api.Stream{}
	w.read(w.asService(shop.Secret, http.MethodPatch, api.PathStream, map[string]any{"stream_id": shop.Stream}), &one)
	if len(one.Delivered) != 1 || *one.Description != "the shop" {
		t.Errorf("a change of nothing: %+v", one)
	}
	one = api.Stream{}
	w.read(w.asService(shop.Secret, http.MethodPut, api.PathStream, map[string]any{"stream_id": shop.Stream}), &one)
	if len(one.Delivered) != len(one.Supported) || *one.Description != "" {
		t.Errorf("replaced by nothing: %+v", one)
	}
	for _, bad := range []map[string]any{
		{"stream_id": shop.Stream, "aud": "https://elsewhere.example.org"},
		{"stream_id": shop.Stream, "delivery": map[string]string{"method": api.DeliveryPush, "endpoint_url": "https://elsewhere.example.org"}},
		{"stream_id": shop.Stream, "iss": "https://elsewhere.example.org"}, {},
	} {
		if a := w.asService(shop.Secret, http.MethodPatch, api.PathStream, bad); a.status != http.StatusBadRequest {
			t.Errorf("%v: %d", bad, a.status)
		}
	}

	// What is so may be said, in whatever form.
	for _, same := range []map[string]any{
		{"stream_id": shop.Stream, "aud": []string{shop.Audience}, "iss": publicURL}, {"stream_id": shop.Stream, "delivery": map[string]string{"method": api.DeliveryPoll}},
	} {
		if a := w.asService(shop.Secret, http.MethodPatch, api.PathStream, same); a.status != http.StatusOK {
			t.Errorf("%v: %d %s", same, a.status, a.body)
		}
	}

	var status api.StreamStatus
	w.read(w.asService(shop.Secret, http.MethodPost, api.PathStatus, api.StreamStatus{ID: shop.Stream, Status: "paused", Reason: "night"}), &status)
	w.read(w.asService(shop.Secret, http.MethodGet, api.PathStatus+"?stream_id="+shop.Stream, nil), &status)
	if status.Status != "paused" || status.Reason != "night" {
		t.Errorf("%+v", status)
	}
	if a := w.asService(shop.Secret, http.MethodPost, api.PathStatus, api.StreamStatus{ID: shop.Stream, Status: "on"}); a.status != http.StatusBadRequest {
		t.Errorf("a status that is none: %d", a.status)
	}
	laptop := w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	w.act(api.AdminEnable, jane)
	if a := w.asService(shop.Secret, http.MethodPost, api.PathPoll, api.Poll{}); a.status != http.StatusConflict || a.problem(t).Reason != api.ReasonPaused {
		t.Errorf("a paused stream is polled: %d %s", a.status, a.body)
	}
	var mine api.Receipts
	wantCode(t, "receipts", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session}, &mine), 0)
	if len(mine.Silent) != 1 || mine.Silent[0].Service != "shop" || mine.Silent[0].Status != "paused" || mine.Silent[0].Parked || mine.Silent[0].Since == 0 {
		t.Errorf("the owner is shown %+v", mine.Silent)
	}
	var services api.AdminServiceList
	w.read(w.operatorGet(api.AdminServices), &services)
	if s := services.Services[1]; s.Status != "paused" || s.Since == 0 || s.Parked != 0 || s.Why != "its receiver: night" {
		t.Errorf("the operator is shown %+v", s)
	}
	if !strings.Contains(string(w.operatorGet(api.AdminMetrics).body), `readmit_service_parked{service="shop"} 0`) {
		t.Error("what its receiver has paused is not parked")
	}
	w.asService(shop.Secret, http.MethodPost, api.PathStatus, api.StreamStatus{ID: shop.Stream, Status: "disabled"})
	if a := w.asService(shop.Secret, http.MethodPost, api.PathPoll, api.Poll{}); a.status != http.StatusConflict || a.problem(t).Reason != api.ReasonDisabled {
		t.Errorf("a disabled stream is polled: %d %s", a.status, a.body)
	}
	w.asService(shop.Secret, http.MethodPost, api.PathStatus, api.StreamStatus{ID: shop.Stream, Status: "enabled"})
	mine = api.Receipts{}
	wantCode(t, "receipts", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session}, &mine), 0)
	if len(mine.Silent) != 0 {
		t.Errorf("enabled, and the owner is shown %+v", mine.Silent)
	}
	if a := w.asService(shop.Secret, http.MethodPost, api.PathVerify, api.StreamVerify{ID: shop.Stream, State: "s"}); a.status != http.StatusNoContent {
		t.Errorf("verify: %d %s", a.status, a.body)
	}
	if a := w.asService(shop.Secret, http.MethodPost, api.PathVerify, api.StreamVerify{ID: shop.Stream}); a.status != http.StatusTooManyRequests {
		t.Errorf("verify at once again: %d", a.status)
	}
	if got := w.polls(shop.Secret, api.Poll{}); len(got.Sets) != 2 {
		t.Errorf("%d signals, want the first change that was kept and the verification", len(got.Sets))
	}
}

// A service that is parked is not shown to the owner as one that has paused its
// stream.
func TestOwnerSeesParked(t *testing.T) {
	w := newWorld(t)
	shop := w.registered("shop")
	laptop := w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	w.act(api.AdminEnable, jane)
	w.polls(shop.Secret, api.Poll{SetErrs: map[string]api.SETError{names(w.polls(shop.Secret, api.Poll{}))[0]: {Err: "invalid_audience"}}})
	var mine api.Receipts
	wantCode(t, "receipts", laptop.call(api.PathReceipts, api.ReceiptsRequest{Session: laptop.in.Session}, &mine), 0)
	if len(mine.Silent) != 1 || mine.Silent[0].Service != "shop" || mine.Silent[0].Status != "paused" || !mine.Silent[0].Parked || mine.Silent[0].Since == 0 {
		t.Errorf("the owner is shown %+v", mine.Silent)
	}
}

func TestOperatorSeesServices(t *testing.T) {
	w := newWorld(t)
	shop := w.registered("shop")
	w.enrolled(jane, "laptop")
	w.act(api.AdminDisable, jane)
	w.clock.advance(90 * time.Second)
	time.Sleep(200 * time.Millisecond) // some looks
	var list api.AdminServiceList
	w.read(w.operatorGet(api.AdminServices), &list)
	if s := list.Services; len(s) != 1 || s[0].Name != "shop" || s[0].Waiting != 1 || s[0].Lag < 90 || s[0].Lag > 100 || s[0].Status != "enabled" {
		t.Fatalf("%+v", list)
	}
	var one api.AdminServiceState
	if p := w.operator(api.AdminServiceShow, api.AdminServiceName{Name: "shop"}, &one); p != nil {
		t.Fatal(p)
	}
	if f := one.First; one.Stream != shop.Stream || one.Waiting != 1 || f == nil || f.Account != jane || f.Kind != "account-disabled" || f.Epoch != 2 || f.Since == 0 {
		t.Fatalf("%+v", one)
	}
	metrics := string(w.operatorGet(api.AdminMetrics).body)
	for _, want := range []string{`readmit_receipts_waiting{service="shop"} 1`, `readmit_service_parked{service="shop"} 0`, `readmit_service_lag_seconds{service="shop"} 9`, "readmit_tail_age_seconds 0."} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	w.polls(shop.Secret, api.Poll{SetErrs: map[string]api.SETError{names(w.polls(shop.Secret, api.Poll{}))[0]: {Err: "invalid_issuer", Description: "planted"}}})
	list = api.AdminServiceList{}
	w.read(w.operatorGet(api.AdminServices), &list)
	if s := list.Services[0]; s.Parked == 0 || s.Why != "rejected (invalid_issuer)" || s.Waiting != 1 {
		t.Errorf("%+v", s)
	}
	if metrics := string(w.operatorGet(api.AdminMetrics).body); !strings.Contains(metrics, `readmit_service_parked{service="shop"} 1`) || !strings.Contains(metrics, `readmit_signals_total{outcome="parked",service="shop"} 1`) {
		t.Error("the metrics do not say that it is parked")
	}
	if p := w.operator(api.AdminServiceResume, api.AdminServiceName{Name: "shop"}, nil); p != nil {
		t.Fatal(p)
	}
	if got := w.polls(shop.Secret, api.Poll{}); len(got.Sets) != 2 {
		t.Errorf("resumed, and %d signals came, want the change and the word of it", len(got.Sets))
	}
	for path, in := range map[string]any{
		api.AdminServiceShow: api.AdminServiceName{Name: "none"}, api.AdminServiceResume: api.AdminServiceName{Name: "none"}, api.AdminServiceRemove: api.AdminServiceName{Name: "none"},
		api.AdminServiceAdd: api.AdminServiceNew{Name: "shop"},
	} {
		wantCode(t, path, w.operator(path, in, nil), api.NotPossible)
	}
	if p := w.operator(api.AdminServiceRemove, api.AdminServiceName{Name: "shop"}, nil); p != nil {
		t.Fatal(p)
	}
	if a := w.asService(shop.Secret, http.MethodPost, api.PathPoll, api.Poll{}); a.status != http.StatusUnauthorized {
		t.Errorf("a service that is gone polls: %d", a.status)
	}
	for _, secret := range []string{shop.Secret, "planted"} {
		if bytes.Contains(w.logs.bytes(), []byte(secret)) {
			t.Error("the log has what only the service may know, or what it said")
		}
	}
}

// TestExplainsChangesOnTheirWay: to those who may know of the account alone.
func TestExplainsChangesOnTheirWay(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.registered("shop")
	w.act(api.AdminDisable, jane)
	w.act(api.AdminEnable, jane)
	_, p := laptop.signInWith(api.SignInStart{Account: jane}, "a wrong password")
	p = refusedWith(t, p)
	ask := func() cause.Report {
		t.Helper()
		var r cause.Report
		wantCode(t, "explain", laptop.call(api.PathExplain, api.Explain{Incident: p.Incident}, &r), 0)
		return r
	}
	wantCauses(t, ask(), cause.Holder, "password-wrong")
	w.clock.advance(2 * time.Second)
	r := ask()
	wantCauses(t, r, cause.Holder, "password-wrong change-pending")
	stranger := w.machine("stranger")
	_, q := stranger.signInWith(api.SignInStart{Account: jane}, "a wrong password")
	q = refusedWith(t, q)
	var told cause.Report
	wantCode(t, "explain", stranger.call(api.PathExplain, api.Explain{Incident: q.Incident}, &told), 0)
	wantCauses(t, told, cause.Anyone, "refused")
	wantCauses(t, w.forOperator(q), cause.Operator, "password-wrong change-pending")
}
