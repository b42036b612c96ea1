package signal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/store"
)

var (
	// ErrNoService: no service with this name or secret.
	ErrNoService = errors.New("there is no such service")
	// ErrServiceKnown: the name is taken.
	ErrServiceKnown = errors.New("a service of this name is registered: remove it first, or choose another name")
	// ErrServiceName: not a name.
	ErrServiceName = errors.New("a service's name has letters, digits, dots and hyphens, 64 at most")
	// ErrAudience: not an audience.
	ErrAudience = errors.New("an audience has 1 to 256 characters, and neither spaces nor what cannot be seen")
	// ErrPush: not an address to send to.
	ErrPush = errors.New("want the address that signals are pushed to, such as https://shop.example.org/signals")
	// ErrPlain: without TLS.
	ErrPlain = errors.New("signals are pushed by https; http is for this machine alone, where push_private in the server's configuration names it")
	// ErrParked: the stream is parked, and gets nothing until it is resumed.
	ErrParked = errors.New("the stream is parked: it gets nothing until the operator resumes it")
	// ErrPaused: its receiver has paused the stream.
	ErrPaused = errors.New("the stream is paused: changes wait until the service says that it is enabled (POST /ssf/status), or the operator resumes it")
	// ErrDisabled: its receiver has disabled the stream.
	ErrDisabled = errors.New("the stream is disabled: changes are not kept for it until the service says that it is enabled (POST /ssf/status), or the operator resumes it")
	// ErrAsked: the stream asks for verifications too often.
	ErrAsked = errors.New("a stream is verified once a second at most")
	// ErrStream: what a receiver may not change.
	ErrStream = errors.New("audience and delivery of a stream are set by who runs the account server")
	// ErrNoStream: its receiver has deleted it.
	ErrNoStream = errors.New("the stream was deleted: make it again with POST")
	// ErrStreamThere: there is one already.
	ErrStreamThere = errors.New("a service has one stream, and this one's is there: read it with GET")
	// ErrEvents: not types of events.
	ErrEvents = errors.New("events_requested has 64 addresses at most, of 4,096 characters together, without spaces")
	// ErrStatus: not a status.
	ErrStatus = errors.New("a stream is enabled, paused or disabled")
)

// VerifyEvery is how often a stream may be verified.
const VerifyEvery = time.Second

func isServiceName(s string) bool {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-'
	}
	return s != "" && len(s) <= 64 && s[0] != '.' && s[0] != '-' && !strings.ContainsFunc(s, other)
}

// Registered is a service just added. Secret and Token are told once.
type Registered struct {
	store.Service
	Secret string // the service shows it to this server
	Token  string // this server shows it to the service; empty where that polls
}

// Add registers a service that signals are pushed to, or, without an address,
// one that polls. plain tells whether a host may be reached without TLS.
func (o *Outbox) Add(ctx context.Context, name, audience, push string, plain func(host string) bool) (Registered, error) {
	if !isServiceName(name) {
		return Registered{}, ErrServiceName
	}
	if audience == "" || len(audience) > 256 || strings.ContainsFunc(audience, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Registered{}, ErrAudience
	}
	if push != "" {
		u, err := url.Parse(push)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(push) > 1024 || u.Scheme != "https" && u.Scheme != "http" {
			return Registered{}, ErrPush
		}
		if u.Scheme == "http" && !plain(u.Hostname()) {
			return Registered{}, ErrPlain
		}
		push = u.String()
	}
	if err := o.Keys.NeedSignals(ctx); err != nil {
		return Registered{}, err
	}
	var b [24]byte
	rand.Read(b[:])
	r := Registered{Secret: "rms_" + base64.RawURLEncoding.EncodeToString(b[:])}
	r.Service = store.Service{
		Name: name, Audience: audience, Push: push, Secret: sha256.Sum256([]byte(r.Secret)), Added: o.Now(), Status: store.StreamEnabled,
	}
	rand.Read(r.ID[:])
	err := o.Store.Update(ctx, func(tx store.Tx) error { return tx.AddService(r.Service) })
	o.directory.changed()
	if errors.Is(err, store.ErrConflict) {
		return Registered{}, ErrServiceKnown
	}
	if err != nil {
		return Registered{}, err
	}
	if push != "" {
		r.Token = o.Keys.PushToken(r.ID)
	}
	o.Wake()
	return r, nil
}

