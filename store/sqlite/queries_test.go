package sqlite

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The queries are checked against PostgreSQL's schema when their code is made;
// here each is prepared on SQLite's.
func TestQueriesAreSQLitesToo(t *testing.T) {
	text, err := os.ReadFile("../queries.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := openIn(t, t.TempDir(), &faults{}).writer
	queries := strings.Split(string(text), "-- name: ")[1:]
	if len(queries) < 80 {
		t.Fatalf("%d queries found", len(queries))
	}
	for _, q := range queries {
		name, body, _ := strings.Cut(q, "\n")
		p, err := c.one.PrepareContext(t.Context(), regexp.MustCompile(`@\w+`).ReplaceAllString(body, "?"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p.Close()
	}
}
