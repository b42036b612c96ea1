package verify

import (
	"os"
	"strings"
	"testing"
)

// The sample of docs/verify.md is the one that is compiled here.
func TestSampleOfThePage(t *testing.T) {
	page, err := os.ReadFile("../docs/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```go\n")
	sample, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 || strings.Count(sample, "\n") < 15 {
		t.Fatal("the page has no sample")
	}
	_, body, _ := strings.Cut(string(example), "func Example() {\n")
	body = strings.TrimSuffix(strings.TrimSpace(body), "}")
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); !strings.Contains(sample, line) {
			t.Errorf("the page lacks %q", line)
		}
	}
	if got, want := strings.Count(sample, "\n"), strings.Count(body, "\n"); got != want {
		t.Errorf("the page's sample has %d lines, the example %d", got, want)
	}
}

// Each reason stands in the protocol.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []Reason{Missing, Malformed, Audience, Expired, NotBound, BadProof, Replayed, ClockOff, TooLong, Stale, Ended, Behind, KeysUnavailable, Busy} {
		if !strings.Contains(string(page), "`"+string(r)+"`") {
			t.Errorf("docs/protocol.md says nothing of %s", string(r))
		}
	}
}
