// Package push sends Security Event Tokens to services by HTTP (RFC 8935).
package push

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/outward"
	"readmit.dev/readmit/signal"
)

const (
	// callTime is how long one call may take.
	callTime = 5 * time.Second
	// connections are kept open to one service.
	connections = 16
	// maxAnswer is as much of an answer as is read.
	maxAnswer = 16 << 10
)

// Sender is a signal.Sender.
type Sender struct {
	names           []string
	public, private *http.Client
}

// New makes a sender. names lists hosts that may be in a private network or on
// this machine; config is nil for the system's certificates.
func New(names []string, config *tls.Config) *Sender {
	return &Sender{
		names:  names,
		public: outward.Client(false, callTime, connections, config), private: outward.Client(true, callTime, connections, config),
	}
}

// Plain reports whether signals may go to a host without TLS: to this machine
// alone, where its name is allowed.
func (s *Sender) Plain(host string) bool {
	ip := net.ParseIP(host)
	return outward.Allowed(s.names, host) && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// Push sends one SET. A service has it when it answers 202, and not before
// (RFC 8935 §2.2).
func (s *Sender) Push(ctx context.Context, to, token, set string) error {
	u, err := url.Parse(to)
	if err != nil {
		return &signal.Failure{Why: signal.Unreachable}
	}
	client := s.public
	if outward.Allowed(s.names, u.Hostname()) {
		client = s.private
	}
	if u.Scheme != "https" && !s.Plain(u.Hostname()) {
		return &signal.Failure{Why: signal.TLS}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(set))
	if err != nil {
		return &signal.Failure{Why: signal.Unreachable}
	}
	r.Header.Set("Content-Type", "application/secevent+jwt")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "readmit")
	answer, err := client.Do(r)
	if err != nil {
		return unreached(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch c := answer.StatusCode; {
	case c == http.StatusAccepted:
		return nil
	case c == http.StatusBadRequest:
		return rejected(answer.Header.Get("Content-Type"), body)
	case c == http.StatusUnauthorized, c == http.StatusForbidden:
		return &signal.Failure{Why: signal.NoLogin}
	case c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusTooManyRequests, c >= 500:
		return &signal.Failure{Why: signal.PutOff}
	case c >= 300 && c < 400:
		return &signal.Failure{Why: signal.Redirected}
	}
	return &signal.Failure{Why: signal.WrongAnswer}
}

// codes are those of RFC 8935 §2.4. Of the first, the receiver will say the
// same to the same SET again; the rest may pass.
var (
	final   = []string{"invalid_request", "invalid_issuer", "invalid_audience"}
	passing = []string{"invalid_key", "authentication_failed", "access_denied"}
)

func rejected(kind string, body []byte) *signal.Failure {
	var said struct {
		Err string `json:"err"`
	}
	kind, _, _ = mime.ParseMediaType(kind)
	if kind != "application/json" || json.Unmarshal(body, &said) != nil || !slices.Contains(final, said.Err) && !slices.Contains(passing, said.Err) {
		return &signal.Failure{Why: signal.WrongAnswer}
	}
	return &signal.Failure{Why: signal.Rejected, Code: said.Err, Final: slices.Contains(final, said.Err)}
}

func unreached(err error) *signal.Failure {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	var wait net.Error
	switch {
	case errors.Is(err, outward.ErrPrivate):
		return &signal.Failure{Why: signal.PrivateAddress}
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return &signal.Failure{Why: signal.TLS}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &wait) && wait.Timeout():
		return &signal.Failure{Why: signal.TimedOut}
	}
	return &signal.Failure{Why: signal.Unreachable}
}
