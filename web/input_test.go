package web_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// strike presses one key of the keyboard and lets it go: code is where it lies,
// key what it gives. A capital without shift is what caps lock makes of it.
func (p *person) strike(code, key string) {
	p.t.Helper()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeKeyDown, input.DispatchKeyEventTypeKeyUp} {
		p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			event := input.DispatchKeyEventParams{Type: kind, Code: code, Key: key}
			if kind == input.DispatchKeyEventTypeKeyDown {
				event.Text = key
			}
			_, err := cdp.Call(ctx, t, input.DispatchKeyEvent, event)
			return chromedp.Void{}, err
		})
	}
}

// warns strikes keys in a field for a password and reads what is said of them.
func (p *person) warns(field, line string) {
	p.t.Helper()
	p.see(field)
	for _, tt := range []struct{ code, key, want string }{
		{"KeyA", "a", ""},
		{"KeyA", "A", "Caps lock"},
		{"Digit1", "1", "Caps lock"}, // goes on until something says otherwise
		{"KeyA", "a", ""},
		{"Space", " ", "ends with a space"},
		{"KeyJ", "о", "layout"}, // J was a j in the account
	} {
		p.do(chromedp.Focus(css(field)))
		p.strike(tt.code, tt.key)
		said := run(p, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector(%q).textContent`, line)))
		if tt.want == "" && said != "" || !strings.Contains(said, tt.want) {
			p.t.Errorf("%s: after %q it says %q, want %q", field, tt.key, said, tt.want)
		}
	}
}

// wire is all that a browser sends.
type wire struct {
	mu   sync.Mutex
	sent []string // address, headers and body of each request
}

func (w *wire) bodies() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.sent...)
}

// listens writes down what a browser sends from now on.
func (p *person) listens() *wire {
	p.t.Helper()
	w := &wire{}
	p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		most := int64(1 << 20)
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{MaxPostDataSize: &most})
		return chromedp.Void{}, err
	})
	must(p.t, chromedp.Listen(p.ctx, func(event any) {
		e, ok := event.(*network.EventRequestWillBeSent)
		if !ok {
			return
		}
		said := fmt.Sprint(e.Request.Method, " ", e.Request.URL, e.Request.URLFragment, " ", e.Request.Headers)
		whole := e.Request.HasPostData == (len(e.Request.PostDataEntries) > 0)
		for _, part := range e.Request.PostDataEntries {
			said += " " + fmt.Sprintf("%s", part.Bytes)
		}
		if !whole {
			said += " BODY WITHHELD"
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = append(w.sent, said)
	}))
	return w
}

// TestPasswordStaysHome looks for the password in all that a browser sends
// while it makes an account, is refused, and signs in.
func TestPasswordStaysHome(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	laptop := newPerson(t, newBrowser(t), s.url, "laptop")
	sent := laptop.listens()
	const wrong = "a wrong one, typed here"
	laptop.signUp(jane, password)
	laptop.signIn(jane, wrong)
	laptop.refused()
	laptop.signIn(jane, password)
	laptop.at("/account")
	laptop.see("#inside")

	reached := map[string]int{}
	for _, said := range sent.bodies() {
		// A body comes as bytes in base64, or as text: both are looked at.
		all := said
		for _, word := range strings.Fields(said) {
			if plain, err := base64.StdEncoding.DecodeString(word); err == nil {
				all += " " + string(plain)
			}
		}
		if strings.Contains(all, "BODY WITHHELD") {
			t.Errorf("a body was not seen: %.80s", said)
		}
		for _, path := range []string{"/v1/sign-up/start", "/v1/sign-up/finish", "/v1/sign-in/start", "/v1/sign-in/finish"} {
			if strings.HasPrefix(said, "POST "+s.url+path) && strings.Contains(all, `{"`) {
				reached[path]++
			}
		}
		for _, secret := range []string{password, wrong} {
			for _, form := range []string{
				secret, strings.ReplaceAll(secret, " ", "+"), strings.ReplaceAll(secret, " ", "%20"), hex.EncodeToString([]byte(secret)),
				base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
			} {
				if strings.Contains(all, form) {
					t.Errorf("a password is sent with %.80s", said)
				}
			}
		}
	}
	if reached["/v1/sign-up/start"] != 1 || reached["/v1/sign-up/finish"] != 1 || reached["/v1/sign-in/start"] != 2 || reached["/v1/sign-in/finish"] != 2 {
		t.Errorf("the bodies that were seen: %v of %d requests", reached, len(sent.bodies()))
	}
}

