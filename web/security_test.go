package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
)

// stranger is a device that has no page: what it does, anybody could.
type stranger struct {
	t *testing.T
	*agent.Client
}

func newStranger(t *testing.T, url string) stranger {
	t.Helper()
	key, err := device.GenerateKey()
	must(t, err)
	c := agent.NewClient(url, key, time.Now)
	t.Cleanup(func() { c.Close() })
	return stranger{t, c}
}

func (s stranger) call(path string, in, out any) {
	s.t.Helper()
	if err := s.Call(s.t.Context(), path, in, out); err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
}

// media makes the page what it is on paper, or on the screen again.
func (p *person) media(kind string) {
	p.t.Helper()
	p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: kind})
		return chromedp.Void{}, err
	})
}

func (p *person) holds(expression string) bool {
	p.t.Helper()
	return run(p, chromedp.Evaluate[bool]("Boolean("+expression+")"))
}

// seen lists the parts of the page that can be seen.
func (p *person) seen(selector string) int64 {
	p.t.Helper()
	return run(p, chromedp.Evaluate[int64](fmt.Sprintf(`[...document.querySelectorAll(%q)].filter((e) => e.checkVisibility()).length`, selector)))
}

var six = regexp.MustCompile(`\b\d{6}\b`)

// TestSecurity is about what an account's owner prepares and looks after:
// addresses, recovery codes, passkeys; a recovery that somebody begins; and
// about leaving.
func TestSecurity(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	const kept, gone, phone = "jane@mail.example", "gone@mail.example", "+4930901820"
	post := newPostbox(t)
	s := newSite(t, post.flags(t)...)
	laptop := newPerson(t, newBrowser(t), s.url, "laptop")
	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		ok := t.Run(name, func(t *testing.T) {
			laptop.t, s.t = t, t
			f(t)
		})
		laptop.t, s.t = t, t
		if !ok {
			t.FailNow()
		}
	}

	var undelivered string
	part("an address where nothing arrives", func(t *testing.T) {
		laptop.signUp(jane, password)
		laptop.open("/account/ways")
		post.refuses(true)
		laptop.write("#email", gone)
		laptop.click("#add-email button")
		laptop.until(`document.querySelector("#addresses .warn")?.textContent.includes("no such mailbox")`) // by itself
		post.refuses(false)
		laptop.look("ways-undelivered")
		laptop.click("#addresses .none")
		reference := strings.TrimPrefix(run(laptop, chromedp.Evaluate[string](`new Promise((told) => {
			const look = () => { const a = document.querySelector("#trouble a"); a ? told(a.pathname) : requestAnimationFrame(look); };
			look();
		})`, chromedp.EvalAwaitPromise)), "/incident/")
		laptop.click("#addresses .danger")
		laptop.until(`!document.querySelector("#addresses li")`)
		undelivered = reference
		laptop.open("/incident/" + reference)
		laptop.see("#told")
		if evidence := laptop.text("#evidence"); !strings.Contains(evidence, "no such mailbox") {
			t.Errorf("the owner is told %q: %q", laptop.text("#told-title"), evidence)
		}
	})

	part("a second e-mail, by keys alone", func(t *testing.T) {
		laptop.open("/account/ways")
		laptop.see("#add-email")
		laptop.do(chromedp.SendKeys(css("#email"), kept+"\r"))
		laptop.until(`document.activeElement.id.startsWith("code-")`)
		code := post.find(kept, six)
		laptop.do(chromedp.KeyEvent(code[:3] + " " + code[3:] + "\r"))
		laptop.until(`document.getElementById("addresses").textContent.includes("verified just now")`)
		laptop.until(`document.activeElement.id === "addresses-title"`)
		laptop.write("#email", kept)
		laptop.click("#add-email button")
		if said := laptop.text("#trouble"); !strings.Contains(said, "already") {
			t.Errorf("the same again: %q", said)
		}
	})

	part("a trusted phone number", func(t *testing.T) {
		laptop.write("#phone", "901820")
		laptop.click("#add-phone button")
		if said := laptop.text("#trouble"); !strings.Contains(said, "phone number with its country") {
			t.Errorf("without a country: %q", said)
		}
		laptop.write("#phone", "+49 30 901820")
		laptop.click("#add-phone button")
		laptop.see("#addresses form")
		laptop.click("#addresses .again")
		if said := laptop.text("#trouble"); !strings.Contains(said, "once a minute") {
			t.Errorf("another code at once: %q", said)
		}
		laptop.write("#addresses input", s.mailed(phone, six))
		laptop.click("#addresses [type=submit]")
		laptop.until(`!document.querySelector("#addresses form")`)
		laptop.click(`#addresses li:last-child .danger`) // verified: asks first
		laptop.click("#ask .main")
		if n := laptop.seen("#addresses li"); n != 2 {
			t.Errorf("%d addresses", n)
		}
	})

	var codes []string
	part("recovery codes, for who proves the password", func(t *testing.T) {
		// As an hour later: the server wants the password before it makes any.
		run(laptop, chromedp.Evaluate[chromedp.Void](`{
			const ask = window.fetch;
			window.fetch = (to, how) => to === "/v1/recovery/codes" && !how.body.includes('"grant"')
				? Promise.resolve(new Response('{"code": 4090, "title": "Not possible now", "reason": "fresh"}', {status: 409, headers: {"Content-Type": "application/problem+json"}}))
				: ask(to, how);
		}; undefined`))
		laptop.click("#codes-make")
		laptop.see("#prove")
		laptop.click("#prove .main")
		laptop.until(`document.querySelector("#prove [role=alert]").textContent.includes("needed")`)
		// Left while its proof is under way, and asked again: the press is heard.
		run(laptop, chromedp.Evaluate[chromedp.Void](`{
			const ask = window.fetch;
			let held = false;
			window.fetch = (to, how) => {
				if (held || !String(to).endsWith("/v1/sign-in/finish")) return ask(to, how);
				held = true;
				return new Promise(() => {});
			};
		}; undefined`))
		laptop.write("#prove-password", password)
		laptop.click("#prove .main")
		laptop.see("#prove .main[aria-busy=true]")
		laptop.click("#prove .no")
		laptop.click("#codes-make")
		laptop.see("#prove .main:not([aria-busy])")
		laptop.write("#prove-password", "a wrong one")
		laptop.click("#prove .main")
		laptop.until(`document.querySelector("#prove [role=alert] a")`)
		laptop.look("prove")
		laptop.write("#prove-password", password)
		laptop.click("#prove .main")
		laptop.see("#codes-made")
		codes = run(laptop, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#codes li")].map((e) => e.textContent)`))
		if left := laptop.text("#codes-left"); len(codes) != 10 || !strings.HasPrefix(left, "10 left") {
			t.Fatalf("%d recovery codes, %q", len(codes), left)
		}
		laptop.media("print")
		laptop.do(chromedp.EmulateViewport(800, 1100))
		if onPaper := laptop.text("#codes-of"); !strings.Contains(onPaper, jane) || !strings.Contains(onPaper, s.url) {
			t.Errorf("on paper it says %q", onPaper)
		}
		if cards, buttons, shown := laptop.seen(".card"), laptop.seen("button"), laptop.seen("#codes li"); cards != 1 || buttons != 0 || shown != 10 {
			t.Errorf("on paper are %d parts, %d buttons, %d codes", cards, buttons, shown)
		}
		must(t, os.WriteFile(filepath.Join(screens, "ways-paper.png"), run(laptop, picture), 0o644))
		laptop.media("")
		laptop.do(chromedp.EmulateViewport(1280, 900))
		laptop.click("#codes-kept")
		if laptop.holds(`document.body.textContent.includes("` + codes[0] + `")`) {
			t.Error("the codes are still there")
		}
	})

	part("a passkey with a name", func(t *testing.T) {
		laptop.finger()
		laptop.open("/account/ways")
		laptop.write("#passkey-name", "the key on my keyring")
		laptop.click("#passkey-add")
		laptop.until(`document.getElementById("passkeys").textContent.includes("the key on my keyring")`)
		laptop.look("ways-all")
		laptop.click("#passkey-add")
		if said := laptop.text("#trouble"); !strings.Contains(said, "added already") {
			t.Errorf("the same authenticator again: %q", said)
		}
		laptop.click("#passkeys .danger")
		laptop.click("#ask-yes")
		laptop.until(`!document.querySelector("#passkeys li")`)
	})

	part("a recovery that somebody begins", func(t *testing.T) {
		laptop.open("/account/devices")
		laptop.see("#devices li")
		other := newStranger(t, s.url)
		var begun, now api.Recovery
		other.call(api.PathRecoveryStart, api.RecoveryStart{Account: jane, DeviceName: "tablet", Client: api.Client{Name: "readmit", Version: "1.0.0", System: "linux", SystemVersion: "6.0", Protocol: api.Protocol}}, &begun)
		other.call(api.PathRecoveryProve, api.RecoveryProve{Recovery: begun.Recovery, Code: codes[0]}, &now)
		laptop.see("#recovering") // by itself, on every page
		laptop.click("#recovering.settled a")
		laptop.at("/account")
		laptop.until(`document.querySelector("#recoveries-list button:not(.danger, [data-settling])")`)
		laptop.click("#recoveries-list button:not(.danger)")
		laptop.until(`document.querySelector("#recoveries-list output")?.value`)
		laptop.look("recovery-approved")
		other.call(api.PathRecoveryProve, api.RecoveryProve{Recovery: begun.Recovery, DeviceCode: laptop.text("#recoveries-list output")}, &now)
		if now.State != "open" {
			t.Errorf("with two proofs it is %s", now.State)
		}
		laptop.until(`document.getElementById("recoveries-list").textContent.includes("the code was typed there")`)
		laptop.click("#recoveries-list .danger") // it can be stopped to the end
		laptop.see("#recoveries-told")
		laptop.until(`document.getElementById("recoveries").hidden`)
		if !laptop.holds(`document.activeElement.id === "recoveries-told"`) {
			t.Error("after stopping, the page is where it was")
		}
		other.call(api.PathRecoveryStatus, api.RecoveryCase{Recovery: begun.Recovery}, &now)
		if now.State != "cancelled" {
			t.Errorf("what was stopped is %s", now.State)
		}
	})

	part("in other languages", func(t *testing.T) {
		for _, lang := range []string{"de", "ar"} { // it stays the last
			laptop.open("/account/ways?lang=" + lang)
			laptop.see("#addresses li")
			if lang == "ar" {
				laptop.look("ways-ar")
			}
		}
		// The account's other pages from right to left, and an incident's.
		for name, path := range map[string]string{"account": "/account", "devices": "/account/devices", "activity": "/account/activity", "security": "/account/security", "incident": "/incident/" + undelivered} {
			laptop.open(path + "?lang=ar")
			laptop.until(`document.querySelector("#inside, #told").checkVisibility()`)
			if laptop.holds(`[...document.querySelectorAll("main *")].some((e) => e.childElementCount === 0 && e.checkVisibility() && /undefined|\{\w+\}|NaN/.test(e.textContent))`) {
				t.Errorf("%s has a hole in its words", path)
			}
			laptop.glance(name + "-ar")
		}
		laptop.open("/account/ways?lang=en")
		laptop.see("#addresses li")
	})

	part("all that is kept, as a file", func(t *testing.T) {
		dir := t.TempDir()
		laptop.do(func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
			_, err := chromedp.Call(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
				Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
			})
			return chromedp.Void{}, err
		})
		laptop.click("#export")
		name := laptop.text("#exported code")
		var b []byte
		for began := time.Now(); len(b) == 0 && time.Since(began) < step; time.Sleep(30 * time.Millisecond) {
			b, _ = os.ReadFile(filepath.Join(dir, name))
		}
		for _, want := range []string{jane, kept, phone, `"activity"`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s (%d bytes) lacks %s", name, len(b), want)
			}
		}
		for i, not := range append(codes, password) {
			if strings.Contains(string(b), not) {
				t.Errorf("%s holds secret %d", name, i)
			}
		}
	})

	part("close the account", func(t *testing.T) {
		laptop.click("#close")
		laptop.see("#closing")
		laptop.look("closing")
		said := func(want string) {
			t.Helper()
			laptop.click("#closing .danger")
			laptop.until(`document.querySelector("#closing [role=alert]").checkVisibility() && document.querySelector("#closing [role=alert]").textContent.includes("` + want + `")`)
		}
		laptop.write("#closing-word", "clos")
		laptop.write("#closing-password", password)
		said("word")
		laptop.write("#closing-word", "Close")
		laptop.write("#closing-password", "a wrong one")
		said("4001")
		laptop.click("#closing .no")
		laptop.until(`!document.getElementById("close").hasAttribute("aria-busy")`)
		laptop.click("#close")
		if laptop.holds(`document.getElementById("closing-word").value || document.getElementById("closing-password").value`) {
			t.Error("what was typed is still there")
		}
		laptop.write("#closing-word", "close")
		laptop.write("#closing-password", password)
		laptop.click("#closing .danger")
		laptop.at("/")
		if told := laptop.text("#told"); !strings.Contains(told, "closed") {
			t.Errorf("after closing: %q", told)
		}
		laptop.signIn(jane, password)
		laptop.refused()
	})
}
