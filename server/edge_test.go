package server_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/opaque"
)

// TestAddressIsTheConnections: only from the one configured proxy is anybody's
// word on where a request came from believed, and only its own, the last.
func TestAddressIsTheConnections(t *testing.T) {
	const connection, told = "192.0.2.1", "203.0.113.9"
	for _, tt := range []struct{ proxy, header, want string }{ // a header for each line
		{"", told, connection},
		{"198.51.100.1", told, connection},
		{connection, told, told},
		{connection, "10.9.9.9, " + told, told},
		{connection, told + ", not an address", connection},
		{connection, "", connection},
		{connection, "10.9.9.9\n" + told, told},
		{connection, told + "\n", connection},
		{connection, "::ffff:" + told, told},
		{connection, "fe80::1%<zone>", "fe80::1"},
	} {
		w := newWorld(t)
		w.enrolled(jane, "laptop")
		if tt.proxy != "" {
			w.proxy = netip.MustParseAddr(tt.proxy)
			w.restart()
		}
		stranger := w.machine("stranger")
		_, ke1, err := opaque.StartLogin([]byte("a wrong one"))
		must(t, err)
		body, err := json.Marshal(api.SignInStart{Account: jane, Purpose: api.ForSignIn, KE1: ke1, Client: stranger.client()})
		must(t, err)
		r := stranger.sign(api.PathSignInStart, body)
		for line := range strings.SplitSeq(tt.header, "\n") {
			r.Header.Add("X-Forwarded-For", line)
		}
		if a := w.serve(w.public, r); a.status != http.StatusOK {
			t.Fatalf("start: %d", a.status)
		}
		if got := w.activity(jane)[0].Address; got != tt.want {
			t.Errorf("proxy %q says %q: address %s, want %s", tt.proxy, tt.header, got, tt.want)
		}
	}
}

func TestSignUpByInvitation(t *testing.T) {
	w := newWorld(t)
	w.invited = true
	w.restart()
	invite := func(account string) string {
		var out api.AdminInvitation
		if p := w.operator(api.AdminInvite, api.AdminAccount{Account: account}, &out); p != nil {
			t.Fatal(p)
		}
		return out.Invitation
	}
	var hello api.Hello
	w.read(w.get(api.PathHello), &hello)
	if !hello.Invited {
		t.Error("hello does not say that sign-up needs an invitation")
	}
	wantCode(t, "without one", w.machine("m").signUp(jane, password), api.NotPossible)
	others := invite("other@example.org")
	mine := invite(" Jane@example.org")
	m := w.machine("m")
	for what, invitation := range map[string]string{"made up": "AAAA-AAAA-AAAA-AAAA", "another's": others} {
		m.invitation = invitation
		wantCode(t, what, m.signUp(jane, password), api.NotPossible)
	}
	m.invitation = strings.ToLower(strings.ReplaceAll(mine, "-", " "))
	wantCode(t, "with one", m.signUp(jane, password), 0)
	wantCode(t, "refresh", m.refresh(), 0)
	wantCode(t, "once more", m.twin().signUp(jane, password), api.NotPossible)
	late := w.machine("late")
	late.invitation = others
	w.clock.advance(8 * 24 * time.Hour)
	wantCode(t, "after eight days", late.signUp("other@example.org", password), api.NotPossible)
	if p := w.operator(api.AdminInvite, api.AdminAccount{Account: "not an address"}, nil); codeOf(p) != api.NotPossible {
		t.Errorf("an invitation for nobody: %v", p)
	}
}

func TestPagesOfCauses(t *testing.T) {
	w := newWorld(t)
	for _, row := range cause.Table() {
		a := w.get(api.PathCauses + string(row.Code))
		if a.status != http.StatusOK || !strings.Contains(string(a.body), html.EscapeString(row.Title)) || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("page of %s: %d", row.Code, a.status)
		}
	}
}

// TestTokensOutliveARotation: what the server publishes verifies what it signs, also
// after its key was changed; and a changed token is none.
func TestTokensOutliveARotation(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	w.days(30)
	wantCode(t, "refresh", laptop.refresh(), 0)
	before := laptop.in.AccessToken
	w.days(1)
	w.restart()
	wantCode(t, "refresh", laptop.refresh(), 0)
	if _, p := laptop.whoAmI(); p != nil {
		t.Errorf("a token by the new key: %v", p)
	}
	laptop.in.AccessToken = before
	if _, p := laptop.whoAmI(); p == nil {
		t.Error("a token of yesterday is good")
	}
	wantCode(t, "refresh", laptop.refresh(), 0)
	good := laptop.in.AccessToken
	for i := range good {
		if good[i] == '.' || i == len(good)-1 {
			continue // the last character has bits that mean nothing
		}
		changed := []byte(good)
		changed[i] = map[bool]byte{true: 'B', false: 'A'}[changed[i] == 'A']
		laptop.in.AccessToken = string(changed)
		if _, p := laptop.whoAmI(); p == nil {
			t.Fatalf("a token with character %d of %d changed is good", i, len(good))
		}
	}
}

// TestCodesAtOnce: tries are counted however many come together, and a right
// code is good once.
func TestCodesAtOnce(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	shown := laptop.allow(need).Code
	wrong := laptop.wrongCode(shown)
	atOnce(50, func(int) {
		if p := phone.twin().code(need, wrong); codeOf(p) != api.Failed {
			t.Errorf("a wrong code: %v", p)
		}
	})
	laptop.asOwner(t, phone.code(need, shown), "code-tries-spent")
	judged := 0
	for _, a := range w.activity(jane) {
		if a.What == "code" && a.Cause == "code-wrong" {
			judged++
		}
	}
	if judged != 2 { // and the third was the last
		t.Errorf("%d codes were judged wrong before the last", judged)
	}

	need = phone.needCode(jane, password, "")
	shown = laptop.allow(need).Code
	results := make([]int, 50)
	atOnce(len(results), func(i int) { results[i] = codeOf(phone.twin().code(need, shown)) })
	in := 0
	for _, c := range results {
		if c == 0 {
			in++
		} else if c != api.NotPossible {
			t.Errorf("a right code again: %d", c)
		}
	}
	if in != 1 {
		t.Errorf("one code let in %d times", in)
	}
	if n := w.accounts()[0].Devices; n != 2 {
		t.Errorf("%d devices are enrolled", n)
	}
}
