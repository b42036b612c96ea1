package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/store"
)

// TestExport: all of the account and nothing that could be attacked.
func TestExport(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	codes := laptop.codes()
	agent := w.agent(ann)
	p := w.machine("stranger").fail(jane)
	wantCode(t, "approve", laptop.approveSupport(p.Reference), 0)
	_, q := agent.do(p.Reference, api.ActUnlock)
	wantCode(t, "unlock", q, 0)
	tablet := w.machine("tablet")
	_, q = tablet.prove(tablet.begin(jane), "code", codes[0])
	wantCode(t, "prove", q, 0)
	need := w.machine("new").needCode(jane, password, "")
	if need == nil {
		t.Fatal("no code")
	}
	w.enrolled("other@example.org", "other's own device")
	a := laptop.post(api.PathExport, laptop.signed())
	var out account.Export
	w.read(a, &out)
	if out.Schema != 1 || out.Account != jane || len(out.Devices) != 1 || len(out.Sessions) != 1 || len(out.Addresses) != 1 || len(out.Codes) != 10 ||
		len(out.Recoveries) != 1 || len(out.Approvals) != 1 || len(out.Desk) != 1 || out.Desk[0].AskedBy != ann || len(out.Messages) == 0 || len(out.Requests) != 1 {
		t.Errorf("%s", a.body)
	}
	what := ""
	for _, l := range out.Activity {
		what += l.What + "|"
	}
	for _, want := range []string{"account made", "sign-in", "data exported", "unlocked by support", "recovery begun"} {
		if !strings.Contains(what, want+"|") {
			t.Errorf("the activity lacks %q: %s", want, what)
		}
	}
	if bytes.Contains(a.body, []byte("other")) {
		t.Error("it holds something of another account")
	}

	var secrets [][]byte
	must(t, w.store.View(context.Background(), func(tx store.Tx) error {
		key := w.keys.Lookup(jane)
		a, err := tx.Find(key, store.StandKey(key))
		if err != nil {
			return err
		}
		secrets = append(secrets, a.Record[:32], a.Record[96:128], a.Key[:])
		kept, err := tx.RecoveryCodes(a.ID)
		if err != nil {
			return err
		}
		for _, c := range kept {
			secrets = append(secrets, c.Hash[:])
		}
		sessions, err := tx.Sessions(a.ID)
		for _, n := range sessions {
			secrets = append(secrets, n.ID[:])
		}
		if err != nil {
			return err
		}
		messages, err := tx.Messages(a.ID)
		for _, m := range messages {
			if len(m.Sealed) > 64 {
				secrets = append(secrets, m.Sealed[:64])
			}
		}
		addresses, err := tx.Addresses(a.ID)
		for _, x := range addresses {
			secrets = append(secrets, x.CodeHash[:])
		}
		return err
	}))
	for _, secret := range secrets {
		for _, s := range []string{hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)[:20], base64.RawURLEncoding.EncodeToString(secret)[:20]} {
			if bytes.Contains(a.body, []byte(s)) {
				t.Errorf("it holds what could be attacked: %s", a.body)
			}
		}
	}
	thief := w.machine("thief")
	thief.in = laptop.in
	refusedWith(t, thief.call(api.PathExport, thief.signed(), nil))
	if !json.Valid(a.body) {
		t.Error("not JSON")
	}
	if out.Password.Former != nil {
		t.Errorf("a former password is told of where there was none: %v", out.Password.Former)
	}
	w.clock.advance(time.Second)
	if _, p := laptop.changePassword(jane, password, "a new password"); p != nil {
		t.Fatal(p)
	}
	w.read(laptop.post(api.PathExport, laptop.signed()), &out)
	if out.Password.Former == nil || !out.Password.Former.Equal(out.Password.Changed) {
		t.Errorf("of the former password: %v; the present one is of %v", out.Password.Former, out.Password.Changed)
	}
}

func TestCloseAccount(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	phone := w.another(laptop, jane, "phone")
	codes := laptop.codes()
	w.deliver()
	p := w.machine("stranger").fail(jane)
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	_, q := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", q, 0)
	w.deliver()
	grant := func(purpose string) []byte {
		done, p := laptop.signInWith(api.SignInStart{Account: jane, Purpose: purpose}, password)
		if p != nil {
			t.Fatal(p)
		}
		return done.Grant
	}
	closing := func(m *machine, g []byte) *api.Problem {
		return m.call(api.PathClose, api.SignedFresh{Session: m.in.Session, Grant: g}, nil)
	}
	wantCode(t, "without a proof", closing(laptop, nil), api.NotPossible)
	wantCode(t, "with one for the password", closing(laptop, grant(api.ForPassword)), api.NotPossible)
	g := grant(api.ForClose)
	wantCode(t, "from another device", closing(phone, g), api.NotPossible)
	other := w.enrolled("other@example.org", "other")
	wantCode(t, "from another account", closing(other, g), api.NotPossible)
	w.clock.advance(6 * time.Minute)
	wantCode(t, "with an old one", closing(laptop, g), api.NotPossible)
	g = grant(api.ForClose)
	wantCode(t, "close", closing(laptop, g), 0)
	refusedWith(t, closing(laptop, g))

	if got := told(w.deliver(), home); len(got) != 1 || !strings.Contains(got[0], "closed") {
		t.Errorf("the address is told %q", got)
	}
	refusedWith(t, laptop.refresh())
	refusedWith(t, phone.refresh())
	for _, m := range []*machine{laptop, tablet} {
		_, q := m.signIn(jane, password)
		wantCauses(t, w.forOperator(refusedWith(t, q)), cause.Operator, "account-unknown")
	}
	w.clock.advance(24 * time.Hour)
	_, q = tablet.setPassword(r, fresh)
	refusedWith(t, q)
	if q := w.operator(api.AdminActivity, api.AdminAccount{Account: jane}, nil); codeOf(q) != api.NotPossible {
		t.Errorf("the operator still sees it: %v", q)
	}
	stranger := w.machine("stranger")
	if a, b := both(t, stranger, jane, api.ForSignIn), both(t, stranger, "nobody@example.org", api.ForSignIn); a != b {
		t.Errorf("it can be told from an unknown one:\n%s\n%s", a, b)
	}
	stranger.explain(p, false)
	wantCode(t, "sign up anew", w.machine("new").signUp(jane, fresh), 0)
}
