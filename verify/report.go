package verify

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// reportsKept bounds the reports that wait for the account server. Beyond
	// it the oldest is dropped: its receipt says "delivered" for good.
	reportsKept = 1 << 15
	// reportsAtOnce is how many one call takes along.
	reportsAtOnce = 512
)

// reports is what was applied and not yet reported.
type reports struct {
	wake chan struct{}

	mu      sync.Mutex
	waiting []report
	dropped int
}

type report struct {
	jti string
	at  int64 // Unix microseconds
}

func (r *reports) add(jti string, at time.Time) {
	r.mu.Lock()
	if len(r.waiting) >= reportsKept {
		r.waiting = r.waiting[1:]
		r.dropped++
	}
	r.waiting = append(r.waiting, report{jti, at.UnixMicro()})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// some takes the oldest out.
func (r *reports) some() []report {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), reportsAtOnce)
	out := append([]report(nil), r.waiting[:n]...)
	if r.waiting = r.waiting[n:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	return out
}

func (r *reports) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

// report tells the account server what was applied.
func (v *Verifier) report(ctx context.Context) {
	for {
		batch := v.reports.some()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-v.reports.wake:
			}
			continue
		}
		applied := make(map[string]int64, len(batch))
		for _, one := range batch {
			applied[one.jti] = one.at
		}
		for wait := firstPause; ; wait = longer(wait) {
			err := v.call(ctx, http.MethodPost, pathApplied, callTime, map[string]any{"applied": applied}, nil)
			if err == nil {
				break
			}
			if ctx.Err() == nil {
				v.fails(pathApplied, err)
			}
			if !pause(ctx, spread(wait)) {
				return
			}
		}
	}
}
