package web_test

import (
	"bufio"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"mime/quotedprintable"
)

// postbox is a mail server on loopback (RFC 5321, as much as a sender needs):
// it keeps what it gets, or takes nothing any more.
type postbox struct {
	t    *testing.T
	mu   sync.Mutex
	got  map[string][]string // texts, by mailbox
	full bool
	at   string
}

func newPostbox(t *testing.T) *postbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &postbox{t: t, got: map[string][]string{}, at: l.Addr().String()}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(step))
				p.talk(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wait.Wait() })
	return p
}

// flags make the server send its mail here.
func (p *postbox) flags(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "readmit.toml")
	must(t, os.WriteFile(file, []byte(fmt.Sprintf("smtp = \"smtp://%s\"\nmail_from = \"readmit@example.org\"\n", p.at)), 0o600))
	return []string{"--config", file}
}

func (p *postbox) refuses(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = all
}

var mailbox = regexp.MustCompile(`<([^>]*)>`)

func (p *postbox) talk(c net.Conn) {
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	in := bufio.NewReader(c)
	say("220 postbox")
	to := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(line)), " ")
		switch verb {
		case "EHLO", "HELO":
			say("250 postbox")
		case "RCPT":
			p.mu.Lock()
			full := p.full
			p.mu.Unlock()
			if m := mailbox.FindStringSubmatch(line); m != nil && !full {
				to = m[1]
				say("250 taken")
			} else {
				say("550 5.1.1 no such mailbox")
			}
		case "DATA":
			say("354 go on")
			var b strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimPrefix(line, "."))
			}
			p.keep(to, b.String())
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 as you like")
		}
	}
}

func (p *postbox) keep(to, raw string) {
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		p.t.Errorf("a mail that is none: %v", err)
		return
	}
	body := io.Reader(m.Body)
	if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	subject, serr := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || serr != nil {
		p.t.Errorf("a mail that cannot be read: %v, %v", err, serr)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got[to] = append(p.got[to], subject+"\n"+string(text))
}

// find waits for a mail that holds what is looked for, the newest first.
func (p *postbox) find(to string, has *regexp.Regexp) string {
	p.t.Helper()
	for began := time.Now(); time.Since(began) < step; time.Sleep(50 * time.Millisecond) {
		p.mu.Lock()
		all := p.got[to]
		p.mu.Unlock()
		for i := len(all) - 1; i >= 0; i-- {
			if m := has.FindStringSubmatch(all[i]); m != nil {
				return m[len(m)-1]
			}
		}
	}
	p.t.Fatalf("no mail to %s says %s: %q", to, has, p.got[to])
	return ""
}
