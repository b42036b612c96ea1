package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/resident"
)

// usageError says that the command line was not understood.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

// exitError ends a command with an exit code and a hint.
type exitError struct {
	code int
	text string
	hint string
}

func (x exitError) Error() string { return x.text }

// trouble is how an error is shown.
type trouble struct {
	Error     string `json:"error"`
	Code      int    `json:"code,omitempty"` // 4001 for a refusal
	Reference string `json:"incident,omitempty"`
	Hint      string `json:"hint,omitempty"`
	exit      int
}

// fail prints an error and returns the exit code that goes with it.
func (e *env) fail(err error) int {
	if err == nil {
		return fine
	}
	t := e.trouble(err)
	if t.Error == "" {
		return t.exit
	}
	if e.json {
		json.NewEncoder(e.stderr).Encode(t)
		return t.exit
	}
	fmt.Fprintf(e.stderr, "readmit: %s\n", clean(t.Error))
	if t.Reference != "" {
		fmt.Fprintf(e.stderr, "incident: %s\n", clean(t.Reference))
	}
	if t.Hint != "" {
		fmt.Fprintf(e.stderr, "hint: %s\n", clean(t.Hint))
	}
	return t.exit
}

func (e *env) trouble(err error) trouble {
	var (
		usage   usageError
		exit    exitError
		refused *agent.RefusedError
		problem *api.Problem
		gone    *agent.UnreachableError
		moved   *agent.AddressError
		state   *agent.StateError
		unkept  *agent.WriteError
		keys    *agent.KeyStoreError
		open    *resident.FolderError
		hangs   *resident.HangsError
	)
	switch {
	case errors.As(err, &usage):
		return trouble{Error: err.Error(), Hint: "run: " + cmp.Or(e.command, "readmit") + " --help", exit: misused}
	case errors.As(err, &exit):
		return trouble{Error: exit.text, Hint: exit.hint, exit: exit.code}
	case errors.As(err, &refused):
		return trouble{Error: refused.Error(), Code: api.Failed, Reference: refused.Reference, Hint: e.whereToAsk(refused), exit: failed}
	case errors.As(err, &problem):
		return ofProblem(problem)
	case errors.As(err, &moved):
		return trouble{Error: moved.Error(), Hint: "say --server " + moved.Public, exit: misused}
	case errors.As(err, &gone):
		return trouble{Error: gone.Error(), Hint: "nothing was checked; to find out why, run: readmit doctor --server " + gone.Server, exit: unchecked}
	case errors.As(err, &state):
		hint := "run: readmit doctor --fix"
		if state.Problem == agent.Newer {
			hint = "a newer readmit wrote it: update this program, or use that one; this one changes nothing"
		}
		return trouble{Error: state.Error(), Hint: hint, exit: failed}
	case errors.As(err, &keys):
		return trouble{Error: keys.Error() + "; it has this device's key", Hint: "unlock it (sign in to the desktop, or open the system's program for passwords) and run the command again; more: readmit doctor", exit: failed}
	case errors.As(err, &unkept):
		return trouble{Error: unkept.Error(), Hint: toWrite(unkept), exit: failed}
	case errors.As(err, &hangs):
		return trouble{Error: err.Error(), Hint: toEnd(hangs), exit: failed}
	case errors.As(err, &open):
		t := trouble{Error: err.Error(), exit: failed}
		if len(open.Argv) > 0 {
			t.Hint = "run: " + command(open.Argv) + "; then run the command again"
		}
		return t
	case errors.Is(err, agent.ErrNotEnrolled):
		return trouble{Error: err.Error(), Hint: "run: readmit sign-in --server URL --account ID", exit: needPerson}
	case errors.Is(err, agent.ErrNotSignedIn):
		return trouble{Error: err.Error(), Hint: "run: readmit sign-in", exit: needPerson}
	case errors.Is(err, agent.ErrNoAttempt):
		return trouble{Error: err.Error(), Hint: "begin one: readmit sign-in", exit: needPerson}
	case errors.Is(err, agent.ErrNoRecovery):
		return trouble{Error: err.Error(), Hint: "begin one: readmit recover --server URL --account ID", exit: needPerson}
	case errors.Is(err, agent.ErrCodeForm):
		return trouble{Error: err.Error(), Hint: "the sign-in still waits: readmit sign-in --code DIGITS", exit: misused}
	case errors.Is(err, agent.ErrPassword):
		return trouble{Error: err.Error(), Hint: "several words that only you put together are long enough and easy to keep", exit: failed}
	case errors.Is(err, context.Canceled):
		return trouble{Error: "interrupted", exit: failed}
	}
	return trouble{Error: err.Error(), exit: failed}
}

// toWrite says what a person does about a home that takes no file.
func toWrite(e *agent.WriteError) string {
	switch {
	case errors.Is(e, syscall.EROFS):
		return "that file system is read-only: mount it writable, or set READMIT_HOME to a folder elsewhere; then run the command again"
	case errors.Is(e, fs.ErrPermission):
		return "it is not yours to write, as after a command run with sudo: give it back to yourself (chown, chmod); then run the command again"
	}
	return "make room there, and see that the folder is yours to write; then run the command again"
}

// toEnd says what a person does about an agent that cannot be told to end.
func toEnd(e *resident.HangsError) string {
	switch {
	case e.Other:
		return "run the command as that user"
	case e.PID == 0:
		return "end that process yourself, then run the command again"
	case isWindows:
		return fmt.Sprintf("if that process is readmit, end it yourself (taskkill /f /pid %d), then run the command again", e.PID)
	}
	return fmt.Sprintf("if that process is readmit, end it yourself (kill -9 %d), then run the command again", e.PID)
}

func ofProblem(p *api.Problem) trouble {
	t := trouble{Error: p.Error(), Code: p.Code, exit: failed}
	switch p.Code {
	case api.Unavailable:
		t.Error, t.exit = "the account server cannot do its work now; your password was not checked", unchecked
		t.Hint = "it is not you: try again in a few minutes, or run: readmit doctor"
	case api.TooMany:
		t.exit, t.Hint = unchecked, "wait a minute and try again"
	case api.StaleProof:
		t.exit, t.Hint = unchecked, "run the command again"
	}
	return t
}

// whereToAsk says where a refusal is explained. What anyone may know is
// explained on this device; a device that is enrolled for the account may know
// more, which one that was removed since does not know of itself; for all others
// the reference goes to a device that is signed in.
func (e *env) whereToAsk(r *agent.RefusedError) string {
	const here = "run: readmit explain "
	if r.Public != string(cause.Refused) {
		return r.Title + "; " + here + r.Reference
	}
	if a, err := e.agent(); err == nil {
		if id, err := a.Identity(); err == nil && a.Enrolled(id, r.Reference) {
			return "on this device, if it is still enrolled for the account, or on one that is signed in to it, " + here + r.Reference
		}
	}
	return "on a device that is signed in to this account, " + here + r.Reference
}
