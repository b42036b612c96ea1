package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"readmit.dev/readmit/keys"
)

// followEvery is how often a node reads what others may have changed of what it
// keeps in memory: the policy and the server's own keys.
const followEvery = time.Second

// masterKey is the key of the data folder's own store, or of a shared one.
func masterKey(c Config) ([]byte, error) {
	if c.Shared() {
		return keys.MasterFile(c.MasterKey)
	}
	where, err := os.ReadFile(filepath.Join(c.Data, MovedFile))
	if err == nil {
		return nil, fmt.Errorf("the accounts of %s were moved: %s", c.Data, where)
	}
	return keys.Master(c.Data)
}

// MovedFile lies in a data folder whose store was moved; it says where to. A
// server does not start on it.
const MovedFile = "moved"

// follow keeps a node in step with the others until the context ends.
func (l *Listening) follow(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	behind := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(l.server.accounts.LoadPolicy(ctx), l.keys.Refresh(ctx))
		if (err != nil) != behind && ctx.Err() == nil {
			if behind = err != nil; behind {
				l.log.Error("policy and keys of other nodes cannot be read; what is known stays in force", "error", err)
			} else {
				l.log.Info("policy and keys of other nodes are read again")
			}
		}
	}
}
