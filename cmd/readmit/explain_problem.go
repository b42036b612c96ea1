package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor/host"
)

// serviceProblem is what a service that checks tokens answers (docs/protocol.md,
// "For services"), or the account server itself.
type serviceProblem struct {
	api.Problem
	Service    string `json:"service"` // its audience
	KnownEpoch int64  `json:"known_epoch"`
	TokenEpoch int64  `json:"token_epoch"`
	KnownSince int64  `json:"known_since"`
	Floor      int64  `json:"floor"`
}

// Reasons of a service that the account server does not have.
const (
	reasonExpired  = "expired"
	reasonNoKeys   = "keys-unavailable"
	reasonClockOff = "clock-off"
)

// problemIn finds a problem of ours in a text: the document itself, or an answer
// with its status and headers before it.
func problemIn(text string) (p serviceProblem, ok bool) {
	i := strings.IndexByte(text, '{')
	if i < 0 || i > 8<<10 || json.NewDecoder(strings.NewReader(text[i:])).Decode(&p) != nil {
		return serviceProblem{}, false
	}
	if !slices.Contains([]int{api.Failed, api.BadRequest, api.StaleProof, api.NotPossible, api.TooMany, api.Unavailable}, p.Code) || p.Status < 400 {
		return serviceProblem{}, false
	}
	ours := p.Type == "about:blank" || strings.Contains(p.Type, api.PathHelp) || strings.Contains(p.Type, api.PathCauses)
	return p, ours && (p.Reason != "" || p.Reference != "")
}

// explainedProblem is a report with what is known of the answer it is about.
type explainedProblem struct {
	cause.Report
	Service string `json:"service,omitempty"` // as the answer names it
	Reason  string `json:"reason"`
}

// explainProblem says what a service's answer means. What it does not say itself,
// which change and since when, the account server is asked for.
func (e *env) explainProblem(ctx context.Context, p serviceProblem) error {
	a, err := e.agent()
	if err != nil {
		return err
	}
	out := explainedProblem{Service: p.Service, Reason: p.Reason, Report: cause.Report{Schema: 1, Audience: cause.Anyone.String()}}
	of := cmp.Or(clean(p.Service), "the account server")
	switch p.Reason {
	case api.ReasonBehind:
		return e.explainBehind(ctx, a, p, out)
	case api.ReasonStale:
		if p.Service != "" {
			return e.explainStale(ctx, a, p, out)
		}
	case reasonNoKeys, api.ReasonBusy, api.ReasonFault:
		if p.Code != api.Unavailable {
			break
		}
		out.Findings = cause.Find(host.Ready(false))
		if err := e.problem(a, p, out); err != nil {
			return err
		}
		e.note("%s checked nothing, and refused nothing: try again in a moment", of)
		if p.Reason == reasonNoKeys {
			return e.reaches(ctx, a, p)
		}
		return nil
	case reasonClockOff:
		return e.explainClock(ctx, a, p, out)
	case api.ReasonEnded, reasonExpired:
		err := a.Settle(ctx)
		if err == nil {
			err = a.Alive(ctx)
		}
		if refused := new(agent.RefusedError); errors.As(err, &refused) {
			return e.explainRefused(ctx, a, refused.Reference)
		}
		if err != nil {
			return err
		}
		return exitError{failed, of + " refused a token that has ended; this device is signed in, and gets another", "readmit token --audience " + audienceOf(p) + " --min-valid 5m, then send the request again"}
	}
	if p.Service == "" {
		return exitError{failed, "the account server answered: " + p.Error(), "docs/protocol.md says what each reason means; this one is " + p.Reason}
	}
	return exitError{failed, fmt.Sprintf("%s did not take the request (%s); it is nothing of the account", of, clean(p.Reason)),
		"make each request's headers anew: readmit token --audience " + audienceOf(p) + " --proof METHOD URL"}
}

func audienceOf(p serviceProblem) string { return cmp.Or(clean(p.Service), "AUDIENCE") }

// named is how evidence names a service of which only the audience is known.
func named(p serviceProblem) string {
	if u, err := url.Parse(p.Service); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	return p.Service
}

// onItsWay is the evidence of a change that has not come: to which service, and
// what is known of it.
func onItsWay(service, kind string, since time.Time) []cause.Finding {
	facts := []cause.Fact{cause.Note(cause.CheckChange, cause.Word("everywhere"), cause.Word("on-its-way"), cause.ByDevice)}
	if service != "" {
		facts = append(facts, cause.Note(cause.CheckChangeService, cause.Value{}, cause.Name(service), cause.ByDevice))
	}
	if kind != "" {
		facts = append(facts, cause.Note(cause.CheckChangeKind, cause.Value{}, cause.ChangeKind(kind), cause.ByDevice))
	}
	if !since.IsZero() {
		facts = append(facts, cause.Note(cause.CheckChangeSince, cause.Value{}, cause.Instant(since), cause.ByDevice))
	}
	return cause.Find(facts)
}

