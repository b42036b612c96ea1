package session

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
)

// TokenLife is how long an access token is good: what a service that follows
// no signals can be behind by (RFC 9700 §2.2.1 asks for short).
const TokenLife = 5 * time.Minute

// ahead is by how many seconds another node's clock may be ahead of this one's.
const ahead = 5

// ErrToken: not a token of this server for this use, or no longer one.
var ErrToken = errors.New("not a valid access token")

// Claims of an access token (RFC 9068 §2.2).
type Claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"` // the account, in hex
	Audience string `json:"aud"`
	Issued   int64  `json:"iat"` // Unix seconds
	Expires  int64  `json:"exp"` // Unix seconds
	ID       string `json:"jti"`
	Client   string `json:"client_id"`
	Session  string `json:"sid"`
	Device   string `json:"device"`
	Account  string `json:"account,omitempty"` // the identifier, for this server itself only
	Epoch    int64  `json:"epoch"`
	Confirm  struct {
		Thumbprint string `json:"jkt"` // RFC 9449 §6.1
	} `json:"cnf"`
}

// tokens signs and checks access tokens.
type tokens struct {
	keys   *keys.Ring
	issuer string

	mu   sync.Mutex
	seen [2]map[[32]byte]Claims // tokens found good, two generations
}

// tokenType is what an access token says it is (RFC 9068 §2.1).
const tokenType = "at+jwt"

// tokenHeader is the JOSE header of an access token (RFC 7515 §4).
type tokenHeader struct {
	Algorithm string `json:"alg"`
	Key       string `json:"kid"`
	Type      string `json:"typ"`
}

// generation is how many tokens one generation of the memory holds: with two
// of some 500 bytes each, at most 4 MB.
const generation = 4096

func newTokens(k *keys.Ring, issuer string) *tokens {
	return &tokens{keys: k, issuer: issuer, seen: [2]map[[32]byte]Claims{{}, {}}}
}

// Issue signs an access token for the actor. An empty audience is this server.
func (s *Service) Issue(a Actor, audience string) (string, time.Duration, error) {
	now := s.gate.Now()
	c := Claims{
		Issuer: s.tokens.issuer, Subject: hex.EncodeToString(a.Account.ID[:]), Audience: audience,
		Issued: now.Unix(), Expires: now.Add(TokenLife).Unix(), ID: rand.Text(), Client: "readmit",
		Session: hex.EncodeToString(a.Session.ID[:]), Device: hex.EncodeToString(a.Device.ID[:]), Epoch: a.Account.Epoch,
	}
	if audience == "" || audience == s.tokens.issuer {
		c.Audience, c.Account = s.tokens.issuer, a.Account.Identifier
	}
	c.Confirm.Thumbprint = base64.RawURLEncoding.EncodeToString(a.Device.Thumbprint[:])
	t, err := s.tokens.sign(c)
	return t, TokenLife, err
}

func (t *tokens) sign(c Claims) (string, error) {
	all := t.keys.Signing()
	key := all[len(all)-1]
	header, err := json.Marshal(tokenHeader{string(jose.ES256), key.ID, tokenType})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	// RFC 7515 §7.1, with the signature of RFC 7518 §3.4. A token is signed at
	// every sign-in and refresh, so nothing is done here but this.
	out := make([]byte, 0, 1024)
	out = base64.RawURLEncoding.AppendEncode(out, header)
	out = append(out, '.')
	out = base64.RawURLEncoding.AppendEncode(out, payload)
	digest := sha256.Sum256(out)
	r, n, err := ecdsa.Sign(rand.Reader, key.Key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	n.FillBytes(signature[32:])
	out = append(out, '.')
	return string(base64.RawURLEncoding.AppendEncode(out, signature[:])), nil
}

// Check reads an access token for this server, and holds it against what is
// known of changes. It returns ErrToken, or what that Knowledge says.
func (s *Service) Check(token string) (Claims, error) {
	c, err := s.read(token)
	if err != nil || s.news == nil {
		return c, err
	}
	var account, session store.ID
	if account.UnmarshalText([]byte(c.Subject)) != nil || session.UnmarshalText([]byte(c.Session)) != nil {
		return Claims{}, ErrToken
	}
	if err := s.news.Check(account, session, c.Epoch, time.Unix(c.Issued, 0)); err != nil {
		return Claims{}, err
	}
	return c, nil
}

func (s *Service) read(token string) (Claims, error) {
	if len(token) > 4096 {
		return Claims{}, ErrToken
	}
	now := s.gate.Now().Unix()
	hash := sha256.Sum256([]byte(token))
	// One made by a clock that was ahead would outlive all that is remembered of
	// what has ended since.
	over := func(c Claims) bool { return now >= c.Expires || c.Issued > now+ahead }
	if c, ok := s.tokens.remembered(hash); ok {
		if over(c) {
			return Claims{}, ErrToken
		}
		return c, nil
	}
	c, err := s.tokens.verify(token)
	if err != nil || c.Audience != s.tokens.issuer || c.Issuer != s.tokens.issuer || over(c) {
		return Claims{}, ErrToken
	}
	s.tokens.remember(hash, c)
	return c, nil
}

func (t *tokens) verify(token string) (Claims, error) {
	var c Claims
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return c, err
	}
	if typ, _ := jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType].(string); typ != tokenType {
		return c, ErrToken
	}
	for _, k := range t.keys.Signing() {
		if k.ID != jws.Signatures[0].Header.KeyID {
			continue
		}
		payload, err := jws.Verify(&k.Key.PublicKey)
		if err != nil {
			return c, err
		}
		return c, json.Unmarshal(payload, &c)
	}
	return c, ErrToken
}

func (t *tokens) remembered(hash [32]byte) (Claims, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.seen {
		if c, ok := g[hash]; ok {
			return c, true
		}
	}
	return Claims{}, false
}

func (t *tokens) remember(hash [32]byte, c Claims) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.seen[0]) >= generation {
		t.seen[0], t.seen[1] = map[[32]byte]Claims{}, t.seen[0]
	}
	t.seen[0][hash] = c
}

// PublicKeys is the JWK set with which services check access tokens, and the
// signals sent to them.
func (s *Service) PublicKeys() jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, k := range s.keys.Signing() {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.Key.PublicKey, KeyID: k.ID, Algorithm: string(jose.ES256), Use: "sig"})
	}
	for _, k := range s.keys.Signals() {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &k.Key.PublicKey, KeyID: k.ID, Algorithm: string(jose.RS256), Use: "sig"})
	}
	return set
}
