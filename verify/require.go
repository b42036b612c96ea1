package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
)

// Request is what a token was sent with.
type Request struct {
	Token  string // of the header Authorization, without "DPoP"
	Proof  string // the header DPoP
	Method string
	URL    string // as the client knows it: scheme, host and path, no query
	Body   []byte // held against the proof's "bh", where it has one
}

// Check checks a request. It returns whom it is from, or a *Refusal. The
// account's state is told to nobody who does not hold the token's key.
func (v *Verifier) Check(ctx context.Context, r Request) (Identity, error) {
	t, err := v.check(ctx, &r, func() ([]byte, error) { return r.Body, nil })
	return t.identity, err
}

func (v *Verifier) check(ctx context.Context, r *Request, body func() ([]byte, error)) (claims, error) {
	if r.Token == "" {
		return claims{}, refuse(Missing)
	}
	t, err := v.token(ctx, r.Token)
	if err != nil {
		return claims{}, err
	}
	if r.Proof == "" {
		return claims{}, refuse(NotBound)
	}
	seen, err := v.proofs.Verify(r.Proof, device.Expectation{Method: r.Method, URL: r.URL, Token: r.Token, LaterBody: true})
	if err != nil {
		return claims{}, refuse(BadProof)
	}
	if seen.Thumbprint != t.thumbprint {
		return claims{}, refuse(NotBound)
	}
	if v.clock.now().Sub(seen.Time).Abs() > proofWindow {
		return claims{}, refuse(ClockOff)
	}
	if seen.Body != "" {
		b, err := body()
		if err != nil {
			return claims{}, err
		}
		if !device.HashOf(b, seen.Body) {
			return claims{}, refuse(BadProof)
		}
	}
	if err := v.replays.spend(seen.ID, v.clock.mono()); err != nil {
		return claims{}, err
	}
	if err := v.accounts.judge(&t); err != nil {
		return claims{}, err
	}
	return t, nil
}

type identityKey struct{}

// FromContext is whom the request is from, in a handler behind Require.
func FromContext(ctx context.Context) (Identity, bool) {
	i, ok := ctx.Value(identityKey{}).(Identity)
	return i, ok
}

// maxBody is how long a body may be that a proof signs: it is read whole
// before next sees it. Clients that do not sign theirs are not held to it.
const maxBody = 1 << 20

// Require lets requests pass that have a good token and proof. Others are
// answered with a problem (RFC 9457) and, where the client can do something
// about it, a challenge (RFC 6750 §3, RFC 9449 §7.1).
func (v *Verifier) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := v.request(r)
		if err != nil {
			v.answer(w, err)
			return
		}
		t, err := v.check(r.Context(), &q, func() ([]byte, error) { return hold(r) })
		if err != nil {
			v.answer(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, t.identity)))
	})
}

// hold reads the body, and gives it to who comes after.
func hold(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, refuse(BadProof)
	}
	if len(b) > maxBody {
		return nil, refuse(TooLong)
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(b), r.Body}
	return b, nil
}

// request takes token and proof out of a request. Each must be there once
// (RFC 9449 §4.3, §7.1).
func (v *Verifier) request(r *http.Request) (Request, error) {
	q := Request{Method: r.Method, URL: v.base + r.URL.EscapedPath()}
	switch all := r.Header.Values("Authorization"); {
	case len(all) == 0:
		return q, refuse(Missing)
	case len(all) > 1:
		return q, refuse(Malformed)
	default:
		scheme, token, _ := strings.Cut(all[0], " ")
		switch {
		case strings.EqualFold(scheme, "Bearer"):
			return q, refuse(NotBound)
		case !strings.EqualFold(scheme, "DPoP"):
			return q, refuse(Missing)
		}
		if q.Token = strings.TrimSpace(token); q.Token == "" {
			return q, refuse(Malformed)
		}
	}
	switch all := r.Header.Values(api.HeaderProof); len(all) {
	case 0:
	case 1:
		q.Proof = all[0]
	default:
		return q, refuse(BadProof)
	}
	return q, nil
}

// Problem is the answer to a request that does not pass (RFC 9457).
type Problem struct {
	api.Problem
	Reason     Reason `json:"reason"`
	Service    string `json:"service"`
	KnownEpoch int64  `json:"known_epoch,omitempty"`
	TokenEpoch int64  `json:"token_epoch,omitempty"`
	KnownSince int64  `json:"known_since,omitempty"` // when the change of KnownEpoch was, Unix seconds
	Floor      int64  `json:"floor,omitempty"`       // tokens issued then or before are refused, whatever their account, Unix seconds
}

func (v *Verifier) answer(w http.ResponseWriter, err error) {
	var no *Refusal
	if !errors.As(err, &no) {
		no = &Refusal{Reason: KeysUnavailable} // the client went away while a key was asked for
	}
	p := Problem{
		Problem: api.Problem{Type: "about:blank", Title: "The request was refused", Status: http.StatusUnauthorized, Detail: no.text(), Code: api.Failed},
		Reason:  no.Reason, Service: v.audience, KnownEpoch: no.Known, TokenEpoch: no.Token,
	}
	if !no.Made.IsZero() {
		p.KnownSince = no.Made.Unix()
	}
	if !no.Floor.IsZero() {
		p.Floor = no.Floor.Unix()
	}
	h := w.Header()
	challenge := "invalid_token"
	switch no.Reason {
	case Missing:
		challenge, p.Code = "", api.BadRequest
	case Behind:
		p.Type = v.issuer + "/help/change-pending"
	case ClockOff:
		challenge, p.Type, p.Code = "invalid_dpop_proof", v.issuer+"/help/clock-off", api.StaleProof
		// By which the client can set itself right; this machine's may be off too.
		h.Set("Date", v.clock.now().UTC().Format(http.TimeFormat))
	case BadProof, Replayed:
		challenge, p.Code = "invalid_dpop_proof", api.StaleProof
	case TooLong:
		p.Status, p.Code = http.StatusRequestEntityTooLarge, api.BadRequest
	case KeysUnavailable, Busy:
		p.Title, p.Status, p.Code = "The request was not checked", http.StatusServiceUnavailable, api.Unavailable
		p.Type = v.issuer + "/help/service-fault"
		h.Set("Retry-After", "1")
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challengeOf(challenge, no.text()))
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// challengeOf is the value of WWW-Authenticate. RFC 6750 §3.1: who sent no
// token is told no error.
func challengeOf(code, text string) string {
	if code == "" {
		return `DPoP algs="ES256"`
	}
	return `DPoP error="` + code + `", error_description="` + text + `", algs="ES256"`
}
