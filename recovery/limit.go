package recovery

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"readmit.dev/readmit/gate"
)

const (
	// callerBurst and callerRate limit what one address asks for: sixty calls
	// at once, then one in three seconds.
	callerBurst = 60
	callerRate  = 1.0 / 3
	// mailBurst and mailRate limit what one mailbox is sent because strangers
	// ask for it: three messages, then one in four hours.
	mailBurst = 3
	mailRate  = 1.0 / (4 * 3600)
)

// limiter slows calls by one caller. It remembers a fixed number of them; those
// that collide share.
type limiter struct {
	mu      sync.Mutex
	buckets [4096]struct {
		left float64
		at   time.Time
	}
}

func (l *limiter) allow(who string, burst, rate float64, now time.Time) bool {
	h := sha256.Sum256([]byte(who))
	l.mu.Lock()
	defer l.mu.Unlock()
	b := &l.buckets[int(binary.BigEndian.Uint16(h[:]))%len(l.buckets)]
	if b.at.IsZero() {
		b.left = burst
	} else {
		b.left = min(burst, b.left+rate*max(0, now.Sub(b.at).Seconds()))
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// callerKey is whom a call is counted under: keys are made for nothing,
// addresses are not.
func callerKey(c gate.Caller) string { return c.Address }

// Slow returns ErrSlow to a caller who asks for too much, here or elsewhere
// that recovery codes are taken.
func (s *Service) Slow(c gate.Caller) error {
	if !s.callers.allow(callerKey(c), callerBurst, callerRate, s.Gate.Now()) {
		return ErrSlow
	}
	return nil
}
