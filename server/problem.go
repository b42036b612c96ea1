package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/desk"
	"readmit.dev/readmit/explain"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/passkey"
	"readmit.dev/readmit/recovery"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

func problem(status, code int, title, detail string) *api.Problem {
	return &api.Problem{Type: "about:blank", Title: title, Status: status, Code: code, Detail: detail}
}

// decode reads a body strictly: one JSON value, no unknown keys.
func decode(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed
	}
	return nil
}

var malformed = problem(http.StatusBadRequest, api.BadRequest, "The message is not of the protocol's form", "See docs/protocol.md.")

// answer sends a value or what an error may be told as; it is the only place
// where an error becomes an answer. It returns the status.
func (s *Server) answer(w http.ResponseWriter, out any, err error) int {
	if err != nil {
		return s.fail(w, s.toProblem(err))
	}
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	}
	b, err := json.Marshal(out)
	if err != nil {
		return s.fail(w, s.toProblem(err))
	}
	send(w, http.StatusOK, "application/json", b)
	return http.StatusOK
}

func (s *Server) fail(w http.ResponseWriter, p *api.Problem) int {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // a Problem always marshals
	}
	send(w, p.Status, "application/problem+json", b)
	return p.Status
}

// send says the length, so that no answer goes in chunks, however long.
func send(w http.ResponseWriter, status int, kind string, b []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	w.Write(b)
}

func (s *Server) toProblem(err error) *api.Problem {
	if p := new(api.Problem); errors.As(err, &p) {
		return p
	}
	if r := new(gate.Refusal); errors.As(err, &r) {
		return s.refused(r)
	}
	for _, known := range []error{
		signin.ErrOver, session.ErrNone, account.ErrInvitation, account.ErrIdentifier, account.ErrTaken, account.ErrNoDevice,
		account.ErrNoRequest, account.ErrNoAccount, account.ErrGrant, account.ErrAddress, account.ErrAddresses, account.ErrAddressKnown, account.ErrNoAddress,
		account.ErrNoMail, account.ErrNoSMS, recovery.ErrCase, recovery.ErrNone, recovery.ErrGiven, recovery.ErrFresh,
		desk.ErrNoAgent, desk.ErrFresh, desk.ErrNoAccount, desk.ErrOwn, desk.ErrNotApproved, desk.ErrNoIncident, desk.ErrNoAct, desk.ErrSame, explain.ErrNoSuch, incident.ErrUnknown, incident.ErrTooOld,
		passkey.ErrName, passkey.ErrFresh, passkey.ErrMany, passkey.ErrKnown, passkey.ErrNone,
		account.ErrThisDevice, account.ErrSameName,
	} {
		if errors.Is(err, known) {
			return problem(http.StatusConflict, api.NotPossible, "This is not possible now", known.Error())
		}
	}
	switch {
	case errors.Is(err, signin.ErrForm), errors.Is(err, account.ErrRecord), errors.Is(err, explain.ErrEvidence):
		return malformed
	case errors.Is(err, account.ErrSlow), errors.Is(err, account.ErrCodesSlow), errors.Is(err, explain.ErrSlow), errors.Is(err, recovery.ErrSlow), errors.Is(err, desk.ErrSlow):
		return problem(http.StatusTooManyRequests, api.TooMany, "Too many of these", err.Error())
	}
	// Everything else is the service's own fault, and said to be.
	if !errors.Is(err, store.ErrUnavailable) {
		s.log.Error("call failed", "error", err)
	} else {
		s.log.Error("store unavailable", "error", err)
	}
	p := problem(http.StatusServiceUnavailable, api.Unavailable, "The account server cannot do its work now", "Your password was not checked. Try again in a few minutes.")
	p.Type = s.url + api.PathCauses + "service-fault"
	return p
}

// refused is the one answer to all whose sign-in or session is refused. Only
// what anyone may be told makes a difference.
func (s *Server) refused(r *gate.Refusal) *api.Problem {
	title := "Authentication failed"
	if row, ok := cause.Lookup(r.Public); ok && r.Public != cause.Refused {
		title = row.Title
	}
	return &api.Problem{
		Type: s.url + api.PathCauses + string(r.Public), Title: title, Status: http.StatusUnauthorized,
		Code: api.Failed, Reference: r.Reference, Incident: r.Incident,
	}
}
