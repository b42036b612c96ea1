package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// The folder always holds committed files, so that this builds before npm has
// run; static/dist is what npm makes.
//
//go:embed static
var files embed.FS

// What `make build` makes: the file of the OPAQUE client, and the folder of the
// causes' pages, which are parts of pages and not loaded by any.
const (
	bundle = "dist/opaque.js"
	causes = "static/dist/causes/"
)

// Complete reports whether the OPAQUE client and the causes' pages were there
// when this was built: without them nobody can sign in with a browser, or read
// of a cause.
func Complete() bool {
	_, client := fs.Stat(files, "static/"+bundle)
	_, pages := fs.Stat(files, strings.TrimSuffix(causes, "/"))
	return client == nil && pages == nil
}

// static holds what pages load. All of it is under one address that changes
// when anything does, so that the modules a page loads are always of one build.
// Below it, each language has a folder in which everything lies again: modules
// name each other, and the words of their language, by where they lie.
type static struct {
	prefix   string
	complete bool
	assets   map[string]asset
	words    map[string]asset    // by language
	needs    map[string][]string // modules that a page's script leads to
}

type asset struct {
	kind   string
	plain  []byte
	packed func() []byte // when it is first asked for: all at once would be most of a start
}

var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
}

func loadStatic(words map[string]catalogue) (static, error) {
	s := static{complete: Complete(), assets: map[string]asset{}, words: map[string]asset{}}
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, causes) {
			return err
		}
		b, err := files.ReadFile(name)
		name = strings.TrimPrefix(name, "static/")
		s.assets[name] = newAsset(name, b)
		return err
	})
	if err != nil {
		return s, err
	}
	for lang, c := range words {
		b, err := json.Marshal(c.forScripts())
		if err != nil {
			return s, err
		}
		s.words[lang] = newAsset("words.js", []byte("export default "+string(b)+";\n"))
	}
	all := sha256.New()
	for _, name := range s.names() {
		all.Write([]byte(name))
		a, _ := s.file(name)
		all.Write(a.plain)
	}
	direct := map[string][]string{}
	for name, a := range s.assets {
		if strings.HasPrefix(name, "js/") {
			direct[name] = imports(a.plain)
		}
	}
	s.needs = map[string][]string{}
	for name := range direct {
		s.needs[strings.TrimSuffix(strings.TrimPrefix(name, "js/"), ".js")] = reached(direct, name, nil)
	}
	s.prefix = "/static/" + hex.EncodeToString(all.Sum(nil)[:8])
	return s, nil
}

func newAsset(name string, b []byte) asset {
	return asset{kinds[path.Ext(name)], b, sync.OnceValue(func() []byte { return pack(b, gzip.BestCompression) })}
}

func (s *static) names() []string {
	var all []string
	for name := range s.assets {
		all = append(all, name)
	}
	for lang := range s.words {
		all = append(all, lang+"/words.js")
	}
	slices.Sort(all)
	return all
}

// imports lists what a module imports, in its order.
func imports(module []byte) (all []string) {
	for line := range bytes.Lines(module) {
		if name, ok := imported(line); ok {
			all = append(all, path.Join("js", name))
		}
	}
	return all
}

// reached lists what a module imports, directly or not, so that a page can ask
// for all of it at once instead of level by level.
func reached(direct map[string][]string, name string, seen []string) []string {
	for _, next := range direct[name] {
		if !slices.Contains(seen, next) {
			seen = reached(direct, next, append(seen, next))
		}
	}
	return seen
}

// imported is the module or the words that a line imports. No expression: it
// would look at every letter of every module, at every start.
func imported(line []byte) (string, bool) {
	from, ok := bytes.CutSuffix(bytes.TrimRight(line, "\r\n"), []byte(`";`))
	if !ok || !bytes.HasPrefix(line, []byte("import ")) {
		return "", false
	}
	_, name, _ := strings.Cut(string(from), ` from "`)
	return name, strings.HasPrefix(name, "./") || name == "../words.js"
}

// file is the asset of a path, with or without the folder of a language.
func (s *static) file(name string) (asset, bool) {
	lang, rest, _ := strings.Cut(name, "/")
	if words, ok := s.words[lang]; ok {
		if rest == "words.js" {
			return words, true
		}
		name = rest
	}
	a, ok := s.assets[name]
	return a, ok
}

func (s *static) serve(w http.ResponseWriter, r *http.Request) {
	a, ok := s.file(r.PathValue("path"))
	h := w.Header()
	guard(h)
	if !ok || "/static/"+r.PathValue("version") != s.prefix {
		// A page of an earlier build asks for its own: reloading gives the present one.
		http.Error(w, "This file is of another build of the pages; reload the page.", http.StatusNotFound)
		return
	}
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Del("DPoP-Nonce") // of no use to who gets this out of a cache
	h.Add("Vary", "Accept-Encoding")
	send(w, r, http.StatusOK, a.kind, a.plain, a.packed)
}
