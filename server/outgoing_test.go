package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/message"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store"
)

func written(t *testing.T, dir, name, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, []byte(content), mode))
	must(t, os.Chmod(path, mode))
	return path
}

func TestOutgoingConfiguration(t *testing.T) {
	dir := t.TempDir()
	secret := written(t, dir, "secret", "planted secret\n", 0o600)
	token := written(t, dir, "token", "planted-token\n", 0o400)
	file := written(t, dir, "readmit.toml", `
smtp = "smtps://mail.example.org:465"
smtp_user = "readmit"
smtp_password = "`+filepath.ToSlash(secret)+`"
mail_from = "id@example.org"
sms = "https://sms.example.org/send"
sms_secret = "`+filepath.ToSlash(token)+`"
sms_private = ["sms.internal"]
`, 0o644)
	c, err := server.ReadConfig(file)
	must(t, err)
	if _, err := c.Complete(); err != nil {
		t.Error(err)
	}
	bad := map[string]server.Config{
		"sender without a server":    {MailFrom: "id@example.org"},
		"server without a sender":    {SMTP: "smtps://mail.example.org"},
		"user without a password":    {SMTP: "smtps://mail.example.org", MailFrom: "id@example.org", SMTPUser: "readmit"},
		"password without a user":    {SMTP: "smtps://mail.example.org", MailFrom: "id@example.org", SMTPPassword: secret},
		"a server of no form":        {SMTP: "mail.example.org", MailFrom: "id@example.org"},
		"a secret without a service": {SMSSecret: token},
		"a network without one":      {SMSPrivate: []string{"sms.internal"}},
		"a service without TLS":      {SMS: "http://sms.example.org"},
		"a service within, no TLS":   {SMS: "http://sms.internal", SMSPrivate: []string{"sms.internal"}},
		"a secret of two lines":      {SMS: "https://sms.example.org", SMSSecret: written(t, dir, "lines", "planted\nsecret", 0o600)},
		"no such file":               {SMS: "https://sms.example.org", SMSSecret: filepath.Join(dir, "none")},
		"an empty file":              {SMS: "https://sms.example.org", SMSSecret: written(t, dir, "empty", " \n", 0o600)},
		"a long file":                {SMS: "https://sms.example.org", SMSSecret: written(t, dir, "long", strings.Repeat("x", 5000), 0o600)},
	}
	if runtime.GOOS != "windows" {
		bad["a file others can read"] = server.Config{SMS: "https://sms.example.org", SMSSecret: written(t, dir, "open", "planted", 0o644)}
		bad["a file the group can read"] = server.Config{SMS: "https://sms.example.org", SMSSecret: written(t, dir, "group", "planted", 0o640)}
	}
	for what, c := range bad {
		if _, err := c.Complete(); err == nil || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v", what, err)
		}
	}
	written(t, dir, "readmit.toml", "terminal = \"x\"\n", 0o644)
	if _, err := server.ReadConfig(file); err == nil {
		t.Error("the terminal is a key of the file")
	}
}

// queued leaves a message in a data folder, as a server that was killed does.
func queued(t *testing.T, dir, channel, to, code string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o700))
	master, err := keys.Master(dir)
	must(t, err)
	kept, err := openStore(dir)
	must(t, err)
	defer kept.Close()
	ring, err := keys.Open(t.Context(), kept, master, time.Now)
	must(t, err)
	o := &message.Outbox{Store: kept, Keys: ring, Now: time.Now, URL: publicURL}
	must(t, kept.Update(t.Context(), func(tx store.Tx) error {
		return o.Queue(tx, store.Subject{ID: store.ID{1}}, store.Address{ID: store.ID{2}, Kind: channel, Value: to}, message.AddressCode, map[string]string{"code": code})
	}))
}

type arrived chan string

func (a arrived) NewSession(*smtp.Conn) (smtp.Session, error) { return a, nil }
func (a arrived) Reset()                                      {}
func (a arrived) Logout() error                               { return nil }
func (a arrived) Mail(string, *smtp.MailOptions) error        { return nil }
func (a arrived) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (a arrived) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	a <- string(b)
	return err
}

func (a arrived) wait(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-a:
		if !strings.Contains(got, want) {
			t.Errorf("arrived: %s", got)
		}
	case <-time.After(20 * time.Second):
		t.Error("nothing arrived")
	}
}

// A server sends what it finds queued, as its configuration says.
func TestConfiguredServerSends(t *testing.T) {
	mails, texts := make(arrived, 1), make(arrived, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	sink := smtp.NewServer(mails)
	sink.Domain, sink.ErrorLog = "mail.example", log.New(io.Discard, "", 0)
	go sink.Serve(l)
	defer sink.Close()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ To, Text string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("Authorization") != "Bearer planted-token" {
			t.Error("the call of the SMS service", err)
		}
		texts <- in.To + " " + in.Text
	}))
	defer hook.Close()
	dir := t.TempDir()
	var terminal logBuffer
	c := complete(t, server.Config{
		Listen: freeAddress(t), Data: filepath.Join(dir, "data"), Terminal: &terminal, SMTP: "smtp://" + l.Addr().String(), MailFrom: "id@example.org",
		SMS: hook.URL, SMSPrivate: []string{"127.0.0.1"}, SMSSecret: written(t, dir, "token", "planted-token", 0o600),
	})
	queued(t, c.Data, store.Email, "jane@example.org", "271828")
	queued(t, c.Data, store.Phone, "+4930901820", "314159")
	_, stop := serving(t, c)
	mails.wait(t, "271828")
	texts.wait(t, "+4930901820 314159")
	stop()
	if len(terminal.bytes()) != 0 {
		t.Error("what was sent is on the terminal too")
	}
}

// Without mail and SMS, only a server that nobody else can reach shows messages
// on its terminal; none writes them into its log.
func TestTerminalOfAServerOfOnesOwn(t *testing.T) {
	for _, own := range []bool{true, false} {
		var terminal, logs logBuffer
		c := server.Config{Listen: freeAddress(t), Data: filepath.Join(t.TempDir(), "data"), Terminal: &terminal}
		if !own {
			c.URL, c.Proxy = "https://id.example.org", "127.0.0.1"
		}
		c = complete(t, c)
		queued(t, c.Data, store.Email, "jane@example.org", "271828")
		ctx, cancel := context.WithCancel(t.Context())
		s, err := server.Listen(ctx, c, openStore, time.Now, slog.New(slog.NewTextHandler(&logs, nil)))
		must(t, err)
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		seen := func() bool {
			if own {
				return len(terminal.bytes()) > 0
			}
			return bytes.Contains(logs.bytes(), []byte(message.NotConfigured))
		}
		for until := time.Now().Add(20 * time.Second); !seen() && time.Now().Before(until); {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
		must(t, <-done)
		if got := string(terminal.bytes()); own != strings.Contains(got, "\n+--- mail to jane@example.org\n") || own != strings.Contains(got, "| 271828\n") {
			t.Errorf("own %v: %q", own, got)
		}
		if bytes.Contains(logs.bytes(), []byte("jane@")) || bytes.Contains(logs.bytes(), []byte("271828")) || !seen() {
			t.Errorf("own %v: the log: %s", own, logs.bytes())
		}
	}
}
