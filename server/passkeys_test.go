package server_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/passkey/virtual"
	"readmit.dev/readmit/policy"
)

func TestPasskeyAsOnlyStep(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(t)
	made := laptop.addPasskey(key, "house key")
	if made.Name != "house key" || made.AddedOn != "laptop" || made.Added != w.clock.now().Unix() || made.LastUsed != 0 || !bytes.Equal(made.ID, key.Kept[0].ID) {
		t.Errorf("added: %+v", made)
	}
	w.clock.advance(time.Minute)
	phone := w.machine("phone")
	wantCode(t, "a new device", phone.enter(key), 0)
	if phone.in.Account != jane || len(phone.in.CodeSecret) == 0 {
		t.Errorf("signed in: %+v", phone.in.Account)
	}
	wantCode(t, "refresh", phone.refresh(), 0)
	if who, p := phone.whoAmI(); p != nil || who.Account != jane || who.Device != phone.in.Device {
		t.Errorf("who am I: %+v %v", who, p)
	}
	if got := laptop.passkeys(); len(got.Passkeys) != 1 || got.Passkeys[0].LastUsed != w.clock.now().Unix() || !got.Possible || !got.Fresh || got.Most != 10 {
		t.Errorf("listed: %+v", got)
	}
	// The newest line is the session's first call of all; before it, the sign-in
	// and what it changed.
	var seen []string
	for _, a := range w.activity(jane) {
		seen = append(seen, a.What+" "+a.Outcome+" "+a.Device)
	}
	if all := strings.Join(seen, "\n"); !strings.Contains(all, "passkey signed-in phone") || !strings.Contains(all, "device enrolled done phone") || !strings.Contains(all, "passkey added done laptop") {
		t.Errorf("activity:\n%s", all)
	}
	// The same key again: no second device, and the older session ends.
	old := phone.twin()
	wantCode(t, "again", phone.enter(key), 0)
	refusedWith(t, old.refresh())
	wantCode(t, "refresh", phone.refresh(), 0)
	var list api.Devices
	wantCode(t, "devices", phone.call(api.PathDevices, phone.signed(), &list), 0)
	if len(list.Devices) != 2 {
		t.Errorf("%d devices", len(list.Devices))
	}
	// A session that began so is a fresh proof, and makes codes.
	second := phone.addPasskey(newAuthenticator(t), "")
	if second.Name != "phone" {
		t.Errorf("unnamed: %q", second.Name)
	}
	tablet := w.machine("tablet")
	need := tablet.needCode(jane, password, "")
	wantCode(t, "a code of the new device", tablet.code(need, phone.allow(need).Code), 0)
	// It survives a restart, between its messages too.
	browser := w.machine("browser")
	started, p := browser.enterStart()
	wantCode(t, "start", p, 0)
	w.restart()
	wantCode(t, "finish after a restart", browser.enterFinish(started, key.getWith(started.Options, key.Kept[0])), 0)
}

func TestPasskeyAsSecondFactor(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(t)
	laptop.addPasskey(key, "house key")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	wantCode(t, "of another key", w.machine("thief").second(need, key), api.NotPossible)
	started, p := phone.secondStart(need)
	wantCode(t, "start", p, 0)
	answer := key.get(started.Options)
	wantCode(t, "finish", phone.secondFinish(need, started, answer), 0)
	wantCode(t, "refresh", phone.refresh(), 0)
	wantCode(t, "the same again", phone.secondFinish(need, started, answer), api.NotPossible)
	_, p = phone.secondStart(need)
	wantCode(t, "start again", p, api.NotPossible)
	wantCode(t, "a code then", phone.code(need, "123456"), api.NotPossible)
	var asked api.Requests
	wantCode(t, "requests", laptop.call(api.PathRequests, laptop.signed(), &asked), 0)
	for _, r := range asked.Requests {
		if r.Status == "waiting" {
			t.Errorf("still asks to sign in: %+v", r)
		}
	}

	// With codes switched off, and with no enrolled device left, it is the way in.
	for range 7 {
		m := w.machine("guesser")
		n := m.needCode(jane, password, "")
		shown := laptop.allow(n).Code
		for range 3 {
			refusedWith(t, m.code(n, laptop.wrongCode(shown)))
		}
	}
	tablet := w.machine("tablet")
	need = tablet.needCode(jane, password, "")
	laptop.asOwner(t, tablet.code(need, laptop.allow(need).Code), "factor-missing")
	wantCode(t, "while codes are switched off", tablet.second(need, key), 0)
	var list api.Devices
	wantCode(t, "devices", laptop.call(api.PathDevices, laptop.signed(), &list), 0)
	slices.SortFunc(list.Devices, func(a, b api.Device) int { return map[bool]int{true: 1}[a.This] - map[bool]int{true: 1}[b.This] })
	for _, d := range list.Devices {
		wantCode(t, "remove", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: d.ID}, nil), 0)
	}
	last := w.machine("last")
	need = last.needCode(jane, password, "")
	wantCode(t, "with no device left", last.second(need, key), 0)
	wantCode(t, "refresh", last.refresh(), 0)
}

