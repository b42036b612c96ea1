package server

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"readmit.dev/readmit/account"
	"readmit.dev/readmit/api"
)

// reasons are the words of package api, by the name of their constants.
func reasons(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../api/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all, seen := map[string]string{}, map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil || seen[word] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(word) {
			t.Errorf("%s is %q", v.Names[0].Name, word)
		}
		all[v.Names[0].Name], seen[word] = word, true
		return true
	})
	return all
}

// TestReasons: every problem has a reason, the protocol's description lists
// each, and a refusal has none.
func TestReasons(t *testing.T) {
	all := reasons(t)
	if len(all) < 40 {
		t.Fatalf("%d reasons were found", len(all))
	}
	doc, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	used := ""
	for _, name := range sources(t) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		used += string(b)
	}
	for name, word := range all {
		if !strings.Contains(string(doc), "`"+word+"`") {
			t.Errorf("docs/protocol.md lacks the reason %s", word)
		}
		if !regexp.MustCompile(`\bapi\.` + name + `\b`).MatchString(used) {
			t.Errorf("no problem has the reason %s", word)
		}
	}
	s := &Server{url: "https://id.example.org", log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, row := range known {
		p := s.toProblem(fmt.Errorf("wrapped: %w", row.err))
		if p.Reason != row.reason || p.Code != row.code {
			t.Errorf("%v is told as %d %q, want %d %q", row.err, p.Code, p.Reason, row.code, row.reason)
		}
	}
	if p := s.toProblem(errors.New("anything else")); p.Code != api.Unavailable || p.Reason != api.ReasonFault {
		t.Errorf("a fault is told as %d %q", p.Code, p.Reason)
	}
	if p := s.toProblem(account.ErrTaken); p.Reason != "taken" {
		t.Errorf("the word of a taken account has become %q: clients know it", p.Reason)
	}
}

func sources(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range all {
		if !strings.HasSuffix(name, "_test.go") {
			list = append(list, name)
		}
	}
	return list
}
