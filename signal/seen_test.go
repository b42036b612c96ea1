package signal

import (
	"encoding/binary"
	"testing"
	"time"

	"readmit.dev/readmit/store"
)

// TestTailSeenIsBounded: however many signals come within whatever time.
func TestTailSeenIsBounded(t *testing.T) {
	heard := 0
	tail := NewTail(nil, time.Now, time.Minute, func(store.Signal) { heard++ })
	list := make([]store.Signal, 1)
	list[0] = store.Signal{Kind: Asked, At: time.Now()}
	const all = 5 * seenKept
	for i := range all {
		binary.LittleEndian.PutUint64(list[0].ID[:], uint64(i))
		tail.Add(list)
	}
	if got := len(tail.seen[0]) + len(tail.seen[1]); got > 2*seenKept || heard != all {
		t.Errorf("%d names are remembered, want %d at most; heard %d of %d", got, 2*seenKept, heard, all)
	}
	for range 3 { // the last ones are known
		tail.Add(list)
	}
	if heard != all {
		t.Errorf("one that was known was heard %d times more", heard-all)
	}
}
