package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
)

const (
	// Slow is how long a change may be on its way before that is a finding.
	Slow = time.Second
	// Patience is how long the doctor waits for a change on its way.
	Patience = 30 * time.Second
	// between is the pause between two looks meanwhile.
	between = 500 * time.Millisecond
	// shownBehind is how many services a finding names.
	shownBehind = 5
)

// Behind is a service that has not taken a change of the account yet.
type Behind struct {
	Service string
	Kind    string // what has changed
	Since   time.Time
	For     time.Duration // by the server's clock
}

// services asks the server which services have not taken the account's changes.
func (r *running) services(ctx context.Context) ([]cause.Fact, string) {
	switch {
	case r.hello == nil:
		return nil, leftOut
	case r.unasked:
		return nil, unasked
	case !r.ex.SignedIn:
		return nil, "left out: the device is not signed in"
	}
	behind, err := pending(ctx, r.x.Agent)
	if p := new(api.Problem); errors.As(err, &p) && p.Status == 404 {
		return nil, "left out: the account server is older than this readmit"
	}
	if facts, saw, ok := r.fault(err); ok {
		return facts, saw
	}
	if err != nil {
		return nil, "cannot tell"
	}
	r.ex.Behind = behind
	if len(behind) == 0 {
		return nil, "have every change"
	}
	r.audience = cause.Owner // what the session was told
	facts := []cause.Fact{cause.Note(cause.CheckChange, cause.Word("everywhere"), cause.Word("on-its-way"), cause.ByDevice)}
	for _, b := range behind[:min(len(behind), shownBehind)] {
		facts = append(facts,
			cause.Note(cause.CheckChangeService, cause.Value{}, cause.Name(b.Service), cause.ByDevice),
			cause.Note(cause.CheckChangeKind, cause.Value{}, cause.ChangeKind(b.Kind), cause.ByDevice),
			cause.Note(cause.CheckChangeSince, cause.Value{}, cause.Instant(b.Since), cause.ByDevice))
	}
	return facts, fmt.Sprintf("%d behind, the longest for %s", len(behind), behind[0].For.Round(time.Second))
}

// pending lists the services that wait for longer than is usual, each with its
// oldest change, the longest first.
func pending(ctx context.Context, a *agent.Agent) ([]Behind, error) {
	got, err := a.Receipts(ctx, 0)
	if err != nil {
		return nil, err
	}
	waiting := got.Waiting
	if waiting == nil { // an older server's: what the newest receipts show
		waiting = got.Receipts
	}
	oldest := map[string]Behind{}
	for _, r := range waiting {
		b := Behind{Service: r.Service, Kind: r.Kind, Since: time.UnixMicro(r.Waiting), For: time.Duration(got.Now-r.Waiting) * time.Microsecond}
		if before, known := oldest[r.Service]; r.Waiting > 0 && b.For > Slow && (!known || b.For > before.For) {
			oldest[r.Service] = b
		}
	}
	var out []Behind
	for _, b := range oldest {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Behind) int { return cmp.Or(cmp.Compare(b.For, a.For), cmp.Compare(a.Service, b.Service)) })
	return out, nil
}

// Await waits until every service has every change, and gives up after
// Patience. It tells which are still behind.
func (x *Examiner) Await(ctx context.Context) ([]Behind, error) {
	over := time.NewTimer(Patience)
	defer over.Stop()
	for {
		behind, err := pending(ctx, x.Agent)
		if err != nil || len(behind) == 0 {
			return behind, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over.C:
			return behind, nil
		case <-time.After(between):
		}
	}
}
