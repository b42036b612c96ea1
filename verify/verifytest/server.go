// Package verifytest is an account server for the tests of services: its keys,
// its tokens and its signals, and what can go wrong with them. Nobody signs in
// to it.
package verifytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/device"
)

// Secret is the credential of the one service there is.
const Secret = "rms_of-the-tests"

// Events' types.
const (
	SessionRevoked    = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	CredentialChange  = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	AccountDisabled   = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	AccountEnabled    = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
	VerificationEvent = "https://schemas.openid.net/secevent/ssf/event-type/verification"
)

// Server is the account server. Its zero value is not usable: see New.
type Server struct {
	Audience string
	Now      func() time.Time
	Hold     time.Duration // how long a poll is held

	mu      sync.Mutex
	issuer  string
	tokens  []signing // newest last
	signals []rsaKey
	waiting []signal // not acknowledged
	changed chan struct{}
	applied map[string]time.Time
	refused map[string]string
	asked   map[string]int
	fault   func(http.ResponseWriter, *http.Request) bool
	states  []string
	max     int
	status  string // of the stream
	events  []string
}

type signing struct {
	id  string
	key *ecdsa.PrivateKey
}

type rsaKey struct {
	id  string
	key *rsa.PrivateKey
}

type signal struct{ jti, text string }

// New makes an account server of that public address, with one service.
func New(issuer, audience string) *Server {
	s := &Server{
		Audience: audience, Now: time.Now, Hold: 25 * time.Second, issuer: issuer, changed: make(chan struct{}),
		applied: map[string]time.Time{}, refused: map[string]string{}, asked: map[string]int{}, status: "enabled", events: events(),
	}
	s.Rotate()
	s.signals = []rsaKey{{"signals", signalKey()}}
	return s
}

// signalKey is made once: RSA keys take long.
var signalKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func events() []string {
	return []string{SessionRevoked, CredentialChange, AccountDisabled, AccountEnabled}
}

// SetStream gives the stream a status, and delivers those types of events, or
// all where none is named. What is raised while it is disabled, or is of
// another type, is lost.
func (s *Server) SetStream(status string, delivered ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status, s.events = status, delivered; len(delivered) == 0 {
		s.events = events()
	}
	s.tell()
}

// SetIssuer is for a server whose address is known only when it listens.
func (s *Server) SetIssuer(issuer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuer = issuer
}

// Rotate makes a new key for tokens; the ones before stay published.
func (s *Server) Rotate() {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, signing{rand.Text()[:8], k})
}

// Retract takes back all keys for tokens but the newest.
func (s *Server) Retract() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = s.tokens[len(s.tokens)-1:]
}

// Fault lets f answer in the server's place, as long as it returns true. Nil
// ends it.
func (s *Server) Fault(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
	s.tell()
}

// tell wakes the polls that are held.
func (s *Server) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Person is an account on a device.
type Person struct {
	Account, Session, Device [16]byte
	Key                      device.Key
}

// NewPerson makes one.
func NewPerson() *Person {
	k, err := device.GenerateKey()
	if err != nil {
		panic(err)
	}
	p := &Person{Key: k}
	rand.Read(p.Account[:])
	rand.Read(p.Session[:])
	rand.Read(p.Device[:])
	return p
}

// Claims are the claims of a good token of that epoch, issued now.
func (s *Server) Claims(p *Person, epoch int64) map[string]any {
	now := s.Now()
	thumb := p.Key.Thumbprint()
	return map[string]any{
		"iss": s.Issuer(), "sub": hex.EncodeToString(p.Account[:]), "aud": s.Audience, "iat": now.Unix(),
		"exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(), "client_id": "readmit",
		"sid": hex.EncodeToString(p.Session[:]), "device": hex.EncodeToString(p.Device[:]), "epoch": epoch,
		"cnf": map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(thumb[:])},
	}
}

// Issuer is the server's public address.
func (s *Server) Issuer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issuer
}

// Token issues a good token.
func (s *Server) Token(p *Person, epoch int64) string {
	return s.Sign(map[string]any{"typ": "at+jwt"}, s.Claims(p, epoch))
}

// Sign signs as the server signs tokens; header may name another key or type.
func (s *Server) Sign(header, claims map[string]any) string {
	s.mu.Lock()
	k := s.tokens[len(s.tokens)-1]
	s.mu.Unlock()
	if header["kid"] == nil {
		header["kid"] = k.id
	}
	return sign(jose.ES256, k.key, header, claims)
}

// SignSet signs as the server signs signals.
func (s *Server) SignSet(header, claims map[string]any) string {
	k := s.signals[len(s.signals)-1]
	if header["kid"] == nil {
		header["kid"] = k.id
	}
	return sign(jose.RS256, k.key, header, claims)
}

