package device

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha256" // for the thumbprints
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const cryptoSHA256 = crypto.SHA256

// maxProof is how long a proof may be: one of ours has some 700 characters.
const maxProof = 4096

// ErrProof: no proof, or not one for this message. It does not say why: the
// reasons are an attacker's, and a right client has none of them.
var ErrProof = errors.New("not a proof for this message")

// Request is a message to be signed.
type Request struct {
	Method string
	URL    string // scheme, host and path
	Nonce  string // of the server
	Body   []byte
	// AnyBody makes a proof that says nothing of the body, as RFC 9449 has them.
	// A service takes it; the account server does not.
	AnyBody bool
	Token   string    // the access token beside it, for a service (RFC 9449 §4.2, "ath")
	Time    time.Time // by the device's clock
}

type claims struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Time   int64  `json:"iat"` // Unix seconds
	Nonce  string `json:"nonce,omitempty"`
	Body   string `json:"bh,omitempty"`  // base64url of the body's SHA-256
	Token  string `json:"ath,omitempty"` // base64url of the access token's SHA-256
}

const proofType = "dpop+jwt"

// Sign makes the proof of a message.
func (k Key) Sign(r Request) (string, error) {
	if k.private == nil {
		return "", ErrKey
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.private},
		(&jose.SignerOptions{EmbedJWK: true}).WithType(proofType))
	if err != nil {
		return "", err
	}
	c := claims{ID: rand.Text(), Method: r.Method, URL: r.URL, Time: r.Time.Unix(), Nonce: r.Nonce}
	if !r.AnyBody {
		c.Body = bodyHash(r.Body)
	}
	if r.Token != "" {
		c.Token = bodyHash([]byte(r.Token))
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

func bodyHash(b []byte) string { return base64.RawURLEncoding.EncodeToString(sum(b)) }

// HashOf reports whether a proof's text is the base64url of the SHA-256 of b.
func HashOf(b []byte, text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(bodyHash(b))) == 1
}

// Expectation is what a proof must be for.
type Expectation struct {
	Method string
	URL    string
	Body   []byte
	Token  string // the access token it must name; empty: none is asked for

	// LaterBody leaves the body to the caller, who holds it against
	// Seen.Body: a service reads it only when the rest is right, and serves
	// clients that know RFC 9449 alone and say nothing of the body.
	LaterBody bool
}

// Seen is what a proof says.
type Seen struct {
	Body       string // base64url of the body's SHA-256; empty when it is not said
	Thumbprint [32]byte
	Time       time.Time // by the device's clock
	Nonce      string
	ID         [16]byte // names this very proof
}

// Verify checks a proof (RFC 9449 §4.3) but for its time and nonce, which are
// the gate's and Nonces' to judge. It returns ErrProof.
func Verify(proof string, want Expectation) (Seen, error) {
	return verify(proof, want, readHeader)
}

func verify(proof string, want Expectation, read func(header string) (public, error)) (Seen, error) {
	if len(proof) > maxProof {
		return Seen{}, ErrProof
	}
	dot := strings.LastIndexByte(proof, '.')
	if dot < 0 {
		return Seen{}, ErrProof
	}
	signed, signature := proof[:dot], proof[dot+1:]
	header, payload, ok := strings.Cut(signed, ".")
	if !ok {
		return Seen{}, ErrProof
	}
	by, err := read(header)
	if err != nil {
		return Seen{}, ErrProof
	}
	text, err := base64url.DecodeString(payload)
	if err != nil {
		return Seen{}, ErrProof
	}
	pair, err := base64url.DecodeString(signature)
	if err != nil || len(pair) != 64 {
		return Seen{}, ErrProof
	}
	if !ecdsa.Verify(by.key, sum([]byte(signed)), new(big.Int).SetBytes(pair[:32]), new(big.Int).SetBytes(pair[32:])) {
		return Seen{}, ErrProof
	}
	var c claims
	if err := json.Unmarshal(text, &c); err != nil {
		return Seen{}, ErrProof
	}
	if c.Method != want.Method || c.URL != want.URL || c.ID == "" {
		return Seen{}, ErrProof
	}
	if !want.LaterBody && !HashOf(want.Body, c.Body) || want.Token != "" && !HashOf([]byte(want.Token), c.Token) {
		return Seen{}, ErrProof
	}
	// A signature can be given in two forms; the signed content cannot.
	id := sha256.Sum256(append(by.thumb[:len(by.thumb):len(by.thumb)], text...))
	return Seen{Body: c.Body, Thumbprint: by.thumb, Time: time.Unix(c.Time, 0), Nonce: c.Nonce, ID: [16]byte(id[:16])}, nil
}

// base64url refuses what has more than one encoding.
var base64url = base64.RawURLEncoding.Strict()

// public is the key a proof is signed with.
type public struct {
	key   *ecdsa.PublicKey
	thumb [32]byte
}

// head is the protected header of a proof. "crit" names what a reader must
// understand; of that we understand nothing.
type head struct {
	Algorithm string          `json:"alg"`
	Type      string          `json:"typ"`
	Critical  json.RawMessage `json:"crit"`
	Key       struct {
		Type    string          `json:"kty"`
		Curve   string          `json:"crv"`
		X       string          `json:"x"`
		Y       string          `json:"y"`
		Private json.RawMessage `json:"d"`
	} `json:"jwk"`
}

func readHeader(header string) (public, error) {
	text, err := base64url.DecodeString(header)
	if err != nil {
		return public{}, ErrProof
	}
	var h head
	if err := json.Unmarshal(text, &h); err != nil {
		return public{}, ErrProof
	}
	k := h.Key
	if h.Algorithm != "ES256" || h.Type != proofType || h.Critical != nil || k.Type != "EC" || k.Curve != "P-256" || k.Private != nil {
		return public{}, ErrProof
	}
	x, err := base64url.DecodeString(k.X)
	if err != nil || len(x) != 32 {
		return public{}, ErrProof
	}
	y, err := base64url.DecodeString(k.Y)
	if err != nil || len(y) != 32 {
		return public{}, ErrProof
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	if err != nil {
		return public{}, ErrProof
	}
	t, err := thumbprint(key)
	return public{key, t}, err
}

// Verifier is Verify with a memory for keys: a device's proofs all begin with
// the same header, and reading that costs a third of the whole. It is safe for
// concurrent use.
type Verifier struct {
	mu   sync.Mutex
	keys [2]map[string]public // by header; two generations
}

const (
	// generation is how many headers one generation remembers: with two, at
	// most 8 MB.
	generation = 4096
	// maxHeader is the longest that is remembered: ours have some 250 characters.
	maxHeader = 512
)

// NewVerifier makes a Verifier.
func NewVerifier() *Verifier {
	return &Verifier{keys: [2]map[string]public{{}, {}}}
}

// Verify is the function of that name.
func (v *Verifier) Verify(proof string, want Expectation) (Seen, error) {
	return verify(proof, want, v.read)
}

func (v *Verifier) read(header string) (public, error) {
	if p, ok := v.remembered(header); ok {
		return p, nil
	}
	p, err := readHeader(header)
	if err != nil || len(header) > maxHeader {
		return p, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.keys[0]) >= generation {
		v.keys[0], v.keys[1] = map[string]public{}, v.keys[0]
	}
	v.keys[0][strings.Clone(header)] = p
	return p, nil
}

func (v *Verifier) remembered(header string) (public, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, g := range v.keys {
		if p, ok := g[header]; ok {
			return p, true
		}
	}
	return public{}, false
}
