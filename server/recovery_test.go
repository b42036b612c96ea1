package server_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/store"
)

const fresh = "a password nobody has had before"

// begin starts a recovery on a machine.
func (m *machine) begin(account string) api.Recovery {
	m.w.t.Helper()
	var out api.Recovery
	if p := m.call(api.PathRecoveryStart, api.RecoveryStart{Account: account, DeviceName: m.name, Client: m.client()}, &out); p != nil {
		m.w.t.Fatalf("begin a recovery: %v", p)
	}
	return out
}

// prove gives one proof; how is code, address or device.
func (m *machine) prove(r api.Recovery, how, code string) (api.Recovery, *api.Problem) {
	m.w.t.Helper()
	in := api.RecoveryProve{Recovery: r.Recovery}
	switch how {
	case "code":
		in.Code = code
	case "address":
		in.AddressCode = code
	case "device":
		in.DeviceCode = code
	}
	out := api.Recovery{}
	p := m.call(api.PathRecoveryProve, in, &out)
	return out, p
}

func (m *machine) status(r api.Recovery) api.Recovery {
	m.w.t.Helper()
	var out api.Recovery
	if p := m.call(api.PathRecoveryStatus, api.RecoveryCase{Recovery: r.Recovery}, &out); p != nil {
		m.w.t.Fatalf("status: %v", p)
	}
	return out
}

// setPassword ends a recovery.
func (m *machine) setPassword(r api.Recovery, password string) (api.RecoveryFinished, *api.Problem) {
	m.w.t.Helper()
	var out api.RecoveryFinished
	reg, req, err := opaque.StartRegistration([]byte(password))
	must(m.w.t, err)
	var started api.SignUpStarted
	if p := m.call(api.PathRecoveryPasswordStart, api.RecoveryPasswordStart{Recovery: r.Recovery, Request: req}, &started); p != nil {
		return out, p
	}
	record, _, err := reg.Finish(started.Response, m.stretch)
	must(m.w.t, err)
	p := m.call(api.PathRecoveryPasswordFinish, api.RecoveryPasswordFinish{
		Recovery: r.Recovery, Record: record, Stretch: wire(m.stretch), DeviceName: m.name, Client: m.client(),
	}, &out)
	if p == nil && out.SignedIn != nil {
		m.in = *out.SignedIn
	}
	return out, p
}

// codes makes recovery codes.
func (m *machine) codes() []string {
	m.w.t.Helper()
	var out api.RecoveryCodes
	if p := m.call(api.PathRecoveryCodes, api.SignedFresh{Session: m.in.Session}, &out); p != nil {
		m.w.t.Fatalf("recovery codes: %v", p)
	}
	return out.Codes
}

var (
	eightSigns = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}\b`)
	aWord      = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b`)
)

// sent asks for a code at the account's addresses and returns what came to one.
func (m *machine) sent(r api.Recovery, to string) string {
	m.w.t.Helper()
	wantCode(m.w.t, "send", m.call(api.PathRecoverySend, api.RecoveryCase{Recovery: r.Recovery}, nil), 0)
	must(m.w.t, m.w.server.Flush(context.Background()))
	return find(m.w.deliver(), to, eightSigns)
}

// find is what a form finds in the messages to an address; "" where there is none.
func find(got []delivered, to string, form *regexp.Regexp) string {
	for _, d := range got {
		if d.To == to {
			if s := form.FindString(d.Body); s != "" {
				return s
			}
		}
	}
	return ""
}

func wantState(t testing.TB, what string, r api.Recovery, state string, proofs ...string) {
	t.Helper()
	if r.State != state || strings.Join(r.Proofs, " ") != strings.Join(proofs, " ") {
		t.Errorf("%s: %s with proofs %q, want %s with %q", what, r.State, r.Proofs, state, proofs)
	}
}

// seen lists the recoveries of an account as a device of it sees them.
func (m *machine) recoveries() []api.RecoverySeen {
	m.w.t.Helper()
	var out api.Recoveries
	if p := m.call(api.PathRecoveries, m.signed(), &out); p != nil {
		m.w.t.Fatalf("recoveries: %v", p)
	}
	return out.Recoveries
}

