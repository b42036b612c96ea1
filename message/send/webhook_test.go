package send

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"readmit.dev/readmit/message"
)

const hookSecret = "planted-sms-secret"

func decoded(m *mail.Message) (string, error) {
	r := m.Body
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		r = quotedprintable.NewReader(r)
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

func sms() message.Text {
	return message.Text{ID: [16]byte{1}, To: "+4930901820", Body: "271828 bestätigt\n\n@id.example.org #271828\n"}
}

// service is an SMS service with TLS; its certificate is for 127.0.0.1.
func service(t *testing.T, h http.HandlerFunc) (*httptest.Server, *tls.Config) {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	return s, s.Client().Transport.(*http.Transport).TLSClientConfig
}

func TestWebhook(t *testing.T) {
	var got map[string]string
	var header http.Header
	s, config := service(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != http.MethodPost {
			t.Error(r.Method, err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	h, err := NewWebhook(s.URL+"/send", hookSecret, []string{"127.0.0.1"}, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Send(t.Context(), sms()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["to"] != "+4930901820" || got["text"] != "271828 bestätigt\n\n@id.example.org #271828" {
		t.Errorf("%v", got)
	}
	if header.Get("Authorization") != "Bearer "+hookSecret || header.Get("Content-Type") != "application/json" || header.Get("Idempotency-Key") == "" {
		t.Errorf("%v", header)
	}
}

func TestWebhookReasons(t *testing.T) {
	var status atomic.Int64
	s, config := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
		io.WriteString(w, "planted words")
	})
	h, err := NewWebhook(s.URL, hookSecret, []string{"127.0.0.1"}, config)
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]message.Failure{
		400: {Why: message.RejectedNumber, Final: true}, 422: {Why: message.RejectedNumber, Final: true}, 401: {Why: message.NoLogin}, 403: {Why: message.NoLogin},
		404: {Why: message.Refused}, 429: {Why: message.PutOff}, 500: {Why: message.PutOff}, 503: {Why: message.PutOff}, 204: {},
	} {
		status.Store(int64(code))
		if w, final := why(t, h.Send(t.Context(), sms())); w != want.Why || final != want.Final {
			t.Errorf("%d: %q, final %v", code, w, final)
		}
	}
	s.Close()
	if w, _ := why(t, h.Send(t.Context(), sms())); w != message.Unreachable {
		t.Errorf("nobody there: %q", w)
	}
}

func TestWebhookWithoutTrust(t *testing.T) {
	called := false
	s, _ := service(t, func(http.ResponseWriter, *http.Request) { called = true })
	h, err := NewWebhook(s.URL, hookSecret, []string{"127.0.0.1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if w, _ := why(t, h.Send(t.Context(), sms())); w != message.TLS || called {
		t.Errorf("%q, called %v", w, called)
	}
}

// Whatever a name leads to at the moment it is called, it does not lead into a
// private network, unless that very name was allowed to.
func TestWebhookIntoPrivateNetworks(t *testing.T) {
	var calls atomic.Int64
	s, config := service(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	named := config.Clone()
	named.ServerName = "127.0.0.1"
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]", "127.1", "2130706433"} {
		for _, private := range [][]string{nil, {"other.example.org"}} {
			h, err := NewWebhook("https://"+host+":"+u.Port()+"/", hookSecret, private, named)
			if err != nil {
				continue
			}
			if w, _ := why(t, h.Send(t.Context(), sms())); w == "" || calls.Load() != 0 {
				t.Errorf("%s was called", host)
			}
		}
	}
	// A name that is public when it is configured and private when it is called
	// ("localhost" resolves only then).
	h, err := NewWebhook("https://localhost:"+u.Port()+"/", hookSecret, nil, named)
	if err != nil {
		t.Fatal(err)
	}
	if w, _ := why(t, h.Send(t.Context(), sms())); w != message.Refused {
		t.Errorf("localhost: %q", w)
	}
	h, err = NewWebhook("https://localhost:"+u.Port()+"/", hookSecret, []string{"LOCALHOST"}, named)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Send(t.Context(), sms()); err != nil || calls.Load() != 1 {
		t.Errorf("named, and not called: %v", err)
	}
}

// A redirect is followed nowhere, and takes neither secret nor text with it.
func TestWebhookRedirects(t *testing.T) {
	var calls atomic.Int64
	other, _ := service(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		s, config := service(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, code) })
		h, err := NewWebhook(s.URL, hookSecret, []string{"127.0.0.1"}, config)
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := why(t, h.Send(t.Context(), sms())); w != message.Refused || calls.Load() != 0 {
			t.Errorf("%d: %q, %d calls elsewhere", code, w, calls.Load())
		}
	}
}

// A service that hangs or never ends its answer does not hold us.
func TestWebhookBounds(t *testing.T) {
	release := make(chan struct{})
	slow, config := service(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	h, err := NewWebhook(slow.URL, hookSecret, []string{"127.0.0.1"}, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if w, _ := why(t, h.Send(ctx, sms())); w != message.Unreachable || time.Since(began) > 5*time.Second {
		t.Errorf("%q after %v", w, time.Since(began))
	}
	var written atomic.Int64
	endless, config := service(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := bytes.Repeat([]byte("x"), 64<<10)
		for range 4096 {
			n, err := w.Write(chunk)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	})
	if h, err = NewWebhook(endless.URL, hookSecret, []string{"127.0.0.1"}, config); err != nil {
		t.Fatal(err)
	}
	if err := h.Send(t.Context(), sms()); err != nil || written.Load() > 64<<20 {
		t.Errorf("%v, %d bytes", err, written.Load())
	}
}

func TestNewWebhook(t *testing.T) {
	for _, c := range []struct {
		url, secret string
		private     []string
	}{
		{"", "", nil}, {"sms.example.org", "", nil}, {"ftp://sms.example.org", "", nil}, {"http://sms.example.org", "", nil}, {"http://sms.example.org", "", []string{"sms.example.org"}},
		{"http://127.0.0.1/", "", nil}, {"https://user:planted@sms.example.org", "", nil}, {"https://sms.example.org/#x", "", nil}, {"https://sms.example.org", "two\nlines", nil},
	} {
		if _, err := NewWebhook(c.url, c.secret, c.private, nil); err == nil || c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("%s: %v", c.url, err)
		}
	}
	for _, c := range []struct {
		url     string
		private []string
	}{{"https://sms.example.org/send?x=1", nil}, {"http://127.0.0.1:8080/", []string{"127.0.0.1"}}} {
		if _, err := NewWebhook(c.url, "secret", c.private, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	m, s := NewTerminals(&out)
	x := text()
	x.To, x.Body = "jane@example.org\x1b[2J", "one\n\ntwo\x07\n"
	if err := m.Send(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), sms()); err != nil {
		t.Fatal(err)
	}
	want := "\n+--- mail to jane@example.org[2J\n| " + x.Subject + "\n|\n| one\n| \n| two\n+---\n\n\n+--- SMS to +4930901820\n| 271828 bestätigt\n| \n| @id.example.org #271828\n+---\n\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}
