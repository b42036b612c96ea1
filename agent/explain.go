package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/device"
)

// ErrNoServer: there is a reference and no server to ask.
var ErrNoServer = errors.New("this device knows neither that incident nor an account server to ask")

// clockTolerance is how far apart clocks may be before a device mentions it:
// what the server allows.
const clockTolerance = 5 * time.Minute

// Explained is an explanation, and what the words in braces of its remedies stand for.
type Explained struct {
	cause.Report
	Server  string
	Account string
}

// Explain asks the server what this device may know of an incident, given as
// the sealed text or as a reference, and adds what the device itself has seen.
func (a *Agent) Explain(ctx context.Context, incident string) (Explained, error) {
	incident = strings.TrimSpace(incident)
	var ask api.Explain
	var kept Incident
	var known bool
	if ref, ok := api.NormaliseReference(incident); ok {
		ask.Reference = ref
		kept, known = a.Home.Incident(ref)
	} else {
		ask.Incident = incident
		kept, known = a.Home.IncidentOf(incident)
	}
	id, key, err := a.keyInHand()
	if err != nil {
		return Explained{}, err
	}
	out := Explained{Server: id.Server, Account: id.Account}
	if known {
		ask.Incident = kept.Sealed
		out.Server, out.Account = kept.Server, kept.Account
	}
	if out.Server == "" {
		return out, ErrNoServer
	}
	if s, err := a.Home.Session(); err == nil && id.Server == out.Server {
		ask.Session = s.ID
	}
	c := NewClient(out.Server, key, a.Now)
	defer c.Close()
	hello, err := c.Hello(ctx)
	if err != nil {
		return out, err
	}
	ask.Evidence = a.Seen(id, kept, hello)
	if err := c.Call(ctx, api.PathExplain, ask, &out.Report); err != nil {
		return out, err
	}
	if len(out.Findings) == 0 {
		return out, &UnreachableError{out.Server, OtherServer, errors.New("an explanation without a finding")}
	}
	if out.addIdentifier(ask.Evidence) {
		out.Account = id.Account // what the remedies should say
	}
	return out, nil
}

// addIdentifier adds what the server must not comment on and this device knows
// by itself: that another identifier was typed than it is enrolled for. It
// reports whether that is so.
func (e *Explained) addIdentifier(seen []cause.Fact) bool {
	first := &e.Findings[0]
	for _, f := range seen {
		if f.Check() != cause.CheckIdentifier {
			continue
		}
		if !slices.Contains(first.Evidence, f) {
			first.Evidence = append(first.Evidence, f)
		}
		return true
	}
	return false
}

// Seen is what this device knows by itself about one of its refusals: that
// another identifier was typed than it is enrolled for, and its clock.
func (a *Agent) Seen(id Identity, i Incident, hello api.Hello) []cause.Fact {
	var facts []cause.Fact
	if id.Enrolled() && i.Account != "" && !sameAccount(i.Account, id.Account) {
		facts = append(facts, cause.Note(cause.CheckIdentifier, cause.Identifier(id.Account), cause.Identifier(i.Account), cause.ByDevice))
	}
	if off := a.Now().Sub(time.UnixMilli(hello.Time)); off.Abs() > clockTolerance {
		facts = append(facts, cause.Note(cause.CheckClock, cause.Duration(0), cause.Duration(off), cause.ByDevice))
	}
	return facts
}

// Client opens a client to a server for this device's key.
func (a *Agent) Client(server string) (*Client, error) {
	_, key, err := a.keyInHand()
	if err != nil {
		return nil, err
	}
	return NewClient(server, key, a.Now), nil
}

// Thumbprint is the fingerprint of the key in an identity.
func Thumbprint(i Identity) ([32]byte, error) {
	k, err := device.ParseKey([]byte(i.Key))
	if err != nil {
		return [32]byte{}, &StateError{IdentityFile, Malformed}
	}
	return k.Thumbprint(), nil
}

// Enrolled reports whether this device is enrolled for the account that a
// remembered refusal was about.
func (a *Agent) Enrolled(id Identity, reference string) bool {
	i, ok := a.Home.Incident(reference)
	return ok && id.Enrolled() && id.Server == i.Server && sameAccount(id.Account, i.Account)
}

// KeyIsEnrolled reports whether the bytes of an identity file are whole and
// hold the key that was enrolled.
func KeyIsEnrolled(b []byte) bool {
	var i Identity
	if decode(b, &i) != "" {
		return false
	}
	t, err := Thumbprint(i)
	return err == nil && hex.EncodeToString(t[:]) == i.Thumbprint
}
