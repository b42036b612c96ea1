package rows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestGenerated holds the code against the queries and the schema that it is made
// from: what was changed there and not generated anew would run as it was.
func TestGenerated(t *testing.T) {
	source, err := os.ReadFile("../../queries.sql")
	if err != nil {
		t.Fatal(err)
	}
	want, columns := split(string(source)), tables(t)
	have := map[string]string{}
	for _, text := range constants(t) {
		for head, body := range split(text) {
			have[head] = body
		}
	}
	if len(want) < 100 || len(columns) < 20 {
		t.Fatalf("%d queries and %d tables were read", len(want), len(columns))
	}
	for head, body := range want {
		body, err := written(body, columns)
		switch got, ok := have[head]; {
		case err != nil:
			t.Errorf("%s: %v", head, err)
		case !ok:
			t.Errorf("%s is not in the code: run sqlc generate", head)
		case got != body:
			t.Errorf("%s: the code has\n\t%s\nthe queries\n\t%s\nrun sqlc generate", head, got, body)
		}
	}
	for head := range have {
		if _, ok := want[head]; !ok {
			t.Errorf("%s is in the code alone: run sqlc generate", head)
		}
	}
}

// split gives the queries by their heads, without comments, each on one line.
func split(text string) map[string]string {
	all, head := map[string]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch name, isHead := strings.CutPrefix(line, "-- name: "); {
		case isHead:
			head = name
			all[head] = ""
		case head != "" && !strings.HasPrefix(line, "--"):
			all[head] = strings.TrimSuffix(strings.TrimSpace(all[head]+" "+line), ";")
		}
	}
	return all
}

// constants are the texts in the generated code.
func constants(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "queries.sql.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, x := range v.Values {
			if text, ok := x.(*ast.BasicLit); ok {
				s, err := strconv.Unquote(text.Value)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
		}
		return true
	})
	return all
}

// tables are the columns of each, in their order.
func tables(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../../postgres/migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	create, column := regexp.MustCompile(`^CREATE TABLE (\w+) \(`), regexp.MustCompile(`^    ([a-z]\w*) +[A-Z]`)
	add := regexp.MustCompile(`^ALTER TABLE (\w+) ADD COLUMN (\w+) `)
	all := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := ""
		for line := range strings.Lines(string(text)) {
			if m := create.FindStringSubmatch(line); m != nil {
				at = m[1]
			} else if strings.HasPrefix(line, ")") {
				at = ""
			} else if m := column.FindStringSubmatch(line); m != nil && at != "" {
				all[at] = append(all[at], m[1])
			} else if m := add.FindStringSubmatch(line); m != nil {
				all[m[1]] = append(all[m[1]], m[2])
			} else if strings.HasPrefix(line, "ALTER TABLE") {
				t.Fatalf("%s changes a table, which this test does not read: %s", file, line)
			}
		}
	}
	return all
}

// written is a query as sqlc writes it: parameters by number, columns by name.
func written(query string, columns map[string][]string) (string, error) {
	var names []string
	query = regexp.MustCompile(`@\w+`).ReplaceAllStringFunc(query, func(name string) string {
		for i, n := range names {
			if n == name {
				return fmt.Sprintf("$%d", i+1)
			}
		}
		names = append(names, name)
		return fmt.Sprintf("$%d", len(names))
	})
	var unknown error
	list := func(table, prefix string) string {
		if len(columns[table]) == 0 {
			unknown = fmt.Errorf("the columns of %q are not known", table)
		}
		return prefix + strings.Join(columns[table], ", "+prefix)
	}
	query = regexp.MustCompile(`SELECT \* FROM (\w+)`).ReplaceAllStringFunc(query, func(s string) string {
		table := s[strings.LastIndexByte(s, ' ')+1:]
		return "SELECT " + list(table, "") + " FROM " + table
	})
	query = regexp.MustCompile(`\b[a-z]\.\*`).ReplaceAllStringFunc(query, func(s string) string {
		alias := s[:1]
		of := regexp.MustCompile(`(?:FROM|JOIN) (\w+) AS ` + alias + `\b`).FindStringSubmatch(query)
		if of == nil {
			unknown = fmt.Errorf("which table is %s?", alias)
			return s
		}
		return list(of[1], alias+".")
	})
	return query, unknown
}
