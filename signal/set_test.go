package signal_test

import (
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

// polled gives out all that a service is due, as it is read by another
// implementation.
func (w *world) polled(s store.Service) map[string]map[string]any {
	w.t.Helper()
	sets, _, err := w.node.outbox.Poll(w.t.Context(), s, nil, nil, signal.MostSets, false)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]map[string]any{}
	for jti, text := range sets {
		out[jti] = w.read(text)
	}
	return out
}

func (w *world) read(text string) map[string]any {
	w.t.Helper()
	set, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		w.t.Fatal(err)
	}
	h := set.Signatures[0].Header
	if h.ExtraHeaders[jose.HeaderType] != "secevent+jwt" || h.KeyID != w.keys.Signals()[0].ID {
		w.t.Fatalf("header %+v", h)
	}
	payload, err := set.Verify(&w.keys.Signals()[0].Key.PublicKey)
	if err != nil {
		w.t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestSET holds each kind against the forms of RFC 8417 §2.2, RFC 9493 §3.2.4,
// CAEP 1.0 and RISC 1.0.
func TestSET(t *testing.T) {
	w := newWorld(t)
	shop := w.node.add("shop", "").Service
	w.node.add("mail", "")
	device, session := store.ID{1}, store.ID{2}
	for _, c := range []struct {
		kind, event string
		detail      signal.Detail
		want        map[string]any
	}{
		{signal.PasswordChanged, signal.EventCredentialChange, signal.Detail{Device: device, By: signal.ByUser}, map[string]any{"credential_type": "password", "change_type": "update", "readmit_device": hex.EncodeToString(device[:]), "initiating_entity": "user"}},
		{signal.Recovered, signal.EventCredentialChange, signal.Detail{By: signal.ByUser}, map[string]any{"credential_type": "password", "change_type": "update", "initiating_entity": "user"}},
		{signal.DeviceAdded, signal.EventCredentialChange, signal.Detail{By: signal.ByUser}, map[string]any{"credential_type": "readmit-device", "change_type": "create", "initiating_entity": "user"}},
		{signal.FactorChanged, signal.EventCredentialChange, signal.Detail{By: signal.ByUser}, map[string]any{"credential_type": "readmit-factor", "change_type": "update", "initiating_entity": "user"}},
		{signal.FactorChanged, signal.EventChangeRequired, signal.Detail{By: signal.ByAdmin}, map[string]any{"initiating_entity": "admin"}},
		{signal.DeviceRemoved, signal.EventDeviceCompliance, signal.Detail{Device: device, By: signal.ByUser}, map[string]any{"previous_status": "compliant", "current_status": "not-compliant", "readmit_device": hex.EncodeToString(device[:]), "initiating_entity": "user"}},
		{signal.SessionsEnded, signal.EventSessionRevoked, signal.Detail{By: signal.ByUser}, map[string]any{"initiating_entity": "user"}},
		{signal.AccountDisabled, signal.EventAccountDisabled, signal.Detail{By: signal.ByAdmin}, map[string]any{"initiating_entity": "admin"}},
		{signal.AccountEnabled, signal.EventAccountEnabled, signal.Detail{By: signal.ByAdmin}, map[string]any{"initiating_entity": "admin"}},
		{signal.SessionEnded, signal.EventSessionRevoked, signal.Detail{Session: session, By: signal.ByUser}, map[string]any{"readmit_session": hex.EncodeToString(session[:]), "initiating_entity": "user"}},
		{signal.AccountClosed, signal.EventAccountPurged, signal.Detail{By: signal.ByUser}, map[string]any{"initiating_entity": "user"}},
	} {
		a := w.account()
		at := w.clock.now()
		w.update(w.node.store, func(tx store.Tx) error {
			switch c.kind {
			case signal.SessionEnded:
				return signal.Note(tx, *a, c.kind, c.detail, at)
			case signal.AccountClosed:
				return signal.Closed(tx, *a, at)
			}
			return signal.Raise(tx, a, c.kind, c.detail, at)
		})
		epoch := 2.0
		if c.kind == signal.SessionEnded {
			epoch = 1
		}
		all := w.polled(shop)
		if len(all) != 1 {
			t.Fatalf("%s: %d signals", c.kind, len(all))
		}
		for jti, got := range all {
			c.want["event_timestamp"], c.want["readmit_kind"], c.want["readmit_epoch"] = float64(at.UnixMicro())/1e6, c.kind, epoch
			want := map[string]any{
				"iss": issuer, "iat": got["iat"], "jti": jti, "txn": jti, "aud": []any{"https://mail.example.org", "https://shop.example.org"},
				"sub_id": map[string]any{"format": "iss_sub", "iss": issuer, "sub": hex.EncodeToString(a.ID[:])},
				"events": map[string]any{c.event: c.want},
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %v\nwant %v", c.kind, got, want)
			}
			if iat, _ := got["iat"].(float64); time.Since(time.Unix(int64(iat), 0)) > time.Minute {
				t.Errorf("issued at %v", got["iat"])
			}
			if _, _, err := w.node.outbox.Poll(t.Context(), shop, []string{jti}, nil, 0, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left := w.polled(shop); len(left) != 0 {
		t.Errorf("%d left after all were acknowledged", len(left))
	}
}

// TestSETIsNoAccessToken: a library that takes JWTs for proof of who calls does
// not take a SET for one (RFC 8417 §4.5, §4.6).
func TestSETIsNoAccessToken(t *testing.T) {
	w := newWorld(t)
	shop := w.node.add("shop", "").Service
	a := w.account()
	w.node.raise(a, signal.PasswordChanged)
	sets, _, err := w.node.outbox.Poll(t.Context(), shop, nil, nil, 1, false)
	if err != nil || len(sets) != 1 {
		t.Fatalf("%d, %v", len(sets), err)
	}
	for _, text := range sets {
		got := w.read(text)
		for _, never := range []string{"sub", "exp", "sid", "cnf", "nbf"} {
			if _, there := got[never]; there {
				t.Errorf("it has %s", never)
			}
		}
		if _, ok := got["aud"].(string); !ok {
			t.Errorf("aud of one service is %v, want a string", got["aud"])
		}
		parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		var c jwt.Claims
		if err := parsed.Claims(&w.keys.Signals()[0].Key.PublicKey, &c); err != nil || c.Subject != "" || c.Expiry != nil || !c.Audience.Contains("https://shop.example.org") {
			t.Errorf("%+v, %v", c, err)
		}
		// A letter changed anywhere does not verify.
		for i := range text {
			if i%37 != 0 {
				continue
			}
			with := "A"
			if text[i] == 'A' {
				with = "B"
			}
			changed := text[:i] + with + text[i+1:]
			if set, err := jose.ParseSignedCompact(changed, []jose.SignatureAlgorithm{jose.RS256}); err == nil {
				if _, err := set.Verify(&w.keys.Signals()[0].Key.PublicKey); err == nil && strings.TrimRight(changed, "=") != text {
					t.Errorf("changed at %d, and it verifies", i)
				}
			}
		}
	}
}

// TestVerificationEvent: its state comes back, to the one stream alone, about
// the stream (SSF 1.0 §8.1.4).
func TestVerificationEvent(t *testing.T) {
	w := newWorld(t)
	shop, mail := w.node.add("shop", "").Service, w.node.add("mail", "").Service
	if err := w.node.outbox.Verify(t.Context(), shop, "VGhpcyBpcw"); err != nil {
		t.Fatal(err)
	}
	if err := w.node.outbox.Verify(t.Context(), shop, "again"); err != signal.ErrAsked {
		t.Errorf("at once again: %v", err)
	}
	if err := w.node.outbox.Verify(t.Context(), mail, "other"); err != nil {
		t.Errorf("of another stream: %v", err)
	}
	for _, got := range w.polled(shop) {
		want := map[string]any{signal.EventVerification: map[string]any{"state": "VGhpcyBpcw"}}
		subject := map[string]any{"format": "opaque", "id": hex.EncodeToString(shop.ID[:])}
		if !reflect.DeepEqual(got["events"], want) || !reflect.DeepEqual(got["sub_id"], subject) || got["aud"] != "https://shop.example.org" {
			t.Errorf("%v", got)
		}
	}
	if n := len(w.polled(shop)); n != 1 {
		t.Errorf("%d events for one question", n)
	}
}

// TestSignedOnce: a node sends what the node that made the change has signed,
// while it is of the services that there are, and not old.
func TestSignedOnce(t *testing.T) {
	w := newWorld(t)
	here := w.node
	shop := here.add("shop", "").Service
	there := w.newNodeAt(&pushes{}, &clock{off: 90 * time.Second}) // by their clocks it is seen who has signed
	later := w.newNodeAt(&pushes{}, &clock{off: 10 * time.Minute})
	here.tail.Ready(here.outbox.Ready)
	stop := here.run()
	w.eventually("the services are known", func() bool {
		n := store.Signal{Kind: signal.PasswordChanged, Detail: []byte("{}")}
		return len(here.outbox.Ready(n).Detail) > len(n.Detail)
	})
	stop()
	signer := func(of *node, a *store.Subject) (by time.Duration, audiences any) {
		t.Helper()
		sets, _, err := of.outbox.Poll(t.Context(), shop, nil, nil, signal.MostSets, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range sets {
			c := w.read(text)
			if c["sub_id"].(map[string]any)["sub"] == hex.EncodeToString(a.ID[:]) {
				return time.Unix(int64(c["iat"].(float64)), 0).Sub(here.clock.now()).Round(30 * time.Second), c["aud"]
			}
		}
		t.Fatalf("%d signals, none of the account", len(sets))
		return 0, nil
	}
	first, second := w.account(), w.account()
	here.raise(first, signal.PasswordChanged)
	if by, _ := signer(there, first); by != 0 {
		t.Errorf("signed again by a node whose clock is %v ahead", by)
	}
	if by, _ := signer(later, first); by != 10*time.Minute {
		t.Errorf("an old one is sent as it was made: %v", by)
	}
	there.add("mail", "")
	here.raise(second, signal.DeviceRemoved) // not yet told of it
	if by, audiences := signer(there, second); by != 90*time.Second || len(audiences.([]any)) != 2 {
		t.Errorf("for %v, signed by a node whose clock is %v ahead", audiences, by)
	}
}
