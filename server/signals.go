package server

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/session"
	"readmit.dev/readmit/signal"
	"readmit.dev/readmit/store"
)

const (
	// maxSignals is what a message of a service may be: it acknowledges or
	// reports many signals at once.
	maxSignals = 256 << 10
	// tailKeeps is how long what has changed matters to tokens.
	tailKeeps = session.TokenLife + time.Minute
)

// Follow keeps what this node knows of changes fresh, and brings signals to
// services, until the context ends.
func (s *Server) Follow(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.signals.Run(ctx)
	}()
	s.tail.Run(ctx, s.log)
	<-done
}

// heard is told each change, whichever node made it.
func (s *Server) heard(n store.Signal) {
	if !n.Account.IsZero() {
		s.watchers.poke(n.Account, n.Kind != signal.Asked)
	}
	if n.Kind != signal.Asked {
		s.signals.Wake()
	}
}

// transmitter mounts what services call.
func (s *Server) transmitter(mux *http.ServeMux) {
	mux.HandleFunc("GET "+api.PathSSF, s.ssfConfiguration)
	for pattern, h := range map[string]func(*http.Request, store.Service, []byte) (any, error){
		"GET " + api.PathStream: s.streamGet, "PATCH " + api.PathStream: s.streamChange, "PUT " + api.PathStream: s.streamReplace, "POST " + api.PathStream: s.streamAdd,
		"DELETE " + api.PathStream: s.streamDelete,
		"GET " + api.PathStatus:    s.statusGet, "POST " + api.PathStatus: s.statusSet,
		"POST " + api.PathVerify: s.streamVerify, "POST " + api.PathPoll: s.poll, "POST " + api.PathApplied: s.applied,
	} {
		_, path, _ := strings.Cut(pattern, " ")
		mux.HandleFunc(pattern, s.timed(path, func(w http.ResponseWriter, r *http.Request) (any, error) {
			of, err := s.service(r)
			if err != nil {
				w.Header().Set("WWW-Authenticate", challenge(r))
				return nil, err
			}
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSignals))
			if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
				return nil, problem(http.StatusRequestEntityTooLarge, api.BadRequest, api.ReasonTooLong, "The message is too long", "No message of a service has more than 256 KiB.")
			}
			if err != nil {
				return nil, problem(http.StatusBadRequest, api.BadRequest, api.ReasonUnread, "The message could not be read", "")
			}
			return h(r, of, body)
		}))
	}
}

// challenge is what a call without a good secret is answered with: one that
// brought none is told no error (RFC 6750 §3.1).
func challenge(r *http.Request) string {
	if r.Header.Get("Authorization") == "" {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

// service finds whose secret a call carries.
func (s *Server) service(r *http.Request) (store.Service, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		secret = ""
	}
	of, err := s.signals.Service(r.Context(), strings.TrimSpace(secret))
	if errors.Is(err, signal.ErrNoService) {
		err = problem(http.StatusUnauthorized, api.BadRequest, api.ReasonSecret, "This is no registered service",
			"Send the secret of the service as a bearer token; who runs the account server gets one with: readmit admin service add.")
	}
	return of, err
}

func (s *Server) ssfConfiguration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	s.answer(w, api.SSFConfiguration{
		Version: "1_0", Issuer: s.url, Keys: s.url + api.PathKeys, Delivery: []string{api.DeliveryPush, api.DeliveryPoll},
		Stream: s.url + api.PathStream, Status: s.url + api.PathStatus, Verification: s.url + api.PathVerify,
		Authorization: []api.AuthorizationScheme{{URN: "urn:ietf:rfc:6750"}}, DefaultSubject: "ALL",
	}, nil)
}

func streamID(of store.Service) string { return hex.EncodeToString(of.ID[:]) }

// own refuses a stream that is not the caller's, or was deleted; an empty ID is
// its only one.
func own(of store.Service, id string) error {
	if of.Status == store.StreamDeleted || id != "" && id != streamID(of) {
		return problem(http.StatusNotFound, api.BadRequest, api.ReasonNoStream, "There is no such stream", "A service has one stream: GET "+api.PathStream+".")
	}
	return nil
}

func (s *Server) stream(of store.Service) api.Stream {
	supported, delivery := signal.Events(), api.Delivery{Method: api.DeliveryPoll, Endpoint: s.url + api.PathPoll}
	if of.Push != "" {
		delivery = api.Delivery{Method: api.DeliveryPush, Endpoint: of.Push}
	}
	requested := strings.Fields(of.Events)
	delivered := slices.DeleteFunc(slices.Clone(supported), func(e string) bool { return of.Events != "" && !slices.Contains(requested, e) })
	if of.Events == "" {
		requested = supported
	}
	return api.Stream{
		ID: streamID(of), Issuer: s.url, Audience: api.Audience{of.Audience}, Supported: supported, Requested: &requested, Delivered: delivered,
		Delivery: &delivery, VerifyInterval: int(signal.VerifyEvery / time.Second), Description: &of.About,
	}
}

