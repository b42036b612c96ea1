package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor/host"
	"readmit.dev/readmit/resident"
)

// agent looks whether an agent that was started still runs.
func (r *running) agent(ctx context.Context) ([]cause.Fact, string) {
	state, since := resident.Look(ctx, r.x.Agent.Home)
	r.ex.atWork = since
	switch state {
	case "":
		return nil, "none is expected"
	case resident.Running:
		return nil, "runs"
	}
	return []cause.Fact{
		cause.Note(cause.CheckAgent, cause.Word(resident.Running), cause.Word(state), cause.ByDevice),
		cause.Note(cause.CheckAgentSince, cause.Value{}, cause.Instant(since), cause.ByDevice),
	}, state
}

// back is how long a stream of requests may take that was just given a reason
// to come back.
const back = 3 * time.Second

// calls asks a running agent what fails it. It may fail where this examination
// does not: it runs in another session, behind another proxy, with a key store
// that is locked for it.
func (r *running) calls(ctx context.Context) ([]cause.Fact, string) {
	status := r.status(ctx)
	if status == nil {
		return nil, "none runs"
	}
	trouble := status.Failing
	if trouble == nil {
		trouble = status.Unheard
	}
	if trouble == nil {
		return nil, "nothing fails"
	}
	// What it says may be of half a minute ago: let it try again.
	if r.hello != nil {
		if trouble = r.again(ctx, status); trouble == nil {
			return nil, "failed a moment ago, and does not now"
		}
	}
	facts := r.ofAgent(ctx, trouble)
	if len(facts) == 0 {
		r.ex.AgentFails = trouble.Text
	}
	saw := "failing: " + trouble.Text
	if status.Failing == nil {
		saw = "requests do not arrive: " + trouble.Text
	}
	return facts, saw
}

func (r *running) status(ctx context.Context) *resident.Status {
	got, err := resident.Call(ctx, r.x.Agent.Home, resident.Ask{Do: resident.DoStatus})
	if err != nil {
		return nil
	}
	return got.Status
}

// again lets the agent try what failed; nil where it does no longer.
func (r *running) again(ctx context.Context, before *resident.Status) *resident.Trouble {
	if before.Failing != nil {
		anew := resident.Ask{Do: resident.DoToken, MinValid: int(agent.TokenLife / time.Second)} // none in hand is good for so long
		if got, err := resident.Call(ctx, r.x.Agent.Home, anew); err != nil {
			return troubleIn(got, before.Failing)
		}
	}
	if before.Unheard == nil {
		return nil
	}
	if got, err := resident.Call(ctx, r.x.Agent.Home, resident.Ask{Do: resident.DoRequests}); err != nil {
		return troubleIn(got, before.Unheard)
	}
	for begun := time.Now(); ; {
		now := r.status(ctx)
		if now == nil || now.Requests != "not" {
			return nil
		}
		if time.Since(begun) > back {
			return before.Unheard
		}
		select {
		case <-ctx.Done():
			return before.Unheard
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func troubleIn(got resident.Answer, before *resident.Trouble) *resident.Trouble {
	if got.Trouble != nil {
		return got.Trouble
	}
	return before
}

// ofAgent is the evidence in what an agent says of itself; none where no cause
// of the table is shown by it. The words come over a socket: those that are not
// ours are left out.
func (r *running) ofAgent(ctx context.Context, t *resident.Trouble) []cause.Fact {
	switch {
	case t.Reason == resident.Refused && r.incident != "": // asked about above, and refused too
		return nil
	case t.Reason == resident.Refused:
		facts := r.explain(ctx, t.Reference)
		if len(facts) == 0 {
			r.incident, r.refused = t.Reference, true
		}
		return facts
	case t.Reason == resident.Problem && t.Code == api.Unavailable:
		return host.Ready(false)
	case t.Reason == resident.Unreachable:
		facts, _ := unreached(t.Why)
		return facts
	case t.Reason == resident.KeyStore && slices.Contains([]string{"locked", "no-answer", "absent"}, t.Why):
		return []cause.Fact{cause.Note(cause.CheckKeyStore, cause.Word("open"), cause.Word(t.Why), cause.ByDevice)}
	case t.Reason == resident.State && r.ex.files[t.File] == "" && (slices.Contains(files, t.File) || strings.HasPrefix(t.File, agent.IncidentsDir)) &&
		slices.Contains([]agent.Problem{agent.Missing, agent.Malformed, agent.Unreadable, agent.WrongMode, agent.Newer}, agent.Problem(t.Why)):
		return damaged(t.File, agent.Problem(t.Why))
	}
	return nil
}

// unreached notes why there was no answer of an account server.
func unreached(why string) ([]cause.Fact, string) {
	switch why {
	case agent.NoName, agent.NoAnswer:
		return host.Connection("no-route"), "no address"
	case agent.Untrusted, agent.WrongName, agent.CertExpired, agent.NoTLS:
		return host.TLS(why), why
	case agent.ConnRefused, agent.TimedOut, agent.NoRoute, agent.CutOff, agent.OtherServer:
		return host.Connection(why), why
	}
	return nil, "cannot tell"
}
