// Package agent is the device's side: what a device keeps, and how it talks to
// the account server.
//
// What it keeps lies in one folder, each file whole or not at all: written
// beside, synced and renamed, with a version and a checksum, so that damage is
// seen and never guessed around. The enrolment, which cannot be had again
// without a code, is kept twice.
package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"readmit.dev/readmit/keystore"
)

// Files of a home.
const (
	IdentityFile = "identity.json"
	IdentityCopy = "identity.json.copy"
	SessionFile  = "session.json"
	AttemptFile  = "attempt.json"
	FoldersFile  = "folders.json" // see package folders
	AgentFile    = "agent.json"   // the resident agent's; see package resident
	IncidentsDir = "incidents"
	lockFile     = "lock"
	repairLock   = "repairs.lock"
	agentLock    = "agent.lock"
)

// keptIncidents is how many refusals a device remembers.
const keptIncidents = 50

// Identity is what a device is: its key, and what it is enrolled for.
type Identity struct {
	Key         string `json:"key"`        // PEM, PKCS #8
	Thumbprint  string `json:"thumbprint"` // hex, of the key that was enrolled
	Server      string `json:"server,omitempty"`
	Account     string `json:"account,omitempty"` // empty: not enrolled
	Device      string `json:"device,omitempty"`
	Name        string `json:"name,omitempty"`
	CodeSecret  []byte `json:"code_secret,omitempty"`
	Certificate string `json:"certificate,omitempty"` // hex SHA-256 of the public key of the server's certificate

	// In the file, Key and CodeSecret are empty where the system's key store has
	// them, under the name Entry. InFile says that there was none.
	Entry  string `json:"entry,omitempty"`
	InFile bool   `json:"in_file,omitempty"`
	Told   bool   `json:"told,omitempty"` // that the key is in a file
}

// Enrolled reports whether the device is enrolled for an account.
func (i Identity) Enrolled() bool { return i.Account != "" }

// Session is a device's session and the access tokens it has.
type Session struct {
	ID     string           `json:"id"`
	Tokens map[string]Token `json:"tokens,omitempty"` // by audience; "" is the server
}

// Token is an access token in hand.
type Token struct {
	Value   string    `json:"value"`
	Expires time.Time `json:"expires"`
}

// Attempt is a sign-in whose password was proved and which waits for a code.
type Attempt struct {
	Server  string    `json:"server"`
	Account string    `json:"account"`
	ID      string    `json:"id"`
	Request string    `json:"request"`
	Name    string    `json:"name"`
	Tries   int       `json:"tries"` // wrong codes before it is over
	Expires time.Time `json:"expires"`
}

// Incident is a refusal as this device got it.
type Incident struct {
	Reference string    `json:"reference"`
	Sealed    string    `json:"sealed"`
	Server    string    `json:"server"`
	Account   string    `json:"account"` // as typed
	What      string    `json:"what"`
	At        time.Time `json:"at"`
}

// Problem is what is wrong with a file.
type Problem string

// What can be wrong with a file; the words of the check "state-file".
const (
	Missing    Problem = "missing"
	Malformed  Problem = "malformed"
	Unreadable Problem = "unreadable"
	WrongMode  Problem = "wrong-mode"
	Newer      Problem = "newer"
	Keyless    Problem = "keyless" // an enrolment whose key is not in this system's key store
)

// StateError says that a file of the home cannot be used.
type StateError struct {
	File    string
	Problem Problem
}

func (e *StateError) Error() string {
	if e.Problem == Newer {
		return "this device's state was written by a newer readmit: " + e.File
	}
	return fmt.Sprintf("this device's state is damaged: %s is %s", e.File, e.Problem)
}

// WriteError says that the home does not take a file: a full disk, a folder that
// is not ours to write.
type WriteError struct {
	Path string
	Err  error
}

func (e *WriteError) Error() string {
	return fmt.Sprintf("this device's state cannot be written: %s: %s", e.Path, e.Why())
}

