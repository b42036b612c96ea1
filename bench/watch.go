package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
)

// The kinds of change that are watched, one after the other. The first, second
// and last end tokens: a token from before is shown. A lock ends none, so that
// strangers cannot end what an owner does (docs/security.md): it refuses the
// right password on the locked device, at every node, and with it whatever
// token a service would be shown.
const (
	changedPassword = "password change"
	removedDevice   = "device removal"
	lockedDevice    = "lock"
	disabledAccount = "disable"
)

var kinds = [...]string{changedPassword, removedDevice, lockedDevice, disabledAccount}

// observed is one refusal, and how long after the change's acknowledgement it
// came.
type observed struct {
	kind  string
	place int
	took  time.Duration
}

// watch makes one change after the other of a person, each at another node and
// of another kind, and reports for each place when it refused for the first
// time.
func (n *nodes) watch(ctx context.Context, p *person, first int, changes *atomic.Int64, busy *unavailable, report func(observed)) error {
	places := n.places()
	conns := make([]*conn, len(places))
	for i, one := range places {
		c, err := dial(one.address)
		if err != nil {
			return err
		}
		defer c.close()
		conns[i] = c
		if one.audience == "" {
			c.public = n.public
		}
	}
	for i := 0; ctx.Err() == nil; i++ {
		// Three nodes and four kinds: each kind comes to each node.
		at, kind := (first+i)%len(n.all), kinds[(first+i)%len(kinds)]
		w := &watched{p: p, of: p, node: n.all[at], c: conns[at], busy: busy}
		if err := w.prepare(kind); err != nil {
			return fmt.Errorf("before a %s: %w", kind, err)
		}
		refused := busy.untilRefused
		if kind == lockedDevice {
			refused = busy.untilLocked
		}
		tokens := make([]string, len(places))
		for j, one := range places {
			if kind == lockedDevice {
				break
			}
			err := busy.patient(func() (err error) {
				tokens[j], err = w.of.tokenFor(w.c, one.audience)
				return err
			})
			if err == nil {
				err = busy.untilTaken(w.of, conns[j], one, tokens[j])
			}
			if err != nil {
				return fmt.Errorf("before a %s: %w", kind, err)
			}
		}
		if err := w.change(kind); err != nil {
			return fmt.Errorf("a %s: %w", kind, err)
		}
		acknowledged := time.Now()
		changes.Add(1)
		var all sync.WaitGroup
		failed := make([]error, len(places))
		for j, one := range places {
			if kind == lockedDevice && one.audience != "" {
				continue
			}
			all.Go(func() {
				var took time.Duration
				if took, failed[j] = refused(w.of, conns[j], one, tokens[j], acknowledged); failed[j] == nil {
					report(observed{kind, j, took})
				}
			})
		}
		all.Wait()
		if err := errors.Join(failed...); err != nil {
			return fmt.Errorf("after a %s: %w", kind, err)
		}
		if err := w.undo(kind); err != nil {
			return fmt.Errorf("undoing a %s: %w", kind, err)
		}
	}
	return nil
}

// watched is one change.
type watched struct {
	p    *person
	of   *person // whose tokens it ends: p, or p's second device
	node *node   // where it is made
	c    *conn   // to it
	busy *unavailable
}

