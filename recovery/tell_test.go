package recovery

import (
	"context"
	"errors"
	"testing"

	"readmit.dev/readmit/store"
)

// failing is a store that ends each change with an error.
type failing struct {
	store.Store
	err error
}

func (f failing) Update(context.Context, func(store.Tx) error) error { return f.err }

// What was asked for stays where the store or the time was missing.
func TestFlushKeepsWhatWasNotTried(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		ctx   context.Context
		err   error
		stays int
	}{
		"unavailable": {t.Context(), store.ErrUnavailable, 1},
		"ended":       {ended, context.Canceled, 1},
		"done":        {ended, nil, 0},
		"its fault":   {t.Context(), errors.New("by itself"), 0},
	} {
		s := Service{Store: failing{err: c.err}}
		s.pending.emails, s.pending.claims = []string{"a@example.org"}, []claim{{}}
		if err := s.Flush(c.ctx); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", what, err)
		}
		if e, cl := len(s.pending.emails), len(s.pending.claims); e != c.stays || cl != c.stays {
			t.Errorf("%s: %d and %d stay", what, e, cl)
		}
	}
}
