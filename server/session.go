package server

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/explain"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

func actor(in signin.SignedIn) session.Actor {
	return session.Actor{Account: in.Account, Device: in.Device, Session: in.Session}
}

// authorise lets a call on a session pass the gate.
func (s *Server) authorise(ctx context.Context, c call, sessionID, what string) (session.Actor, error) {
	sid, err := id(sessionID)
	if err != nil {
		return session.Actor{}, err
	}
	a, refusal, err := s.sessions.Authorise(ctx, sid, c.caller, what)
	if err != nil {
		return a, err
	}
	if refusal != nil {
		return a, refusal
	}
	return a, nil
}

// on decodes a call whose body is only a session, and authorises it.
func (s *Server) on(ctx context.Context, c call, what string) (session.Actor, gate.Caller, error) {
	var in api.Signed
	if err := decode(c.body, &in); err != nil {
		return session.Actor{}, gate.Caller{}, err
	}
	return s.onSession(ctx, c, in.Session, what)
}

func (s *Server) onSession(ctx context.Context, c call, sessionID, what string) (session.Actor, gate.Caller, error) {
	a, err := s.authorise(ctx, c, sessionID, what)
	by := c.caller
	by.Name, by.Shown = a.Device.Name, cause.CleanName(a.Device.System)
	return a, by, err
}

func (s *Server) token(ctx context.Context, c call) (any, error) {
	var in api.TokenRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	if len(in.Audience) > 256 {
		return nil, malformed
	}
	sid, err := id(in.Session)
	if err != nil {
		return nil, err
	}
	a, refusal, err := s.sessions.Refresh(ctx, sid, c.caller)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	token, life, err := s.sessions.Issue(a, in.Audience)
	return api.Token{AccessToken: token, TokenType: "DPoP", ExpiresIn: int(life / time.Second)}, err
}

func (s *Server) whoAmI(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "DPoP") && !strings.EqualFold(scheme, "Bearer") {
		token = ""
	}
	claims, err := s.sessions.Check(token)
	if err != nil {
		s.fail(w, s.tokenProblem(err))
		return
	}
	s.answer(w, api.WhoAmI{Account: claims.Account, Subject: claims.Subject, Session: claims.Session, Device: claims.Device, Expires: claims.Expires}, nil)
}

func (s *Server) restore(ctx context.Context, c call) (any, error) {
	var in api.SessionRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	a, err := s.sessions.Restore(ctx, s.accounts.Keys.Lookup(identifier.Normalise(in.Account)), with(c.caller, "", in.Client))
	if err != nil {
		return nil, err
	}
	return s.signedIn(signin.SignedIn{Account: a.Account, Device: a.Device, Session: a.Session})
}

func (s *Server) signOut(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "sign-out")
	if err != nil {
		return nil, err
	}
	return nil, s.sessions.End(ctx, a)
}

func (s *Server) signOutEverywhere(ctx context.Context, c call) (any, error) {
	a, by, err := s.on(ctx, c, "sign-out")
	if err != nil {
		return nil, err
	}
	ended, err := s.accounts.SignOutEverywhere(ctx, a, by)
	if err != nil {
		return nil, err
	}
	return api.SignedOut{SessionsEnded: ended}, nil
}

func (s *Server) requests(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "requests")
	if err != nil {
		return nil, err
	}
	list, err := s.accounts.FetchRequests(ctx, a)
	return shown(list), err
}

func shown(list []store.Request) api.Requests {
	out := api.Requests{Requests: []api.Request{}}
	for _, r := range list {
		out.Requests = append(out.Requests, request(r))
	}
	return out
}

func request(r store.Request) api.Request {
	status := "waiting"
	switch {
	case !r.Denied.IsZero():
		status = "denied"
	case !r.Done.IsZero():
		status = "done"
	case !r.Allowed.IsZero():
		status = "allowed"
	}
	return api.Request{
		ID: account.ShortID(r.ID), Name: r.Name, System: r.System, Client: r.Client, Address: r.Address,
		Opened: r.Opened.Unix(), Expires: r.Expires.Unix(), Status: status,
	}
}

func (s *Server) allow(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "allow")
	if err != nil {
		return nil, err
	}
	r, code, left, err := s.accounts.Allow(ctx, a, strings.ToUpper(what), by)
	if err != nil {
		return nil, err
	}
	return api.Allowed{Code: string(code), Remaining: int((left + time.Second - 1) / time.Second), Request: request(r)}, nil
}

// onThing decodes a call on a session about one thing, and authorises it.
func (s *Server) onThing(ctx context.Context, c call, what string) (session.Actor, gate.Caller, string, error) {
	var in api.SignedID
	if err := decode(c.body, &in); err != nil {
		return session.Actor{}, gate.Caller{}, "", err
	}
	a, by, err := s.onSession(ctx, c, in.Session, what)
	return a, by, strings.TrimSpace(in.ID), err
}

func (s *Server) deny(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "deny")
	if err != nil {
		return nil, err
	}
	r, err := s.accounts.Deny(ctx, a, strings.ToUpper(what), by)
	if err != nil {
		return nil, err
	}
	return request(r), nil
}

func (s *Server) pass(ctx context.Context, c call) (any, error) {
	a, by, err := s.on(ctx, c, "pass")
	if err != nil {
		return nil, err
	}
	pass, expires, err := s.accounts.MakePass(ctx, a, by)
	return api.Pass{Pass: pass, Expires: expires.Unix()}, err
}

