package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/icloud"
	"readmit.dev/readmit/resident"
)

// What repairs of this device stop and start, beside what a provider names.
const (
	theAgent   = "the agent"
	theSession = "the session"
)

// services stops and starts the agent, has the session given back by the key
// alone, and leaves all else to the provider's.
type services struct {
	e     *env
	agent *agent.Agent
	next  doctor.Services
	why   error // the session was not given back
}

func (s *services) Stop(name string) error {
	switch name {
	case theAgent:
		_, err := resident.Stop(s.e.ctx, s.agent.Home)
		return err
	case theSession:
		return nil
	}
	return s.next.Stop(name)
}

func (s *services) Start(name string) error {
	switch name {
	case theAgent:
		// Whatever becomes of the start: where nobody expects it, nobody misses it.
		if err := resident.Expect(s.agent.Home, s.agent.Now()); err != nil {
			return err
		}
		if s.e.stays {
			return nil
		}
		return s.e.launch(s.agent)
	case theSession:
		s.why = s.restore()
		return s.why
	}
	return s.next.Start(name)
}

// restore asks for the session where there is no file of it. The caller holds
// the home's lock.
func (s *services) restore() error {
	if _, err := os.Lstat(s.agent.Home.Path(agent.SessionFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	b, err := s.agent.Restore(s.e.ctx)
	if err != nil {
		return err
	}
	return s.agent.Home.WriteWhole(agent.SessionFile, b)
}

// launch starts the agent and does not wait for it: it may itself wait for the
// repair that starts it.
func (e *env) launch(a *agent.Agent) error {
	if err := resident.CanListen(a.Home); err != nil {
		return err
	}
	s, err := e.service(a)
	if err == nil && s.installed() {
		return s.start()
	}
	return spawn(a.Home)
}

// await waits, not for long, until the agent that a repair has started answers.
// No lock may be held: the agent may need it. One that does not come counts with
// those that did not start.
func (e *env) await(a *agent.Agent, r doctor.Entry) []string {
	if !slices.Contains(r.Start, theAgent) || slices.Contains(r.Unstarted, theAgent) {
		return r.Unstarted
	}
	for range 100 {
		if _, err := resident.Call(e.ctx, a.Home, resident.Ask{Do: resident.DoStatus}); err == nil {
			return r.Unstarted
		}
		select {
		case <-e.ctx.Done():
			return r.Unstarted
		case <-time.After(50 * time.Millisecond):
		}
	}
	return append(r.Unstarted, theAgent)
}

// journal is where this device's repairs are written down.
func (e *env) journal(a *agent.Agent) *doctor.Journal {
	return &doctor.Journal{Dir: a.Home.Dir(), Now: a.Now, Services: &services{e: e, agent: a, next: icloud.Services()}}
}

// whole finishes what was interrupted, so that no command works on half a repair,
// nor before the agent that it starts.
func (e *env) whole(a *agent.Agent) error {
	j := e.journal(a)
	if !j.Interrupted() {
		return nil
	}
	unlock, err := a.Home.LockRepairs(e.ctx)
	if err != nil {
		return err
	}
	resumed, err := e.resume(e.ctx, a, j)
	unlock()
	if e.stays || err != nil {
		return err
	}
	if len(resumed) == 0 { // it was finished meanwhile, perhaps by the agent, which is not there yet
		all, err := j.List()
		if err != nil || len(all) == 0 {
			return err
		}
		resumed = all[len(all)-1:]
	}
	for _, r := range resumed {
		if slices.Contains(e.await(a, r), theAgent) {
			e.note("%s", agentUnstarted)
		}
	}
	return nil
}

// resume finishes what was interrupted, while no other command changes the home.
func (e *env) resume(ctx context.Context, a *agent.Agent, j *doctor.Journal) ([]doctor.Entry, error) {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	resumed, err := j.Resume()
	if err != nil {
		return nil, unkept(a, err)
	}
	for _, r := range resumed {
		if r.Left() {
			e.note("repair %s was interrupted, and its files have changed since: they are left as they are; what it kept is in %s", r.ID, j.Kept(r))
			continue
		}
		e.note("finished repair %s, which was interrupted; to take it back: readmit undo %s", r.ID, r.ID)
	}
	return resumed, nil
}

// canWrite reports what would keep a home from taking files, before anything is
// begun that must be written down.
func canWrite(h agent.Home) error {
	if err := h.Writable(); err != nil {
		return err
	}
	return h.Room()
}

// canRepair reports what would keep a repair from being made, or the agent from
// running again after it, before anything is stopped.
func canRepair(h agent.Home, start []string) error {
	if err := canWrite(h); err != nil {
		return err
	}
	if slices.Contains(start, theAgent) {
		return resident.CanListen(h)
	}
	return nil
}

// unkept says of an error of the disk what is to be done.
func unkept(a *agent.Agent, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	if errors.As(err, &path) || errors.As(err, &link) {
		return exitError{failed, err.Error(), "make room in " + a.Home.Dir() + ", and see that it and what lies in it is yours (chown, chmod 600); then run the command again"}
	}
	return err
}
