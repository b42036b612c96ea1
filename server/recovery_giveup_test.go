package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/store"
)

func (m *machine) giveUp(r api.Recovery) *api.Problem {
	return m.call(api.PathRecoveryGiveUp, api.RecoveryCase{Recovery: r.Recovery}, nil)
}

// TestRecoveryIsGivenUp: who began a recovery ends it, and no one else does so
// in their place.
func TestRecoveryIsGivenUp(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	codes := laptop.codes()
	w.deliver()
	said := func() (n int) {
		for _, a := range w.activity(jane) {
			if a.What == "recovery given up" && a.Device == "tablet" {
				n++
			}
		}
		return n
	}

	tablet := w.machine("tablet")
	r := tablet.begin(jane)
	wantCode(t, "unproved", tablet.giveUp(r), 0)
	if list := laptop.recoveries(); len(list) != 0 || said() != 1 {
		t.Errorf("given up before a proof: the owner sees %+v, and it is recorded %d times", list, said())
	}
	if got := told(w.deliver(), home); len(got) != 0 {
		t.Errorf("told of what nothing was proved for: %q", got)
	}

	r = tablet.begin(jane)
	_, p := tablet.prove(r, "code", codes[0])
	wantCode(t, "prove", p, 0)
	w.deliver()
	if p := w.machine("thief").giveUp(r); p == nil || p.Reason != api.ReasonNoCase {
		t.Errorf("another key ends it: %v", p)
	}
	wantState(t, "after another key's try", tablet.status(r), "waiting", "code")
	wantCode(t, "give up", tablet.giveUp(r), 0)
	wantState(t, "given up", tablet.status(r), "cancelled", "code")
	list := laptop.recoveries()
	if i := slices.IndexFunc(list, func(x api.RecoverySeen) bool { return x.State == "cancelled" }); i < 0 || list[i].By != "starter" {
		t.Errorf("the owner sees %+v", list)
	}
	if got := told(w.deliver(), home); len(got) != 1 || said() != 2 {
		t.Errorf("told %q, recorded %d times", got, said())
	}
	if p := tablet.giveUp(r); p == nil || p.Reason != api.ReasonNoRecovery {
		t.Errorf("again: %v", p)
	}
	w.clock.advance(recovery.DefaultWait + time.Minute)
	_, p = tablet.setPassword(r, fresh)
	laptop.asOwner(t, p, "recovery-over")
	if done, p := laptop.signIn(jane, password); p != nil || done.SignedIn == nil {
		t.Errorf("the owner's password: %v", p)
	}
}

// TestGivingUpCostsNothing: who has proved nothing can begin and give up as
// often as they like, and nothing grows.
func TestGivingUpCostsNothing(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	for range 12 {
		m := w.machine("stranger")
		wantCode(t, "give up", m.giveUp(m.begin(jane)), 0)
	}
	must(t, w.store.View(context.Background(), func(tx store.Tx) error {
		a, err := tx.Find(w.keys.Lookup(jane), store.StandKey(w.keys.Lookup(jane)))
		if err != nil {
			return err
		}
		all, err := tx.Recoveries(a.ID)
		if len(all) > 5 {
			t.Errorf("%d rows", len(all))
		}
		return err
	}))
	if list := laptop.recoveries(); len(list) != 0 {
		t.Errorf("the owner sees %+v", list)
	}
}
