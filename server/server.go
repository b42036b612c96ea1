// Package server is the HTTP edge of the account server. It knows answers,
// never evidence: a refusal comes to it sealed and leaves as it came.
//
// What people look at in a browser is package web's, mounted beside the calls.
//
// Every POST is read whole within limits, its DPoP proof verified and spent,
// and only then handed on; but for the last message of a sign-in, which is a
// proof itself. What the handlers return is turned into an answer
// in one place, problem.go.
package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/desk"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/explain"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/passkey"
	"readmit.dev/readmit/policy"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/web"
)

const (
	// maxBody is what a message may be: the longest is a sealed state of some
	// four thousand characters.
	maxBody = 16 << 10
	// strangersAtOnce is how many attempts are worked on together, for each
	// processor, before it matters whose they are: enough that some compute while
	// others wait for a commit. Beyond it, keys that are not enrolled wait, and
	// enrolled devices pass them by; each more would be one more that an owner's
	// message has to take turns with.
	strangersAtOnce = 8
	// patience is how long an attempt waits for one of these places before it is
	// asked whose it is, which takes the store a read: most are free again after
	// a commit, and it is all that strangers can make an owner wait for one.
	patience = 2 * time.Millisecond
	// strangersWaiting is how many wait for a place; the next one is told to slow
	// down before anything of it was checked.
	strangersWaiting = 4096
)

// Server answers the public address and the operator's socket.
type Server struct {
	url      string
	names    map[string]string // see called
	stretch  api.Stretch       // for new records
	proxy    netip.Addr        // whose word on client addresses counts; none when zero
	log      *slog.Logger
	gate     *gate.Gate
	store    store.Store
	signIn   *signin.Service
	sessions *session.Service
	accounts *account.Service
	explain  *explain.Service
	recovery *recovery.Service
	desk     *desk.Service
	passkeys *passkey.Service
	nonces   *device.Nonces
	proofs   *device.Verifier
	lane     chan struct{}
	waiting  chan struct{}
	metrics  *metrics
	outbox   *message.Outbox
	copied   Copied
	signals  *signal.Outbox
	tail     *signal.Tail
	plain    func(host string) bool
	watchers *watchers
	pages    *web.Pages
}

// Options are what New needs.
type Options struct {
	URL  string // public, without a path
	Open bool   // sign-up without an invitation

	// Stretch is announced to clients for new records; zero is
	// opaque.DefaultStretch.
	Stretch opaque.Stretch

	Proxy netip.Addr // whose X-Forwarded-For counts
	Store store.Store
	// Copied is the store again, for backups.
	Copied Copied
	Keys   *keys.Ring
	Gate   *gate.Gate
	Log    *slog.Logger
	// Shared is whether other nodes answer for the same address on the same store.
	Shared bool

	// RecoveryWait is how long a recovery with one proof alone waits; zero is
	// recovery.DefaultWait.
	RecoveryWait time.Duration

	// Senders of messages, by kind of address; without one, none of it is sent.
	Senders map[string]message.Sender

	// Push sends signals to services; PushPlain tells to which hosts without TLS.
	Push      signal.Sender
	PushPlain func(host string) bool
}

