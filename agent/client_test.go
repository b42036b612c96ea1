package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
)

func TestParseServer(t *testing.T) {
	for in, want := range map[string]string{
		"https://id.example.org":                  "https://id.example.org",
		" https://ID.Example.Org/ \n":             "https://id.example.org",
		"HTTPS://id.example.org:8443":             "https://id.example.org:8443",
		"https://192.0.2.1":                       "https://192.0.2.1",
		"https://[2001:db8::1]:443":               "https://[2001:db8::1]:443",
		"http://localhost:4001":                   "http://localhost:4001",
		"http://127.0.0.1:4001/":                  "http://127.0.0.1:4001",
		"http://127.8.9.1":                        "http://127.8.9.1",
		"http://[::1]:4001":                       "http://[::1]:4001",
		"":                                        "",
		"id.example.org":                          "",
		"id.example.org:443":                      "",
		"https://":                                "",
		"https://:443":                            "",
		"https:id.example.org":                    "",
		"ftp://id.example.org":                    "",
		"file:///etc/passwd":                      "",
		"http://id.example.org":                   "",
		"http://192.0.2.1":                        "",
		"http://0.0.0.0:4001":                     "",
		"http://localhost.example.org":            "",
		"http://127.0.0.1.example.org":            "",
		"http://[::ffff:192.0.2.1]:4001":          "",
		"https://id.example.org/path":             "",
		"https://id.example.org/?a=b":             "",
		"https://id.example.org/#a":               "",
		"https://id.example.org\n.evil":           "",
		"https://id .example.org":                 "",
		"https://jane:zqsecret@id.example.org":    "",
		"http://zqsecret@127.0.0.1:4001":          "",
		"https://jane:zq%zzsecret@id.example.org": "",
	} {
		got, err := ParseServer(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error repeats a password: %v", err)
		}
	}
}

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a certificate for 127.0.0.1 or what change makes of it.
func (a authority) issue(t *testing.T, key *ecdsa.PrivateKey, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	form := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(form)
	}
	der, err := x509.CreateCertificate(rand.Reader, form, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// serveTLS answers hello under a certificate, and returns the server's address.
func serveTLS(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what the tests make
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.StartTLS()
	t.Cleanup(s.Close)
	s.Config.Handler = hello(s.URL)
	return s.URL
}

func hello(url string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(api.HeaderNonce, "first")
		json.NewEncoder(w).Encode(api.Hello{Protocol: api.Protocol, URL: url})
	})
}

// listen takes connections on loopback and does with each as it is told.
func listen(t *testing.T, each func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				each(c)
			}()
		}
	}()
	return l.Addr().String()
}

func client(t *testing.T, server string, trusted *x509.CertPool) *Client {
	t.Helper()
	k, err := device.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c := NewClient(server, k, time.Now)
	if trusted != nil {
		c.http.Transport.(*http.Transport).TLSClientConfig.RootCAs = trusted
	}
	t.Cleanup(c.Close)
	return c
}

// why is the reason for which a server is not reached.
func why(t *testing.T, err error) string {
	t.Helper()
	e := new(UnreachableError)
	if !errors.As(err, &e) {
		t.Fatalf("%T: %v", err, err)
	}
	return e.Why
}

