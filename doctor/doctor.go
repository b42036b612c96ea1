// Package doctor examines a device and repairs it.
//
// A provider (doctor/account, doctor/icloud) brings checks; each looks at one
// thing and notes typed facts. The table of causes turns all facts together
// into findings, roots before consequences. Repairs change files or move them
// aside, write down what they change before they do it, and can be undone; see
// Journal.
package doctor

import (
	"context"

	"readmit.dev/readmit/cause"
)

// Check looks at one thing. It returns the facts it has noted, none for a thing
// that is as it should be or that cannot be looked at now, and a word on what
// it saw, for a person who watches.
type Check struct {
	Name string
	Look func(ctx context.Context) (facts []cause.Fact, saw string)
}

// Watcher is told of each check as it begins and ends.
type Watcher interface {
	Begin(name string)
	End(name string, facts []cause.Fact, saw string)
}

// Run makes the checks in order and returns all facts. It stops early, with
// what it has, when the context ends.
func Run(ctx context.Context, checks []Check, w Watcher) []cause.Fact {
	var all []cause.Fact
	for _, c := range checks {
		if ctx.Err() != nil {
			break
		}
		w.Begin(c.Name)
		facts, saw := c.Look(ctx)
		w.End(c.Name, facts, saw)
		all = append(all, facts...)
	}
	return all
}

// Subject is something on this machine that can be signed in: one account in one
// client. What is wrong with it says nothing of another subject.
type Subject struct {
	Client  string // a word of cause.CheckClient
	Account string // the identifier it is set up for; empty where that cannot be told
	Checks  []Check
	// Plan says what this device can repair of what was found, and what it will
	// not; nil where a person alone can go on.
	Plan func(ctx context.Context, j *Journal, found []cause.Finding) ([]Repair, []Declined, error)
}

// Declined is a repair that is not made, with the reason and what to do first.
type Declined struct {
	Cause cause.Code `json:"cause"`
	Why   string     `json:"why"`
}
