package readmit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "readmit.dev/readmit"

// allowed lists every package of the module with the packages of the module it
// may import, from the bottom to the top: a row names only rows above it. An
// edge or a package that is not here does not get in by accident.
var allowed = []struct {
	name    string
	imports string
}{
	// Pure: they decide from what they are given.
	{"cause", ""},
	{"lockout", ""},
	{"policy", "cause"},
	{"code", ""},
	{"device", ""},
	{"opaque", ""},
	{"identifier", ""},
	{"api", "cause policy"},
	{"docs", ""},
	{"docs/render", "docs"},

	// The domain on the server's side.
	{"store", "lockout"},
	{"keys", "store"},
	{"outward", ""},
	{"message", "cause keys store"},
	{"message/send", "message outward"},
	{"signal", "keys store"},
	{"signal/push", "outward signal"},
	{"incident", "cause store"},
	{"gate", "cause incident policy store"},
	{"session", "cause gate incident keys signal store"},
	{"signin", "cause code gate identifier incident keys lockout message opaque signal store"},
	{"account", "cause code gate identifier incident keys lockout message opaque policy session signal signin store"},
	{"passkey", "cause gate identifier incident keys message session signal signin store"},
	{"recovery", "cause gate identifier incident keys message opaque session signal signin store"},
	{"desk", "cause gate identifier incident keys lockout recovery session signal signin store"},
	{"explain", "cause desk gate incident keys session signal store"},

	// The services' side: nothing of the server, nothing of the device's home.
	{"verify", "api device"},
	{"verify/verifytest", "device"},

	// The device's side.
	{"keystore", ""},
	{"agent", "api cause code device identifier keystore opaque policy"},
	{"resident", "agent api keystore"},
	{"doctor", "agent api cause code device opaque policy"},
	{"folders", "agent doctor"},
	{"doctor/host", "agent api cause device doctor policy"},
	{"doctor/account", "agent api cause code device doctor doctor/host keystore opaque policy resident"},

	{"doctor/icloud/clients", "cause doctor"},
	{"doctor/icloud/mac", "cause doctor"},
	{"doctor/icloud/pc", "cause doctor"},
	{"doctor/icloud/texts", "cause"},
	{"doctor/icloud/guide", "cause"},
	{"doctor/icloud", "cause doctor doctor/host doctor/icloud/clients doctor/icloud/mac doctor/icloud/pc doctor/icloud/texts doctor/icloud/guide"},

	// Edges. Of incident, server knows words and errors only: see
	// TestServerReadsNoIncident.
	{"store/storetest", "lockout store"},
	{"store/internal/rows", ""},
	{"store/internal/sqltx", "lockout store store/internal/rows"},
	{"store/archive", "store"},
	{"store/sqlite", "store store/internal/rows store/internal/sqltx"},
	{"store/postgres", "store store/internal/rows store/internal/sqltx"},
	{"store/postgres/pgtest", ""},
	{"web", "api cause"},
	{"server", "account api cause desk device explain gate identifier incident keys message message/send opaque passkey policy recovery session signal signal/push signin store store/archive web"},

	// Programs. Those beside readmit itself work on it from outside, as a
	// device or through its commands.
	{"cmd/readmit", "account agent api cause code device docs doctor doctor/account doctor/host doctor/icloud doctor/icloud/clients doctor/icloud/guide doctor/icloud/mac doctor/icloud/pc doctor/icloud/texts explain folders gate identifier incident keys keystore message message/send opaque policy resident server session signin store store/archive store/postgres store/sqlite web"},
	{"examples/service", "verify"},
	{"passkey/virtual", ""},
	{"faults", "agent api cause code device doctor identifier opaque passkey/virtual policy resident store/postgres/pgtest"},
	{"faults/matrix", "agent api cause code device doctor faults identifier opaque passkey/virtual policy resident store/postgres/pgtest"},
	{"bench", "agent api cause code device lockout opaque policy resident store/postgres/pgtest verify verify/verifytest"},
	{"torture", "agent api cause code device doctor faults identifier lockout opaque passkey/virtual policy resident store/postgres/pgtest"},
}

var (
	pure         = []string{"cause", "lockout", "policy", "code", "opaque", "identifier", "api"}
	adapters     = []string{"server", "message/send", "signal/push", "store/sqlite", "store/postgres", "agent", "cmd/readmit"}
	deviceSide   = []string{"agent", "doctor", "doctor/host", "doctor/account", "doctor/icloud", "doctor/icloud/clients", "doctor/icloud/mac", "doctor/icloud/pc", "doctor/icloud/texts", "doctor/icloud/guide", "keystore", "resident", "folders"}
	serversOnly  = []string{"message", "message/send", "signin", "session", "signal", "signal/push", "outward", "store", "gate", "keys", "account", "recovery", "passkey", "desk", "explain", "server", "incident"}
	servicesSide = []string{"verify", "verify/verifytest", "examples/service"}
	mainPackages = []string{"cmd/readmit", "examples/service", "faults/matrix", "bench", "torture"}
)

// file is one file of the module and what it imports of it.
type file struct {
	path    string
	pkg     string // folder, from the root
	test    bool
	imports []string
	syntax  *ast.File
}

