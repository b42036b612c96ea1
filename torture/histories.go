package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/code"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/lockout"
)

// A history is what several clients did at the same time to one account, and
// what they were answered, while the service was being killed. There must be an
// order of all of it, one after the other, that explains every answer; where no
// answer came, the call may have happened at any time after it was made, or not.
//
// Three kinds, by what the account goes through:
//
//	codes     new devices race for one offline code; the epoch is read
//	sessions  the password changes while both devices refresh
//	locks     strangers guess; a new device with the right password tries
type history struct {
	began time.Time

	mu  sync.Mutex
	ops []porcupine.Operation
}

// did is one call of a history.
type did int

const (
	useCode did = iota
	refreshFirst
	refreshSecond
	changePassword
	guessPassword
	tryPassword
)

// answered is how a call ended.
type answered struct {
	how   ending
	epoch int64 // that the access token was issued under
}

type ending int

const (
	unanswered ending = iota
	accepted
	refusedIt
)

// state is what the model knows of an account.
type state struct {
	epoch    int64
	used     bool // the code
	ended    bool // the second device's session
	failures int  // of strangers in a row, up to the lock
}

// model says what each answer allows to be true afterwards.
func model(first state) porcupine.Model {
	nondeterministic := porcupine.NondeterministicModel{
		Init: func() []any { return []any{first} },
		Step: func(before, in, out any) []any { return next(before.(state), in.(did), out.(answered)) },
	}
	return nondeterministic.ToModel()
}

func next(s state, in did, out answered) []any {
	if out.how == unanswered {
		// It did not happen, or as if it had been accepted, or refused: of a
		// refusal only a guess leaves something behind.
		all := []any{s}
		if in == guessPassword {
			return append(all, next(s, in, answered{how: refusedIt})...)
		}
		return append(all, next(s, in, answered{how: accepted, epoch: s.epoch})...)
	}
	ok := out.how == accepted
	switch in {
	case useCode:
		switch {
		case ok && s.used, !ok && !s.used:
			return nil
		case ok:
			s.used = true
			s.epoch++
		}
	case refreshFirst:
		if !ok || out.epoch != s.epoch {
			return nil
		}
	case refreshSecond:
		if ok == s.ended || ok && out.epoch != s.epoch {
			return nil
		}
	case changePassword:
		if !ok {
			return nil
		}
		s.epoch++
		s.ended = true
	case guessPassword:
		if ok {
			return nil
		}
		s.failures = min(s.failures+1, lockout.FailedLimit)
	case tryPassword:
		// A refusal may be of a lock that strangers at another account of the
		// same lane have earned.
		if ok && s.failures == lockout.FailedLimit {
			return nil
		}
		if ok {
			s.failures = 0
		}
	}
	return []any{s}
}

// record makes a call and keeps when, what and how it ended.
func (h *history) record(client int, in did, call func() (answered, error)) error {
	begun := time.Since(h.began).Nanoseconds()
	out, err := call()
	switch {
	case err == nil:
		out.how = accepted
	case refused(err):
		out, err = answered{how: refusedIt}, nil
	case errors.Is(err, errWrong):
		return err
	default:
		out, err = answered{}, nil
	}
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: begun, Return: time.Since(h.began).Nanoseconds()}
	if out.how == unanswered {
		if in == refreshFirst || in == refreshSecond {
			return nil // says nothing and leaves nothing
		}
		op.Return = math.MaxInt64
	}
	h.mu.Lock()
	h.ops = append(h.ops, op)
	h.mu.Unlock()
	return nil
}

func (h *history) check(first state) error {
	switch porcupine.CheckOperationsTimeout(model(first), h.ops, 20*time.Second) {
	case porcupine.Ok:
		return nil
	case porcupine.Illegal:
		var lines []string
		for _, o := range h.ops {
			lines = append(lines, fmt.Sprintf("  client %d, %d to %d us: %s %s", o.ClientId, o.Call/1000, o.Return/1000, o.Input, o.Output))
		}
		return fmt.Errorf("%w: no order explains these answers:\n%s", errWrong, strings.Join(lines, "\n"))
	}
	return fmt.Errorf("a history of %d calls took too long to check", len(h.ops))
}

func (d did) String() string {
	return [...]string{"code", "refresh of the first", "refresh of the second", "password change", "guess", "try"}[d]
}

func (a answered) String() string {
	return fmt.Sprintf("%s, epoch %d", [...]string{"not answered", "accepted", "refused"}[a.how], a.epoch)
}

// persist repeats what must be done before a history can begin, until it is
// answered; false where it was not within its time.
func persist(ctx context.Context, do func(context.Context) error) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if do(ctx) == nil {
			return true
		}
	}
	return false
}