func TestPasskeyFinishedOnce(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(t)
	laptop.addPasskey(key, "house key")
	phone := w.machine("phone")
	need := phone.needCode(jane, password, "")
	second, p := phone.secondStart(need)
	wantCode(t, "start", p, 0)
	tablet := w.machine("tablet")
	only, p := tablet.enterStart()
	wantCode(t, "start", p, 0)
	// The counter alone would stop most of them: this one does not count.
	key.Constant, key.Kept[0].Count = true, 0
	w.uncounted(key.Kept[0].ID)
	signed, entered := key.get(second.Options), key.get(only.Options)
	var add api.PasskeyStarted
	var made json.RawMessage
	once := func(what string, f func() *api.Problem) {
		t.Helper()
		var in, over atomic.Int32
		atOnce(20, func(int) {
			switch p := f(); codeOf(p) {
			case 0:
				in.Add(1)
			case api.NotPossible:
				over.Add(1)
			default:
				t.Errorf("%s: %v", what, p)
			}
		})
		if in.Load() != 1 || over.Load() != 19 {
			t.Errorf("%s: %d of 20 at once succeeded, %d were over", what, in.Load(), over.Load())
		}
	}
	once("second factor", func() *api.Problem { return phone.twin().secondFinish(need, second, signed) })
	once("only step", func() *api.Problem { return tablet.twin().enterFinish(only, entered) })
	wantCode(t, "of a device that is known by now", tablet.enterFinish(only, entered), api.NotPossible)
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: w.lastDevice(laptop, "tablet")}, nil), 0)
	wantCode(t, "of a device that was removed", tablet.enterFinish(only, entered), api.NotPossible)
	if add, p = laptop.addStart(nil); p != nil {
		t.Fatal(p)
	}
	made = newAuthenticator(t).create(add.Options)
	once("add", func() *api.Problem {
		_, p := laptop.twin().addFinish(add, made, "")
		return p
	})
	// What was added and removed does not come back with the same answer.
	all := laptop.passkeys().Passkeys
	wantCode(t, "remove", laptop.removePasskey(all[len(all)-1]), 0)
	_, p = laptop.addFinish(add, made, "")
	wantCode(t, "add once more", p, api.NotPossible)
	if got := laptop.passkeys().Passkeys; len(got) != 1 {
		t.Errorf("%d passkeys", len(got))
	}
}

