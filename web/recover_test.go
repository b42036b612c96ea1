package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// calls makes a call of the protocol as a page would, past all that the page
// keeps back: the answer, or "refused" with the problem's code.
func (p *person) calls(path string, message map[string]any) string {
	p.t.Helper()
	m, err := json.Marshal(message)
	must(p.t, err)
	return run(p, chromedp.Evaluate[string](fmt.Sprintf(`(async () => {
		const at = document.querySelector("script[type=module]").src.replace(/[^/]*$/, "");
		const [{ on }, { current }] = await Promise.all([import(at + "wire.js"), import(at + "kept.js")]);
		try { return JSON.stringify(await on(await current(), %q, %s)); } catch (e) { return "refused " + (e.code ?? e.message); }
	})()`, path, m), chromedp.EvalAwaitPromise))
}

// eventually waits for what only the server does.
func (p *person) eventually(path, answer string) {
	p.t.Helper()
	for began := time.Now(); time.Since(began) < step; {
		if strings.Contains(p.calls(path, nil), answer) {
			return
		}
	}
	p.t.Fatalf("%s never answers %s", path, answer)
}

// sent counts the page's messages to a path.
func (p *person) sent(path string) int64 {
	p.t.Helper()
	return run(p, chromedp.Evaluate[int64](fmt.Sprintf(`performance.getEntriesByType("resource").filter((r) => r.name.includes(%q)).length`, path)))
}

// has gives the account an address, verified by the code that was mailed.
func (p *person) has(box *postbox, value string) {
	p.t.Helper()
	var added struct{ ID string }
	must(p.t, json.Unmarshal([]byte(p.calls("/v1/addresses/add", map[string]any{"kind": "email", "value": value})), &added))
	code := box.find(value, regexp.MustCompile(`(?m)^(\d{6})\r?$`))
	if out := p.calls("/v1/addresses/verify", map[string]any{"id": added.ID, "code": code}); strings.HasPrefix(out, "refused") {
		p.t.Fatalf("verify: %s", out)
	}
}

func (p *person) recoveryCodes() (codes []string) {
	p.t.Helper()
	var made struct{ Codes []string }
	must(p.t, json.Unmarshal([]byte(p.calls("/v1/recovery/codes", nil)), &made))
	return made.Codes
}

// begins a recovery with real keys and clicks.
func (p *person) begins(account string) {
	p.t.Helper()
	p.see("#begin-form")
	p.write("#account", account)
	p.click("#begin-form .main")
	p.see("#case")
	if run(p, chromedp.Evaluate[bool](`!document.getElementById("case-trouble").hidden`)) {
		p.t.Errorf("at once: %s", p.text("#case-trouble"))
	}
}

