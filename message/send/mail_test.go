package send

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"readmit.dev/readmit/message"
)

const mailSecret = "planted smtp password"

// certificate makes one for 127.0.0.1, and the roots that trust it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}

// sink is a mail server that keeps what it gets.
type sink struct {
	mu     sync.Mutex
	mails  []taken
	secure bool  // whether a mail came without TLS is not taken
	rcpt   error // answers RCPT
	from   error // answers MAIL
	data   error // answers the end of DATA
	open   error // answers the connection
	auth   bool  // asks for user and password
}

type taken struct {
	from string
	to   []string
	data []byte
	user string
	tls  bool
}

type sinkSession struct {
	s    *sink
	conn *smtp.Conn
	got  taken
}

func (s *sink) NewSession(c *smtp.Conn) (smtp.Session, error) {
	if s.open != nil {
		return nil, s.open
	}
	return &sinkSession{s: s, conn: c}, nil
}

func (s *sinkSession) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *sinkSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "readmit" || password != mailSecret {
			return smtp.ErrAuthFailed
		}
		s.got.user = user
		return nil
	}), nil
}
func (s *sinkSession) Reset()        {}
func (s *sinkSession) Logout() error { return nil }
func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error {
	if s.s.auth && s.got.user == "" {
		return smtp.ErrAuthRequired
	}
	s.got.from = from
	return s.s.from
}
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.got.to = append(s.got.to, to)
	return s.s.rcpt
}
func (s *sinkSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.got.data = b
	_, s.got.tls = s.conn.TLSConnectionState()
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if s.s.data == nil {
		s.s.mails = append(s.s.mails, s.got)
	}
	return s.s.data
}

// start serves on loopback and returns the port.
func (s *sink) start(t *testing.T, config *tls.Config, implicit bool) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	server := smtp.NewServer(s)
	server.Domain, server.EnableSMTPUTF8, server.ErrorLog = "mail.example", true, log.New(io.Discard, "", 0)
	if implicit {
		l = tls.NewListener(l, config)
	} else {
		server.TLSConfig = config
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return port
}

func text() message.Text {
	return message.Text{
		ID: [16]byte{0xab, 1}, To: "jane@example.org", Language: "de", Subject: "Ihr Code, für Sie: رمز", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Body: "Grüße\n\n271828\n\n.\n.. a line of dots\nمرحبا " + strings.Repeat("lang ", 60) + "\n",
	}
}

func why(t *testing.T, err error) (string, bool) {
	t.Helper()
	if err == nil {
		return "", false
	}
	f := new(message.Failure)
	if !errors.As(err, &f) {
		t.Fatalf("not a failure: %T", err)
	}
	return f.Why, f.Final
}

func TestMailOverTLS(t *testing.T) {
	config, roots := certificate(t)
	for _, implicit := range []bool{true, false} {
		s := &sink{auth: true}
		m := &Mail{
			Host: "127.0.0.1", Port: s.start(t, config, implicit), Implicit: implicit, User: "readmit", Password: mailSecret, From: "id@example.org",
			TLS: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"},
		}
		if err := m.Send(t.Context(), text()); err != nil {
			t.Fatalf("implicit %v: %v", implicit, err)
		}
		if len(s.mails) != 1 {
			t.Fatalf("%d mails", len(s.mails))
		}
		got := s.mails[0]
		if got.from != "id@example.org" || len(got.to) != 1 || got.to[0] != "jane@example.org" || !got.tls || got.user != "readmit" {
			t.Errorf("%s to %v, TLS %v, user %s", got.from, got.to, got.tls, got.user)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(got.data))
		if err != nil {
			t.Fatal(err)
		}
		h := parsed.Header
		if h.Get("Message-Id") != "<ab010000000000000000000000000000@example.org>" || h.Get("Auto-Submitted") != "auto-generated" || h.Get("To") != "<jane@example.org>" ||
			h.Get("Content-Language") != "de" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain; charset=UTF-8") || h.Get("X-Mailer")+h.Get("User-Agent") != "" {
			t.Errorf("%v", h)
		}
		body, err := decoded(parsed)
		if err != nil || strings.ReplaceAll(body, "\r\n", "\n") != text().Body {
			t.Errorf("%q, %v", body, err)
		}
	}
}

