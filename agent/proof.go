package agent

import (
	"net/netip"
	"net/url"
	"strings"

	"readmit.dev/readmit/device"
)

// TargetError says why no proof is made for a request.
type TargetError struct{ Why string }

func (e *TargetError) Error() string { return "no proof for this request: " + e.Why }

// maxTarget is how long a proof's address may be: one that is longer would make
// a proof that nobody reads.
const maxTarget = 1024

// Target holds a request to what proofs are made for, and returns its address
// as they have it (RFC 9449 §4.2): without query and fragment. It returns a
// *TargetError.
func Target(method, address string) (string, error) {
	if method == "" || len(method) > 20 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return "", &TargetError{"the method is a word in capitals, such as GET"}
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Opaque != "" || len(address) > maxTarget {
		return "", &TargetError{"the address is a whole one, such as https://notes.example.org/notes"}
	}
	if u.User != nil {
		return "", &TargetError{"the address holds a user's name"}
	}
	ip, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return "", &TargetError{"the address must be https: a token that is sent in the clear is seen"}
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/" // what is sent then
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// Prove makes the proof that a service wants beside a token, for one request
// (RFC 9449 §7). It says nothing of the body. There is none for the account
// server: what it takes is signed here, call by call. It returns a *TargetError
// for a request that gets no proof.
func (a *Agent) Prove(token, method, address string) (string, error) {
	target, err := Target(method, address)
	if err != nil {
		return "", err
	}
	id, err := a.Identity()
	if err != nil {
		return "", err
	}
	if sameHost(target, id.Server) {
		return "", &TargetError{"it is to the account server, whose calls this program makes itself"}
	}
	key, err := device.ParseKey([]byte(id.Key))
	if err != nil {
		return "", &StateError{IdentityFile, Malformed}
	}
	return key.Sign(device.Request{Method: method, URL: target, Token: token, AnyBody: true, Time: a.Now()})
}

// sameHost reports whether two addresses lead to the same port of a host.
func sameHost(x, y string) bool {
	one, err := url.Parse(x)
	other, err2 := url.Parse(y)
	return err == nil && err2 == nil && hostOf(one) == hostOf(other)
}

func hostOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return strings.TrimSuffix(strings.ToLower(u.Hostname()), ".") + " " + port
}
