// Package web is the pages: account, help and refusal, in a browser.
//
// The server renders words and structure (html/template, words/*.json) and
// never anything of an account: every page is the same for everybody. What is
// of an account the browser asks for itself, as a device like any other, with
// its own key (static/js/device.js) over the calls of docs/protocol.md. So a
// page can be cached, framed by nobody and read without signing in.
//
//	/                       sign in; the accounts that are signed in here
//	/sign-up                make an account
//	/account                who asks to sign in, the code of the moment, what happened last
//	/account/devices        devices, last use, removal
//	/account/activity       every attempt with its cause, every look, "was this you?"
//	/account/security       change of the password, one-time pass, signing out
//	/account/ways           recovery codes, addresses, passkeys, export, closing
//	/recover                a forgotten password or identifier; stopping a recovery
//	/desk                   support: an approved incident and what may be done
//	/incident/{reference}   an incident's cause, evidence and remedies
//	/help, /help/4001       the way through error 4001, step by step
//	/help/{cause}           a page for each cause; /causes/{cause} is the same
//	/qr/{reference}         the address of an incident's page as a QR code
//	/static/{version}/...   style, scripts, words; immutable
//
// The one thing that is bundled is the OPAQUE client (static/dist, made by
// `make build`). Without it this package builds all the same, and pages say
// what is missing.
package web

import (
	"bytes"
	"compress/gzip"
	"html/template"
	"net/http"
	"net/netip"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"

	"rsc.io/qr"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
)

// policy is what a page may load. The WASM of the OPAQUE client needs
// 'wasm-unsafe-eval': it allows compiling WASM and nothing of eval. Forms are
// sent by our scripts alone: form-action 'none' keeps a password out of a
// request even where a script failed to load.
const policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// Pages answers the paths above.
type Pages struct {
	url    string
	named  bool // whether the address has a name, and no number
	static static
	words  map[string]catalogue
	pages  map[string]*template.Template // by language
	help   []group
}

// New makes the pages of the server with this public address: it stands in
// what leads to them from outside, never what a request says.
func New(url string) (*Pages, error) {
	words, err := loadWords()
	if err != nil {
		return nil, err
	}
	at, err := neturl.Parse(url)
	if err != nil {
		return nil, err
	}
	_, numbered := netip.ParseAddr(at.Hostname())
	p := &Pages{url: url, named: numbered != nil, words: words, help: groups()}
	if p.static, err = loadStatic(words); err != nil {
		return nil, err
	}
	p.pages, err = parse(words)
	return p, err
}

// page is one row of the table of pages.
type page struct {
	pattern string
	view    string // template, and the key of its title
	script  string // module, without .js
	account bool   // one of the account's, with its navigation
}

var pages = []page{
	{pattern: "/{$}", view: "home", script: "home"},
	{pattern: "/sign-up", view: "signup", script: "signup"},
	{pattern: "/account", view: "overview", script: "overview", account: true},
	{pattern: "/account/devices", view: "devices", script: "devices", account: true},
	{pattern: "/account/activity", view: "activity", script: "activity", account: true},
	{pattern: "/account/security", view: "security", script: "security", account: true},
	{pattern: "/account/ways", view: "ways", script: "ways", account: true},
	{pattern: "/desk", view: "desk", script: "desk", account: true},
	{pattern: "/recover", view: "recover", script: "recover"},
	{pattern: "/incident/{reference}", view: "incident", script: "incident"},
	{pattern: "/help", view: "causes"},
	{pattern: "/help/4001", view: "article", script: "print"},
	{pattern: "/help/{cause}", view: "cause", script: "print"},
	{pattern: api.PathCauses + "{cause}", view: "cause", script: "print"},
}

// Mount puts the pages on a mux.
func (p *Pages) Mount(mux *http.ServeMux) {
	for _, row := range pages {
		mux.HandleFunc("GET "+row.pattern, func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, row) })
	}
	mux.HandleFunc("GET /qr/{reference}", p.qr)
	mux.HandleFunc("GET /static/{version}/{path...}", p.static.serve)
}

