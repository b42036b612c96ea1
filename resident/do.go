package resident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// Through lets the agent do it where one runs, and does it here otherwise. With
// an agent nobody is asked to open a key store: the agent has the key in hand.
func Through(ctx context.Context, a *agent.Agent, ask Ask) (Answer, error) {
	got, err := Call(ctx, a.Home, ask)
	if errors.Is(err, ErrNoAgent) {
		return Do(ctx, a, ask)
	}
	if err == nil && !got.answers(ask) {
		err = fmt.Errorf("the agent's answer to %q has none in it", ask.Do)
	}
	return got, err
}

// Do does for a program what its device can: give a token, show who asks to
// sign in, allow and deny. It returns the errors of package agent.
func Do(ctx context.Context, a *agent.Agent, ask Ask) (Answer, error) {
	switch ask.Do {
	case DoToken:
		t, err := a.Token(ctx, ask.Audience, ask.valid())
		if err != nil {
			return Answer{}, err
		}
		return given(a, ask, t)
	case DoRequests:
		var out api.Requests
		err := a.On(ctx, "requests", api.PathRequests, &out)
		return Answer{Requests: &out}, err
	case DoAllow:
		var out api.Allowed
		err := a.OnThing(ctx, "allow", api.PathAllow, ask.ID, &out)
		return Answer{Allowed: &out}, err
	case DoDeny:
		var out api.Request
		err := a.OnThing(ctx, "deny", api.PathDeny, ask.ID, &out)
		return Answer{Denied: &out}, err
	}
	return Answer{}, formError(fmt.Sprintf("%.20q", ask.Do))
}

// given is a token as an answer has it, with the proof that was asked for.
func given(a *agent.Agent, ask Ask, t agent.Token) (out Answer, err error) {
	out.Token = &Token{t.Value, "DPoP", t.Expires}
	if ask.proves() {
		out.Proof, err = a.Prove(t.Value, ask.Method, ask.URL)
	}
	return out, err
}

// valid is how long a token must be good for.
func (a Ask) valid() time.Duration { return time.Duration(a.MinValid) * time.Second }

// answers reports whether there is in an answer what was asked for.
func (a Answer) answers(ask Ask) bool {
	return map[string]bool{
		DoToken: a.Token != nil && (a.Proof != "" || !ask.proves()), DoRequests: a.Requests != nil, DoAllow: a.Allowed != nil, DoDeny: a.Denied != nil,
		DoStatus: a.Status != nil, DoStop: a.Stopping,
	}[ask.Do]
}