func sign(alg jose.SignatureAlgorithm, key any, header, claims map[string]any) string {
	o := &jose.SignerOptions{}
	for name, value := range header {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}

// Set makes the claims of a signal about an account.
func (s *Server) Set(event string, p *Person, epoch int64, more map[string]any) map[string]any {
	now := s.Now()
	body := map[string]any{"event_timestamp": float64(now.UnixMicro()) / 1e6, "readmit_epoch": epoch}
	for name, value := range more {
		body[name] = value
	}
	return map[string]any{
		"iss": s.Issuer(), "aud": s.Audience, "iat": now.Unix(), "jti": hex.EncodeToString([]byte(rand.Text()[:16])), "txn": rand.Text(),
		"sub_id": map[string]any{"format": "iss_sub", "iss": s.Issuer(), "sub": hex.EncodeToString(p.Account[:])},
		"events": map[string]any{event: body},
	}
}

// Raise says that an account has changed, and returns the signal.
func (s *Server) Raise(event string, p *Person, epoch int64) (jti, text string) {
	return s.Send(s.Set(event, p, epoch, nil))
}

// EndSession says that the person's session has ended.
func (s *Server) EndSession(p *Person, epoch int64) (jti, text string) {
	return s.Send(s.Set(SessionRevoked, p, epoch, map[string]any{"readmit_session": hex.EncodeToString(p.Session[:]), "readmit_kind": "session-ended"}))
}

// Send signs claims and hands them to who polls.
func (s *Server) Send(claims map[string]any) (jti, text string) {
	jti, _ = claims["jti"].(string)
	text = s.SignSet(map[string]any{"typ": "secevent+jwt"}, claims)
	kinds, _ := claims["events"].(map[string]any)
	s.mu.Lock()
	lost := s.status == "disabled"
	for kind := range kinds {
		lost = lost || slices.Contains(events(), kind) && !slices.Contains(s.events, kind)
	}
	s.mu.Unlock()
	if !lost {
		s.Hand(jti, text)
	}
	return jti, text
}

// Hand hands a text to who polls, whatever it is.
func (s *Server) Hand(jti, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, signal{jti, text})
	s.tell()
}

// Applied is when the service said that it applied a signal.
func (s *Server) Applied(jti string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.applied[jti]
	return at, ok
}

// Refused is the code with which the service refused a signal.
func (s *Server) Refused(jti string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused[jti]
}

// Waiting is how many signals are not acknowledged.
func (s *Server) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// Asked is how often a path was called.
func (s *Server) Asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// States are those of the verification events that were asked for.
func (s *Server) States() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.states)
}

// MostEvents is the greatest number that was asked for at one time.
func (s *Server) MostEvents() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.max
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	fault := s.fault
	s.mu.Unlock()
	s.date(w)
	if fault != nil && fault(w, r) {
		return
	}
	if r.URL.Path == "/.well-known/jwks.json" {
		s.keys(w, r)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+Secret {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		s.stream(w, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	switch r.URL.Path {
	case "/ssf/poll":
		s.poll(w, r, body)
	case "/ssf/applied":
		s.apply(w, body)
	case "/ssf/verify":
		var in struct {
			State string `json:"state"`
		}
		if json.Unmarshal(body, &in) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.states = append(s.states, in.State)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// stream tells of the stream and its status.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.URL.Path {
	case "/ssf/stream":
		json.NewEncoder(w).Encode([]map[string]any{{"stream_id": "1", "events_supported": events(), "events_delivered": s.events}})
	case "/ssf/status":
		json.NewEncoder(w).Encode(map[string]string{"stream_id": "1", "status": s.status})
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *Server) date(w http.ResponseWriter) {
	w.Header().Set("Date", s.Now().UTC().Format(http.TimeFormat))
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	var set jose.JSONWebKeySet
	var etag strings.Builder
	for _, k := range s.tokens {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.key.PublicKey, KeyID: k.id, Algorithm: "ES256", Use: "sig"})
		etag.WriteString(k.id)
	}
	for _, k := range s.signals {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.key.PublicKey, KeyID: k.id, Algorithm: "RS256", Use: "sig"})
		etag.WriteString(k.id)
	}
	s.mu.Unlock()
	tag := `"` + etag.String() + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	json.NewEncoder(w).Encode(set)
}

func (s *Server) poll(w http.ResponseWriter, r *http.Request, body []byte) {
	var in struct {
		Most    int      `json:"maxEvents"`
		AtOnce  bool     `json:"returnImmediately"`
		Ack     []string `json:"ack"`
		Refused map[string]struct {
			Code string `json:"err"`
		} `json:"setErrs"`
	}
	if json.Unmarshal(body, &in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.max = max(s.max, in.Most)
	s.waiting = slices.DeleteFunc(s.waiting, func(one signal) bool {
		_, refused := in.Refused[one.jti]
		return refused || slices.Contains(in.Ack, one.jti)
	})
	for jti, why := range in.Refused {
		s.refused[jti] = why.Code
	}
	s.mu.Unlock()
	held := time.NewTimer(s.Hold)
	defer held.Stop()
	for over := in.AtOnce; ; {
		s.mu.Lock()
		out := s.waiting[:min(len(s.waiting), in.Most)]
		sets := map[string]string{}
		for _, one := range out {
			sets[one.jti] = one.text
		}
		more, changed, fault, status := len(s.waiting) > len(out), s.changed, s.fault, s.status
		s.mu.Unlock()
		if fault != nil && fault(w, r) {
			return
		}
		if status != "enabled" {
			s.date(w)
			w.WriteHeader(http.StatusConflict)
			json.NewEncoder(w).Encode(map[string]string{"detail": "The stream is " + status + "."})
			return
		}
		if len(sets) > 0 || over {
			s.date(w)
			json.NewEncoder(w).Encode(map[string]any{"sets": sets, "moreAvailable": more})
			return
		}
		select {
		case <-changed:
		case <-held.C:
			over = true
		case <-r.Context().Done():
			return
		}
	}
}

func (s *Server) apply(w http.ResponseWriter, body []byte) {
	var in struct {
		Applied map[string]int64 `json:"applied"`
	}
	if json.Unmarshal(body, &in) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for jti, at := range in.Applied {
		s.applied[jti] = time.UnixMicro(at)
	}
	w.WriteHeader(http.StatusNoContent)
}
