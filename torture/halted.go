package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/lockout"
)

// Kinds of change that a stopped node or service has not heard of.
const (
	ofPassword = "password change"
	ofRemoval  = "device removal"
	ofLock     = "lock"
	ofDisable  = "disable"
	ofSignOut  = "sign-out"
)

// after is how long each answer is looked at when a process goes on.
const after = time.Second

// halted stops a node and a service, lets changes be made at another node, and
// lets both go on: what the node answers from then on must be of the present or
// "I do not know", and the service must hear within the second.
func (t *torture) halted(ctx context.Context, rounds int) (string, error) {
	f, end, err := newFleetAlone(t.binary)
	if err != nil {
		return "", err
	}
	defer end()
	if err := f.start(ctx); err != nil {
		return "", err
	}
	shop, err := f.openShop(ctx, t.binary)
	if err != nil {
		return "", err
	}
	defer shop.close()
	c := newCrowd(f)
	seen := &answers{count: map[string]int{}}
	for round := 1; round <= rounds; round++ {
		if err := c.haltedOnce(ctx, f, shop, seen); err != nil {
			return "", fmt.Errorf("round %d: %w", round, err)
		}
		fmt.Fprintf(t.stderr, "halted: %d of %d: %s\n", round, rounds, seen)
	}
	return fmt.Sprintf("%d times a node and a service were stopped while passwords, devices, locks and accounts changed; of the node's first second after each: %s; no old \"yes\"", rounds, seen), nil
}

// answers counts what was answered in the first second after a process went on.
type answers struct {
	mu      sync.Mutex
	count   map[string]int
	service time.Duration // the longest that the service took an old token
}

func (a *answers) add(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[what]++
}

func (a *answers) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for what, n := range a.count {
		all = append(all, fmt.Sprintf("%d %s", n, what))
	}
	slices.Sort(all)
	return fmt.Sprintf("%s; the service took an old token for %d ms at most", strings.Join(all, ", "), a.service.Milliseconds())
}

// concerned is a person of whom something changes, and the tokens of before.
type concerned struct {
	*person
	kind    string
	key     device.Key // whose tokens they are
	session string
	own     string // for the account server
	shop    string // for the service
}