// TestCausesOfPasskeys: each refusal names its cause to the owner alone.
func TestCausesOfPasskeys(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	other := w.enrolled("other@example.org", "other")
	key, foreign := newAuthenticator(t), newAuthenticator(t)
	laptop.addPasskey(key, "house key")
	other.addPasskey(foreign, "not hers")
	stranger := w.machine("stranger")
	same := ""
	refusedAs := func(t *testing.T, p *api.Problem, word string) {
		t.Helper()
		r := laptop.asOwner(t, p, "passkey-refused")
		wantEvidence(t, r, cause.CheckPasskey, word)
		name := "house key"
		if word == "not-of-account" {
			name = ""
		}
		wantEvidence(t, r, cause.CheckPasskeyName, name)
		wantCauses(t, stranger.explain(p, false), cause.Anyone, "refused")
		p.Reference, p.Incident = "", ""
		got := p.Error() + p.Type
		if same == "" {
			same = got
		}
		if got != same {
			t.Errorf("%s is told as %q, another as %q", word, got, same)
		}
	}
	lying := func(change func(*authenticator)) *authenticator {
		c := key.clone()
		change(c)
		return c
	}
	tampered := func(of json.RawMessage, field string) json.RawMessage {
		var v map[string]any
		must(t, json.Unmarshal(of, &v))
		r := v["response"].(map[string]any)
		old, err := base64Decode(r[field].(string))
		must(t, err)
		old[len(old)-1] ^= 1
		r[field] = b64(old)
		b, err := json.Marshal(v)
		must(t, err)
		return b
	}
	// All of them are made of copies, so that the counter stays below the next.
	wrong := map[string]struct {
		word string
		make func(options json.RawMessage) json.RawMessage
	}{
		"another origin": {"wrong-origin", lying(func(a *authenticator) { a.Origin = "https://id.example.org.evil.example" }).get},
		"another port":   {"wrong-origin", lying(func(a *authenticator) { a.Origin = "https://id.example.org:8443" }).get},
		"another party":  {"wrong-origin", lying(func(a *authenticator) { a.Party = "evil.example" }).get},
		"not unlocked":   {"user-not-verified", lying(func(a *authenticator) { a.Unverified = true }).get},
		"other purpose":  {"not-proved", lying(func(a *authenticator) { a.Mistaken = true }).get},
		"signature":      {"not-proved", func(o json.RawMessage) json.RawMessage { return tampered(key.clone().get(o), "signature") }},
		"data": {"not-proved", func(o json.RawMessage) json.RawMessage {
			return tampered(key.clone().get(o), "authenticatorData")
		}},
		"challenge": {"wrong-challenge", func(o json.RawMessage) json.RawMessage {
			return key.clone().get(bytes.Replace(o, []byte(`"challenge":"`), []byte(`"challenge":"x`), 1))
		}},
		"other key under its ID": {"not-proved", func(o json.RawMessage) json.RawMessage {
			c := key.clone()
			c.Kept[0].Key = foreign.Kept[0].Key
			return c.get(o)
		}},
	}
	for what, x := range wrong {
		t.Run(what, func(t *testing.T) {
			started, p := stranger.enterStart()
			wantCode(t, "start", p, 0)
			refusedAs(t, stranger.enterFinish(started, x.make(started.Options)), x.word)
			phone := w.machine("phone")
			need := phone.needCode(jane, password, "")
			started, p = phone.secondStart(need)
			wantCode(t, "start", p, 0)
			refusedAs(t, phone.secondFinish(need, started, x.make(started.Options)), x.word)
			wantCode(t, "the right one then", phone.second(need, key), 0)
		})
	}
	t.Run("another account's", func(t *testing.T) {
		phone := w.machine("phone")
		need := phone.needCode(jane, password, "")
		refusedAs(t, phone.second(need, foreign), "not-of-account")
		// That it exists shows at its own account and nowhere else.
		if strings.Contains(string(mustJSON(t, w.activity("other@example.org"))), "phone") {
			t.Error("another account's ledger has a line of it")
		}
		// With the handle of one account and the credential of another.
		mixed := foreign.clone()
		mixed.Kept[0].User = key.Kept[0].User
		started, p := stranger.enterStart()
		wantCode(t, "start", p, 0)
		p = stranger.enterFinish(started, mixed.get(started.Options))
		wantCauses(t, other.explain(refusedWith(t, p), true), cause.Owner, "passkey-refused")
		wantCauses(t, laptop.explain(p, true), cause.Anyone, "refused")
	})
	t.Run("unknown", func(t *testing.T) {
		never := newAuthenticator(t)
		never.Kept = []*virtual.Credential{{ID: []byte("a credential of nobody, 32 bytes"), User: make([]byte, 16), Key: key.Kept[0].Key}}
		p := refusedWith(t, stranger.enter(never))
		wantCauses(t, w.forOperator(p), cause.Operator, "passkey-refused")
		wantCauses(t, laptop.explain(p, true), cause.Anyone, "refused")
		never.Kept[0].User = key.Kept[0].User
		refusedAs(t, stranger.enter(never), "not-of-account")
	})
	t.Run("removed", func(t *testing.T) {
		gone := newAuthenticator(t)
		k := laptop.addPasskey(gone, "gone")
		phone := w.machine("phone")
		started, p := phone.enterStart()
		wantCode(t, "start", p, 0)
		wantCode(t, "remove", laptop.removePasskey(k), 0)
		refusedAs(t, phone.enterFinish(started, gone.get(started.Options)), "not-of-account")
		wantCode(t, "remove again", laptop.removePasskey(k), api.NotPossible)
	})
}

func TestPasskeyCounterGoesBack(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(api.Email, home)
	key := newAuthenticator(t)
	laptop.addPasskey(key, "house key") // the counter is 1
	copied := key.clone()
	phone := w.machine("phone")
	wantCode(t, "the original", phone.enter(key), 0) // 2
	wantCode(t, "once more", phone.enter(key), 0)    // 3
	w.deliver()
	thief := w.machine("thief")
	p := thief.enter(copied) // 2 again
	r := laptop.asOwner(t, p, "passkey-copied")
	wantEvidence(t, r, cause.CheckPasskeyCounter, "2")
	wantEvidence(t, r, cause.CheckPasskeyName, "house key")
	if want := evidenceWant(r, cause.CheckPasskeyCounter); want != "4" {
		t.Errorf("the least that is wanted is %s", want)
	}
	if got := told(w.deliver(), home); len(got) != 1 || !strings.HasPrefix(got[0], "A passkey may have been copied") {
		t.Errorf("the owner is told %q", got)
	}
	laptop.asOwner(t, thief.enter(copied), "passkey-copied") // 3
	if got := told(w.deliver(), home); len(got) != 0 {
		t.Errorf("and at once again %q", got)
	}
	need := thief.needCode(jane, password, "")
	copied.Kept[0].Count = 0
	laptop.asOwner(t, thief.second(need, copied), "passkey-copied")
	wantCode(t, "the original goes on", phone.enter(key), 0)
	// One that never counts is no copy.
	quiet := newAuthenticator(t)
	quiet.Constant = true
	laptop.addPasskey(quiet, "synced")
	for range 3 {
		wantCode(t, "without a counter", phone.enter(quiet), 0)
	}
}

