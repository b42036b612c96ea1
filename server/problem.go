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
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/signin"
	"readmit.dev/readmit/store"
)

func problem(status, code int, reason, title, detail string) *api.Problem {
	return &api.Problem{Type: "about:blank", Title: title, Status: status, Code: code, Reason: reason, Detail: detail}
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

var malformed = problem(http.StatusBadRequest, api.BadRequest, api.ReasonForm, "The message is not of the protocol's form", "See docs/protocol.md.")

// known are the errors that callers are told of, in their own words.
var known = []struct {
	err    error
	code   int
	reason string
}{
	{signin.ErrForm, api.BadRequest, api.ReasonForm},
	{account.ErrRecord, api.BadRequest, api.ReasonForm},
	{explain.ErrEvidence, api.BadRequest, api.ReasonForm},

	{account.ErrTaken, api.NotPossible, api.ReasonTaken},
	{account.ErrInvitation, api.NotPossible, api.ReasonInvitation},
	{account.ErrIdentifier, api.NotPossible, api.ReasonIdentifier},
	{account.ErrNoAccount, api.NotPossible, api.ReasonNoAccount},
	{signin.ErrOver, api.NotPossible, api.ReasonAttemptOver},
	{account.ErrGrant, api.NotPossible, api.ReasonGrant},
	{session.ErrNone, api.NotPossible, api.ReasonNoSession},
	{account.ErrNoDevice, api.NotPossible, api.ReasonNoDevice},
	{account.ErrThisDevice, api.NotPossible, api.ReasonThisDevice},
	{account.ErrSameName, api.NotPossible, api.ReasonSameName},
	{account.ErrNoRequest, api.NotPossible, api.ReasonNoRequest},
	{account.ErrAddress, api.NotPossible, api.ReasonAddress},
	{account.ErrAddresses, api.NotPossible, api.ReasonAddresses},
	{account.ErrAddressKnown, api.NotPossible, api.ReasonAddressKnown},
	{account.ErrNoAddress, api.NotPossible, api.ReasonNoAddress},
	{account.ErrNoMail, api.NotPossible, api.ReasonNoSender},
	{account.ErrNoSMS, api.NotPossible, api.ReasonNoSender},
	{recovery.ErrCase, api.NotPossible, api.ReasonNoCase},
	{recovery.ErrNone, api.NotPossible, api.ReasonNoRecovery},
	{recovery.ErrGiven, api.NotPossible, api.ReasonGiven},
	{recovery.ErrFresh, api.NotPossible, api.ReasonFresh},
	{desk.ErrNoAgent, api.NotPossible, api.ReasonNoAgent},
	{desk.ErrFresh, api.NotPossible, api.ReasonFresh},
	{desk.ErrNoAccount, api.NotPossible, api.ReasonNoAccount},
	{desk.ErrOwn, api.NotPossible, api.ReasonOwn},
	{desk.ErrNotApproved, api.NotPossible, api.ReasonNotApproved},
	{desk.ErrNoIncident, api.NotPossible, api.ReasonNoIncident},
	{desk.ErrNoAct, api.NotPossible, api.ReasonNoAct},
	{desk.ErrSame, api.NotPossible, api.ReasonSameAgent},
	{explain.ErrNoSuch, api.NotPossible, api.ReasonNoIncident},
	{explain.ErrNotRefused, api.NotPossible, api.ReasonNotRefused},
	{incident.ErrUnknown, api.NotPossible, api.ReasonNotIncident},
	{incident.ErrTooOld, api.NotPossible, api.ReasonTooOld},
	{passkey.ErrName, api.NotPossible, api.ReasonNumbered},
	{passkey.ErrFresh, api.NotPossible, api.ReasonFresh},
	{passkey.ErrMany, api.NotPossible, api.ReasonPasskeys},
	{passkey.ErrKnown, api.NotPossible, api.ReasonPasskeyKnown},
	{passkey.ErrNone, api.NotPossible, api.ReasonNoPasskey},

	{signal.ErrNoService, api.NotPossible, api.ReasonNoService},
	{signal.ErrServiceKnown, api.NotPossible, api.ReasonServiceKnown},
	{signal.ErrServiceName, api.NotPossible, api.ReasonServiceForm},
	{signal.ErrAudience, api.NotPossible, api.ReasonServiceForm},
	{signal.ErrPlain, api.NotPossible, api.ReasonServiceForm},
	{signal.ErrPush, api.NotPossible, api.ReasonServiceForm},
	{signal.ErrParked, api.NotPossible, api.ReasonParked},
	{signal.ErrPaused, api.NotPossible, api.ReasonPaused},
	{signal.ErrDisabled, api.NotPossible, api.ReasonDisabled},
	{signal.ErrStream, api.NotPossible, api.ReasonStreamSet},
	{signal.ErrNoStream, api.NotPossible, api.ReasonNoStream},
	{signal.ErrStreamThere, api.NotPossible, api.ReasonStreamSet},
	{signal.ErrEvents, api.BadRequest, api.ReasonForm},
	{signal.ErrStatus, api.BadRequest, api.ReasonForm},
	{signal.ErrAsked, api.TooMany, api.ReasonSlow},

	{account.ErrSlow, api.TooMany, api.ReasonSignUps},
	{account.ErrCodesSlow, api.TooMany, api.ReasonCodesSent},
	{explain.ErrSlow, api.TooMany, api.ReasonSlow},
	{recovery.ErrSlow, api.TooMany, api.ReasonSlow},
	{desk.ErrSlow, api.TooMany, api.ReasonAsked},
	{desk.ErrOften, api.TooMany, api.ReasonSlow},
}

// created is the answer to what has made something: 201.
type created struct{ what any }

// toOperator is answer for the operator's socket alone: who may start and stop
// the store is told what is the matter with it.
func (s *Server) toOperator(w http.ResponseWriter, out any, err error) int {
	if !errors.Is(err, store.ErrUnavailable) {
		return s.answer(w, out, err)
	}
	p := *s.toProblem(err)
	if p.Code == api.Unavailable {
		p.Detail = err.Error()
	}
	return s.fail(w, &p)
}

// answer sends a value or what an error may be told as; beside toOperator it is
// the only place where an error becomes an answer. It returns the status.
func (s *Server) answer(w http.ResponseWriter, out any, err error) int {
	if err != nil {
		return s.fail(w, s.toProblem(err))
	}
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return http.StatusNoContent
	}
	status := http.StatusOK
	if made, ok := out.(created); ok {
		status, out = http.StatusCreated, made.what
	}
	b, err := json.Marshal(out)
	if err != nil {
		return s.fail(w, s.toProblem(err))
	}
	send(w, status, "application/json", b)
	return status
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
	for _, row := range known {
		if !errors.Is(err, row.err) {
			continue
		}
		switch row.code {
		case api.BadRequest:
			return malformed
		case api.TooMany:
			return problem(http.StatusTooManyRequests, api.TooMany, row.reason, "Too many of these", row.err.Error())
		}
		return problem(http.StatusConflict, api.NotPossible, row.reason, "This is not possible now", row.err.Error())
	}
	// Everything else is the service's own fault, and said to be.
	if !errors.Is(err, store.ErrUnavailable) {
		s.log.Error("call failed", "error", err)
	} else {
		s.log.Error("store unavailable", "error", err)
	}
	p := problem(http.StatusServiceUnavailable, api.Unavailable, api.ReasonFault, "The account server cannot do its work now", "Your password was not checked. Try again in a few minutes.")
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
