package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
)

var (
	// errNothing: the server said that it did nothing.
	errNothing = errors.New("the service could not work")
	// errWrong: an answer that must never come.
	errWrong = errors.New("WRONG")
)

// secret is a password as a client has it once it is stretched. It is drawn
// instead of worked out: Argon2id's outcome is as random, and stretching is
// not what is tortured here.
type secret []byte

func newSecret() secret {
	s := make(secret, 64)
	rand.Read(s)
	return s
}

// stretch is what the records say they were made with.
var stretch = api.Stretch{Memory: 64 << 10, Time: 3, Threads: 4}

var self = api.Client{Name: "readmit", Version: "0.1.0", System: "linux", SystemVersion: "6.1", Protocol: api.Protocol}

// person is an account with two devices, and what was acknowledged of it. Where
// an answer did not come, both outcomes are right, and maybe says so.
type person struct {
	crowd *crowd
	id    string

	exists, maybeExists bool
	first               device.Key
	in                  api.SignedIn // of the first device

	password, maybePassword secret
	former                  secret // before the last change

	second            device.Key
	enrolled          api.SignedIn // of the second device; zero before
	ended, maybeEnded bool         // its session
	guesses           int
}

// password is what everybody types; see secret for what makes them differ.
var password = []byte("four silver anchors")

// live goes through what a person does, until something is not answered.
func (p *person) live(ctx context.Context) error {
	for _, step := range []func(context.Context) error{p.signUp, p.enrol, p.guess, p.guess, p.guess, p.change, p.signOutSecond} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *person) signUp(ctx context.Context) error {
	var err error
	if p.first, err = device.GenerateKey(); err != nil {
		return err
	}
	p.password = newSecret()
	r, request, err := opaque.StartRegistration(password)
	if err != nil {
		return err
	}
	var started api.SignUpStarted
	if err := p.crowd.call(ctx, p.first, api.PathSignUpStart, api.SignUpStart{Account: p.id, Request: request, Client: self}, &started); err != nil {
		return unrefused(err)
	}
	record, _, err := r.FinishWith(started.Response, p.password)
	if err != nil {
		return err
	}
	p.maybeExists = true
	err = p.crowd.call(ctx, p.first, api.PathSignUpFinish, api.SignUpFinish{Account: p.id, Record: record, Stretch: stretch, DeviceName: "first", Client: self}, &p.in)
	if err != nil {
		return unrefused(err)
	}
	p.exists = true
	p.crowd.signUps.Add(1)
	return nil
}

// unrefused turns a refusal of what is right into errWrong.
func unrefused(err error) error {
	if refused(err) {
		return fmt.Errorf("%w: refused", errWrong)
	}
	return err
}

func refused(err error) bool {
	p := new(api.Problem)
	return errors.As(err, &p) && p.Code == api.Failed
}

// signIn proves a secret with a key.
func (p *person) signIn(ctx context.Context, key device.Key, s secret, purpose string, done *api.SignInFinished) error {
	l, ke1, err := opaque.StartLogin(password)
	if err != nil {
		return err
	}
	var started api.SignInStarted
	if err := p.crowd.call(ctx, key, api.PathSignInStart, api.SignInStart{Account: p.id, Purpose: purpose, KE1: ke1, DeviceName: "second", Client: self}, &started); err != nil {
		return err
	}
	ke3, _, _, err := l.FinishWith(started.KE2, s)
	if errors.Is(err, opaque.ErrCredentials) {
		ke3 = opaque.DecoyKE3()
	} else if err != nil {
		return err
	}
	return p.crowd.call(ctx, key, api.PathSignInFinish, api.SignInFinish{State: started.State, KE3: ke3}, done)
}

func (p *person) enrol(ctx context.Context) error {
	var err error
	if p.second, err = device.GenerateKey(); err != nil {
		return err
	}
	var done api.SignInFinished
	if err := p.signIn(ctx, p.second, p.password, api.ForSignIn, &done); err != nil {
		return unrefused(err)
	}
	if done.Code == nil {
		return fmt.Errorf("%w: a new device needed no code", errWrong)
	}
	digits := code.Offline(p.in.CodeSecret, time.Now())
	if err := p.crowd.call(ctx, p.second, api.PathSignInCode, api.SignInCode{Attempt: done.Code.Attempt, Code: string(digits)}, &p.enrolled); err != nil {
		return unrefused(err)
	}
	p.crowd.enrolments.Add(1)
	return nil
}

// guess is a stranger's wrong password.
func (p *person) guess(ctx context.Context) error {
	key, err := device.GenerateKey()
	if err != nil {
		return err
	}
	err = p.signIn(ctx, key, newSecret(), api.ForSignIn, new(api.SignInFinished))
	switch {
	case refused(err):
		p.guesses++
		p.crowd.guesses.Add(1)
		return nil
	case err == nil:
		return fmt.Errorf("%w: a wrong password was accepted", errWrong)
	}
	return err
}