func (c *crowd) haltedOnce(ctx context.Context, f *fleet, s *shop, seen *answers) error {
	stopped, other := f.nodes[0], f.nodes[1]
	f.front.only(other.address, f.nodes[2].address)
	defer f.lead(f.nodes)
	var all []*concerned
	for _, kind := range []string{ofPassword, ofRemoval, ofLock, ofDisable, ofSignOut} {
		p, err := c.concern(ctx, kind, s.url())
		if err != nil {
			return fmt.Errorf("before a %s: %w", kind, err)
		}
		all = append(all, p)
	}
	for _, p := range all {
		for _, at := range []struct {
			name string
			show func(context.Context, *concerned) (int, string, error)
		}{{"the node", stopped.show}, {"the service", s.show}} {
			if err := taken(ctx, p, at.name, at.show); err != nil {
				return err
			}
		}
	}
	running := []*os.Process{stopped.process.Process, s.process.Process}
	for _, p := range running {
		if err := halt(p); err != nil {
			return err
		}
	}
	goOn := sync.OnceValue(func() error { return errors.Join(proceed(running[0]), proceed(running[1])) })
	defer goOn()
	changed := time.Now()
	for _, p := range all {
		if err := p.makeChange(ctx, other); err != nil {
			return fmt.Errorf("a %s: %w", p.kind, err)
		}
	}
	length := 3*time.Second + rand.N(3*time.Second)
	time.Sleep(time.Until(changed.Add(length - 100*time.Millisecond)))

	// Some ask while it still stands, and are answered the moment it goes on.
	failed := make(chan error, 64)
	var asking sync.WaitGroup
	begin := func(do func() error) {
		asking.Go(func() {
			if err := do(); err != nil {
				failed <- err
			}
		})
	}
	for _, p := range all {
		begin(func() error { return p.askNode(ctx, stopped, seen) })
		begin(func() error { return p.askService(ctx, s, seen, changed) })
	}
	time.Sleep(100 * time.Millisecond)
	if err := goOn(); err != nil {
		return err
	}
	// What goes through the store is of the present at once.
	f.front.only(stopped.address)
	for _, p := range all {
		begin(func() error { return p.askStore(ctx, seen) })
	}
	asking.Wait()
	close(failed)
	var wrong []error
	for err := range failed {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// concern makes a person, and gets tokens that a change will end, one for a
// service where it is named.
func (c *crowd) concern(ctx context.Context, kind, service string) (*concerned, error) {
	p := &concerned{kind: kind}
	for tries := 1; ; tries++ {
		p.person = c.join()
		err := p.signUp(ctx)
		if err == nil {
			break
		}
		// Identifiers share the counters of strangers, so somebody else's guesses
		// may have used up this one's.
		if busy := new(api.Problem); tries == 5 || !errors.As(err, &busy) || busy.Code != api.TooMany {
			return nil, err
		}
	}
	p.key, p.session = p.first, p.in.Session
	if kind == ofRemoval {
		if err := p.enrol(ctx); err != nil {
			return nil, err
		}
		p.key, p.session = p.second, p.enrolled.Session
	}
	if kind == ofLock {
		for range lockout.FailedLimit - 1 {
			if err := p.slip(ctx); err != nil {
				return nil, err
			}
		}
	}
	token := func(audience string) (string, error) {
		var out api.Token
		err := c.call(ctx, p.key, api.PathToken, api.TokenRequest{Session: p.session, Audience: audience}, &out)
		return out.AccessToken, err
	}
	var err error
	if p.own, err = token(""); err == nil && service != "" {
		p.shop, err = token(service)
	}
	return p, err
}

// slip is a wrong password on the enrolled device.
func (p *person) slip(ctx context.Context) error {
	err := p.signIn(ctx, p.first, newSecret(), api.ForSignIn, new(api.SignInFinished))
	if refused(err) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%w: a wrong password was accepted", errWrong)
	}
	return err
}

// makeChange makes it, at a node whose socket is the operator's.
func (p *concerned) makeChange(ctx context.Context, at *server) error {
	switch p.kind {
	case ofPassword:
		return p.change(ctx)
	case ofRemoval:
		return p.crowd.call(ctx, p.first, api.PathRemoveDevice, api.SignedID{Session: p.in.Session, ID: p.enrolled.Device[:8]}, nil)
	case ofLock:
		return p.slip(ctx)
	case ofSignOut:
		return p.crowd.call(ctx, p.first, api.PathSignOut, api.Signed{Session: p.session}, nil)
	}
	return at.operate(ctx, api.AdminDisable, api.AdminAccount{Account: p.id})
}

// ends reports whether the change ends tokens: a lock refuses whoever comes
// anew, and ends none.
func (p *concerned) ends() bool { return p.kind != ofLock }

// taken sees that a token is taken before the change.
func taken(ctx context.Context, p *concerned, at string, show func(context.Context, *concerned) (int, string, error)) error {
	for end := time.Now().Add(back); ; time.Sleep(20 * time.Millisecond) {
		status, why, err := show(ctx, p)
		if err == nil && status == http.StatusOK {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("%s does not take a good token: %d %s %w", at, status, why, orNone(err))
		}
	}
}

func orNone(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// askNode shows the old token again and again until the first second is over.
func (p *concerned) askNode(ctx context.Context, n *server, seen *answers) error {
	var over time.Time
	for over.IsZero() || time.Now().Before(over) {
		status, why, err := n.show(ctx, p)
		if over.IsZero() { // the first answer comes when it goes on
			over = time.Now().Add(after)
		}
		switch {
		case err != nil:
			return err
		case status == http.StatusOK && p.ends():
			return fmt.Errorf("%w: a node that went on takes a token of before a %s", errWrong, p.kind)
		case status == http.StatusOK:
			seen.add("tokens taken after a lock, which ends none")
		case status == http.StatusServiceUnavailable:
			seen.add("times \"I do not know\"")
		case status == http.StatusUnauthorized && p.ends():
			seen.add("times refused")
		default:
			return fmt.Errorf("%w: a node answers a token of before a %s with %d %s", errWrong, p.kind, status, why)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// askService shows the old token to a service that went on: it refuses within a
// second, and never takes one that it has refused. No token is older than its
// life here, which is what bounds a service that hears nothing.
func (p *concerned) askService(ctx context.Context, s *shop, seen *answers, changed time.Time) error {
	if !p.ends() {
		return nil
	}
	var first, last time.Time // of what was answered
	for {
		status, why, err := s.show(ctx, p)
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		switch {
		case err != nil:
			return err
		case status == http.StatusOK && now.Sub(changed) > tokenLife:
			return fmt.Errorf("%w: a service takes a token that has ended", errWrong)
		case status == http.StatusOK && now.Sub(first) > back:
			return fmt.Errorf("%w: a service that went on takes a token of before a %s for %s", errWrong, p.kind, now.Sub(first))
		case status == http.StatusOK:
			last = now
			time.Sleep(5 * time.Millisecond)
			continue
		case status != http.StatusUnauthorized:
			return fmt.Errorf("%w: a service answers a token of before a %s with %d %s", errWrong, p.kind, status, why)
		}
		if !last.IsZero() {
			seen.mu.Lock()
			seen.service = max(seen.service, last.Sub(first))
			seen.mu.Unlock()
		}
		if status, why, err := s.show(ctx, p); err != nil || status == http.StatusOK {
			return fmt.Errorf("%w: a service takes a token of before a %s that it has refused: %s %w", errWrong, p.kind, why, orNone(err))
		}
		return nil
	}
}

// tokenLife is how long an access token lives.
const tokenLife = 5 * time.Minute

// askStore asks the node what it can only answer from the store.
func (p *concerned) askStore(ctx context.Context, seen *answers) error {
	err := p.signIn(ctx, p.key, p.before(), api.ForSignIn, new(api.SignInFinished))
	what := "sign-ins"
	if p.kind == ofSignOut {
		what = "refreshes"
		err = p.crowd.call(ctx, p.key, api.PathToken, api.TokenRequest{Session: p.session}, new(api.Token))
	}
	switch {
	case err == nil && p.kind != ofRemoval:
		return fmt.Errorf("%w: %s after a %s at another node goes well", errWrong, what, p.kind)
	case refused(err):
		seen.add(what + " refused")
		return nil
	case err == nil:
		// A removed device is a new one: it is asked for a code.
		seen.add("removed devices asked for a code")
		return nil
	case errors.Is(err, errNothing):
		seen.add(what + " answered \"cannot work now\"")
		return nil
	}
	return err
}

// before is the password of before the change.
func (p *concerned) before() secret {
	if p.kind == ofPassword {
		return p.former
	}
	return p.password
}

// show shows the token for the account server at this very node.
func (s *server) show(ctx context.Context, p *concerned) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+api.PathWhoAmI, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "DPoP "+p.own)
	return ask(r)
}

// asker keeps no connections: each question meets the process as it is.
var asker = http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask makes a request and returns its status and, of a problem, the reason.
func ask(r *http.Request) (int, string, error) {
	a, err := asker.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	var why struct {
		Reason string `json:"reason"`
	}
	json.Unmarshal(text, &why)
	return a.StatusCode, why.Reason, err
}

// shop is the example service, a process of its own.
type shop struct {
	address string
	process *exec.Cmd
}

func (s *shop) url() string { return "http://" + s.address }

// openShop registers the example service and starts it.
func (f *fleet) openShop(ctx context.Context, readmit string) (*shop, error) {
	program := filepath.Join(f.dir, "service")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "readmit.dev/readmit/examples/service").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the example service: %w: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &shop{address: l.Addr().String()}
	l.Close()
	file := filepath.Join(f.dir, "shop.secret")
	out, err := exec.CommandContext(ctx, readmit, "admin", "--data", f.nodes[0].data, "service", "add", "shop", "--audience", s.url(), "--secret-file", file).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("readmit admin service add: %w: %s", err, out)
	}
	s.process = exec.Command(program, "--issuer", f.url(), "--audience", s.url(), "--secret-file", file, "--listen", s.address)
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		a, err := asker.Get(s.url() + "/status")
		if err != nil {
			continue
		}
		var state struct {
			Ready bool `json:"ready"`
		}
		err = json.NewDecoder(a.Body).Decode(&state)
		a.Body.Close()
		if err == nil && state.Ready {
			// Tokens of the second it was started in are refused once.
			time.Sleep(1100 * time.Millisecond)
			return s, nil
		}
	}
	s.close()
	return nil, errors.New("the example service does not hear of signals")
}

func (s *shop) close() {
	proceed(s.process.Process)
	s.process.Process.Kill()
	s.process.Wait()
}

// show shows the token for the service, with a proof.
func (s *shop) show(ctx context.Context, p *concerned) (int, string, error) {
	address := s.url() + "/notes"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	proof, err := p.key.Sign(device.Request{Method: http.MethodGet, URL: address, Token: p.shop, Time: time.Now()})
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "DPoP "+p.shop)
	r.Header.Set(api.HeaderProof, proof)
	return ask(r)
}
