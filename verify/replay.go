package verify

import (
	"sync"
	"time"
)

const (
	// proofWindow is how far a proof's time may be from this service's, either
	// way (RFC 9449 §11.1).
	proofWindow = time.Minute
	// proofsKept bounds one generation: two hold some 40 octets each, 40 MB
	// under the worst flood.
	proofsKept = 1 << 19
	// proofsLife is longer than a proof can be good: it may be a minute ahead.
	proofsLife = 2*proofWindow + time.Second
)

// replays remembers proofs, so that each counts once.
type replays struct {
	mu      sync.Mutex
	spent   [2]map[[16]byte]struct{}
	started time.Duration
}

// spend returns nil, or a *Refusal: Replayed or Busy.
func (r *replays) spend(proof [16]byte, now time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.spent[0] == nil || now-r.started > 2*proofsLife:
		r.spent = [2]map[[16]byte]struct{}{{}, {}}
		r.started = now
	case now-r.started > proofsLife:
		r.spent[0], r.spent[1] = map[[16]byte]struct{}{}, r.spent[0]
		r.started = now
	}
	for _, g := range r.spent {
		if _, seen := g[proof]; seen {
			return refuse(Replayed)
		}
	}
	if len(r.spent[0]) >= proofsKept {
		return refuse(Busy)
	}
	r.spent[0][proof] = struct{}{}
	return nil
}
