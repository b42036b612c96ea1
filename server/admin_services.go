package server

import (
	"cmp"
	"context"

	"readmit.dev/readmit/api"
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
		n := api.AdminService{
			Name: l.Name, Audience: l.Audience, Push: l.Push, Stream: streamID(l.Service), Added: l.Added.Unix(), Status: l.Status, Why: l.Why, Waiting: l.Waiting,
		}
		if !l.Parked.IsZero() {
			n.Parked = l.Parked.Unix()
		}
		if !l.Heard.IsZero() {
			n.Heard = l.Heard.Unix()
		}
		if l.Waiting > 0 {
			n.Oldest, n.Lag = l.Oldest.Unix(), max(0, s.gate.Now().Sub(l.Oldest).Seconds())
		}
		out.Services = append(out.Services, n)
	}
	return out, err
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
