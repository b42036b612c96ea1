// Package policy says which clients, systems and protocols are too old. It is
// pure, and public: whoever asks may read the policy, so what it refuses can
// be told to anyone.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"readmit.dev/readmit/cause"
)

// Policy holds the minimum versions. The zero value allows everything.
type Policy struct {
	Clients  map[string]Version `json:"clients,omitempty"`  // by client name
	Systems  map[string]Version `json:"systems,omitempty"`  // by system: linux, darwin, windows
	Protocol int                `json:"protocol,omitempty"` // lowest protocol version
}

// Client is what a client says of itself.
type Client struct {
	Name          string
	Version       Version
	System        string
	SystemVersion Version
	Protocol      int
}

// What a shortfall is of.
const (
	OfClient   = "client"
	OfSystem   = "system"
	OfProtocol = "protocol"
)

// Shortfall is one minimum that a client does not reach.
type Shortfall struct {
	What string // OfClient, OfSystem or OfProtocol
	Name string
	Want string
	Got  string
}

// Fact is the shortfall as evidence.
func (s Shortfall) Fact(seen cause.Seen) cause.Fact {
	switch s.What {
	case OfClient:
		return cause.Note(cause.CheckClientVersion, cause.Version(s.Want), cause.Version(s.Got), seen)
	case OfSystem:
		return cause.Note(cause.CheckSystemVersion, cause.Version(s.Want), cause.Version(s.Got), seen)
	}
	want, _ := strconv.Atoi(s.Want) // Check wrote numbers
	got, _ := strconv.Atoi(s.Got)
	return cause.Note(cause.CheckProtocol, cause.Count(want), cause.Count(got), seen)
}

// Check compares a client with all minimums. What has no minimum passes.
func (p Policy) Check(c Client) []Shortfall {
	var short []Shortfall
	if low, ok := p.Clients[c.Name]; ok && c.Version.Compare(low) < 0 {
		short = append(short, Shortfall{OfClient, c.Name, low.String(), c.Version.String()})
	}
	if low, ok := p.Systems[c.System]; ok && c.SystemVersion.Compare(low) < 0 {
		short = append(short, Shortfall{OfSystem, c.System, low.String(), c.SystemVersion.String()})
	}
	if c.Protocol < p.Protocol {
		short = append(short, Shortfall{OfProtocol, "protocol", strconv.Itoa(p.Protocol), strconv.Itoa(max(0, c.Protocol))})
	}
	return short
}

// ErrPolicy: a policy that is not of the form.
var ErrPolicy = errors.New("not a policy")

const maxEntries = 32

var nameForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9-]{1,32}$`) })

// UnmarshalJSON reads a policy strictly: names of a-z, 0-9 and hyphen, at most
// 32 of each kind, a protocol from 0 to 1000. It returns ErrPolicy.
func (p *Policy) UnmarshalJSON(b []byte) error {
	type plain Policy
	var in plain
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if in.Protocol < 0 || in.Protocol > 1000 {
		return fmt.Errorf("%w: protocol %d", ErrPolicy, in.Protocol)
	}
	for _, m := range []map[string]Version{in.Clients, in.Systems} {
		if len(m) > maxEntries {
			return fmt.Errorf("%w: more than %d entries", ErrPolicy, maxEntries)
		}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !nameForm().MatchString(name) {
				return fmt.Errorf("%w: name %q: want a-z, 0-9 and hyphen", ErrPolicy, name)
			}
		}
	}
	*p = Policy(in)
	return nil
}