// Remove ends a service's registration; its secret opens nothing any more.
func (o *Outbox) Remove(ctx context.Context, name string) error {
	return o.on(ctx, name, func(tx store.Tx, s store.Service) error { return tx.DropService(s.ID) })
}

// Resume lets a parked service have its signals, all of them, from the first
// that it has not taken.
func (o *Outbox) Resume(ctx context.Context, name string) error {
	return o.on(ctx, name, func(tx store.Tx, s store.Service) error {
		if s.Parked.IsZero() && s.Status == store.StreamEnabled {
			return tx.Afresh(s.ID, o.Now())
		}
		if err := o.resume(tx, s, store.StreamEnabled, ""); err != nil {
			return err
		}
		return Updated(tx, s.ID, store.StreamEnabled, "resumed by who runs the account server", o.Now())
	})
}

// resume gives a stream the status that its receiver or the operator says.
func (o *Outbox) resume(tx store.Tx, s store.Service, status, why string) error {
	since := time.Time{}
	if status != store.StreamEnabled {
		since, why = o.Now(), saidByReceiver+why
		if s.Status == status && !s.Parked.IsZero() {
			since = s.Parked
		}
	}
	s.Status, s.Why, s.Parked = status, why, since
	if err := tx.SaveService(s); err != nil {
		return err
	}
	// Who lets it go on has seen to it: what is old already is not given up at
	// the first failure.
	return tx.Afresh(s.ID, o.Now())
}

func (o *Outbox) on(ctx context.Context, name string, f func(store.Tx, store.Service) error) error {
	o.init()
	var id store.ID
	err := o.Store.Update(ctx, func(tx store.Tx) error {
		all, err := tx.Services()
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(s store.Service) bool { return s.Name == name })
		if i < 0 {
			return ErrNoService
		}
		id = all[i].ID
		return f(tx, all[i])
	})
	// Also after an error: it may have happened.
	o.directory.changed()
	if err == nil {
		o.shows(id)
		o.Wake()
	}
	return err
}

// Receipt is the way of a change to a service, for the account's owner.
type Receipt struct {
	store.Receipt
	Name     string // the service's
	Audience string // of its tokens
}

// mostReceipts is how many receipts an owner is shown.
const mostReceipts = 512

// Receipts tells which services have which changes of an account, newest first;
// of one epoch alone where that is not zero. more: there are older ones that are
// left out.
func (o *Outbox) Receipts(ctx context.Context, account store.ID, epoch int64) (out []Receipt, more bool, err error) {
	err = o.Store.View(ctx, func(tx store.Tx) error {
		out, more = nil, false
		known := map[store.ID]store.Service{}
		services, err := tx.Services()
		if err != nil || len(services) == 0 {
			return err
		}
		for _, s := range services {
			known[s.ID] = s
		}
		read := tx.Receipts
		if epoch != 0 {
			read = func(account store.ID, limit int) ([]store.Receipt, error) {
				return tx.ReceiptsOf(account, epoch, limit)
			}
		}
		all, err := read(account, mostReceipts+1)
		more = len(all) > mostReceipts
		for _, r := range all[:min(len(all), mostReceipts)] {
			if s, ok := known[r.Service]; ok {
				out = append(out, Receipt{r, s.Name, s.Audience})
			}
		}
		return err
	})
	return out, more, err
}

// Waiting tells which services are behind with changes of an account, each with
// the first that it has not taken; the oldest first.
func (o *Outbox) Waiting(ctx context.Context, account store.ID) ([]Receipt, error) {
	return waiting(ctx, o.Store, account)
}

func waiting(ctx context.Context, kept store.Store, account store.ID) (out []Receipt, err error) {
	err = kept.View(ctx, func(tx store.Tx) error {
		out = nil
		services, err := tx.Services()
		for _, s := range services {
			r, err := tx.FirstWaiting(s.ID, account)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			out = append(out, Receipt{r, s.Name, s.Audience})
		}
		return err
	})
	slices.SortStableFunc(out, func(a, b Receipt) int { return a.Made.Compare(b.Made) })
	return out, err
}

// Pending is Waiting, of the changes made before a moment.
func Pending(ctx context.Context, kept store.Store, account store.ID, before time.Time) ([]Receipt, error) {
	all, err := waiting(ctx, kept, account)
	return slices.DeleteFunc(all, func(r Receipt) bool { return !r.Made.Before(before) }), err
}

func hexOf(id store.ID) string { return hex.EncodeToString(id[:]) }
