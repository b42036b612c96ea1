package verify

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// Event types of Security Event Tokens (CAEP 1.0, RISC 1.0, SSF 1.0).
const (
	eventDisabled     = "https://schemas.openid.net/secevent/risc/event-type/account-disabled"
	eventEnabled      = "https://schemas.openid.net/secevent/risc/event-type/account-enabled"
	eventVerification = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	eventUpdated      = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
)

const (
	signalType = "secevent+jwt"
	// sessionEnded is the one kind that raises no epoch.
	sessionEnded = "session-ended"
	// maxSignal is how long one may be. One of ours has some 1,200 octets and
	// the names of all services that it goes to.
	maxSignal = 64 << 10
	// maxName bounds what is remembered of each.
	maxName = 128
)

type status int

const (
	unchanged status = iota
	enabled
	disabled
)

// event is a signal that was found good.
type event struct {
	jti    string
	at     time.Time // of the change, by the account server's clock
	stream bool      // of the stream; there is no account in it
	state  string    // of a verification

	account id
	epoch   int64 // the account's after the change
	status  status
	ended   bool // of the one session
	session id
}

// eventError is a signal that is refused, with the code of RFC 8935 §2.4.
type eventError struct{ code, text string }

func (e *eventError) Error() string { return e.text + " (" + e.code + ")" }

func invalid(text string) error { return &eventError{"invalid_request", text} }

// errKeys: it cannot be told whether the signal is good.
var errKeys = errors.New("the account server's keys cannot be fetched")

// set is a Security Event Token's claims (RFC 8417 §2.2).
type set struct {
	Issuer   string                     `json:"iss"`
	Issued   json.Number                `json:"iat"`
	ID       string                     `json:"jti"`
	Audience audiences                  `json:"aud"`
	Subject  subject                    `json:"sub_id"`
	Events   map[string]json.RawMessage `json:"events"`
}

// subject is a Subject Identifier (RFC 9493 §3.2.4).
type subject struct {
	Format  string `json:"format"`
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
}

// audiences is one or several (RFC 7519 §4.1.3).
type audiences []string

func (a *audiences) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// change is what stands in an event: CAEP's time and our own members.
type change struct {
	Time    json.Number `json:"event_timestamp"`
	State   string      `json:"state"`
	Epoch   *int64      `json:"readmit_epoch"`
	Kind    string      `json:"readmit_kind"`
	Session string      `json:"readmit_session"`
}

// signal reads a Security Event Token. It returns an *eventError, or errKeys.
func (v *Verifier) signal(ctx context.Context, text string) (event, error) {
	if len(text) > maxSignal {
		return event{}, invalid("the token is longer than 64 KiB")
	}
	c, err := parseCompact(text, "RS256", signalType)
	if err != nil {
		return event{}, invalid("not a JWS of type secevent+jwt signed with RS256")
	}
	by, err := v.signalKey(ctx, c.header.Key)
	if errors.Is(err, KeysUnavailable) {
		return event{}, errKeys
	}
	if err != nil {
		return event{}, &eventError{"invalid_key", "there is no such key"}
	}
	if rsa.VerifyPKCS1v15(by, crypto.SHA256, c.digest[:], c.signature) != nil {
		return event{}, &eventError{"invalid_key", "the signature does not verify"}
	}
	return v.read(c.payload)
}

func (v *Verifier) read(payload []byte) (event, error) {
	var s set
	if json.Unmarshal(payload, &s) != nil {
		return event{}, invalid("the claims are not those of a Security Event Token")
	}
	if s.Issuer != v.issuer {
		return event{}, &eventError{"invalid_issuer", "it is of another issuer"}
	}
	if !slices.Contains(s.Audience, v.audience) {
		return event{}, &eventError{"invalid_audience", "it is for another audience"}
	}
	if s.ID == "" || len(s.ID) > maxName {
		return event{}, invalid("jti is missing or too long")
	}
	at, ok := seconds(s.Issued)
	if !ok {
		return event{}, invalid("iat is missing or no time")
	}
	if len(s.Events) != 1 {
		return event{}, invalid("it must have exactly one event")
	}
	var kind string
	for kind = range maps.Keys(s.Events) {
	}
	var c change
	if json.Unmarshal(s.Events[kind], &c) != nil {
		return event{}, invalid("the event is not an object of the form of its type")
	}
	e := event{jti: s.ID, at: at}
	if kind == eventVerification || kind == eventUpdated {
		e.stream, e.state = true, c.State
		return e, nil
	}
	return e, e.read(v.issuer, kind, s.Subject, c)
}

func (e *event) read(issuer, kind string, s subject, c change) error {
	if s.Format != "iss_sub" || s.Issuer != issuer || !e.account.parse(s.Subject) {
		return invalid("sub_id does not name an account of the issuer")
	}
	// Whatever kind of change it is: its epoch says which tokens are older.
	if c.Epoch == nil || *c.Epoch < 0 {
		return invalid("readmit_epoch is missing or negative")
	}
	e.epoch = *c.Epoch
	if c.Time != "" {
		at, ok := seconds(c.Time)
		if !ok {
			return invalid("event_timestamp is no time")
		}
		e.at = at
	}
	// With other kinds it names the session that has made the change.
	if c.Kind == sessionEnded {
		if e.ended = e.session.parse(c.Session); !e.ended {
			return invalid("readmit_session does not name a session")
		}
	}
	switch kind {
	case eventDisabled:
		e.status = disabled
	case eventEnabled:
		e.status = enabled
	}
	return nil
}

// seconds reads a NumericDate (RFC 7519 §2).
func seconds(n json.Number) (time.Time, bool) {
	f, err := n.Float64()
	if err != nil || f <= 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(f * 1e6)), true
}

// take applies a signal, once.
func (v *Verifier) take(e event) {
	if !v.heard.first(e.jti) {
		return
	}
	v.state.heard(e.stream, v.clock.now().Sub(e.at))
	if e.stream {
		return
	}
	v.accounts.apply(e, v.clock.mono())
	v.reports.add(e.jti, v.clock.now())
}

// takeAll applies the signals of one answer in the order of their epochs, and
// says what to answer for each: applied, or refused and why. One that cannot
// be judged now is in neither, and comes again.
func (v *Verifier) takeAll(ctx context.Context, sets map[string]string) (acks []string, refused map[string]refusedSet, err error) {
	var all []event
	for name, text := range sets {
		e, bad := v.signal(ctx, text)
		if bad == nil && e.jti != name {
			bad = invalid("its jti is not the name it came under")
		}
		var why *eventError
		switch {
		case errors.As(bad, &why):
			if refused == nil {
				refused = map[string]refusedSet{}
			}
			refused[name] = refusedSet{why.code, why.text}
			v.log.Warn("a signal was refused", "why", why.text)
			v.state.refuses()
		case bad != nil:
			err = bad
		default:
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.epoch, b.epoch) })
	for _, e := range all {
		v.take(e)
		acks = append(acks, e.jti)
	}
	return acks, refused, err
}
