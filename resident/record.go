package resident

import (
	"context"
	"errors"
	"os"
	"time"

	"readmit.dev/readmit/agent"
)

// Record is what an agent writes down of itself, so that its absence can be
// told from one that nobody expects.
type Record struct {
	State     string    `json:"state"`
	PID       int       `json:"pid"`
	At        time.Time `json:"at"`                 // of the state's beginning
	Reference string    `json:"incident,omitempty"` // of gave-up
}

// States of a record; with NotRunning, the words of the check "agent".
const (
	Running    = "running"
	NotRunning = "not-running"
	GaveUp     = "gave-up"
)

// Look says how the agent of a home is: running, not-running where it should,
// gave-up; empty where none is expected. Since is when it was last at work. A
// record that cannot be read counts as one of an agent that should run.
func Look(ctx context.Context, h agent.Home) (state string, since time.Time) {
	var r Record
	damaged := new(agent.StateError)
	switch err := h.Load(agent.AgentFile, &r); {
	case errors.As(err, &damaged) && damaged.Problem == agent.Missing:
		return "", since
	case err != nil && r.At.IsZero(): // one there is, whatever it says: who is not expected has none
		if info, err := os.Stat(h.Path(agent.AgentFile)); err == nil {
			r.At = info.ModTime()
		}
	}
	if r.State == GaveUp {
		return GaveUp, r.At
	}
	if Runs(ctx, h) {
		return Running, r.At
	}
	if info, err := os.Stat(h.Path(agent.SessionFile)); err == nil && info.ModTime().After(r.At) {
		return NotRunning, info.ModTime()
	}
	return NotRunning, r.At
}

// aliveTime is how long an agent may take to say that it is there.
const aliveTime = 3 * time.Second

// Runs reports whether an agent answers for a home.
func Runs(ctx context.Context, h agent.Home) bool {
	ctx, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	_, err := Call(ctx, h, Ask{Do: DoStatus})
	return err == nil
}

// Forget takes the record away: no agent is expected any more.
func Forget(h agent.Home) error { return h.Remove(agent.AgentFile) }

// Expect writes down that an agent should run from a moment on, unless there is a
// record: one that is about to be started, and may not come.
func Expect(h agent.Home, at time.Time) error {
	damaged := new(agent.StateError)
	if err := h.Load(agent.AgentFile, new(Record)); !errors.As(err, &damaged) || damaged.Problem != agent.Missing {
		return nil
	}
	return h.Save(agent.AgentFile, Record{State: Running, At: at})
}

// Expected is the record, as a file's content, of an agent that should run and
// was at work last at a moment: for one that was damaged.
func Expected(at time.Time) ([]byte, error) {
	return agent.Content(Record{State: Running, At: at})
}
