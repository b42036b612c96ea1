package send

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"readmit.dev/readmit/message"
)

// Terminal shows messages to whoever runs the server on a machine of their own.
type Terminal struct {
	Channel string // what the frame calls it

	mu *sync.Mutex
	to io.Writer
}

// NewTerminals makes one for mail and one for SMS that take turns.
func NewTerminals(to io.Writer) (mail, sms *Terminal) {
	var mu sync.Mutex
	return &Terminal{"mail", &mu, to}, &Terminal{"SMS", &mu, to}
}

// Send writes the message, framed, so that nobody takes it for the log.
func (t *Terminal) Send(_ context.Context, m message.Text) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n+--- %s to %s\n", t.Channel, m.To)
	if m.Subject != "" {
		fmt.Fprintf(&b, "| %s\n|\n", m.Subject)
	}
	for line := range strings.Lines(strings.TrimSpace(m.Body) + "\n") {
		b.WriteString("| " + line)
	}
	b.WriteString("+---\n\n")
	t.mu.Lock()
	defer t.mu.Unlock()
	// What a terminal would obey is left out; nothing of ours brings any.
	_, err := io.WriteString(t.to, strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, b.String()))
	return err
}