func (s *Server) streamGet(r *http.Request, of store.Service, _ []byte) (any, error) {
	id := r.URL.Query().Get("stream_id")
	if id == "" && of.Status == store.StreamDeleted {
		return []api.Stream{}, nil
	}
	if id == "" {
		return []api.Stream{s.stream(of)}, nil
	}
	return s.stream(of), own(of, id)
}

// streamAdd makes the stream again that the receiver has deleted (SSF 1.0 §8.1.1.1).
func (s *Server) streamAdd(r *http.Request, of store.Service, body []byte) (any, error) {
	var in api.Stream
	if json.Unmarshal(body, &in) != nil || in.Description != nil && len(*in.Description) > maxAbout {
		return nil, malformed
	}
	if of.Status != store.StreamDeleted {
		return nil, problem(http.StatusConflict, api.NotPossible, api.ReasonStreamSet, "This service has its stream", "A service has one stream, which its registration made: GET "+api.PathStream+".")
	}
	if err := s.registered(of, in); err != nil {
		return nil, err
	}
	var events []string
	if in.Requested != nil {
		events = *in.Requested
	}
	about := ""
	if in.Description != nil {
		about = *in.Description
	}
	now, err := s.signals.AddStream(r.Context(), of, events, about)
	return created{s.stream(now)}, err
}

// streamDelete ends it (SSF 1.0 §8.1.1.5).
func (s *Server) streamDelete(r *http.Request, of store.Service, _ []byte) (any, error) {
	id := r.URL.Query().Get("stream_id")
	if id == "" {
		return nil, malformed
	}
	if err := own(of, id); err != nil {
		return nil, err
	}
	return nil, s.signals.DeleteStream(r.Context(), of)
}

// registered refuses what is not the receiver's to say, unless it says what is so.
func (s *Server) registered(of store.Service, in api.Stream) error {
	is := s.stream(of)
	poll := in.Delivery != nil && is.Delivery.Method == api.DeliveryPoll && *in.Delivery == api.Delivery{Method: api.DeliveryPoll} // its address is ours to name
	if in.Audience != nil && !slices.Equal(in.Audience, is.Audience) || in.Issuer != "" && in.Issuer != is.Issuer || in.Delivery != nil && *in.Delivery != *is.Delivery && !poll {
		return problem(http.StatusBadRequest, api.BadRequest, api.ReasonStreamSet, "This is not the receiver's to change", signal.ErrStream.Error()+".")
	}
	return nil
}

func (s *Server) streamChange(r *http.Request, of store.Service, body []byte) (any, error) {
	return s.streamSet(r.Context(), of, body, false)
}

func (s *Server) streamReplace(r *http.Request, of store.Service, body []byte) (any, error) {
	return s.streamSet(r.Context(), of, body, true)
}

// maxAbout is how long a stream's description may be.
const maxAbout = 256

func (s *Server) streamSet(ctx context.Context, of store.Service, body []byte, whole bool) (any, error) {
	var in api.Stream
	if json.Unmarshal(body, &in) != nil || in.ID == "" || in.Description != nil && len(*in.Description) > maxAbout {
		return nil, malformed
	}
	if err := own(of, in.ID); err != nil {
		return nil, err
	}
	if err := s.registered(of, in); err != nil {
		return nil, err
	}
	events, about := strings.Fields(of.Events), of.About
	if in.Requested != nil || whole {
		events = nil
		if in.Requested != nil {
			events = *in.Requested
		}
	}
	if in.Description != nil || whole {
		about = ""
		if in.Description != nil {
			about = *in.Description
		}
	}
	now, err := s.signals.SetStream(ctx, of, events, about)
	return s.stream(now), err
}

func (s *Server) statusGet(r *http.Request, of store.Service, _ []byte) (any, error) {
	return api.StreamStatus{ID: streamID(of), Status: of.Status, Reason: signal.ReasonOf(of)}, own(of, r.URL.Query().Get("stream_id"))
}

