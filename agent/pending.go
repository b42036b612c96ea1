package agent

import (
	"context"
	"errors"
	"time"

	"readmit.dev/readmit/api"
)

// PendingFile is there while a message is under way whose answer would be a new
// session. An answer that was lost leaves it behind, and says where to ask.
const PendingFile = "pending.json"

// Pending is a message under way.
type Pending struct {
	Server  string    `json:"server"`
	Account string    `json:"account"`
	Name    string    `json:"name"`
	At      time.Time `json:"at"`
}

// begin notes that an answer is waited for which makes a new session, and ends
// the one this device has.
func (a *Agent) begin(server, account, name string) error {
	return a.Home.Save(PendingFile, Pending{server, account, name, a.Now()})
}

// over is for a message whose answer came and made no session.
func (a *Agent) over(err error) error {
	if p, r := new(api.Problem), new(RefusedError); err == nil || errors.As(err, &r) || errors.As(err, &p) {
		return errors.Join(err, a.Home.Remove(PendingFile))
	}
	return err
}

// settle brings the home up to what is: secrets that should be in the key store,
// and a session whose making was interrupted between the server's answer and the
// file. The caller holds the home's lock.
func (a *Agent) settle(ctx context.Context) error {
	if err := a.Home.MoveKeys(); err != nil {
		return err
	}
	var p Pending
	err := a.Home.Load(PendingFile, &p)
	if missing(err) {
		return nil
	}
	if state := new(StateError); errors.As(err, &state) {
		if state.Problem == Newer {
			return err
		}
		return a.Home.Remove(PendingFile) // it says where to ask, and no more
	}
	id, key, err := a.keyInHand()
	if err != nil {
		return err
	}
	c := NewClient(p.Server, key, a.Now)
	defer c.Close()
	var done api.SignedIn
	err = c.Call(ctx, api.PathSession, api.SessionRequest{Account: p.Account, Client: a.Self()}, &done)
	if problem := new(api.Problem); errors.As(err, &problem) && problem.Code == api.Failed {
		return a.Home.Remove(PendingFile) // nothing came of it
	}
	if err != nil {
		return err
	}
	return a.enrolled(c, id, key, p.Name, done)
}

// Settle does so for commands that hold no lock.
func (a *Agent) Settle(ctx context.Context) error {
	if missing(a.Home.Load(PendingFile, new(Pending))) {
		return nil
	}
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return a.settle(ctx)
}
