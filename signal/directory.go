package signal

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/store"
)

const (
	// directoryLife is how long the list of services is believed: so long does a
	// service live on at a node that was removed at another one.
	directoryLife = time.Second
	// directoryPause is the least time between two readings for the sake of a
	// secret that is not in the list: anybody can send one.
	directoryPause = 50 * time.Millisecond
)

// directory is the services by their secrets, so that who calls in a loop, with
// a secret or with none, makes a node read them at a bounded pace.
type directory struct {
	changes atomic.Int64 // made at this node

	mu   sync.Mutex
	of   map[[sha256.Size]byte]store.Service
	read time.Time
	at   int64 // of changes
}

// changed makes the next caller read it anew.
func (d *directory) changed() { d.changes.Add(1) }

// find returns a service by its secret's hash, or ErrNoService. Callers wait for
// one who reads, and take what that brings.
func (d *directory) find(ctx context.Context, secret [sha256.Size]byte, read func(context.Context) ([]store.Service, error)) (store.Service, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := d.of[secret]
	life := directoryLife
	if !ok {
		life = directoryPause
	}
	if d.of == nil || d.at != d.changes.Load() || time.Since(d.read) >= life {
		began, at := time.Now(), d.changes.Load()
		all, err := read(ctx)
		if err != nil {
			return store.Service{}, err
		}
		d.of, d.read, d.at = make(map[[sha256.Size]byte]store.Service, len(all)), began, at
		for _, one := range all {
			d.of[one.Secret] = one
		}
		s, ok = d.of[secret]
	}
	if !ok {
		return store.Service{}, ErrNoService
	}
	return s, nil
}

// Service finds a service by its secret; ErrNoService. What other nodes have
// changed of it is known within directoryLife.
func (o *Outbox) Service(ctx context.Context, secret string) (store.Service, error) {
	if !strings.HasPrefix(secret, "rms_") || len(secret) > 64 {
		return store.Service{}, ErrNoService
	}
	return o.directory.find(ctx, sha256.Sum256([]byte(secret)), o.services)
}
