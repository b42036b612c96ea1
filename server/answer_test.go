package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/store"
)

// shape is what of an answer a stranger can compare: everything but the values
// that are fresh each time, and of those the length.
func shape(t testing.TB, a answer) string {
	t.Helper()
	h := a.header.Clone()
	if len(h.Get(api.HeaderNonce)) != 32 {
		t.Errorf("a nonce of %d characters", len(h.Get(api.HeaderNonce)))
	}
	h.Del(api.HeaderNonce)
	h.Del("Date")
	s := fmt.Sprintf("%d", a.status)
	for _, k := range slices.Sorted(maps.Keys(h)) {
		s += fmt.Sprintf("\n%s: %q", k, h[k])
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Errorf("body: %v", err)
	}
	for _, k := range slices.Sorted(maps.Keys(body)) {
		if slices.Contains([]string{"ke2", "former", "state", "reference", "incident"}, k) {
			s += fmt.Sprintf("\n%s of %d", k, len(body[k]))
			continue
		}
		s += fmt.Sprintf("\n%s = %s", k, body[k])
	}
	return s
}

// both is the shape of the two answers of a failing sign-in.
func both(t testing.TB, m *machine, account, purpose string) [2]string {
	t.Helper()
	_, ke1, err := opaque.StartLogin([]byte("a wrong one"))
	must(t, err)
	first := m.post(api.PathSignInStart, api.SignInStart{
		Account: account, Purpose: purpose, KE1: ke1, DeviceName: m.name, Client: m.client(),
	})
	out := [2]string{shape(t, first)}
	if first.status == http.StatusOK {
		var started api.SignInStarted
		m.w.read(first, &started)
		out[1] = shape(t, m.post(api.PathSignInFinish, api.SignInFinish{State: started.State, KE3: opaque.DecoyKE3()}))
	}
	return out
}

func TestOneAnswer(t *testing.T) {
	w := newWorld(t)
	const locked, disabled, long = "locked@example.org", "disabled@example.org", "a-much-longer-identifier-than-all-the-others@example.org"
	for _, account := range []string{jane, locked, disabled, long} {
		m := w.machine("first")
		m.stretch = opaque.DefaultStretch
		wantCode(t, "sign-up", m.signUp(account, password), 0)
	}
	w.act(api.AdminDisable, disabled)
	stranger := w.machine("stranger")
	for range lockout.FailedLimit {
		stranger.fail(locked)
		stranger.fail("locked-and-nobody@example.org")
	}
	former := w.machine("former")
	former.stretch = opaque.DefaultStretch
	wantCode(t, "sign-up", former.signUp("former@example.org", password), 0)
	keeper := w.machine("keeper")
	keeper.stretch = opaque.DefaultStretch
	need := keeper.needCode("former@example.org", password, "")
	wantCode(t, "code", keeper.code(need, former.allow(need).Code), 0)
	wantCode(t, "remove", keeper.call(api.PathRemoveDevice, api.SignedID{Session: keeper.in.Session, ID: former.in.Device[:8]}, nil), 0)

	for _, purpose := range []string{api.ForSignIn, api.ForPassword} {
		for what, x := range map[string]struct {
			by *machine // what it says of itself, and how long that is, is nothing it does not know
			at string
		}{
			"wrong password":           {stranger, jane},
			"long identifier":          {stranger, long},
			"locked by strangers":      {stranger, locked},
			"unknown and locked":       {stranger, "locked-and-nobody@example.org"},
			"disabled":                 {stranger, disabled},
			"removed device":           {former, "former@example.org"},
			"enrolled for another one": {keeper, jane},
			"not an address":           {stranger, "hunter2"},
			"nothing":                  {stranger, ""},
			"name in many bytes":       {w.machine(strings.Repeat("𐐀", 40)), disabled},
		} {
			want := both(t, x.by, "nobody@example.org", purpose)
			if got := both(t, x.by, x.at, purpose); got != want {
				t.Errorf("%s, %s: the answers are\n%s\n%s\nfor an unknown account\n%s\n%s", purpose, what, got[0], got[1], want[0], want[1])
			}
		}
	}

	// What anyone may be told makes the only difference, and it is the same for all.
	old := w.machine("old")
	old.off = time.Hour
	want := both(t, old, "nobody@example.org", api.ForSignIn)
	for _, account := range []string{jane, locked, disabled} {
		if got := both(t, old, account, api.ForSignIn); got != want {
			t.Errorf("clock off at %s:\n%s\nat an unknown account\n%s", account, got[0], want[0])
		}
	}
}

// An attempt goes on at another node, and where a node of the version before
// may be beside it, its state is as that one reads it.
func TestAttemptGoesOnAtAnotherNode(t *testing.T) {
	alone := newWorld(t)
	laptop := alone.enrolled(jane, "laptop")
	shared := alone.beside()
	shared.stretches = alone.stretches
	for what, way := range map[string]struct {
		from, to *world
		json     bool
	}{
		"from the one alone": {alone, shared, false}, "to the one alone": {shared, alone, true},
	} {
		laptop.w = way.from
		try, p := laptop.start(jane, password)
		wantCode(t, what, p, 0)
		if n := len(try.started.State); (n > 2000) != way.json {
			t.Errorf("%s: a state of %d octets", what, n)
		}
		laptop.w = way.to
		out, p := try.finish()
		wantCode(t, what, p, 0)
		if out.SignedIn == nil {
			t.Errorf("%s: %+v", what, out)
		}
	}
}