// New wires the parts together. It reads the policy from the store.
func New(ctx context.Context, o Options) (*Server, error) {
	oprf, key := o.Keys.OPAQUE()
	op, err := opaque.NewServer(oprf, key)
	if err != nil {
		return nil, err
	}
	s := &Server{watchers: newWatchers()}
	tail := signal.NewTail(o.Store, o.Gate.Now, tailKeeps, s.heard)
	o.Store = tail.Follow(o.Store)
	sessions := session.New(o.Store, o.Gate, o.Keys, o.URL)
	sessions.Follow(tail)
	in := &signin.Service{Store: o.Store, Gate: o.Gate, Keys: o.Keys, OPAQUE: op, Sessions: sessions, Shared: o.Shared}
	m := newMetrics()
	outbox := &message.Outbox{Store: o.Store, Keys: o.Keys, Now: o.Gate.Now, URL: o.URL, Senders: o.Senders, Log: o.Log, Observed: m.message}
	m.waiting(outbox)
	if far, ok := o.Copied.(interface {
		Counts() (roundTrips, statements, retries int64)
	}); ok {
		m.sent(far.Counts)
	}
	in.Notices = outbox
	back := &recovery.Service{
		Store: o.Store, Gate: o.Gate, Keys: o.Keys, OPAQUE: op, SignIn: in, Sessions: sessions, Messages: outbox,
		Wait: cmp.Or(o.RecoveryWait, recovery.DefaultWait),
	}
	support := &desk.Service{Store: o.Store, Gate: o.Gate, Keys: o.Keys, Recovery: back, Messages: outbox}
	passkeys, err := passkey.New(o.URL, passkey.Service{Store: o.Store, Gate: o.Gate, Keys: o.Keys, SignIn: in, Sessions: sessions, Notices: outbox})
	if err != nil {
		return nil, err
	}
	*s = Server{
		url: o.URL, names: names(o.URL), stretch: announced(o.Stretch), proxy: o.Proxy, log: o.Log, gate: o.Gate, store: o.Store, signIn: in, sessions: sessions,
		accounts: &account.Service{Store: o.Store, Gate: o.Gate, Keys: o.Keys, OPAQUE: op, SignIn: in, Sessions: sessions, Messages: outbox, Open: o.Open},
		explain:  &explain.Service{Store: o.Store, Gate: o.Gate, Keys: o.Keys, Sessions: sessions, Desk: support},
		recovery: back,
		desk:     support,
		passkeys: passkeys,
		nonces:   device.NewNonces(o.Gate.Now),
		proofs:   device.NewVerifier(),
		lane:     make(chan struct{}, strangersAtOnce*runtime.GOMAXPROCS(0)),
		waiting:  make(chan struct{}, strangersWaiting),
		metrics:  m,
		outbox:   outbox,
		copied:   o.Copied,
		signals:  &signal.Outbox{Store: o.Store, Keys: o.Keys, Now: o.Gate.Now, URL: o.URL, Sender: o.Push, Log: o.Log, Observed: m.signal},
		tail:     tail,
		plain:    o.PushPlain,
		watchers: s.watchers,
	}
	m.spreading(s.signals, tail, o.Gate.Now)
	if err := tail.Load(ctx); err != nil {
		return nil, err
	}
	if o.Shared {
		s.nonces = device.NewSharedNonces(o.Gate.Now, o.Keys.Nonce())
		tail.Ready(s.signals.Ready) // alone, a node remembers what it has signed
	}
	if s.pages, err = web.New(o.URL); err != nil {
		return nil, err
	}
	return s, s.accounts.LoadPolicy(ctx)
}

// Flush writes what is kept lazily: when sessions were last used, and what
// strangers asked to be sent.
func (s *Server) Flush(ctx context.Context) error {
	return errors.Join(s.sessions.Flush(ctx), s.recovery.Flush(ctx))
}

// SendMessages sends what is due until the context ends.
func (s *Server) SendMessages(ctx context.Context) { s.outbox.Run(ctx) }

// Registry holds the server's metrics.
func (s *Server) Registry() *prometheus.Registry { return s.metrics.registry }

// call is one signed request.
type call struct {
	body   []byte
	caller gate.Caller // without client and name: those are in some bodies
}

// handler answers a signed call with a value to be sent as JSON.
type handler func(ctx context.Context, c call) (any, error)

