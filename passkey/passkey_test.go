package passkey

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

// Browsers refuse passkeys at an address that is a number: the server says so
// before they do.
func TestNumbersHaveNoPasskeys(t *testing.T) {
	ctx := context.Background()
	for _, address := range []string{"http://127.0.0.1:4001", "http://[::1]:4001", "https://192.0.2.1"} {
		s, err := New(address, Service{Gate: gate.New(time.Now)})
		if err != nil || s.Possible() {
			t.Fatalf("%s: possible %v, %v", address, s.Possible(), err)
		}
		_, _, errs := s.StartEnter(ctx, gate.Caller{})
		_, errSecond := s.StartSecond(ctx, store.ID{}, gate.Caller{})
		_, errAdd := s.StartAdd(ctx, session.Actor{}, nil, gate.Caller{})
		_, _, errEnter := s.FinishEnter(ctx, nil, nil, gate.Caller{})
		_, _, errFinish := s.FinishSecond(ctx, store.ID{}, nil, nil, gate.Caller{})
		_, _, errAdded := s.FinishAdd(ctx, session.Actor{}, nil, nil, "", gate.Caller{})
		for _, err := range []error{errs, errSecond, errAdd, errEnter, errFinish, errAdded} {
			if !errors.Is(err, ErrName) {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
	for address, party := range map[string]string{"https://id.example.org": "id.example.org", "http://localhost:4001": "localhost"} {
		s, err := New(address, Service{})
		if err != nil || !s.Possible() || s.party.Config.RPID != party {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The key that stands in for unknown ones is one: its check costs a signature.
func TestStandKey(t *testing.T) {
	a, err := standKey()
	if err != nil {
		t.Fatal(err)
	}
	if k, err := webauthncose.ParsePublicKey(a); err != nil {
		t.Errorf("%T: %v", k, err)
	}
}

// What was removed, or made anew by another account, between the signature's
// check and the transaction, proves nothing.
func TestStill(t *testing.T) {
	s, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	kept := store.Passkey{Account: store.ID{1}, Credential: []byte("id"), Data: []byte("{}"), Name: "key", Added: at}
	for what, c := range map[string]struct {
		now  []store.Passkey
		want string
	}{
		"as it was":          {[]store.Passkey{kept}, proved},
		"removed":            {nil, notOfAccount},
		"another account's":  {[]store.Passkey{{Account: store.ID{2}, Credential: kept.Credential, Added: at}}, notOfAccount},
		"removed and put up": {[]store.Passkey{{Account: kept.Account, Credential: kept.Credential, Added: at.Add(time.Second)}}, notOfAccount},
	} {
		err := s.Update(ctx, func(tx store.Tx) error {
			for _, p := range c.now {
				if err := tx.AddPasskey(p); err != nil {
					return err
				}
			}
			p := proof{word: proved, id: kept.Credential, kept: kept}
			if err := p.still(tx); err != nil {
				return err
			}
			if p.word != c.want || (p.word == proved) == p.kept.Account.IsZero() {
				t.Errorf("%s: %s", what, p.word)
			}
			return errors.New("not kept")
		})
		if err == nil {
			t.Error("kept")
		}
	}
}
