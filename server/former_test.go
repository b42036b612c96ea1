package server_test

import (
	"bytes"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
)

const newer = "nine quiet harbours at dusk"

// former makes the proof that what was typed opens the offer.
func (t *try) former() ([]byte, bool) {
	t.m.w.t.Helper()
	rp, err := t.login.Stretched(t.started.KE2, cheap)
	must(t.m.w.t, err)
	return t.login.Former(t.started.KE2, t.started.Former, rp)
}

// TestFormerPassword: an enrolled device can be told that it typed the password
// before the last change, as part of a counted guess. Nobody else gets an offer
// that opens, and an offer signs nobody in.
func TestFormerPassword(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	offered := func(m *machine, account string, want bool) *try {
		t.Helper()
		try, p := m.start(account, password)
		wantCode(t, "start", p, 0)
		if len(try.started.Former) != opaque.FormerSize {
			t.Fatalf("%s is offered %d bytes", m.name, len(try.started.Former))
		}
		proof, opened := try.former()
		if opened != want {
			t.Fatalf("the offer opens to %s at %s: %t", m.name, account, opened)
		}
		if !opened {
			proof = opaque.DecoyKE3()
		}
		_, p = try.finishWith(proof)
		refused := refusedWith(t, p)
		_, p = try.finishWith(proof)
		wantCode(t, "the same proof again", p, api.NotPossible)
		cause := "password-wrong"
		if want {
			cause = "password-former"
		}
		if account == jane {
			laptop.asOwner(t, refused, cause)
		}
		return try
	}
	_, p := laptop.changePassword(jane, password, newer)
	wantCode(t, "change", p, 0)
	w.clock.advance(time.Second)

	offered(phone, jane, true)
	offered(w.machine("stranger"), jane, false)
	offered(w.machine("stranger"), "nobody@example.org", false)
	removed := w.machine("removed")
	need := removed.needCode(jane, newer, "")
	wantCode(t, "enrol", removed.code(need, laptop.allow(need).Code), 0)
	remove := api.SignedID{Session: laptop.in.Session, ID: removed.in.Device[:8]}
	wantCode(t, "remove", laptop.call(api.PathRemoveDevice, remove, nil), 0)
	offered(removed, jane, false)

	// A change in between: what the offer was of is not the former one any more.
	try, p := phone.start(jane, password)
	wantCode(t, "start", p, 0)
	proof, opened := try.former()
	if !opened {
		t.Fatal("the offer does not open")
	}
	w.clock.advance(time.Second)
	_, p = laptop.changePassword(jane, newer, "eleven tall chimneys")
	wantCode(t, "change again", p, 0)
	_, p = try.finishWith(proof)
	laptop.asOwner(t, p, "password-wrong")
	offered(phone, jane, false)
}

// TestFormerIsNoSecondGuess: it counts like any wrong password, and once the
// device is locked its answers test nothing, neither the present nor the former.
func TestFormerIsNoSecondGuess(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	_, p := laptop.changePassword(jane, password, newer)
	wantCode(t, "change", p, 0)
	var open *try
	for range lockout.FailedLimit {
		w.clock.advance(time.Second)
		try, p := phone.start(jane, password)
		wantCode(t, "start", p, 0)
		proof, opened := try.former()
		if !opened {
			t.Fatal("the offer does not open")
		}
		_, p = try.finishWith(proof)
		refusedWith(t, p)
		open = try
	}
	locked, p := phone.start(jane, password)
	wantCode(t, "start", p, 0)
	rp, err := locked.login.Stretched(locked.started.KE2, cheap)
	must(t, err)
	if _, opened := locked.login.Former(locked.started.KE2, locked.started.Former, rp); opened {
		t.Error("the offer of a locked device opens")
	}
	if _, opened := open.login.Former(open.started.KE2, open.started.Former, rp); opened {
		t.Error("a locked answer tests a guess on the offer before")
	}
	_, p = locked.finishWith(opaque.DecoyKE3())
	report := laptop.asOwner(t, p, "locked-by-own-device")
	for _, f := range report.Findings {
		for _, e := range f.Evidence {
			if e.Check() == cause.CheckPasswordAge {
				t.Error("a locked device is told of the former password")
			}
		}
	}

	// The offer is fresh each time: two answers cannot be compared.
	w.clock.advance(time.Hour)
	first, p := phone.start(jane, newer)
	wantCode(t, "start", p, 0)
	second, p := phone.start(jane, newer)
	wantCode(t, "start", p, 0)
	if bytes.Equal(first.started.Former, second.started.Former) {
		t.Error("the same offer twice")
	}
}

// TestEndDevice: an owner ends what another device does; it is told by which
// device, and signs in again with the password alone.
func TestEndDevice(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	other := w.another(laptop, jane, "phone") // another with that name
	mallory := w.enrolled("mallory@example.org", "mallory")
	end := func(m *machine, what string) (out api.DeviceEnded, p *api.Problem) {
		p = m.call(api.PathEndDevice, api.SignedID{Session: m.in.Session, ID: what}, &out)
		return out, p
	}
	for _, c := range []struct {
		by   *machine
		what string
	}{{laptop, "phone"}, {laptop, "nobody"}, {laptop, laptop.in.Device[:8]}, {laptop, ""}, {mallory, phone.in.Device[:8]}} {
		if _, p := end(c.by, c.what); p == nil || p.Code != api.NotPossible {
			t.Errorf("end %q: %v", c.what, p)
		}
	}
	wantCode(t, "refresh", phone.refresh(), 0)
	out, p := end(laptop, phone.in.Device[:8])
	if p != nil || out.SessionsEnded != 1 || out.Device != "phone" {
		t.Fatalf("%+v, %v", out, p)
	}
	laptop.asOwner(t, phone.refresh(), "session-ended")
	wantCode(t, "the one of the same name", other.refresh(), 0)
	if out, p := phone.signIn(jane, password); p != nil || out.SignedIn == nil {
		t.Fatalf("with the password alone: %v", p)
	}
	wantCode(t, "refresh", phone.refresh(), 0)
}
