package signal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
)

// Why a signal waits, or what became of it.
const (
	Unreachable    = "unreachable"     // no connection, or it was cut off
	TimedOut       = "timed-out"       // no answer in time
	TLS            = "tls"             // no certificate that this machine trusts
	PrivateAddress = "private-address" // push_private does not name it
	Redirected     = "redirected"      // signals are not sent where nobody registered
	NoLogin        = "no-login"        // the service does not take this server's token
	PutOff         = "put-off"         // the service asks to be tried later, or has a fault
	WrongAnswer    = "wrong-answer"    // no answer of RFC 8935
	Rejected       = "rejected"        // the service says that the signal is not good
	TooOld         = "too-old"         // it was tried for as long as signals are
	NotAsked       = "not-asked"       // the stream does not have events of this type
	Lost           = "lost"            // the signal itself is gone
)

// Failure is why a push did not arrive.
type Failure struct {
	Why   string // one of the constants
	Code  string // the service's own code, where it is one of RFC 8935 §2.4
	Final bool   // trying again is of no use
}

func (f *Failure) Error() string {
	if f.Code != "" {
		return f.Why + " (" + f.Code + ")"
	}
	return f.Why
}

// Sender pushes one SET to a service, which then has it. Its error is a *Failure.
type Sender interface {
	Push(ctx context.Context, url, token, set string) error
}

const (
	// tryTime is how long one push may take.
	tryTime = 5 * time.Second
	// lease is how long a service is one node's to send to. It is written down,
	// and prolonged while there is something to send: a node that dies costs
	// this much delay.
	lease = 3 * time.Second
	// claimed is how many are sent between two looks, together how many at once.
	claimed  = 64
	together = 16
	// givenUp is how long a signal is tried before its service is parked.
	givenUp = 24 * time.Hour
	// oldTries are needed as well, some thirteen minutes of them: a service that
	// was told to go on, or was away itself, has old signals to begin with.
	oldTries = 12
	// keyTries is how often a service may say that it does not know the key: it
	// may have asked a node that had not yet heard of a new one.
	keyTries = 10
	// lookout is how often the services and what is due are looked at without
	// a reason.
	lookout = time.Second
)

// Outbox brings signals to services.
type Outbox struct {
	Store    store.Store
	Keys     *keys.Ring
	Now      func() time.Time
	URL      string // public: the issuer
	Sender   Sender
	Log      *slog.Logger
	Observed func(service, outcome string) // told of each push: delivered, failed, parked; may be nil

	directory directory
	holds     holds

	once    sync.Once
	node    store.ID
	sets    *sets
	bell    bell
	stopped chan struct{}

	mu       sync.Mutex
	names    []string                   // audiences of all services, as they were a second ago
	verified map[store.ID]time.Time     // when streams last asked for a verification
	signs    map[store.ID]chan struct{} // of life, by service
}

func (o *Outbox) init() {
	o.once.Do(func() {
		rand.Read(o.node[:])
		o.sets = newSets(o.Keys, o.URL, o.Now)
		o.bell.rung = make(chan struct{})
		o.stopped = make(chan struct{})
		o.verified = map[store.ID]time.Time{}
		o.signs = map[store.ID]chan struct{}{}
	})
}

// bell wakes all who wait for something to send.
type bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}

// alive is told when a service that could not be reached shows itself.
func (o *Outbox) alive(service store.ID) chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, ok := o.signs[service]
	if !ok {
		c = make(chan struct{}, 1)
		o.signs[service] = c
	}
	return c
}

// shows tells it.
func (o *Outbox) shows(service store.ID) {
	select {
	case o.alive(service) <- struct{}{}:
	default: // one that was not heard yet says the same
	}
}

// Wake says that there is something to send, or that a service has changed.
func (o *Outbox) Wake() {
	o.init()
	o.bell.ring()
}