func TestWhy(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	closed := listen(t, func(net.Conn) {})
	l, err := net.Listen("tcp", closed[:strings.LastIndexByte(closed, ':')]+":0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	plain := httptest.NewServer(hello(""))
	t.Cleanup(plain.Close)
	quit := make(chan struct{})
	t.Cleanup(func() { close(quit) })

	for name, c := range map[string]struct {
		server string
		want   string
	}{
		"nobody listens":           {"http://" + nobody, ConnRefused},
		"nobody listens, TLS":      {"https://" + nobody, ConnRefused},
		"hangs up":                 {"http://" + closed, CutOff},
		"hangs up, TLS":            {"https://" + closed, CutOff},
		"never answers":            {"http://" + listen(t, func(net.Conn) { <-quit }), TimedOut},
		"never answers, TLS":       {"https://" + listen(t, func(net.Conn) { <-quit }), TimedOut},
		"breaks off in the answer": {"http://" + listen(t, answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")), CutOff},
		"speaks anything but HTTP": {"http://" + listen(t, answer("220 mail.example.org ESMTP\r\n")), OtherServer},
		"half speaks HTTP":         {"http://" + listen(t, answer("HTTP/1.1 200 OK\r\nno header\r\n\r\n")), OtherServer},
		"has an odd status":        {"http://" + listen(t, answer("HTTP/1.1 fine\r\n\r\n")), OtherServer},
		"is another authority's":   {serveTLS(t, foreign.issue(t, newKey(t), nil)), Untrusted},
		"has expired":              {serveTLS(t, ca.issue(t, newKey(t), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })), CertExpired},
		"begins tomorrow": {serveTLS(t, ca.issue(t, newKey(t), func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		})), CertExpired},
		"is for another name":     {serveTLS(t, ca.issue(t, newKey(t), func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"id.example.org"} })), WrongName},
		"is for another use":      {serveTLS(t, ca.issue(t, newKey(t), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} })), Untrusted},
		"speaks HTTP without TLS": {"https" + strings.TrimPrefix(plain.URL, "http"), NoTLS},
		"speaks anything but TLS": {"https://" + listen(t, answer("220 mail.example.org ESMTP\r\n")), NoTLS},
	} {
		t.Run(name, func(t *testing.T) {
			most := 20 * time.Second // on a busy machine
			if c.want == TimedOut {
				most = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), most)
			defer cancel()
			_, err := client(t, c.server, ca.pool).Hello(ctx)
			if got := why(t, err); got != c.want {
				t.Errorf("told as %s, want %s: %v", got, c.want, errors.Unwrap(err))
			}
		})
	}
}

// answer reads a little of what is asked and says one thing.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, text)
	}
}

// What loopback cannot show: the errors as the network makes them.
func TestWhyOfErrors(t *testing.T) {
	dial := func(err error) error {
		return fmt.Errorf("Get: %w", &net.OpError{Op: "dial", Net: "tcp", Err: err})
	}
	for want, errs := range map[string][]error{
		NoName:      {dial(&net.DNSError{Err: "no such host", Name: "id.example.org", IsNotFound: true})},
		NoAnswer:    {dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), dial(&net.DNSError{Err: "i/o timeout", IsTimeout: true})},
		NoRoute:     {dial(os.NewSyscallError("connect", syscall.ENETUNREACH)), dial(os.NewSyscallError("connect", syscall.EHOSTUNREACH))},
		ConnRefused: {dial(os.NewSyscallError("connect", syscall.ECONNREFUSED))},
		TimedOut:    {dial(context.DeadlineExceeded), dial(os.NewSyscallError("connect", syscall.ETIMEDOUT))},
		CutOff:      {io.EOF, io.ErrUnexpectedEOF, dial(os.NewSyscallError("read", syscall.ECONNRESET)), errors.New("another")},
		OtherServer: {fmt.Errorf("Get: %w", textproto.ProtocolError("malformed MIME header"))},
	} {
		for _, err := range errs {
			if got := Why(err); got != want {
				t.Errorf("%v is %s, want %s", err, got, want)
			}
		}
	}
}

// What answers is not always an account server: a guest network's page, a
// router, another service.
func TestOtherServers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html>Welcome to the guest network</html>")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != api.PathHello {
				t.Error("a redirect was followed")
			}
			http.Redirect(w, r, "/welcome", http.StatusFound)
		},
		"not found":       http.NotFound,
		"nothing":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"JSON of another": typed("application/json", `{"status":"ok"}`),
		"no JSON":         typed("application/json", `{"protocol":`),
		"JSON as text":    typed("text/plain", `{"protocol":1}`),
		"another's problem": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"title":"Forbidden","status":403}`)
		},
		"longer than any answer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"protocol":1,"x":"`)
			for range 2 * maxAnswer / 1024 {
				if _, err := io.WriteString(w, strings.Repeat("a", 1024)); err != nil {
					return
				}
			}
			io.WriteString(w, `"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(handler)
			defer s.Close()
			_, err := client(t, s.URL, nil).Hello(t.Context())
			if got := why(t, err); got != OtherServer {
				t.Errorf("told as %s", got)
			}
		})
	}
}

// One that comes between two calls: what it says to everybody is no answer to
// what was asked, neither done nor ready nor a token.
func TestGuestNetworkInBetween(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"a page":          typed("text/html", "<html>Welcome: are you ready?</html>"),
		"nothing at all":  func(http.ResponseWriter, *http.Request) {},
		"no content":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"JSON of another": typed("application/json", `{"status":"ok"}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(handler)
			defer s.Close()
			c := client(t, s.URL, nil)
			c.nonce = "one"
			if got := why(t, c.Ready(t.Context())); got != OtherServer {
				t.Errorf("ready: told as %s", got)
			}
			if got := why(t, c.Call(t.Context(), api.PathSignOut, api.Signed{}, nil)); got != OtherServer {
				t.Errorf("done: told as %s", got)
			}
			var out api.Token
			if got := why(t, c.Call(t.Context(), api.PathToken, api.TokenRequest{}, &out)); got != OtherServer {
				t.Errorf("token: told as %s", got)
			}
		})
	}
}