func (p *person) change(ctx context.Context) error {
	var done api.SignInFinished
	if err := p.signIn(ctx, p.first, p.password, api.ForPassword, &done); err != nil {
		return unrefused(err)
	}
	r, request, err := opaque.StartRegistration(password)
	if err != nil {
		return err
	}
	var started api.SignUpStarted
	if err := p.crowd.call(ctx, p.first, api.PathPasswordStart, api.PasswordStart{Grant: done.Grant, Request: request}, &started); err != nil {
		return unrefused(err)
	}
	next := newSecret()
	record, _, err := r.FinishWith(started.Response, next)
	if err != nil {
		return err
	}
	p.maybePassword, p.maybeEnded = next, true
	err = p.crowd.call(ctx, p.first, api.PathPasswordFinish, api.PasswordFinish{Grant: done.Grant, Session: p.in.Session, Record: record, Stretch: stretch}, new(api.PasswordChanged))
	if err != nil {
		return unrefused(err)
	}
	p.former, p.password, p.maybePassword, p.ended = p.password, next, nil, true
	p.crowd.changes.Add(1)
	p.crowd.endings.Add(1)
	return nil
}

// signOutSecond signs the second device in again, and out.
func (p *person) signOutSecond(ctx context.Context) error {
	var done api.SignInFinished
	if err := p.signIn(ctx, p.second, p.password, api.ForSignIn, &done); err != nil {
		return unrefused(err)
	}
	if done.SignedIn == nil {
		return fmt.Errorf("%w: an enrolled device was asked for a code", errWrong)
	}
	p.enrolled, p.ended, p.maybeEnded = *done.SignedIn, false, true
	if err := p.crowd.call(ctx, p.second, api.PathSignOut, api.Signed{Session: p.enrolled.Session}, nil); err != nil {
		return unrefused(err)
	}
	p.ended = true
	p.crowd.endings.Add(1)
	return nil
}

// verify sees that what was acknowledged is there.
func (p *person) verify(ctx context.Context) error {
	if !p.maybeExists {
		return nil
	}
	if err := p.verifyPassword(ctx); err != nil {
		return err
	}
	if !p.exists {
		return nil
	}
	if p.enrolled.Session != "" {
		err := p.crowd.call(ctx, p.second, api.PathToken, api.TokenRequest{Session: p.enrolled.Session}, new(api.Token))
		switch {
		case err != nil && !refused(err):
			return err
		case p.ended && err == nil:
			return fmt.Errorf("%w: an ended session refreshes", errWrong)
		case !p.maybeEnded && err != nil:
			return fmt.Errorf("%w: the session of an enrolled device is gone: %s", errWrong, p.crowd.why(ctx, p.second, err))
		}
	}
	return p.verifyGuesses(ctx)
}

// why asks for the explanation of a refusal, as the device that was refused.
func (c *crowd) why(ctx context.Context, key device.Key, refusal error) string {
	p := new(api.Problem)
	if !errors.As(refusal, &p) {
		return "no refusal"
	}
	var report json.RawMessage
	if err := c.call(ctx, key, api.PathExplain, api.Explain{Incident: p.Incident}, &report); err != nil {
		return "not explained: " + err.Error()
	}
	return string(report)
}

// verifyPassword signs the first device in with what was acknowledged last, or,
// where an answer did not come, with what it may have become.
func (p *person) verifyPassword(ctx context.Context) error {
	var done api.SignInFinished
	err := p.signIn(ctx, p.first, p.password, api.ForSignIn, &done)
	if refused(err) && p.maybePassword != nil {
		p.password = p.maybePassword
		err = p.signIn(ctx, p.first, p.password, api.ForSignIn, &done)
	}
	switch {
	case refused(err) && !p.exists:
		p.maybeExists = false
		return nil
	case refused(err):
		return fmt.Errorf("%w: the password that was acknowledged is not the account's", errWrong)
	case err != nil:
		return err
	case done.SignedIn == nil:
		return fmt.Errorf("%w: the first device is not enrolled any more", errWrong)
	}
	p.in, p.exists, p.maybePassword = *done.SignedIn, true, nil
	return nil
}

// verifyGuesses adds as many wrong guesses as lead to the lock, no more: if one
// that was acknowledged was lost, the account is still open. A lock lasts a
// minute and is looked at once.
func (p *person) verifyGuesses(ctx context.Context) error {
	if p.guesses == 0 || p.guesses >= lockout.FailedLimit {
		return nil
	}
	for p.guesses < lockout.FailedLimit {
		if err := p.guess(ctx); err != nil {
			return err
		}
	}
	locked, err := p.crowd.locked(ctx, p.id)
	if err == nil && !locked {
		err = fmt.Errorf("%w: %d failures were acknowledged and strangers are not locked out", errWrong, p.guesses)
	}
	return err
}
