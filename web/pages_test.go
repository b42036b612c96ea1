package web_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/opaque"
)

// signIn fills the form of the start page; what comes of it is the caller's to see.
func (p *person) signIn(account, password string) {
	p.t.Helper()
	p.open("/?add")
	p.see("#sign-in")
	p.write("#account", account)
	p.write("#password", password)
	p.click("#sign-in .main")
}

// refused waits for the page of a refusal and returns its reference.
func (p *person) refused() string {
	p.t.Helper()
	p.see("#refused")
	reference := p.text("#refused-reference")
	if _, ok := api.NormaliseReference(reference); !ok {
		p.t.Fatalf("%s: reference %q", p.name, reference)
	}
	return reference
}

var sixDigits = regexp.MustCompile(`\b(\d{3}) ?(\d{3})\b`)

func digits(t *testing.T, text string) string {
	t.Helper()
	m := sixDigits.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no code in %q", text)
	}
	return m[1] + m[2]
}

// allows presses Allow on the request of that name and reads the code.
func (p *person) allows(request string) string {
	p.t.Helper()
	p.until(`document.querySelector("#request-` + request + ` .main:not([data-settling])")`)
	p.click("#request-" + request + " .main")
	p.until(`document.querySelector("#request-` + request + ` output.digits")?.value`)
	return digits(p.t, p.text("#request-"+request+" output.digits"))
}

// enrol signs a new browser in with a code from an enrolled one.
func (p *person) enrol(by *person, account, password string) {
	p.t.Helper()
	p.signIn(account, password)
	p.write("#digits", by.allows(p.text("#code-request")))
	p.click("#code-form .main")
	p.at("/account")
	p.see("#inside")
}

// lock makes strangers guess at an account until they are locked out.
func lock(t *testing.T, url, account string) {
	t.Helper()
	key, err := device.GenerateKey()
	must(t, err)
	c := agent.NewClient(url, key, time.Now)
	defer c.Close()
	for range lockout.FailedLimit {
		_, ke1, err := opaque.StartLogin([]byte("a guess"))
		must(t, err)
		var started api.SignInStarted
		start := api.SignInStart{Account: account, Purpose: api.ForSignIn, KE1: ke1, DeviceName: "stranger", Client: api.Client{Name: "readmit", Version: "1.0.0", System: "linux", SystemVersion: "6.0", Protocol: api.Protocol}}
		must(t, c.Call(context.Background(), api.PathSignInStart, start, &started))
		err = c.Call(context.Background(), api.PathSignInFinish, api.SignInFinish{State: started.State, KE3: opaque.DecoyKE3()}, nil)
		if p, ok := err.(*api.Problem); !ok || p.Code != api.Failed {
			t.Fatalf("a guess: %v", err)
		}
	}
}

