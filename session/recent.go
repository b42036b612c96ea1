package session

import (
	"context"
	"sync"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/store"
)

// recent remembers who passed the gate lately, for as long as nothing of the
// account has changed in the store.
type recent struct {
	changes *store.Changes

	mu     sync.Mutex
	actors [2]map[store.ID]remembered // by session; two generations
}

type remembered struct {
	actor Actor
	mark  uint64
}

// actorsKept is how many sessions one generation remembers: with two of some
// 2 KB each, at most 8 MB.
const actorsKept = 2048

func newRecent(s store.Store) *recent {
	told, ok := s.(interface{ Changes() *store.Changes })
	if !ok {
		return nil
	}
	return &recent{changes: told.Changes(), actors: [2]map[store.ID]remembered{{}, {}}}
}

func (r *recent) find(session store.ID) (Actor, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.actors {
		if known, ok := g[session]; ok {
			return known.actor, known.mark == r.changes.Mark(known.actor.Account.ID)
		}
	}
	return Actor{}, false
}

func (r *recent) keep(session store.ID, a Actor, mark uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.actors[0]) >= actorsKept {
		r.actors[0], r.actors[1] = map[store.ID]remembered{}, r.actors[0]
	}
	r.actors[0][session] = remembered{a, mark}
}

// used moves on when the session was last used.
func (r *recent) used(session store.ID, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.actors {
		if known, ok := g[session]; ok {
			known.actor.Session.LastUsed = at
			g[session] = known
			return
		}
	}
}

// Refresh is Authorise for a fresh access token. Where the device asked lately
// and nothing of the account has changed since, the store is not read: what is
// hot of the Actor may be old.
func (s *Service) Refresh(ctx context.Context, id store.ID, c gate.Caller) (Actor, *gate.Refusal, error) {
	if s.recent == nil {
		return s.Authorise(ctx, id, c, "refresh")
	}
	if a, ok := s.recent.find(id); ok && len(s.gate.Public(c, false)) == 0 && len(s.judge(a, c)) == 0 {
		s.use(id)
		s.recent.used(id, s.gate.Now())
		return a, nil, nil
	}
	begun := s.recent.changes.Begin()
	a, refusal, err := s.Authorise(ctx, id, c, "refresh")
	if err != nil || refusal != nil {
		return a, refusal, err
	}
	if mark, ok := s.recent.changes.End(begun, a.Account.ID); ok {
		a.Session.LastUsed = s.gate.Now()
		s.recent.keep(id, a, mark)
	}
	return a, nil, nil
}