// prepare does what is needed before the change.
func (w *watched) prepare(kind string) error {
	switch kind {
	case removedDevice:
		return w.enrol()
	case lockedDevice:
		for range lockout.FailedLimit - 1 {
			if err := w.guess(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *watched) change(kind string) error {
	switch kind {
	case changedPassword:
		return w.changePassword()
	case removedDevice:
		tries := 0
		return w.busy.patient(func() error {
			tries++
			err := w.post(w.p.key, api.PathRemoveDevice, api.SignedID{Session: w.p.session, ID: w.of.device[:8]}, nil)
			var p *api.Problem
			if errors.As(err, &p) && p.Code == api.NotPossible && tries > 1 {
				return nil // the first try, of which nothing was known, has removed it
			}
			return err
		})
	case lockedDevice:
		return w.guess()
	}
	return w.busy.patient(func() error { return w.node.act(api.AdminDisable, w.p.id) })
}

func (w *watched) undo(kind string) error {
	switch kind {
	case lockedDevice:
		return w.busy.patient(func() error { return w.node.act(api.AdminUnlock, w.p.id) })
	case disabledAccount:
		return w.busy.patient(func() error { return w.node.act(api.AdminEnable, w.p.id) })
	}
	return nil
}

// post makes a signed call; a nil out wants an answer without a body.
func (w *watched) post(k *key, path string, in, out any) error {
	if out != nil {
		return call(w.c, k, path, in, out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, answer, err := w.c.post(k, path, body)
	if err == nil && status != http.StatusNoContent {
		err = refused(path, status, answer)
	}
	return err
}

// proved brings an attempt to where the password is proved.
func (w *watched) proved(k *key, purpose string, done *api.SignInFinished) error {
	return w.busy.patient(func() error {
		var begun api.SignInStarted
		err := w.post(k, api.PathSignInStart, api.SignInStart{Account: w.p.id, Purpose: purpose, KE1: w.p.ke1, DeviceName: "second", Client: client}, &begun)
		if err != nil {
			return err
		}
		ke3, _, _, err := w.p.login.FinishWith(begun.KE2, w.p.randomized)
		if err != nil {
			return err
		}
		return w.post(k, api.PathSignInFinish, api.SignInFinish{State: begun.State, KE3: ke3}, done)
	})
}

// changePassword draws another stretched password, as signUp does.
func (w *watched) changePassword() error {
	var done api.SignInFinished
	if err := w.proved(w.p.key, api.ForPassword, &done); err != nil {
		return err
	}
	r, request, err := opaque.StartRegistration([]byte(password))
	if err != nil {
		return err
	}
	var begun api.SignUpStarted
	err = w.busy.patient(func() error {
		return w.post(w.p.key, api.PathPasswordStart, api.PasswordStart{Grant: done.Grant, Request: request}, &begun)
	})
	if err != nil {
		return err
	}
	next := randomized()
	record, _, err := r.FinishWith(begun.Response, next)
	if err != nil {
		return err
	}
	err = w.busy.patient(func() error {
		return w.post(w.p.key, api.PathPasswordFinish, api.PasswordFinish{Grant: done.Grant, Session: w.p.session, Record: record, Stretch: stretch}, &api.PasswordChanged{})
	})
	if err == nil {
		w.p.randomized = next
	}
	return err
}

// enrol makes a second device, which the first allows.
func (w *watched) enrol() error {
	k, err := newKey()
	if err != nil {
		return err
	}
	var done api.SignInFinished
	if err := w.proved(k, api.ForSignIn, &done); err != nil {
		return err
	}
	if done.Code == nil {
		return errors.New("a new device needed no code")
	}
	var shown api.Allowed
	err = w.busy.patient(func() error {
		return w.post(w.p.key, api.PathAllow, api.SignedID{Session: w.p.session, ID: done.Code.Request}, &shown)
	})
	if err != nil {
		return err
	}
	var in api.SignedIn
	err = w.busy.patient(func() error {
		return w.post(k, api.PathSignInCode, api.SignInCode{Attempt: done.Code.Attempt, Code: shown.Code}, &in)
	})
	w.of = &person{id: w.p.id, key: k, session: in.Session, token: in.AccessToken, device: in.Device}
	return err
}

// guess is a wrong password on the enrolled device.
func (w *watched) guess() error {
	return w.busy.patient(func() error {
		body, err := start(w.p.id, w.p.ke1)
		if err != nil {
			return err
		}
		state, _, err := begin(w.c, w.p.key, body)
		if err != nil {
			return err
		}
		return w.p.decoy(w.c, state)
	})
}

// decoy finishes an attempt with a proof that proves nothing, which must be
// refused.
func (p *person) decoy(c *conn, state []byte) error {
	body, err := finish(state)
	if err != nil {
		return err
	}
	status, answer, err := c.post(p.key, api.PathSignInFinish, body)
	switch {
	case err != nil:
		return err
	case status == http.StatusServiceUnavailable:
		return refused(api.PathSignInFinish, status, answer)
	}
	return isRefusal(status, answer)
}

// untilLocked signs in with the right password on a locked device, which must
// be refused at once: a lock is read with every attempt.
func (u *unavailable) untilLocked(p *person, c *conn, at place, _ string, from time.Time) (time.Duration, error) {
	err := u.patient(func() error {
		body, err := start(p.id, p.ke1)
		if err != nil {
			return err
		}
		state, ke2, err := begin(c, p.key, body)
		if err != nil {
			return err
		}
		if _, _, _, err = p.login.FinishWith(ke2, p.randomized); !errors.Is(err, opaque.ErrCredentials) {
			return fmt.Errorf("%s evaluates the password of a locked device: %w", at.name, errOr(err))
		}
		return p.decoy(c, state)
	})
	return time.Since(from), err
}
