package server_test

import (
	"testing"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
)

// TestGuessesAreCountedOverAllNodes: however many nodes there are, and whichever
// is asked, ten wrong passwords lock. The counters are the store's: what one node
// counts for itself guards no password.
func TestGuessesAreCountedOverAllNodes(t *testing.T) {
	w := newWorld(t)
	nodes := []*world{w, w.beside()}
	laptop := w.enrolled(jane, "laptop")
	rp := laptop.warm(jane)
	for name, machine := range map[string]func(at *world) *machine{
		"a stranger": func(at *world) *machine { return at.machine("stranger") },
		"a device":   func(at *world) *machine { laptop.w = at; return laptop },
	} {
		guesses := 0
		for i := range 3 * lockout.FailedLimit {
			try, p := machine(nodes[i%2]).start(jane, password)
			if p != nil {
				t.Fatal(p)
			}
			if _, _, _, err := try.login.FinishWith(try.started.KE2, rp); err == nil {
				guesses++
			}
			if _, p := try.finishWith(opaque.DecoyKE3()); codeOf(p) != api.Failed {
				t.Fatal(p)
			}
		}
		if guesses != lockout.FailedLimit {
			t.Errorf("%s had %d guesses at two nodes, want %d", name, guesses, lockout.FailedLimit)
		}
	}
}
