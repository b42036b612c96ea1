package verify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"readmit.dev/readmit/api"
)

// What is called of the account server (docs/protocol.md, "For services").
const (
	pathPoll    = "/ssf/poll"
	pathVerify  = "/ssf/verify"
	pathApplied = "/ssf/applied"
	pathStream  = "/ssf/stream"
	pathStatus  = "/ssf/status"
)

const (
	// pollTime is how long one poll may take: the account server holds it for
	// 25 seconds at most.
	pollTime = 40 * time.Second
	callTime = 10 * time.Second
	// mostSignals is how many are asked for at one time.
	mostSignals = 128
	maxAnswer   = mostSignals*maxSignal + maxHeaders
	// firstPause and lastPause are between failures. The last is short: while
	// signals are not heard, changes are not known here.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// pingEvery is how often a pushed stream is asked to prove that it arrives.
	pingEvery = 25 * time.Second
)

func longer(d time.Duration) time.Duration { return min(2*d, lastPause) }

// spread is a time around d, so that services do not come back together.
func spread(d time.Duration) time.Duration { return d/2 + mathrand.N(d/2+1) + d/4 }

// pollAsk is a poll (RFC 8936 §2.2).
type pollAsk struct {
	MaxEvents         int                   `json:"maxEvents"`
	ReturnImmediately bool                  `json:"returnImmediately"`
	Ack               []string              `json:"ack,omitempty"`
	Refused           map[string]refusedSet `json:"setErrs,omitempty"`
}

type refusedSet struct {
	Code string `json:"err"`
	Text string `json:"description"`
}

// pollAnswer is its answer (§2.3).
type pollAnswer struct {
	Sets map[string]string `json:"sets"`
	More bool              `json:"moreAvailable"`
}

// poll asks for signals, applies them, and acknowledges them with the next
// question. What an answer lost takes with it comes again.
func (v *Verifier) poll(ctx context.Context) {
	// The first answer comes at once, and the first after a failure, so that it
	// is soon known that signals can be heard.
	ask := pollAsk{MaxEvents: mostSignals, ReturnImmediately: true}
	wait := firstPause
	for ctx.Err() == nil {
		var got pollAnswer
		began, atOnce := v.clock.mono(), ask.ReturnImmediately
		err := v.call(ctx, http.MethodPost, pathPoll, pollTime, ask, &got)
		if err == nil {
			ask.Ack, ask.Refused, err = v.takeAll(ctx, got.Sets)
		}
		if err == nil {
			v.state.contact(v.clock.moment())
			v.stream.doubted(false)
			wait, ask.ReturnImmediately = firstPause, false
			// A server that does not hold a poll is not asked in a loop.
			if atOnce || len(got.Sets) > 0 || v.clock.mono()-began > firstPause {
				continue
			}
		} else if ctx.Err() == nil {
			v.fails(pathPoll, err)
			v.stream.doubted(errors.Is(err, errRefused) || errors.Is(err, errUnregistered))
			wait, ask.ReturnImmediately = longer(wait), true
		}
		pause(ctx, spread(wait))
	}
}

func (v *Verifier) fails(path string, err error) {
	v.state.fails(err)
	v.log.Warn("the account server could not be asked", "path", path, "error", err)
}

// ping asks the account server, which pushes, for verification events (SSF
// §8.1.4), so that the silence of a broken way differs from that of no changes.
func (v *Verifier) ping(ctx context.Context) {
	wait := firstPause
	for ctx.Err() == nil {
		err := v.call(ctx, http.MethodPost, pathVerify, callTime, map[string]string{"state": rand.Text()}, nil)
		switch {
		case err == nil:
			wait = firstPause
			pause(ctx, spread(pingEvery))
		case ctx.Err() == nil:
			v.fails(pathVerify, err)
			wait = longer(wait)
			pause(ctx, spread(wait))
		}
	}
}

// errRefused is a call that the account server understood, and does not grant.
var errRefused = errors.New("refused")

// errUnregistered: the service was removed, or was never there.
var errUnregistered = errors.New("the account server does not know this credential: register the service anew (readmit admin service add)")

// maxDetail bounds what is repeated of an answer's words.
const maxDetail = 512

// refusal is a refused call, in the account server's words.
func refusal(method, path string, status int, body []byte) error {
	var p api.Problem
	text := ""
	if json.Unmarshal(body, &p) == nil {
		text = p.Detail
		if p.Code == api.Unavailable {
			text = p.Title // what follows is for somebody who signs in
		}
	}
	if text = ": " + text; text == ": " || len(text) > maxDetail {
		text = ""
	}
	if status == http.StatusConflict || status == http.StatusNotFound {
		return fmt.Errorf("%s %s: %w (status %d)%s", method, path, errRefused, status, text)
	}
	return fmt.Errorf("%s %s: status %d%s", method, path, status, text)
}

// call makes a call with the service's credential. A nil in has no body, a nil
// out wants none.
func (v *Verifier) call(ctx context.Context, method, path string, limit time.Duration, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	secret, err := v.secret()
	if err != nil {
		return fmt.Errorf("the service's credential: %w", err)
	}
	var body []byte
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, v.issuer+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	began := v.clock.moment()
	a, err := v.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	v.readDate(a.Header, began)
	got, err := readAll(a.Body, maxAnswer)
	switch {
	case a.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s %s: %w", method, path, errUnregistered)
	case a.StatusCode/100 != 2:
		return refusal(method, path, a.StatusCode, got)
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(got, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not of the protocol's form: %w", method, path, err)
	}
	return nil
}

var errLong = errors.New("the answer is longer than it may be")

func readAll(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, errLong
	}
	return b, err
}

func (v *Verifier) readDate(h http.Header, began moment) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		v.clock.set(date, began)
	}
}
