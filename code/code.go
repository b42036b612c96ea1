// Package code makes and judges six-digit codes.
//
// A code is text: leading zeros are part of it. It changes every thirty
// seconds, and the one before is accepted for one period more. There are two
// kinds: one shown by an enrolled device for one attempt it has allowed, bound
// to both; and one that a device makes by hand, offline, from a secret it got
// when it was enrolled. Each is good once.
//
// A judgement always computes all candidates, and says of a code that is not
// accepted what it would have been right for. A random code fits one of some
// hundred such candidates by chance in one of ten thousand cases; fitting an
// accepted one stays at a few in a million.
package code

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// Digits is the length of a code.
	Digits = 6
	// Period is how long a code is shown (RFC 6238 §5.2).
	Period = 30 * time.Second
	// lateSteps is how far back a code shown for an attempt is recognised.
	lateSteps = 20
	// searchSteps is how far around now an offline code is recognised: half an
	// hour, more than a clock drifts between two looks at the network.
	searchSteps = 60
)

// ErrForm: not six digits.
var ErrForm = errors.New("a code has six digits")

// Code is six digits, as text.
type Code string

// Parse reads what was typed: six ASCII digits, with space around them and one
// space or hyphen in the middle allowed. It returns ErrForm.
func Parse(s string) (Code, error) {
	s = strings.TrimSpace(s)
	if len(s) == Digits+1 && (s[3] == ' ' || s[3] == '-') {
		s = s[:3] + s[4:]
	}
	if len(s) != Digits || strings.Trim(s, "0123456789") != "" {
		return "", ErrForm
	}
	return Code(s), nil
}

// Step numbers the periods since the Unix epoch (RFC 6238 §4.2).
func Step(t time.Time) int64 { return floorDiv(t.Unix(), int64(Period/time.Second)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// AtStep makes the code of one step: RFC 4226 §5.3 with HMAC-SHA-256, as RFC
// 6238 §1.2 allows.
func AtStep(key []byte, step int64) Code { return atStep(key, step, Digits) }

func atStep(key []byte, step int64, digits int) Code {
	h := hmac.New(sha256.New, key)
	binary.Write(h, binary.BigEndian, step)
	sum := h.Sum(nil)
	at := sum[len(sum)-1] & 15
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return Code(fmt.Sprintf("%0*d", digits, n%mod))
}

// Offline is the code that a device makes by hand at a time by its clock.
func Offline(secret []byte, t time.Time) Code { return AtStep(secret, Step(t)) }

// ForAttempt is the code that a device shows for an attempt it allowed at the
// time shown: which step it is, counted from then so that the first code lasts
// a whole period, and how long it stays.
func ForAttempt(key []byte, attempt, device [16]byte, shown, now time.Time) (Code, int64, time.Duration) {
	since := max(0, now.Sub(shown))
	step := int64(since / Period)
	return AtStep(attemptKey(key, attempt, device), step), step, Period - since%Period
}

func attemptKey(key []byte, attempt, device [16]byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("attempt\x00"))
	h.Write(attempt[:])
	h.Write(device[:])
	return h.Sum(nil)
}

// Device is an enrolled device that makes codes by hand.
type Device struct {
	ID           [16]byte
	Secret       []byte
	LastUsedStep int64         // the last step of which a code was accepted
	Skew         time.Duration // its clock minus ours, when last seen
	SkewKnown    bool
}

// Prompt is an attempt that a device has allowed.
type Prompt struct {
	Attempt, Device [16]byte
	Shown           time.Time
}

// Outcome is what a code turns out to be.
type Outcome int

// Outcomes. The zero value accepts nothing.
const (
	Wrong     Outcome = iota
	Late              // right, but not shown any more
	Elsewhere         // right for another attempt
	ClockOff          // right by a clock that is off
	Used              // right, and used before
	Accepted
)

// Verdict is a judgement with what it rests on.
type Verdict struct {
	Outcome Outcome
	Device  [16]byte      // that made the code
	Offline bool          // made by hand
	Step    int64         // of an offline code that was accepted or used
	Late    time.Duration // how long ago it stopped being accepted
	Off     time.Duration // the clock that made it minus ours
}

// rank orders outcomes: where a code fits two things, the better one counts.
func (v Verdict) rank() int {
	return [...]int{Wrong: 0, Elsewhere: 1, ClockOff: 2, Late: 3, Used: 4, Accepted: 5}[v.Outcome]
}

// Judge says what a code is, for an attempt with these prompts. others are the
// prompts of the account's other attempts.
func Judge(key []byte, c Code, now time.Time, own, others []Prompt, devices []Device) Verdict {
	var best Verdict
	fits := func(candidate Code, v Verdict) {
		if subtle.ConstantTimeCompare([]byte(candidate), []byte(c)) == 1 && v.rank() > best.rank() {
			best = v
		}
	}
	for _, p := range own {
		_, current, _ := ForAttempt(key, p.Attempt, p.Device, p.Shown, now)
		k := attemptKey(key, p.Attempt, p.Device)
		for back := int64(0); back <= lateSteps && back <= current; back++ {
			v := Verdict{Outcome: Accepted, Device: p.Device}
			if back > 1 {
				v.Outcome = Late
				v.Late = now.Sub(p.Shown.Add(time.Duration(current-back+2) * Period))
			}
			fits(AtStep(k, current-back), v)
		}
	}
	for _, p := range others {
		_, current, _ := ForAttempt(key, p.Attempt, p.Device, p.Shown, now)
		k := attemptKey(key, p.Attempt, p.Device)
		for back := int64(0); back <= lateSteps && back <= current; back++ {
			fits(AtStep(k, current-back), Verdict{Outcome: Elsewhere, Device: p.Device})
		}
	}
	for _, d := range devices {
		step := Step(now)
		for s := step - searchSteps; s <= step+searchSteps; s++ {
			fits(AtStep(d.Secret, s), offline(d, s, step, now))
		}
	}
	return best
}

// offline says what the code of step s of a device is, at step now.
func offline(d Device, s, step int64, now time.Time) Verdict {
	v := Verdict{Device: d.ID, Offline: true, Step: s}
	off := time.Duration(s-step) * Period
	switch {
	case s == step || s == step-1:
		v.Outcome = Accepted
		if s <= d.LastUsedStep {
			v.Outcome = Used
		}
	case s <= d.LastUsedStep && s < step:
		v.Outcome = Used
	case s > step || d.explains(off):
		v.Outcome, v.Off = ClockOff, off
	default:
		// A code is accepted until the end of the period after its own.
		v.Outcome, v.Late = Late, now.Sub(time.Unix((s+2)*int64(Period/time.Second), 0))
	}
	return v
}

// explains reports whether the device's clock, as last seen, is off by about
// this much. The step of a code and the second of the look differ by up to a
// period and a half.
func (d Device) explains(off time.Duration) bool {
	return d.SkewKnown && d.Skew.Abs() > Period && (d.Skew-off).Abs() <= Period+Period/2
}
