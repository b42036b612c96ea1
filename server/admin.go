package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/explain"
	"readmit.dev/readmit/policy"
)

// AdminHandler is the operator's face. It is served on the local socket only;
// who could connect is the operator (see listen.go).
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	for path, h := range map[string]func(context.Context, []byte) (any, error){
		api.AdminInvite:     s.adminInvite,
		api.AdminPolicy:     s.adminSetPolicy,
		api.AdminDisable:    s.adminAct(func(ctx context.Context, who string) error { return s.accounts.Disable(ctx, who) }),
		api.AdminEnable:     s.adminAct(func(ctx context.Context, who string) error { return s.accounts.Enable(ctx, who) }),
		api.AdminUnlock:     s.adminAct(func(ctx context.Context, who string) error { return s.accounts.Unlock(ctx, who) }),
		api.AdminDeskAdd:    s.adminAct(func(ctx context.Context, who string) error { return s.desk.SetRole(ctx, who, true) }),
		api.AdminDeskRemove: s.adminAct(func(ctx context.Context, who string) error { return s.desk.SetRole(ctx, who, false) }),
		api.AdminExplain:    s.adminExplain,
		api.AdminActivity:   s.adminActivity,

		api.AdminServiceShow:   s.adminServiceShow,
		api.AdminServiceAdd:    s.adminServiceAdd,
		api.AdminServiceResume: adminService(s.signals.Resume),
		api.AdminServiceRemove: adminService(s.signals.Remove),
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err != nil {
				s.toOperator(w, nil, malformed)
				return
			}
			out, err := h(r.Context(), body)
			if s.toOperator(w, out, err) < http.StatusBadRequest {
				s.log.Info("operator", "did", path)
			}
		})
	}
	mux.HandleFunc("GET "+api.AdminPolicy, func(w http.ResponseWriter, _ *http.Request) {
		s.toOperator(w, api.AdminPolicyState{Policy: s.gate.Policy()}, nil)
	})
	mux.HandleFunc("GET "+api.AdminAccounts, func(w http.ResponseWriter, r *http.Request) {
		out, err := s.adminAccounts(r.Context())
		s.toOperator(w, out, err)
	})
	mux.HandleFunc("GET "+api.AdminDesk, func(w http.ResponseWriter, r *http.Request) {
		out, err := s.adminAgents(r.Context())
		s.toOperator(w, out, err)
	})
	mux.HandleFunc("GET "+api.AdminBackup, s.adminBackup)
	mux.HandleFunc("GET "+api.AdminServices, func(w http.ResponseWriter, r *http.Request) {
		out, err := s.adminServices(r.Context())
		s.toOperator(w, out, err)
	})
	mux.Handle("GET "+api.AdminMetrics, s.metrics.handler())
	return mux
}

func (s *Server) adminInvite(ctx context.Context, body []byte) (any, error) {
	var in api.AdminAccount
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	secret, expires, err := s.accounts.Invite(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return api.AdminInvitation{Account: in.Account, Invitation: secret, Expires: expires.Unix()}, nil
}

func (s *Server) adminSetPolicy(ctx context.Context, body []byte) (any, error) {
	// A Policy reads itself and passes over keys it does not know, as a device
	// must with a newer server's. Here a misspelt key would allow everything.
	var known struct {
		Clients  json.RawMessage `json:"clients"`
		Systems  json.RawMessage `json:"systems"`
		Protocol json.RawMessage `json:"protocol"`
	}
	var p policy.Policy
	if err := decode(body, &known); err != nil {
		return nil, err
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	if err := s.accounts.SetPolicy(ctx, p); err != nil {
		return nil, err
	}
	return api.AdminPolicyState{Policy: p}, nil
}

func (s *Server) adminAct(act func(context.Context, string) error) func(context.Context, []byte) (any, error) {
	return func(ctx context.Context, body []byte) (any, error) {
		var in api.AdminAccount
		if err := decode(body, &in); err != nil {
			return nil, err
		}
		return nil, act(ctx, in.Account)
	}
}

func (s *Server) adminExplain(ctx context.Context, body []byte) (any, error) {
	var in api.Explain
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	ask := explain.Ask{Incident: in.Incident}
	if in.Incident == "" {
		ref, ok := api.NormaliseReference(in.Reference)
		if !ok {
			return nil, malformed
		}
		ask.Reference = ref
	}
	report, account, err := s.explain.ForOperator(ctx, ask)
	return api.AdminExplained{Report: report, Account: account}, err
}

func (s *Server) adminActivity(ctx context.Context, body []byte) (any, error) {
	var in api.AdminAccount
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	a, err := s.accounts.Find(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return s.activityOf(ctx, a.ID, cause.Operator)
}

func (s *Server) adminAccounts(ctx context.Context) (any, error) {
	list, err := s.accounts.List(ctx)
	out := api.AdminAccountList{Accounts: []api.AdminAccountState{}}
	for _, l := range list {
		n := api.AdminAccountState{Account: l.Identifier, Created: l.Created.Unix(), Devices: l.Devices}
		if !l.Disabled.IsZero() {
			n.Disabled = l.Disabled.Unix()
		}
		if l.Strangers.Locked(s.gate.Now()) {
			n.Locked = l.Strangers.LockedUntil.Unix()
		}
		out.Accounts = append(out.Accounts, n)
	}
	return out, err
}
