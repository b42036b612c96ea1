package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
)

// TestMine: what an owner says of an attempt is kept, once, and is theirs alone
// to say.
func TestMine(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	phone := w.another(laptop, jane, "phone")
	other := w.enrolled("other@example.org", "other")
	p := w.machine("stranger").fail(jane)
	say := func(m *machine, session, reference string) *api.Problem {
		return m.call(api.PathMine, api.SignedReference{Session: session, Reference: reference}, nil)
	}
	line := func() api.Activity {
		t.Helper()
		list := w.activity(jane)
		i := slices.IndexFunc(list, func(a api.Activity) bool { return a.Reference == p.Reference })
		if i < 0 {
			t.Fatal("the attempt is not in the ledger")
		}
		return list[i]
	}
	said := func() (n int) {
		for _, a := range w.activity(jane) {
			if a.What == "recognised of "+p.Reference+" by owner" {
				n++
				if a.Device != "laptop" || a.Outcome != "done" {
					t.Errorf("said %+v", a)
				}
			}
		}
		return n
	}

	if q := say(other, other.in.Session, p.Reference); q == nil || q.Reason != api.ReasonNoIncident {
		t.Errorf("another account's attempt: %v", q)
	}
	wantCode(t, "another's session", say(other, laptop.in.Session, p.Reference), api.Failed)
	wantCode(t, "no reference", say(laptop, laptop.in.Session, "hello"), api.BadRequest)
	if q := say(laptop, laptop.in.Session, "0000-0000"); q == nil || q.Reason != api.ReasonNoIncident {
		t.Errorf("no such attempt: %v", q)
	}
	if line().Mine != 0 || said() != 0 {
		t.Error("it is said to have been the owner before they said so")
	}

	w.clock.advance(time.Minute)
	wantCode(t, "mine", say(laptop, laptop.in.Session, " "+strings.ToLower(p.Reference)), 0)
	at := w.clock.now().Unix()
	w.clock.advance(time.Minute)
	wantCode(t, "again", say(phone, phone.in.Session, p.Reference), 0)
	if line().Mine != at || said() != 1 {
		t.Errorf("said at %d, %d times; want %d, once", line().Mine, said(), at)
	}
	if l := line(); l.Outcome != "refused" || l.Cause != "password-wrong" {
		t.Errorf("what was said has changed the attempt: %+v", l)
	}
	// A look at an incident has a reference of its own, which is no attempt.
	laptop.explain(p, true)
	for _, a := range w.activity(jane) {
		if a.Mine != 0 && a.Reference != p.Reference {
			t.Errorf("%+v is said to have been the owner", a)
		}
	}
}
