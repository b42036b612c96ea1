// Package lockout decides, from a counter's state and the time alone, whether
// an attempt may be evaluated.
//
// There is one counter for each way in: the strangers' at an account, and one
// for each of its enrolled devices. Two limits hold for each: what has failed
// in a row, and what is possible at the same time. With OPAQUE the client
// learns the outcome from the server's first answer (RFC 9807 §9.2), so an
// attempt is a guess from then on, and one that is never finished has failed.
package lockout

import "time"

const (
	// FailedLimit is how many failures in a row lock.
	FailedLimit = 10
	// OpenLimit is how many guesses are possible before the first has an
	// outcome: so many that fifty right sign-ins at the same instant all
	// succeed, and below the hundred of NIST SP 800-63B-4 §3.2.2.
	OpenLimit = 60
	// AttemptLife is how long an attempt stays open before it counts as failed.
	AttemptLife = 2 * time.Minute
	// FirstLock is how long the first lock lasts; each next one lasts twice as
	// long, up to LongestLock.
	FirstLock   = time.Minute
	LongestLock = 24 * time.Hour
	// Calm without a failure is forgotten.
	Calm = 24 * time.Hour
)

// State is a counter; its zero value is one that has counted nothing.
type State struct {
	Failed      int // in a row
	Open        int // attempts that have no outcome yet
	Locks       int // since the last success
	OpenUntil   time.Time
	LockedUntil time.Time
	LastFailure time.Time
}

// Decision says whether an attempt may be evaluated, and if not, from when on.
type Decision struct {
	Allowed bool
	Until   time.Time
}

// Locked reports whether the way in is closed at a time.
func (s State) Locked(now time.Time) bool { return now.Before(s.LockedUntil) }

// Begin counts an attempt. One that is not allowed is not evaluated: it is no
// guess, does not count and does not prolong the lock.
func (s State) Begin(now time.Time) (State, Decision) {
	s = s.settle(now)
	if s.Locked(now) {
		return s, Decision{Until: s.LockedUntil}
	}
	if s.Locks > 0 && s.Failed+s.Open >= FailedLimit {
		// After a lock, one guess at a time: the next failure locks again.
		return s, Decision{Until: s.OpenUntil}
	}
	if s.Failed+s.Open >= OpenLimit {
		// So many guesses without an outcome are an attack: those that are open
		// have failed.
		s.Failed += s.Open
		s.Open = 0
		s = s.lock(now)
		return s, Decision{Until: s.LockedUntil}
	}
	s.Open++
	s.OpenUntil = now.Add(AttemptLife)
	return s, Decision{Allowed: true}
}

// Fail counts the outcome of an attempt that Begin allowed.
func (s State) Fail(now time.Time) State {
	s = s.settle(now)
	s.Open = max(0, s.Open-1)
	return s.failed(1, now)
}

// failed counts failures. Those that end during a lock were begun before it:
// the lock is their answer, and leaves the count just below the limit, so that
// the way in opens when the lock ends.
func (s State) failed(n int, at time.Time) State {
	s.Failed += n
	s.LastFailure = at
	switch {
	case s.Failed < FailedLimit:
	case s.Locked(at):
		s.Failed = FailedLimit - 1
	default:
		s = s.lock(at)
	}
	return s
}

// Succeed forgets the failures: who had the right password was the owner, even
// where a lock began between the attempt's two messages.
func (s State) Succeed(now time.Time) State {
	s = s.settle(now)
	return State{Open: max(0, s.Open-1), OpenUntil: s.OpenUntil}
}

// Forgive is Succeed for one of several who share a counter: of the failures,
// own are those of who had the right password. Only where no others are left
// are the locks forgotten too.
func (s State) Forgive(own int, now time.Time) State {
	s = s.settle(now)
	if own >= s.Failed {
		return s.Succeed(now)
	}
	s.Open = max(0, s.Open-1)
	s.Failed -= own
	return s
}

// settle turns attempts whose time is over into failures, and forgets after a
// calm time.
func (s State) settle(now time.Time) State {
	if s.Open > 0 && !now.Before(s.OpenUntil) {
		open := s.Open
		s.Open = 0
		s = s.failed(open, s.OpenUntil)
	}
	// A lock is no calm: nothing could fail in it.
	if s.Open == 0 && !s.LastFailure.IsZero() && now.Sub(s.LastFailure) >= Calm && now.Sub(s.LockedUntil) >= Calm {
		return State{}
	}
	return s
}

// lock closes the way in. The next failure after it locks again, for longer:
// Failed stays just below the limit.
func (s State) lock(from time.Time) State {
	length := LongestLock
	if s.Locks < 11 { // the twelfth doubling would pass a day
		length = min(LongestLock, FirstLock<<s.Locks)
	}
	s.Locks++
	s.LockedUntil = from.Add(length)
	s.LastFailure = from
	s.Failed = FailedLimit - 1
	return s
}