// view is what a template gets.
type view struct {
	Lang, Dir string
	Languages []tongue
	Static    string // prefix of scripts and style
	URL       string
	Path      string
	Page      string
	Script    string
	Needs     []string // modules that the script leads to
	Account   bool
	Complete  bool // whether the bundle is there
	Named     bool // whether there can be passkeys
	Title     string
	Cause     *causePage
	Groups    []group
}

func (p *Pages) serve(w http.ResponseWriter, r *http.Request, row page) {
	lang := p.language(w, r)
	v := view{Page: row.view, Script: row.script, Account: row.account, Title: p.words[lang].get("title." + row.view), Groups: p.help}
	if row.view == "cause" {
		c, ok := p.cause(lang, cause.Code(r.PathValue("cause")))
		if !ok {
			p.NotFound(w, r)
			return
		}
		v.Cause, v.Title = &c, c.Title
	}
	p.render(w, r, http.StatusOK, lang, v)
}

// NotFound is the page of an address where there is nothing.
func (p *Pages) NotFound(w http.ResponseWriter, r *http.Request) {
	lang := p.language(w, r)
	p.render(w, r, http.StatusNotFound, lang, view{Page: "nothing", Title: p.words[lang].get("title.nothing")})
}

func (p *Pages) render(w http.ResponseWriter, r *http.Request, status int, lang string, v view) {
	v.Lang, v.Dir, v.Languages = lang, p.words[lang].get("dir"), tongues
	v.Needs = p.static.needs[v.Script]
	v.Static, v.URL, v.Path, v.Complete, v.Named = p.static.prefix, p.url, r.URL.Path, p.static.complete, p.named
	if status != http.StatusOK {
		v.Path = "/" // nothing of an address we do not have becomes a link
	}
	var b bytes.Buffer
	if err := p.pages[lang].ExecuteTemplate(&b, "page", v); err != nil {
		http.Error(w, "This page cannot be shown: the account server has a fault.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	guard(h)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Language", lang)
	h.Add("Vary", "Accept-Language, Cookie, Accept-Encoding")
	send(w, r, status, "text/html; charset=utf-8", b.Bytes(), nil)
}

// guard says to a browser what a page may do and who may look at it.
func guard(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // addresses of incidents stay here
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// qr draws the address of an incident's page. The address is the configured
// one, so that no request can make it lead elsewhere.
func (p *Pages) qr(w http.ResponseWriter, r *http.Request) {
	reference, ok := api.NormaliseReference(r.PathValue("reference"))
	if !ok {
		p.NotFound(w, r)
		return
	}
	code, err := qr.Encode(p.url+"/incident/"+reference, qr.M)
	if err != nil { // an address too long for any code
		p.NotFound(w, r)
		return
	}
	const quiet = 4 // modules of white around it, as readers want
	size := strconv.Itoa(code.Size + 2*quiet)
	b := bytes.NewBufferString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + size + " " + size + `" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h` + size + "v" + size + `H0z"/><path d="`)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h1v1h-1z")
			}
		}
	}
	b.WriteString(`"/></svg>`)
	guard(w.Header())
	send(w, r, http.StatusOK, "image/svg+xml", b.Bytes(), nil)
}

// send writes an answer, compressed where the browser takes that. packed
// gives the compressed form where that is kept, and is nil for what is made anew.
func send(w http.ResponseWriter, r *http.Request, status int, kind string, plain []byte, packed func() []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	out := plain
	if takesGzip(r) {
		if packed == nil {
			packed = func() []byte { return pack(plain, gzip.BestSpeed) }
		}
		h.Set("Content-Encoding", "gzip")
		out = packed()
	}
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	w.Write(out)
}

func takesGzip(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("Accept-Encoding"), ","), func(s string) bool {
		name, weight, _ := strings.Cut(strings.TrimSpace(s), ";")
		return name == "gzip" && strings.ReplaceAll(weight, " ", "") != "q=0"
	})
}

func pack(plain []byte, level int) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		panic(err) // a level of the package itself
	}
	z.Write(plain)
	z.Close()
	return b.Bytes()
}
