package device

import (
	"errors"
	"testing"
	"time"
)

// What one node issued is good at the others, unless its clock is far off, and
// not at a node that may have forgotten that it took it.
func TestNoncesOfNodes(t *testing.T) {
	c := newClock()
	key := [32]byte{7}
	a, b := NewSharedNonces(c.now, key), NewSharedNonces(c.now, key)
	if err := b.Spend(a.Issue(), [16]byte{1}); err != nil {
		t.Errorf("another node's: %v", err)
	}
	if err := b.Spend(a.Issue(), [16]byte{1}); !errors.Is(err, ErrReplayed) {
		t.Errorf("again at the same node: %v", err)
	}
	if err := NewSharedNonces(c.now, [32]byte{8}).Spend(a.Issue(), [16]byte{1}); !errors.Is(err, ErrStale) {
		t.Errorf("another server's: %v", err)
	}

	ahead := func(d time.Duration) string {
		return NewSharedNonces(func() time.Time { return c.at.Add(d) }, key).Issue()
	}
	if err := b.Spend(ahead(nodesSkew), [16]byte{2}); err != nil {
		t.Errorf("of a clock that is a little ahead: %v", err)
	}
	if err := b.Spend(ahead(nodesSkew+time.Second), [16]byte{3}); !errors.Is(err, ErrStale) {
		t.Errorf("of a clock that is far ahead: %v", err)
	}

	// A proof is remembered for as long as the nonce of a clock ahead is good.
	nonce := ahead(nodesSkew)
	if err := b.Spend(nonce, [16]byte{4}); err != nil {
		t.Fatal(err)
	}
	for range int((nonceLife + nodesSkew) / time.Second) {
		c.at = c.at.Add(time.Second)
		b.Spend(b.Issue(), [16]byte{5})
		if err := b.Spend(nonce, [16]byte{4}); err == nil {
			t.Fatalf("%s later it is good again", c.at.Sub(newClock().at))
		}
	}

	before := a.Issue()
	c.at = c.at.Add(2 * time.Second)
	again := NewSharedNonces(c.now, key) // the node was started anew
	if err := again.Spend(before, [16]byte{6}); !errors.Is(err, ErrStale) {
		t.Errorf("of before the start: %v", err)
	}
	if err := again.Spend(b.Issue(), [16]byte{6}); err != nil {
		t.Errorf("of after it: %v", err)
	}
}
