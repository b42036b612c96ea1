package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/api"
)

// lookEvery is how often the account server is asked what it delivers. A poll
// that is refused asks at once.
const lookEvery = 25 * time.Second

// stream is what is known of this service's stream at the account server. One
// that delivers nothing is as silent as one without news.
type stream struct {
	doubt chan struct{} // to look at once

	mu     sync.Mutex
	looked bool
	off    string // why signals do not come, or not all; empty: they do
	mute   bool   // none come: polls are refused
	lost   bool   // some were not kept for this service
	failed string // the last look, where it failed
}

// whole reports whether all signals are known to come; where they are not, or a
// look has failed, it says why.
func (s *stream) whole() (whole bool, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looked && s.off == "", cmp.Or(s.off, s.failed)
}

// doubted is told of each poll whether it was refused. Where that is not what is
// known of the stream, it is looked at.
func (s *stream) doubted(refused bool) {
	s.mu.Lock()
	known := s.looked && s.mute == refused
	s.mu.Unlock()
	if known {
		return
	}
	select {
	case s.doubt <- struct{}{}:
	default:
	}
}

func (s *stream) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err.Error()
}

// watch looks at the stream from time to time.
func (v *Verifier) watch(ctx context.Context) {
	for wait := firstPause; ctx.Err() == nil; {
		next := lookEvery
		if err := v.look(ctx); err == nil {
			wait = firstPause
		} else if ctx.Err() == nil {
			v.stream.fails(err)
			v.fails(pathStream, err)
			wait = longer(wait)
			next = wait
		}
		if !pause(ctx, firstPause) { // no loop, whatever polls are told
			return
		}
		t := time.NewTimer(spread(next))
		select {
		case <-ctx.Done():
		case <-v.stream.doubt:
		case <-t.C:
		}
		t.Stop()
	}
}

// look asks what the account server delivers to this service.
func (v *Verifier) look(ctx context.Context) error {
	var all []api.Stream
	err := v.call(ctx, http.MethodGet, pathStream, callTime, nil, &all)
	if errors.Is(err, errUnregistered) {
		v.found(err.Error(), true, true)
		return nil
	}
	if err != nil {
		return err
	}
	if len(all) == 0 {
		v.found("the stream was deleted: make it again (POST "+pathStream+")", true, true)
		return nil
	}
	of := all[0]
	if len(of.Supported) == 0 {
		return errors.New("GET " + pathStream + ": the answer names no types of events")
	}
	var is api.StreamStatus
	if err := v.call(ctx, http.MethodGet, pathStatus+"?"+url.Values{"stream_id": {of.ID}}.Encode(), callTime, nil, &is); err != nil {
		return err
	}
	// Each type carries the epochs of its kinds of changes: without one of them
	// tokens are taken that such a change has ended.
	var missing []string
	for _, e := range of.Supported {
		if !slices.Contains(of.Delivered, e) {
			missing = append(missing, e[strings.LastIndexByte(e, '/')+1:])
		}
	}
	switch {
	case is.Status != "enabled":
		v.found(fmt.Sprintf("the stream is %s (%s): POST %s with the status enabled, or readmit admin service resume", quoted(is.Status), quoted(is.Reason), pathStatus), true, is.Status != "paused" || len(missing) > 0)
	case len(missing) > 0:
		v.found(fmt.Sprintf("the stream leaves out %s: ask for all events again (PATCH %s with an empty events_requested)", quoted(strings.Join(missing, ", ")), pathStream), false, true)
	default:
		v.found("", false, false)
	}
	return nil
}

// quoted is a few words of an answer, fit for a log.
func quoted(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	return fmt.Sprintf("%q", s)
}

// found keeps what a look has found. Where signals come again after some were
// lost, tokens issued until now are refused, as after a start: which of them a
// lost one has ended is not known.
func (v *Verifier) found(off string, mute, lost bool) {
	v.stream.mu.Lock()
	before := v.stream.off
	again := off == "" && v.stream.lost
	v.stream.looked, v.stream.off, v.stream.mute, v.stream.failed = true, off, mute, ""
	v.stream.lost = off != "" && (v.stream.lost || lost)
	if again {
		v.refuseOlder() // before anybody reads that all is well
	}
	v.stream.mu.Unlock()
	if off != before && off != "" {
		v.log.Error("signals do not come", "why", off)
	}
}
