package verify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"sync"
	"time"
)

// Identity is whom an access token stands for.
type Identity struct {
	Account string // hex, for good: it is never given to another account
	Device  string // hex
	Session string // hex
	Epoch   int64  // the account's, when the token was issued
	Expires time.Time
}

// claims are of a token that is the account server's and for this service.
type claims struct {
	identity         Identity
	account, session id
	epoch            int64
	issued, expires  int64 // Unix seconds
	thumbprint       [32]byte
}

const (
	maxToken  = 4096 // octets; one of ours has some 700
	tokenType = "at+jwt"
)

// base64url refuses what has more than one encoding.
var base64url = base64.RawURLEncoding.Strict()

// header is the protected header of a JWS. "crit" names what a reader must
// understand; of that we understand nothing (RFC 7515 §4.1.11).
type header struct {
	Algorithm string          `json:"alg"`
	Type      string          `json:"typ"`
	Key       string          `json:"kid"`
	Critical  json.RawMessage `json:"crit"`
}

// compact is a JWS in its compact form (RFC 7515 §7.1), not yet verified.
type compact struct {
	header    header
	payload   []byte
	digest    [32]byte
	signature []byte
}

// errCompact: not a JWS of this algorithm and type.
var errCompact = errors.New("not such a JWS")

func parseCompact(s, algorithm, typ string) (compact, error) {
	head, rest, ok := strings.Cut(s, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 {
		return compact{}, errCompact
	}
	var c compact
	text, err := base64url.DecodeString(head)
	if err != nil || json.Unmarshal(text, &c.header) != nil {
		return compact{}, errCompact
	}
	// RFC 7515 §4.1.9: the type may be written with "application/".
	c.header.Type = strings.TrimPrefix(strings.ToLower(c.header.Type), "application/")
	if c.header.Algorithm != algorithm || c.header.Type != typ || c.header.Critical != nil || c.header.Key == "" {
		return compact{}, errCompact
	}
	if c.payload, err = base64url.DecodeString(payload); err != nil {
		return compact{}, errCompact
	}
	if c.signature, err = base64url.DecodeString(signature); err != nil {
		return compact{}, errCompact
	}
	c.digest = sha256.Sum256([]byte(s[:len(s)-len(signature)-1]))
	return c, nil
}

// es256 checks a signature (RFC 7518 §3.4).
func (c *compact) es256(k *ecdsa.PublicKey) bool {
	return len(c.signature) == 64 &&
		ecdsa.Verify(k, c.digest[:], new(big.Int).SetBytes(c.signature[:32]), new(big.Int).SetBytes(c.signature[32:]))
}

// wireClaims are the claims as they travel (RFC 9068 §2.2).
type wireClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	ID       string `json:"jti"`
	Session  string `json:"sid"`
	Device   string `json:"device"`
	Epoch    int64  `json:"epoch"`
	Confirm  struct {
		Thumbprint string `json:"jkt"`
	} `json:"cnf"`
}

// token reads an access token. It returns the claims of one that is signed by
// the account server, for this service and not over, or a *Refusal.
func (v *Verifier) token(ctx context.Context, text string) (claims, error) {
	if len(text) > maxToken {
		return claims{}, refuse(Malformed)
	}
	name := v.tokens.name(text)
	t, ok := v.tokens.find(name)
	if !ok {
		var err error
		if t, err = v.readToken(ctx, text); err != nil {
			return claims{}, err
		}
	}
	now := v.clock.now().Unix()
	if now >= t.expires+int64(leeway/time.Second) {
		return claims{}, refuse(Expired)
	}
	if t.issued > now+int64(leeway/time.Second) {
		// Made by a clock that was ahead: it would outlive all that is
		// remembered of what has ended since.
		return claims{}, refuse(Stale)
	}
	if !ok {
		v.tokens.keep(name, t)
	}
	return t, nil
}

func (v *Verifier) readToken(ctx context.Context, text string) (claims, error) {
	c, err := parseCompact(text, "ES256", tokenType)
	if err != nil {
		return claims{}, refuse(Malformed)
	}
	key, err := v.tokenKey(ctx, c.header.Key)
	if err != nil {
		return claims{}, err
	}
	if !c.es256(key) {
		return claims{}, refuse(Malformed)
	}
	var w wireClaims
	if json.Unmarshal(c.payload, &w) != nil || w.Issuer != v.issuer {
		return claims{}, refuse(Malformed)
	}
	if w.Audience != v.audience {
		return claims{}, refuse(Audience)
	}
	return w.read()
}

func (w *wireClaims) read() (claims, error) {
	t := claims{epoch: w.Epoch, issued: w.Issued, expires: w.Expires}
	// The memory of signals holds for tokens that live so long and no longer.
	if w.ID == "" || w.Issued <= 0 || w.Expires <= w.Issued || w.Expires-w.Issued > int64(tokenLife/time.Second) || w.Epoch < 0 {
		return claims{}, refuse(Malformed)
	}
	thumb, err := base64url.DecodeString(w.Confirm.Thumbprint)
	if err != nil || len(thumb) != len(t.thumbprint) {
		return claims{}, refuse(Malformed)
	}
	copy(t.thumbprint[:], thumb)
	var device id
	if !t.account.parse(w.Subject) || !t.session.parse(w.Session) || !device.parse(w.Device) {
		return claims{}, refuse(Malformed)
	}
	t.identity = Identity{Account: w.Subject, Device: w.Device, Session: w.Session, Epoch: w.Epoch, Expires: time.Unix(w.Expires, 0)}
	return t, nil
}

// parse reads 32 hex digits in lower case, the one form there is of an id.
func (i *id) parse(s string) bool {
	if len(s) != 2*len(i) {
		return false
	}
	if _, err := hex.Decode(i[:], []byte(s)); err != nil {
		return false
	}
	var again [2 * len(id{})]byte
	hex.Encode(again[:], i[:])
	return bytes.Equal(again[:], []byte(s))
}

// tokens remembers tokens whose signature was found good, in two generations,
// so that a token is verified once and not with each request.
type tokens struct {
	space sync.Pool // of *[maxToken]byte

	mu   sync.Mutex
	seen [2]map[[32]byte]claims
}

// generation is how many tokens one generation holds: with two of some 400
// octets each, 4 MB at most.
const generation = 4096

// name is a token's SHA-256. It is worked out in a space that is used again:
// nothing else of a known token's check needs memory.
func (t *tokens) name(text string) [32]byte {
	b, _ := t.space.Get().(*[maxToken]byte)
	if b == nil {
		b = new([maxToken]byte)
	}
	n := copy(b[:], text)
	sum := sha256.Sum256(b[:n])
	clear(b[:n])
	t.space.Put(b)
	return sum
}

func (t *tokens) find(name [32]byte) (claims, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.seen {
		if c, ok := g[name]; ok {
			return c, true
		}
	}
	return claims{}, false
}

func (t *tokens) keep(name [32]byte, c claims) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[0] == nil || len(t.seen[0]) >= generation {
		t.seen[0], t.seen[1] = map[[32]byte]claims{}, t.seen[0]
	}
	t.seen[0][name] = c
}

// drop forgets all: a key was taken back.
func (t *tokens) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = [2]map[[32]byte]claims{}
}
