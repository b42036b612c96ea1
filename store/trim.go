package store

import (
	"context"
	"time"
)

const (
	// trimPart is how many rows one transaction of a Trim deletes at most: some
	// milliseconds' work, which whoever comes meanwhile waits for.
	trimPart = 64
	// trimPause is the least time between two of them. After one that took longer
	// the pause is twice as long as it was, so that most of the time is others'.
	trimPause = 10 * time.Millisecond
)

// Trim deletes what is older than before, whatever there is of it (see Tx.Trim),
// in many small transactions with pauses between, so that nobody waits for it.
// It ends with its context; what was deleted until then stays so.
func Trim(ctx context.Context, s Store, before time.Time) error {
	for {
		began, n := time.Now(), 0
		err := s.Update(ctx, func(tx Tx) (err error) {
			n, err = tx.Trim(before, trimPart)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		pause := time.NewTimer(max(trimPause, 2*time.Since(began)))
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}
