package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/device"
)

// session returns what calls on a session need. The client is the caller's to close.
func (a *Agent) session() (Identity, Session, *Client, error) {
	id, err := a.Identity()
	if err != nil {
		return id, Session{}, nil, err
	}
	s, err := a.Home.Session()
	if err != nil {
		return id, s, nil, err
	}
	if s.ID == "" {
		return id, s, nil, ErrNotSignedIn
	}
	key, err := device.ParseKey([]byte(id.Key))
	if err != nil {
		return id, s, nil, &StateError{IdentityFile, Malformed}
	}
	return id, s, NewClient(id.Server, key, a.Now), nil
}

// On makes a call on this device's session.
func (a *Agent) On(ctx context.Context, what, path string, out any) error {
	if err := a.Settle(ctx); err != nil {
		return err
	}
	return a.about(ctx, what, path, "", out)
}

// OnThing makes a call on this device's session about one thing.
func (a *Agent) OnThing(ctx context.Context, what, path, thing string, out any) error {
	if err := a.Settle(ctx); err != nil {
		return err
	}
	return a.about(ctx, what, path, thing, out)
}

// Change makes a call on this device's session about one thing, by which the
// account changes: tokens of before are not taken any more, so they are let go.
func (a *Agent) Change(ctx context.Context, what, path, thing string, out any) error {
	if err := a.OnThing(ctx, what, path, thing, out); err != nil {
		return err
	}
	if unlock, err := a.Home.Lock(ctx); err == nil {
		defer unlock()
		a.forgetTokens()
	}
	return nil
}

// forgetTokens lets go of the tokens in hand. The lock is held. What was asked
// for is done by then, whatever becomes of this: where it fails, a token is
// refused until another is asked for.
func (a *Agent) forgetTokens() {
	if s, err := a.Home.Session(); err == nil && len(s.Tokens) > 0 {
		s.Tokens = nil
		_ = a.Home.Save(SessionFile, s)
	}
}

func (a *Agent) about(ctx context.Context, what, path, thing string, out any) error {
	id, s, c, err := a.session()
	if err != nil {
		return err
	}
	defer c.Close()
	var in any = api.Signed{Session: s.ID}
	if thing != "" {
		in = api.SignedID{Session: s.ID, ID: thing}
	}
	return a.call(ctx, c, id.Account, what, path, in, out)
}

// TokenLife is how long an access token lives.
const TokenLife = 5 * time.Minute

// Token returns an access token that is good for minValid at least, from what
// is in hand or from the server. Many callers at once cause one refresh.
func (a *Agent) Token(ctx context.Context, audience string, minValid time.Duration) (Token, error) {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		if t, ok := a.InHand(audience, minValid); ok && ctx.Err() == nil {
			return t, nil // nothing need be written for it
		}
		return Token{}, err
	}
	defer unlock()
	if err := a.settle(ctx); err != nil {
		return Token{}, err
	}
	id, s, c, err := a.session()
	if err != nil {
		return Token{}, err
	}
	defer c.Close()
	if t, ok := a.good(s, audience, minValid); ok {
		return t, nil
	}
	var got api.Token
	if err := a.call(ctx, c, id.Account, "token", api.PathToken, api.TokenRequest{Session: s.ID, Audience: audience}, &got); err != nil {
		return Token{}, err
	}
	fresh := map[string]Token{audience: a.token(got.AccessToken, got.ExpiresIn)}
	for k, t := range s.Tokens {
		if k != audience && t.Expires.After(a.Now()) {
			fresh[k] = t
		}
	}
	s.Tokens = fresh
	return fresh[audience], a.Home.Save(SessionFile, s)
}

// good returns a session's token where it is good for long enough.
func (a *Agent) good(s Session, audience string, minValid time.Duration) (Token, bool) {
	t, ok := s.Tokens[audience]
	// One that seems to live longer than any was had before the clock was set
	// back, and may have ended.
	left := t.Expires.Sub(a.Now())
	return t, ok && left >= minValid && left <= TokenLife
}

// InHand returns a token that is good for minValid from what is kept, without
// waiting for whoever holds the lock: a file is whole at any moment.
func (a *Agent) InHand(audience string, minValid time.Duration) (Token, bool) {
	s, err := a.Home.Session()
	if err != nil || !missing(a.Home.Load(PendingFile, new(Pending))) {
		return Token{}, false
	}
	return a.good(s, audience, minValid)
}

// Forsake forgets the token for an audience, which that one did not take.
func (a *Agent) Forsake(ctx context.Context, audience string) error {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := a.Home.Session()
	if err != nil {
		return err
	}
	if _, ok := s.Tokens[audience]; !ok {
		return nil
	}
	delete(s.Tokens, audience)
	return a.Home.Save(SessionFile, s)
}

// Alive asks the server whether the session lives, and keeps nothing of the
// answer: looking changes no file.
func (a *Agent) Alive(ctx context.Context) error {
	id, s, c, err := a.session()
	if err != nil {
		return err
	}
	defer c.Close()
	var got api.Token
	return a.call(ctx, c, id.Account, "session check", api.PathToken, api.TokenRequest{Session: s.ID}, &got)
}

// Restore asks for this device's living session by its key alone, for a
// session file that was lost, and returns it as a file's content.
func (a *Agent) Restore(ctx context.Context) ([]byte, error) {
	id, err := a.Identity()
	if err != nil {
		return nil, err
	}
	key, err := device.ParseKey([]byte(id.Key))
	if err != nil {
		return nil, &StateError{IdentityFile, Malformed}
	}
	c := NewClient(id.Server, key, a.Now)
	defer c.Close()
	var done api.SignedIn
	if err := a.call(ctx, c, id.Account, "session", api.PathSession, api.SessionRequest{Account: id.Account, Client: a.Self()}, &done); err != nil {
		return nil, err
	}
	return Content(Session{ID: done.Session, Tokens: map[string]Token{"": a.token(done.AccessToken, done.ExpiresIn)}})
}

// SignOut ends the session, here and at the server. A session that the server
// ended before is gone here all the same; ended says so. Where the session cannot
// be taken away here it returns a WriteError, and nothing has ended.
func (a *Agent) SignOut(ctx context.Context) (ended bool, err error) {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := a.Home.mayWrite(""); err != nil {
		return false, err
	}
	if err := a.settle(ctx); err != nil {
		return false, err
	}
	err = a.about(ctx, "sign-out", api.PathSignOut, "", nil)
	if r := new(RefusedError); errors.As(err, &r) {
		ended, err = true, nil
	}
	if err != nil {
		return ended, err
	}
	return ended, a.Home.Remove(SessionFile)
}

// Code makes a code by hand, from what this device knows, and says how long it
// is shown.
func (a *Agent) Code() (code.Code, time.Duration, error) {
	id, err := a.Identity()
	if err != nil {
		return "", 0, err
	}
	now := a.Now()
	left := code.Period - time.Duration(now.UnixNano())%code.Period
	return code.Offline(id.CodeSecret, now), left, nil
}

// SessionIn reads the content of a session file; of one that is damaged it is the
// zero Session.
func SessionIn(b []byte) Session {
	var s Session
	if decode(b, &s) != "" {
		return Session{}
	}
	return s
}

// Valid reports whether bytes are a whole file of the given name.
func Valid(name string, b []byte) bool {
	var v any
	switch name {
	case IdentityFile, IdentityCopy:
		v = new(Identity)
	case SessionFile:
		v = new(Session)
	case AttemptFile:
		v = new(Attempt)
	case PendingFile:
		v = new(Pending)
	default:
		v = new(json.RawMessage)
	}
	return decode(b, v) == ""
}
