package readmit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// beside are packages that are no part of the program readmit.
var beside = []string{"faults", "faults/matrix", "bench", "torture", "examples/service", "verify", "verify/verifytest", "passkey/virtual"}

// TestStart: nothing that takes long is made before the command is known. One
// expression over all letters took longer than the rest of "readmit token".
func TestStart(t *testing.T) {
	for _, f := range modules(t, parser.SkipObjectResolution) {
		if f.test || slices.Contains(beside, f.pkg) {
			continue
		}
		for _, d := range f.syntax.Decls {
			vars, ok := d.(*ast.GenDecl)
			if !ok || vars.Tok != token.VAR {
				continue
			}
			ast.Inspect(vars, func(n ast.Node) bool {
				if _, later := n.(*ast.FuncLit); later {
					return false
				}
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				made, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if of, ok := made.X.(*ast.Ident); ok && (of.Name == "regexp" || strings.HasSuffix(of.Name, "template")) {
					t.Errorf("%s: %s.%s is called at every start: wrap it in sync.OnceValue", f.path, of.Name, made.Sel.Name)
				}
				return true
			})
		}
	}
}
