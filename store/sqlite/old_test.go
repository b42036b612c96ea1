package sqlite

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestOldIsFoundByIndex: what is deleted for its age is never looked for from
// end to end.
func TestOldIsFoundByIndex(t *testing.T) {
	text, err := os.ReadFile("../queries.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := openIn(t, t.TempDir(), &faults{}).writer
	looked := 0
	for _, q := range strings.Split(string(text), "-- name: ")[1:] {
		name, body, _ := strings.Cut(q, "\n")
		name, _, _ = strings.Cut(name, " ")
		if !strings.HasPrefix(name, "Old") && !strings.HasPrefix(name, "Trim") {
			continue
		}
		looked++
		args := make([]any, strings.Count(body, "@")) // NULL
		list, err := c.one.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+regexp.MustCompile(`@\w+`).ReplaceAllString(body, "?"), args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var plan []string
		searches := 0
		for list.Next() {
			var id, parent, unused int
			var detail string
			if err := list.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
			if strings.HasPrefix(detail, "SEARCH ") {
				searches++
			}
			if strings.HasPrefix(detail, "SCAN ") || strings.Contains(detail, "TEMP B-TREE") {
				t.Errorf("%s: %s", name, detail)
			}
		}
		if err := list.Err(); err != nil {
			t.Fatal(err)
		}
		list.Close()
		if searches != 1 {
			t.Errorf("%s: %d searches by an index, want 1: %q", name, searches, plan)
		}
	}
	if looked != 22 {
		t.Errorf("%d queries were looked at, want 22", looked)
	}
}
