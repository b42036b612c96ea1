package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"readmit.dev/readmit/api"
)

// callTime is how long one call may take before the run is given up.
const callTime = 20 * time.Second

// conn is one keep-alive connection. The generator has a core for itself, but
// no more: net/http on its side would cost as much as the server's answer to
// the cheapest call, so requests are written and answers read by hand.
type conn struct {
	address string // host:port
	public  string // what proofs are made for; empty: http://address
	net     net.Conn
	in      *bufio.Reader
	out     []byte
	nonce   string
	body    []byte
}

func dial(address string) (*conn, error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &conn{address: address, net: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

func (c *conn) close() { c.net.Close() }

// get makes an unsigned call, or one with a proof for a service. The body is
// good until the next call.
func (c *conn) get(path, authorization string, proof ...byte) (int, []byte, error) {
	b := append(c.out[:0], "GET "...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.address...)
	if authorization != "" {
		b = append(b, "\r\nAuthorization: DPoP "...)
		b = append(b, authorization...)
	}
	if len(proof) > 0 {
		b = append(b, "\r\n"+api.HeaderProof+": "...)
		b = append(b, proof...)
	}
	c.out = append(b, "\r\n\r\n"...)
	return c.exchange()
}

// prepare signs a call and writes it to memory, so that the client's own work
// is out of the way when exchange is timed.
func (c *conn) prepare(k *key, path string, body []byte) error {
	if c.nonce == "" {
		if _, _, err := c.get(api.PathHello, ""); err != nil {
			return err
		}
	}
	var proof []byte
	if path != api.PathSignInFinish { // whose KE3 is the proof
		var err error
		public := c.public
		if public == "" {
			public = "http://" + c.address
		}
		if proof, err = k.prove(public+path, c.nonce, body); err != nil {
			return err
		}
	}
	b := append(c.out[:0], "POST "...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.address...)
	b = append(b, "\r\nContent-Type: application/json"...)
	if proof != nil {
		b = append(b, "\r\n"+api.HeaderProof+": "...)
		b = append(b, proof...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	c.out = append(b, body...)
	return nil
}

// post makes a signed call, a second time where the nonce was too old.
func (c *conn) post(k *key, path string, in []byte) (int, []byte, error) {
	for try := 0; ; try++ {
		if err := c.prepare(k, path, in); err != nil {
			return 0, nil, err
		}
		status, body, err := c.exchange()
		if err == nil && status == 401 && try == 0 && stale(body) {
			continue
		}
		return status, body, err
	}
}

func stale(body []byte) bool {
	var p api.Problem
	return json.Unmarshal(body, &p) == nil && p.Code == api.StaleProof
}

var errAnswer = errors.New("an answer that is not of HTTP/1.1")

// exchange sends what was prepared and reads the answer.
func (c *conn) exchange() (int, []byte, error) {
	if err := c.net.SetDeadline(time.Now().Add(callTime)); err != nil {
		return 0, nil, err
	}
	if _, err := c.net.Write(c.out); err != nil {
		return 0, nil, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, errAnswer
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return 0, nil, errAnswer
	}
	length, err := c.headers()
	if err != nil {
		return 0, nil, err
	}
	if length < 0 {
		return status, nil, c.chunks()
	}
	if cap(c.body) < length {
		c.body = make([]byte, length, 2*length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, c.body, err
}

// headers reads up to the body and returns its length, -1 when it is not said.
func (c *conn) headers() (int, error) {
	length := 0
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			return length, nil
		}
		switch {
		case field(line, "Content-Length: "):
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[16:]))); err != nil {
				return 0, errAnswer
			}
		case field(line, "Dpop-Nonce: "):
			if n := line[12 : len(line)-2]; string(n) != c.nonce {
				c.nonce = string(n)
			}
		case field(line, "Transfer-Encoding: "):
			length = -1
		}
	}
}

func field(line []byte, name string) bool {
	return len(line) > len(name)+2 && strings.EqualFold(string(line[:len(name)]), name)
}

// chunks is for answers that do not say their length: the account server's
// all do.
func (c *conn) chunks() error {
	return fmt.Errorf("%w: its length is not said", errAnswer)
}

// key is a device's key. It signs what device.Key does, at the cost of the
// signature alone: the header is the same for all proofs of a key.
type key struct {
	private *ecdsa.PrivateKey
	header  string // encoded, with its dot
}

func newKey() (*key, error) {
	p, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := p.PublicKey.Bytes() // 0x04, x, y
	if err != nil {
		return nil, err
	}
	header := fmt.Sprintf(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"%s","y":"%s"},"typ":"dpop+jwt"}`,
		encode(point[1:33]), encode(point[33:]))
	return &key{p, encode([]byte(header)) + "."}, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// prove makes a DPoP proof.
func (k *key) prove(url, nonce string, body []byte) ([]byte, error) {
	hash := sha256.Sum256(body)
	payload := opening("POST", url)
	payload = append(payload, `,"nonce":"`...)
	payload = append(payload, nonce...)
	payload = append(payload, `","bh":"`...)
	return k.close(base64.RawURLEncoding.AppendEncode(payload, hash[:]))
}

// proveToken makes a proof for a service, beside a token (RFC 9449 §7).
func (k *key) proveToken(url, token string) ([]byte, error) {
	hash := sha256.Sum256([]byte(token))
	payload := append(opening("GET", url), `,"ath":"`...)
	return k.close(base64.RawURLEncoding.AppendEncode(payload, hash[:]))
}

// opening is a proof's payload up to its time.
func opening(method, url string) []byte {
	payload := make([]byte, 0, 512)
	payload = append(payload, `{"jti":"`...)
	payload = append(payload, rand.Text()...)
	payload = append(payload, `","htm":"`...)
	payload = append(payload, method...)
	payload = append(payload, `","htu":"`...)
	payload = append(payload, url...)
	payload = append(payload, `","iat":`...)
	return strconv.AppendInt(payload, time.Now().Unix(), 10)
}

// close ends a payload and signs it.
func (k *key) close(payload []byte) ([]byte, error) {
	payload = append(payload, `"}`...)

	out := make([]byte, 0, 1024)
	out = append(out, k.header...)
	out = base64.RawURLEncoding.AppendEncode(out, payload)
	digest := sha256.Sum256(out)
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, err
	}
	var signature [64]byte
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	out = append(out, '.')
	return base64.RawURLEncoding.AppendEncode(out, signature[:]), nil
}