// Why is what the system says of it: no room, no right.
func (e *WriteError) Why() string {
	if p := new(fs.PathError); errors.As(e.Err, &p) {
		return p.Err.Error() // the file beside it is of no interest
	}
	return e.Err.Error()
}

func (e *WriteError) Unwrap() error { return e.Err }

// Home is the folder in which a device keeps its state.
type Home struct {
	dir  string
	keys keystore.Store // nil: secrets stay in the files
}

// OpenHome takes the folder READMIT_HOME, or readmit in the system's
// configuration folder; it makes it where it is missing.
func OpenHome(getenv func(string) string) (Home, error) {
	dir := getenv("READMIT_HOME")
	if dir == "" {
		var err error
		if dir, err = usual(); err != nil {
			return Home{}, fmt.Errorf("no folder for this device's state: set READMIT_HOME: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, IncidentsDir), 0o700); err != nil {
		return Home{}, fmt.Errorf("this device's state folder: %w: set READMIT_HOME to one that can be written", err)
	}
	return Home{dir: dir}, nil
}

// usual is the folder where nothing else is said.
func usual() (string, error) {
	base, err := os.UserConfigDir()
	return filepath.Join(base, "readmit"), err
}

// Path is where a file of the home lies.
func (h Home) Path(name string) string { return filepath.Join(h.dir, name) }

// Dir is the folder.
func (h Home) Dir() string { return h.dir }

// Lock waits until no other command changes this home.
func (h Home) Lock(ctx context.Context) (unlock func(), err error) {
	return lock(ctx, h.Path(lockFile))
}

// LockRepairs waits until no other command examines or repairs this home. Its
// holder takes Lock as well while it changes something.
func (h Home) LockRepairs(ctx context.Context) (unlock func(), err error) {
	return lock(ctx, h.Path(repairLock))
}

// Sole waits until no agent runs for this home; whoever holds it is the one.
func (h Home) Sole(ctx context.Context) (unlock func(), err error) {
	return lock(ctx, h.Path(agentLock))
}

// lock waits for a file's lock, which ends with unlock or with the process, or
// for the interruption of the command: the system's own waiting does not end
// when Ctrl-C is caught. It returns a WriteError where the file is not ours.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &WriteError{path, err}
	}
	locked := make(chan error, 1)
	go func() { locked <- exclusively(f) }()
	select {
	case err := <-locked:
		if err != nil {
			f.Close()
			return nil, err
		}
		return func() { f.Close() }, nil
	case <-ctx.Done():
		go func() { // whoever gives up must not keep what comes after all
			<-locked
			f.Close()
		}()
		return nil, ctx.Err()
	}
}

type wrapped struct {
	Version int             `json:"version"`
	Sum     string          `json:"sum"` // hex SHA-256 of the content
	Content json.RawMessage `json:"content"`
}

// Load reads one file into v. It returns a StateError.
func (h Home) Load(name string, v any) error {
	path := h.Path(name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &StateError{name, Missing}
	}
	if err != nil || !info.Mode().IsRegular() {
		return &StateError{name, Unreadable}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return &StateError{name, Unreadable}
	}
	if problem := decode(b, v); problem != "" {
		return &StateError{name, problem}
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return &StateError{name, WrongMode}
	}
	return nil
}

func decode(b []byte, v any) Problem {
	var w wrapped
	if json.Unmarshal(b, &w) != nil {
		return Malformed
	}
	if w.Version > stateVersion {
		return Newer
	}
	if sum := sha256.Sum256(w.Content); w.Version < 1 || w.Sum != hex.EncodeToString(sum[:]) || json.Unmarshal(w.Content, v) != nil {
		return Malformed
	}
	return ""
}

// Content is a value as a file of a home has it.
func Content(v any) ([]byte, error) {
	content, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	b, err := json.Marshal(wrapped{versionOf(v), hex.EncodeToString(sum[:]), content})
	return append(b, '\n'), err
}

