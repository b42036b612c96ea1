package signin

import (
	"bytes"
	"testing"
	"time"

	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/store"
)

// TestNewAttempt: a later attempt has a larger ID, and nobody can guess one
// from when it began. On a shared store it says nothing of the time.
func TestNewAttempt(t *testing.T) {
	now := time.Date(2026, 11, 22, 16, 30, 0, 0, time.UTC)
	s := &Service{Gate: gate.New(func() time.Time { return now })}
	seen := map[[10]byte]bool{}
	var before store.ID
	for range 1000 {
		id := s.newAttempt()
		if bytes.Compare(before[:], id[:]) >= 0 {
			t.Fatalf("%x of %v comes after %x of a millisecond before", id, now, before)
		}
		if seen[[10]byte(id[6:])] {
			t.Fatalf("%x: what is random of it came twice", id)
		}
		seen[[10]byte(id[6:])] = true
		before, now = id, now.Add(time.Millisecond)
	}
	if a, b := s.newAttempt(), s.newAttempt(); a == b || !bytes.Equal(a[:6], b[:6]) {
		t.Errorf("two of one millisecond: %x and %x", a, b)
	}
	s.Shared = true
	if a, b := s.newAttempt(), s.newAttempt(); bytes.Equal(a[:6], b[:6]) {
		t.Errorf("two of one millisecond, on a shared store: %x and %x", a, b)
	}
}
