package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"readmit.dev/readmit/cause"
)

// Every string of the pages stands in a catalogue, one file for each language.
// What only templates use has a key that begins with "p."; scripts get the rest.
//
//go:embed words/*.json
var wordFiles embed.FS

//go:embed templates/*.html
var templateFiles embed.FS

// tongue is a language that the pages speak.
type tongue struct{ Code, Name string }

var tongues = []tongue{{"en", "English"}, {"de", "Deutsch"}, {"ar", "العربية"}}

var matcher = language.NewMatcher([]language.Tag{language.English, language.German, language.Arabic})

type catalogue map[string]string

func (c catalogue) get(key string) string {
	if s, ok := c[key]; ok {
		return s
	}
	return key
}

func causeKey(c cause.Code) string { return "cause." + string(c) }

func remedyKey(c cause.Code, n int) string { return "remedy." + string(c) + "." + strconv.Itoa(n) }

func loadWords() (map[string]catalogue, error) {
	all := map[string]catalogue{}
	for _, l := range tongues {
		b, err := wordFiles.ReadFile("words/" + l.Code + ".json")
		if err != nil {
			return nil, err
		}
		c := catalogue{}
		if err := json.Unmarshal(b, &c); err != nil {
			return nil, fmt.Errorf("words/%s.json: %w", l.Code, err)
		}
		all[l.Code] = c
	}
	// The table of causes speaks English; its own words are the catalogue's.
	for _, row := range cause.Table() {
		all["en"][causeKey(row.Code)] = row.Title
		for i, r := range row.Remedies {
			all["en"][remedyKey(row.Code, i)] = r.Do
		}
	}
	return all, nil
}

func (c catalogue) forScripts() catalogue {
	out := catalogue{}
	for k, s := range c {
		if !strings.HasPrefix(k, "p.") {
			out[k] = s
		}
	}
	return out
}

// part is one of the parts of an account in its navigation.
type part struct {
	Path, Key string
	Here      bool
}

func newPart(v view, path, name string) part { return part{path, "title." + name, v.Page == name} }

// parse makes the templates of each language. They see the words by {{t key}}.
func parse(words map[string]catalogue) (map[string]*template.Template, error) {
	out := map[string]*template.Template{}
	for lang, c := range words {
		t, err := template.New(lang).Funcs(template.FuncMap{"t": c.get, "remedy": remedyKey, "cause": causeKey, "part": newPart}).ParseFS(templateFiles, "templates/*.html")
		if err != nil {
			return nil, err
		}
		out[lang] = t
	}
	return out, nil
}

const languageCookie = "readmit_language"

// language is the one chosen on a page, kept in a cookie, else the first of
// the browser's that there is.
func (p *Pages) language(w http.ResponseWriter, r *http.Request) string {
	if chosen := r.URL.Query().Get("lang"); p.words[chosen] != nil {
		http.SetCookie(w, &http.Cookie{
			Name: languageCookie, Value: chosen, Path: "/", MaxAge: 365 * 24 * 3600,
			SameSite: http.SameSiteLaxMode, HttpOnly: true, Secure: strings.HasPrefix(p.url, "https:"),
		})
		return chosen
	}
	if c, err := r.Cookie(languageCookie); err == nil && p.words[c.Value] != nil {
		return c.Value
	}
	_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return tongues[i].Code
}