// TestOneAnswerOnSessions holds the same for calls on a session.
func TestOneAnswerOnSessions(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	gone := phone.in.Session
	wantCode(t, "sign-out", phone.call(api.PathSignOut, phone.signed(), nil), 0)
	other := w.enrolled("other@example.org", "other")
	w.act(api.AdminDisable, "other@example.org")
	stranger := w.machine("stranger")
	unknown := "000102030405060708090a0b0c0d0e0f"
	for _, path := range []string{
		api.PathToken, api.PathSignOut, api.PathRequests, api.PathPass, api.PathDevices, api.PathActivity,
		api.PathAllow, api.PathDeny, api.PathRemoveDevice, api.PathEndDevice,
	} {
		ask := func(session string) string {
			var in any = api.Signed{Session: session}
			if slices.Contains([]string{api.PathAllow, api.PathDeny, api.PathRemoveDevice, api.PathEndDevice}, path) {
				in = api.SignedID{Session: session, ID: "0000"}
			}
			return shape(t, stranger.post(path, in))
		}
		want := ask(unknown)
		for what, session := range map[string]string{"living": laptop.in.Session, "ended": gone, "of a disabled account": other.in.Session} {
			if got := ask(session); got != want {
				t.Errorf("%s: a session that is %s: \n%s\none that is unknown\n%s", path, what, got, want)
			}
		}
	}
	var none []string
	for _, account := range []string{jane, "other@example.org", "nobody@example.org"} {
		none = append(none, shape(t, stranger.post(api.PathSession, api.SessionRequest{Account: account, Client: stranger.client()})))
	}
	if none[0] != none[1] || none[0] != none[2] {
		t.Errorf("a session asked for by an unknown key: %q", none)
	}
}

func TestReplayedMessageDoesNothing(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	stranger := w.machine("stranger")
	_, ke1, err := opaque.StartLogin([]byte("a wrong one"))
	must(t, err)
	body, err := json.Marshal(api.SignInStart{Account: jane, Purpose: api.ForSignIn, KE1: ke1, DeviceName: "stranger", Client: stranger.client()})
	must(t, err)
	r := stranger.sign(api.PathSignInStart, body)
	proof := r.Header.Get(api.HeaderProof)
	if a := w.serve(w.public, r); a.status != http.StatusOK {
		t.Fatalf("the first time: %d", a.status)
	}
	before := w.activity(jane)
	for range 5 * lockout.OpenLimit {
		wantCode(t, "the same message again", w.serve(w.public, request(api.PathSignInStart, proof, body)).problem(t), api.StaleProof)
	}
	if after := w.activity(jane); !reflect.DeepEqual(before, after) {
		t.Errorf("replayed messages left %d lines in the ledger", len(after)-len(before))
	}
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "") // no lock: the counter did not rise
	if need == nil {
		t.Error("replayed messages locked the account")
	}

	// A refresh seen on the wire gives nobody a token.
	body, err = json.Marshal(api.TokenRequest{Session: laptop.in.Session})
	must(t, err)
	r = laptop.sign(api.PathToken, body)
	proof = r.Header.Get(api.HeaderProof)
	if a := w.serve(w.public, r); a.status != http.StatusOK {
		t.Fatalf("refresh: %d", a.status)
	}
	wantCode(t, "the same refresh again", w.serve(w.public, request(api.PathToken, proof, body)).problem(t), api.StaleProof)
	wantCode(t, "its proof on another path", w.serve(w.public, request(api.PathDevices, proof, body)).problem(t), api.BadRequest)
	wantCode(t, "its proof on another body", w.serve(w.public, request(api.PathToken, proof, append(body, ' '))).problem(t), api.BadRequest)

	r = laptop.sign(api.PathToken, body)
	w.clock.advance(2 * time.Minute)
	wantCode(t, "a message of two minutes ago", w.serve(w.public, r).problem(t), api.StaleProof)
	r = laptop.sign(api.PathToken, body)
	w.restart()
	wantCode(t, "a message for the server before the restart", w.serve(w.public, r).problem(t), api.StaleProof)
}

// A line of the ledger that grows when its attempt is closed may make the store
// divide a page: whose account has a full ledger would show in the time.
func TestClosingMakesNoLineLonger(t *testing.T) {
	w := newWorld(t)
	const locked, disabled = "locked@example.org", "disabled@example.org"
	for _, account := range []string{jane, locked, disabled} {
		wantCode(t, "sign-up", w.machine("first").signUp(account, password), 0)
	}
	w.act(api.AdminDisable, disabled)
	stranger := w.machine(strings.Repeat("𐐀", 40))
	for range lockout.FailedLimit {
		stranger.fail(locked)
	}
	for _, account := range []string{jane, locked, disabled, "nobody@example.org"} {
		line := func() (last store.Entry) {
			must(t, w.store.View(t.Context(), func(tx store.Tx) error {
				a, err := tx.Find(w.keys.Lookup(account), store.StandKey(w.keys.Lookup(account)))
				if err != nil {
					return err
				}
				last, err = tx.Entry(a.ID, store.RingStrangers, a.Hot.Seq[store.RingStrangers])
				return err
			}))
			return last
		}
		try, p := stranger.start(account, "a wrong one")
		wantCode(t, account, p, 0)
		begun := line()
		_, p = try.finishWith(opaque.DecoyKE3())
		wantCode(t, account, p, api.Failed)
		closed := line()
		if !begun.Open || closed.Open || begun.ID != closed.ID {
			t.Fatalf("%s: not the line of this attempt: %+v, %+v", account, begun, closed)
		}
		if len(closed.Detail) > len(begun.Detail) {
			t.Errorf("%s: a line of %d octets became one of %d", account, len(begun.Detail), len(closed.Detail))
		}
	}
}
