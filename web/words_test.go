package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
)

const publicURL = "https://id.example.org"

func newPages(t *testing.T) (*Pages, *http.ServeMux) {
	t.Helper()
	p, err := New(publicURL)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	p.Mount(mux)
	return p, mux
}

func get(mux http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

var holes = regexp.MustCompile(`\{\w+\}`)

// Every language has every word, with the same holes to be filled.
func TestWords(t *testing.T) {
	p, _ := newPages(t)
	en := p.words["en"]
	for _, l := range tongues {
		b, err := wordFiles.ReadFile("words/" + l.Code + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if n, want := strings.Count(string(b), "\n  \""), len(p.words[l.Code]); l.Code != "en" && n != want {
			t.Errorf("%s: %d lines for %d keys: one is there twice", l.Code, n, want)
		}
		for _, key := range slices.Sorted(maps.Keys(en)) {
			s, ok := p.words[l.Code][key]
			if !ok || strings.TrimSpace(s) == "" {
				t.Errorf("%s lacks %s", l.Code, key)
				continue
			}
			want, got := holes.FindAllString(en[key], -1), holes.FindAllString(s, -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: %s has the holes %v, want %v", l.Code, key, got, want)
			}
		}
		for key := range p.words[l.Code] {
			if _, ok := en[key]; !ok {
				t.Errorf("%s has %s, which is not in English", l.Code, key)
			}
		}
	}
}

// The server's own words for who did a thing stand where names do: each language
// has its own for them.
func TestNamedWords(t *testing.T) {
	p, _ := newPages(t)
	b, err := os.ReadFile("static/js/words.js")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(b), "const OWN = [")
	list, _, _ = strings.Cut(list, "]")
	for _, who := range []string{"message-word", "starter", "recovery-code", "support", "operator", "unnamed"} {
		if !strings.Contains(list, strconv.Quote(who)) {
			t.Errorf("the pages show %s as it is", who)
		}
		en := p.words["en"]["value."+who]
		for _, l := range tongues {
			if said := p.words[l.Code]["value."+who]; said == "" || l.Code != "en" && said == en {
				t.Errorf("%s: %q is said of %s", l.Code, said, who)
			}
		}
	}
}

// What the table of causes says in English is translated by position. Where it
// changes, the translations are read again, and then this sum is renewed.
func TestCausesAreTranslatedAnew(t *testing.T) {
	const translated = "8f44641613cc18d8"
	p, _ := newPages(t)
	all := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(p.words["en"])) {
		if strings.HasPrefix(key, "cause.") || strings.HasPrefix(key, "remedy.") {
			fmt.Fprintln(all, key, p.words["en"][key])
		}
	}
	if sum := hex.EncodeToString(all.Sum(nil)[:8]); sum != translated {
		t.Errorf("the words of the causes have changed: bring words/de.json and words/ar.json in line (keys cause.* and remedy.*), then write %s here", sum)
	}
}

// What the server says is not possible now, the pages say in every language.
func TestReasonsHaveWords(t *testing.T) {
	p, _ := newPages(t)
	source, err := os.ReadFile("../api/reason.go")
	if err != nil {
		t.Fatal(err)
	}
	_, impossible, ok := strings.Cut(string(source), "// NotPossible\n")
	all := regexp.MustCompile(`(?m)^\tReason\w+ += "([\w-]+)"`).FindAllStringSubmatch(impossible, -1)
	if !ok || len(all) < 30 {
		t.Fatalf("%d reasons were found", len(all))
	}
	for _, m := range all {
		if _, ok := p.words["en"]["problem."+m[1]]; !ok {
			t.Errorf("no words for the reason %s", m[1])
		}
	}
}

// What the ledger names as done, the pages say in every language.
func TestDeedsHaveWords(t *testing.T) {
	p, _ := newPages(t)
	deed := regexp.MustCompile(`(?:What: +|\.note\([^"\n]*|\.on(?:Session)?\([^"\n]*|\bTo[A-Z]\w+ += )"([a-z' -]+)"`)
	found := map[string]bool{}
	for _, dir := range []string{"server", "signin", "account", "session", "explain", "desk", "recovery"} {
		names, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil || len(names) == 0 {
			t.Fatal(dir, err)
		}
		for _, name := range names {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, m := range deed.FindAllStringSubmatch(string(source), -1) {
				found[m[1]] = true
			}
		}
	}
	if len(found) < 40 {
		t.Errorf("%d deeds were found: %q", len(found), slices.Sorted(maps.Keys(found)))
	}
	delete(found, "explanation read") // what.looked
	for _, what := range slices.Sorted(maps.Keys(found)) {
		key := "what." + strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(what, "-"), "-")
		if _, ok := p.words["en"][key]; !ok {
			t.Errorf("no words for %q: %s", what, key)
		}
	}
}