// TestInput is about what only a keyboard, a mouse, a printer and a server that
// cannot do its work show.
func TestInput(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		t.Run(name, func(t *testing.T) { laptop.t, s.t = t, t; f(t) })
		laptop.t, s.t = t, t
	}
	laptop.signUp(jane, password)

	part("keys tell on a password, wherever one is asked for", func(t *testing.T) {
		laptop.open("/?add")
		laptop.write("#account", jane) // which key gives which letter is learned here
		laptop.warns("#password", "#password-hint")
		// What a system says of caps lock itself no protocol of browsers can make: a script says it here.
		run(laptop, chromedp.Evaluate[chromedp.Void](`document.getElementById("password").dispatchEvent(new KeyboardEvent("keydown", {key: "1", code: "Digit1", modifierCapsLock: true, bubbles: true})); undefined`))
		if said := laptop.text("#password-hint"); !strings.Contains(said, "Caps lock") {
			t.Errorf("caps lock, by the system's word: %q", said)
		}
		laptop.open("/account/ways")
		laptop.click("#close")
		laptop.warns("#closing-password", "#closing-hint")
		laptop.click("#closing .no")
		laptop.click("#close")
		laptop.until(`document.getElementById("closing-hint").textContent === ""`)
		laptop.click("#closing .no")
		run(laptop, chromedp.Evaluate[chromedp.Void](`document.getElementById("prove").showModal(); undefined`))
		laptop.warns("#prove-password", "#prove-hint")
		laptop.look("prove-hints")
	})

	part("a code made here counts down, and gives way to the next", func(t *testing.T) {
		laptop.open("/account")
		laptop.see("#codes-show")
		run(laptop, chromedp.Evaluate[chromedp.Void](`{ const began = Math.floor(Date.now() / 30e3) * 30e3; globalThis.later = 0; Date.now = () => began + later; } undefined`))
		laptop.click("#codes-show")
		laptop.until(`document.getElementById("live-seconds").textContent === "30 s" && document.getElementById("live-left").value === 30`)
		first := laptop.text("#live-code")
		run(laptop, chromedp.Evaluate[chromedp.Void](`globalThis.later = 20.5e3; undefined`))
		laptop.until(`document.getElementById("live-seconds").textContent === "10 s" && document.getElementById("live-left").value === 9.5`)
		if now := laptop.text("#live-code"); now != first {
			t.Errorf("the code %q gives way to %q before its time", first, now)
		}
		run(laptop, chromedp.Evaluate[chromedp.Void](`globalThis.later = 30e3; undefined`))
		laptop.until(`document.getElementById("live-seconds").textContent === "30 s"`)
		// Two codes in a row are the same once in a million times.
		if next := laptop.text("#live-code"); next == first || len(digits(t, next)) != 6 {
			t.Errorf("after %q comes %q", first, next)
		}
	})

	part("help on paper", func(t *testing.T) {
		laptop.open("/help/4001")
		run(laptop, chromedp.Evaluate[chromedp.Void](`window.print = () => { document.body.dataset.printed = "so"; }; undefined`))
		laptop.click("#print")
		if !laptop.holds(`document.body.dataset.printed`) {
			t.Error("the button prints nothing")
		}
		laptop.click("#step1 ~ details summary")
		if n := laptop.seen("details[open]"); n == 0 || laptop.holds(`document.querySelector("details").open`) {
			t.Errorf("%d parts are open", n)
		}
		paper := run(laptop, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
			r, err := cdp.Call(ctx, t, page.PrintToPDF, page.PrintToPDFParams{})
			return r.Data, err
		})
		if !strings.HasPrefix(string(paper), "%PDF-") || !laptop.holds(`document.querySelector("details").open`) {
			t.Errorf("what was folded stays so on paper, of %d bytes", len(paper))
		}
		laptop.media("print")
		if bars, buttons, steps := laptop.seen("header, footer, nav, .skip"), laptop.seen("button"), laptop.seen(".step"); bars != 0 || buttons != 0 || steps != 5 {
			t.Errorf("on paper are %d bars, %d buttons, %d steps", bars, buttons, steps)
		}
		laptop.media("")
	})

	part("a browser that is too old", func(t *testing.T) {
		admin := func(minimum string) {
			t.Helper()
			if out, exit := s.terminal().run("", "admin", "policy", "--protocol", minimum, "--data", s.data); exit != 0 {
				t.Fatalf("policy: %s", out)
			}
		}
		admin("2") // the one minimum that can be set for browsers: pages of before it speak an older protocol
		stranger := newPerson(t, browser, s.url, "stranger")
		stranger.signIn(jane, password)
		stranger.refused()
		if said := stranger.text("#refused-public"); !strings.Contains(said, "older than the server allows") {
			t.Errorf("said to anyone: %q", said)
		}
		stranger.look("refused-outdated")
		stranger.click("#refused-why")
		if title := stranger.text("#told-title"); title != "This client is older than the server allows" {
			t.Errorf("the cause is %q", title)
		}
		stranger.glance("incident-outdated")
		admin("0")
		stranger.signIn(jane, password)
		stranger.see("#code")
	})

	part("a server that cannot do its work", func(t *testing.T) {
		stranger := newPerson(t, browser, s.url, "stranger")
		stranger.open("/?add")
		stranger.write("#account", jane)
		stranger.write("#password", password)
		run(stranger, chromedp.Evaluate[chromedp.Void](`{
			const ask = window.fetch;
			window.fetch = (to, how) => String(to).startsWith("/v1/sign-in/")
				? Promise.resolve(new Response('{"code": 5030, "title": "Service unavailable", "reason": "service-fault"}', {status: 503, headers: {"Content-Type": "application/problem+json"}}))
				: ask(to, how);
		}; undefined`))
		stranger.click("#sign-in .main")
		if said := stranger.text("#trouble"); !strings.Contains(said, "Your password was not checked") {
			t.Errorf("said of a fault of the server's: %q", said)
		}
		if stranger.seen("#refused") != 0 || !stranger.holds(`document.getElementById("password").value`) {
			t.Error("a fault of the server's is shown as the person's, or what was typed is gone")
		}
		stranger.look("unavailable")
	})
}
