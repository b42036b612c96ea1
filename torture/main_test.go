package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// A part that is misspelt is said to be, and is not a run in which nothing failed.
func TestUnknownPart(t *testing.T) {
	for _, name := range []string{"halt", "halted,upgrade", " "} {
		var out, told bytes.Buffer
		code := run(t.Context(), []string{"-readmit", os.Args[0], "-only", name}, &out, &told)
		if code != 2 || !strings.Contains(told.String(), "halted, upgrade, answer") || out.Len() > 0 {
			t.Errorf("-only %q: exit %d, said %q and %q", name, code, out.String(), told.String())
		}
	}
}
