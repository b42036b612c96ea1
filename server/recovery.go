package server

import (
	"context"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/store"
)

func (s *Server) recoveryCalls() map[string]handler {
	return map[string]handler{
		api.PathRecoveryStart:          s.recoveryStart,
		api.PathRecoveryStatus:         s.recoveryStatus,
		api.PathRecoverySend:           s.recoverySend,
		api.PathRecoveryProve:          s.recoveryProve,
		api.PathRecoveryPasswordStart:  s.recoveryPasswordStart,
		api.PathRecoveryPasswordFinish: s.recoveryPasswordFinish,
		api.PathRecoveryGiveUp:         s.recoveryGiveUp,
		api.PathRecoveryCancel:         s.recoveryCancel,
		api.PathRecoveryIdentifier:     s.recoveryIdentifier,
		api.PathRecoveries:             s.recoveryList,
		api.PathRecoveriesApprove:      s.recoveryApprove,
		api.PathRecoveriesCancel:       s.recoveryStop,
		api.PathRecoveryCodes:          s.recoveryCodes,
		api.PathRecoveryCodeCount:      s.recoveryCodeCount,
		api.PathExport:                 s.export,
		api.PathClose:                  s.closeAccount,
	}
}

// poke makes the pages of an account look; a zero ID is nobody's.
func (s *Server) poke(account store.ID) {
	if !account.IsZero() {
		s.watchers.poke(account, true)
	}
}

func (s *Server) recoveryOf(k recovery.Case) api.Recovery {
	s.poke(k.Account)
	out := api.Recovery{
		Recovery: k.Claim, State: k.State, Proofs: k.Proofs, Expires: k.Expires.Unix(),
		Now: s.gate.Now().Unix(), Wait: int(s.recovery.Wait / time.Second),
	}
	if !k.Opens.IsZero() {
		out.Opens = k.Opens.Unix()
	}
	return out
}

func (s *Server) recoveryStart(ctx context.Context, c call) (any, error) {
	var in api.RecoveryStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	leave, err := s.enter(ctx, in.Account, c.caller.Key)
	if err != nil {
		return nil, err
	}
	defer leave()
	k, refusal, err := s.recovery.Start(ctx, in.Account, in.Word, with(c.caller, in.DeviceName, in.Client))
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return s.recoveryOf(k), nil
}

func (s *Server) recoveryStatus(ctx context.Context, c call) (any, error) {
	var in api.RecoveryCase
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	k, err := s.recovery.Status(ctx, in.Recovery, c.caller)
	if err != nil {
		return nil, err
	}
	return s.recoveryOf(k), nil
}

func (s *Server) recoverySend(_ context.Context, c call) (any, error) {
	var in api.RecoveryCase
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	return nil, s.recovery.SendCode(in.Recovery, c.caller)
}

func (s *Server) recoveryProve(ctx context.Context, c call) (any, error) {
	var in api.RecoveryProve
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	k, refusal, err := s.recovery.Prove(ctx, in.Recovery, recovery.Proof{Code: in.Code, AddressCode: in.AddressCode, DeviceCode: in.DeviceCode}, c.caller)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return s.recoveryOf(k), nil
}

func (s *Server) recoveryPasswordStart(ctx context.Context, c call) (any, error) {
	var in api.RecoveryPasswordStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	response, err := s.recovery.StartPassword(ctx, in.Recovery, in.Request, c.caller)
	if err != nil {
		return nil, err
	}
	return api.SignUpStarted{Response: response}, nil
}

func (s *Server) recoveryPasswordFinish(ctx context.Context, c call) (any, error) {
	var in api.RecoveryPasswordFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	stretch, err := keepStretch(in.Stretch)
	if err != nil {
		return nil, err
	}
	done, refusal, err := s.recovery.SetPassword(ctx, in.Recovery, in.Record, stretch, with(c.caller, in.DeviceName, in.Client))
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	s.poke(done.Account)
	if done.SignedIn == nil {
		return api.RecoveryFinished{}, nil
	}
	signed, err := s.signedIn(*done.SignedIn)
	return api.RecoveryFinished{SignedIn: signed}, err
}

