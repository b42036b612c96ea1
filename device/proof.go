package device

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	_ "crypto/sha256" // for the thumbprints
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	Time   time.Time // by the device's clock
}

type claims struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	URL    string `json:"htu"`
	Time   int64  `json:"iat"` // Unix seconds
	Nonce  string `json:"nonce,omitempty"`
	Body   string `json:"bh"` // base64url of the body's SHA-256
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
	payload, err := json.Marshal(claims{rand.Text(), r.Method, r.URL, r.Time.Unix(), r.Nonce, bodyHash(r.Body)})
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

// Expectation is what a proof must be for.
type Expectation struct {
	Method string
	URL    string
	Body   []byte
}

// Seen is what a proof says.
type Seen struct {
	Thumbprint [32]byte
	Time       time.Time // by the device's clock
	Nonce      string
	ID         [16]byte // names this very proof
}

// Verify checks a proof (RFC 9449 §4.3) but for its time and nonce, which are
// the gate's and Nonces' to judge. It returns ErrProof.
func Verify(proof string, want Expectation) (Seen, error) {
	if len(proof) > maxProof {
		return Seen{}, ErrProof
	}
	jws, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return Seen{}, ErrProof
	}
	header := jws.Signatures[0].Header
	jwk := header.JSONWebKey
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); typ != proofType || jwk == nil || !jwk.IsPublic() {
		return Seen{}, ErrProof
	}
	public, ok := jwk.Key.(*ecdsa.PublicKey)
	if !ok {
		return Seen{}, ErrProof
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return Seen{}, ErrProof
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Seen{}, ErrProof
	}
	if c.Method != want.Method || c.URL != want.URL || subtle.ConstantTimeCompare([]byte(c.Body), []byte(bodyHash(want.Body))) != 1 || c.ID == "" {
		return Seen{}, ErrProof
	}
	t, err := thumbprint(public)
	if err != nil {
		return Seen{}, ErrProof
	}
	// A signature can be given in two forms; the signed content cannot.
	id := sha256.Sum256(append(t[:], payload...))
	return Seen{Thumbprint: t, Time: time.Unix(c.Time, 0), Nonce: c.Nonce, ID: [16]byte(id[:16])}, nil
}
