package signal

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
)

// Types of events (CAEP 1.0, RISC 1.0, OpenID Shared Signals Framework 1.0).
const (
	EventSessionRevoked   = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
	EventCredentialChange = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
	EventDeviceCompliance = "https://schemas.openid.net/secevent/caep/event-type/device-compliance-change"
	EventAccountDisabled  = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	EventAccountEnabled   = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
	EventAccountPurged    = "https://schemas.openid.net/secevent/risc/event-type/account-purged"
	EventChangeRequired   = "https://schemas.openid.net/secevent/risc/event-type/account-credential-change-required"
	EventVerification     = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	EventStreamUpdated    = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
)

// Events lists the types that a stream can have. What is about the stream itself
// comes in any.
func Events() []string {
	return []string{
		EventSessionRevoked, EventCredentialChange, EventDeviceCompliance,
		EventAccountDisabled, EventAccountEnabled, EventAccountPurged, EventChangeRequired,
	}
}

// eventOf is the type of a kind's event.
func eventOf(kind string, d Detail) string {
	switch kind {
	case PasswordChanged, Recovered, DeviceAdded:
		return EventCredentialChange
	case FactorChanged:
		if d.By == ByAdmin { // support has taken the factors away
			return EventChangeRequired
		}
		return EventCredentialChange
	case DeviceRemoved:
		return EventDeviceCompliance
	case AccountDisabled:
		return EventAccountDisabled
	case AccountEnabled:
		return EventAccountEnabled
	case AccountClosed:
		return EventAccountPurged
	case Verification:
		return EventVerification
	case StreamUpdated:
		return EventStreamUpdated
	}
	return EventSessionRevoked
}

// event is what stands in a SET's events. Members of other kinds are left out.
type event struct {
	At      float64 `json:"event_timestamp,omitempty"` // CAEP 1.0 §2
	By      string  `json:"initiating_entity,omitempty"`
	Kind    string  `json:"readmit_kind,omitempty"`
	Epoch   *int64  `json:"readmit_epoch,omitempty"`
	Session string  `json:"readmit_session,omitempty"`
	Device  string  `json:"readmit_device,omitempty"`

	Credential string `json:"credential_type,omitempty"` // CAEP 1.0 §3.3
	Change     string `json:"change_type,omitempty"`
	Before     string `json:"previous_status,omitempty"` // CAEP 1.0 §3.5
	Now        string `json:"current_status,omitempty"`

	State  string `json:"state,omitempty"`  // SSF 1.0 §8.1.4
	Status string `json:"status,omitempty"` // SSF 1.0 §8.1.5
	Reason string `json:"reason,omitempty"`
}

// subject names what a SET is about (RFC 9493 §3.2).
type subject struct {
	Format  string `json:"format"`
	Issuer  string `json:"iss,omitempty"`
	Subject string `json:"sub,omitempty"`
	ID      string `json:"id,omitempty"`
}

// claims are those of a SET (RFC 8417 §2.2). It has neither sub nor exp: so
// nobody can take it for another kind of token (§4.5, §4.6).
type claims struct {
	Issuer      string           `json:"iss"`
	Issued      int64            `json:"iat"`
	ID          string           `json:"jti"`
	Audience    any              `json:"aud"` // a string, or several
	Transaction string           `json:"txn"`
	Subject     subject          `json:"sub_id"`
	Events      map[string]event `json:"events"`
}

func claimsOf(n store.Signal, issuer string, audiences []string, stream store.ID, now time.Time) (claims, error) {
	d, err := detail(n)
	if err != nil {
		return claims{}, err
	}
	id := hex.EncodeToString(n.ID[:])
	c := claims{Issuer: issuer, Issued: now.Unix(), ID: id, Audience: audiences, Transaction: id}
	if len(audiences) == 1 {
		c.Audience = audiences[0]
	}
	if ofStream(n.Kind) {
		c.Subject = subject{Format: "opaque", ID: hex.EncodeToString(stream[:])}
		c.Events = map[string]event{eventOf(n.Kind, d): {State: d.State, Status: d.Status, Reason: d.Reason}}
		return c, nil
	}
	c.Subject = subject{Format: "iss_sub", Issuer: issuer, Subject: hex.EncodeToString(n.Account[:])}
	e := event{At: float64(n.At.UnixMicro()) / 1e6, By: d.By, Kind: n.Kind, Epoch: &n.Epoch}
	if !d.Session.IsZero() {
		e.Session = hex.EncodeToString(d.Session[:])
	}
	if !d.Device.IsZero() {
		e.Device = hex.EncodeToString(d.Device[:])
	}
	kind := eventOf(n.Kind, d)
	switch kind {
	case EventCredentialChange:
		e.Credential, e.Change = "password", "update"
		switch n.Kind {
		case DeviceAdded:
			e.Credential, e.Change = "readmit-device", "create"
		case FactorChanged:
			e.Credential = "readmit-factor"
		}
	case EventDeviceCompliance:
		e.Before, e.Now = "compliant", "not-compliant"
	}
	c.Events = map[string]event{kind: e}
	return c, nil
}

