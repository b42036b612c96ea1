package server_test

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/message"
	"readmit.dev/readmit/store"
)

// postbox takes messages, or fails to.
type postbox struct {
	mu   sync.Mutex
	none bool // the server has no senders at all
	got  []delivered
	fail error
	only string // channel that fails; empty: all
}

type delivered struct {
	channel string
	message.Text
}

type slot struct {
	*postbox
	channel string
}

func (s slot) Send(_ context.Context, t message.Text) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil && (s.only == "" || s.only == s.channel) {
		return s.fail
	}
	s.got = append(s.got, delivered{s.channel, t})
	return nil
}

func (p *postbox) senders() map[string]message.Sender {
	if p.none {
		return nil
	}
	return map[string]message.Sender{store.Email: slot{p, store.Email}, store.Phone: slot{p, store.Phone}}
}

func (p *postbox) failing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// deliver sends what is due and returns what arrived by it.
func (w *world) deliver() []delivered {
	w.t.Helper()
	w.post.mu.Lock()
	before := len(w.post.got)
	w.post.mu.Unlock()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.server.SendMessages(ctx)
	}()
	until := time.Now().Add(20 * time.Second)
	for due := -1; due != 0; {
		if time.Now().After(until) {
			w.t.Fatalf("%d messages are not delivered", due)
		}
		must(w.t, w.store.View(context.Background(), func(tx store.Tx) error {
			// What is being sent now is due again within two minutes.
			all, err := tx.DueMessages(w.clock.now(), 1000)
			due = len(all)
			later, err2 := tx.DueMessages(w.clock.now().Add(2*time.Minute), 1000)
			for _, m := range later {
				if m.Next.Equal(w.clock.now().Add(2 * time.Minute)) {
					due++
				}
			}
			if err == nil {
				err = err2
			}
			return err
		}))
		time.Sleep(time.Millisecond)
	}
	stop()
	<-ended
	w.post.mu.Lock()
	defer w.post.mu.Unlock()
	return append([]delivered(nil), w.post.got[before:]...)
}

var sixDigits = regexp.MustCompile(`\b[0-9]{6}\b`)

// codeIn is the code in a message to an address.
func (w *world) codeIn(got []delivered, to string) string {
	w.t.Helper()
	for _, d := range got {
		if d.To == to {
			if c := sixDigits.FindString(d.Body); c != "" {
				return c
			}
		}
	}
	w.t.Fatalf("no code came to %s", to)
	return ""
}

// told lists, for each address, how the subjects or SMS of what arrived begin.
func told(got []delivered, to string) (texts []string) {
	for _, d := range got {
		if d.To == to {
			first, _, _ := strings.Cut(d.Subject+d.Body, "\n")
			texts = append(texts, first)
		}
	}
	return texts
}
