// Package resident is the agent that stays: it keeps a device's session and
// tokens fresh, gives them to the programs of the same user over a socket, and
// shows who asks to sign in. docs/agent.md describes the socket.
//
// What is true lies in the home, written by package agent; the resident agent
// keeps nothing that a kill could lose.
package resident

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
)

// lineTime is how long a program may take for a line, and between two.
const lineTime = time.Minute

// atOnce is how many programs are served at the same time; others wait.
const atOnce = 256

// ErrRuns: there is an agent for this home already.
var ErrRuns = errors.New("an agent runs for this device already")

// Resident is one agent that stays.
type Resident struct {
	Agent *agent.Agent
	// Tell is told what a person should see, wherever they look.
	Tell func(title, text string)
	// Say is told what goes on, for a terminal or a log.
	Say func(text string)
	// Asked is told of each new request to sign in.
	Asked func(api.Request)
	// Desktop shows them too, and takes the answer; nil where there is none.
	Desktop Desktop

	mu      sync.Mutex
	session string // the session's ID at the last look

	since      time.Time
	keeper     *keeper
	requests   *requests
	recoveries *recoveries
	flight     singleflight.Group
	stop       context.CancelFunc
}

// Run works until the context ends or somebody says stop; then it returns nil.
// When it gives up it returns a GaveUpError.
func (r *Resident) Run(ctx context.Context) error {
	h := r.Agent.Home
	unlock, err := soleNow(ctx, h)
	if err != nil {
		return err
	}
	defer unlock()
	l, err := listen(h)
	if err != nil {
		return err
	}
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	r.since = r.Agent.Now()
	if err := h.Save(agent.AgentFile, Record{State: Running, PID: os.Getpid(), At: r.since}); err != nil {
		l.Close()
		return err
	}
	r.Say("the agent runs for " + h.Dir())
	if s, err := h.Session(); err == nil {
		r.session = s.ID
	}
	var all sync.WaitGroup
	r.prepare(ctx, &all)
	all.Go(func() { r.serve(ctx, l) })
	all.Go(func() { r.requests.run(ctx) })
	all.Go(func() { r.recoveries.run(ctx) })
	err = r.keeper.run(ctx)
	r.stop()
	l.Close()
	all.Wait()
	if gone := new(GaveUpError); errors.As(err, &gone) {
		err = errors.Join(err, h.Save(agent.AgentFile, Record{State: GaveUp, PID: os.Getpid(), At: r.Agent.Now(), Reference: gone.Last.Reference}))
		r.tell("Readmit: this device is not signed in any more", r.why(context.WithoutCancel(ctx), gone.Last))
		return err
	}
	return errors.Join(err, Forget(h))
}

// explainTime is how long a notice waits for its cause.
const explainTime = 5 * time.Second

// why is the reason of a failure with its cause, as far as this device may know
// it: what everybody sees of a refusal is the same for all, and an enrolled
// device can ask for more.
func (r *Resident) why(ctx context.Context, err error) string {
	refused := new(agent.RefusedError)
	if errors.As(err, &refused) && refused.Public == "refused" {
		ctx, cancel := context.WithTimeout(ctx, explainTime)
		defer cancel()
		if found, err := r.Agent.Explain(ctx, refused.Reference); err == nil {
			known := *refused
			known.Public, known.Title = string(found.Findings[0].Cause), found.Findings[0].Title
			return reason(&known)
		}
	}
	return reason(err)
}

// soleNow takes the place of the one agent of a home, or says that it is taken.
func soleNow(ctx context.Context, h agent.Home) (func(), error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // one that was told to stop may still be at it
	defer cancel()
	unlock, err := h.Sole(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, ErrRuns
	}
	return unlock, err
}

func (r *Resident) prepare(ctx context.Context, all *sync.WaitGroup) {
	r.keeper = newKeeper(r.Agent.Now)
	r.requests = newRequests()
	r.keeper.fetch = r.fetch
	r.keeper.woken = func() {
		r.Say("the machine slept, or its clock was set: looking at everything again")
		r.requests.poke()
	}
	r.keeper.notice = func(err error) {
		all.Go(func() { r.tell("Readmit: this device cannot refresh its access", r.why(ctx, err)) }) // the keeper does not wait
	}
	r.requests.events = r.Agent.Events
	r.requests.list = func(ctx context.Context) (api.Requests, error) {
		var out api.Requests
		err := r.Agent.On(ctx, "requests", api.PathRequests, &out)
		return out, err
	}
	r.requests.show = func(q api.Request) func() {
		r.Asked(q)
		open, over := context.WithCancel(ctx)
		if r.Desktop != nil {
			all.Go(func() { r.ask(ctx, open, q) })
		}
		return over
	}
	r.requests.back = r.keeper.poke
	r.recoveries = newRecoveries()
	r.requests.changed = r.recoveries.poke
	r.recoveries.list = func(ctx context.Context) (api.Recoveries, error) {
		var out api.Recoveries
		err := r.Agent.On(ctx, "recoveries", api.PathRecoveries, &out)
		return out, err
	}
	r.recoveries.tell = func(q api.RecoverySeen) { r.tell(recoveryText(q)) }
}

