package agent

import (
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
)

// A device says that another identifier was typed only where the account server
// reads it as another.
func TestSeenIdentifier(t *testing.T) {
	now := time.Now()
	a := &Agent{Now: func() time.Time { return now }}
	for typed, other := range map[string]bool{
		"strasse@example.de":   false,
		" Straße@EXAMPLE.de\n": false,
		"strassse@example.de":  true,
		"":                     false,
	} {
		facts := a.Seen(Identity{Account: "strasse@example.de"}, Incident{Account: typed}, api.Hello{Time: now.UnixMilli()})
		if got := len(facts) == 1 && facts[0].Check() == cause.CheckIdentifier; got != other || len(facts) > 1 {
			t.Errorf("%q: %v", typed, facts)
		}
	}
}
