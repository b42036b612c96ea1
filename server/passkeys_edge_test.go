package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/store"
)

func base64Decode(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return b
}

// evidenceWant is what a report's first finding wanted of a check.
func evidenceWant(r cause.Report, c cause.Check) string {
	for _, f := range r.Findings[0].Evidence {
		if f.Check() == c {
			return f.Want()
		}
	}
	return ""
}

// lastDevice is the ID of the device of that name which was enrolled last.
func (w *world) lastDevice(of *machine, name string) (id string) {
	w.t.Helper()
	var list api.Devices
	wantCode(w.t, "devices", of.call(api.PathDevices, of.signed(), &list), 0)
	for _, d := range list.Devices {
		if d.Name == name {
			id = d.ID
		}
	}
	return id
}

// uncounted makes of a passkey one that never counted.
func (w *world) uncounted(credential []byte) {
	w.t.Helper()
	must(w.t, w.store.Update(context.Background(), func(tx store.Tx) error {
		p, err := tx.Passkey(credential)
		if err != nil {
			return err
		}
		p.Count = 0
		return tx.SavePasskey(p)
	}))
}

// TestOneAnswerOfPasskeys: who has proved nothing cannot tell one refusal from
// another, nor an account with passkeys from one without.
func TestOneAnswerOfPasskeys(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	disabled := w.enrolled("disabled@example.org", "laptop")
	bare := w.enrolled("bare@example.org", "laptop")
	key, other := newAuthenticator(t), newAuthenticator(t)
	laptop.addPasskey(key, "a name of some length, which nobody may see")
	disabled.addPasskey(other, "k")
	w.act(api.AdminDisable, "disabled@example.org")
	stranger := w.machine("stranger")

	refusal := func(a *authenticator) string {
		started, p := stranger.enterStart()
		wantCode(t, "start", p, 0)
		return shape(t, stranger.post(api.PathPasskeyFinish, api.PasskeyFinish{State: started.State, Credential: a.get(started.Options)}))
	}
	never := key.clone()
	never.Kept[0].ID, never.Kept[0].User = make([]byte, 32), make([]byte, 16)
	want := refusal(never)
	lying := key.clone()
	lying.Kept[0].Key = other.Kept[0].Key
	copied := key.clone()
	copied.Kept[0].Count = 0
	elsewhere := key.clone()
	elsewhere.Origin = "https://evil.example"
	for what, a := range map[string]*authenticator{"wrong key": lying, "copied": copied, "wrong origin": elsewhere, "disabled": other} {
		if got := refusal(a); got != want {
			t.Errorf("%s:\n%s\nan unknown credential\n%s", what, got, want)
		}
	}

	// The options for the second factor are the same with passkeys and without.
	options := func(account string) string {
		m := w.machine("phone")
		started, p := m.secondStart(m.needCode(account, password, ""))
		wantCode(t, "start", p, 0)
		var o map[string]any
		must(t, json.Unmarshal(started.Options, &o))
		delete(o, "challenge")
		return string(mustJSON(t, o)) + " and a state of " + string(mustJSON(t, len(started.State)))
	}
	if with, without := options(jane), options("bare@example.org"); with != without {
		t.Errorf("with passkeys %s\nwithout %s", with, without)
	}
	if got := bare.passkeys(); len(got.Passkeys) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestPasskeyStatesAreBound(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(t)
	laptop.addPasskey(key, "house key")
	phone, thief := w.machine("phone"), w.machine("thief")

	only, p := phone.enterStart()
	wantCode(t, "start", p, 0)
	answer := key.get(only.Options)
	wantCode(t, "by another device key", thief.enterFinish(only, answer), api.NotPossible)
	need := phone.needCode(jane, password, "")
	wantCode(t, "as a second factor", phone.secondFinish(need, only, answer), api.BadRequest)
	_, p = laptop.addFinish(only, answer, "")
	wantCode(t, "to add", p, api.BadRequest)
	second, p := phone.secondStart(need)
	wantCode(t, "start", p, 0)
	wantCode(t, "a second factor as the only step", phone.enterFinish(second, key.get(second.Options)), api.BadRequest)
	other := phone.needCode(jane, password, "")
	wantCode(t, "for another attempt", phone.secondFinish(other, second, key.get(second.Options)), api.NotPossible)
	forged := only
	forged.State = slices.Clone(only.State)
	forged.State[40] ^= 1
	wantCode(t, "changed", phone.enterFinish(forged, answer), api.BadRequest)
	for what, credential := range map[string]string{
		"nothing": "null", "a text": `"x"`, "empty": "{}", "no response": `{"id":"AAAA","rawId":"AAAA","type":"public-key"}`,
	} {
		wantCode(t, what, phone.enterFinish(only, json.RawMessage(credential)), api.BadRequest)
	}
	w.clock.advance(2*time.Minute + time.Second)
	wantCode(t, "after two minutes", phone.enterFinish(only, answer), api.NotPossible)
	wantCode(t, "the second factor too", phone.secondFinish(need, second, key.get(second.Options)), api.NotPossible)
	w.clock.advance(9 * time.Minute)
	_, p = phone.secondStart(need)
	wantCode(t, "an attempt of eleven minutes ago", p, api.NotPossible)
}

func TestAddingPasskeys(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(api.Email, home)
	laptop.has(api.Phone, phone)
	key := newAuthenticator(t)

	// Both starts are of one epoch: one of them adds.
	a, p := laptop.addStart(nil)
	wantCode(t, "start", p, 0)
	b, p := laptop.addStart(nil)
	wantCode(t, "start", p, 0)
	added, p := laptop.addFinish(a, key.create(a.Options), "evil.com\r\nkey")
	wantCode(t, "add", p, 0)
	if added.Name != "evil.comkey" {
		t.Errorf("named %q", added.Name)
	}
	_, p = laptop.addFinish(b, key.create(b.Options), "")
	wantCode(t, "of the epoch before", p, api.NotPossible)
	for _, to := range []string{home, phone} {
		if got := told(w.deliver(), to); to == home && len(got) != 1 {
			t.Errorf("told to %s: %q", to, got)
		}
	}

	// The wrong page, nobody's unlocking, another challenge.
	for what, change := range map[string]func(*authenticator){
		"wrong-origin":      func(a *authenticator) { a.Origin = "https://evil.example" },
		"user-not-verified": func(a *authenticator) { a.Unverified = true },
		"not-proved":        func(a *authenticator) { a.Mistaken = true },
	} {
		lying := newAuthenticator(t)
		change(lying)
		started, p := laptop.addStart(nil)
		wantCode(t, "start", p, 0)
		_, p = laptop.addFinish(started, lying.create(started.Options), "")
		wantEvidence(t, laptop.asOwner(t, p, "passkey-refused"), cause.CheckPasskey, what)
	}
	started, p := laptop.addStart(nil)
	wantCode(t, "start", p, 0)
	_, p = laptop.addFinish(started, key.attest(b.Options), "")
	wantEvidence(t, laptop.asOwner(t, p, "passkey-refused"), cause.CheckPasskey, "wrong-challenge")

	// The same credential once, here and at another account.
	_, p = laptop.addFinish(started, key.attest(started.Options), "")
	wantCode(t, "a known one", p, api.NotPossible)
	other := w.enrolled("other@example.org", "other")
	theirs, p := other.addStart(nil)
	wantCode(t, "start", p, 0)
	_, p = other.addFinish(theirs, key.attest(theirs.Options), "")
	wantCode(t, "a known one at another account", p, api.NotPossible)
	_, p = other.addFinish(started, key.create(started.Options), "")
	wantCode(t, "with another account's state", p, api.NotPossible)
	wantCode(t, "another account's removed", other.removePasskey(added), api.NotPossible)

	// A session of more than an hour needs a grant, for this and nothing else.
	w.clock.advance(time.Hour + time.Second)
	_, p = laptop.addStart(nil)
	wantCode(t, "after an hour", p, api.NotPossible)
	if laptop.passkeys().Fresh {
		t.Error("said to be fresh after an hour")
	}
	grant := func(purpose string) []byte {
		out, p := laptop.signInWith(api.SignInStart{Account: jane, Purpose: purpose}, password)
		if p != nil || out.Grant == nil {
			t.Fatalf("no grant: %v", p)
		}
		return out.Grant
	}
	_, p = laptop.addStart(grant(api.ForPassword))
	wantCode(t, "with a grant for the password", p, api.NotPossible)
	good := grant(api.ForSettings)
	for n := len(laptop.passkeys().Passkeys); n < 10; n++ {
		started, p := laptop.addStart(good)
		wantCode(t, "with a grant", p, 0)
		_, p = laptop.addFinish(started, key.create(started.Options), "one more")
		wantCode(t, "add", p, 0)
	}
	_, p = laptop.addStart(good)
	wantCode(t, "the eleventh", p, api.NotPossible)
	_, p = other.addStart(good)
	wantCode(t, "with another device's grant", p, api.NotPossible)
	shared := laptop.twin() // one key, enrolled for two accounts
	wantCode(t, "sign-up", shared.signUp("shared@example.org", password), 0)
	w.clock.advance(time.Hour + time.Second)
	_, p = shared.addStart(grant(api.ForSettings))
	wantCode(t, "with another account's grant", p, api.NotPossible)
	w.deliver()
	for _, k := range laptop.passkeys().Passkeys {
		wantCode(t, "remove", laptop.removePasskey(k), 0)
	}
	if got := told(w.deliver(), home); len(got) != 10 {
		t.Errorf("of ten removals %d were told", len(got))
	}
	_, p = w.machine("gone").addStart(nil)
	wantCode(t, "without a session", p, api.BadRequest)
	wantCode(t, "sign-out", laptop.call(api.PathSignOut, laptop.signed(), nil), 0)
	for path, in := range map[string]any{
		api.PathPasskeys: laptop.signed(), api.PathAddPasskeyStart: api.AddPasskeyStart{Session: laptop.in.Session},
		api.PathAddPasskeyFinish: api.AddPasskeyFinish{Session: laptop.in.Session, State: started.State, Credential: json.RawMessage("{}")},
		api.PathRemovePasskey:    api.SignedID{Session: laptop.in.Session, ID: b64(added.ID)},
	} {
		refusedWith(t, laptop.call(path, in, nil))
	}
}

// TestPasskeysOnAFullDisk: nothing is refused and nothing let in that is not
// written down.
func TestPasskeysOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(t)
	added := laptop.addPasskey(key, "house key")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	only, p := phone.enterStart()
	wantCode(t, "start", p, 0)
	second, p := phone.secondStart(need)
	wantCode(t, "start", p, 0)
	add, p := laptop.addStart(nil)
	wantCode(t, "start", p, 0)
	bad := key.clone()
	bad.Origin = "https://evil.example"
	wrong, answer, answer2, made := bad.get(only.Options), key.get(only.Options), key.get(second.Options), newAuthenticator(t).create(add.Options)
	w.store.failing.Store(true)
	wantCode(t, "a wrong one", phone.enterFinish(only, wrong), api.Unavailable)
	wantCode(t, "only step", phone.enterFinish(only, answer), api.Unavailable)
	wantCode(t, "second factor", phone.secondFinish(need, second, answer2), api.Unavailable)
	_, p = laptop.addFinish(add, made, "")
	wantCode(t, "add", p, api.Unavailable)
	wantCode(t, "remove", laptop.removePasskey(added), api.Unavailable)
	w.store.failing.Store(false)
	_, p = laptop.addFinish(add, made, "")
	wantCode(t, "add", p, 0)
	wantCode(t, "second factor", phone.secondFinish(need, second, answer2), 0)
	if got := laptop.passkeys().Passkeys; len(got) != 2 {
		t.Errorf("%d passkeys", len(got))
	}
}

