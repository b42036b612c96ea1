// Package verify is for services: it checks the access tokens of an account
// server where the service runs, without asking that server, and follows its
// signals, so that a change of an account takes effect here within a second.
//
// What it keeps to:
//
//   - A check touches no network, but for a key that was never seen.
//   - A token older than the account's last known change is refused. What was
//     not heard cannot be known: with the account server out of reach, tokens
//     are good until they end, and Status says how old the news is.
//   - What is forgotten (a restart, a full memory) is made good by refusing
//     the tokens that were issued before: their owners refresh and come again.
//   - Nothing grows without a bound.
//
// One registration of a service is for one process: two that share it would
// each hear half of the signals.
package verify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/device"
)

const (
	// tokenLife is the longest a token may live. What signals say is kept for
	// that long and a minute, so a token that lived longer would outlive it.
	tokenLife = 5 * time.Minute
	// kept is how long an entry of the memory stays after its signal was heard.
	kept = tokenLife + time.Minute
	// leeway is how far nodes' clocks may be from this one's, unnoticed.
	leeway = 5 * time.Second
	// margin is how much later than a change, or than a start, a token may say
	// that it was issued which was issued before: a node's clock that is ahead by
	// more than leeway is not believed at all.
	margin = leeway
)

// Config says for which service tokens are checked, and of which account server.
type Config struct {
	Issuer   string // the account server's public address, as it stands in tokens
	Audience string // this service, as it is registered and stands in tokens
	// URL is where clients reach this service: scheme and host. Proofs are made
	// for it. Empty: the audience, which then must be such an address.
	URL string
	// Secret gives the service's credential (rms_…). It is asked for each call.
	Secret func() (string, error)
	// PushToken gives what the account server proves itself with when it pushes
	// signals to Push. Nil: signals are polled.
	PushToken func() (string, error)
	// Client calls the account server; redirects are not followed whatever it
	// says. Nil: one with bounds of its own.
	Client *http.Client
	// Entries bounds the accounts and sessions remembered at one time. Zero:
	// 262,144, some 50 MB. Beyond it the oldest is forgotten, and all tokens
	// that were issued before it are refused.
	Entries int
	// Log is told of failures, without tokens and secrets. Nil: nowhere.
	Log *slog.Logger
}

// entries is the bound when none is given: 500 changes/s for six minutes, and
// a half more.
const entries = 1 << 18

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	issuer, audience, base string

	secret, pushToken func() (string, error)
	http              *http.Client
	log               *slog.Logger

	clock    *clock
	keys     keyring
	tokens   tokens
	proofs   *device.Verifier
	replays  replays
	accounts accounts
	heard    heard
	reports  reports
	state    state
	stream   stream
}

// New makes a Verifier. It reaches for nothing before Run.
func New(c Config) (*Verifier, error) {
	issuer, err := origin("Issuer", c.Issuer)
	if err != nil {
		return nil, err
	}
	if c.Audience == "" || len(c.Audience) > 256 {
		return nil, errors.New("verify: Audience must name this service as it is registered, in 256 octets at most")
	}
	base := c.URL
	if base == "" {
		base = c.Audience
	}
	if base, err = origin("URL (or Audience, where URL is empty)", base); err != nil {
		return nil, err
	}
	if c.Secret == nil {
		return nil, errors.New("verify: Secret must give the service's credential: see SecretFile")
	}
	if c.Entries < 0 {
		return nil, fmt.Errorf("verify: Entries is %d, want 0 or more", c.Entries)
	}
	if c.Entries == 0 {
		c.Entries = entries
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{
		issuer: issuer, audience: c.Audience, base: base,
		secret: c.Secret, pushToken: c.PushToken, http: caller(c.Client), log: c.Log,
		clock: newClock(), proofs: device.NewVerifier(),
	}
	v.keys.fetching = make(chan struct{}, 1)
	v.accounts.most = c.Entries
	v.reports.wake = make(chan struct{}, 1)
	v.stream.doubt = make(chan struct{}, 1)
	return v, nil
}

// origin checks an address of scheme and host alone.
func origin(what, s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.TrimSuffix(s, "/") != u.Scheme+"://"+u.Host {
		return "", fmt.Errorf("verify: %s is %q, want an address without a path, such as https://id.example.org", what, s)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return "", fmt.Errorf("verify: %s is %q: without TLS only an address of this machine is allowed; write https", what, s)
	}
	return strings.TrimSuffix(s, "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxHeaders bounds the header of an answer.
const maxHeaders = 32 << 10

func caller(c *http.Client) *http.Client {
	own := http.Client{}
	if c != nil {
		own = *c
	}
	if own.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxResponseHeaderBytes = maxHeaders
		own.Transport = t
	}
	own.Jar, own.Timeout = nil, 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// Run fetches the keys, follows the signals and reports what was applied,
// until the context ends. Failures are not its end: they are tried again, and
// stand in Status.
func (v *Verifier) Run(ctx context.Context) error {
	defer v.http.CloseIdleConnections()
	if err := v.fetchFirstKeys(ctx); err != nil {
		return err
	}
	var all sync.WaitGroup
	all.Go(func() { v.keepKeys(ctx) })
	all.Go(func() { v.report(ctx) })
	all.Go(func() { v.watch(ctx) })
	if v.pushToken != nil {
		all.Go(func() { v.ping(ctx) })
	} else {
		all.Go(func() { v.poll(ctx) })
	}
	all.Wait()
	return ctx.Err()
}

// pause waits, or until the context ends; it reports whether to go on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
