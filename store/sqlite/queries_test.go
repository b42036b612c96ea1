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

func TestParameters(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"COMMIT", "COMMIT"},
		{"a = $1", "a = ?"},
		{"($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
		{"a < $1 OR b < $1", "a < ?1 OR b < ?1"},
		{"a = $2 AND b = $1", "a = ?2 AND b = ?1"},
	} {
		if got := parameters(c.in); got != c.want {
			t.Errorf("%q became %q, want %q", c.in, got, c.want)
		}
	}
}
