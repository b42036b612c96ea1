package server

import (
	"net"
	"net/http"
	"net/url"
)

// names are the addresses, by host and port, that a server on loopback goes by:
// passkeys want it called localhost, and terminals call it by its number. All of
// them are this machine, so that what is signed for one means the other; a
// server with a public address has that one alone.
func names(public string) map[string]string {
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "http" || !IsLoopback(net.JoinHostPort(u.Hostname(), u.Port())) {
		return nil
	}
	all := map[string]string{}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		at := net.JoinHostPort(host, u.Port())
		if u.Port() == "" {
			at = host
		}
		all[at] = "http://" + at
	}
	return all
}

// called is the address that a request was made to. What a request says counts
// only where it names one of ours.
func (s *Server) called(r *http.Request) string {
	if at, ok := s.names[r.Host]; ok {
		return at
	}
	return s.url
}
