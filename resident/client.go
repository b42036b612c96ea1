package resident

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"readmit.dev/readmit/agent"
)

// ErrNoAgent: no agent runs for this home.
var ErrNoAgent = errors.New("no agent runs on this device")

// errOther: what is at the other end is not this user's.
var errOther = errors.New("the other side runs as another user")

// FolderError says that no agent can serve programs in a folder: somebody else
// could put a socket of theirs there.
type FolderError struct {
	Dir  string
	How  string   // what it is, and should not be
	Argv []string // the command that mends it; none where How says what to do
}

func (e *FolderError) Error() string { return "no agent can run here: " + e.Dir + " " + e.How }

const (
	// answerTime is how long an agent may take: two calls of the account server,
	// and some.
	answerTime = 40 * time.Second
	// maxLine is the longest line either way.
	maxLine = 64 << 10
)

// Call asks the agent of a home. Where none runs it returns ErrNoAgent.
func Call(ctx context.Context, h agent.Home, ask Ask) (Answer, error) {
	ask.Version = Version
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	c, err := dial(ctx, h)
	if err != nil {
		return Answer{}, err
	}
	defer c.Close()
	end := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer end()
	line, err := json.Marshal(ask)
	if err != nil {
		return Answer{}, err
	}
	if _, err = c.Write(append(line, '\n')); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	line, err = readLine(bufio.NewReader(c))
	if asked.Err() != nil {
		return Answer{}, asked.Err()
	}
	var answer Answer
	if err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if err == nil && answer.Version != Version {
		err = fmt.Errorf("version %d", answer.Version)
	}
	if err != nil { // it went while it was asked, or it is one of another time
		return Answer{}, fmt.Errorf("%w: %w", ErrNoAgent, err)
	}
	if answer.Trouble != nil {
		return answer, answer.Trouble.Err()
	}
	return answer, nil
}

// readLine reads a line of bounded length, without its end.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, formError("a line that is too long")
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// stopTime is how long an agent may take to say that it stops, or to come so far
// that it can be told to.
const stopTime = 10 * time.Second

// HangsError says that a process has the place of a home's agent and does not
// answer to this user: it stands still, or it is another user's.
type HangsError struct {
	PID   int  // as the agent wrote it down; 0 where it is not known
	Other bool // it is another user's
	Stays bool // it was to stop
}

func (e *HangsError) Error() string {
	who := "the agent"
	if e.PID != 0 {
		who += fmt.Sprintf(" (process %d)", e.PID)
	}
	how := " does not answer"
	if e.Other {
		how = " runs as another user"
	}
	if e.Stays {
		how += ", and was not stopped"
	}
	return who + how
}

// hangs tells an agent that does not answer from one that is not there, for which
// it returns nil: then nobody has its place.
func hangs(ctx context.Context, h agent.Home, unanswered error) error {
	unlock, err := soleNow(ctx, h)
	if err == nil {
		unlock()
		return nil
	}
	if !errors.Is(err, ErrRuns) {
		return err
	}
	return &HangsError{PID: pidOf(h), Other: errors.Is(unanswered, errOther)}
}

// AskStatus asks the agent of a home how it is. It returns ErrNoAgent where none
// runs, and a HangsError for one that does not answer.
func AskStatus(ctx context.Context, h agent.Home) (Status, error) {
	soon, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	ask := Ask{Do: DoStatus}
	got, err := Call(soon, h, ask)
	if err == nil && !got.answers(ask) {
		err = fmt.Errorf("%w: it answers something else", ErrNoAgent)
	}
	if err == nil {
		return *got.Status, nil
	}
	if ctx.Err() == nil && (errors.Is(err, ErrNoAgent) || errors.Is(err, context.DeadlineExceeded)) {
		err = cmp.Or(hangs(ctx, h, err), err)
	}
	return Status{}, err
}

// Stop tells the agent of a home to end, and waits until it has. It reports
// whether there was one; with a HangsError one that is still there.
func Stop(ctx context.Context, h agent.Home) (bool, error) {
	for begun := time.Now(); ; {
		soon, cancel := context.WithTimeout(ctx, stopTime)
		_, err := Call(soon, h, Ask{Do: DoStop})
		cancel()
		if err == nil {
			return true, ended(ctx, h)
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if !errors.Is(err, ErrNoAgent) && !errors.Is(err, context.DeadlineExceeded) {
			return true, err
		}
		unlock, taken := soleNow(ctx, h)
		if taken == nil {
			defer unlock()
			return false, Forget(h)
		}
		if !errors.Is(taken, ErrRuns) {
			return false, taken
		}
		if other := errors.Is(err, errOther); other || time.Since(begun) > stopTime {
			return true, &HangsError{pidOf(h), other, true}
		}
	}
}

// pidOf is the process of the agent that runs, by its record; 0 without one.
func pidOf(h agent.Home) int {
	var r Record
	if h.Load(agent.AgentFile, &r) != nil || r.State != Running {
		return 0
	}
	return r.PID
}

// ended waits until an agent that was told to end has.
func ended(ctx context.Context, h agent.Home) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		soon, cancel := context.WithTimeout(ctx, time.Second)
		unlock, err := h.Sole(soon)
		cancel()
		if err == nil {
			unlock()
			return nil
		}
		if soon.Err() == nil || ctx.Err() != nil {
			return err
		}
		// One that was started beside it has waited for its turn, and has it now.
		Call(ctx, h, Ask{Do: DoStop})
	}
}