func TestRecoveryByTwoProofs(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	codes := laptop.codes()
	w.deliver()
	if len(codes) != recovery.Codes {
		t.Fatalf("%d codes", len(codes))
	}
	w.clock.advance(time.Minute)
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	wantState(t, "begun", r, "unproved")
	if len(w.deliver()) != 0 {
		t.Error("a stranger makes the owner's addresses ring without a proof")
	}
	w.clock.advance(time.Minute)
	now, p := tablet.prove(r, "code", strings.ToLower(strings.ReplaceAll(codes[3], "-", " ")))
	wantCode(t, "a recovery code as it is typed", p, 0)
	wantState(t, "after a code", now, "waiting", "code")
	if want := w.clock.now().Add(recovery.DefaultWait).Unix(); now.Opens != want {
		t.Errorf("opens at %d, want %d", now.Opens, want)
	}
	if got := w.deliver(); find(got, home, aWord) == "" {
		t.Errorf("the address is not told of it with a word that stops it: %v", got)
	}
	if list := laptop.recoveries(); len(list) != 1 || list[0].Name != "tablet" || list[0].State != "waiting" || list[0].Proofs[0] != "code" {
		t.Errorf("the laptop sees %+v", list)
	}
	_, p = tablet.setPassword(r, fresh)
	rep := laptop.asOwner(t, p, "recovery-pending")
	wantEvidence(t, rep, cause.CheckRecoveryOpens, time.Unix(now.Opens, 0).UTC().Format(time.RFC3339))

	code := tablet.sent(r, home)
	if code == "" {
		t.Fatal("no code came to the address")
	}
	now, p = tablet.prove(r, "address", code)
	wantCode(t, "the code that was sent", p, 0)
	wantState(t, "after two proofs", now, "open", "code", "address")
	wantState(t, "its status", tablet.status(r), "open", "code", "address")
	out, p := tablet.setPassword(r, fresh)
	if p != nil || out.SignedIn == nil {
		t.Fatalf("set the password: %v", p)
	}
	wantState(t, "in the end", tablet.status(r), "finished", "code", "address")
	wantCode(t, "refresh of the device that is in", tablet.refresh(), 0)
	if got := told(w.deliver(), home); len(got) == 0 || !strings.Contains(strings.Join(got, "|"), "new password") {
		t.Errorf("the address is not told: %q", got)
	}
	w.clock.advance(time.Second)
	refusedWith(t, laptop.refresh())
	_, p = laptop.signIn(jane, password)
	refusedWith(t, p)
	if done, p := laptop.signIn(jane, fresh); p != nil || done.SignedIn == nil {
		t.Errorf("the new password on the old device: %v", p)
	}
	_, p = tablet.setPassword(r, "once more, and another")
	refusedWith(t, p)
	found := false
	for _, a := range w.activity(jane) {
		found = found || a.What == "password set by recovery"
	}
	if !found {
		t.Error("the ledger does not say so")
	}
}

// TestRecoveryWaits: one proof alone opens after the wait and not a second
// before, and only for a time.
func TestRecoveryWaits(t *testing.T) {
	for _, how := range []string{"code", "address", "device"} {
		t.Run(how, func(t *testing.T) {
			w := newWorld(t)
			laptop := w.enrolled(jane, "laptop")
			laptop.has(store.Email, home)
			codes := laptop.codes()
			w.deliver()
			w.clock.advance(time.Minute)
			tablet := w.machine("tablet")
			r := tablet.begin(jane)
			var code string
			switch how {
			case "code":
				code = codes[0]
			case "address":
				code = tablet.sent(r, home)
			case "device":
				code = laptop.approve(t, "tablet").Code
			}
			now, p := tablet.prove(r, how, code)
			wantCode(t, "prove", p, 0)
			wantState(t, "after one proof", now, "waiting", how)
			w.clock.advance(recovery.DefaultWait - time.Second)
			_, p = tablet.setPassword(r, fresh)
			refusedWith(t, p)
			w.restart()
			w.clock.advance(time.Second)
			wantState(t, "after the wait", tablet.status(r), "open", how)
			out, p := tablet.setPassword(r, fresh)
			wantCode(t, "set the password", p, 0)
			if in := out.SignedIn != nil; in != (how == "code") {
				t.Errorf("the device that waited with a proof by %s is in: %v", how, in)
			}
			if how == "code" {
				return
			}
			w.clock.advance(time.Second)
			need := tablet.needCode(jane, fresh, "")
			if need == nil {
				t.Fatal("a new device needs no code")
			}
			if _, p := laptop.signIn(jane, fresh); p != nil {
				t.Errorf("the owner's device: %v", p)
			}
		})
	}
}

