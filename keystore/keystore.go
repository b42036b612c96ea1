// Package keystore keeps small secrets in the system's key store: Keychain,
// Credential Manager, Secret Service.
//
// Key stores wait for people: one that is locked may open a window, or answer
// never. Nothing here waits longer than Patience, and nothing here asks the
// system to unlock: a locked key store is an answer.
package keystore

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/zalando/go-keyring"
)

// service is under what name the entries lie; people see it in their system's
// list of passwords.
const service = "readmit"

// Patience is how long a key store may take for one answer.
const Patience = 5 * time.Second

// Store keeps secrets by name.
type Store interface {
	// Get returns ErrNoEntry or an *Error where there is none to return.
	Get(name string) (string, error)
	// Set returns an *Error where the secret was not kept.
	Set(name, value string) error
}

// ErrNoEntry: the key store is open and has nothing of that name.
var ErrNoEntry = errors.New("the key store has no such entry")

// Why a key store cannot be used; the words of the check "key-store".
const (
	Locked = "locked"
	Silent = "no-answer"
	Absent = "absent"
)

// Error says that the key store cannot be used now.
type Error struct {
	Why string // one of the constants above
	err error
}

func (e *Error) Error() string {
	switch e.Why {
	case Locked:
		return "the system's key store is locked"
	case Absent:
		return "the system's key store is not in reach"
	}
	return "the system's key store does not answer"
}

func (e *Error) Unwrap() error { return e.err }

// The values of READMIT_KEYSTORE.
const (
	modeFile   = "file"
	modeSystem = "system"
)

// System is this system's key store, or one that is absent where there is none
// or READMIT_KEYSTORE asks for files.
func System(getenv func(string) string) (Store, error) {
	switch mode := getenv("READMIT_KEYSTORE"); mode {
	case modeFile:
		return none{}, nil
	case "", modeSystem:
	default:
		return nil, fmt.Errorf("READMIT_KEYSTORE %q: want %s or %s", mode, modeSystem, modeFile)
	}
	if !inReach(getenv) {
		return none{}, nil
	}
	return system{}, nil
}

type none struct{}

func (none) Get(string) (string, error) { return "", &Error{Why: Absent} }
func (none) Set(string, string) error   { return &Error{Why: Absent} }

type system struct{}

func (system) Get(name string) (string, error) {
	return bounded(Patience, func() (string, error) {
		if err := look(); err != nil {
			return "", err
		}
		return keyring.Get(service, name)
	})
}

func (system) Set(name, value string) error {
	_, err := bounded(Patience, func() (string, error) {
		if err := look(); err != nil {
			return "", err
		}
		return "", keyring.Set(service, name, value)
	})
	return err
}

// bounded waits for an answer, and not for ever. What is late is left to itself.
func bounded(d time.Duration, ask func() (string, error)) (string, error) {
	type answer struct {
		value string
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask()
		answers <- answer{value, err}
	}()
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case a := <-answers:
		return a.value, sorted(a.err)
	case <-late.C:
		return "", &Error{Silent, errors.New("no answer in time")}
	}
}

// sorted puts an error under one of the reasons.
func sorted(err error) error {
	known := new(Error)
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, keyring.ErrNotFound):
		return ErrNoEntry
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return &Error{Absent, err}
	case runtime.GOOS == "darwin" && (strings.Contains(err.Error(), "exit status 36") || strings.Contains(err.Error(), "nteraction is not allowed")):
		return &Error{Locked, err} // errSecInteractionNotAllowed: it would have to ask
	}
	return &Error{why(err), err}
}

// Remembered asks a key store for each entry once. It is for the agent, which
// goes on when the key store is locked behind it.
func Remembered(s Store) Store { return &remembered{Store: s, known: map[string]string{}} }

type remembered struct {
	Store
	mu    sync.Mutex
	known map[string]string
}

func (r *remembered) Get(name string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.known[name]; ok {
		return v, nil
	}
	v, err := r.Store.Get(name)
	if err == nil {
		r.known[name] = v
	}
	return v, err
}

func (r *remembered) Set(name, value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, name) // so that reading back reads what was kept
	return r.Store.Set(name, value)
}
