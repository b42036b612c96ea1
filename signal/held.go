package signal

import (
	"sync"
	"time"

	"readmit.dev/readmit/store"
)

// heldPolls is how many polls of one service a node holds. A registration is for
// one process, which has one poll open, and one more while it begins anew before
// its last connection is known to be gone.
const heldPolls = 2

// impatient is for how long a service that polls without waiting, and was told
// that there is nothing, is told so again without a look at the store, unless
// this node hears of something.
const impatient = 100 * time.Millisecond

// holds is what polls would cost, bounded: of those that wait each looks at the
// store whenever a signal is made, of the others each does by itself.
type holds struct {
	mu      sync.Mutex
	of      map[store.ID][]chan struct{}
	nothing map[store.ID]nothing // the last answers to those that do not wait
}

// nothing is an answer that nothing is due.
type nothing struct {
	at   time.Time
	news <-chan struct{} // closed when there may be something
}

// told reports whether a service was told just now that there is nothing.
func (h *holds) told(service store.ID, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, ok := h.nothing[service]
	select {
	case <-last.news:
		return false
	default:
		return ok && now.Sub(last.at).Abs() < impatient
	}
}

// tell keeps that a service was told so. What is older is let go of.
func (h *holds) tell(service store.ID, now time.Time, news <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nothing == nil {
		h.nothing = map[store.ID]nothing{}
	}
	for other, last := range h.nothing {
		if now.Sub(last.at).Abs() >= impatient {
			delete(h.nothing, other)
		}
	}
	h.nothing[service] = nothing{now, news}
}

// hold takes a poll in. One more than may be lets the oldest go, which answers
// that there is nothing: that is true, and its service has a newer one open.
func (h *holds) hold(service store.ID) (letGo <-chan struct{}, done func()) {
	own := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[store.ID][]chan struct{}{}
	}
	list := append(h.of[service], own)
	if len(list) > heldPolls {
		close(list[0])
		list = append([]chan struct{}(nil), list[1:]...)
	}
	h.of[service] = list
	return own, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		var left []chan struct{}
		for _, one := range h.of[service] {
			if one != own {
				left = append(left, one)
			}
		}
		if h.of[service] = left; len(left) == 0 {
			delete(h.of, service)
		}
	}
}
