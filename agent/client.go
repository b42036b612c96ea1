package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
)

const (
	// callTime is how long one call may take, connection and all.
	callTime = 15 * time.Second
	// maxAnswer is the longest answer read: a full ledger has some 100 KiB.
	maxAnswer = 1 << 20
)

// Why a server could not be reached, for UnreachableError.
const (
	NoName      = "no-such-name"
	NoAnswer    = "no-answer" // of the name service
	ConnRefused = "refused"
	TimedOut    = "timed-out"
	NoRoute     = "no-route"
	CutOff      = "cut-off"
	OtherServer = "other-server"
	Untrusted   = "untrusted"
	WrongName   = "wrong-name"
	CertExpired = "expired"
	NoTLS       = "no-tls"
)

// UnreachableError says that no answer of an account server came, and why.
type UnreachableError struct {
	Server string
	Why    string // one of the constants above
	err    error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("the account server %s cannot be reached (%s)", e.Server, e.Why)
}

func (e *UnreachableError) Unwrap() error { return e.err }

// ParseServer normalises a server's address. Plain http is for loopback only.
func ParseServer(s string) (string, error) {
	if strings.Contains(s, "@") {
		// Not repeated: what stands before the sign may be a password.
		return "", errors.New("server: want an address without a user, such as https://id.example.org")
	}
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("server %q: want an address such as https://id.example.org", s)
	}
	switch u.Scheme {
	case "https":
	case "http":
		host := u.Hostname()
		if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
			return "", fmt.Errorf("server %q: http is for this machine alone; want https", s)
		}
	default:
		return "", fmt.Errorf("server %q: want https://", s)
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// Client talks to one account server for one device key. It is not safe for
// concurrent use.
type Client struct {
	Server string
	Key    device.Key
	Now    func() time.Time

	http        *http.Client
	nonce       string
	Certificate string // hex SHA-256 of the public key in the certificate last seen
}

// NewClient makes a client. It follows no redirects: the protocol has none.
func NewClient(server string, key device.Key, now func() time.Time) *Client {
	return &Client{Server: server, Key: key, Now: now, http: &http.Client{
		Timeout:       callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: callTime, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		},
	}}
}

// Unsigned makes a client that can only ask what needs no key.
func Unsigned(server string, now func() time.Time) *Client {
	return NewClient(server, device.Key{}, now)
}

// Close lets go of the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Hello asks for the server's clock and policy.
func (c *Client) Hello(ctx context.Context) (api.Hello, error) {
	var out api.Hello
	err := c.do(ctx, http.MethodGet, api.PathHello, nil, "", &out)
	switch {
	case err != nil:
	case out.Protocol == 0:
		err = &UnreachableError{c.Server, OtherServer, nil}
	case out.URL != c.Server:
		err = &AddressError{c.Server, out.URL}
	}
	return out, err
}

// AddressError says that a server goes by another address than was typed.
// Proofs are signed for one address, so that none is good at another server.
type AddressError struct{ Typed, Public string }

func (e *AddressError) Error() string {
	return fmt.Sprintf("the account server at %s has the public address %q: use that one", e.Typed, e.Public)
}

// Ready asks whether the server can keep what it must.
func (c *Client) Ready(ctx context.Context) error {
	var word string
	err := c.do(ctx, http.MethodGet, api.PathReady, nil, "", &word)
	if err == nil && strings.TrimSpace(word) != "ready" {
		err = &UnreachableError{c.Server, OtherServer, errors.New("a page where a word was expected")}
	}
	return err
}

// Call makes a signed call. A refusal comes back as *api.Problem, a server
// that is not there as *UnreachableError.
func (c *Client) Call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if path == api.PathSignInFinish {
		return c.do(ctx, http.MethodPost, path, body, "", out) // KE3 is the proof
	}
	if c.nonce == "" {
		if _, err := c.Hello(ctx); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		proof, err := c.Key.Sign(device.Request{Method: http.MethodPost, URL: c.Server + path, Nonce: c.nonce, Body: body, Time: c.Now()})
		if err != nil {
			return err
		}
		err = c.do(ctx, http.MethodPost, path, body, proof, out)
		if p := new(api.Problem); errors.As(err, &p) && p.Code == api.StaleProof && try == 0 {
			continue // signed again, with the nonce of that answer
		}
		return err
	}
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, proof string, out any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.Server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if proof != "" {
		r.Header.Set(api.HeaderProof, proof)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return &UnreachableError{c.Server, Why(err), err}
	}
	defer answer.Body.Close()
	if n := answer.Header.Get(api.HeaderNonce); n != "" {
		c.nonce = n
	}
	if answer.TLS != nil && len(answer.TLS.PeerCertificates) > 0 {
		c.Certificate = KeyOf(answer.TLS.PeerCertificates[0])
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return &UnreachableError{c.Server, Why(err), err}
	}
	// Networks for guests answer for everybody, with 200 or 204 as they like. What
	// is not of the form that was asked for is not the account server's, nor is
	// what came of a signed call without a nonce for the next one.
	own := method == http.MethodGet || answer.Header.Get(api.HeaderNonce) != ""
	word, plain := out.(*string)
	switch ok := answer.StatusCode == http.StatusOK && own; {
	case answer.StatusCode == http.StatusNoContent && own && out == nil:
		return nil
	case ok && plain:
		*word = string(b)
		return nil
	case ok && out != nil && strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json"):
		if err := json.Unmarshal(b, out); err != nil {
			return &UnreachableError{c.Server, OtherServer, err}
		}
		return nil
	}
	var p api.Problem
	if json.Unmarshal(b, &p) != nil || p.Code == 0 {
		return &UnreachableError{c.Server, OtherServer, fmt.Errorf("status %d", answer.StatusCode)}
	}
	return &p
}

// KeyOf is the fingerprint of the public key in a certificate: it stays when
// the certificate is renewed for the same key.
func KeyOf(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// Why sorts an error of the network into one of the reasons of UnreachableError.
func Why(err error) string {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		header    textproto.ProtocolError
		timeout   net.Error
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return NoName
	case errors.As(err, &dns):
		return NoAnswer
	case errors.As(err, &authority):
		return Untrusted
	case errors.As(err, &name):
		return WrongName
	case errors.As(err, &invalid):
		if invalid.Reason == x509.Expired {
			return CertExpired
		}
		return Untrusted
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return NoTLS
	case refused(err):
		return ConnRefused
	case noRoute(err):
		return NoRoute
	case errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	// What answers and does not speak HTTP; net/http has no type for the first.
	case strings.Contains(err.Error(), "malformed HTTP"), errors.As(err, &header):
		return OtherServer
	}
	return CutOff
}