// explainBehind is about a service that has not heard of a change that the token
// knows of.
func (e *env) explainBehind(ctx context.Context, a *agent.Agent, p serviceProblem, out explainedProblem) error {
	if p.Service == "" { // a node of the account server
		out.Findings = onItsWay("", "", time.Time{})
		e.note("a node of the account server had not heard of the account's last change: try again in a moment")
		return e.problem(a, p, out)
	}
	out.Audience = cause.Holder.String() // who was told that holds the token's key
	got, err := receiptsOf(ctx, a, 0)
	if err != nil {
		out.Findings = onItsWay(named(p), "", time.Time{})
		return e.unasked(a, p, out, err)
	}
	r, waits := waitsFor(got, p.Service, p.KnownEpoch)
	if !waits { // or what it has taken was not acknowledged yet
		r, waits = waitsFor(got, p.Service, 0)
	}
	switch {
	case got.Waiting == nil:
		out.Findings = onItsWay(named(p), "", time.Time{})
		e.note("cannot tell which change: the account server is older than this readmit")
	case p.TokenEpoch > got.Epoch:
		out.Findings = onItsWay(named(p), "", time.Time{})
		e.note("cannot tell which change: the token was of another account than this device's")
	case !waits:
		out.Findings = onItsWay(named(p), "", time.Time{})
		e.note("by now %s has taken every change: send the request again", clean(p.Service))
	default:
		out.Audience, out.Findings = cause.Owner.String(), onItsWay(r.Service, r.Kind, time.UnixMicro(r.Waiting))
		e.note("%s waits for change %d, made %s; the token knows of change %d", clean(p.Service), r.Epoch, when(r.Waiting/1e6, a.Now()), p.TokenEpoch)
	}
	return e.problem(a, p, out)
}

// explainStale is about a token that does not know of a change that the service
// has heard of: it is the token that is behind, and another one ends that. Where
// the service waits for a later change all the same, that is told too.
func (e *env) explainStale(ctx context.Context, a *agent.Agent, p serviceProblem, out explainedProblem) error {
	got, err := receiptsOf(ctx, a, 0)
	if refused := new(agent.RefusedError); errors.As(err, &refused) {
		return e.explainRefused(ctx, a, refused.Reference)
	}
	old := e.old(a, p)
	if err != nil {
		if gone := new(agent.UnreachableError); errors.As(err, &gone) {
			e.note("%s", old.text)
			return err
		}
		e.note("cannot ask the account server which change: %v", err)
		return old
	}
	if r, waits := waitsFor(got, p.Service, p.KnownEpoch); waits && p.KnownEpoch <= got.Epoch {
		out.Audience, out.Findings = cause.Owner.String(), onItsWay(r.Service, r.Kind, time.UnixMicro(r.Waiting))
		e.note("%s; and %s waits for change %d, made %s", old.text, clean(p.Service), r.Epoch, when(r.Waiting/1e6, a.Now()))
		e.note("get another: %s", old.hint)
		return e.problem(a, p, out)
	}
	if p.KnownEpoch > 0 && p.KnownEpoch <= got.Epoch {
		// Asked for again, by its number: of many changes only the last are listed.
		of, err := receiptsOf(ctx, a, p.KnownEpoch)
		if i := slices.IndexFunc(of.Receipts, func(r api.Receipt) bool { return r.Audience == p.Service }); err == nil && i >= 0 {
			old.text += ", which was " + clean(of.Receipts[i].Kind) + " (who made it, and from where, tells: readmit activity)"
		}
	}
	return old
}

// old says that a token is one from before.
func (e *env) old(a *agent.Agent, p serviceProblem) exitError {
	x := exitError{code: failed, hint: "readmit token --audience " + audienceOf(p) + " --min-valid 5m, then send the request again"}
	service, wait := clean(p.Service), time.Unix(p.Floor, 0).Sub(a.Now())
	switch {
	case p.KnownEpoch > 0 && p.KnownSince > 0:
		x.text = fmt.Sprintf("the token is of before change %d of the account, made %s, and %s has heard of it", p.KnownEpoch, when(p.KnownSince, a.Now()), service)
	case p.KnownEpoch > 0:
		x.text = fmt.Sprintf("the token is of before change %d of the account, and %s has heard of it", p.KnownEpoch, service)
	case p.Floor > 0 && wait >= 0 && wait < time.Minute:
		x.text = fmt.Sprintf("%s has only just started, or missed signals, and takes no token yet; the account has not changed for all it knows", service)
		x.hint = fmt.Sprintf("wait %d s, then: %s", int(wait/time.Second)+1, x.hint)
	default:
		x.text = service + " has started, or missed signals, after the token was issued: no token of that time is taken; the account has not changed for all it knows"
	}
	return x
}

