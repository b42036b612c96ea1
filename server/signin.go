package server

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

func (s *Server) hello(w http.ResponseWriter, r *http.Request) {
	s.answer(w, api.Hello{
		Protocol: api.Protocol, URL: s.called(r), Time: s.gate.Now().UnixMilli(), Policy: s.gate.Policy(), Invited: !s.accounts.Open,
		Stretch: s.stretch,
	}, nil)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	// The age first: it is known at once, where a store that is lost may take
	// seconds to be given up.
	if s.tail.Age() > signal.Fresh {
		s.answer(w, nil, fmt.Errorf("%w: %w", store.ErrUnavailable, signal.ErrUnknown))
		return
	}
	if err := s.store.Ready(r.Context()); err != nil {
		s.answer(w, nil, err)
		return
	}
	w.Write([]byte("ready\n"))
}

func (s *Server) signUpStart(ctx context.Context, c call) (any, error) {
	var in api.SignUpStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	response, err := s.accounts.StartSignUp(ctx, in.Account, in.Invitation, in.Request)
	if err != nil {
		return nil, err
	}
	return api.SignUpStarted{Response: response}, nil
}

func (s *Server) signUpFinish(ctx context.Context, c call) (any, error) {
	var in api.SignUpFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	stretch, err := keepStretch(in.Stretch)
	if err != nil {
		return nil, err
	}
	done, refusal, err := s.accounts.SignUp(ctx, in.Account, in.Invitation, in.Record, stretch, with(c.caller, in.DeviceName, in.Client))
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return s.signedIn(done)
}

// keepStretch checks the parameters a record was made with, and writes them as
// they are kept with it.
func keepStretch(in api.Stretch) (string, error) {
	if err := (opaque.Stretch{Memory: in.Memory, Time: in.Time, Threads: in.Threads}).Validate(); err != nil {
		return "", malformed
	}
	b, err := json.Marshal(in)
	return string(b), err
}

// announced is what clients are told to make new records with.
func announced(d opaque.Stretch) api.Stretch {
	if d == (opaque.Stretch{}) {
		d = opaque.DefaultStretch
	}
	return api.Stretch{Memory: d.Memory, Time: d.Time, Threads: d.Threads}
}

// readStretch reads what keepStretch wrote; ghosts have the usual parameters.
func (s *Server) readStretch(kept string) api.Stretch {
	var out api.Stretch
	if json.Unmarshal([]byte(kept), &out) != nil || out == (api.Stretch{}) {
		return s.stretch
	}
	return out
}

func (s *Server) signInStart(ctx context.Context, c call) (any, error) {
	var in api.SignInStart
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	leave, err := s.enter(ctx, in.Account, c.caller.Key)
	if err != nil {
		return nil, err
	}
	defer leave()
	started, refusal, err := s.signIn.Start(ctx, signin.Start{
		Identifier: in.Account, Purpose: in.Purpose, KE1: in.KE1, Pass: in.Pass, Caller: with(c.caller, in.DeviceName, in.Client),
	})
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return api.SignInStarted{KE2: started.KE2, Former: started.Former, Stretch: s.readStretch(started.Stretch), State: started.State}, nil
}

func (s *Server) signInFinish(ctx context.Context, c call) (any, error) {
	var in api.SignInFinish
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	done, refusal, err := s.signIn.Finish(ctx, in.State, in.KE3, c.caller)
	switch {
	case err != nil:
		return nil, err
	case refusal != nil:
		return nil, refusal
	case done.SignedIn != nil:
		out, err := s.signedIn(*done.SignedIn)
		return api.SignInFinished{SignedIn: out}, err
	case done.Request != nil:
		return api.SignInFinished{Code: &api.NeedCode{
			Attempt: hex.EncodeToString(done.Request.ID[:]), Request: account.ShortID(done.Request.ID),
			Expires: done.Request.Expires.Unix(), Digits: 6, Tries: signin.CodeTries,
		}}, nil
	}
	return api.SignInFinished{Grant: done.Grant}, nil
}

func (s *Server) signInCode(ctx context.Context, c call) (any, error) {
	var in api.SignInCode
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	attempt, err := id(in.Attempt)
	if err != nil {
		return nil, err
	}
	done, refusal, err := s.signIn.Code(ctx, attempt, in.Code, c.caller)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return nil, refusal
	}
	return s.signedIn(*done)
}

func (s *Server) signedIn(in signin.SignedIn) (*api.SignedIn, error) {
	token, life, err := s.sessions.Issue(actor(in), "")
	if err != nil {
		return nil, err
	}
	return &api.SignedIn{
		Account: in.Account.Identifier, Session: hex.EncodeToString(in.Session.ID[:]), Device: hex.EncodeToString(in.Device.ID[:]),
		CodeSecret:  s.accounts.Keys.CodeSecret(in.Account.ID, in.Device.ID, in.Device.Enrolled),
		AccessToken: token, ExpiresIn: int(life / time.Second),
	}, nil
}

// id reads an ID of the wire.
func id(text string) (store.ID, error) {
	var out store.ID
	if len(text) != 2*len(out) {
		return out, malformed
	}
	if _, err := hex.Decode(out[:], []byte(text)); err != nil {
		return out, malformed
	}
	return out, nil
}

func (s *Server) explanation(ctx context.Context, c call) (any, error) {
	var in api.Explain
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	return s.explainTo(ctx, in, c.caller)
}

func (s *Server) publicKeys(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	s.answer(w, s.sessions.PublicKeys(), nil)
}

var _ error = (*gate.Refusal)(nil)
