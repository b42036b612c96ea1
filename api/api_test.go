package api

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNormaliseReference(t *testing.T) {
	for in, want := range map[string]string{
		"4K7Q-9FXM":              "4K7Q-9FXM",
		"4k7q9fxm":               "4K7Q-9FXM",
		" 4K7Q 9FXM\n":           "4K7Q-9FXM",
		"4-K-7-Q-9-F-X-M":        "4K7Q-9FXM",
		"oil0-OIL1":              "0110-0111",
		"":                       "",
		"4K7Q-9FX":               "",
		"4K7Q-9FXMM":             "",
		"4K7Q-9FXU":              "", // no U, lest a reference be a word
		"4K7Q_9FXM":              "",
		"4K7Q–9FXM":              "",
		"../../../../etc":        "",
		"4K7Q-9FX\x00":           "",
		"４Ｋ７Ｑ９ＦＸＭ":               "",
		strings.Repeat("4", 1e5): "",
	} {
		got, ok := NormaliseReference(in)
		if got != want || ok != (want != "") {
			t.Errorf("%.20q is %q, %t; want %q", in, got, ok, want)
		}
	}
}

func FuzzNormaliseReference(f *testing.F) {
	f.Add("4K7Q-9FXM")
	f.Add("oil0 oil1")
	f.Add("ſ")
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := NormaliseReference(s)
		if !ok {
			if r != "" {
				t.Fatalf("%q is refused as %q", s, r)
			}
			return
		}
		if len(r) != 9 || r[4] != '-' || strings.Trim(r, "0123456789ABCDEFGHJKMNPQRSTVWXYZ-") != "" || strings.Count(r, "-") != 1 {
			t.Fatalf("%q is %q", s, r)
		}
		if again, ok := NormaliseReference(r); !ok || again != r {
			t.Fatalf("%q is %q, and that is %q", s, r, again)
		}
	})
}

func TestBytes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := Bytes(rapid.SliceOf(rapid.Byte()).Draw(r, "bytes"))
		text, err := json.Marshal(b)
		if err != nil {
			r.Fatal(err)
		}
		if strings.ContainsAny(string(text), "+/=") {
			r.Fatalf("%s is not base64url", text)
		}
		var again Bytes
		if err := json.Unmarshal(text, &again); err != nil || !bytes.Equal(b, again) {
			r.Fatalf("%x came back as %x, %v", b, again, err)
		}
	})
	for _, in := range []string{`"AA=="`, `"AB"`, `"A"`, `"+/8"`, `"A A"`, `5`, `[1,2]`, `{}`} {
		var b Bytes
		if err := json.Unmarshal([]byte(in), &b); err == nil {
			t.Errorf("%s is %x", in, b)
		}
	}
}

func TestProblemPrints(t *testing.T) {
	p := &Problem{Title: "refused", Code: Failed, Incident: "zqsealed", Reference: "4K7Q-9FXM"}
	if got := p.Error(); got != "refused" {
		t.Errorf("%q", got)
	}
	p.Detail = "why"
	if got := p.Error(); got != "refused: why" {
		t.Errorf("%q", got)
	}
}

// The codes are on the wire and in other programs.
func TestProblemCodes(t *testing.T) {
	want := []int{4001, 4000, 4010, 4090, 4290, 5030}
	if got := []int{Failed, BadRequest, StaleProof, NotPossible, TooMany, Unavailable}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// constants reads the string constants of this package with a prefix.
func constants(t *testing.T, prefix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range []string{"api.go", "admin.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 && strings.HasPrefix(v.Names[0].Name, prefix) {
				if l, ok := v.Values[0].(*ast.BasicLit); ok && l.Kind == token.STRING {
					s, err := strconv.Unquote(l.Value)
					if err != nil {
						t.Fatal(err)
					}
					all[v.Names[0].Name] = s
				}
			}
			return true
		})
	}
	return all
}

// Each path is one call's, and none of the operator's is among those that the
// network reaches.
func TestPaths(t *testing.T) {
	public, operator := constants(t, "Path"), constants(t, "Admin")
	if len(public) < 20 || len(operator) < 5 {
		t.Fatalf("%d and %d paths", len(public), len(operator))
	}
	seen := map[string]string{}
	for name, p := range public {
		if seen[p] != "" || !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "/admin") {
			t.Errorf("%s and %s are %s", name, seen[p], p)
		}
		seen[p] = name
	}
	for name, p := range operator {
		if seen[p] != "" {
			t.Errorf("%s and %s are %s", name, seen[p], p)
		}
		seen[p] = name
	}
}
