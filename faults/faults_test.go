package faults

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/cause"
)

const scripts = "../testdata/script"

// TestCauses runs every script, and sees that each cause of the table has one
// that goes through all steps.
func TestCauses(t *testing.T) {
	bin := t.TempDir()
	if err := Build(bin); err != nil {
		t.Fatal(err)
	}
	var record Record
	t.Run("script", func(t *testing.T) { testscript.Run(t, Params(scripts, bin, &record)) })
	if t.Failed() {
		return
	}
	for _, row := range cause.Table() {
		if _, err := os.Stat(filepath.Join(scripts, string(row.Code)+".txtar")); err != nil {
			t.Errorf("cause %s: %v", row.Code, err)
			continue
		}
		if missing := Missing(record.Reached(string(row.Code))); missing != "" {
			t.Errorf("cause %s was not %s", row.Code, missing)
		}
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		reached []string
		want    string
	}{
		{nil, "made"},
		{[]string{"made", "named", "remedied", "signed-in"}, ""},
		{[]string{"made", "named", "named", "remedied", "signed-in", "signed-in"}, ""},
		{[]string{"named", "made", "remedied", "signed-in"}, "named"},
		{[]string{"made", "named", "signed-in"}, "remedied"},
	} {
		if got := Missing(c.reached); got != c.want {
			t.Errorf("Missing(%q) = %q, want %q", c.reached, got, c.want)
		}
	}
}