// modules reads every file, whatever its build constraints: an edge that only
// Windows compiles is an edge.
func modules(t *testing.T, mode parser.Mode) []file {
	t.Helper()
	var all []file
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		p = filepath.ToSlash(p)
		syntax, err := parser.ParseFile(token.NewFileSet(), p, nil, mode)
		if err != nil {
			return err
		}
		f := file{path: p, pkg: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), syntax: syntax}
		for _, i := range syntax.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if name == module {
				f.imports = append(f.imports, ".")
			} else if sub, ok := strings.CutPrefix(name, module+"/"); ok {
				f.imports = append(f.imports, sub)
			}
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("%d files found: not the root of the module", len(all))
	}
	return all
}

func table() map[string][]string {
	m := map[string][]string{}
	for _, r := range allowed {
		m[r.name] = strings.Fields(r.imports)
	}
	return m
}

func TestImports(t *testing.T) {
	rows := table()
	for _, f := range modules(t, parser.ImportsOnly) {
		may, known := rows[f.pkg]
		if f.pkg == "." && f.test {
			may, known = nil, true
		}
		if !known {
			t.Errorf("%s: package %s is not in the table of this test", f.path, f.pkg)
			continue
		}
		for _, i := range f.imports {
			switch {
			case f.test && strings.HasPrefix(i, "cmd/"):
				t.Errorf("%s imports %s: a command is tested by running it", f.path, i)
			case f.test:
			case !slices.Contains(may, i):
				t.Errorf("%s: %s may not import %s", f.path, f.pkg, i)
			}
		}
	}
}

// The table itself is held to the design, so that a row added in passing
// cannot bend it.
func TestTableKeepsDesign(t *testing.T) {
	rows := table()
	if len(rows) != len(allowed) {
		t.Error("a package has two rows")
	}
	var above []string
	for _, r := range allowed {
		for _, i := range strings.Fields(r.imports) {
			if !slices.Contains(above, i) {
				t.Errorf("%s imports %s, which is not below it", r.name, i)
			}
			if (i == "store/sqlite" || i == "store/postgres") && !strings.HasPrefix(r.name, "cmd/") {
				t.Errorf("%s imports %s: only a command and tests choose the store", r.name, i)
			}
			if slices.Contains(mainPackages, i) {
				t.Errorf("%s imports the program %s", r.name, i)
			}
		}
		above = append(above, r.name)
	}
	never := func(of, what []string) {
		for _, p := range of {
			for i := range reach(rows, p) {
				if slices.Contains(what, i) {
					t.Errorf("%s reaches %s", p, i)
				}
			}
		}
	}
	never(pure, adapters)
	never(deviceSide, serversOnly)
	never(servicesSide, append(append([]string{"store/sqlite", "store/postgres"}, serversOnly...), deviceSide...))
	never(deviceSide, []string{"store/sqlite", "store/postgres", "store/storetest", "lockout"})
	never([]string{"signin", "session", "gate", "account", "recovery", "passkey", "desk"}, []string{"explain"})
	never([]string{"signin", "session", "gate", "account", "recovery", "passkey", "desk", "explain"}, append([]string{"api", "docs"}, adapters...))
}

// reach is what a package imports, and what that imports.
func reach(rows map[string][]string, from string) map[string]bool {
	all := map[string]bool{}
	for _, i := range rows[from] {
		all[i] = true
		maps.Copy(all, reach(rows, i))
	}
	return all
}

// The server passes incidents on and never opens one: it may use the errors
// and the one outcome it compares with, and where it writes refusals, of
// explain only the errors.
func TestServerReadsNoIncident(t *testing.T) {
	for _, f := range modules(t, parser.SkipObjectResolution) {
		if f.pkg != "server" || f.test {
			continue
		}
		for _, i := range f.syntax.Imports {
			if i.Name != nil && (strings.HasSuffix(i.Path.Value, `/incident"`) || strings.HasSuffix(i.Path.Value, `/explain"`)) {
				t.Errorf("%s imports %s under another name", f.path, i.Path.Value)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, ok := s.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := s.Sel.Name
			switch {
			case of.Name == "incident" && !slices.Contains([]string{"ErrUnknown", "ErrTooOld", "Refused"}, name),
				of.Name == "explain" && f.path == "server/problem.go" && !strings.HasPrefix(name, "Err"):
				t.Errorf("%s uses %s.%s", f.path, of.Name, name)
			}
			return true
		})
	}
}

// TestEpochsRiseInOnePlace: a change whose epoch rises anywhere but in package
// signal is one that no node and no service hears of.
func TestEpochsRiseInOnePlace(t *testing.T) {
	there := 0
	for _, f := range modules(t, parser.SkipObjectResolution) {
		if f.test || strings.HasPrefix(f.pkg, "store") {
			continue
		}
		rises := func(x ast.Expr) {
			s, ok := x.(*ast.SelectorExpr)
			switch {
			case !ok || s.Sel.Name != "Epoch":
			case f.path == "signal/signal.go":
				there++
			default:
				t.Errorf("%s changes an Epoch: use signal.Raise", f.path)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IncDecStmt:
				rises(n.X)
			case *ast.AssignStmt:
				for _, x := range n.Lhs {
					rises(x)
				}
			}
			return true
		})
	}
	if there != 1 {
		t.Errorf("%d places of package signal change an Epoch, want 1", there)
	}
}