func TestPasskeyPassesTheGate(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	key := newAuthenticator(t)
	laptop.addPasskey(key, "house key")
	phone := w.machine("phone")
	both := func(f func(t *testing.T, enter func() *api.Problem)) func(*testing.T) {
		return func(t *testing.T) {
			started, p := phone.enterStart()
			wantCode(t, "start", p, 0)
			f(t, func() *api.Problem { return phone.enterFinish(started, key.get(started.Options)) })
		}
	}
	t.Run("clock", both(func(t *testing.T, enter func() *api.Problem) {
		phone.off = time.Hour
		defer func() { phone.off = 0 }()
		p := refusedWith(t, enter())
		wantCauses(t, w.machine("stranger").explain(p, false), cause.Anyone, "clock-off")
		_, p = phone.enterStart()
		wantCauses(t, w.machine("stranger").explain(refusedWith(t, p), false), cause.Anyone, "clock-off")
		wantCauses(t, w.forOperator(p), cause.Operator, "clock-off")
	}))
	t.Run("policy", func(t *testing.T) {
		if p := w.operator(api.AdminPolicy, policy.Policy{Clients: map[string]policy.Version{"readmit": {2}}}, nil); p != nil {
			t.Fatal(p)
		}
		_, p := phone.enterStart()
		wantCauses(t, w.machine("stranger").explain(refusedWith(t, p), false), cause.Anyone, "client-outdated")
		var found bool
		r := cause.Report{}
		if p := w.operator(api.AdminExplain, api.Explain{Reference: p.Reference}, &r); p == nil {
			found = causes(r) == "client-outdated"
		}
		if !found {
			t.Error("the refusal was answered and not recorded")
		}
		if p := w.operator(api.AdminPolicy, policy.Policy{}, nil); p != nil {
			t.Fatal(p)
		}
	})
	t.Run("locked by strangers", both(func(t *testing.T, enter func() *api.Problem) {
		for range lockout.FailedLimit + 1 {
			w.machine("guesser").fail(jane)
		}
		wantCode(t, "a passkey is no guess", enter(), 0)
		w.act(api.AdminUnlock, jane)
	}))
	t.Run("removed device", func(t *testing.T) {
		former := w.machine("former")
		wantCode(t, "enter", former.enter(key), 0)
		wantCode(t, "remove", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: former.in.Device[:8]}, nil), 0)
		refusedWith(t, former.refresh())
		wantCode(t, "as a new device", former.enter(key), 0)
		wantCode(t, "refresh", former.refresh(), 0)
	})
	t.Run("denied", func(t *testing.T) {
		m := w.machine("denied")
		need := m.needCode(jane, password, "")
		wantCode(t, "deny", laptop.call(api.PathDeny, api.SignedID{Session: laptop.in.Session, ID: need.Request}, nil), 0)
		laptop.asOwner(t, m.second(need, key), "request-denied")
	})
	t.Run("tries spent", func(t *testing.T) {
		m := w.machine("spent")
		need := m.needCode(jane, password, "")
		shown := laptop.allow(need).Code
		for range 3 {
			refusedWith(t, m.code(need, laptop.wrongCode(shown)))
		}
		laptop.asOwner(t, m.second(need, key), "code-tries-spent")
	})
	t.Run("password changed meanwhile", func(t *testing.T) {
		m := w.machine("late")
		need := m.needCode(jane, password, "")
		started, p := m.secondStart(need)
		wantCode(t, "start", p, 0)
		w.clock.advance(time.Second)
		if _, p := laptop.changePassword(jane, password, "a new password"); p != nil {
			t.Fatal(p)
		}
		laptop.asOwner(t, m.secondFinish(need, started, key.get(started.Options)), "password-wrong")
	})
	t.Run("disabled", both(func(t *testing.T, enter func() *api.Problem) {
		m := w.machine("tablet")
		need := m.needCode(jane, "a new password", "")
		w.act(api.AdminDisable, jane)
		for what, p := range map[string]*api.Problem{"only step": enter(), "second factor": m.second(need, key)} {
			r := laptop.explain(refusedWith(t, p), true)
			if causes(r) != "account-disabled" {
				t.Errorf("%s: %s", what, causes(r))
			}
		}
	}))
}
