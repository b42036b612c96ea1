package verify

import (
	"fmt"
	"time"
)

// Reason is why a request was refused. Callers compare with errors.Is, or take
// it out of an error with errors.As.
type Reason string

// What is wrong with the request itself.
const (
	Missing   Reason = "missing"       // no token was sent
	Malformed Reason = "malformed"     // not an access token of the account server
	Audience  Reason = "audience"      // a token for another service
	Expired   Reason = "expired"       // the token has ended: refresh
	NotBound  Reason = "not-bound"     // a proof of another key than the token's, or none
	BadProof  Reason = "proof"         // the proof is not of this request
	Replayed  Reason = "replayed"      // the proof was used before
	ClockOff  Reason = "clock-off"     // the proof's time is more than a minute off
	TooLong   Reason = "body-too-long" // a body that the proof signs and is longer than can be held
)

// What the account server has said of the account.
const (
	// Stale: the account has changed since the token was issued, or may have:
	// what came before Refusal.Floor is not known here. Refresh.
	Stale Reason = "stale"
	Ended Reason = "ended" // the session has ended: sign in again
	// Behind: the token is newer than what this service has heard. The account
	// was disabled here and, by the token, is no longer so.
	Behind Reason = "behind"
)

// What is wrong with this service. Nothing is said of the token.
const (
	KeysUnavailable Reason = "keys-unavailable" // the key is not known, and the account server cannot be asked
	Busy            Reason = "busy"             // more proofs in two minutes than can be remembered
)

func (r Reason) Error() string { return "verify: " + r.text() }

func (r Reason) text() string {
	switch r {
	case Missing:
		return "there is no access token in this request"
	case Malformed:
		return "this is not an access token of the account server"
	case Audience:
		return "the access token is for another service"
	case Expired:
		return "the access token has ended"
	case NotBound:
		return "the access token is bound to a key, and its proof is missing or of another key"
	case BadProof:
		return "the proof is not of this request"
	case Replayed:
		return "the proof was used before"
	case ClockOff:
		return "the proof's time is more than a minute away from this service's"
	case TooLong:
		return "the body is longer than one that a proof signs may be"
	case Stale:
		return "the account has changed since the access token was issued"
	case Ended:
		return "the session has ended"
	case Behind:
		return "this service has not yet heard of the account's last change"
	case KeysUnavailable:
		return "the key of the access token is not known, and the account server cannot be asked for it now"
	case Busy:
		return "this service has more requests than it can check"
	}
	return "refused"
}

// Refusal is a refused request. It unwraps to its Reason.
type Refusal struct {
	Reason Reason
	// Known and Token are epochs of the account: the last this service has
	// heard of, and the token's. Zero: not known, or not of this reason.
	Known, Token int64
	// Made is when the change was that Known is the epoch of, by the account
	// server's clock, to the second; zero where Known is.
	Made time.Time
	// Floor is, of Stale without a change that is known, the time up to which
	// tokens are refused whatever their account, by the account server's clock:
	// what was said before a start, before signals that were lost, or before
	// what a full memory has forgotten. Some seconds after a start it is yet to
	// come, and no token is taken. Zero: not of this.
	Floor time.Time
}

func (r *Refusal) Error() string {
	if r.Reason == Behind || r.Reason == Stale && r.Known > 0 {
		return fmt.Sprintf("%v (epoch %d is known here, the token's is %d)", r.Reason, r.Known, r.Token)
	}
	return "verify: " + r.text()
}

// text tells a change that is known from one that only may have been.
func (r *Refusal) text() string {
	switch {
	case r.Reason != Stale || r.Known > 0:
		return r.Reason.text()
	case r.Floor.IsZero():
		return "the access token was issued by a clock that is ahead"
	}
	return "this service has started or missed signals, so it does not know what had changed when the access token was issued"
}

// Unwrap gives the Reason.
func (r *Refusal) Unwrap() error { return r.Reason }

func refuse(r Reason) error { return &Refusal{Reason: r} }
