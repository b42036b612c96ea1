package server

import (
	"context"
	"encoding/hex"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/desk"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/store"
)

func (s *Server) deskCalls() map[string]handler {
	return map[string]handler{
		api.PathApprovals:       s.approvals,
		api.PathApprovalsGive:   s.approvalGive,
		api.PathApprovalsRevoke: s.approvalRevoke,
		api.PathDesk:            s.deskHello,
		api.PathDeskAccount:     s.deskAccount,
		api.PathDeskAsk:         s.deskAsk,
		api.PathDeskExplain:     s.deskExplain,
		api.PathDeskAct:         s.deskAct,
		api.PathDeskAgree:       s.deskAgree,
	}
}

func reference(typed string) (string, error) {
	r, ok := api.NormaliseReference(typed)
	if !ok {
		return "", malformed
	}
	return r, nil
}

func approval(p store.Approval) api.Approval {
	out := api.Approval{Reference: p.Reference, At: p.At.Unix(), Expires: p.Expires.Unix(), By: p.By}
	if !p.Revoked.IsZero() {
		out.Revoked = p.Revoked.Unix()
	}
	return out
}

func (s *Server) approvals(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "approvals")
	if err != nil {
		return nil, err
	}
	given, asks, err := s.desk.Approvals(ctx, a)
	out := api.Approvals{Approvals: []api.Approval{}, Asked: []api.ApprovalAsked{}}
	for _, p := range given {
		out.Approvals = append(out.Approvals, approval(p))
	}
	for _, d := range asks {
		out.Asked = append(out.Asked, api.ApprovalAsked{Reference: d.Reference, Agent: d.By, Kind: d.Kind, At: d.Asked.Unix()})
	}
	return out, err
}

func (s *Server) approvalGive(ctx context.Context, c call) (any, error) {
	var in api.ApprovalGive
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	ref, err := reference(in.Reference)
	if err != nil {
		return nil, err
	}
	if (in.Session == "") == (in.Code == "") {
		return nil, malformed
	}
	if in.Session != "" {
		a, by, err := s.onSession(ctx, c, in.Session, "approve support")
		if err != nil {
			return nil, err
		}
		err = s.desk.Approve(ctx, a, ref, by)
		s.poke(a.Account.ID)
		return nil, err
	}
	of, refusal, err := s.desk.ApproveByCode(ctx, in.Account, ref, in.Code, c.caller)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	s.poke(of)
	return nil, nil
}

func (s *Server) approvalRevoke(ctx context.Context, c call) (any, error) {
	var in api.SignedReference
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	ref, err := reference(in.Reference)
	if err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "support's look")
	if err != nil {
		return nil, err
	}
	err = s.desk.Revoke(ctx, a, ref, by)
	s.poke(a.Account.ID)
	return nil, err
}

func (s *Server) deskHello(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "desk")
	if err != nil {
		return nil, err
	}
	return nil, s.desk.Works(ctx, a)
}

// atDesk decodes an agent's call; with a reference, if it needs one.
func (s *Server) atDesk(ctx context.Context, c call, needs bool) (in api.DeskAsk, a session.Actor, by call, err error) {
	by = c
	if err = decode(c.body, &in); err != nil {
		return in, a, by, err
	}
	if needs {
		if in.Reference, err = reference(in.Reference); err != nil {
			return in, a, by, err
		}
	}
	a, by.caller, err = s.onSession(ctx, c, in.Session, "desk")
	return in, a, by, err
}

func (s *Server) deskAccount(ctx context.Context, c call) (any, error) {
	in, a, by, err := s.atDesk(ctx, c, false)
	if err != nil {
		return nil, err
	}
	known, err := s.desk.Account(ctx, a, in.Identifier, by.caller)
	if err != nil {
		return nil, err
	}
	s.poke(known.Of)
	out := api.DeskAccount{Account: known.Account, Approved: []api.Approval{}, Waiting: []api.DeskWaiting{}}
	for _, p := range known.Approved {
		out.Approved = append(out.Approved, approval(p))
	}
	for _, d := range known.Waiting {
		out.Waiting = append(out.Waiting, api.DeskWaiting{
			Act: hex.EncodeToString(d.ID[:]), Kind: d.Kind, Reference: d.Reference, AskedBy: d.By,
			Asked: d.Asked.Unix(), Expires: d.Expires.Unix(), Own: d.AskedBy == a.Account.ID,
		})
	}
	return out, nil
}

func (s *Server) deskAsk(ctx context.Context, c call) (any, error) {
	in, a, by, err := s.atDesk(ctx, c, true)
	if err != nil {
		return nil, err
	}
	of, err := s.desk.Ask(ctx, a, in.Identifier, in.Reference, by.caller)
	s.poke(of)
	return nil, err
}

func (s *Server) deskExplain(ctx context.Context, c call) (any, error) {
	in, a, by, err := s.atDesk(ctx, c, true)
	if err != nil {
		return nil, err
	}
	report, err := s.explain.ForDesk(ctx, a, in.Identifier, in.Reference, by.caller)
	if err != nil {
		return nil, err
	}
	return report, nil
}

func (s *Server) deskAct(ctx context.Context, c call) (any, error) {
	var in api.DeskDo
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	ref, err := reference(in.Reference)
	if err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "desk")
	if err != nil {
		return nil, err
	}
	return s.deskDone(s.desk.Act(ctx, a, in.Identifier, ref, in.Kind, by))
}

func (s *Server) deskAgree(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "desk")
	if err != nil {
		return nil, err
	}
	act, err := id(what)
	if err != nil {
		return nil, err
	}
	return s.deskDone(s.desk.Agree(ctx, a, act, by))
}

func (s *Server) deskDone(o desk.Outcome, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	s.poke(o.Of)
	if !o.Act.IsZero() {
		return api.DeskDone{Act: hex.EncodeToString(o.Act[:])}, nil
	}
	return api.DeskDone{Done: true, Word: o.Word}, nil
}

func (s *Server) adminAgents(ctx context.Context) (any, error) {
	list, err := s.desk.Agents(ctx)
	out := api.AdminAgents{Agents: []api.AdminAgent{}}
	for _, x := range list {
		out.Agents = append(out.Agents, api.AdminAgent{Account: x.Identifier, Added: x.Added.Unix()})
	}
	return out, err
}