func (s *Server) statusSet(r *http.Request, of store.Service, body []byte) (any, error) {
	var in api.StreamStatus
	if json.Unmarshal(body, &in) != nil || in.ID == "" || len(in.Reason) > maxAbout {
		return nil, malformed
	}
	if err := own(of, in.ID); err != nil {
		return nil, err
	}
	err := s.signals.SetStatus(r.Context(), of, in.Status, in.Reason)
	return api.StreamStatus{ID: in.ID, Status: in.Status, Reason: in.Reason}, err
}

func (s *Server) streamVerify(r *http.Request, of store.Service, body []byte) (any, error) {
	var in api.StreamVerify
	if json.Unmarshal(body, &in) != nil || len(in.State) > maxAbout {
		return nil, malformed
	}
	if err := own(of, in.ID); err != nil {
		return nil, err
	}
	return nil, s.signals.Verify(r.Context(), of, in.State)
}

func (s *Server) poll(r *http.Request, of store.Service, body []byte) (any, error) {
	var in api.Poll
	if json.Unmarshal(body, &in) != nil || in.MaxEvents != nil && *in.MaxEvents < 0 {
		return nil, malformed
	}
	if err := own(of, ""); err != nil {
		return nil, err
	}
	most := signal.MostSets
	if in.MaxEvents != nil {
		most = *in.MaxEvents
	}
	refused := map[string]signal.Refused{}
	for jti, e := range in.SetErrs {
		refused[jti] = signal.Refused{Code: e.Err}
	}
	sets, more, err := s.signals.Poll(r.Context(), of, in.Ack, refused, most, !in.ReturnImmediately)
	return api.Polled{Sets: sets, MoreAvailable: more}, err
}

func (s *Server) applied(r *http.Request, of store.Service, body []byte) (any, error) {
	var in api.Applied
	if json.Unmarshal(body, &in) != nil {
		return nil, malformed
	}
	at := map[string]time.Time{}
	for jti, micros := range in.Applied {
		at[jti] = time.UnixMicro(micros)
	}
	return nil, s.signals.Applied(r.Context(), of, at)
}

// receipts tells an owner which service has which change.
func (s *Server) receipts(ctx context.Context, c call) (any, error) {
	var in api.ReceiptsRequest
	if err := decode(c.body, &in); err != nil {
		return nil, err
	}
	a, _, err := s.onSession(ctx, c, in.Session, "receipts")
	if err != nil {
		return nil, err
	}
	now := s.gate.Now()
	list, more, err := s.signals.Receipts(ctx, a.Account.ID, in.Epoch)
	if err != nil {
		return nil, err
	}
	out := api.Receipts{Epoch: a.Account.Epoch, Now: now.UnixMicro(), Receipts: arrivals(list), More: more}
	silent, err := s.signals.Silent(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range silent {
		out.Silent = append(out.Silent, api.Silent{Service: one.Name, Status: one.Status, Since: micros(one.Since), Parked: one.Parked})
	}
	if in.Epoch != 0 {
		return out, nil
	}
	waiting, err := s.signals.Waiting(ctx, a.Account.ID)
	out.Waiting = arrivals(waiting)
	return out, err
}

func arrivals(list []signal.Receipt) []api.Receipt {
	out := make([]api.Receipt, 0, len(list))
	for _, r := range list {
		n := api.Receipt{
			Service: r.Name, Audience: r.Audience, Signal: hex.EncodeToString(r.Signal[:]), Epoch: r.Epoch, Kind: r.Kind, Made: r.Made.UnixMicro(),
			Delivered: micros(r.Delivered), Applied: micros(r.Applied), Tries: r.Tries, Why: r.Why,
		}
		if r.Delivered.IsZero() {
			n.Waiting = n.Made
		}
		out = append(out, n)
	}
	return out
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// tokenProblem says why an access token is not taken.
func (s *Server) tokenProblem(err error) *api.Problem {
	if errors.Is(err, signal.ErrUnknown) {
		return problem(http.StatusServiceUnavailable, api.Unavailable, api.ReasonFault, "This node cannot check tokens now", "It does not know what has changed in the last second. Try again, or at another node.")
	}
	p := problem(http.StatusUnauthorized, api.BadRequest, api.ReasonNoToken, "There is no valid access token in this request", "Get a fresh one: readmit token.")
	switch {
	case errors.Is(err, signal.ErrStale):
		p.Reason, p.Detail = api.ReasonStale, err.Error()+". "+p.Detail
	case errors.Is(err, signal.ErrEnded):
		p.Reason, p.Detail = api.ReasonEnded, err.Error()+". "+p.Detail
	case errors.Is(err, signal.ErrBehind):
		p.Reason, p.Type, p.Detail = api.ReasonBehind, s.url+api.ChangePending, err.Error()+". Try again in a moment."
	}
	return p
}