// Handler is the public face.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+api.PathHello, s.hello)
	mux.HandleFunc("GET "+api.PathWhoAmI, s.whoAmI)
	mux.HandleFunc("GET "+api.PathKeys, s.publicKeys)
	mux.HandleFunc("GET "+api.PathHealth, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "healthy\n") })
	mux.HandleFunc("GET "+api.PathReady, s.ready)
	s.pages.Mount(mux)
	calls := map[string]handler{
		api.PathSignUpStart:    s.signUpStart,
		api.PathSignUpFinish:   s.signUpFinish,
		api.PathSignInStart:    s.signInStart,
		api.PathSignInCode:     s.signInCode,
		api.PathToken:          s.token,
		api.PathSession:        s.restore,
		api.PathSignOut:        s.signOut,
		api.PathSignOutAll:     s.signOutEverywhere,
		api.PathRequests:       s.requests,
		api.PathAllow:          s.allow,
		api.PathDeny:           s.deny,
		api.PathPass:           s.pass,
		api.PathDevices:        s.devices,
		api.PathRemoveDevice:   s.removeDevice,
		api.PathEndDevice:      s.endDevice,
		api.PathActivity:       s.activity,
		api.PathMine:           s.mine,
		api.PathPasswordStart:  s.passwordStart,
		api.PathPasswordFinish: s.passwordFinish,
		api.PathExplain:        s.explanation,
		api.PathReceipts:       s.receipts,
	}
	maps.Copy(calls, s.addressCalls())
	maps.Copy(calls, s.passkeyCalls())
	maps.Copy(calls, s.recoveryCalls())
	maps.Copy(calls, s.deskCalls())
	for path, h := range calls {
		mux.HandleFunc("POST "+path, s.timed(path, s.signed(path, h)))
	}
	mux.HandleFunc("POST "+api.PathSignInFinish, s.timed(api.PathSignInFinish, s.unsigned(s.signInFinish)))
	mux.HandleFunc("POST "+api.PathEvents, s.events)
	s.transmitter(mux)
	return s.outer(mux)
}

// outer adds what every answer has, and turns the mux's own answers (no such
// path, wrong method) into problems.
func (s *Server) outer(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set(api.HeaderNonce, s.nonces.Issue())
		if r.Method == http.MethodPost && s.fromElsewhere(r) {
			s.fail(w, problem(http.StatusForbidden, api.BadRequest, api.ReasonElsewhere, "This message comes from another site", "Messages of a browser are taken from the server's own pages alone."))
			return
		}
		if own, pattern := mux.Handler(r); pattern == "" {
			s.noSuch(w, r, own)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// fromElsewhere reports whether a browser says that a message was made by
// another site's page. Programs send neither header. The address compared with
// is the configured one: Host is whatever the sender writes.
func (s *Server) fromElsewhere(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	return site != "" && site != "same-origin" || origin != "" && origin != s.url
}

// noSuch says what the mux's own handler would say: no such path, or a method
// that is not for it, and which ones are.
func (s *Server) noSuch(w http.ResponseWriter, r *http.Request, own http.Handler) {
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.pages.NotFound(w, r)
		return
	}
	said := verdict{header: http.Header{}}
	own.ServeHTTP(&said, r)
	p := problem(http.StatusNotFound, api.BadRequest, api.ReasonNoPath, "There is nothing at this address", "See docs/protocol.md for the paths of the account server.")
	if said.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", said.header.Get("Allow"))
		p = problem(http.StatusMethodNotAllowed, api.BadRequest, api.ReasonMethod, "This method is not for this address", "This address takes "+said.header.Get("Allow")+".")
	}
	s.fail(w, p)
}

// verdict keeps of an answer its status and headers.
type verdict struct {
	status int
	header http.Header
}

func (v *verdict) Header() http.Header         { return v.header }
func (v *verdict) Write(b []byte) (int, error) { return len(b), nil }
func (v *verdict) WriteHeader(status int)      { v.status = status }

// outcome answers a request with a value to be sent as JSON.
type outcome func(w http.ResponseWriter, r *http.Request) (any, error)

// timed sends an outcome and measures it.
func (s *Server) timed(path string, f outcome) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		out, err := f(w, r)
		status := s.answer(w, out, err)
		s.metrics.observe(path, status, time.Since(began))
	}
}

// read reads a message within its limit.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return nil, problem(http.StatusRequestEntityTooLarge, api.BadRequest, api.ReasonTooLong, "The message is too long", "No message of the protocol has more than 16 KiB.")
	}
	if err != nil {
		return nil, problem(http.StatusBadRequest, api.BadRequest, api.ReasonUnread, "The message could not be read", "")
	}
	return body, nil
}