func (s *Server) devices(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "devices")
	if err != nil {
		return nil, err
	}
	living, err := s.sessions.Living(ctx, a.Account.ID)
	out := api.Devices{Devices: []api.Device{}}
	for _, d := range a.Devices {
		n := api.Device{
			ID: hex.EncodeToString(d.ID[:4]), Name: d.Name, System: d.System, Enrolled: d.Enrolled.Unix(),
			LastSeen: d.Hot.LastSeen.Unix(), This: d.ID == a.Device.ID,
		}
		if used, ok := living[d.ID]; ok {
			n.SignedIn = true
			n.LastSeen = max(n.LastSeen, used.Unix())
		}
		if !d.Removed.IsZero() {
			n.Removed = d.Removed.Unix()
		}
		out.Devices = append(out.Devices, n)
	}
	return out, err
}

func (s *Server) removeDevice(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "remove device")
	if err != nil {
		return nil, err
	}
	for _, d := range a.Devices {
		if d.Removed.IsZero() && hex.EncodeToString(d.ID[:4]) == strings.ToLower(what) {
			return nil, s.accounts.RemoveDevice(ctx, a, d.ID, by)
		}
	}
	return nil, account.ErrNoDevice
}

func (s *Server) endDevice(ctx context.Context, c call) (any, error) {
	a, by, what, err := s.onThing(ctx, c, "end device")
	if err != nil {
		return nil, err
	}
	d, err := called(a.Devices, what)
	if err != nil {
		return nil, err
	}
	ended, err := s.accounts.EndDevice(ctx, a, d.ID, by)
	return api.DeviceEnded{Device: d.Name, SessionsEnded: ended}, err
}

// called finds the one enrolled device with this ID, or else with this name.
func called(devices []store.Device, what string) (store.Device, error) {
	var found []store.Device
	for _, d := range devices {
		if !d.Removed.IsZero() {
			continue
		}
		if hex.EncodeToString(d.ID[:4]) == strings.ToLower(what) {
			return d, nil
		}
		if d.Name == what {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 0:
		return store.Device{}, account.ErrNoDevice
	case 1:
		return found[0], nil
	}
	return store.Device{}, account.ErrSameName
}

func (s *Server) activity(ctx context.Context, c call) (any, error) {
	a, _, err := s.on(ctx, c, "activity")
	if err != nil {
		return nil, err
	}
	return s.activityOf(ctx, a.Account.ID, cause.Owner)
}

func (s *Server) activityOf(ctx context.Context, of store.ID, to cause.Audience) (any, error) {
	lines, err := s.explain.Activity(ctx, of, to)
	out := api.Activities{Activity: []api.Activity{}}
	for _, l := range lines {
		n := api.Activity{
			At: l.At.Unix(), What: l.What, Outcome: l.Outcome, Cause: l.Cause, Device: l.Device, Client: l.Client, Address: l.Address,
		}
		if len(l.Facts) > 0 || l.Outcome == incident.Refused {
			n.Reference = l.Reference
		}
		if !l.Recognised.IsZero() {
			n.Mine = l.Recognised.Unix()
		}
		if l.About != "" {
			n.What += " of " + l.About + " by " + l.Audience
		}
		out.Activity = append(out.Activity, n)
	}
	return out, err
}

func (s *Server) mine(ctx context.Context, c call) (any, error) {
	var in api.SignedReference
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	ref, err := reference(in.Reference)
	if err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "activity")
	if err != nil {
		return nil, err
	}
	err = s.explain.Mine(ctx, a, ref, by)
	s.poke(a.Account.ID)
	return nil, err
}

func (s *Server) passwordStart(ctx context.Context, c call) (any, error) {
	var in api.PasswordStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	response, err := s.accounts.StartPassword(ctx, in.Grant, in.Request, c.caller)
	return api.SignUpStarted{Response: response}, err
}

func (s *Server) passwordFinish(ctx context.Context, c call) (any, error) {
	var in api.PasswordFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	stretch, err := keepStretch(in.Stretch)
	if err != nil {
		return nil, err
	}
	a, by, err := s.onSession(ctx, c, in.Session, "password")
	if err != nil {
		return nil, err
	}
	ended, err := s.accounts.ChangePassword(ctx, a, in.Grant, in.Record, stretch, by)
	if err != nil {
		return nil, err
	}
	return api.PasswordChanged{SessionsEnded: ended}, nil
}

func (s *Server) explainTo(ctx context.Context, in api.Explain, by gate.Caller) (cause.Report, error) {
	ask := explain.Ask{Incident: in.Incident, Evidence: in.Evidence, Caller: by}
	if in.Incident == "" {
		ref, ok := api.NormaliseReference(in.Reference)
		if !ok {
			return cause.Report{}, problem(http.StatusBadRequest, api.BadRequest, api.ReasonReference, "This is neither an incident nor a reference", "A reference has the form 4K7Q-9FXM.")
		}
		ask.Reference = ref
	}
	if in.Session != "" {
		var err error
		if ask.Session, err = id(in.Session); err != nil {
			return cause.Report{}, err
		}
	}
	return s.explain.Explain(ctx, ask)
}
