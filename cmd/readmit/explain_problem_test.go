package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"readmit.dev/readmit/api"
)

// What a service answers is explained as far as it says so itself, on a device
// that has no account to ask with.
func TestExplainAnswerOfAService(t *testing.T) {
	d := newDevice(t)
	const shop = "https://shop.example.org"
	answer := func(kind, reason string, status, code int, more string) string {
		return fmt.Sprintf(`{"type":%q,"title":"The request was refused","status":%d,"code":%d,"reason":%q,"service":%q%s}`, kind, status, code, reason, shop, more)
	}
	behind := answer("https://id.example.org/help/change-pending", "behind", 401, 4001, `,"known_epoch":5,"token_epoch":6,"known_since":1700000000`)
	for name, c := range map[string]struct {
		text, cause, said string
	}{
		"behind":        {behind, "change-pending", "cannot ask the account server which change"},
		"with headers":  {"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\n\r\n" + behind + "\n", "change-pending", "2023-11-14"},
		"without keys":  {answer("https://id.example.org/help/service-fault", "keys-unavailable", 503, 5030, ""), "service-fault", "cannot ask"},
		"busy":          {answer("https://id.example.org/help/service-fault", "busy", 503, 5030, ""), "service-fault", "checked nothing, and refused nothing"},
		"not ready":     {`{"type":"about:blank","title":"t","status":503,"code":5030,"reason":"service-fault"}`, "service-fault", "checked nothing, and refused nothing"},
		"a node behind": {`{"type":"https://id.example.org/help/change-pending","title":"t","status":401,"code":4000,"reason":"behind"}`, "change-pending", "a node of the account server"},
	} {
		r := d.in(c.text, "explain", "--json", "-")
		var out struct {
			Service  string `json:"service"`
			Reason   string `json:"reason"`
			Findings []struct {
				Cause    string `json:"cause"`
				Evidence []struct{ Check, Got string }
			} `json:"findings"`
		}
		if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || r.code != fine || len(out.Findings) != 1 || out.Findings[0].Cause != c.cause || !strings.Contains(r.stderr, c.said) {
			t.Errorf("%s: %v: %+v", name, err, r)
			continue
		}
		f := out.Findings[0]
		if strings.Contains(r.stdout, "{server}") || out.Service == shop && strings.Contains(r.stdout, `"sign-in"`) {
			t.Errorf("%s: a command for who only has to ask again: %s", name, r.stdout)
		}
		if strings.Contains(r.stdout, "Apple") {
			t.Errorf("%s: Apple is none of an own account's: %s", name, r.stdout)
		}
		if named := len(f.Evidence) > 1 && f.Evidence[1].Check == "change-service" && f.Evidence[1].Got == "shop.example.org"; c.cause == "change-pending" && named != (out.Service == shop) {
			t.Errorf("%s: %+v", name, f.Evidence)
		}
	}
	for name, c := range map[string]struct {
		text string
		code int
		said string
	}{
		"a clock":          {answer("https://id.example.org/help/clock-off", "clock-off", 401, 4010, ""), needPerson, "more than a minute off"},
		"an ended session": {answer("about:blank", "ended", 401, 4001, ""), needPerson, "not enrolled"},
		"an old token":     {answer("about:blank", "stale", 401, 4001, `,"known_epoch":6,"token_epoch":5,"known_since":1700000000`), failed, "the token is of before change 6 of the account, made 2023-11-14 "},
		"the remedy":       {answer("about:blank", "stale", 401, 4001, `,"known_epoch":6,"token_epoch":5`), failed, "hint: readmit token --audience https://shop.example.org --min-valid 5m, then send"},
		"what is missing":  {answer("about:blank", "stale", 401, 4001, `,"known_epoch":6,"token_epoch":5`), failed, "cannot ask the account server which change"},
		"a start":          {answer("about:blank", "stale", 401, 4001, `,"floor":1700000000,"token_epoch":5`), failed, "has started, or missed signals, after the token was issued"},
		"a bad proof":      {answer("about:blank", "proof", 401, 4010, ""), failed, "did not take the request (proof)"},
		"the server's own": {`{"type":"about:blank","title":"There is no such account","status":409,"code":4090,"reason":"no-account"}`, failed, "There is no such account"},
		"a refusal":        {`{"type":"https://id.example.org/causes/refused","title":"Authentication failed","status":401,"code":4001,"reference":"4K7Q-9FXM"}`, needPerson, "neither that incident"},
	} {
		if r := d.in(c.text, "explain", "-"); r.code != c.code || !strings.Contains(r.stderr, c.said) || r.stdout != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// What only looks like one is a text like any other.
	for _, text := range []string{
		`{"type":"https://example.org/help/x","title":"t","status":401,"code":401,"reason":"behind"}`,
		`{"type":"https://example.org/x","title":"t","status":401,"code":4001,"reason":"behind"}`,
		`{"type":"about:blank","title":"t","status":401,"code":4001}`, `{"reason":"behind"`, `{}`,
	} {
		if r := d.in(text, "explain", "--json", "-"); r.code != fine || !strings.Contains(r.stdout, `"cause":"unknown"`) {
			t.Errorf("%s: %+v", text, r)
		}
	}
}

// Two services may have one audience: what the other waits for is nothing of the
// one that has answered.
func TestWaitsFor(t *testing.T) {
	const shop = "https://shop.example.org"
	got := api.Receipts{Waiting: []api.Receipt{{Service: "other", Audience: "https://other.example.org", Epoch: 30}, {Service: "ex2", Audience: shop, Epoch: 19}, {Service: "ex1", Audience: shop, Epoch: 21}}}
	for after, want := range map[int64]string{0: "ex2", 18: "ex2", 19: "ex1", 20: "ex1", 21: ""} {
		if r, ok := waitsFor(got, shop, after); r.Service != want || ok != (want != "") {
			t.Errorf("after %d: %q, %v", after, r.Service, ok)
		}
	}
}