func TestRecoveryIsOpenForATime(t *testing.T) {
	w := newWorld(t)
	codes := w.enrolled(jane, "laptop").codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	_, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	w.clock.advance(recovery.DefaultWait + recovery.OpenFor + time.Second)
	wantState(t, "left too long", tablet.status(r), "over", "code")
	_, p = tablet.setPassword(r, fresh)
	refusedWith(t, p)
	wantCauses(t, w.forOperator(p), cause.Operator, "recovery-over")
}

// TestUnprovedNeverOpens: time alone is no proof.
func TestUnprovedNeverOpens(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	thief := w.machine("thief")
	r := thief.begin(jane)
	for range 5 {
		_, p := thief.setPassword(r, fresh)
		rep := laptop.asOwner(t, p, "recovery-unproved")
		_ = rep
		w.clock.advance(3 * time.Hour)
	}
	w.days(3)
	_, p := thief.setPassword(r, fresh)
	laptop.asOwner(t, p, "recovery-over")
	if done, p := laptop.signIn(jane, password); p != nil || done.SignedIn == nil {
		t.Errorf("the owner's password: %v", p)
	}
}

// approve lets a device vouch for the case of that name.
func (m *machine) approve(t testing.TB, name string) api.RecoveryApproved {
	t.Helper()
	for _, x := range m.recoveries() {
		if x.Name == name && (x.State == "unproved" || x.State == "waiting") {
			var out api.RecoveryApproved
			if p := m.call(api.PathRecoveriesApprove, api.SignedID{Session: m.in.Session, ID: strings.ToLower(x.ID)}, &out); p != nil {
				t.Fatalf("approve: %v", p)
			}
			return out
		}
	}
	t.Fatalf("%s does not see a recovery of %s", m.name, name)
	return api.RecoveryApproved{}
}

func TestDeviceVouches(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	first := laptop.approve(t, "tablet")
	if len(first.Code) != 9 || first.Remaining <= 0 || first.Remaining > 30 {
		t.Errorf("%+v", first)
	}
	wantState(t, "approved, and no code typed", tablet.status(r), "unproved")
	w.clock.advance(time.Duration(first.Remaining) * time.Second)
	second := laptop.approve(t, "tablet")
	if second.Code == first.Code {
		t.Error("the code stays the same")
	}
	w.clock.advance(30 * time.Second)
	_, p := tablet.prove(r, "device", first.Code)
	laptop.asOwner(t, p, "recovery-code-wrong")
	other := w.machine("other")
	ro := other.begin(jane)
	_, p = other.prove(ro, "device", second.Code)
	refusedWith(t, p)
	now, p := tablet.prove(r, "device", second.Code)
	wantCode(t, "the code of the period before", p, 0)
	wantState(t, "vouched for", now, "waiting", "device")
	now, p = tablet.prove(r, "code", codes[0])
	wantCode(t, "a recovery code", p, 0)
	wantState(t, "with both", now, "open", "code", "device")
	if out, p := tablet.setPassword(r, fresh); p != nil || out.SignedIn == nil {
		t.Errorf("set the password: %v", p)
	}
}

// TestOwnDeviceRecovers: the person has the device and has forgotten the
// password; approving on that very device needs no code to be carried.
func TestOwnDeviceRecovers(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	w.clock.advance(recovery.DefaultWait + time.Minute)
	r := laptop.begin(jane)
	if got := laptop.approve(t, "laptop"); got.Code != "" || !got.This {
		t.Errorf("%+v", got)
	}
	wantState(t, "approved by itself", laptop.status(r), "waiting", "device")
	w.deliver()
	now, p := laptop.prove(r, "address", laptop.sent(r, home))
	wantCode(t, "the code that was sent", p, 0)
	wantState(t, "with both", now, "open", "address", "device")
	if out, p := laptop.setPassword(r, fresh); p != nil || out.SignedIn == nil {
		t.Fatalf("set the password: %v", p)
	}
	wantCode(t, "refresh", laptop.refresh(), 0)
}

// TestYoungAddressIsNoSecondWay: whoever holds a device can add an address of
// his own; the two are one way until a wait has passed.
func TestYoungAddressIsNoSecondWay(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	w.clock.advance(time.Hour)
	r := laptop.begin(jane)
	laptop.approve(t, "laptop")
	w.deliver()
	now, p := laptop.prove(r, "address", laptop.sent(r, home))
	wantCode(t, "the code that was sent", p, 0)
	wantState(t, "with both", now, "waiting", "address", "device")
}

