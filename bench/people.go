package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// person is an account with its enrolled device.
type person struct {
	id      string
	key     *key
	session string
	token   string
	device  string // its ID, of a second device

	// What a client works out once and the load uses again: the randomized
	// password, and the first message with its blind. Both are the client's
	// own work; the server's is the same for each message.
	randomized []byte
	login      *opaque.Login
	ke1        []byte
}

// password is everybody's: which one it is costs the server nothing.
const password = "correct horse battery staple"

// client is what the generator says of itself.
var client = api.Client{Name: "readmit", Version: "0.1.0", System: "linux", SystemVersion: "6.1", Protocol: api.Protocol}

// stretch is what records say they were made with. It is never run: see signUp.
var stretch = api.Stretch{Memory: 64 << 10, Time: 3, Threads: 4}

func identifier(n int) string { return fmt.Sprintf("person-%04d@example.org", n) }

// call makes a signed call and reads its answer; an answer other than 200 is
// an error.
func call(c *conn, k *key, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, answer, err := c.post(k, path, body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if status != 200 {
		return refused(path, status, answer)
	}
	return json.Unmarshal(answer, out)
}

func refused(path string, status int, answer []byte) error {
	var p api.Problem
	if err := json.Unmarshal(answer, &p); err != nil {
		return fmt.Errorf("%s: status %d", path, status)
	}
	return fmt.Errorf("%s: %d: %w", path, p.Code, &p)
}

// randomized draws a stretched password.
func randomized() []byte {
	b := make([]byte, 64)
	rand.Read(b)
	return b
}

// signUp makes an account. The stretched password is drawn instead of worked
// out: Argon2id's outcome is as random, and the server cannot tell.
func signUp(c *conn, n int) (*person, error) {
	p := &person{id: identifier(n), randomized: randomized()}
	var err error
	if p.key, err = newKey(); err != nil {
		return nil, err
	}
	r, request, err := opaque.StartRegistration([]byte(password))
	if err != nil {
		return nil, err
	}
	var started api.SignUpStarted
	if err := call(c, p.key, api.PathSignUpStart, api.SignUpStart{Account: p.id, Request: request, Client: client}, &started); err != nil {
		return nil, err
	}
	record, _, err := r.FinishWith(started.Response, p.randomized)
	if err != nil {
		return nil, err
	}
	var done api.SignedIn
	err = call(c, p.key, api.PathSignUpFinish, api.SignUpFinish{
		Account: p.id, Record: record, Stretch: stretch, DeviceName: "bench", Client: client,
	}, &done)
	if err != nil {
		return nil, err
	}
	p.session, p.token = done.Session, done.AccessToken
	p.login, p.ke1, err = opaque.StartLogin([]byte(password))
	return p, err
}

// start is the body of the first message.
func start(account string, ke1 []byte) ([]byte, error) {
	return json.Marshal(api.SignInStart{Account: account, Purpose: api.ForSignIn, KE1: ke1, DeviceName: "bench", Client: client})
}

// signIn signs in on the enrolled device.
func (p *person) signIn(c *conn) error {
	body, err := start(p.id, p.ke1)
	if err != nil {
		return err
	}
	state, ke2, err := begin(c, p.key, body)
	if err != nil {
		return err
	}
	ke3, _, _, err := p.login.FinishWith(ke2, p.randomized)
	if err != nil {
		return err
	}
	var done api.SignInFinished
	if err := call(c, p.key, api.PathSignInFinish, api.SignInFinish{State: state, KE3: ke3}, &done); err != nil {
		return err
	}
	if done.SignedIn == nil {
		return errors.New("the right password on an enrolled device did not sign in")
	}
	p.session, p.token = done.SignedIn.Session, done.SignedIn.AccessToken
	return nil
}

func begin(c *conn, k *key, body []byte) (state, ke2 []byte, err error) {
	status, answer, err := c.post(k, api.PathSignInStart, body)
	if err != nil {
		return nil, nil, err
	}
	return started(status, answer)
}

func started(status int, answer []byte) (state, ke2 []byte, err error) {
	if status != 200 {
		return nil, nil, refused(api.PathSignInStart, status, answer)
	}
	var out api.SignInStarted
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, nil, err
	}
	return out.State, out.KE2, nil
}

// fail tries a wrong password from a key that is enrolled nowhere. A client
// whose answer did not open sends random bytes, so there is nothing to work
// out for the second message.
func fail(c *conn, k *key, account string, ke1 []byte) error {
	body, err := start(account, ke1)
	if err != nil {
		return err
	}
	state, _, err := begin(c, k, body)
	if err != nil {
		return err
	}
	body, err = finish(state)
	if err != nil {
		return err
	}
	status, answer, err := c.post(k, api.PathSignInFinish, body)
	if err != nil {
		return err
	}
	return isRefusal(status, answer)
}

func finish(state []byte) ([]byte, error) {
	return json.Marshal(api.SignInFinish{State: state, KE3: opaque.DecoyKE3()})
}

// isRefusal holds an answer to the one that every failed sign-in gets.
func isRefusal(status int, answer []byte) error {
	var p api.Problem
	if err := json.Unmarshal(answer, &p); err != nil || status != 401 || p.Code != api.Failed {
		return fmt.Errorf("want the refusal of a failed sign-in, got status %d, code %d", status, p.Code)
	}
	return nil
}

// refresh gets an access token by proof of possession.
func (p *person) refresh(c *conn) error {
	body, err := json.Marshal(api.TokenRequest{Session: p.session})
	if err != nil {
		return err
	}
	status, answer, err := c.post(p.key, api.PathToken, body)
	if err == nil && status != 200 {
		err = refused(api.PathToken, status, answer)
	}
	return err
}

// whoAmI checks the access token.
func (p *person) whoAmI(c *conn) error {
	status, answer, err := c.get(api.PathWhoAmI, p.token)
	if err == nil && status != 200 {
		err = refused(api.PathWhoAmI, status, answer)
	}
	return err
}
