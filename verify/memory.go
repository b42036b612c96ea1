package verify

import (
	"sync"
	"time"
)

// id names an account or a session: 16 octets.
type id [16]byte

// accounts is what the signals of the last minutes have said.
//
// Entries leave in the order they came, which is the order they end in, as each
// stays equally long. When there are too many, the oldest leaves early, and the
// floor rises to the time of its change and a margin: every token that it would
// have refused was issued before that, by whichever node's clock.
type accounts struct {
	most int

	mu       sync.RWMutex
	known    map[id]account
	sessions map[id]uint64 // ended ones, by the number of their last entry
	queue    []entry       // oldest first, from head on
	head     int
	floor    int64 // Unix seconds: tokens issued then or before are refused
	raised   int   // how often a full memory raised the floor
	last     uint64
}

type account struct {
	lowest   int64 // the epoch below which tokens are stale
	at       int64 // when that change was, Unix seconds
	disabled int64 // the epoch of its disabling; zero when it is not disabled
	status   int64 // the epoch of the last signal about being disabled or enabled
	entry    uint64
}

type entry struct {
	number  uint64
	name    id
	session bool
	until   time.Duration
	at      int64 // of the change, Unix seconds
}

// setFloor refuses all tokens issued at or before that time.
func (m *accounts) setFloor(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.floor = max(m.floor, at.Unix())
}

// apply takes a signal in. In which order the signals of an account come makes
// no difference to what is known at the end.
func (m *accounts) apply(e event, now time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known, m.sessions = map[id]account{}, map[id]uint64{}
	}
	for m.head < len(m.queue) && m.queue[m.head].until <= now {
		m.pop()
	}
	a := m.known[e.account]
	if e.epoch > a.lowest {
		a.lowest, a.at = e.epoch, e.at.Unix()
	}
	if e.status != unchanged && e.epoch > a.status {
		a.status, a.disabled = e.epoch, 0
		if e.status == disabled {
			a.disabled = e.epoch
		}
	}
	a.entry = m.push(entry{name: e.account, until: now + kept, at: e.at.Unix()})
	m.known[e.account] = a
	if e.ended {
		m.sessions[e.session] = m.push(entry{name: e.session, session: true, until: now + kept, at: e.at.Unix()})
	}
}

// push adds an entry and returns its number.
func (m *accounts) push(e entry) uint64 {
	if len(m.queue)-m.head >= m.most {
		if gone, live := m.pop(); live {
			// One second more for the whole seconds of a token's.
			m.floor = max(m.floor, gone.at+int64(margin/time.Second)+1)
			m.raised++
		}
	}
	m.last++
	e.number = m.last
	m.queue = append(m.queue, e)
	return e.number
}

// pop takes the oldest entry out, and reports whether it was the last word on
// its account or session.
func (m *accounts) pop() (entry, bool) {
	e := m.queue[m.head]
	m.head++
	if m.head >= 1024 && m.head*2 >= len(m.queue) {
		m.queue = append(m.queue[:0], m.queue[m.head:]...)
		m.head = 0
	}
	if e.session {
		live := m.sessions[e.name] == e.number
		if live {
			delete(m.sessions, e.name)
		}
		return e, live
	}
	live := m.known[e.name].entry == e.number
	if live {
		delete(m.known, e.name)
	}
	return e, live
}

// judge holds a token against what is known. It returns nil or a *Refusal.
func (m *accounts) judge(t *claims) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if t.issued <= m.floor {
		return &Refusal{Reason: Stale, Token: t.epoch, Floor: time.Unix(m.floor, 0)}
	}
	if _, ended := m.sessions[t.session]; ended {
		return refuse(Ended)
	}
	a, ok := m.known[t.account]
	switch {
	case !ok:
		return nil
	case t.epoch < a.lowest, a.disabled > 0 && t.epoch == a.disabled:
		return &Refusal{Reason: Stale, Known: a.lowest, Token: t.epoch, Made: time.Unix(a.at, 0)}
	case a.disabled > 0:
		return &Refusal{Reason: Behind, Known: a.lowest, Token: t.epoch, Made: time.Unix(a.at, 0)}
	}
	return nil
}

// size is how many entries there are, and how often there were too many.
func (m *accounts) size() (entries, raised int, floor int64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.known) + len(m.sessions), m.raised, m.floor
}

// heard remembers the names of signals, so that each counts once. Two
// generations: one that comes again after both is applied once more, which
// changes nothing.
type heard struct {
	mu   sync.Mutex
	seen [2]map[string]struct{}
}

const heardGeneration = 1 << 15

// first reports whether a signal was not heard before, and remembers it.
func (h *heard) first(jti string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[0] == nil || len(h.seen[0]) >= heardGeneration {
		h.seen[0], h.seen[1] = map[string]struct{}{}, h.seen[0]
	}
	for _, g := range h.seen {
		if _, ok := g[jti]; ok {
			return false
		}
	}
	h.seen[0][jti] = struct{}{}
	return true
}
