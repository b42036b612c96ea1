package server_test

import (
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
)

// TestPasskeyLeftIsAskedFor: with one proof by mail the password is set; as
// long as a passkey is left, that alone lets no new device in.
func TestPasskeyLeftIsAskedFor(t *testing.T) {
	w := newWorld(t)
	laptop := w.enrolled(jane, "laptop")
	laptop.has(store.Email, home)
	key := newAuthenticator(t)
	laptop.addPasskey(key, "on my keyring")
	wantCode(t, "the only device goes", laptop.call(api.PathRemoveDevice, api.SignedID{Session: laptop.in.Session, ID: laptop.in.Device[:8]}, nil), 0)
	w.clock.advance(6 * time.Minute)

	back := w.machine("back")
	r := back.begin(jane)
	_, p := back.prove(r, "address", back.sent(r, home))
	wantCode(t, "an address's code", p, 0)
	w.clock.advance(24*time.Hour + time.Minute)
	out, p := back.setPassword(r, fresh)
	if p != nil || out.SignedIn != nil {
		t.Fatalf("with a passkey left, signed in: %t, %v", out.SignedIn != nil, p)
	}
	need := back.needCode(jane, fresh, "")
	if need == nil {
		t.Fatal("the new password alone lets a new device in")
	}
	wantCode(t, "by the passkey", back.second(need, key), 0)
	wantCode(t, "refresh", back.refresh(), 0)
}
