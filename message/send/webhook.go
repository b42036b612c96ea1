package send

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"crypto/tls"

	"readmit.dev/readmit/message"
	"readmit.dev/readmit/outward"
)

// hookTime is how long one call of the SMS service may take.
const hookTime = 10 * time.Second

// Webhook sends SMS by a POST of {"to":"+49…","text":"…"} to a service.
type Webhook struct {
	url    string
	secret string
	client *http.Client
}

// NewWebhook makes a sender. private lists host names that may lead to an
// address of a private network or of this machine; nothing else may, whatever
// its name resolves to when it is called. roots is nil for the system's.
func NewWebhook(service, secret string, private []string, config *tls.Config) (*Webhook, error) {
	u, err := url.Parse(service)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" {
		return nil, fmt.Errorf("sms %q: want the address of the SMS service, such as https://sms.example.org/send", service)
	}
	within := outward.Allowed(private, u.Hostname())
	if u.Scheme == "http" && !(within && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("sms %q: http is for a service on this machine that sms_private names; want https", service)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("sms_secret: the file holds more than one word of plain characters")
	}
	// A redirect would send code and number where nobody configured it.
	return &Webhook{url: u.String(), secret: secret, client: outward.Client(within, hookTime, 1, config)}, nil
}

// Send hands one SMS over.
func (w *Webhook) Send(ctx context.Context, t message.Text) error {
	body, err := json.Marshal(struct {
		To   string `json:"to"`
		Text string `json:"text"`
	}{t.To, strings.TrimSpace(t.Body)})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", fmt.Sprintf("%x", t.ID[:]))
	r.Header.Set("User-Agent", "readmit")
	if w.secret != "" {
		r.Header.Set("Authorization", "Bearer "+w.secret)
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return unreached(err)
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, 64<<10) // so that the connection can serve again
	switch s := answer.StatusCode; {
	case s/100 == 2:
		return nil
	case s == 400, s == 422:
		return &message.Failure{Why: message.RejectedNumber, Final: true}
	case s == 401, s == 403:
		return &message.Failure{Why: message.NoLogin}
	case s == 408, s == 425, s == 429, s >= 500:
		return &message.Failure{Why: message.PutOff}
	}
	return &message.Failure{Why: message.Refused}
}

func unreached(err error) *message.Failure {
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.Is(err, outward.ErrPrivate):
		return &message.Failure{Why: message.Refused}
	case errors.As(err, &verify), errors.As(err, &record), errors.As(err, &alert), strings.Contains(err.Error(), "tls: "):
		return &message.Failure{Why: message.TLS}
	}
	return &message.Failure{Why: message.Unreachable}
}