// explainRefused explains why this device's session is refused: whatever else
// was seen comes of that.
func (e *env) explainRefused(ctx context.Context, a *agent.Agent, reference string) error {
	found, err := a.Explain(ctx, reference)
	if err != nil {
		return err
	}
	return e.report(found.Report, map[string]string{"server": found.Server, "account": found.Account, "reference": found.Incident})
}

// receiptsOf asks the account server, on this device's session.
func receiptsOf(ctx context.Context, a *agent.Agent, epoch int64) (api.Receipts, error) {
	if err := a.Settle(ctx); err != nil {
		return api.Receipts{}, err
	}
	return a.Receipts(ctx, epoch)
}

// unasked tells what the answer itself says, and that the account server could
// not be asked for more: where nothing answers, nothing more was checked.
func (e *env) unasked(a *agent.Agent, p serviceProblem, out explainedProblem, err error) error {
	if err := e.problem(a, p, out); err != nil {
		return err
	}
	if gone := new(agent.UnreachableError); errors.As(err, &gone) {
		return err
	}
	if p.KnownSince > 0 {
		e.note("the last change of the account that %s has heard of was %s", clean(p.Service), when(p.KnownSince, a.Now()))
	}
	e.note("cannot ask the account server which change: %v", err)
	return nil
}

// reaches says whether this device reaches the account server, which the service
// did not.
func (e *env) reaches(ctx context.Context, a *agent.Agent, p serviceProblem) error {
	id, err := a.Identity()
	if err != nil {
		e.note("cannot ask the account server: %v", err)
		return nil
	}
	c := agent.Unsigned(id.Server, a.Now)
	defer c.Close()
	if _, err := c.Hello(ctx); err != nil {
		return err
	}
	e.note("this device reaches the account server: tell who runs %s that the service does not", clean(p.Service))
	return nil
}

// serviceClock is how far a proof's time may be from a service's.
const serviceClock = time.Minute

func (e *env) explainClock(ctx context.Context, a *agent.Agent, p serviceProblem, out explainedProblem) error {
	of := cmp.Or(clean(p.Service), "the service")
	id, err := a.Identity()
	if errors.Is(err, agent.ErrNotEnrolled) {
		return exitError{needPerson, of + " finds this device's clock more than a minute off, and this device knows no account server to compare it with", "let the system set its clock by the network, then send the request again"}
	}
	if err != nil {
		return err
	}
	c := agent.Unsigned(id.Server, a.Now)
	defer c.Close()
	asked := a.Now()
	hello, err := c.Hello(ctx)
	if err != nil {
		return err
	}
	facts, _ := host.Clock(asked, a.Now(), time.UnixMilli(hello.Time), serviceClock)
	if out.Findings = cause.Find(facts); len(out.Findings) > 0 {
		return e.problem(a, p, out)
	}
	return exitError{failed, "this device's clock agrees with the account server's, and did not with that of " + of,
		"send the request again; if it is refused again, tell who runs that service that its clock is off"}
}

// problem prints what was found of an answer. Where a service has answered, this
// device is signed in, and need not do that again.
func (e *env) problem(a *agent.Agent, p serviceProblem, out explainedProblem) error {
	words := map[string]string{}
	if id, err := a.Identity(); err == nil {
		words["server"], words["account"] = id.Server, id.Account
	}
	complete(out.Findings, words)
	for i := range out.Findings {
		for j := range out.Findings[i].Remedies {
			if r := &out.Findings[i].Remedies[j]; p.Service != "" && len(r.Argv) > 1 && r.Argv[1] == "sign-in" {
				r.Argv = nil
			}
		}
	}
	return e.data(out, func(w io.Writer) {
		for _, f := range out.Findings {
			e.finding(w, f)
		}
	})
}

// waitsFor finds the first change after another that a service has not taken.
// Two may be registered for the same audience, and one has what the other waits for.
func waitsFor(got api.Receipts, audience string, after int64) (api.Receipt, bool) {
	i := slices.IndexFunc(got.Waiting, func(r api.Receipt) bool { return r.Audience == audience && r.Epoch > after })
	if i < 0 {
		return api.Receipt{}, false
	}
	return got.Waiting[i], true
}
