package resident

import (
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
)

// Where nobody can be asked for the cause of a refusal, the notice says what it
// is and how to ask. (That it says the cause, the script of agent-stopped sees.)
func TestWhyOfWhatCannotBeAsked(t *testing.T) {
	home, err := agent.OpenHome(func(string) string { return t.TempDir() })
	if err != nil {
		t.Fatal(err)
	}
	r := &Resident{Agent: &agent.Agent{Home: home, Now: time.Now}}
	if got := r.why(t.Context(), refusal); got != reason(refusal) || !strings.Contains(got, "readmit explain 4K7Q-9FXM") {
		t.Errorf("%q", got)
	}
	if got := r.why(t.Context(), gone); got != reason(gone) {
		t.Errorf("%q", got)
	}
}
