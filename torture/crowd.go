package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"

	"time"
)

// service is what the crowd uses: a server, or several as one.
type service interface {
	url() string
	socket() string // the operator's
}

// crowd is everybody, with what each was acknowledged.
type crowd struct {
	service service
	name    string // of its people

	mu     sync.Mutex
	people []*person
	fresh  []*person // since the last look

	unavailable                                    atomic.Int64 // answers that the service cannot work
	signUps, enrolments, guesses, changes, endings atomic.Int64
}

func newCrowd(s service) *crowd { return &crowd{service: s, name: "person"} }

func (c *crowd) String() string {
	return fmt.Sprintf("%d sign-ups, %d enrolments, %d counted guesses, %d password changes, %d ended sessions",
		c.signUps.Load(), c.enrolments.Load(), c.guesses.Load(), c.changes.Load(), c.endings.Load())
}

// act lets people act until the context ends.
func (c *crowd) act(ctx context.Context, n int) <-chan error {
	ended := make(chan error, 1)
	var wait sync.WaitGroup
	var once sync.Once
	var wrong error
	for range n {
		wait.Go(func() {
			for ctx.Err() == nil {
				p := c.join()
				err := p.live(ctx)
				switch {
				case errors.Is(err, errWrong):
					once.Do(func() { wrong = err })
					return
				case err != nil: // no answer, or one that says nothing was done
					time.Sleep(2 * time.Millisecond)
				}
			}
		})
	}
	go func() {
		wait.Wait()
		ended <- wrong
	}()
	return ended
}

// until lets people act for a time.
func (c *crowd) until(ctx context.Context, d time.Duration) error {
	acting, stop := context.WithTimeout(ctx, d)
	defer stop()
	return <-c.act(acting, load)
}

func (c *crowd) join() *person {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &person{crowd: c, id: fmt.Sprintf("%s-%d@example.org", c.name, len(c.people))}
	c.people = append(c.people, p)
	c.fresh = append(c.fresh, p)
	return p
}

// verify looks at everybody who acted since the last time, and at some others.
func (c *crowd) verify(ctx context.Context, others int) error {
	c.mu.Lock()
	look := c.fresh
	c.fresh = nil
	for range min(others, len(c.people)) {
		look = append(look, c.people[rand.IntN(len(c.people))])
	}
	if others >= len(c.people) {
		look = c.people
	}
	c.mu.Unlock()
	// Some at once, since each waits for the server and the server for each.
	next := make(chan *person)
	failed := make([]error, lookers)
	var wait sync.WaitGroup
	for i := range failed {
		wait.Go(func() {
			for p := range next {
				if failed[i] != nil {
					continue
				}
				if err := p.verify(ctx); err != nil {
					failed[i] = fmt.Errorf("%s: %w", p.id, err)
				}
			}
		})
	}
	seen := map[*person]bool{}
	for _, p := range look {
		if !seen[p] {
			seen[p] = true
			next <- p
		}
	}
	close(next)
	wait.Wait()
	return errors.Join(failed...)
}

// lookers is how many look at once whether what was acknowledged is there.
const lookers = 3

// call makes a call as a device. An answer that the service cannot work is
// counted; nothing else but a refusal is expected in its place.
func (c *crowd) call(ctx context.Context, key device.Key, path string, in, out any) error {
	client := agent.NewClient(c.service.url(), key, time.Now)
	defer client.Close()
	err := client.Call(ctx, path, in, out)
	if p := new(api.Problem); errors.As(err, &p) && p.Code == api.Unavailable {
		c.unavailable.Add(1)
		return errNothing
	}
	return err
}

// locked asks the operator whether strangers are locked out of an account.
func (c *crowd) locked(ctx context.Context, id string) (bool, error) {
	operator := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.service.socket())
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin"+api.AdminAccounts, bytes.NewReader(nil))
	if err != nil {
		return false, err
	}
	answer, err := operator.Do(r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	var list api.AdminAccountList
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return false, err
	}
	for _, a := range list.Accounts {
		if a.Account == id {
			return a.Locked > 0, nil
		}
	}
	return false, fmt.Errorf("%w: the operator sees no such account", errWrong)
}
