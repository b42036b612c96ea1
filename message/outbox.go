package message

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
)

// Outbox queues messages, and sends them.
type Outbox struct {
	Store    store.Store
	Keys     *keys.Ring
	Now      func() time.Time
	URL      string            // public; all links begin with it
	Senders  map[string]Sender // by channel, store.Email and store.Phone
	Log      *slog.Logger
	Observed func(channel, outcome string) // told of each try: sent, failed or given-up; may be nil
}

const (
	label = "message"
	// size is what a message is padded to, so that its length does not tell its
	// kind: above the longest that is made, a list of ten accounts in Arabic.
	size = 6 << 10
)

// sealed is what is kept of a message under the server's keys.
type sealed struct {
	To       string `json:"to"`
	Language string `json:"language"`
	Subject  string `json:"subject,omitempty"`
	Body     string `json:"body"`
}

// Sends reports whether messages of a kind of address leave this server.
func (o *Outbox) Sends(kind string) bool { return o.Senders[kind] != nil }

// Queue puts a message to one address into the outbox, in the transaction that
// makes what it tells of. An unknown kind and a missing value are errors: they
// are mistakes of the program.
func (o *Outbox) Queue(tx store.Tx, a store.Subject, to store.Address, kind string, values map[string]string) error {
	now := o.Now()
	with := map[string]string{"when": Moment(now)}
	if a.Identifier != "" {
		with["account"] = a.Identifier
	}
	maps.Copy(with, values)
	s := sealed{To: to.Value, Language: Language(to.Language)}
	var err error
	if s.Subject, s.Body, err = write(s.Language, kind, to.Kind, o.URL, with); err != nil {
		return err
	}
	m := store.Message{Account: a.ID, Address: to.ID, Channel: to.Kind, Kind: kind, Created: now, Next: now}
	if kind == AccountClosed {
		m.Account, m.Address = store.ID{}, store.ID{} // it outlives the account
	}
	rand.Read(m.ID[:])
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return err
	}
	if m.Sealed, err = o.Keys.Seal(label, plain.Bytes(), size); err != nil {
		return err
	}
	return tx.AddMessage(m)
}

// Tell queues a message to every verified address of an account.
func (o *Outbox) Tell(tx store.Tx, a store.Subject, kind string, values map[string]string) error {
	all, err := tx.Addresses(a.ID)
	if err != nil {
		return err
	}
	for _, to := range all {
		if to.Verified.IsZero() {
			continue
		}
		to.LastNotice = o.Now()
		if err := tx.SaveAddress(to); err != nil {
			return err
		}
		if err := o.Queue(tx, a, to, kind, values); err != nil {
			return err
		}
	}
	return nil
}

func (o *Outbox) open(m store.Message) (Text, error) {
	plain, err := o.Keys.Open(label, m.Sealed)
	if err != nil {
		return Text{}, err
	}
	var s sealed
	if err := json.Unmarshal(bytes.TrimRight(plain, "\x00"), &s); err != nil {
		return Text{}, err
	}
	return Text{ID: m.ID, To: s.To, Language: s.Language, Subject: s.Subject, Body: s.Body, At: m.Created}, nil
}
