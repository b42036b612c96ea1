package signal

import (
	"sync"

	"readmit.dev/readmit/store"
)

// heldPolls is how many polls of one service a node holds. A registration is for
// one process, which has one poll open, and one more while it begins anew before
// its last connection is known to be gone.
const heldPolls = 2

// holds are the polls that wait, by service. Each looks at the store whenever a
// signal is made, so they are bounded.
type holds struct {
	mu sync.Mutex
	of map[store.ID][]chan struct{}
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
