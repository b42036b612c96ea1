// Package host looks at what every provider needs of a machine: its names, its
// network, TLS and its clock. It notes what it sees and decides nothing.
package host

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"readmit.dev/readmit/cause"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupHost(ctx context.Context, name string) ([]string, error)
}

// nameTime is how long a name service may take.
const nameTime = 5 * time.Second

// Name looks whether the host of an address leads somewhere. An address that is
// a number, or that a proxy looks up in our place, is not looked at.
func Name(ctx context.Context, r Resolver, server string) ([]cause.Fact, string) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, ""
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil, "a number; no name to look up"
	}
	if Proxy(server) != "" {
		return nil, "left to the proxy"
	}
	ctx, cancel := context.WithTimeout(ctx, nameTime)
	defer cancel()
	_, err = r.LookupHost(ctx, u.Hostname())
	got := "resolves"
	if dns := new(net.DNSError); errors.As(err, &dns) && dns.IsNotFound {
		got = "no-such-name"
	} else if err != nil {
		got = "no-answer"
	}
	return note(cause.CheckName, "resolves", got), got
}

// note makes a fact of two words where they differ.
func note(c cause.Check, want, got string) []cause.Fact {
	if want == got {
		return nil
	}
	return []cause.Fact{cause.Note(c, cause.Word(want), cause.Word(got), cause.ByDevice)}
}

// Proxy names the proxy through which an address is reached; empty for none.
func Proxy(server string) string {
	r, err := http.NewRequest(http.MethodGet, server, nil)
	if err != nil {
		return ""
	}
	u, err := http.ProxyFromEnvironment(r)
	if err != nil || u == nil {
		return ""
	}
	return u.Host
}

// Connection notes why no connection could be used; the words are those of the
// check "connection".
func Connection(why string) []cause.Fact { return note(cause.CheckConnection, "open", why) }

// TLS notes why a certificate is not trusted; the words are those of the check "tls".
func TLS(why string) []cause.Fact { return note(cause.CheckTLS, "trusted", why) }

// Ready notes whether a server says it can work.
func Ready(ready bool) []cause.Fact {
	if ready {
		return nil
	}
	return note(cause.CheckServer, "ready", "not-ready")
}

// Key compares the key of a certificate (hex SHA-256) with the one seen before.
// An empty one was not seen.
func Key(before, now string) []cause.Fact {
	if before == "" || now == "" || before == now {
		return nil
	}
	b, err := hex.DecodeString(before)
	n, err2 := hex.DecodeString(now)
	if err != nil || err2 != nil {
		return nil
	}
	return []cause.Fact{cause.Note(cause.CheckTLSKey, cause.Fingerprint(b), cause.Fingerprint(n), cause.ByDevice)}
}

// Clock compares this machine's clock with a server's. The server read its
// clock somewhere between asked and answered; half of that is the best guess.
func Clock(asked, answered, server time.Time, allowed time.Duration) ([]cause.Fact, string) {
	off := asked.Add(answered.Sub(asked) / 2).Sub(server)
	saw := off.Round(time.Second).String() + " off"
	if off.Abs() <= allowed {
		return nil, saw
	}
	return []cause.Fact{cause.Note(cause.CheckClock, cause.Duration(0), cause.Duration(off), cause.ByDevice)}, saw
}

// SetClock says how this system's clock is set right by itself.
func SetClock(system string) cause.Remedy {
	switch system {
	case "darwin":
		return cause.Remedy{By: cause.Person, Do: "System Settings, General, Date & Time: switch on \"Set time and date automatically\". Or:", Argv: []string{"sudo", "sntp", "-sS", "time.apple.com"}}
	case "windows":
		return cause.Remedy{By: cause.Person, Do: "Settings, Time & language: switch on \"Set time automatically\". Or, as administrator:", Argv: []string{"w32tm", "/resync"}}
	}
	return cause.Remedy{By: cause.Person, Do: "Let the system keep its clock by the network:", Argv: []string{"sudo", "timedatectl", "set-ntp", "true"}}
}