// Save writes one file, whole or not at all.
func (h Home) Save(name string, v any) error {
	b, err := Content(v)
	if err != nil {
		return err
	}
	return h.WriteWhole(name, b)
}

// room is more than all that a sign-in writes.
const room = 32 << 10

// Room reports what would keep a sign-in from being written, before the account
// server has ended what this device had: with a WriteError that the home has no
// room, with a StateError that a newer readmit wrote some of it.
func (h Home) Room() error {
	if err := h.Ours(IdentityFile, IdentityCopy, SessionFile, AttemptFile, PendingFile); err != nil {
		return err
	}
	f, err := beside(h.Path(SessionFile), make([]byte, room))
	if err == nil {
		err = os.Remove(f)
	}
	if err != nil {
		return &WriteError{h.dir, err}
	}
	return nil
}

// beside writes a new file in the folder of another, and leaves none where that
// fails.
func beside(path string, b []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// WriteWhole puts bytes in place of a file, synced before the old ones go. It
// returns a WriteError, or a StateError where a newer readmit wrote the file.
func (h Home) WriteWhole(name string, b []byte) error {
	if err := h.Ours(name); err != nil {
		return err
	}
	path := h.Path(name)
	written, err := beside(path, b)
	if err != nil {
		return &WriteError{path, err}
	}
	if err := os.Rename(written, path); err != nil {
		os.Remove(written)
		return &WriteError{path, err}
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		defer d.Close()
		d.Sync() // some systems cannot sync a folder; the rename is atomic all the same
	}
	return nil
}

// Identity reads the enrolment.
func (h Home) Identity() (Identity, error) { return h.Enrolment(IdentityFile) }

// SaveIdentity writes the enrolment, twice; its secrets to the key store where
// there is one.
func (h Home) SaveIdentity(i Identity) error {
	i, err := h.locked(i)
	if err != nil {
		return err
	}
	return h.saveBoth(i)
}

// Session reads the session; a missing one is the zero Session.
func (h Home) Session() (Session, error) {
	var s Session
	err := h.Load(SessionFile, &s)
	if e := new(StateError); errors.As(err, &e) && e.Problem == Missing {
		return Session{}, nil
	}
	return s, err
}

// Remove takes a file away that is of no use any more; a missing one is fine. It
// returns a StateError where a newer readmit wrote the file.
func (h Home) Remove(name string) error {
	if err := h.Ours(name); err != nil {
		return err
	}
	if err := os.Remove(h.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// KeepIncident remembers a refusal, and forgets the oldest beyond fifty.
func (h Home) KeepIncident(i Incident) error {
	if err := h.Save(filepath.Join(IncidentsDir, i.Reference+".json"), i); err != nil {
		return err
	}
	files, err := os.ReadDir(h.Path(IncidentsDir))
	if err != nil || len(files) <= keptIncidents {
		return err
	}
	slices.SortFunc(files, func(a, b os.DirEntry) int { return modified(a).Compare(modified(b)) })
	for _, f := range files[:len(files)-keptIncidents] {
		err := h.Remove(filepath.Join(IncidentsDir, f.Name()))
		if e := new(StateError); err != nil && !errors.As(err, &e) { // a newer readmit's stays
			return err
		}
	}
	return nil
}

func modified(e os.DirEntry) time.Time {
	info, err := e.Info()
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Incident finds a refusal that this device remembers.
func (h Home) Incident(reference string) (Incident, bool) {
	var i Incident
	err := h.Load(filepath.Join(IncidentsDir, reference+".json"), &i)
	return i, err == nil
}

// IncidentOf finds the remembered refusal with this sealed text.
func (h Home) IncidentOf(sealed string) (Incident, bool) {
	files, err := os.ReadDir(h.Path(IncidentsDir))
	if err != nil {
		return Incident{}, false
	}
	for _, f := range files {
		var i Incident
		if h.Load(filepath.Join(IncidentsDir, f.Name()), &i) == nil && bytes.Equal([]byte(i.Sealed), []byte(sealed)) {
			return i, true
		}
	}
	return Incident{}, false
}