// Run pushes what is due until the context ends, and then lets no poll wait.
func (o *Outbox) Run(ctx context.Context) {
	o.init()
	defer close(o.stopped)
	var all sync.WaitGroup
	defer all.Wait()
	type running struct {
		as   store.Service
		stop context.CancelFunc
	}
	now := map[store.ID]running{}
	defer func() {
		for _, r := range now {
			r.stop()
		}
	}()
	down := false
	for {
		woken := o.bell.next()
		services, err := o.services(ctx)
		if (err != nil) != down && ctx.Err() == nil {
			if down = err != nil; down {
				o.Log.Error("signals wait: the store does not answer", "error", err)
			}
		}
		if err == nil {
			o.mu.Lock()
			o.names = audiencesOf(services)
			o.mu.Unlock()
			wanted := map[store.ID]store.Service{}
			for _, s := range services {
				if s.Push != "" && s.Status == store.StreamEnabled && s.Parked.IsZero() {
					wanted[s.ID] = s
				}
			}
			for id, r := range now {
				if s, ok := wanted[id]; !ok || s != r.as {
					r.stop()
					delete(now, id)
				}
			}
			for id, s := range wanted {
				if _, ok := now[id]; ok {
					continue
				}
				own, stop := context.WithCancel(ctx)
				now[id] = running{s, stop}
				all.Go(func() { o.push(own, s) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-woken:
			// Signals ring far more often than services change.
			if !sleep(ctx, lookout/10) {
				return
			}
		case <-time.After(lookout):
		}
	}
}

func (o *Outbox) services(ctx context.Context) (all []store.Service, err error) {
	err = o.Store.View(ctx, func(tx store.Tx) error {
		all, err = tx.Services()
		return err
	})
	return all, err
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// signalOf is the signal of a receipt.
func signalOf(d store.Due) store.Signal {
	return store.Signal{ID: d.Signal, Account: d.Account, Epoch: d.Epoch, Kind: d.Kind, At: d.Made, Detail: d.Detail}
}

// due reads what is due to a service, with what is needed to send it.
func (o *Outbox) due(ctx context.Context, s store.Service, most int) (items []store.Due, audiences []string, err error) {
	err = o.Store.View(ctx, func(tx store.Tx) error {
		items, audiences = nil, nil
		list, err := tx.DueReceipts(s.ID, o.Now(), most)
		if err != nil || len(list) == 0 {
			return err
		}
		services, err := tx.Services()
		if err != nil {
			return err
		}
		runs := false
		for _, one := range services {
			runs = runs || one.ID == s.ID && one.Status == store.StreamEnabled && one.Parked.IsZero()
		}
		if runs {
			items, audiences = list, audiencesOf(services)
		}
		return nil
	})
	return items, audiences, err
}

// audiencesOf lists those of all services, each once and in order.
func audiencesOf(services []store.Service) (all []string) {
	for _, s := range services {
		all = append(all, s.Audience)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Ready returns a signal with its SET, signed before it is written: a node that
// makes a change signs for all nodes that send it, where each would sign again.
// It comes as it was where there is nobody to sign for, or no key yet. A node
// that finds other services than were known then, or an old SET, makes its own.
func (o *Outbox) Ready(n store.Signal) store.Signal {
	o.init()
	o.mu.Lock()
	audiences := o.names
	o.mu.Unlock()
	if len(audiences) == 0 || n.Kind == Asked || ofStream(n.Kind) {
		return n
	}
	names, err := json.Marshal(audiences)
	if err != nil {
		return n
	}
	text, err := o.sets.fresh(n, audiences, store.ID{})
	if err != nil {
		return n
	}
	d, err := detail(n)
	if err != nil {
		return n
	}
	d.Set = &readySet{For: string(names), Text: text}
	if with, err := json.Marshal(d); err == nil {
		n.Detail = with
	}
	return n
}

// push sends to one service until the context ends.
func (o *Outbox) push(ctx context.Context, s store.Service) {
	failures, until := 0, time.Time{} // how often in a row all failed; the end of this node's lease
	for ctx.Err() == nil {
		woken := o.bell.next()
		most := claimed
		if failures > 0 {
			most = 1 // one finds out for all
		}
		items, audiences, err := o.due(ctx, s, most)
		if err == nil && len(items) > 0 {
			if until, err = o.claim(ctx, s.ID, until); err == nil && o.Now().Before(until) {
				var done outcome
				if done, until, err = o.send(ctx, s, items, audiences, until); err == nil {
					switch {
					case done.parked:
						continue // and nothing is due until it is resumed
					case done.delivered > 0:
						if failures > 0 {
							err = o.Store.Mark(ctx, func(tx store.Tx) error { return tx.Hurry(s.ID, o.Now()) })
						}
						failures = 0
						continue
					case done.failed == 0:
						continue
					default:
						failures++
						select {
						case <-ctx.Done():
						case <-o.alive(s.ID):
							failures = 0
						case <-time.After(backoff(failures, mathrand.Float64())):
						}
						continue
					}
				}
			}
		}
		pause := lookout
		if err != nil && ctx.Err() == nil {
			o.Log.Error("signals wait: the store does not answer", "service", s.Name, "error", err)
		} else if len(items) > 0 { // another node's, for now
			pause = lease / 3
			woken = nil
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-time.After(pause):
		}
	}
}

// claim makes a service this node's to send to, where it is no other's. It
// returns until when, which is zero where it is another's.
func (o *Outbox) claim(ctx context.Context, service store.ID, have time.Time) (until time.Time, err error) {
	now := o.Now()
	if have.Sub(now) > lease/2 {
		return have, nil
	}
	mine := false
	err = o.Store.Mark(ctx, func(tx store.Tx) error {
		mine, err = tx.Claim(store.Work{Service: service, Node: o.node, Lease: now.Add(lease)}, now, now.Add(2*lease))
		return err
	})
	if err != nil || !mine {
		return time.Time{}, err
	}
	return now.Add(lease), nil
}

// outcome is what came of a batch.
type outcome struct {
	delivered, failed int
	parked            bool
}

// send pushes a batch, one of each account, and keeps what came of it.
func (o *Outbox) send(ctx context.Context, s store.Service, items []store.Due, audiences []string, until time.Time) (outcome, time.Time, error) {
	results := make([]*Failure, len(items))
	token := o.Keys.PushToken(s.ID)
	var all sync.WaitGroup
	slots := make(chan struct{}, together)
	for i, one := range items {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = o.try(ctx, s, one, audiences, token)
		})
	}
	sent := make(chan struct{})
	go func() {
		all.Wait()
		close(sent)
	}()
	for waiting := true; waiting; {
		select {
		case <-sent:
			waiting = false
		case <-time.After(lease / 3):
			if end, err := o.claim(ctx, s.ID, time.Time{}); err == nil && !end.IsZero() {
				until = end
			}
		}
	}
	if ctx.Err() != nil {
		// What arrived and is not marked is sent once more: at least once.
		for i, f := range results {
			if f != nil {
				items[i].Signal = store.ID{}
			}
		}
	}
	done, err := o.mark(ctx, s, items, results)
	return done, until, err
}

// try sends one.
func (o *Outbox) try(ctx context.Context, s store.Service, one store.Due, audiences []string, token string) *Failure {
	if one.Lost {
		return &Failure{Why: Lost, Final: true}
	}
	if !wanted(s, signalOf(one)) {
		return &Failure{Why: NotAsked}
	}
	text, err := o.sets.make(ctx, signalOf(one), s, audiences)
	if err != nil {
		o.Log.Error("a signal cannot be signed", "error", err)
		return &Failure{Why: PutOff}
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	if err = o.Sender.Push(ctx, s.Push, token, text); err == nil {
		return nil
	}
	if f := new(Failure); errors.As(err, &f) {
		return f
	}
	return &Failure{Why: Unreachable}
}

// wanted reports whether the stream has events of a signal's type.
func wanted(s store.Service, n store.Signal) bool {
	d, err := detail(n)
	return s.Events == "" || ofStream(n.Kind) || err != nil || slices.Contains(strings.Fields(s.Events), eventOf(n.Kind, d))
}

// mark keeps what came of a batch. Where the store does not take it, all of it
// is sent once more.
func (o *Outbox) mark(ctx context.Context, s store.Service, items []store.Due, results []*Failure) (done outcome, err error) {
	ctx = context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	now := o.Now()
	why := ""
	pauses, order := make([]time.Duration, len(items)), make([]int, len(items))
	for i := range items {
		pauses[i], order[i] = backoff(items[i].Tries+1, mathrand.Float64()), i
	}
	slices.SortFunc(order, func(a, b int) int { return byID(items[a].Signal, items[b].Signal) }) // see ids
	err = o.Store.Mark(ctx, func(tx store.Tx) error {
		done, why = outcome{}, ""
		for _, i := range order {
			one, f := items[i], results[i]
			if one.Signal.IsZero() {
				continue
			}
			var err error
			switch {
			case f == nil:
				done.delivered++
				err = tx.Deliver(s.ID, one.Signal, now, "")
			case f.Why == NotAsked, f.Why == Lost:
				err = tx.Deliver(s.ID, one.Signal, now, f.Why)
			default:
				done.failed++
				err = tx.PutOff(s.ID, one.Signal, now.Add(pauses[i]), f.Error())
				switch {
				case f.Final, f.Code == "invalid_key" && one.Tries+1 >= keyTries:
					why = f.Error()
				case now.Sub(one.Made) > givenUp && one.Tries >= oldTries:
					why = TooOld
				}
			}
			if err != nil {
				return err
			}
		}
		if done.delivered > 0 {
			return tx.Heard(s.ID, now)
		}
		return nil
	})
	if err == nil && why != "" {
		done.parked = true
		err = o.Store.Update(ctx, func(tx store.Tx) error { return park(tx, s.ID, why, now) })
	}
	if err == nil {
		o.observe(s, items, results, done)
	}
	return done, err
}

func (o *Outbox) observe(s store.Service, items []store.Due, results []*Failure, done outcome) {
	whys := map[string]int{}
	for i := range items {
		what := "delivered"
		if f := results[i]; f != nil && f.Why != NotAsked {
			what = "failed"
			whys[f.Error()]++
		}
		o.observed(s.Name, what)
	}
	for _, why := range slices.Sorted(maps.Keys(whys)) {
		o.Log.Warn("signals not delivered", "service", s.Name, "why", why, "signals", whys[why])
	}
	if done.parked {
		o.observed(s.Name, "parked")
		o.Log.Error("a service is parked: it gets no signals until it is resumed", "service", s.Name)
	}
}

func (o *Outbox) observed(service, outcome string) {
	if o.Observed != nil {
		o.Observed(service, outcome)
	}
}

// park holds a service's signals until somebody resumes it.
func park(tx store.Tx, service store.ID, why string, now time.Time) error {
	all, err := tx.Services()
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.ID == service && !Parked(s) {
			s.Parked, s.Status, s.Why = now, store.StreamPaused, why
			return tx.SaveService(s)
		}
	}
	return nil
}

func parseID(s string) (id store.ID, ok bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	return store.ID(b), true
}
