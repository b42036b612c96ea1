// Package send is how messages leave the server: by mail, by an SMS service,
// or, on a machine of one's own, on the terminal.
package send

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"readmit.dev/readmit/message"
)

// mailTime is how long one exchange with the mail server may take.
const mailTime = 20 * time.Second

// Mail sends by one SMTP server.
type Mail struct {
	Host     string
	Port     int
	Implicit bool // TLS from the first byte; otherwise STARTTLS, and never without it
	Plain    bool // no TLS at all: only for a server on this machine
	User     string
	Password string
	From     string      // the sender's address
	TLS      *tls.Config // nil for the system's roots
}

// NewMail reads where mail goes: smtps://host:465 for TLS from the first byte,
// smtp://host:587 for STARTTLS, which only a server on loopback need not speak.
func NewMail(server, from, user, password string) (*Mail, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "smtp" && u.Scheme != "smtps" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("smtp %q: want smtps://host:465 or smtp://host:587", server)
	}
	m := &Mail{Host: u.Hostname(), Implicit: u.Scheme == "smtps", Port: 587, User: user, Password: password, From: from}
	if m.Implicit {
		m.Port = 465
	}
	if p := u.Port(); p != "" {
		if m.Port, err = strconv.Atoi(p); err != nil || m.Port < 1 || m.Port > 65535 {
			return nil, fmt.Errorf("smtp %q: there is no such port", server)
		}
	}
	m.Plain = !m.Implicit && isLoopback(m.Host)
	probe := mail.NewMsg()
	if strings.ContainsAny(from, "\r\n") || probe.From(from) != nil {
		return nil, errors.New("mail_from: want the address that mails come from, such as id@example.org")
	}
	return m, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send hands one mail over.
func (m *Mail) Send(ctx context.Context, t message.Text) error {
	msg, err := m.write(t)
	if err != nil {
		return &message.Failure{Why: message.NoSuchMailbox, Final: true}
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	options := []mail.Option{
		mail.WithPort(m.Port), mail.WithTimeout(mailTime), mail.WithoutNoop(), mail.WithTLSConfig(m.config()),
		mail.WithDialContextFunc(m.dialer(ctx)), mail.WithTLSPolicy(mail.TLSMandatory), mail.WithHELO(helo(m.From)),
	}
	switch {
	case m.Implicit:
		// The dialer has made the connection safe already; what is left to do is
		// to see that it is.
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	case m.Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if m.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.User), mail.WithPassword(m.Password))
	}
	c, err := mail.NewClient(m.Host, options...)
	if err != nil {
		return &message.Failure{Why: message.Unreachable}
	}
	if err := c.DialWithContext(ctx); err != nil {
		return connecting(err)
	}
	defer c.Close()
	if err := c.Send(msg); err != nil {
		if msg.IsDelivered() {
			return nil // it has the mail; only what came after failed
		}
		return refused(err)
	}
	return nil
}

// helo is the name this server greets with: the domain its mail comes from.
func helo(from string) string {
	_, domain, _ := strings.Cut(from, "@")
	return domain
}

func (m *Mail) config() *tls.Config {
	if m.TLS != nil {
		return m.TLS.Clone()
	}
	return &tls.Config{ServerName: m.Host, MinVersion: tls.VersionTLS12}
}

// dialer connects; when whole ends, the connection does, whatever waits on it.
func (m *Mail) dialer(whole context.Context) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(whole, func() { c.Close() })
		if !m.Implicit {
			return c, nil
		}
		secure := tls.Client(c, m.config())
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, &handshake{err}
		}
		return secure, nil
	}
}

type handshake struct{ error }

func (m *Mail) write(t message.Text) (*mail.Msg, error) {
	to, err := ascii(t.To)
	if err != nil {
		return nil, err
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(m.From), msg.To(to)); err != nil {
		return nil, err
	}
	msg.Subject(t.Subject)
	msg.SetDateWithValue(t.At)
	// The same at each try: a mailbox that gets it twice can tell.
	msg.SetMessageIDWithValue(hex.EncodeToString(t.ID[:]) + "@" + helo(m.From))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office in answer
	msg.SetGenHeader("Content-Language", t.Language)
	msg.SetBodyString(mail.TypeTextPlain, t.Body)
	return msg, nil
}

// ascii writes the domain as the mail system knows it.
func ascii(address string) (string, error) {
	i := strings.LastIndexByte(address, '@')
	if i < 1 || strings.ContainsFunc(address, func(r rune) bool { return r < 0x21 || r == 0x7f || r == '<' || r == '>' }) {
		return "", errors.New("not an address")
	}
	domain, err := idna.Lookup.ToASCII(address[i+1:])
	return address[:i+1] + domain, err
}

// connecting says why there was no connection that mail could go over.
func connecting(err error) *message.Failure {
	var reply *textproto.Error
	var bad *handshake
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &reply) && reply.Code == 421:
		return &message.Failure{Why: message.PutOff}
	case errors.As(err, &reply) && (reply.Code/10 == 53 || reply.Code == 454):
		return &message.Failure{Why: message.NoLogin}
	case errors.As(err, &bad), errors.As(err, &authority), errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &record),
		strings.Contains(err.Error(), "STARTTLS"), strings.Contains(err.Error(), "tls: "):
		return &message.Failure{Why: message.TLS}
	case strings.Contains(err.Error(), "AUTH"):
		return &message.Failure{Why: message.NoLogin}
	case errors.As(err, &reply) && reply.Code >= 500:
		return &message.Failure{Why: message.Refused}
	}
	return &message.Failure{Why: message.Unreachable}
}

// refused says why the server did not take the mail. Only its numbers count
// (RFC 5321 §4.2, RFC 3463); its words may hold anything.
func refused(err error) *message.Failure {
	var e *mail.SendError
	if !errors.As(err, &e) || e.ErrorCode() == 0 {
		return &message.Failure{Why: message.Unreachable}
	}
	code, status := e.ErrorCode(), e.EnhancedStatusCode()
	final := code >= 500
	_, about, _ := strings.Cut(status, ".")
	switch {
	case code == 530, code == 534, code == 535:
		return &message.Failure{Why: message.NoLogin}
	case about == "2.2", code == 552 && about == "":
		return &message.Failure{Why: message.MailboxFull, Final: final}
	case !final:
		return &message.Failure{Why: message.PutOff}
	case e.Reason == mail.ErrSMTPMailFrom:
		return &message.Failure{Why: message.Refused} // our address, not theirs: whoever runs the server can end it
	case e.Reason == mail.ErrSMTPRcptTo && (about == "" || strings.HasPrefix(about, "1.") || about == "2.1"):
		return &message.Failure{Why: message.NoSuchMailbox, Final: true}
	}
	return &message.Failure{Why: message.Refused, Final: true}
}