// FuzzCredential sends what authenticators answer, changed: nothing of it may
// stop the server or sign in. What makes a passkey is signed by nobody, so a
// changed one may be as good as another.
func FuzzCredential(f *testing.F) {
	w := newWorld(f)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(f)
	laptop.addPasskey(key, "house key")
	stranger := w.machine("stranger")
	only, p := stranger.enterStart()
	wantCode(f, "start", p, 0)
	add, p := laptop.addStart(nil)
	wantCode(f, "start", p, 0)
	right := map[bool]json.RawMessage{true: newAuthenticator(f).create(add.Options), false: key.get(only.Options)}
	members := []string{"clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"}
	for adds, answer := range right {
		var v struct{ Response map[string]any }
		must(f, json.Unmarshal(answer, &v))
		for i, member := range members {
			if text, ok := v.Response[member].(string); ok {
				b, err := base64Decode(text)
				must(f, err)
				f.Add(adds, uint8(i), b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, adds bool, which uint8, b []byte) {
		member := members[int(which)%len(members)]
		var v map[string]any
		must(t, json.Unmarshal(right[adds], &v))
		r := v["response"].(map[string]any)
		if _, there := r[member]; !there || r[member] == b64(b) {
			return
		}
		r[member] = b64(b)
		here := *w
		here.t = t
		m, path, in, may := stranger.twin(), api.PathPasskeyFinish, any(api.PasskeyFinish{State: only.State, Credential: mustJSON(t, v)}), []int{api.BadRequest, api.Failed}
		if adds {
			m, path, may = laptop.twin(), api.PathAddPasskeyFinish, append(may, 0, api.NotPossible)
			in = api.AddPasskeyFinish{Session: laptop.in.Session, State: add.State, Credential: mustJSON(t, v)}
		}
		m.w = &here
		if code := codeOf(m.call(path, in, nil)); !slices.Contains(may, code) {
			t.Errorf("%s: code %d", member, code)
		}
	})
}
