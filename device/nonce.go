package device

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

const (
	// nonceLife is how long a nonce is good: the message that carries it is on
	// its way, or waits behind others.
	nonceLife = time.Minute
	// maxSpent bounds how many proofs of one generation are remembered: at
	// some 40 bytes each, 40 MB for two generations under the worst flood.
	maxSpent = 1 << 19
)

var (
	// ErrStale: the nonce is old, another server's, or none.
	ErrStale = errors.New("the nonce is not fresh")
	// ErrReplayed: this very proof was seen before.
	ErrReplayed = errors.New("the proof was used before")
	// ErrBusy: more proofs in a minute than can be remembered.
	ErrBusy = errors.New("too many proofs")
)

// Nonces issues nonces and remembers the proofs made with them, so that each
// counts once. It lives in memory: a server that starts anew has another key,
// and proofs made for the one before are stale, not good again.
//
// Nodes that answer for one server share the key, so that what one of them
// issued is good at all. Which proofs were spent each remembers for itself: see
// decision 021.
type Nonces struct {
	now func() time.Time
	key [32]byte

	// from is the first second whose nonces are taken: those of before may have
	// been spent here and forgotten. skew is how far another node's clock may be
	// ahead.
	from int64
	skew time.Duration

	mu      sync.Mutex
	spent   [2]map[[16]byte]struct{} // this generation and the one before
	started time.Time                // of this generation
	issued  string                   // the nonce of this second
	second  int64
}

// NewNonces makes a set of nonces under a random key.
func NewNonces(now func() time.Time) *Nonces {
	n := &Nonces{now: now, started: now(), spent: [2]map[[16]byte]struct{}{{}, {}}}
	rand.Read(n.key[:])
	return n
}

// nodesSkew is how far the clocks of nodes may be apart.
const nodesSkew = 5 * time.Second

// NewSharedNonces makes a set under a key that all nodes have.
func NewSharedNonces(now func() time.Time, key [32]byte) *Nonces {
	n := NewNonces(now)
	n.key, n.from, n.skew = key, now().Unix(), nodesSkew
	return n
}

// Issue returns a nonce for the next proof. Many proofs may carry the same.
func (n *Nonces) Issue() string {
	now := n.now().Unix()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.issued == "" || n.second != now {
		n.issued, n.second = n.at(now), now
	}
	return n.issued
}

func (n *Nonces) at(second int64) string {
	var b [8 + 16]byte
	binary.BigEndian.PutUint64(b[:], uint64(second))
	h := hmac.New(sha256.New, n.key[:])
	h.Write(b[:8])
	copy(b[8:], h.Sum(nil))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Spend accepts a proof once. It returns ErrStale, ErrReplayed or ErrBusy.
func (n *Nonces) Spend(nonce string, proof [16]byte) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 24 {
		return ErrStale
	}
	second := int64(binary.BigEndian.Uint64(b))
	now := n.now()
	age := now.Sub(time.Unix(second, 0))
	if !hmac.Equal([]byte(n.at(second)), []byte(nonce)) || age < -n.skew || age > nonceLife || second < n.from {
		return ErrStale
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	// A proof outlives its nonce by nothing, so what was spent before the last
	// generation began can only be stale.
	if now.Sub(n.started) > nonceLife+n.skew+time.Second {
		n.spent[0], n.spent[1] = map[[16]byte]struct{}{}, n.spent[0]
		n.started = now
	}
	for _, g := range n.spent {
		if _, seen := g[proof]; seen {
			return ErrReplayed
		}
	}
	if len(n.spent[0]) >= maxSpent {
		return ErrBusy
	}
	n.spent[0][proof] = struct{}{}
	return nil
}