var (
	inTemplates = regexp.MustCompile(`\{\{t "([^"]+)"\}\}`)
	inScripts   = regexp.MustCompile(`\bt\("([^"]+)"`)
)

// Every word that a template or a script asks for is there; what templates use
// alone is not sent to scripts.
func TestWordsThatAreUsed(t *testing.T) {
	p, _ := newPages(t)
	for _, where := range []struct {
		files fs.FS
		glob  string
		form  *regexp.Regexp
	}{{templateFiles, "templates/*.html", inTemplates}, {files, "static/js/*.js", inScripts}} {
		names, err := fs.Glob(where.files, where.glob)
		if err != nil || len(names) == 0 {
			t.Fatal("no files", err)
		}
		for _, name := range names {
			b, err := fs.ReadFile(where.files, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range where.form.FindAllStringSubmatch(string(b), -1) {
				if _, ok := p.words["en"][m[1]]; !ok {
					t.Errorf("%s asks for %s", name, m[1])
				}
				if where.form == inScripts && strings.HasPrefix(m[1], "p.") {
					t.Errorf("%s asks for %s, which scripts are not sent", name, m[1])
				}
			}
		}
	}
}

// No template says anything in its own words.
func TestTemplatesAreMute(t *testing.T) {
	text := regexp.MustCompile(`>([^<{]*\p{L}[^<{]*)<`)
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := templateFiles.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range text.FindAllStringSubmatch(regexp.MustCompile(`(?s)<code[^>]*>.*?</code>`).ReplaceAllString(string(b), ""), -1) {
			if s := strings.TrimSpace(m[1]); !slices.Contains([]string{"Readmit", "· Readmit", "macOS", "Windows"}, s) {
				t.Errorf("%s says %q", name, s)
			}
		}
	}
}

func TestLanguage(t *testing.T) {
	_, mux := newPages(t)
	for _, tt := range []struct {
		path, accept, cookie, want, dir string
	}{
		{"/", "", "", "en", "ltr"},
		{"/", "fr", "", "en", "ltr"},
		{"/", "fr, de-AT;q=0.8, en;q=0.5", "", "de", "ltr"},
		{"/", "ar-EG", "", "ar", "rtl"},
		{"/", "ar", "de", "de", "ltr"},
		{"/", "ar", "xx", "ar", "rtl"},
		{"/?lang=ar", "de", "de", "ar", "rtl"},
		{"/?lang=../etc", "de", "", "de", "ltr"},
		{"/help/clock-off", "de", "", "de", "ltr"},
	} {
		h := []string{"Accept-Language", tt.accept}
		if tt.cookie != "" {
			h = append(h, "Cookie", languageCookie+"="+tt.cookie)
		}
		w := get(mux, tt.path, h...)
		if !strings.Contains(w.Body.String(), `<html lang="`+tt.want+`" dir="`+tt.dir+`">`) || w.Header().Get("Content-Language") != tt.want {
			t.Errorf("%+v: %s", tt, w.Header().Get("Content-Language"))
		}
		if set := w.Header().Get("Set-Cookie"); (set != "") != strings.Contains(tt.path, "lang=ar") || set != "" && !strings.Contains(set, "Secure; SameSite=Lax") {
			t.Errorf("%+v: cookie %q", tt, set)
		}
	}
}

// Every cause has its page in every language, and a place in the help.
func TestHelp(t *testing.T) {
	p, mux := newPages(t)
	listed := map[cause.Code]int{}
	for _, g := range p.help {
		for _, c := range g.Causes {
			listed[c]++
		}
	}
	ends := map[string]string{"en": "What ends it", "de": "Was es beendet", "ar": "ما الذي ينهيه"}
	for _, row := range cause.Table() {
		if listed[row.Code] != 1 {
			t.Errorf("%s is listed %d times", row.Code, listed[row.Code])
		}
		for _, l := range tongues {
			w := get(mux, "/help/"+string(row.Code)+"?lang="+l.Code)
			if w.Code != http.StatusOK || strings.Count(w.Body.String(), "<h2>"+ends[l.Code]+"</h2>") != 1 {
				t.Errorf("help on %s in %s: %d", row.Code, l.Code, w.Code)
			}
			if strings.Contains(w.Body.String(), "<p><code>"+string(row.Code)+"</code></p>") {
				t.Errorf("help on %s in %s names the code twice", row.Code, l.Code)
			}
		}
	}
	if w := get(mux, "/help/no-such"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "<h1>") {
		t.Errorf("help on nothing: %d", w.Code)
	}
}

