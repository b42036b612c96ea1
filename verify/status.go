package verify

import (
	"cmp"
	"sync"
	"time"
)

// Status says how well the signals are followed.
type Status struct {
	Ready   bool          `json:"ready"`   // there are keys, signals have been heard of, the account server delivers all that there are, and tokens issued now are not refused for the start, or for signals that were lost (six seconds before)
	Pushed  bool          `json:"pushed"`  // else polled
	Stale   time.Duration `json:"stale"`   // since the account server was last known to reach this service; -1: never. A poll is held for up to 25 s, so up to that is quiet, not silence
	Keys    time.Duration `json:"keys"`    // since the keys were last fetched; -1: never
	Lag     time.Duration `json:"lag"`     // from the last signal's change to its being applied
	Applied int64         `json:"applied"` // signals, since the start
	Refused int64         `json:"refused"` // signals that were not as they must be; the log says why
	Entries int           `json:"entries"` // accounts and sessions remembered
	Waiting int           `json:"waiting"` // reports of what was applied that the account server does not have yet
	// Overflows is how often there were more entries than allowed, so that
	// tokens issued until Floor had to be refused.
	Overflows int           `json:"overflows"`
	Floor     time.Time     `json:"floor"`
	ClockOff  time.Duration `json:"clock_off"`       // this machine's clock, ahead of the account server's; 0 below two seconds
	Error     string        `json:"error,omitempty"` // the last failure, when nothing has gone well since
}

// state is what Status is made of.
type state struct {
	mu      sync.Mutex
	last    moment // of the last contact; zero: none
	lag     time.Duration
	applied int64
	refused int64
	failed  string
}

func (s *state) contact(now moment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.failed = now, ""
}

func (s *state) heard(stream bool, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !stream {
		s.applied, s.lag = s.applied+1, max(lag, 0)
	}
}

func (s *state) refuses() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused++
}

func (s *state) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err.Error()
}

// Status says how well the signals are followed, now.
func (v *Verifier) Status() Status {
	since := func(at moment) time.Duration {
		if at.never() {
			return -1
		}
		return v.clock.since(at)
	}
	whole, why := v.stream.whole() // first: what ends it sets the time of readiness before
	v.keys.mu.RLock()
	keys, ready := v.keys.fetched, v.keys.ready
	v.keys.mu.RUnlock()
	entries, raised, floor := v.accounts.size()
	s := Status{
		Pushed: v.pushToken != nil, Keys: since(keys), Entries: entries, Waiting: v.reports.size(),
		Overflows: raised, Floor: time.Unix(floor, 0).UTC(), ClockOff: v.clock.ahead(),
	}
	v.state.mu.Lock()
	defer v.state.mu.Unlock()
	s.Stale, s.Lag, s.Applied, s.Error = since(v.state.last), v.state.lag, v.state.applied, v.state.failed
	s.Refused = v.state.refused
	s.Error = cmp.Or(s.Error, why)
	s.Ready = whole && !keys.never() && !v.state.last.never() && !v.clock.now().Before(ready)
	return s
}
