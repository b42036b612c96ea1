package host

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/beevik/ntp"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
)

// connectTime is how long one connection may take to open.
const connectTime = 8 * time.Second

// Handshake opens an encrypted connection to an address (host and port), looks
// at the certificate and closes it; nothing is sent. A nil config is the system's.
func Handshake(ctx context.Context, address string, config *tls.Config) ([]cause.Fact, string) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	d := tls.Dialer{Config: config}
	c, err := d.DialContext(ctx, "tcp", address)
	if err == nil {
		c.Close()
		return nil, "open, and its certificate is trusted"
	}
	switch why := agent.Why(err); why {
	case agent.NoName, agent.NoAnswer:
		return Connection("no-route"), "no address"
	case agent.Untrusted, agent.WrongName, agent.CertExpired, agent.NoTLS:
		return TLS(why), why
	default:
		return Connection(why), why
	}
}

// ClockByNetwork compares this machine's clock, moved by shift, with a time
// server's (RFC 5905).
func ClockByNetwork(server string, shift, allowed time.Duration) ([]cause.Fact, string) {
	answer, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: connectTime, Dialer: func(_, remote string) (net.Conn, error) {
		return net.DialTimeout("udp", remote, connectTime)
	}})
	if err == nil {
		err = answer.Validate()
	}
	if err != nil {
		return nil, "cannot tell"
	}
	// The offset is what the clock lacks.
	now := time.Now()
	return Clock(now.Add(shift), now.Add(shift), now.Add(answer.ClockOffset), allowed)
}