// errNoKey: nobody has asked for a key that signs signals.
var errNoKey = errors.New("there is no key that signs signals")

// sign makes the SET: a JWS in compact form (RFC 7515 §7.1) of the type that
// keeps it from being taken for an access token (RFC 8417 §2.3).
func sign(by keys.SignalKey, c claims) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "RS256", "kid": by.ID, "typ": "secevent+jwt"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	out := base64.RawURLEncoding.AppendEncode(nil, header)
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, payload)
	digest := sha256.Sum256(out)
	signature, err := rsa.SignPKCS1v15(nil, by.Key, crypto.SHA256, digest[:])
	if err != nil {
		return "", err
	}
	out = append(out, '.')
	return string(base64.RawURLEncoding.AppendEncode(out, signature)), nil
}

// sets makes and remembers SETs. An RSA signature costs a millisecond, which
// services share: a SET names the audiences of all of them, and is made once a
// node, or once for all nodes where it comes with the signal (Outbox.Ready).
type sets struct {
	keys   *keys.Ring
	issuer string
	now    func() time.Time

	mu   sync.Mutex
	kept [2]map[store.ID]*madeSet // two generations
}

type madeSet struct {
	once  sync.Once
	text  string
	err   error
	at    time.Time
	names string // audiences
}

const (
	// setsKept is how many one generation holds, of some 1,200 octets each.
	setsKept = 2048
	// setLife is how long one is sent as it was made: its key stays published
	// for much longer.
	setLife = 5 * time.Minute
)

func newSets(k *keys.Ring, issuer string, now func() time.Time) *sets {
	return &sets{keys: k, issuer: issuer, now: now, kept: [2]map[store.ID]*madeSet{{}, {}}}
}

func (s *sets) make(ctx context.Context, n store.Signal, to store.Service, audiences []string) (string, error) {
	if len(s.keys.Signals()) == 0 { // another node has made it
		if err := s.keys.Refresh(ctx); err != nil {
			return "", err
		}
	}
	if ofStream(n.Kind) {
		return s.fresh(n, []string{to.Audience}, to.ID)
	}
	names, err := json.Marshal(audiences)
	if err != nil {
		return "", err
	}
	if d, err := detail(n); err == nil && d.Set != nil && d.Set.For == string(names) && s.now().Sub(n.At).Abs() < setLife {
		return d.Set.Text, nil
	}
	k := s.find(n.ID, string(names))
	k.once.Do(func() { k.text, k.err = s.fresh(n, audiences, to.ID) })
	if k.err != nil {
		s.drop(n.ID)
	}
	return k.text, k.err
}

func (s *sets) fresh(n store.Signal, audiences []string, stream store.ID) (string, error) {
	all := s.keys.Signals()
	if len(all) == 0 {
		return "", errNoKey
	}
	c, err := claimsOf(n, s.issuer, audiences, stream, s.now())
	if err != nil {
		return "", err
	}
	return sign(all[len(all)-1], c)
}

func (s *sets) find(id store.ID, audiences string) *madeSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, g := range s.kept {
		if k, ok := g[id]; ok && k.names == audiences && now.Sub(k.at).Abs() < setLife {
			return k
		}
	}
	if len(s.kept[0]) >= setsKept {
		s.kept[0], s.kept[1] = map[store.ID]*madeSet{}, s.kept[0]
	}
	k := &madeSet{at: now, names: audiences}
	s.kept[0][id] = k
	return k
}

func (s *sets) drop(id store.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept[0], id)
	delete(s.kept[1], id)
}

// backoff is how long to wait after so many failures: firstPause doubled up to
// lastPause, give or take a fifth, so that what failed together does not come
// back together. random is within [0, 1).
func backoff(failures int, random float64) time.Duration {
	p := float64(lastPause)
	if failures < 20 {
		p = math.Min(p, float64(firstPause)*math.Pow(2, float64(max(failures, 1)-1)))
	}
	return time.Duration(p * (0.8 + 0.4*random))
}

const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Minute
)
