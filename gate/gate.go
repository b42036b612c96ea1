// Package gate is the one place that every way in passes: password, code,
// refresh and every call on a session. It looks at policy, clock, account,
// device and session, all of them, always, and answers with evidence for each
// check that fails; no evidence means "pass".
//
// What a caller sees of a refusal is made here too, by Refuse, and nowhere
// else: one constant form, with the incident that explains it to others.
package gate

import (
	"sync/atomic"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/policy"
	"readmit.dev/readmit/store"
)

const (
	// ClockTolerance is how far a device's clock may be off: five minutes, the
	// custom since Kerberos (RFC 4120 §1.6), and what keeps a hand-made code's
	// search window small.
	ClockTolerance = 5 * time.Minute
	// IdleLimit is how long a session lives without use (NIST SP 800-63B-4 §2.2.3).
	IdleLimit = 30 * 24 * time.Hour
)

// Caller is who signs a request, as far as the request itself tells.
type Caller struct {
	Key     store.Thumbprint
	Time    time.Time // by its own clock
	Client  policy.Client
	Shown   string // client and system, cleaned, for the ledger
	Name    string // what it calls itself, cleaned
	Address string // where the connection came from
}

// Gate judges.
type Gate struct {
	now    func() time.Time
	policy atomic.Pointer[policy.Policy]
}

// New makes a gate with the policy that allows everything.
func New(now func() time.Time) *Gate {
	g := &Gate{now: now}
	g.policy.Store(&policy.Policy{})
	return g
}

// Now is the server's time.
func (g *Gate) Now() time.Time { return g.now() }

// Policy is the policy in force.
func (g *Gate) Policy() policy.Policy { return *g.policy.Load() }

// SetPolicy puts another policy in force.
func (g *Gate) SetPolicy(p policy.Policy) { g.policy.Store(&p) }

// Public looks at what can be told to anyone: the request and public policy.
// Requests on a session carry no client; their versions were judged when the
// session began, and Client is nil.
func (g *Gate) Public(c Caller, versions bool) []cause.Fact {
	var facts []cause.Fact
	if off := c.Time.Sub(g.now()); off.Abs() > ClockTolerance {
		facts = append(facts, cause.Note(cause.CheckClock, cause.Duration(0), cause.Duration(off), cause.ByServer))
	}
	if !versions {
		return facts
	}
	for _, s := range g.Policy().Check(c.Client) {
		facts = append(facts, s.Fact(cause.ByServer))
	}
	return facts
}

// Account looks at the account.
func (g *Gate) Account(a store.Subject) []cause.Fact {
	var facts []cause.Fact
	if a.Ghost {
		facts = append(facts, cause.Note(cause.CheckAccount, cause.Word("known"), cause.Word("unknown"), cause.ByServer))
	}
	if !a.Disabled.IsZero() {
		facts = append(facts,
			cause.Note(cause.CheckEnabled, cause.Word("enabled"), cause.Word("disabled"), cause.ByServer),
			cause.Note(cause.CheckDisabledAt, cause.Value{}, cause.Instant(a.Disabled), cause.ByServer))
	}
	return facts
}

// Session looks at a session that a key wants to use: whether it lives, is the
// device's latest, was used lately, and whether the key is the one it is bound
// to. devices are the account's.
func (g *Gate) Session(s store.Session, by store.Thumbprint, devices []store.Device) []cause.Fact {
	var facts []cause.Fact
	note := func(c cause.Check, want, got cause.Value) {
		facts = append(facts, cause.Note(c, want, got, cause.ByServer))
	}
	names := Names(devices)
	for _, d := range devices {
		if d.ID != s.Device {
			continue
		}
		if d.Thumbprint != by {
			note(cause.CheckDeviceKey, cause.Fingerprint(d.Thumbprint[:]), cause.Fingerprint(by[:]))
		}
		if !d.Removed.IsZero() {
			note(cause.CheckDevice, cause.Word("enrolled"), cause.Word("removed"))
			note(cause.CheckDeviceRemovedAt, cause.Value{}, cause.Instant(d.Removed))
			note(cause.CheckDeviceRemovedBy, cause.Value{}, cause.Name(names[d.RemovedBy]))
		}
	}
	switch {
	case s.EndedWhy == store.EndSuperseded:
		note(cause.CheckSessionLatest, cause.Word("latest"), cause.Word("superseded"))
		note(cause.CheckSessionNewer, cause.Value{}, cause.Instant(s.Ended))
	case !s.Ended.IsZero():
		note(cause.CheckSessionAlive, cause.Word("alive"), cause.Word(s.EndedWhy))
		note(cause.CheckSessionEndedAt, cause.Value{}, cause.Instant(s.Ended))
		if n, ok := names[s.EndedBy]; ok {
			note(cause.CheckSessionEndedBy, cause.Value{}, cause.Name(n))
		}
	}
	if idle := g.now().Sub(s.LastUsed); idle > IdleLimit {
		note(cause.CheckSessionIdle, cause.Duration(IdleLimit), cause.Duration(idle))
		note(cause.CheckSessionUsed, cause.Value{}, cause.Instant(s.LastUsed))
	}
	return facts
}

// Names maps the devices of an account to what their owner calls them.
func Names(devices []store.Device) map[store.ID]string {
	m := make(map[store.ID]string, len(devices))
	for _, d := range devices {
		m[d.ID] = d.Name
	}
	return m
}

// Refusal is all that a caller sees of a failed attempt. Its error text is one
// constant.
type Refusal struct {
	Public    cause.Code // the cause that anyone may be told, or cause.Refused
	Reference string
	Incident  string // sealed
}

func (*Refusal) Error() string { return "refused" }

// Refuse seals what was found and returns what the caller sees of it.
func Refuse(b incident.Box, c incident.Content) (*Refusal, error) {
	sealed, err := incident.Seal(b, c)
	if err != nil {
		return nil, err
	}
	return &Refusal{
		Public:    cause.Tell(cause.Find(c.Facts), cause.Anyone).Findings[0].Cause,
		Reference: incident.Reference(c.Attempt),
		Incident:  sealed,
	}, nil
}