// unsigned hands on a message that needs no proof of the device's key.
func (s *Server) unsigned(h handler) outcome {
	return func(w http.ResponseWriter, r *http.Request) (any, error) {
		body, err := read(w, r)
		if err != nil {
			return nil, err
		}
		return h(r.Context(), call{body, gate.Caller{Address: s.address(r)}})
	}
}

// signed verifies and spends the proof that a message carries.
func (s *Server) signed(path string, h handler) outcome {
	return func(w http.ResponseWriter, r *http.Request) (any, error) { return s.run(w, r, path, h) }
}

func (s *Server) run(w http.ResponseWriter, r *http.Request, path string, h handler) (any, error) {
	body, err := read(w, r)
	if err != nil {
		return nil, err
	}
	seen, err := s.proofs.Verify(r.Header.Get(api.HeaderProof), device.Expectation{Method: r.Method, URL: s.called(r) + path, Body: body})
	if err != nil {
		return nil, problem(http.StatusUnauthorized, api.BadRequest, api.ReasonUnsigned, "The message is not signed as it must be",
			"Sign method, address ("+s.called(r)+path+") and body with the device's key (docs/protocol.md, proofs).")
	}
	switch err := s.nonces.Spend(seen.Nonce, seen.ID); {
	case errors.Is(err, device.ErrStale), errors.Is(err, device.ErrReplayed):
		return nil, problem(http.StatusUnauthorized, api.StaleProof, api.ReasonStale, "The signature is not fresh", "Sign again with the nonce of this answer.")
	case err != nil:
		return nil, problem(http.StatusServiceUnavailable, api.TooMany, api.ReasonBusy, "Too many messages at once", "Try again in a minute.")
	}
	return h(r.Context(), call{body, gate.Caller{Key: seen.Thumbprint, Time: seen.Time, Address: s.address(r)}})
}

// address is where a request came from: the connection's, or, from the one
// configured proxy, the last address it added: to the last header of that name,
// as some proxies add a header of their own to those they were sent.
func (s *Server) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "local"
	}
	from, err := netip.ParseAddr(host)
	if err != nil {
		return "local"
	}
	if s.proxy.IsValid() && from.Unmap() == s.proxy.Unmap() {
		list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if told, err := netip.ParseAddr(strings.TrimSpace(list[len(list)-1])); err == nil {
			return told.Unmap().WithZone("").String()
		}
	}
	return from.Unmap().String()
}

// with adds to a caller what a body says of the client.
func with(c gate.Caller, name string, in api.Client) gate.Caller {
	v, err := policy.ParseVersion(in.Version)
	if err != nil {
		v = policy.Version{}
	}
	sv, err := policy.ParseVersion(in.SystemVersion)
	if err != nil {
		sv = policy.Version{}
	}
	c.Name = cause.CleanName(name)
	in.System = cause.CleanName(in.System) // it is shown to the owner, and kept
	c.Client = policy.Client{Name: in.Name, Version: v, System: in.System, SystemVersion: sv, Protocol: in.Protocol}
	c.Shown = cause.CleanName(in.Name + " " + v.String() + " (" + in.System + " " + sv.String() + ")")
	return c
}

// enter lets an attempt into the lane. Only where the lane stays full does it
// matter whose attempt it is: enrolled devices pass by, strangers wait.
func (s *Server) enter(ctx context.Context, identifier string, by store.Thumbprint) (leave func(), err error) {
	leave = func() { <-s.lane }
	select {
	case s.lane <- struct{}{}:
		return leave, nil
	default:
	}
	soon := time.NewTimer(patience)
	defer soon.Stop()
	select {
	case s.lane <- struct{}{}:
		return leave, nil
	case <-soon.C:
	}
	enrolled, err := s.signIn.Enrolled(ctx, identifier, by)
	if err != nil {
		return nil, err
	}
	if enrolled {
		return func() {}, nil
	}
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return nil, problem(http.StatusServiceUnavailable, api.TooMany, api.ReasonBusy, "Too many sign-ins at once", "Your password was not checked. Try again in a minute.")
	}
	select {
	case s.lane <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
