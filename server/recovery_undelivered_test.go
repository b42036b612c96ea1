package server_test

import (
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/store"
)

// Of a recovery's code that got to no address the owner learns why, and nobody
// else; of one that got to some there is nothing to learn.
func TestRecoveryCodeUndelivered(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	laptop.has(store.Phone, phone)
	w.clock.advance(25 * time.Hour)
	wantCode(t, "refresh", laptop.refresh(), 0)
	w.deliver()
	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	wrong := func() *api.Problem {
		t.Helper()
		_, p := tablet.prove(r, "address", "0000-0000")
		return refusedWith(t, p)
	}
	laptop.asOwner(t, wrong(), "recovery-code-wrong") // none was sent yet

	w.clock.advance(time.Minute)
	w.post.failing(&message.Failure{Why: message.NoSuchMailbox, Final: true})
	if code := tablet.sent(r, home); code != "" {
		t.Fatal("it was sent")
	}
	p := wrong()
	report := laptop.asOwner(t, p, "code-undelivered")
	wantEvidence(t, report, cause.CheckDelivery, message.NoSuchMailbox)
	wantCauses(t, tablet.explain(p, false), cause.Anyone, "refused")
	// A proof of another way has nothing to do with it.
	_, p = tablet.prove(r, "code", "AAAA-BBBB-CCCC-DDDD")
	laptop.asOwner(t, refusedWith(t, p), "recovery-code-wrong")

	// One that got to one address can be typed.
	w.clock.advance(10 * time.Minute)
	w.post.only = store.Phone
	code := tablet.sent(r, home)
	laptop.asOwner(t, wrong(), "recovery-code-wrong")
	_, p = tablet.prove(r, "address", code)
	wantCode(t, "prove", p, 0)

	// A failure of before a recovery says nothing of its code.
	w.post.only = ""
	w.deliver()
	w.clock.advance(time.Minute)
	tablet = w.machine("another tablet")
	r = tablet.begin(jane)
	laptop.asOwner(t, wrong(), "recovery-code-wrong")
}
