package agent

import (
	"context"
	"errors"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// RecoveryFile keeps the recovery that this device has begun.
const RecoveryFile = "recovery.json"

// Recovering is a recovery that this device has begun.
type Recovering struct {
	Server  string    `json:"server"`
	Account string    `json:"account"`
	Name    string    `json:"name"`
	Claim   []byte    `json:"claim"` // sealed; only the server can open it, and only for this device's key
	At      time.Time `json:"at"`
}

// ErrNoRecovery: the command needs a recovery, and this device has begun none.
var ErrNoRecovery = errors.New("this device has begun no recovery")

// Recovery is the recovery that this device has begun, or ErrNoRecovery.
func (a *Agent) Recovery() (Recovering, error) {
	var r Recovering
	err := a.Home.Load(RecoveryFile, &r)
	if missing(err) {
		return r, ErrNoRecovery
	}
	return r, err
}

// Recover begins a recovery, or goes on with this device's own. word is what
// support has read out, or empty.
func (a *Agent) Recover(ctx context.Context, server, account, word, name string) (api.Recovery, error) {
	var out api.Recovery
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return out, err
	}
	defer unlock()
	if err := a.Home.Room(); err != nil {
		return out, err
	}
	if err := a.Home.Ours(RecoveryFile); err != nil {
		return out, err
	}
	_, key, err := a.key()
	if err != nil {
		return out, err
	}
	c := NewClient(server, key, a.Now)
	defer c.Close()
	if err := a.call(ctx, c, account, "recovery", api.PathRecoveryStart, api.RecoveryStart{Account: account, Word: word, DeviceName: name, Client: a.Self()}, &out); err != nil {
		return out, err
	}
	return out, a.Home.Save(RecoveryFile, Recovering{Server: c.Server, Account: account, Name: name, Claim: out.Recovery, At: a.Now()})
}

// recovery returns what calls about this device's recovery need. The client is
// the caller's to close.
func (a *Agent) recovery() (Recovering, *Client, error) {
	r, err := a.Recovery()
	if err != nil {
		return r, nil, err
	}
	_, key, err := a.key()
	if err != nil {
		return r, nil, err
	}
	return r, NewClient(r.Server, key, a.Now), nil
}

// RecoveryStatus tells how it stands.
func (a *Agent) RecoveryStatus(ctx context.Context) (api.Recovery, error) {
	var out api.Recovery
	r, c, err := a.recovery()
	if err != nil {
		return out, err
	}
	defer c.Close()
	return out, a.call(ctx, c, r.Account, "recovery", api.PathRecoveryStatus, api.RecoveryCase{Recovery: r.Claim}, &out)
}

// SendRecoveryCode has a code sent to the account's addresses, if it has any.
func (a *Agent) SendRecoveryCode(ctx context.Context) error {
	r, c, err := a.recovery()
	if err != nil {
		return err
	}
	defer c.Close()
	return a.call(ctx, c, r.Account, "recovery", api.PathRecoverySend, api.RecoveryCase{Recovery: r.Claim}, nil)
}

// ProveRecovery gives one proof: one of the codes of in.
func (a *Agent) ProveRecovery(ctx context.Context, in api.RecoveryProve) (api.Recovery, error) {
	var out api.Recovery
	r, c, err := a.recovery()
	if err != nil {
		return out, err
	}
	defer c.Close()
	in.Recovery = r.Claim
	return out, a.call(ctx, c, r.Account, "recovery", api.PathRecoveryProve, in, &out)
}

// FinishRecovery sets the new password. in tells whether this device is signed
// in with that; otherwise it signs in, and needs a second step.
func (a *Agent) FinishRecovery(ctx context.Context, password string) (in bool, err error) {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := a.Home.Room(); err != nil {
		return false, err
	}
	r, c, err := a.recovery()
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := CheckNewPassword(password, r.Account); err != nil {
		return false, err
	}
	prepared, err := PreparePassword(password)
	if err != nil {
		return false, err
	}
	hello, err := c.Hello(ctx)
	if err != nil {
		return false, err
	}
	registration, request, err := opaque.StartRegistration(prepared)
	if err != nil {
		return false, err
	}
	var started api.SignUpStarted
	if err := a.call(ctx, c, r.Account, "recovery", api.PathRecoveryPasswordStart, api.RecoveryPasswordStart{Recovery: r.Claim, Request: request}, &started); err != nil {
		return false, err
	}
	record, err := finishRegistration(c, registration, started.Response, hello.Stretch)
	if err != nil {
		return false, err
	}
	if err := a.begin(c.Server, r.Account, r.Name); err != nil {
		return false, err
	}
	var done api.RecoveryFinished
	finish := api.RecoveryPasswordFinish{Recovery: r.Claim, Record: record, Stretch: hello.Stretch, DeviceName: r.Name, Client: a.Self()}
	if err := a.call(ctx, c, r.Account, "recovery", api.PathRecoveryPasswordFinish, finish, &done); err != nil {
		return false, a.over(err)
	}
	if done.SignedIn == nil {
		return false, errors.Join(a.over(nil), a.Home.Remove(RecoveryFile))
	}
	id, key, err := a.key()
	if err != nil {
		return false, err
	}
	return true, errors.Join(a.enrolled(c, id, key, r.Name, *done.SignedIn), a.Home.Remove(RecoveryFile))
}

// GiveUpRecovery ends it, at the server and here. One that has ended there by
// itself is gone here all the same.
func (a *Agent) GiveUpRecovery(ctx context.Context) error {
	r, c, err := a.recovery()
	if err != nil {
		return err
	}
	defer c.Close()
	err = a.call(ctx, c, r.Account, "recovery", api.PathRecoveryGiveUp, api.RecoveryCase{Recovery: r.Claim}, nil)
	if p := new(api.Problem); errors.As(err, &p) && (p.Reason == api.ReasonNoRecovery || p.Reason == api.ReasonNoCase) {
		err = nil
	}
	if err != nil {
		return err
	}
	return a.Home.Remove(RecoveryFile)
}

// StopRecovery stops the recovery whose word a message has brought.
func (a *Agent) StopRecovery(ctx context.Context, server, word string) error {
	_, key, err := a.keyInHand()
	if err != nil {
		return err
	}
	c := NewClient(server, key, a.Now)
	defer c.Close()
	return a.call(ctx, c, "", "recovery", api.PathRecoveryCancel, api.RecoveryWord{Word: word}, nil)
}

// Asking makes a call on this device's session whose body in makes of it.
func (a *Agent) Asking(ctx context.Context, what, path string, in func(session string) any, out any) error {
	if err := a.Settle(ctx); err != nil {
		return err
	}
	id, s, c, err := a.session()
	if err != nil {
		return err
	}
	defer c.Close()
	return a.call(ctx, c, id.Account, what, path, in(s.ID), out)
}

// Grant proves the password afresh for a purpose.
func (a *Agent) Grant(ctx context.Context, purpose, password string) ([]byte, error) {
	id, _, c, err := a.session()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var done api.SignInFinished
	err = a.prove(ctx, c, "proof of the password", api.SignInStart{Account: id.Account, Purpose: purpose, DeviceName: id.Name, Client: a.Self()}, password, &done)
	return done.Grant, err
}