// TestRecover: who has lost something gets in, who has not is stopped.
func TestRecover(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	box := newPostbox(t)
	s := newSite(t, box.flags(t)...)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	lost := newPerson(t, browser, s.url, "lost")
	thief := newPerson(t, browser, s.url, "thief")
	const next, home = "another horse, another staple", "jane@mail.example"
	laptop.signUp(jane, password)
	laptop.has(box, home)
	codes := laptop.recoveryCodes()
	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		ok := t.Run(name, func(t *testing.T) {
			laptop.t, lost.t, thief.t, s.t, box.t = t, t, t, t, t
			f(t)
		})
		laptop.t, lost.t, thief.t, s.t, box.t = t, t, t, t, t
		if !ok {
			t.FailNow() // what follows builds on it
		}
	}

	part("a forgotten name: one answer to everybody", func(t *testing.T) {
		lost.open("/")
		lost.click(`#enter a[href="/recover"]`)
		lost.at("/recover")
		var first string
		for _, email := range []string{"nobody@mail.example", home} {
			lost.open("/recover")
			lost.click("#forgot summary")
			lost.write("#email", email)
			lost.click("#forgot-form [type=submit]")
			lost.until(`document.getElementById("forgot-told").textContent`)
			page := run(lost, chromedp.Evaluate[string](`document.getElementById("begin").innerHTML`))
			if first == "" {
				first = page
			}
			if page != first {
				t.Errorf("the page tells whether somebody has %s", email)
			}
		}
		box.find(home, regexp.MustCompile(`(?m)^jane@example\.org\r?$`))
	})

	part("nothing proved: the same for every account", func(t *testing.T) {
		var first string
		for _, account := range []string{"nobody@example.org", jane} {
			thief.open("/recover#new")
			thief.begins(account)
			thief.write("#recovery-code", "AAAA-AAAA-AAAA-AAAA")
			thief.click("#prove-code [type=submit]")
			said := thief.text("#case-trouble")
			if !strings.Contains(said, "4001") {
				t.Errorf("a code made up: %q", said)
			}
			page := run(thief, chromedp.Evaluate[string](`document.getElementById("case").innerHTML`))
			for what, as := range map[string]string{account: "ACCOUNT", strings.ReplaceAll(account, "@", "%40"): "ACCOUNT"} {
				page = strings.ReplaceAll(page, what, as)
			}
			page = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}\)|\d+:\d\d.[AP]M`).ReplaceAllString(page, "")
			if first == "" {
				first = page
			}
			if page != first {
				t.Errorf("the page differs:\n%s\n%s", page, first)
			}
			thief.open("/") // away from the case, so that the next address is a new page
		}
		thief.open("/recover")
		thief.see("#begun")
		if n := run(thief, chromedp.Evaluate[int64](`document.querySelectorAll("#begun-list li").length`)); n != 2 {
			t.Errorf("%d recoveries are offered", n)
		}
		thief.look("recover-begun")
		thief.click("#begun-list li:first-child a")
		thief.see("#case")
		thief.click("#forget")
		thief.click("#ask-yes")
		thief.see("#begun")
		thief.until(`document.querySelectorAll("#begun-list li").length === 1`)
		thief.open("/")
		thief.open("/recover#case=somebody%40example.org")
		if said := thief.text("#trouble"); !strings.Contains(said, "This browser has begun no recovery") {
			t.Errorf("a case of another browser: %q", said)
		}
	})

	part("left, and found again by its address", func(t *testing.T) {
		lost.open("/recover?lang=en")
		lost.begins(jane)
		lost.write("#recovery-code", " "+strings.ToLower(codes[0]))
		lost.click("#prove-code [type=submit]")
		lost.until(`document.getElementById("case-told").textContent.includes("opens in 24 hours")`)
		lost.see("#case-wait")
		lost.look("recover-found")
		link := run(lost, chromedp.Evaluate[string](`document.getElementById("case-link").href`))
		if link != s.url+"/recover#case=jane%40example.org" {
			t.Errorf("its address is %s", link)
		}
		lost.open("/")
		lost.open(strings.TrimPrefix(link, s.url))
		lost.until(`document.getElementById("case-told").textContent.includes("opens in 24 hours")`)
	})

	var word string
	part("stopped by the link of the message", func(t *testing.T) {
		link := box.find(home, regexp.MustCompile(`(?m)^(http\S+/recover#stop=\S+?)\r?$`))
		path, ok := strings.CutPrefix(link, s.url)
		if !ok {
			t.Fatalf("the link leads to %s", link)
		}
		word = path[strings.IndexByte(path, '=')+1:]
		// What fetches links, as mail scanners do, stops nothing.
		r, err := http.Get(link)
		must(t, err)
		r.Body.Close()
		reader := newPerson(t, browser, s.url, "reader")
		reader.open(path)
		reader.see("#stop-now")
		reader.look("recover-stop")
		if n := reader.sent("/v1/"); n != 0 {
			t.Errorf("%d messages before anything was pressed", n)
		}
		lost.open("/recover")
		lost.until(`document.getElementById("case-told").textContent.includes("opens in")`)
		reader.click("#stop-now")
		reader.see("#stopped")
		if n := reader.sent(word); n != 0 {
			t.Errorf("the word stands in %d addresses", n)
		}
		if rest := run(reader, chromedp.Evaluate[string]("location.hash")); rest != "" {
			t.Errorf("the word is still in the address: %s", rest)
		}
		reader.look("recover-stopped")
		lost.open("/recover")
		lost.until(`document.getElementById("case-state").textContent === "It was stopped"`)
		reader.open("/recover#new")
		reader.click("#stop summary")
		reader.write("#stop-word", word)
		reader.click("#stop-form [type=submit]")
		reader.until(`document.getElementById("stop-told").textContent.startsWith("No such recovery")`)
	})

	part("another site sends nothing and frames nothing", func(t *testing.T) {
		evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, `<form method="post" enctype="text/plain" action="%s/v1/recovery/cancel"><input name='{"word":"' value='%s"}'><button>win a prize</button></form>`, s.url, word)
		}))
		defer evil.Close()
		visitor := newPerson(t, browser, evil.URL, "visitor")
		visitor.open("/")
		visitor.click("button")
		visitor.until(`location.pathname === "/v1/recovery/cancel" && document.body.textContent.includes("403")`)
		for _, path := range []string{"/recover", "/recover?x#stop=" + word, "/desk", "/account", "/incident/4K7Q-9FXM"} {
			r, err := http.Get(s.url + path)
			must(t, err)
			r.Body.Close()
			if !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.Header.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s may be framed, or named to others: %v", path, r.Header)
			}
		}
	})

	part("support, let in by a recovery code", func(t *testing.T) {
		lost.signIn(jane, "a wrong one")
		reference := lost.refused()
		if !run(lost, chromedp.Evaluate[bool](`Boolean(document.querySelector("#refused a[href='/recover']"))`)) {
			t.Error("the refusal does not lead to a recovery")
		}
		lost.open("/incident/" + reference)
		lost.click("#untold-support")
		lost.see("#support-form")
		lost.look("recover-support")
		give := func(account, code string) string {
			t.Helper()
			lost.write("#support-account", account)
			lost.write("#support-reference", strings.ToLower(reference))
			lost.write("#support-code", code)
			lost.click("#support-form [type=submit]")
			lost.until(`document.getElementById("support-told").textContent`)
			return regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`).ReplaceAllString(lost.text("#support-told"), "REFERENCE")
		}
		wrong, unknown, used := give(jane, "AAAA-AAAA-AAAA-AAAA"), give("nobody@example.org", codes[1]), give(jane, codes[0])
		if wrong != unknown || wrong != used || !strings.Contains(wrong, "4001") {
			t.Errorf("refusals differ: %q, %q, %q", wrong, unknown, used)
		}
		if said := give(jane, codes[1]); !strings.Contains(said, "24 hours") {
			t.Errorf("let in: %q", said)
		}
		if out := laptop.calls("/v1/approvals", nil); !strings.Contains(out, reference) || !strings.Contains(out, "recovery-code") {
			t.Errorf("the owner sees %s", out)
		}
	})

	part("given up by who began it", func(t *testing.T) {
		laptop.open("/account")
		laptop.see("#inside")
		thief.open("/")
		thief.open("/recover#new")
		thief.begins(jane)
		thief.write("#recovery-code", codes[5])
		thief.click("#prove-code [type=submit]")
		thief.until(`document.getElementById("case-told").textContent.includes("opens in")`)
		laptop.see("#recoveries li") // by itself
		thief.click("#forget")
		thief.click("#ask-yes")
		thief.see("#begin-form")
		laptop.until(`document.getElementById("recoveries").hidden`) // by itself
		box.find(home, regexp.MustCompile(`by the device that began it`))
		laptop.open("/account/activity")
		laptop.click(`input[value="support"]`)
		laptop.until(`document.getElementById("activity").textContent.includes("Recovery given up by who began it")`)
	})

	part("two proofs, and in", func(t *testing.T) {
		lost.open("/recover")
		lost.see("#case")
		lost.click("#anew")
		lost.begins(jane)
		lost.click("#send")
		lost.write("#address-code", box.find(home, regexp.MustCompile(`(?m)^([0-9A-Z]{4}-[0-9A-Z]{4})\r?$`)))
		lost.click("#prove-address [type=submit]")
		lost.until(`document.getElementById("case-told").textContent.includes("opens in")`)
		lost.write("#recovery-code", codes[2])
		lost.click("#prove-code [type=submit]")
		lost.see("#new-password")
		lost.write("#password", "password")
		lost.click("#new-password .main")
		if said := lost.text("#password-hint"); said == "" {
			t.Error("a common password is taken")
		}
		lost.write("#password", next)
		lost.click("#new-password .main")
		lost.at("/account")
		lost.see("#inside")
		laptop.refused() // by itself: every session has ended
		lost.open("/account/activity")
		lost.see("#activity li")
		lost.click(`input[value="support"]`)
		for _, what := range []string{"Password set by recovery", "Recovery stopped", "Support allowed to see an incident", "Recovery proved by a recovery code"} {
			lost.until(fmt.Sprintf(`document.getElementById("activity").textContent.includes(%q)`, what))
		}
	})

	part("messages that did not arrive", func(t *testing.T) {
		box.refuses(true)
		lost.calls("/v1/recovery/codes", nil)
		lost.eventually("/v1/addresses", `"why":"no-such-mailbox"`)
		lost.open("/account/activity")
		lost.click(`input[value="failed"]`)
		lost.until(`document.getElementById("activity").textContent.includes("no such mailbox")`)
		if said := lost.text("#activity"); !strings.Contains(said, home) || !strings.Contains(said, "not delivered") {
			t.Errorf("the activity tells %q", said)
		}
		lost.look("activity-undelivered")
	})

	part("from right to left", func(t *testing.T) {
		thief.open("/recover?lang=ar#new")
		thief.begins(jane)
		thief.look("recover-ar")
		thief.open("/recover?lang=de#stop=8ZK2-9Q4M-XT7B-0RWD")
		thief.look("recover-stop-de")
	})
}

// TestWait lets the wait of a recovery run out; and an address that is older
// than a wait is a way of its own beside a device.
func TestWait(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	box := newPostbox(t)
	s := newSite(t, box.flags(t)...)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	desktop := newPerson(t, browser, s.url, "desktop")
	lost := newPerson(t, browser, s.url, "lost")
	const joe, next, home, work = "joe@example.org", "another horse, another staple", "jane@mail.example", "joe@mail.example"
	laptop.signUp(jane, password)
	laptop.has(box, home)
	codes := laptop.recoveryCodes()
	desktop.signUp(joe, password)
	desktop.has(box, work)

	lost.open("/recover")
	lost.begins(jane)
	lost.write("#recovery-code", codes[0])
	lost.click("#prove-code [type=submit]")
	lost.until(`document.getElementById("case-told").textContent.includes("opens in 24 hours")`)

	s.later(23*time.Hour, lost, laptop)
	lost.open("/recover")
	lost.until(`document.getElementById("case-told").textContent.includes("opens in")`)
	if lost.seen("#new-password") != 0 || lost.holds(`document.getElementById("case-wait").value < 82000`) {
		t.Errorf("an hour before its time: %q", lost.text("#case"))
	}
	laptop.open("/account")
	laptop.see("#recoveries li")

	s.later(25*time.Hour, lost, laptop, desktop)
	lost.open("/recover")
	lost.see("#new-password")
	lost.look("recover-waited")
	lost.write("#password", next)
	lost.click("#new-password .main")
	lost.until(`location.pathname !== "/recover"`)
	laptop.open("/account")
	laptop.refused() // every session has ended
	laptop.signIn(jane, password)
	laptop.refused()
	laptop.signIn(jane, next)
	laptop.at("/account")

	lost.open("/recover#new")
	lost.begins(joe)
	lost.click("#send")
	lost.write("#address-code", box.find(work, regexp.MustCompile(`(?m)^([0-9A-Z]{4}-[0-9A-Z]{4})\r?$`)))
	lost.click("#prove-address [type=submit]")
	lost.until(`document.getElementById("case-told").textContent.includes("opens in 24 hours")`)
	desktop.open("/account")
	desktop.click("#recoveries .go button:not(.danger)")
	lost.write("#device-code", desktop.text("#recoveries output"))
	lost.click("#prove-device [type=submit]")
	lost.see("#new-password")
	lost.write("#password", next)
	lost.click("#new-password .main")
	lost.until(`location.pathname !== "/recover"`)
	desktop.refused() // by itself
	desktop.signIn(joe, next)
	desktop.at("/account")
}
