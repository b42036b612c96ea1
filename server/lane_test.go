package server

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"readmit.dev/readmit/identifier"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

// Whose attempt it is costs the store a read, so it is asked only where no
// place becomes free within a commit's time; and no later than that.
func TestWhoseAttemptItIsIsAskedLate(t *testing.T) {
	for what, x := range map[string]struct {
		free  time.Duration // when a place is; 0 for never
		asked bool
		after time.Duration
	}{
		"a place soon":    {patience / 2, false, patience / 2},
		"a place late":    {2 * patience, true, patience},
		"no place":        {0, true, patience},
		"a place at once": {-1, false, 0},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// Of an identifier that is too long it says so when it is asked.
				s := &Server{lane: make(chan struct{}, 1), signIn: &signin.Service{}}
				if x.free >= 0 {
					s.lane <- struct{}{}
				}
				if x.free > 0 {
					time.AfterFunc(x.free, func() { <-s.lane })
				}
				began := time.Now()
				leave, err := s.enter(t.Context(), strings.Repeat("x", identifier.Max+1), store.Thumbprint{})
				if asked := errors.Is(err, signin.ErrForm); asked != x.asked || !asked && err != nil {
					t.Errorf("asked: %t, %v", asked, err)
				}
				if after := time.Since(began); after != x.after {
					t.Errorf("answered after %s, want %s", after, x.after)
				}
				if err == nil {
					leave()
					if len(s.lane) != 0 {
						t.Error("the place is not given back")
					}
				}
				time.Sleep(time.Second) // until the place is free
			})
		})
	}
}
