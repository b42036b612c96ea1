package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// screens is where pictures of every page are left, for people to look at.
const screens = "../bin/screens"

// step is how long anything on a page may take; stretching a password on a
// busy machine is the longest.
const step = 20 * time.Second

// chromium is started once for all tests. Root, as which containers run, has no
// sandbox.
var chromium = sync.OnceValues(func() (context.Context, error) {
	options := []chromedp.ExecAllocatorOption{chromedp.Flag("disable-dev-shm-usage", true)}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, stop := chromedp.NewContext(context.Background(), chromedp.WithAllocatorOptions(options...))
	stopChromium = stop
	return ctx, chromedp.Do(ctx)
})

var stopChromium = func() {} // once it was started, ends it

// newBrowser is Chromium, in which each person has a storage of their own.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	ctx, err := chromium()
	if err != nil {
		t.Fatalf("Chromium does not start; `make test` installs it: %v", err)
	}
	return ctx
}

// person is somebody at a browser of their own, with its own storage.
type person struct {
	t    *testing.T
	name string
	ctx  context.Context
	url  string
}

func newPerson(t *testing.T, browser context.Context, url, name string) *person {
	t.Helper()
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	p := &person{t, name, ctx, url}
	must(t, chromedp.Do(ctx)) // a tab lives as long as the context that opened it
	p.do(chromedp.EmulateViewport(1280, 900))
	must(t, chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("%s: a script failed: %s %s", name, e.ExceptionDetails.Text, detail(e.ExceptionDetails.Exception))
		case *log.EventEntryAdded:
			// What the browser itself says of answers with an error status is no
			// fault of a page; what a policy blocked is.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
				t.Errorf("%s: the browser complains: %s", name, e.Entry.Text)
			}
		}
	}))
	return p
}

func detail(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}

func (p *person) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.fatal(err)
	}
}

// fatal leaves a picture of what was there instead.
func (p *person) fatal(err error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname + "\n" + document.body.innerText`))
	if picture, perr := chromedp.Run(ctx, chromedp.FullScreenshot(100)); perr == nil {
		os.MkdirAll(screens, 0o755)
		os.WriteFile(filepath.Join(screens, "failed.png"), picture, 0o644)
	}
	p.t.Fatalf("%s: %v; on the page %s", p.name, err, text)
}

func run[T any](p *person, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, step)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.fatal(err)
	}
	return v
}

func css(s string) chromedp.CSS { return chromedp.CSS(s) }

func (p *person) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.url + path))
}

// delays makes calls of a path wait on the pages that are opened from now on,
// until what it returns is called.
func (p *person) delays(path string, d time.Duration) (end func()) {
	p.t.Helper()
	source := fmt.Sprintf(`{
		const now = window.fetch;
		window.fetch = async (...of) => {
			if (String(of[0]?.url ?? of[0]).includes(%q)) await new Promise((go) => setTimeout(go, %d));
			return now(...of);
		};
	}`, path, d.Milliseconds())
	added := run(p, func(ctx context.Context, t *chromedp.Target) (page.AddScriptToEvaluateOnNewDocumentResult, error) {
		return cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
	})
	return func() {
		p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
			_, err := cdp.Call(ctx, t, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams(added))
			return chromedp.Void{}, err
		})
	}
}

// later moves the clock of the pages that are opened from now on.
func (p *person) later(by time.Duration) {
	p.t.Helper()
	source := fmt.Sprintf(`{ const now = globalThis.realNow ??= Date.now; Date.now = () => now() + %d; }`, by.Milliseconds())
	run(p, func(ctx context.Context, t *chromedp.Target) (page.AddScriptToEvaluateOnNewDocumentResult, error) {
		return cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
	})
}

// visible holds while an element has a place on the page.
func visible(selector string) string {
	return fmt.Sprintf(`((e) => e && (e.offsetWidth || e.offsetHeight || e.getClientRects().length))(document.querySelector(%q))`, selector)
}

func (p *person) see(selector string) { p.t.Helper(); p.until(visible(selector)) }

// click waits as a person does until what has just appeared can be pressed, and
// presses again what moved in that moment: a page takes no press of it then.
func (p *person) click(selector string) {
	p.t.Helper()
	for deadline := time.Now().Add(step); ; {
		p.until(visible(selector) + fmt.Sprintf(`&& !document.querySelector(%q).closest("[data-settling]")`, selector))
		// After the page's own: it hears what that lets through.
		run(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
			removeEventListener("click", window.heardPress, true);
			window.pressTaken = false;
			window.heardPress = (e) => { window.pressTaken ||= Boolean(document.querySelector(%q)?.contains(e.target)); };
			addEventListener("click", window.heardPress, true);
		}; undefined`, selector)))
		p.do(chromedp.Click(css(selector), chromedp.NodeVisible))
		ctx, cancel := context.WithTimeout(p.ctx, step)
		ignored, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`window.pressTaken === false`)) // another page has none
		cancel()
		if err != nil || !ignored {
			return
		}
		if time.Now().After(deadline) {
			p.fatal(fmt.Errorf("no press of %s is taken", selector))
		}
	}
}

