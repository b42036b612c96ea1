package resident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// Version is the version of the protocol on the socket.
const Version = 1

// What can be asked.
const (
	DoToken    = "token"
	DoRequests = "requests"
	DoAllow    = "allow"
	DoDeny     = "deny"
	DoStatus   = "status"
	DoStop     = "stop"
)

// Ask is one line from a program to the agent.
type Ask struct {
	Version  int    `json:"v"`
	Do       string `json:"do"`
	Audience string `json:"audience,omitempty"`  // of token; empty: the account server
	MinValid int    `json:"min_valid,omitempty"` // of token: seconds it must be good for
	Method   string `json:"method,omitempty"`    // of token: a proof beside it, for this request
	URL      string `json:"url,omitempty"`       // of token: the same
	ID       string `json:"id,omitempty"`        // of allow and deny: the request
}

// Answer is one line back. It has what was asked for, or Trouble.
type Answer struct {
	Version  int           `json:"v"`
	Token    *Token        `json:"token,omitempty"`
	Proof    string        `json:"proof,omitempty"` // of token, where a request was named
	Requests *api.Requests `json:"requests,omitempty"`
	Allowed  *api.Allowed  `json:"allowed,omitempty"`
	Denied   *api.Request  `json:"denied,omitempty"`
	Status   *Status       `json:"status,omitempty"`
	Stopping bool          `json:"stopping,omitempty"`
	Trouble  *Trouble      `json:"trouble,omitempty"`
}

// Token is an access token.
type Token struct {
	Value   string    `json:"access_token"`
	Type    string    `json:"token_type"`
	Expires time.Time `json:"expires"`
}

// Status is what the agent knows of itself.
type Status struct {
	PID      int       `json:"pid"`
	Version  string    `json:"version"`
	Since    time.Time `json:"since"`
	Account  string    `json:"account,omitempty"`
	Server   string    `json:"server,omitempty"`
	Expires  time.Time `json:"expires,omitzero"`           // of the token in hand
	Next     time.Time `json:"next,omitzero"`              // when it refreshes
	Requests string    `json:"requests"`                   // how they arrive: "stream", "polling", "not"
	Unheard  *Trouble  `json:"requests_failing,omitempty"` // why they do not
	Failing  *Trouble  `json:"failing,omitempty"`          // why tokens are not refreshed

	SignedOut bool `json:"signed_out,omitempty"` // there is no session: no token either
}

// Why an agent could not do what it was asked.
const (
	Refused     = "refused"          // by the account server: 4001; there is an incident
	Unreachable = "unreachable"      // the account server is
	Problem     = "problem"          // the account server said something else; see code
	NotEnrolled = "not-enrolled"     // for no account
	NotSignedIn = "not-signed-in"    // there is no session
	KeyStore    = "keystore-locked"  // the key store does not give out the key
	State       = "state-damaged"    // a file of the home is
	Unwritable  = "state-unwritable" // the home takes no file: no room, no right
	Form        = "bad-request"      // the line was not understood
	Other       = "failed"
)

// Trouble is a typed reason. Which fields it has goes by the reason.
type Trouble struct {
	Reason    string `json:"reason"`
	Text      string `json:"text"`
	Code      int    `json:"code,omitempty"`     // refused, problem
	Reference string `json:"incident,omitempty"` // refused
	Cause     string `json:"cause,omitempty"`    // refused: what anyone may know
	Title     string `json:"title,omitempty"`    // refused, problem
	What      string `json:"what,omitempty"`     // refused: what was tried
	Server    string `json:"server,omitempty"`   // unreachable
	Why       string `json:"why,omitempty"`      // unreachable, keystore-locked, state-damaged, state-unwritable
	File      string `json:"file,omitempty"`     // state-damaged, state-unwritable
	Detail    string `json:"detail,omitempty"`   // problem
}

// troubleOf writes an error down.
func troubleOf(err error) *Trouble {
	var (
		refused *agent.RefusedError
		problem *api.Problem
		gone    *agent.UnreachableError
		keys    *agent.KeyStoreError
		state   *agent.StateError
		unkept  *agent.WriteError
		form    formError
		target  *agent.TargetError
	)
	t := &Trouble{Reason: Other, Text: err.Error()}
	switch {
	case errors.As(err, &refused):
		t.Reason, t.Text, t.Code, t.Reference, t.Cause, t.Title, t.What = Refused, refused.Error(), api.Failed, refused.Reference, refused.Public, refused.Title, refused.What
	case errors.As(err, &problem):
		t.Reason, t.Code, t.Title, t.Detail = Problem, problem.Code, problem.Title, problem.Detail
	case errors.As(err, &gone):
		t.Reason, t.Server, t.Why = Unreachable, gone.Server, gone.Why
	case errors.As(err, &keys):
		t.Reason, t.Why = KeyStore, keys.Why
	case errors.As(err, &state):
		t.Reason, t.File, t.Why = State, state.File, string(state.Problem)
	case errors.As(err, &unkept):
		t.Reason, t.Text, t.File, t.Why = Unwritable, unkept.Error(), unkept.Path, unkept.Why()
	case errors.As(err, &form), errors.As(err, &target):
		t.Reason = Form
	case errors.Is(err, agent.ErrNotEnrolled):
		t.Reason = NotEnrolled
	case errors.Is(err, agent.ErrNotSignedIn):
		t.Reason = NotSignedIn
	case errors.Is(err, context.Canceled):
		t.Text = "the agent is stopping"
	}
	return t
}

// Err is the error as the agent had it, so that who asks the agent is told what
// they would have been told without one.
func (t *Trouble) Err() error {
	switch t.Reason {
	case Refused:
		return &agent.RefusedError{What: t.What, Reference: t.Reference, Public: t.Cause, Title: t.Title}
	case Problem:
		return &api.Problem{Title: t.Title, Detail: t.Detail, Code: t.Code}
	case Unreachable:
		return &agent.UnreachableError{Server: t.Server, Why: t.Why}
	case KeyStore:
		return &agent.KeyStoreError{Why: t.Why}
	case State:
		return &agent.StateError{File: t.File, Problem: agent.Problem(t.Why)}
	case Unwritable:
		return &agent.WriteError{Path: t.File, Err: errors.New(t.Why)}
	case NotEnrolled:
		return agent.ErrNotEnrolled
	case NotSignedIn:
		return agent.ErrNotSignedIn
	}
	return errors.New(t.Text)
}

// formError says that a line was not understood.
type formError string

func (f formError) Error() string { return "the agent does not understand: " + string(f) }

// check holds an ask to the protocol's form.
func (a Ask) check() error {
	switch a.Do {
	case DoToken, DoRequests, DoAllow, DoDeny, DoStatus, DoStop:
	default:
		return formError(fmt.Sprintf("%.20q", a.Do))
	}
	switch {
	case a.Version != Version:
		return formError(fmt.Sprintf("version %d; this agent speaks %d", a.Version, Version))
	case a.MinValid < 0 || a.MinValid > int(agent.TokenLife/time.Second):
		return formError(fmt.Sprintf("min_valid %d", a.MinValid))
	case a.proves() && (a.Do != DoToken || a.Audience == ""):
		return formError("method and url: they go with a token for a service")
	case (a.Do == DoAllow || a.Do == DoDeny) && a.ID == "":
		return formError("no id")
	}
	if a.proves() {
		_, err := agent.Target(a.Method, a.URL)
		return err
	}
	return nil
}

// proves reports whether a proof is asked for.
func (a Ask) proves() bool { return a.Method != "" || a.URL != "" }
