package server

import (
	"context"
	"encoding/base64"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/passkey"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// passkeyCalls are the calls about passkeys, and the sign-ins with one.
func (s *Server) passkeyCalls() map[string]handler {
	return map[string]handler{
		api.PathPasskeys:            s.listPasskeys,
		api.PathAddPasskeyStart:     s.addPasskeyStart,
		api.PathAddPasskeyFinish:    s.addPasskeyFinish,
		api.PathRemovePasskey:       s.removePasskey,
		api.PathSecondPasskeyStart:  s.secondPasskeyStart,
		api.PathSecondPasskeyFinish: s.secondPasskeyFinish,
		api.PathPasskeyStart:        s.passkeyStart,
		api.PathPasskeyFinish:       s.passkeyFinish,
	}
}

func (s *Server) listPasskeys(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "passkeys")
	if err != nil {
		return nil, err
	}
	list, err := s.passkeys.List(ctx, a)
	names := gate.Names(a.Devices)
	out := api.Passkeys{Passkeys: []api.Passkey{}, Possible: s.passkeys.Possible(), Fresh: s.gate.Fresh(a.Session), Most: passkey.Max}
	for _, p := range list {
		out.Passkeys = append(out.Passkeys, shownPasskey(p, names))
	}
	return out, err
}

func shownPasskey(p store.Passkey, devices map[store.ID]string) api.Passkey {
	out := api.Passkey{ID: p.Credential, Name: p.Name, Added: p.Added.Unix(), AddedOn: devices[p.AddedBy]}
	if !p.LastUsed.IsZero() {
		out.LastUsed = p.LastUsed.Unix()
	}
	return out
}

func begun(b passkey.Begun, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return api.PasskeyStarted{Options: b.Options, State: b.State}, nil
}

func (s *Server) addPasskeyStart(ctx context.Context, c call) (any, error) {
	var in api.AddPasskeyStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "add passkey")
	if err != nil {
		return nil, err
	}
	return begun(s.passkeys.StartAdd(ctx, a, in.Grant, by))
}

func (s *Server) addPasskeyFinish(ctx context.Context, c call) (any, error) {
	var in api.AddPasskeyFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "add passkey")
	if err != nil {
		return nil, err
	}
	p, refusal, err := s.passkeys.FinishAdd(ctx, a, in.State, in.Credential, in.Name, by)
	switch {
	case err != nil:
		return nil, err
	case refusal != nil:
		return nil, refusal
	}
	return shownPasskey(p, gate.Names(a.Devices)), nil
}

func (s *Server) removePasskey(ctx context.Context, c call) (any, error) {
	a, by, which, err := s.onThing(ctx, c, "remove passkey")
	if err != nil {
		return nil, err
	}
	credential, err := base64.RawURLEncoding.Strict().DecodeString(which)
	if err != nil {
		return nil, malformed
	}
	return nil, s.passkeys.Remove(ctx, a, credential, by)
}

func (s *Server) secondPasskeyStart(ctx context.Context, c call) (any, error) {
	var in api.SecondPasskeyStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	attempt, err := id(in.Attempt)
	if err != nil {
		return nil, err
	}
	return begun(s.passkeys.StartSecond(ctx, attempt, c.caller))
}

func (s *Server) secondPasskeyFinish(ctx context.Context, c call) (any, error) {
	var in api.SecondPasskeyFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	attempt, err := id(in.Attempt)
	if err != nil {
		return nil, err
	}
	return s.entered(s.passkeys.FinishSecond(ctx, attempt, in.State, in.Credential, c.caller))
}

func (s *Server) passkeyStart(ctx context.Context, c call) (any, error) {
	var in api.PasskeyStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	b, refusal, err := s.passkeys.StartEnter(ctx, with(c.caller, in.DeviceName, in.Client))
	if err == nil && refusal != nil {
		err = refusal
	}
	return begun(b, err)
}

func (s *Server) passkeyFinish(ctx context.Context, c call) (any, error) {
	var in api.PasskeyFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	return s.entered(s.passkeys.FinishEnter(ctx, in.State, in.Credential, c.caller))
}

func (s *Server) entered(in *signin.SignedIn, refusal *gate.Refusal, err error) (any, error) {
	switch {
	case err != nil:
		return nil, err
	case refusal != nil:
		return nil, refusal
	}
	s.watchers.poke(in.Account.ID, true) // its request is over, its devices are more
	return s.signedIn(*in)
}
