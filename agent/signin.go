package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/opaque"
)

// ErrCodeForm: what was typed cannot be a code. Nothing was sent, and no try is lost.
var ErrCodeForm = errors.New("a code is six digits, such as 123456; nothing was sent")

// formerDir keeps the enrolment for another account that a sign-in replaced.
const formerDir = "former"

// SignIn proves the password. It returns an attempt, which is kept, when the
// server wants a code from an enrolled device; nil when the device is signed in.
func (a *Agent) SignIn(ctx context.Context, server, account, password, pass, name string) (*Attempt, error) {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := a.Home.Room(); err != nil {
		return nil, err
	}
	id, key, err := a.key()
	if err != nil {
		return nil, err
	}
	c := NewClient(server, key, a.Now)
	defer c.Close()
	var done api.SignInFinished
	if err := a.begin(server, account, name); err != nil {
		return nil, err
	}
	if err := a.prove(ctx, c, "sign-in", api.SignInStart{Account: account, Purpose: api.ForSignIn, Pass: pass, DeviceName: name, Client: a.Self()}, password, &done); err != nil {
		return nil, a.over(err)
	}
	switch {
	case done.SignedIn != nil:
		return nil, a.enrolled(c, id, key, name, *done.SignedIn)
	case done.Code != nil:
		t := Attempt{Server: server, Account: account, ID: done.Code.Attempt, Request: done.Code.Request, Name: name, Tries: done.Code.Tries, Expires: time.Unix(done.Code.Expires, 0)}
		return &t, errors.Join(a.Home.Save(AttemptFile, t), a.over(nil))
	}
	return nil, &UnreachableError{server, OtherServer, errors.New("neither a session nor a request for a code")}
}

// prove runs OPAQUE for a start message, which it completes.
func (a *Agent) prove(ctx context.Context, c *Client, what string, start api.SignInStart, password string, done *api.SignInFinished) error {
	prepared, err := PreparePassword(password)
	if err != nil {
		return err
	}
	login, ke1, err := opaque.StartLogin(prepared)
	if err != nil {
		return err
	}
	start.KE1 = ke1
	var started api.SignInStarted
	if err := a.call(ctx, c, start.Account, what, api.PathSignInStart, start, &started); err != nil {
		return err
	}
	stretch, err := stretchOf(c, started.Stretch)
	if err != nil {
		return err
	}
	rp, err := login.Stretched(started.KE2, stretch)
	if err != nil {
		return &UnreachableError{c.Server, OtherServer, err}
	}
	ke3, _, _, err := login.FinishWith(started.KE2, rp)
	switch {
	case errors.Is(err, opaque.ErrCredentials):
		var former bool
		if ke3, former = login.Former(started.KE2, started.Former, rp); !former {
			ke3 = opaque.DecoyKE3()
		}
	case err != nil:
		return &UnreachableError{c.Server, OtherServer, err}
	}
	return a.call(ctx, c, start.Account, what, api.PathSignInFinish, api.SignInFinish{State: started.State, KE3: ke3}, done)
}

// Waiting returns the sign-in that waits for a code, or ErrNoAttempt.
func (a *Agent) Waiting() (Attempt, error) {
	var t Attempt
	err := a.Home.Load(AttemptFile, &t)
	if missing(err) {
		return t, ErrNoAttempt
	}
	return t, err
}

// GiveCode finishes the sign-in that waits for a code. An empty code says that
// none came; the refusal explains why.
func (a *Agent) GiveCode(ctx context.Context, digits string) error {
	if digits != "" {
		c, err := code.Parse(digits)
		if err != nil {
			return ErrCodeForm
		}
		digits = string(c)
	}
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := a.Home.Room(); err != nil {
		return err
	}
	t, err := a.Waiting()
	if err != nil {
		return err
	}
	id, key, err := a.key()
	if err != nil {
		return err
	}
	c := NewClient(t.Server, key, a.Now)
	defer c.Close()
	var done api.SignedIn
	if err := a.begin(t.Server, t.Account, t.Name); err != nil {
		return err
	}
	if err := a.call(ctx, c, t.Account, "sign-in", api.PathSignInCode, api.SignInCode{Attempt: t.ID, Code: digits}, &done); err != nil {
		return a.over(err)
	}
	return a.enrolled(c, id, key, t.Name, done)
}

// ChangePassword proves the present password afresh and sets another. It
// returns how many other sessions ended.
func (a *Agent) ChangePassword(ctx context.Context, present, next string) (ended int, err error) {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	id, session, c, err := a.session()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := CheckNewPassword(next, id.Account); err != nil {
		return 0, err
	}
	prepared, err := PreparePassword(next)
	if err != nil {
		return 0, err
	}
	hello, err := c.Hello(ctx)
	if err != nil {
		return 0, err
	}
	const what = "password change"
	var proved api.SignInFinished
	if err := a.prove(ctx, c, what, api.SignInStart{Account: id.Account, Purpose: api.ForPassword, DeviceName: id.Name, Client: a.Self()}, present, &proved); err != nil {
		return 0, err
	}
	registration, request, err := opaque.StartRegistration(prepared)
	if err != nil {
		return 0, err
	}
	var started api.SignUpStarted
	if err := a.call(ctx, c, id.Account, what, api.PathPasswordStart, api.PasswordStart{Grant: proved.Grant, Request: request}, &started); err != nil {
		return 0, err
	}
	record, err := finishRegistration(c, registration, started.Response, hello.Stretch)
	if err != nil {
		return 0, err
	}
	var changed api.PasswordChanged
	err = a.call(ctx, c, id.Account, what, api.PathPasswordFinish, api.PasswordFinish{Grant: proved.Grant, Session: session.ID, Record: record, Stretch: hello.Stretch}, &changed)
	if err == nil {
		a.forgetTokens() // as in Change
	}
	return changed.SessionsEnded, err
}

// setAside keeps the enrolment that another one is about to replace.
func (a *Agent) setAside() error {
	to := filepath.Join(formerDir, strconv.FormatInt(a.Now().UnixMilli(), 10))
	if err := os.MkdirAll(a.Home.Path(to), 0o700); err != nil {
		return err
	}
	for _, f := range []string{IdentityFile, SessionFile} {
		b, err := os.ReadFile(a.Home.Path(f))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := a.Home.WriteWhole(filepath.Join(to, f), b); err != nil {
			return err
		}
	}
	return nil
}
