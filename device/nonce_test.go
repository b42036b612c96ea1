package device

import (
	"encoding/base64"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Unix(1772366400, 0)} }

func TestNonceIsGoodForAMinute(t *testing.T) {
	c := newClock()
	n := NewNonces(c.now)
	nonce := n.Issue()
	if again := n.Issue(); again != nonce {
		t.Error("two nonces in one second")
	}
	for i, step := range []time.Duration{0, 30 * time.Second, 30 * time.Second} {
		c.at = c.at.Add(step)
		if err := n.Spend(nonce, [16]byte{byte(i)}); err != nil {
			t.Errorf("%s after it was issued: %v", c.at.Sub(newClock().at), err)
		}
	}
	c.at = c.at.Add(time.Second)
	if err := n.Spend(nonce, [16]byte{9}); !errors.Is(err, ErrStale) {
		t.Errorf("after a minute: %v", err)
	}
	if n.Issue() == nonce {
		t.Error("an old nonce is issued again")
	}
	if err := n.Spend(n.Issue(), [16]byte{9}); err != nil {
		t.Errorf("what was stale is good with a fresh nonce: %v", err)
	}
}

func TestReplayIsRefused(t *testing.T) {
	c := newClock()
	n := NewNonces(c.now)
	nonce := n.Issue()
	if err := n.Spend(nonce, [16]byte{1}); err != nil {
		t.Fatal(err)
	}
	for range 59 {
		if err := n.Spend(nonce, [16]byte{1}); !errors.Is(err, ErrReplayed) {
			t.Fatalf("%s later: %v", c.at.Sub(newClock().at), err)
		}
		c.at = c.at.Add(time.Second)
	}
	if err := n.Spend(nonce, [16]byte{2}); err != nil {
		t.Errorf("another proof with the same nonce: %v", err)
	}
}

func TestNonceOfAnotherProcess(t *testing.T) {
	c := newClock()
	before, after := NewNonces(c.now), NewNonces(c.now)
	if err := after.Spend(before.Issue(), [16]byte{1}); !errors.Is(err, ErrStale) {
		t.Errorf("after a restart: %v", err)
	}
}

func TestForgedNonces(t *testing.T) {
	c := newClock()
	n := NewNonces(c.now)
	good := n.Issue()
	b, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	future := &clock{c.at.Add(30 * time.Second)}
	ahead := &Nonces{now: future.now, key: n.key}
	list := []string{
		"", "nonce", good[:len(good)-1], good + "A", good + "=", " " + good, good + "\n",
		base64.RawURLEncoding.EncodeToString(make([]byte, 24)), ahead.Issue(),
	}
	for i := range b {
		b[i] ^= 1
		list = append(list, base64.RawURLEncoding.EncodeToString(b))
		b[i] ^= 1
	}
	for _, nonce := range list {
		if err := n.Spend(nonce, [16]byte{1}); !errors.Is(err, ErrStale) {
			t.Errorf("%q: %v", nonce, err)
		}
	}
	if err := n.Spend(good, [16]byte{1}); err != nil {
		t.Errorf("forged nonces have spent the proof: %v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := newClock()
	n := NewNonces(c.now)
	for i := range maxSpent {
		n.spent[0][[16]byte{1, byte(i), byte(i >> 8), byte(i >> 16)}] = struct{}{}
	}
	if err := n.Spend(n.Issue(), [16]byte{2}); !errors.Is(err, ErrBusy) {
		t.Errorf("with a full memory: %v", err)
	}
	if err := n.Spend(n.Issue(), [16]byte{1}); !errors.Is(err, ErrReplayed) {
		t.Errorf("a replay into a full memory: %v", err)
	}
	c.at = c.at.Add(nonceLife + 2*time.Second)
	if err := n.Spend(n.Issue(), [16]byte{2}); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	c.at = c.at.Add(nonceLife + 2*time.Second)
	if err := n.Spend(n.Issue(), [16]byte{3}); err != nil {
		t.Errorf("two minutes later: %v", err)
	}
	if got := len(n.spent[0]) + len(n.spent[1]); got != 2 {
		t.Errorf("%d proofs are remembered after all nonces are stale", got)
	}
}

// Whatever is sent when, each proof is good once with the nonce it was made
// for, while that is fresh.
func TestEachProofCountsOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := newClock()
		n := NewNonces(c.now)
		type made struct {
			nonce string
			at    time.Time
		}
		proofs := map[byte]made{}
		spent := map[byte]bool{}
		r.Repeat(map[string]func(*rapid.T){
			"wait": func(r *rapid.T) {
				c.at = c.at.Add(time.Duration(rapid.IntRange(0, 70).Draw(r, "seconds")) * time.Second)
			},
			"spend": func(r *rapid.T) {
				id := rapid.ByteRange(0, 20).Draw(r, "proof")
				p, ok := proofs[id]
				if !ok {
					p = made{n.Issue(), c.at}
					proofs[id] = p
				}
				var want error
				switch {
				case c.at.Sub(p.at) > time.Minute:
					want = ErrStale
				case spent[id]:
					want = ErrReplayed
				}
				if err := n.Spend(p.nonce, [16]byte{id}); !errors.Is(err, want) {
					r.Fatalf("%s after it was made: %v, want %v", c.at.Sub(p.at), err, want)
				}
				spent[id] = spent[id] || want == nil
			},
		})
	})
}

func TestOneOfManyAtOnce(t *testing.T) {
	const proofs = 30000
	n := NewNonces(newClock().now)
	var (
		all  sync.WaitGroup
		good [proofs]atomic.Int32
	)
	for range 8 {
		all.Go(func() {
			for i := range good {
				if n.Spend(n.Issue(), [16]byte{byte(i), byte(i >> 8)}) == nil {
					good[i].Add(1)
				}
			}
		})
	}
	all.Wait()
	for i := range good {
		if times := good[i].Load(); times != 1 {
			t.Fatalf("proof %d was good %d times", i, times)
		}
	}
}

func FuzzSpend(f *testing.F) {
	n := NewNonces(newClock().now)
	n.key = [32]byte{7} // workers are other processes
	good := n.Issue()
	f.Add(good)
	f.Add(good[1:])
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, nonce string) {
		err := n.Spend(nonce, [16]byte{1})
		if nonce == good && errors.Is(err, ErrStale) || nonce != good && !errors.Is(err, ErrStale) {
			t.Errorf("%q: %v", nonce, err)
		}
	})
}
