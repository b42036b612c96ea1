package server

import (
	"context"
	"encoding/hex"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store"
)

// addressCalls are the calls about where an account's messages go.
func (s *Server) addressCalls() map[string]handler {
	return map[string]handler{
		api.PathAddresses:     s.addresses,
		api.PathAddAddress:    s.addAddress,
		api.PathVerifyAddress: s.verifyAddress,
		api.PathRemoveAddress: s.removeAddress,
	}
}

func (s *Server) addresses(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "addresses")
	if err != nil {
		return nil, err
	}
	list, err := s.accounts.Addresses(ctx, a)
	out := api.Addresses{Addresses: []api.Address{}, Kinds: []string{}}
	for _, o := range list {
		out.Addresses = append(out.Addresses, address(o))
	}
	for _, kind := range []string{store.Email, store.Phone} {
		if s.outbox.Sends(kind) {
			out.Kinds = append(out.Kinds, kind)
		}
	}
	return out, err
}

func address(a store.Address) api.Address {
	out := api.Address{ID: hex.EncodeToString(a.ID[:]), Kind: a.Kind, Value: a.Value, Language: a.Language, Added: a.Added.Unix(), Why: a.FailedWhy}
	if !a.Failed.IsZero() {
		out.Failed = a.Failed.Unix()
	}
	if !a.Verified.IsZero() {
		out.Verified = a.Verified.Unix()
	} else if !a.CodeUntil.IsZero() {
		out.CodeUntil = a.CodeUntil.Unix()
	}
	return out
}

func (s *Server) addAddress(ctx context.Context, c call) (any, error) {
	var in api.AddAddress
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if in.Kind != api.Email && in.Kind != api.Phone || len(in.Language) > 35 {
		return nil, malformed
	}
	a, by, err := s.onSession(ctx, c, in.Session, "add address")
	if err != nil {
		return nil, err
	}
	out, err := s.accounts.AddAddress(ctx, a, in.Kind, in.Value, in.Language, by)
	if err != nil {
		return nil, err
	}
	s.poke(a.Account.ID)
	return address(out), nil
}

func (s *Server) verifyAddress(ctx context.Context, c call) (any, error) {
	var in api.VerifyAddress
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	which, err := id(in.ID)
	if err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "verify address")
	if err != nil {
		return nil, err
	}
	out, refusal, err := s.accounts.VerifyAddress(ctx, a, which, in.Code, by)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	s.poke(a.Account.ID)
	return address(out), nil
}

func (s *Server) removeAddress(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "remove address")
	if err != nil {
		return nil, err
	}
	which, err := id(what)
	if err != nil {
		return nil, err
	}
	err = s.accounts.RemoveAddress(ctx, a, which, by)
	s.poke(a.Account.ID)
	return nil, err
}