var loaded = regexp.MustCompile(`(?:href|src)="(/static/[^"]+)"`)

var later = regexp.MustCompile(`import\("\./([\w-]+\.js)"\)`)

// What a page brings along, its style, scripts and words with it, fits in
// 60 KB. Scripts name all they lead to in the page (see imports).
func TestSizes(t *testing.T) {
	p, mux := newPages(t)
	const most = 60 << 10
	pages := []string{"/", "/sign-up", "/incident/4K7Q-9FXM", "/recover", "/desk", "/help", "/help/4001", "/help/refused",
		"/account", "/account/devices", "/account/activity", "/account/security", "/account/ways"}
	for _, l := range tongues {
		for _, path := range pages {
			w := get(mux, path+"?lang="+l.Code, "Accept-Encoding", "br, gzip;q=0.8")
			if w.Code != http.StatusOK || w.Header().Get("Content-Encoding") != "gzip" {
				t.Errorf("%s: %d, or it is not compressed", path, w.Code)
			}
			n := w.Body.Len()
			var brings []string
			for _, m := range loaded.FindAllStringSubmatch(get(mux, path+"?lang="+l.Code).Body.String(), -1) {
				brings = append(brings, strings.TrimPrefix(m[1], p.static.prefix+"/"))
			}
			for i := 0; i < len(brings); i++ {
				a, ok := p.static.file(brings[i])
				if !ok {
					t.Errorf("%s loads %s, which is not there", path, brings[i])
				}
				if !strings.Contains(brings[i], "dist/") {
					n += len(a.packed())
				}
				for _, m := range later.FindAllStringSubmatch(string(a.plain), -1) {
					for _, name := range append(slices.Clone(p.static.needs[strings.TrimSuffix(m[1], ".js")]), "js/"+m[1]) {
						name = l.Code + "/" + name
						if !slices.Contains(brings, name) {
							brings = append(brings, name)
						}
					}
				}
			}
			if n > most {
				t.Errorf("%s in %s: %d bytes, at most %d", path, l.Code, n, most)
			}
			t.Logf("%s in %s: %d bytes, %d of them the page", path, l.Code, n, w.Body.Len())
		}
	}
}

func TestStatic(t *testing.T) {
	p, mux := newPages(t)
	for _, name := range p.static.names() {
		w := get(mux, p.static.prefix+"/"+name)
		if w.Code != http.StatusOK || w.Body.Len() == 0 || w.Header().Get("Content-Type") == "" || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %q", name, w.Code, w.Header())
		}
	}
	if a, b := get(mux, p.static.prefix+"/ar/js/home.js"), get(mux, p.static.prefix+"/js/home.js"); a.Code != http.StatusOK || a.Body.String() != b.Body.String() {
		t.Errorf("a language's folder lacks the scripts: %d", a.Code)
	}
	for _, path := range []string{p.static.prefix + "/xx/js/home.js", p.static.prefix + "/en/ar/words.js", p.static.prefix + "/en/en/words.js", p.static.prefix + "/js/words/en.js", "/static/0123456789abcdef/js/home.js", p.static.prefix + "/js/none.js", p.static.prefix + "/../web.go"} {
		if w := get(mux, path); w.Code == http.StatusOK {
			t.Errorf("%s is there", path)
		}
	}
	var words catalogue
	body, _ := strings.CutPrefix(strings.TrimSuffix(get(mux, p.static.prefix+"/de/words.js").Body.String(), ";\n"), "export default ")
	if err := json.Unmarshal([]byte(body), &words); err != nil || words["p.skip"] != "" || words["hint.caps"] == "" {
		t.Errorf("words for scripts: %v, %d", err, len(words))
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{"": false, "gzip": true, "br, gzip": true, "gzip;q=0": false, "gzip; q=0, br": false, "gzip;q=0.5": true, "xgzip": false} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", header)
		if got := takesGzip(r); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