// fetch gets a token that is good for least. Callers at once share one call.
func (r *Resident) fetch(ctx context.Context, audience string, least time.Duration) (agent.Token, error) {
	if t, ok := r.Agent.InHand(audience, least); ok {
		return t, nil
	}
	done := r.flight.DoChan(fmt.Sprint(least, " ", audience), func() (any, error) {
		t, err := r.Agent.Token(ctx, audience, least)
		return t, err
	})
	select {
	case <-ctx.Done():
		return agent.Token{}, ctx.Err()
	case d := <-done:
		return d.Val.(agent.Token), d.Err
	}
}

func (r *Resident) serve(ctx context.Context, l net.Listener) {
	var all sync.WaitGroup
	defer all.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil { // of this one connection, or of too many files
			select {
			case <-ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if err := sameUser(c); err != nil {
			c.Close()
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			end := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
			defer end()
			r.talk(ctx, c)
		})
	}
}

// talk answers lines until there are no more.
func (r *Resident) talk(ctx context.Context, c net.Conn) {
	in := bufio.NewReader(c)
	for {
		c.SetDeadline(time.Now().Add(lineTime))
		if ctx.Err() != nil {
			return
		}
		line, err := readLine(in)
		var form formError
		if err != nil && !errors.As(err, &form) {
			return
		}
		var ask Ask
		if err == nil && json.Unmarshal(line, &ask) != nil {
			err = formError("a line that is not JSON")
		}
		if err == nil {
			err = ask.check()
		}
		answer := Answer{}
		if err == nil {
			answer, err = r.answer(ctx, ask)
		}
		if err != nil {
			answer = Answer{Trouble: troubleOf(err)}
		}
		answer.Version = Version
		c.SetDeadline(time.Now().Add(lineTime))
		if json.NewEncoder(c).Encode(answer) != nil || errors.As(err, &form) {
			return
		}
		if answer.Stopping {
			r.stop()
			return
		}
	}
}

func (r *Resident) answer(ctx context.Context, ask Ask) (Answer, error) {
	switch ask.Do {
	case DoToken:
		t, err := r.fetch(ctx, ask.Audience, ask.valid())
		r.keeper.asked(ask.Audience, t, err)
		if err != nil {
			return Answer{}, err
		}
		return given(r.Agent, ask, t)
	case DoStop:
		return Answer{Stopping: true}, nil
	case DoStatus:
		return Answer{Status: r.status()}, nil
	}
	out, err := Do(ctx, r.Agent, ask)
	if err == nil {
		r.requests.answered()
	}
	return out, err
}

// anew looks whether somebody has signed in or out since it last looked: then
// nothing is said any more of what failed before, and nothing waits for its next
// try. A command that has signed in asks for the status.
func (r *Resident) anew() (signedOut bool) {
	s, err := r.Agent.Home.Session()
	if err != nil {
		return false
	}
	r.mu.Lock()
	other := s.ID != r.session
	r.session = s.ID
	r.mu.Unlock()
	if other {
		r.requests.anew()
		if t, ok := r.Agent.InHand("", 0); ok {
			r.keeper.asked("", t, nil)
		}
	}
	return s.ID == ""
}

func (r *Resident) status() *Status {
	signedOut := r.anew()
	expires, due, failing := r.keeper.state()
	s := &Status{PID: os.Getpid(), Version: r.Agent.Version, Since: r.since, Expires: expires, Next: due}
	if id, err := r.Agent.Identity(); err == nil {
		s.Account, s.Server = id.Account, id.Server
	}
	if signedOut { // the last token has ended with its session
		s.SignedOut, s.Expires, s.Next = true, time.Time{}, time.Time{}
	}
	if failing != nil {
		s.Failing = troubleOf(failing)
	}
	var unheard error
	if s.Requests, unheard = r.requests.state(); unheard != nil {
		s.Unheard = troubleOf(unheard)
	}
	return s
}
