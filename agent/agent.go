package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/opaque"
)

// Agent acts for one device: it reads and writes its home, and calls the
// account server. Each method holds the home's lock while it changes something.
type Agent struct {
	Home    Home
	Now     func() time.Time
	Version string // of this program

	// Note tells the person something once; nil tells nobody.
	Note func(text string)
}

// ErrNotEnrolled: the command needs an account, and this device has none.
var ErrNotEnrolled = errors.New("this device is not enrolled for an account")

// ErrNotSignedIn: the command needs a session, and there is none.
var ErrNotSignedIn = errors.New("this device is not signed in")

// ErrNoAttempt: a code was given and no sign-in waits for one.
var ErrNoAttempt = errors.New("no sign-in on this device waits for a code")

// RefusedError is a refusal as a device gets it. The incident is kept in the home.
type RefusedError struct {
	What      string // what was tried: "sign-in", "token"
	Reference string
	Public    string // the cause that anyone may know, or "refused"
	Title     string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%s failed (%d)", e.What, api.Failed) }

// Self is what this client says of itself.
func (a *Agent) Self() api.Client {
	system, version := System()
	return api.Client{Name: "readmit", Version: a.Version, System: system, SystemVersion: version, Protocol: api.Protocol}
}

// Identity reads the enrolment; a home without one gives ErrNotEnrolled.
func (a *Agent) Identity() (Identity, error) {
	i, err := a.Home.Identity()
	if err != nil {
		if a.fresh(err) {
			return i, ErrNotEnrolled
		}
		return i, err
	}
	if !i.Enrolled() {
		return i, ErrNotEnrolled
	}
	return i, nil
}

// fresh reports whether there is no identity because there never was one.
func (a *Agent) fresh(err error) bool {
	var copied Identity
	return missing(err) && missing(a.Home.Load(IdentityCopy, &copied))
}

func missing(err error) bool {
	e := new(StateError)
	return errors.As(err, &e) && e.Problem == Missing
}

// key returns the device's key, and makes one at first need.
func (a *Agent) key() (Identity, device.Key, error) {
	i, k, err := a.keyInHand()
	if err != nil || i.Key != "" {
		return i, k, err
	}
	pem, err := k.MarshalPEM()
	if err != nil {
		return i, k, err
	}
	if err := a.Home.SaveIdentity(Identity{Key: string(pem)}); err != nil {
		return i, k, err
	}
	i, err = a.Home.Identity()
	return i, k, err
}

// keyInHand returns the device's key, or, where it has none yet, one that is
// kept nowhere: asking changes no file, and a repair that has just moved a
// damaged enrolment aside can still be undone.
func (a *Agent) keyInHand() (Identity, device.Key, error) {
	i, err := a.Home.Identity()
	if err == nil {
		k, err := device.ParseKey([]byte(i.Key))
		if err != nil {
			return i, k, &StateError{IdentityFile, Malformed}
		}
		return i, k, nil
	}
	if !a.fresh(err) {
		return i, device.Key{}, err
	}
	k, err := device.GenerateKey()
	return Identity{}, k, err
}

// call makes a signed call; a refusal is kept and comes back as RefusedError.
func (a *Agent) call(ctx context.Context, c *Client, account, what, path string, in, out any) error {
	err := c.Call(ctx, path, in, out)
	p := new(api.Problem)
	if !errors.As(err, &p) || p.Code != api.Failed {
		return err
	}
	return a.kept(c, account, what, p)
}

// kept keeps a refusal, and returns it as one.
func (a *Agent) kept(c *Client, account, what string, p *api.Problem) error {
	public := p.Type[strings.LastIndexByte(p.Type, '/')+1:]
	ref, ok := api.NormaliseReference(p.Reference)
	if !ok {
		return &UnreachableError{c.Server, OtherServer, errors.New("a refusal without a reference")}
	}
	kept := Incident{Reference: ref, Sealed: p.Incident, Server: c.Server, Account: account, What: what, At: a.Now()}
	return errors.Join(&RefusedError{What: what, Reference: ref, Public: public, Title: p.Title}, a.Home.KeepIncident(kept))
}

// SignUp creates the account with this device as its first.
func (a *Agent) SignUp(ctx context.Context, server, account, invitation, password, name string) error {
	unlock, err := a.Home.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := a.Home.Room(); err != nil {
		return err
	}
	id, key, err := a.key()
	if err != nil {
		return err
	}
	if id.Enrolled() {
		return fmt.Errorf("this device is enrolled for %s already: to make another account, set READMIT_HOME to another folder", id.Account)
	}
	if err := CheckNewPassword(password, account); err != nil {
		return err
	}
	prepared, err := PreparePassword(password)
	if err != nil {
		return err
	}
	c := NewClient(server, key, a.Now)
	defer c.Close()
	hello, err := c.Hello(ctx)
	if err != nil {
		return err
	}
	registration, request, err := opaque.StartRegistration(prepared)
	if err != nil {
		return err
	}
	var started api.SignUpStarted
	if err := a.call(ctx, c, account, "sign-up", api.PathSignUpStart, api.SignUpStart{Account: account, Invitation: invitation, Request: request, Client: a.Self()}, &started); err != nil {
		return err
	}
	record, err := finishRegistration(c, registration, started.Response, hello.Stretch)
	if err != nil {
		return err
	}
	var done api.SignedIn
	finish := api.SignUpFinish{Account: account, Invitation: invitation, Record: record, Stretch: hello.Stretch, DeviceName: name, Client: a.Self()}
	if err := a.begin(c.Server, account, name); err != nil {
		return err
	}
	if err := a.call(ctx, c, account, "sign-up", api.PathSignUpFinish, finish, &done); err != nil {
		return a.over(err)
	}
	return a.enrolled(c, id, key, name, done)
}

func finishRegistration(c *Client, r *opaque.Registration, response []byte, s api.Stretch) ([]byte, error) {
	stretch, err := stretchOf(c, s)
	if err != nil {
		return nil, err
	}
	record, _, err := r.Finish(response, stretch)
	if err != nil {
		return nil, &UnreachableError{c.Server, OtherServer, err}
	}
	return record, nil
}

// stretchOf checks what a server asks the client to spend.
func stretchOf(c *Client, s api.Stretch) (opaque.Stretch, error) {
	out := opaque.Stretch{Memory: s.Memory, Time: s.Time, Threads: s.Threads}
	if err := out.Validate(); err != nil {
		return out, &UnreachableError{c.Server, OtherServer, err}
	}
	return out, nil
}

// enrolled keeps what a completed sign-in gave. The session is written last:
// without it the device is enrolled and signs in again, never the reverse.
func (a *Agent) enrolled(c *Client, id Identity, key device.Key, name string, done api.SignedIn) error {
	if id.Enrolled() && (id.Account != done.Account || id.Server != c.Server) {
		if err := a.setAside(); err != nil {
			return err
		}
	}
	thumbprint := key.Thumbprint()
	if id.Device != done.Device || id.Name == "" {
		id.Name = name
	}
	id.Thumbprint, id.Server, id.Account = hex.EncodeToString(thumbprint[:]), c.Server, done.Account
	id.Device, id.CodeSecret, id.Certificate = done.Device, done.CodeSecret, c.Certificate
	tell := id.InFile && !id.Told
	id.Told = id.InFile
	if err := a.Home.SaveIdentity(id); err != nil {
		return err
	}
	if err := a.saveSession(done); err != nil {
		return err
	}
	if tell && a.Note != nil {
		a.Note("this system has no key store in reach: this device's key is kept in a file that only you can read (" + a.Home.Path(IdentityFile) + ")")
	}
	return errors.Join(a.Home.Remove(AttemptFile), a.Home.Remove(PendingFile))
}

func (a *Agent) saveSession(done api.SignedIn) error {
	return a.Home.Save(SessionFile, Session{ID: done.Session, Tokens: map[string]Token{"": a.token(done.AccessToken, done.ExpiresIn)}})
}

func (a *Agent) token(value string, seconds int) Token {
	return Token{Value: value, Expires: a.Now().Add(time.Duration(seconds) * time.Second)}
}

// sameAccount compares identifiers as the account server does.
func sameAccount(x, y string) bool {
	return identifier.Normalise(x) == identifier.Normalise(y)
}
