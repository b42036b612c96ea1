package server

import (
	"cmp"
	"context"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/signal"
)

func (s *Server) adminServiceAdd(ctx context.Context, body []byte) (any, error) {
	var in api.AdminServiceNew
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	in.Audience = cmp.Or(in.Audience, in.Name)
	r, err := s.signals.Add(ctx, in.Name, in.Audience, in.Push, s.plain)
	if err != nil {
		return nil, err
	}
	return api.AdminServiceAdded{Name: r.Name, Audience: r.Audience, Push: r.Push, Stream: streamID(r.Service), Secret: r.Secret, Token: r.Token}, nil
}

func (s *Server) adminServices(ctx context.Context) (any, error) {
	list, err := s.signals.List(ctx)
	out := api.AdminServiceList{Services: []api.AdminService{}}
	for _, l := range list {
		out.Services = append(out.Services, s.state(l))
	}
	return out, err
}

func (s *Server) state(l signal.State) api.AdminService {
	n := api.AdminService{
		Name: l.Name, Audience: l.Audience, Push: l.Push, Stream: streamID(l.Service), Added: l.Added.Unix(), Status: l.Status, Why: l.Why, Waiting: l.Waiting,
	}
	if !l.Parked.IsZero() {
		n.Since = l.Parked.Unix()
	}
	if signal.Parked(l.Service) {
		n.Parked = n.Since
	}
	if !l.Heard.IsZero() {
		n.Heard = l.Heard.Unix()
	}
	if l.Waiting > 0 {
		n.Oldest, n.Lag = l.Oldest.Unix(), max(0, s.gate.Now().Sub(l.Oldest).Seconds())
	}
	return n
}

func (s *Server) adminServiceShow(ctx context.Context, body []byte) (any, error) {
	var in api.AdminServiceName
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	of, err := s.signals.Show(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	out := api.AdminServiceState{AdminService: s.state(of.State)}
	if !of.Applied.IsZero() {
		out.Applied = of.Applied.Unix()
	}
	if r := of.First; of.Waiting > 0 {
		out.First = &api.AdminWaiting{Account: of.Account, Epoch: r.Epoch, Kind: r.Kind, Since: r.Made.Unix(), Tries: r.Tries, Why: r.Why}
	}
	return out, nil
}

func adminService(act func(context.Context, string) error) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, body []byte) (any, error) {
		var in api.AdminServiceName
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return nil, act(ctx, in.Name)
	}
}