// tell lets an account of the n-th kind have its history, and checks it. It is
// empty, and false, where the account could not be made.
func (c *crowd) tell(ctx context.Context, n int) (bool, error) {
	p := c.join()
	if p.signUp(ctx) != nil {
		return false, nil
	}
	if n%3 == 1 && p.enrol(ctx) != nil {
		return false, nil
	}
	var first state
	if !persist(ctx, func(ctx context.Context) (err error) {
		first.epoch, err = p.epoch(ctx, p.first, p.in.Session)
		return err
	}) {
		return false, nil
	}
	h := &history{began: time.Now()}
	var clients []func(client int) error
	repeat := func(times int, f func(client int) error) {
		clients = append(clients, func(client int) error {
			for range times {
				if err := f(client); err != nil {
					return err
				}
				time.Sleep(rand.N(20 * time.Millisecond))
			}
			return nil
		})
	}
	refresh := func(in did, key device.Key, session string) func(int) error {
		return func(client int) error {
			return h.record(client, in, func() (a answered, err error) {
				a.epoch, err = p.epoch(ctx, key, session)
				return a, err
			})
		}
	}
	try := func(client int) error {
		return h.record(client, tryPassword, func() (answered, error) {
			_, err := p.atTheCode(ctx)
			return answered{}, err
		})
	}
	switch n % 3 {
	case 0:
		digits := string(code.Offline(p.in.CodeSecret, time.Now()))
		for range 3 {
			race, err := p.atTheCode(ctx)
			if err != nil {
				return false, nil
			}
			repeat(1, func(client int) error {
				return h.record(client, useCode, func() (answered, error) { return answered{}, race(digits) })
			})
		}
		repeat(5, refresh(refreshFirst, p.first, p.in.Session))
	case 1:
		repeat(1, func(client int) error {
			return h.record(client, changePassword, func() (answered, error) { return answered{}, p.change(ctx) })
		})
		repeat(6, refresh(refreshSecond, p.second, p.enrolled.Session))
		repeat(6, refresh(refreshFirst, p.first, p.in.Session))
	case 2:
		for range 3 {
			repeat(6, func(client int) error {
				return h.record(client, guessPassword, func() (answered, error) { return answered{}, p.wrong(ctx) })
			})
		}
		repeat(1, try)
	}
	failed := make([]error, len(clients))
	var all sync.WaitGroup
	for i, f := range clients {
		all.Go(func() { failed[i] = f(i) })
	}
	all.Wait()
	if n%3 == 2 {
		failed = append(failed, try(len(clients))) // after all guesses
	}
	if err := errors.Join(failed...); err != nil {
		return true, err
	}
	return true, h.check(first)
}

// wrong is a guess, whose refusal is its right answer.
func (p *person) wrong(ctx context.Context) error {
	key, err := device.GenerateKey()
	if err != nil {
		return err
	}
	return p.signIn(ctx, key, newSecret(), api.ForSignIn, new(api.SignInFinished))
}

// atTheCode brings a new device to where it is asked for the code, and returns
// what gives it one.
func (p *person) atTheCode(ctx context.Context) (func(digits string) error, error) {
	key, err := device.GenerateKey()
	if err != nil {
		return nil, err
	}
	var done api.SignInFinished
	if err := p.signIn(ctx, key, p.password, api.ForSignIn, &done); err != nil {
		return nil, err
	}
	if done.Code == nil {
		return nil, fmt.Errorf("%w: a new device needed no code", errWrong)
	}
	return func(digits string) error {
		return p.crowd.call(ctx, key, api.PathSignInCode, api.SignInCode{Attempt: done.Code.Attempt, Code: digits}, new(api.SignedIn))
	}, nil
}

// epoch refreshes, and reads the epoch that the access token was issued under.
func (p *person) epoch(ctx context.Context, key device.Key, session string) (int64, error) {
	var t api.Token
	if err := p.crowd.call(ctx, key, api.PathToken, api.TokenRequest{Session: session}, &t); err != nil {
		return 0, err
	}
	part := strings.Split(t.AccessToken, ".")
	if len(part) != 3 {
		return 0, fmt.Errorf("%w: an access token of %d parts", errWrong, len(part))
	}
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errWrong, err)
	}
	var claims struct {
		Epoch int64 `json:"epoch"`
	}
	err = json.Unmarshal(payload, &claims)
	return claims.Epoch, err
}

// histories lets accounts have histories until so many are complete, while
// fault does what it does to the service again and again.
func (c *crowd) histories(ctx context.Context, n int, fault func(context.Context) error) (string, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var faults int
	broken := make(chan error, 1)
	enough := make(chan struct{})
	go func() {
		defer close(broken)
		for {
			select {
			case <-enough:
				return
			case <-time.After(rand.N(1500 * time.Millisecond)):
			}
			if err := fault(ctx); err != nil {
				stop(err)
				broken <- err
				return
			}
			faults++
		}
	}()
	var mu sync.Mutex
	var told, calls int
	var wrong error
	var all sync.WaitGroup
	for who := range load {
		all.Go(func() {
			for i := who; ctx.Err() == nil; i++ {
				whole, err := c.tell(ctx, i)
				mu.Lock()
				if err != nil && ctx.Err() == nil {
					wrong = errors.Join(wrong, err)
				}
				if whole {
					told++
				}
				calls++
				done := told >= n || wrong != nil
				mu.Unlock()
				if done {
					return
				}
				if !whole {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
	close(enough)
	if err := <-broken; err != nil {
		return "", err
	}
	if wrong != nil {
		return "", wrong
	}
	return fmt.Sprintf("%d histories while the service was hit %d times; each has an order that explains it", told, faults), nil
}

// history kills the server while accounts have histories.
func (t *torture) history(ctx context.Context, n int) (string, error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(t.binary, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	if err := s.start(ctx); err != nil {
		return "", err
	}
	defer s.kill()
	return newCrowd(s).histories(ctx, n, func(ctx context.Context) error {
		s.kill()
		return s.start(ctx)
	})
}