func typed(contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	}
}

func TestCertificateIsRemembered(t *testing.T) {
	ca, key := newAuthority(t), newKey(t)
	var seen []string
	for range 2 { // renewed for the same key
		c := client(t, serveTLS(t, ca.issue(t, key, nil)), ca.pool)
		if _, err := c.Hello(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, c.Certificate)
	}
	c := client(t, serveTLS(t, ca.issue(t, newKey(t), nil)), ca.pool)
	if _, err := c.Hello(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(seen[0]) != 64 || seen[0] != seen[1] || c.Certificate == seen[0] {
		t.Errorf("the key of one server is %s and %s, another's %s", seen[0], seen[1], c.Certificate)
	}
}

// A call is signed for the address, body and nonce; with an old nonce it is
// signed again, once.
func TestCall(t *testing.T) {
	var s *httptest.Server
	calls, stale := 0, 1
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.PathHello {
			hello(s.URL).ServeHTTP(w, r)
			return
		}
		calls++
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen, err := device.Verify(r.Header.Get(api.HeaderProof), device.Expectation{Method: r.Method, URL: s.URL + r.URL.Path, Body: body})
		if err != nil {
			t.Errorf("%v for %s", err, body)
		}
		w.Header().Set(api.HeaderNonce, fmt.Sprintf("nonce %d", calls))
		want := "first"
		if calls > 1 {
			want = fmt.Sprintf("nonce %d", calls-1)
		}
		if seen.Nonce != want {
			t.Errorf("call %d has the nonce %q, want %q", calls, seen.Nonce, want)
		}
		if calls <= stale {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			json.NewEncoder(w).Encode(api.Problem{Title: "sign again", Code: api.StaleProof})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"pass":"zq"}`)
	}))
	t.Cleanup(s.Close)

	c := client(t, s.URL, nil)
	var out api.Pass
	if err := c.Call(t.Context(), api.PathPass, api.Signed{Session: "one"}, &out); err != nil || out.Pass != "zq" || calls != 2 {
		t.Fatalf("%d calls: %v", calls, err)
	}
	stale = 100
	err := c.Call(t.Context(), api.PathPass, api.Signed{Session: "one"}, &out)
	if p := new(api.Problem); !errors.As(err, &p) || p.Code != api.StaleProof || calls != 4 {
		t.Errorf("%d calls: %v", calls, err)
	}
}

func TestRefusalComesAsProblem(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusForbidden)
		json.NewEncoder(w).Encode(api.Problem{Title: "refused", Status: 403, Code: api.Failed, Reference: "4K7Q-9FXM", Incident: "sealed"})
	}))
	t.Cleanup(s.Close)
	c := client(t, s.URL, nil)
	c.nonce = "one"
	err := c.Call(t.Context(), api.PathToken, api.TokenRequest{}, nil)
	if p := new(api.Problem); !errors.As(err, &p) || p.Code != api.Failed || p.Reference != "4K7Q-9FXM" || p.Incident != "sealed" {
		t.Errorf("%v", err)
	}
}

func TestServerByAnotherName(t *testing.T) {
	s := httptest.NewServer(hello("https://id.example.org"))
	t.Cleanup(s.Close)
	_, err := client(t, s.URL, nil).Hello(t.Context())
	if e := new(AddressError); !errors.As(err, &e) || e.Typed != s.URL || e.Public != "https://id.example.org" {
		t.Errorf("%v", err)
	}
}

func TestKeylessClientSignsNothing(t *testing.T) {
	c := Unsigned("http://127.0.0.1:1", time.Now)
	c.nonce = "one"
	if err := c.Call(t.Context(), api.PathToken, api.TokenRequest{}, nil); !errors.Is(err, device.ErrKey) {
		t.Errorf("%v", err)
	}
}