// place is where something stands.
func (p *person) place(selector string) string {
	p.t.Helper()
	return run(p, chromedp.Evaluate[string](fmt.Sprintf(`JSON.stringify(document.querySelector(%q).getBoundingClientRect())`, selector)))
}

// mouse presses or releases the button of the mouse.
func (p *person) mouse(kind input.DispatchMouseEventType, at []float64) {
	p.t.Helper()
	p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: at[0], Y: at[1], Button: input.MouseButtonLeft, ClickCount: 1})
		return chromedp.Void{}, err
	})
}

// write types with keys, in place of what is there.
func (p *person) write(selector, text string) {
	p.t.Helper()
	p.see(selector)
	run(p, chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector(%q).value = ''; undefined", selector)))
	p.do(chromedp.SendKeys(css(selector), text))
}

func (p *person) text(selector string) string {
	p.t.Helper()
	p.see(selector)
	return strings.TrimSpace(run(p, chromedp.Evaluate[string](fmt.Sprintf("document.querySelector(%q).textContent", selector))))
}

// until waits for an expression to hold. The page itself looks again and again:
// questions over the wire, of several people at once, kept the browser busier
// than the pages did.
func (p *person) until(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(step)
	for {
		if p.watch(expression, time.Second) {
			return
		}
		if time.Now().After(deadline) {
			p.fatal(fmt.Errorf("never: %s", expression))
		}
		time.Sleep(20 * time.Millisecond) // a page is giving way to another one
	}
}

// watch says whether an expression came to hold on the page that is there now.
func (p *person) watch(expression string, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(p.ctx, most+5*time.Second)
	defer cancel()
	held, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`new Promise((done) => {
		const end = performance.now() + %d;
		const holds = () => { try { return Boolean(%s); } catch { return false; } };
		const look = () => {
			const held = holds();
			if (held || performance.now() > end) done(held);
			else setTimeout(look, 20);
		};
		look();
	})`, most.Milliseconds(), expression), chromedp.EvalAwaitPromise))
	return err == nil && held
}

func (p *person) at(path string) {
	p.t.Helper()
	p.until(fmt.Sprintf("location.pathname === %q && document.readyState === 'complete'", path))
}

// theme makes the system of this browser light or dark.
func (p *person) theme(name string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		return chromedp.Void{}, err
	}
}

// picture is the whole page, packed fast rather than small.
func picture(ctx context.Context, t *chromedp.Target) ([]byte, error) {
	m, err := cdp.Call(ctx, t, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	// Chromium moves a short page that is read from right to left aside where
	// more than what is in view is asked for.
	beyond := m.CSSContentSize.Height > float64(m.CSSLayoutViewport.ClientHeight)
	r, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &beyond, OptimizeForSpeed: new(true)})
	return r.Data, err
}

// look has a page examined by axe-core in both themes, and pictures taken.
func (p *person) look(name string) {
	p.t.Helper()
	p.axe(name)
	for _, width := range []int64{390, 1280} {
		for _, theme := range []string{"light", "dark"} {
			p.do(chromedp.EmulateViewport(width, 844), p.theme(theme))
			if wide := run(p, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > width {
				p.t.Errorf("%s: %d pixels wide on a screen of %d", name, wide, width)
			}
			picture := run(p, picture)
			must(p.t, os.WriteFile(filepath.Join(screens, fmt.Sprintf("%s-%d-%s.png", name, width, theme)), picture, 0o644))
		}
	}
	p.do(chromedp.EmulateViewport(1280, 900), p.theme("light"))
}

// glance is a look that costs less: a phone in the light, a desktop in the dark.
func (p *person) glance(name string) {
	p.t.Helper()
	p.axe(name)
	for width, theme := range map[int64]string{390: "light", 1280: "dark"} {
		p.do(chromedp.EmulateViewport(width, 844), p.theme(theme))
		if wide := run(p, chromedp.Evaluate[int64]("document.documentElement.scrollWidth")); wide > width {
			p.t.Errorf("%s: %d pixels wide on a screen of %d", name, wide, width)
		}
		must(p.t, os.WriteFile(filepath.Join(screens, fmt.Sprintf("%s-%d-%s.png", name, width, theme)), run(p, picture), 0o644))
	}
	p.do(chromedp.EmulateViewport(1280, 900), p.theme("light"))
}

// axe fails on every violation. In the dark, only colours can differ.
func (p *person) axe(name string) {
	p.t.Helper()
	source, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		p.t.Fatalf("axe-core is not installed; `make build` installs it: %v", err)
	}
	p.do(p.theme("light"))
	run(p, chromedp.Evaluate[chromedp.Void](string(source)))
	for theme, only := range map[string]string{"light": "{}", "dark": `{runOnly: ["color-contrast", "link-in-text-block"]}`} {
		p.do(p.theme(theme))
		found := run(p, chromedp.Evaluate[string](`axe.run(document, Object.assign({resultTypes: ["violations"]}, `+only+`)).then((r) => JSON.stringify(
			r.violations.map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html + " " + n.any.map((a) => a.message).join("; ")).join(" | "))))`, chromedp.EvalAwaitPromise))
		var all []string
		must(p.t, json.Unmarshal([]byte(found), &all))
		for _, v := range all {
			p.t.Errorf("%s, %s: %s", name, theme, v)
		}
	}
	p.do(p.theme("light"))
}