// TestPages walks through everything that people do, in the order they would.
func TestPages(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	phone := newPerson(t, browser, s.url, "phone")
	shell := s.terminal()

	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		ok := t.Run(name, func(t *testing.T) {
			laptop.t, phone.t, s.t = t, t, t
			f(t)
		})
		laptop.t, phone.t, s.t = t, t, t
		if !ok {
			t.FailNow() // what follows builds on it
		}
	}

	// How long it takes is a row of `make bench`; what it takes is counted here.
	part("the first page needs little to be used", func(t *testing.T) {
		const most = 8
		fresh := newPerson(t, browser, s.url, "fresh") // with an empty cache
		fresh.open("/")
		fresh.until(`performance.getEntriesByName("usable").length`)
		before := run(fresh, chromedp.Evaluate[[]string](`performance.getEntriesByType("resource").filter((r) => r.startTime < performance.getEntriesByName("usable")[0].startTime).map((r) => r.name.split("/").pop())`))
		if len(before) == 0 || len(before) > most {
			t.Errorf("%d things are loaded before it can be used, want %d at most: %q", len(before), most, before)
		}
	})

	part("sign up", func(t *testing.T) {
		laptop.open("/")
		laptop.look("home")
		laptop.click(`a[href="/sign-up"]`)
		laptop.at("/sign-up")
		laptop.write("#account", jane)
		laptop.write("#password", "password")
		laptop.click("#sign-up .main")
		if said := laptop.text("#password-hint"); !strings.Contains(said, "first that anybody would guess") {
			t.Errorf("a common password: %q", said)
		}
		laptop.look("signup")
		laptop.write("#password", password)
		laptop.write("#device", "laptop")
		laptop.click("#sign-up .main")
		laptop.at("/account")
		if last := laptop.text("#latest li"); !strings.Contains(last, "Account made") || !strings.Contains(last, "laptop") {
			t.Errorf("what happened last: %q", last)
		}
	})

	part("told before anything is sent", func(t *testing.T) {
		phone.open("/")
		phone.write("#account", " "+jane)
		if said := phone.text("#account-hint"); !strings.Contains(said, "space") {
			t.Errorf("a space: %q", said)
		}
		phone.do(chromedp.Focus(css("#password")))
		phone.strike("KeyA", "A")
		if said := phone.text("#password-hint"); !strings.Contains(said, "Caps lock") {
			t.Errorf("caps lock: %q", said)
		}
		// J was a j in the account; now its key gives another letter.
		phone.write("#password", "x")
		phone.strike("KeyJ", "о")
		if said := phone.text("#password-hint"); !strings.Contains(said, "layout") {
			t.Errorf("another layout: %q", said)
		}
		phone.look("home-hints")
		phone.write("#password", "x ")
		if said := phone.text("#password-hint"); !strings.Contains(said, "ends with a space") {
			t.Errorf("a space at the password's end: %q", said)
		}
		sent := run(phone, chromedp.Evaluate[int64](`performance.getEntriesByType("resource").filter((r) => r.name.includes("/v1/")).length`))
		if sent != 0 {
			t.Errorf("%d messages were sent", sent)
		}
	})

	part("a second browser, with a code from the first", func(t *testing.T) {
		phone.signIn(" "+strings.ToUpper(jane), password)
		request := phone.text("#code-request")
		laptop.see("#request-" + request) // by itself, and told to who listens
		laptop.until(`/^Chrome - Linux asks to sign in$/.test(document.getElementById("say").textContent) && document.getElementById("say").getAttribute("aria-live") === "polite"`)
		phone.look("code")
		laptop.look("request")
		phone.write("#digits", "12")
		phone.click("#code-form .main")
		if said := phone.text("#digits-hint"); !strings.Contains(said, "Nothing was sent") {
			t.Errorf("two digits: %q", said)
		}
		code := laptop.allows(request)
		laptop.look("allowed")
		wrong := "000000"
		if code == wrong {
			wrong = "111111"
		}
		phone.write("#digits", wrong)
		phone.click("#code-form .main")
		if said := phone.text("#code-trouble"); !strings.Contains(said, "Tries left: 2") {
			t.Errorf("a wrong code: %q", said)
		}
		phone.write("#digits", code[:3]+" "+code[3:])
		phone.click("#code-form .main")
		phone.at("/account")
		laptop.until(`document.querySelector("#request-` + request + ` .outcome")?.textContent.includes("Signed in")`)
	})

	part("a terminal, allowed by the page", func(t *testing.T) {
		// The page lets the server know, once, that the request has come to somebody.
		const fetches = `performance.getEntriesByType("resource").filter((r) => r.name.endsWith("/v1/requests")).length`
		before := run(laptop, chromedp.Evaluate[int64](fetches))
		out, exit := shell.run(password+"\n", "sign-in", "--server", s.url, "--account", jane, "--password-file", "-", "--device-name", "shell")
		if exit != 4 {
			t.Fatalf("sign-in: %d: %s", exit, out)
		}
		laptop.until(`[...document.querySelectorAll(".request strong")].some((e) => e.textContent === "shell")`)
		request := run(laptop, chromedp.Evaluate[string](`[...document.querySelectorAll(".request")].find((e) => e.textContent.includes("shell")).querySelector(".tag").textContent`))
		if out, exit := shell.run("", "sign-in", "--code", laptop.allows(request)); exit != 0 {
			t.Fatalf("sign-in with the page's code: %d: %s", exit, out)
		}
		laptop.until(`document.querySelector("#request-` + request + ` .outcome")?.textContent.includes("Signed in")`)
		if n := run(laptop, chromedp.Evaluate[int64](fetches)); n != before+1 {
			t.Errorf("requests were fetched %d times for one", n-before)
		}
	})

	part("a browser, allowed by the terminal, by keys alone", func(t *testing.T) {
		tablet := newPerson(t, browser, s.url, "tablet")
		tablet.open("/")
		tab := func(id string) {
			t.Helper()
			for range 12 {
				tablet.do(chromedp.KeyEvent("\t"))
				if run(tablet, chromedp.Evaluate[string]("document.activeElement.id")) == id {
					return
				}
			}
			t.Fatalf("keys do not lead to %s", id)
		}
		tab("account")
		tablet.do(chromedp.KeyEvent(jane))
		tab("password")
		tablet.do(chromedp.KeyEvent(password + "\r"))
		request := tablet.text("#code-request")
		if on := run(tablet, chromedp.Evaluate[string]("document.activeElement.tagName")); on != "H1" {
			t.Errorf("the new state is read from %s on", on)
		}
		out, exit := shell.run("", "allow", request)
		if exit != 0 {
			t.Fatalf("allow: %d: %s", exit, out)
		}
		tab("digits")
		tablet.do(chromedp.KeyEvent(digits(t, out) + "\r"))
		tablet.at("/account")
	})

	part("a code by hand", func(t *testing.T) {
		other := newPerson(t, browser, s.url, "other")
		other.signIn(jane, password)
		other.see("#code")
		phone.open("/account")
		phone.see("#requests-list li")
		phone.click("#codes-show")
		phone.until(`document.getElementById("live-code").value`)
		phone.look("by-hand")
		other.write("#digits", phone.text("#live-code"))
		other.click("#code-form .main")
		other.at("/account")
	})

	var wrong, scanned string
	part("refused: one page for all", func(t *testing.T) {
		if out, exit := s.terminal().run(password+"\n", "sign-up", "--server", s.url, "--account", "locked@example.org", "--password-file", "-"); exit != 0 {
			t.Fatalf("sign-up: %s", out)
		}
		if out, exit := s.terminal().run(password+"\n", "sign-up", "--server", s.url, "--account", "disabled@example.org", "--password-file", "-"); exit != 0 {
			t.Fatalf("sign-up: %s", out)
		}
		if out, exit := s.terminal().run("", "admin", "disable", "disabled@example.org", "--data", s.data); exit != 0 {
			t.Fatalf("disable: %s", out)
		}
		lock(t, s.url, "locked@example.org")
		stranger := newPerson(t, browser, s.url, "stranger")
		var first string
		for _, tt := range []struct{ what, account, password string }{
			{"wrong password", jane, "a wrong one"},
			{"unknown account", "nobody@example.org", password},
			{"locked, and right", "locked@example.org", password},
			{"disabled, and right", "disabled@example.org", password},
		} {
			stranger.signIn(tt.account, tt.password)
			reference := stranger.refused()
			page := run(stranger, chromedp.Evaluate[string](`document.documentElement.outerHTML`))
			page = strings.ReplaceAll(page, reference, "REFERENCE")
			if first == "" {
				first, wrong = page, reference
				stranger.look("refused")
				scanned = stranger.readsQR(reference)
			}
			if page != first {
				t.Errorf("%s: the page differs:\n%s\n%s", tt.what, page, first)
			}
		}
		// The way to the reason is there for everybody: who may not know it is told that.
		stranger.click("#refused-why")
		stranger.see("#untold")
		stranger.signIn(jane, "a wrong one")
		stranger.refused()
		stranger.click("#refused-retry")
		stranger.see("#sign-in")

		// A browser that is enrolled, and was refused itself, is told at once.
		laptop.signIn(jane, "a wrong one")
		reference := laptop.refused()
		laptop.click("#refused-why")
		laptop.at("/incident/" + reference)
		if title := laptop.text("#told-title"); title != "The password was not the account's" {
			t.Errorf("the cause is %q", title)
		}
	})

	part("understand", func(t *testing.T) {
		laptop.open("/account")
		laptop.see("#inside")
		laptop.write("#reference", strings.ToLower(strings.ReplaceAll(wrong, "-", " ")))
		laptop.click("#explain button")
		laptop.at("/incident/" + wrong)
		if title := laptop.text("#told-title"); title != "The password was not the account's" {
			t.Errorf("the cause is %q", title)
		}
		if found := laptop.text("#evidence"); !strings.Contains(found, "not proved") || !strings.Contains(found, "the server") {
			t.Errorf("the evidence is %q", found)
		}
		laptop.look("incident")
		laptop.click("#you-yes")
		laptop.until(`document.getElementById("you-told").textContent.includes("nothing to fear")`)
		laptop.open(scanned) // the QR code's address, on a device that is enrolled: it is kept
		laptop.until(`document.getElementById("you-told").textContent === "You said that this was you, just now."`)
		if laptop.seen("#you-yes") != 0 || laptop.seen(`#you a[href$="#not-me"]`) != 1 {
			t.Error("what was said is asked again, or cannot be thought better of")
		}
		laptop.look("incident-mine")
		laptop.click("#remedies a.main")
		laptop.at("/")

		laptop.open("/account/activity")
		laptop.see("#activity li")
		if rows := run(laptop, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#activity .state.good:not(.signed-in)")].map((e) => e.closest("li").querySelector("a").pathname)`)); len(rows) != 1 || rows[0] != "/incident/"+wrong {
			t.Errorf("recognised are %q", rows)
		}
		// Another one, said here.
		other := newPerson(t, browser, s.url, "other")
		other.signIn(jane, "another wrong one")
		second := other.refused()
		laptop.open("/account/activity")
		laptop.click(`#activity li:has([href="/incident/` + second + `"]) button.link`)
		laptop.until(`document.activeElement.textContent.startsWith("You said that this was you")`)
		laptop.look("activity")
		laptop.open("/account/activity")
		laptop.until(`document.querySelectorAll("#activity .go .state.good").length === 2`)
		laptop.click(`input[value="looks"]`)
		for _, look := range []string{"Explanation " + wrong + " read, as the owner", "Said to have been you: " + wrong} {
			laptop.until(fmt.Sprintf(`document.getElementById("activity").textContent.includes(%q)`, look))
		}

		stranger := newPerson(t, browser, s.url, "stranger")
		stranger.open("/incident/" + wrong)
		stranger.see("#untold")
		stranger.look("untold")
		stranger.click("#untold-signin")
		stranger.see("#sign-in")
		stranger.open("/account")
		stranger.see("#signed-out")
		stranger.look("signed-out")
	})

	part("somebody with a wrong clock is told so", func(t *testing.T) {
		late := newPerson(t, browser, s.url, "late")
		late.open("/")
		run(late, chromedp.Evaluate[chromedp.Void](`{ const now = Date.now; Date.now = () => now() + 3600e3 }; undefined`))
		late.write("#account", jane)
		late.write("#password", password)
		late.click("#sign-in .main")
		late.refused()
		if said := late.text("#refused-public"); !strings.Contains(said, "clock") {
			t.Errorf("said to anyone: %q", said)
		}
		late.look("refused-clock")
	})

	part("deny", func(t *testing.T) {
		// A press that was on its way when the request appeared: not taken.
		laptop.open("/account")
		laptop.see("#inside")
		run(laptop, chromedp.Evaluate[chromedp.Void](`new MutationObserver((_, observer) => {
			const deny = document.querySelector("#requests-list .danger");
			if (!deny) return;
			observer.disconnect();
			deny.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1 }));
			document.body.dataset.pressed = deny.getAttribute("aria-busy") ?? "no";
		}).observe(document.getElementById("requests-list"), { childList: true }); undefined`))
		phone.open("/account/security")
		phone.see("#sign-out-all")
		stood := phone.place("#sign-out-all")
		thief := newPerson(t, browser, s.url, "thief")
		thief.signIn(jane, password)
		request := thief.text("#code-request")
		phone.see("#asked") // on every page of the account
		if stands := phone.place("#sign-out-all"); stands != stood {
			t.Errorf("what tells of a request has moved a button from %s to %s", stood, stands)
		}
		phone.look("asked")
		phone.click("#asked.settled a")
		phone.at("/account")
		laptop.until(`document.body.dataset.pressed`)
		if pressed := run(laptop, chromedp.Evaluate[string](`document.body.dataset.pressed`)); pressed != "no" {
			t.Error("a press on what has just appeared is taken")
		}
		laptop.click("#request-" + request + " .danger")
		laptop.until(`document.querySelector("#request-` + request + `").textContent.includes("Change the password")`)
		thief.write("#digits", "123456")
		thief.click("#code-form .main")
		thief.see("#code-trouble")
	})

	part("nothing moves under a pointer", func(t *testing.T) {
		laptop.open("/account")
		laptop.see("#codes-show")
		at := run(laptop, chromedp.Evaluate[[]float64](`(() => { const b = document.getElementById("codes-show"); b.scrollIntoView({ block: "center" }); const r = b.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()`))
		stood := laptop.place("#codes-show")
		laptop.mouse(input.DispatchMouseEventTypeMousePressed, at)
		moved := run(laptop, chromedp.Evaluate[bool](`(async () => {
			const { settle } = await import(document.querySelector("script[type=module]").src.replace(/[^/]*$/, "settle.js"));
			const show = document.getElementById("codes-show"), stood = show.getBoundingClientRect().y;
			new MutationObserver(() => { if (show.hasAttribute("data-settling")) document.body.dataset.settling = "so"; }).observe(show, { attributes: true });
			settle(() => { document.body.dataset.news = "there"; document.getElementById("requests").style.paddingBottom = "9rem"; });
			await new Promise((go) => setTimeout(go, 600)); // longer than a pointer has to rest
			return Boolean(document.body.dataset.news) || show.getBoundingClientRect().y !== stood;
		})()`, chromedp.EvalAwaitPromise))
		if moved {
			t.Error("something appears while a button is held")
		}
		laptop.mouse(input.DispatchMouseEventTypeMouseReleased, at)
		laptop.until(`document.body.dataset.news`)
		laptop.until(`document.getElementById("live-code").value`) // the press was what it was meant for
		if laptop.place("#codes-show") == stood {
			t.Error("the news did not move anything: nothing was tested")
		}
		if !laptop.holds(`document.body.dataset.settling`) {
			t.Error("what has moved takes presses at once")
		}
	})

	part("what is slow replaces nothing newer", func(t *testing.T) {
		drawn := run(laptop, chromedp.Evaluate[string](`(async () => {
			const { inTurn } = await import(document.querySelector("script[type=module]").src.replace(/[^/]*$/, "settle.js"));
			let now = "old", drawn = "";
			const look = inTurn(async () => {
				const got = now;
				await new Promise((go) => setTimeout(go, got === "old" ? 100 : 10)); // as answers do that overtake each other
				drawn += got + " ";
			});
			const first = look().then(() => { drawn += "told "; });
			await new Promise((go) => setTimeout(go));
			now = "new";
			await Promise.all([first, look(), look()]);
			return drawn;
		})()`, chromedp.EvalAwaitPromise))
		if drawn != "old told new " {
			t.Errorf("drawn, and told whoever asked first: %q", drawn)
		}
	})

	part("remove a device", func(t *testing.T) {
		laptop.open("/account/devices")
		laptop.see("#devices li")
		laptop.look("devices")
		laptop.click(`#devices button[aria-label="Remove shell"]`)
		laptop.see("#ask")
		laptop.look("ask")
		laptop.click("#ask-yes")
		laptop.see("#gone")
		if out, exit := shell.run("", "devices"); exit != 1 || !strings.Contains(out, "4001") {
			t.Errorf("the removed device is still let in: %d: %s", exit, out)
		}
	})

	const next = "another horse, another staple"
	part("change the password", func(t *testing.T) {
		laptop.open("/account/security")
		laptop.see("#change")
		laptop.look("security")
		laptop.write("#password", "a wrong one")
		laptop.write("#next", next)
		laptop.click("#change .main")
		if said := laptop.text("#trouble"); !strings.Contains(said, "4001") {
			t.Errorf("a wrong present password: %q", said)
		}
		laptop.write("#password", password)
		laptop.click("#change .main")
		if said := laptop.text("#changed"); !strings.Contains(said, "signed out: 3") {
			t.Errorf("changed: %q", said)
		}
		phone.refused() // the open page says it by itself
		phone.look("session-ended")
		phone.signIn(jane, next) // still trusted: no code
		phone.at("/account")
	})

	part("one-time pass", func(t *testing.T) {
		lock(t, s.url, jane)
		laptop.click("#make-pass")
		pass := laptop.text("#pass-text")
		desktop := newPerson(t, browser, s.url, "desktop")
		desktop.open("/")
		desktop.write("#account", jane)
		desktop.write("#password", next)
		desktop.click("#sign-in summary")
		desktop.write("#pass", pass)
		desktop.click("#sign-in .main")
		desktop.see("#code")
	})

	part("several accounts side by side", func(t *testing.T) {
		phone.open("/sign-up")
		phone.write("#account", "joe@example.org")
		phone.write("#password", password)
		phone.click("#sign-up .main")
		phone.at("/account")
		phone.until(`document.getElementById("who-account").textContent === "joe@example.org"`)
		phone.see("#inside")
		phone.click("#who summary")
		phone.look("accounts")
		phone.click("#who-others button")
		phone.until(`document.getElementById("who-account").textContent === "` + jane + `"`)
		phone.open("/")
		phone.see("#here")
		phone.look("home-signed-in")
	})

	part("sign out everywhere", func(t *testing.T) {
		phone.open("/account")
		phone.see("#inside")
		laptop.open("/account/security")
		laptop.click("#sign-out-all")
		laptop.click("#ask-yes")
		laptop.at("/")
		laptop.see("#sign-in")
		phone.refused()
	})

	part("help, in every language", func(t *testing.T) {
		reader := newPerson(t, browser, s.url, "reader")
		for path, name := range map[string]string{"/help/4001": "help-4001", "/help": "causes", "/help/password-wrong": "cause", "/nothing/here": "nothing"} {
			reader.open(path)
			reader.look(name)
		}
		for _, path := range []string{"/?lang=de", "/sign-up?lang=ar", "/help/4001?lang=ar", "/help/clock-off?lang=de"} {
			reader.open(path)
			reader.look("other" + strings.NewReplacer("/", "-", "?lang=", "-").Replace(path))
		}
		reader.signIn(jane, "a wrong one") // the language stays: the last was German
		reader.refused()
		if said := reader.text("#refused h1"); said != "Anmeldung fehlgeschlagen" {
			t.Errorf("a refusal in German: %q", said)
		}
		reader.open("/?lang=ar")
		reader.signIn(jane, "a wrong one")
		reader.refused()
		reader.look("refused-ar")
	})
}

// readsQR reads the code on the page with another implementation, and returns
// the path that it leads to.
func (p *person) readsQR(reference string) string {
	p.t.Helper()
	source, err := os.ReadFile("node_modules/jsqr/dist/jsQR.js")
	if err != nil {
		p.t.Fatalf("jsqr is not installed; `make build` installs it: %v", err)
	}
	run(p, chromedp.Evaluate[chromedp.Void](string(source)+"\nundefined"))
	got := run(p, chromedp.Evaluate[string](`(async () => {
		const image = document.getElementById("refused-qr");
		await image.decode();
		const c = Object.assign(document.createElement("canvas"), {width: 400, height: 400}).getContext("2d");
		c.drawImage(image, 0, 0, 400, 400);
		return jsQR(c.getImageData(0, 0, 400, 400).data, 400, 400)?.data ?? "unreadable";
	})()`, chromedp.EvalAwaitPromise))
	if want := p.url + "/incident/" + reference; got != want {
		p.t.Errorf("the QR code reads %q, want %q", got, want)
	}
	return strings.TrimPrefix(got, p.url)
}