func (s *Server) recoveryGiveUp(ctx context.Context, c call) (any, error) {
	var in api.RecoveryCase
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	of, err := s.recovery.GiveUp(ctx, in.Recovery, c.caller)
	s.poke(of)
	return nil, err
}

func (s *Server) recoveryCancel(ctx context.Context, c call) (any, error) {
	var in api.RecoveryWord
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	of, err := s.recovery.CancelByWord(ctx, in.Word, c.caller)
	s.poke(of)
	return nil, err
}

func (s *Server) recoveryIdentifier(_ context.Context, c call) (any, error) {
	var in api.RecoveryIdentifier
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	return nil, s.recovery.SendIdentifiers(in.Email, c.caller)
}

func (s *Server) recoverySeen(x recovery.Shown, by store.Thumbprint) api.RecoverySeen {
	out := api.RecoverySeen{
		ID: x.ID, Name: x.Name, System: x.System, Client: x.Client, Address: x.Address, Opened: x.Opened.Unix(), Expires: x.Expires.Unix(),
		State: x.State, Proofs: x.Proofs, By: x.CancelledBy, Support: !x.Agent.IsZero(), This: x.Thumbprint == by,
	}
	if !x.Opens.IsZero() {
		out.Opens = x.Opens.Unix()
	}
	return out
}

func (s *Server) recoveryList(ctx context.Context, c call) (any, error) {
	a, by, err := s.on(ctx, c, "recoveries")
	if err != nil {
		return nil, err
	}
	list, err := s.recovery.List(ctx, a)
	out := api.Recoveries{Recoveries: []api.RecoverySeen{}}
	for _, x := range list {
		out.Recoveries = append(out.Recoveries, s.recoverySeen(x, by.Key))
	}
	return out, err
}

func (s *Server) recoveryApprove(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "approve recovery")
	if err != nil {
		return nil, err
	}
	x, code, left, err := s.recovery.Approve(ctx, a, strings.ToUpper(what), by)
	if err != nil {
		return nil, err
	}
	s.poke(a.Account.ID)
	return api.RecoveryApproved{Code: code, Remaining: int((left + time.Second - 1) / time.Second), RecoverySeen: s.recoverySeen(x, by.Key)}, nil
}

func (s *Server) recoveryStop(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "stop recovery")
	if err != nil {
		return nil, err
	}
	err = s.recovery.Cancel(ctx, a, strings.ToUpper(what), by)
	s.poke(a.Account.ID)
	return nil, err
}

func (s *Server) recoveryCodes(ctx context.Context, c call) (any, error) {
	var in api.SignedFresh
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "recovery codes")
	if err != nil {
		return nil, err
	}
	codes, err := s.recovery.MakeCodes(ctx, a, in.Grant, by)
	if err != nil {
		return nil, err
	}
	s.poke(a.Account.ID)
	return api.RecoveryCodes{Codes: codes}, nil
}

func (s *Server) recoveryCodeCount(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "recovery codes")
	if err != nil {
		return nil, err
	}
	left, made, err := s.recovery.CountCodes(ctx, a)
	out := api.RecoveryCodeCount{Left: left}
	if !made.IsZero() {
		out.Made = made.Unix()
	}
	return out, err
}

func (s *Server) export(ctx context.Context, c call) (any, error) {
	a, by, err := s.on(ctx, c, "export")
	if err != nil {
		return nil, err
	}
	return s.accounts.Export(ctx, a, by)
}

func (s *Server) closeAccount(ctx context.Context, c call) (any, error) {
	var in api.SignedFresh
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "close")
	if err != nil {
		return nil, err
	}
	err = s.accounts.Close(ctx, a, in.Grant, by)
	s.poke(a.Account.ID)
	return nil, err
}