// A server whose certificate nobody vouches for, or that speaks no TLS at all,
// gets neither password nor mail.
func TestMailWithoutTrust(t *testing.T) {
	config, roots := certificate(t)
	trusting := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	for what, c := range map[string]struct {
		server  *tls.Config
		client  *tls.Config
		server1 bool
		client1 bool
	}{
		"unknown authority, implicit":  {config, nil, true, true},
		"unknown authority, STARTTLS":  {config, nil, false, false},
		"another name, implicit":       {config, &tls.Config{RootCAs: roots, ServerName: "mail.example"}, true, true},
		"another name, STARTTLS":       {config, &tls.Config{RootCAs: roots, ServerName: "mail.example"}, false, false},
		"no STARTTLS":                  {nil, trusting, false, false},
		"plain where TLS is asked for": {nil, trusting, false, true},
	} {
		s := &sink{}
		m := &Mail{Host: "127.0.0.1", Port: s.start(t, c.server, c.server1), Implicit: c.client1, User: "readmit", Password: mailSecret, From: "id@example.org", TLS: c.client}
		if w, final := why(t, m.Send(t.Context(), text())); w != message.TLS || final || len(s.mails) != 0 {
			t.Errorf("%s: %q, final %v, %d mails", what, w, final, len(s.mails))
		}
	}
}

func TestMailReasons(t *testing.T) {
	reply := func(code int, status smtp.EnhancedCode) error {
		return &smtp.SMTPError{Code: code, EnhancedCode: status, Message: "<jane@example.org> planted words"}
	}
	for what, c := range map[string]struct {
		sink  *sink
		why   string
		final bool
	}{
		"no such mailbox":        {&sink{rcpt: reply(550, smtp.EnhancedCode{5, 1, 1})}, message.NoSuchMailbox, true},
		"no such mailbox, old":   {&sink{rcpt: reply(550, smtp.NoEnhancedCode)}, message.NoSuchMailbox, true},
		"no such domain":         {&sink{rcpt: reply(553, smtp.EnhancedCode{5, 1, 2})}, message.NoSuchMailbox, true},
		"blocked":                {&sink{rcpt: reply(550, smtp.EnhancedCode{5, 7, 1})}, message.Refused, true},
		"full":                   {&sink{rcpt: reply(552, smtp.EnhancedCode{5, 2, 2})}, message.MailboxFull, true},
		"full for now":           {&sink{rcpt: reply(452, smtp.EnhancedCode{4, 2, 2})}, message.MailboxFull, false},
		"greylisted":             {&sink{rcpt: reply(451, smtp.EnhancedCode{4, 7, 1})}, message.PutOff, false},
		"spam, after the data":   {&sink{data: reply(554, smtp.EnhancedCode{5, 7, 1})}, message.Refused, true},
		"put off after the data": {&sink{data: reply(451, smtp.EnhancedCode{4, 3, 0})}, message.PutOff, false},
		"our address":            {&sink{from: reply(550, smtp.EnhancedCode{5, 7, 1})}, message.Refused, false},
		"busy":                   {&sink{open: reply(421, smtp.EnhancedCode{4, 3, 2})}, message.PutOff, false},
	} {
		m := &Mail{Host: "127.0.0.1", Port: c.sink.start(t, nil, false), Plain: true, From: "id@example.org"}
		err := m.Send(t.Context(), text())
		if w, final := why(t, err); w != c.why || final != c.final {
			t.Errorf("%s: %q, final %v", what, w, final)
		} else if strings.Contains(err.Error(), "jane") || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: the error holds what the server said", what)
		}
	}
	config, roots := certificate(t)
	s := &sink{auth: true}
	m := &Mail{Host: "127.0.0.1", Port: s.start(t, config, true), Implicit: true, User: "readmit", Password: "wrong", From: "id@example.org", TLS: &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}}
	if w, final := why(t, m.Send(t.Context(), text())); w != message.NoLogin || final {
		t.Errorf("wrong password: %q", w)
	}
}

func TestMailUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	m := &Mail{Host: "127.0.0.1", Port: port, Plain: true, From: "id@example.org"}
	if w, final := why(t, m.Send(t.Context(), text())); w != message.Unreachable || final {
		t.Errorf("nobody listens: %q", w)
	}
	// One that accepts and says nothing does not hold us.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, implicit := range []bool{true, false} {
		m = &Mail{Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port, Plain: !implicit, Implicit: implicit, From: "id@example.org"}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		if w, _ := why(t, m.Send(ctx, text())); w != message.Unreachable && w != message.TLS || time.Since(began) > 5*time.Second {
			t.Errorf("silence: %q after %v", w, time.Since(began))
		}
		cancel()
	}
}

// An address that would bring headers or recipients of its own goes nowhere.
func TestMailInjection(t *testing.T) {
	s := &sink{}
	m := &Mail{Host: "127.0.0.1", Port: s.start(t, nil, false), Plain: true, From: "id@example.org"}
	for _, to := range []string{
		"jane@example.org\r\nBcc: all@example.org", "jane@example.org\nRCPT TO:<x@example.org>", "jane@example.org>\r\nRCPT TO:<x@example.org", "jane@example.org, x@example.org",
		"\"a\r\nb\"@example.org", "", "@example.org", "jane", "Jane <jane@example.org>", "jane@exa mple.org", "jane@example.org\x00",
	} {
		x := text()
		x.To = to
		if w, final := why(t, m.Send(t.Context(), x)); w != message.NoSuchMailbox || !final {
			t.Errorf("%q: %q", to, w)
		}
	}
	x := text()
	x.Subject = "one\r\nBcc: all@example.org\r\n\r\nanother body"
	x.Language = "de\r\nBcc: all@example.org"
	if err := m.Send(t.Context(), x); err == nil {
		for _, got := range s.mails {
			parsed, err := mail.ReadMessage(bytes.NewReader(got.data))
			if err != nil || parsed.Header.Get("Bcc") != "" || len(got.to) != 1 {
				t.Errorf("a header was injected: %v", err)
			}
		}
	}
	if len(s.mails) > 1 {
		t.Errorf("%d mails", len(s.mails))
	}
}

func TestMailOfOtherScripts(t *testing.T) {
	s := &sink{}
	m := &Mail{Host: "127.0.0.1", Port: s.start(t, nil, false), Plain: true, From: "id@example.org"}
	x := text()
	x.To = "jürgen@bücher.example"
	if err := m.Send(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if to := s.mails[0].to[0]; to != "jürgen@xn--bcher-kva.example" {
		t.Errorf("sent to %q", to)
	}
}

func TestNewMail(t *testing.T) {
	for server, want := range map[string]Mail{
		"smtps://mail.example.org":      {Host: "mail.example.org", Port: 465, Implicit: true},
		"smtp://mail.example.org":       {Host: "mail.example.org", Port: 587},
		"smtp://mail.example.org:25":    {Host: "mail.example.org", Port: 25},
		"smtp://127.0.0.1:2525":         {Host: "127.0.0.1", Port: 2525, Plain: true},
		"smtp://localhost":              {Host: "localhost", Port: 587, Plain: true},
		"smtps://localhost":             {Host: "localhost", Port: 465, Implicit: true},
		"smtp://localhost.example.org/": {Host: "localhost.example.org", Port: 587},
	} {
		m, err := NewMail(server, "id@example.org", "", "")
		if err != nil || m.Host != want.Host || m.Port != want.Port || m.Implicit != want.Implicit || m.Plain != want.Plain {
			t.Errorf("%s: %+v, %v", server, m, err)
		}
	}
	for _, server := range []string{"", "mail.example.org", "mail.example.org:25", "http://mail.example.org", "smtp://", "smtp://user:planted@mail.example.org", "smtp://mail.example.org/x", "smtp://mail.example.org:0", "smtp://mail.example.org:99999"} {
		if m, err := NewMail(server, "id@example.org", "", ""); err == nil {
			t.Errorf("%q: %+v", server, m)
		}
	}
	for _, from := range []string{"", "id", "id@example.org\r\nBcc: x@example.org", "a@b.org, c@d.org"} {
		if _, err := NewMail("smtps://mail.example.org", from, "", ""); err == nil {
			t.Errorf("from %q", from)
		}
	}
}
