package main

import (
	"errors"
	"io"
	"testing"
)

// TestMisuse: a command line that cannot be followed measures nothing, and is
// told apart from a measurement that failed.
func TestMisuse(t *testing.T) {
	for _, args := range [][]string{{"-only", "nosuch"}, {"-nosuch"}, {"-runs", "0"}} {
		if err := run(args, io.Discard, io.Discard); !errors.As(err, new(misuse)) {
			t.Errorf("%q: %v, want a misuse", args, err)
		}
	}
}