func TestAddressChangedMeanwhile(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	old := laptop.has(store.Email, home)
	laptop.has(store.Phone, phone)
	codes := laptop.codes()
	w.clock.advance(25 * time.Hour)
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	w.clock.advance(2 * time.Minute)
	laptop.has(store.Email, "thief@example.net")
	w.deliver()
	if got := tablet.sent(r, "thief@example.net"); got != "" {
		t.Error("a code goes to an address that was verified after the case was begun")
	}
	w.clock.advance(6 * time.Minute)
	code := tablet.sent(r, home)
	if code == "" {
		t.Fatal("no code came to the old address")
	}
	now, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "a recovery code", p, 0)
	wantState(t, "one proof", now, "waiting", "code")
	w.deliver()
	wantCode(t, "remove the old address", laptop.removeAddress(old), 0)
	w.deliver()
	now, p = tablet.prove(r, "address", code)
	wantCode(t, "the phone still counts, and the code is the case's", p, 0)
	wantState(t, "two proofs", now, "open", "code", "address")
	_, p = tablet.setPassword(r, fresh)
	wantCode(t, "set the password", p, 0)
	got := w.deliver()
	for _, to := range []string{home, phone, "thief@example.net"} {
		if len(told(got, to)) == 0 {
			t.Errorf("%s is not told how it ended: %v", to, got)
		}
	}

	// With all of them gone, the code that was sent proves nothing.
	w2 := newWorld(t)
	laptop = w2.enrolled(jane, "laptop")
	only := laptop.has(store.Email, home)
	w2.clock.advance(time.Minute)
	tablet = w2.machine("tablet")
	r = tablet.begin(jane)
	code = tablet.sent(r, home)
	wantCode(t, "remove", laptop.removeAddress(only), 0)
	_, p = tablet.prove(r, "address", code)
	refusedWith(t, p)
}

func TestRecoveryCodesAreGoodOnce(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	codes := laptop.codes()
	one, two := w.machine("one"), w.machine("two")
	r1, r2 := one.begin(jane), two.begin(jane)
	_, p := one.prove(r1, "code", codes[0])
	wantCode(t, "the first time", p, 0)
	_, p = two.prove(r2, "code", codes[0])
	laptop.asOwner(t, p, "recovery-code-wrong")
	_, p = one.prove(r1, "code", codes[1])
	wantCode(t, "a second code for the same way", p, api.NotPossible)
	var count api.RecoveryCodeCount
	wantCode(t, "count", laptop.call(api.PathRecoveryCodeCount, laptop.signed(), &count), 0)
	if count.Left != recovery.Codes-1 || count.Made != w.clock.now().Unix() {
		t.Errorf("%+v", count)
	}
	renewed := laptop.codes()
	_, p = two.prove(r2, "code", codes[2])
	laptop.asOwner(t, p, "recovery-code-wrong")
	_, p = two.prove(r2, "code", renewed[0])
	wantCode(t, "a code of the new list", p, 0)
	for _, c := range append(codes, renewed...) {
		if w.kept(c) {
			t.Error("a recovery code lies in the database")
		}
	}
}

// kept reports whether the data folder holds a text, as it is or without hyphens.
func (w *world) kept(text string) bool {
	w.t.Helper()
	for _, form := range []string{text, strings.ReplaceAll(text, "-", "")} {
		for _, b := range w.files() {
			if bytes.Contains(b, []byte(form)) {
				return true
			}
		}
	}
	return false
}

func TestRecoveryCodeInParallel(t *testing.T) {
	w := newWorld(t)
	codes := w.enrolled(jane, "laptop").codes()
	machines, cases := make([]*machine, 50), make([]api.Recovery, 50)
	for i := range machines {
		machines[i] = w.machine(fmt.Sprint("m", i))
		cases[i] = machines[i].begin(jane)
		w.clock.advance(4 * time.Second) // within what one address may ask for
	}
	w.clock.advance(5 * time.Minute)
	results := make([]int, len(machines))
	atOnce(len(machines), func(i int) {
		_, p := machines[i].prove(cases[i], "code", codes[0])
		results[i] = codeOf(p)
	})
	in := 0
	for _, c := range results {
		switch c {
		case 0:
			in++
		case api.Failed:
		default:
			t.Errorf("one that lost the race: code %d", c)
		}
	}
	if in != 1 {
		t.Errorf("one code was used %d times", in)
	}
}
