package main

import (
	"slices"
	"strings"
	"testing"

	"readmit.dev/readmit/resident"
)

// TestTroubleRows: a status leads from what fails to what explains it.
func TestTroubleRows(t *testing.T) {
	for _, c := range []struct {
		trouble *resident.Trouble
		want    []string
	}{
		{nil, nil},
		{&resident.Trouble{Reason: resident.Unreachable, Text: "the server cannot be reached"}, []string{"failing|the server cannot be reached"}},
		{&resident.Trouble{Reason: resident.Problem, Text: "Too many: wait", Title: "Too many"}, []string{"failing|Too many: wait"}},
		{&resident.Trouble{Reason: resident.Refused, Text: "token failed (4001)", Title: "Authentication failed", Reference: "4K7Q-9FXM"},
			[]string{"failing|token failed (4001)", "|Authentication failed", "incident|4K7Q-9FXM; run: readmit explain 4K7Q-9FXM"}},
	} {
		var got []string
		for _, row := range troubleRows("failing", c.trouble) {
			got = append(got, strings.Join(row, "|"))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.trouble, got, c.want)
		}
	}
}
