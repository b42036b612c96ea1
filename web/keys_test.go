package web_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// most is how many times Tab is pressed until something counts as out of reach.
const most = 60

// stop is where one press of Tab has led.
type stop struct {
	Hit    bool
	On     string // what it is
	Lost   bool   // nothing has the focus: the page begins anew
	Hidden bool   // it cannot be seen
	Bare   bool   // nothing shows that it has the focus
	Back   bool   // it lies before the one before
}

// tab goes on by Tab alone until it is at what is looked for. Every stop on the
// way must be seen, must show that it has the focus, and lies further on in the
// page than the one before, but for one return to its beginning.
func (p *person) tab(selector string) {
	p.t.Helper()
	var way []string
	round := 0
	for range most {
		p.key("\t")
		var at stop
		must(p.t, json.Unmarshal([]byte(run(p, chromedp.Evaluate[string](fmt.Sprintf(`(() => {
			const e = document.activeElement, before = globalThis.stopBefore;
			globalThis.stopBefore = e;
			if (!e || e === document.body) return JSON.stringify({ Lost: true });
			const box = e.getBoundingClientRect(), style = getComputedStyle(e);
			return JSON.stringify({
				Hit: e.matches(%q), On: e.tagName + (e.id ? "#" + e.id : "") + " " + (e.textContent || e.name || "").trim().slice(0, 30),
				Hidden: !e.checkVisibility({ visibilityProperty: true }) || box.width === 0 || box.height === 0,
				Bare: style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2,
				Back: Boolean(before?.isConnected && before !== document.body && !(before.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)),
			});
		})()`, selector)))), &at))
		if at.Lost || at.Back {
			if round++; round > 2 {
				break
			}
		}
		if at.Lost {
			continue
		}
		way = append(way, at.On)
		if at.Hidden || at.Bare {
			p.t.Errorf("%s: keys lead to %s, hidden: %v, without a sign of the focus: %v", p.name, at.On, at.Hidden, at.Bare)
		}
		if at.Hit {
			return
		}
	}
	p.fatal(fmt.Errorf("keys do not lead to %s: %q", selector, way))
}

func (p *person) key(k string) { p.t.Helper(); p.do(chromedp.KeyEvent(k)) }

// enter goes somewhere by Tab and presses it.
func (p *person) enter(selector string) { p.t.Helper(); p.tab(selector); p.key("\r") }

// fill goes to a field by Tab and types.
func (p *person) fill(selector, text string) { p.t.Helper(); p.tab(selector); p.key(text) }

// focused waits until the focus was moved to something: it is read from there on.
func (p *person) focused(selector string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.activeElement.matches(%q)", selector))
}

// TestKeys goes through what people do with the keys of a keyboard alone.
func TestKeys(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	const ann, next = "ann@example.org", "another horse, another staple"
	owner := newPerson(t, browser, s.url, "owner")
	agent := newPerson(t, browser, s.url, "agent")
	other := newPerson(t, browser, s.url, "other")
	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		ok := t.Run(name, func(t *testing.T) {
			owner.t, agent.t, other.t, s.t = t, t, t, t
			f(t)
		})
		owner.t, agent.t, other.t, s.t = t, t, t, t
		if !ok {
			t.FailNow() // what follows builds on it
		}
	}
	part("sign up, after skipping to it", func(t *testing.T) {
		for p, account := range map[*person]string{owner: jane, agent: ann} {
			p.open("/sign-up")
			p.enter(".skip")
			p.focused("main")
			p.fill("#account", account)
			p.fill("#password", password)
			p.enter("[data-reveals=password]")
			if !p.holds(`document.getElementById("password").type === "text"`) {
				t.Error("the password is not shown")
			}
			p.enter("#sign-up .main")
			p.at("/account")
			p.see("#inside")
		}
	})

	signsIn := func(p *person, account, password string) {
		t.Helper()
		p.open("/?add")
		p.fill("#account", account)
		p.fill("#password", password)
		p.key("\r")
	}
	var reference string
	part("refused, and explained", func(t *testing.T) {
		signsIn(other, jane, "a wrong one")
		reference = other.refused()
		other.focused("#refused h1")
		other.tab("#refused-copy")
		other.tab("#refused a[href='/recover']")
		other.enter("#refused-retry")
		other.focused("#password")

		owner.fill("#reference", strings.ToLower(reference)+"\r")
		owner.at("/incident/" + reference)
		owner.focused("#told-title")
		owner.tab("#remedies a")
		owner.enter("#you-yes")
		owner.focused("#you-told")
		owner.enter("#support-may")
		owner.focused("#support-told")
		owner.enter("#support-revoke")
		owner.focused("#support-told")
		owner.tab("#told-page")
	})

	part("a new device: deny, allow", func(t *testing.T) {
		owner.open("/account")
		owner.see("#inside")
		signsIn(other, jane, password)
		request := other.text("#code-request")
		other.focused("#code h1")
		owner.see("#request-" + request)
		owner.enter("#request-" + request + " .danger")
		owner.until(`document.querySelector("#request-` + request + ` .outcome")`)
		owner.tab("#request-" + request + " .outcome a")
		signsIn(other, jane, password)
		request = other.text("#code-request")
		owner.see("#request-" + request)
		owner.enter("#request-" + request + " .main")
		owner.until(`document.querySelector("#request-` + request + ` output.digits")?.value`)
		other.fill("#digits", digits(t, owner.text("#request-"+request+" output.digits"))+"\r")
		other.at("/account")
		owner.enter("#codes-show")
		owner.until(`document.getElementById("live-code").value`)
		owner.key(" ") // it stays where it is, and hides the code again
		owner.until(`!document.getElementById("live-code").value`)
	})

	part("activity", func(t *testing.T) {
		owner.enter(`.parts a[href="/account/activity"]`)
		owner.at("/account/activity")
		owner.see("#activity li")
		owner.tab(`input[name=only]`)
		owner.key(kb.ArrowRight) // the arrow to the right: refused
		owner.until(`document.querySelector("input[value=refused]").checked`)
		owner.until(`[...document.querySelectorAll("#activity a.ref, #activity a[href^='/incident/']")].length > 0`)
		owner.enter(`#activity a[href="/incident/` + reference + `"]`)
		owner.at("/incident/" + reference)
		owner.focused("#told-title")
	})

	part("a device, removed", func(t *testing.T) {
		owner.open("/account/devices")
		owner.see("#devices li")
		owner.enter("#devices .danger")
		owner.focused("#ask button")
		owner.key(kb.Escape) // Escape: nothing
		owner.focused("#devices .danger")
		// Asked, left and asked again before the browser tells of the first end.
		run(owner, chromedp.Evaluate[chromedp.Void](`{
			const remove = document.activeElement;
			remove.click();
			document.getElementById("ask").close("no");
			remove.click();
		}; undefined`))
		owner.focused("#ask button")
		owner.enter("#ask-yes")
		owner.see("#gone")
		if owner.holds(`document.activeElement === document.body`) {
			t.Error("once it is removed, keys begin at the page's top")
		}
	})

	var code string
	part("recovery codes and a passkey", func(t *testing.T) {
		owner.finger()
		owner.open("/account/ways")
		owner.see("#inside")
		owner.enter("#codes-make")
		owner.focused("#codes-made")
		code = owner.text("#codes li")
		owner.tab("#print")
		owner.tab("#codes-copy")
		owner.enter("#codes-kept")
		owner.fill("#passkey-name", "keyring\r")
		owner.see("#passkeys li")
		owner.enter("#passkeys .danger")
		owner.enter("#ask-yes")
		owner.until(`!document.querySelector("#passkeys li")`)
		owner.focused("#passkeys-title")
		owner.enter("#export")
		owner.see("#exported code")
	})

	part("support", func(t *testing.T) {
		if out, exit := s.terminal().run("", "admin", "desk", "add", ann, "--data", s.data); exit != 0 {
			t.Fatalf("the role: %s", out)
		}
		agent.open("/desk")
		agent.see("#find")
		agent.fill("#identifier", jane)
		agent.fill("#reference", reference+"\r")
		agent.see("#unapproved")
		agent.focused("#found-title")
		agent.enter("#ask-owner")
		agent.until(`document.getElementById("asked-owner").textContent`)
		owner.open("/account")
		owner.see("#support li")
		owner.enter("#support button")
		owner.until(`document.getElementById("support").textContent.includes("may see")`)
		agent.fill("#identifier", jane)
		agent.fill("#reference", reference+"\r")
		agent.see("#approved")
		agent.focused("#told-title")
		agent.enter("#acts [data-act=unlock]")
		agent.enter("#ask-yes")
		agent.focused("#done")
		owner.focused("#support button, body")
		owner.enter("#support .danger")
		owner.until(`document.getElementById("support").hidden`)
		agent.enter("#acts [data-act=unlock]")
		agent.enter("#ask-yes")
		agent.focused("#trouble") // what was pressed is gone with all else
	})

	part("recover", func(t *testing.T) {
		other.open("/?add")
		other.enter(`a[href="/recover"]`)
		other.at("/recover")
		other.see("#begin-form")
		other.fill("#account", jane+"\r")
		other.see("#case")
		other.fill("#recovery-code", code+"\r")
		other.until(`document.getElementById("case-told").textContent.includes("opens in")`)
		owner.see("#recoveries li")
		owner.enter("#recoveries-list button:not(.danger)")
		owner.until(`document.querySelector("#recoveries-list output")?.value`)
		other.fill("#device-code", owner.text("#recoveries-list output")+"\r")
		other.see("#new-password")
		other.focused("#case-state")
		other.fill("#password", next+"\r")
		owner.refused()
		owner.focused("#refused h1")
		other.until(`location.pathname !== "/recover"`)
	})

	part("a password, a pass, and out", func(t *testing.T) {
		signsIn(owner, jane, next)
		owner.at("/account")
		owner.enter(`.parts a[href="/account/security"]`)
		owner.at("/account/security")
		owner.see("#inside")
		owner.fill("#password", next)
		owner.fill("#next", password+"\r")
		owner.focused("#changed")
		owner.enter("#make-pass")
		owner.see("#pass-made")
		owner.enter("#who summary")
		owner.enter("#who a")
		owner.at("/")
		owner.see("#sign-in")
		owner.open("/account/security")
		owner.see("#inside")
		owner.enter("#sign-out-all")
		owner.enter("#ask-yes")
		owner.at("/")
	})

	part("closed", func(t *testing.T) {
		signsIn(owner, jane, password)
		owner.at("/account")
		owner.open("/account/ways")
		owner.see("#inside")
		owner.enter("#close")
		owner.focused("#closing-title")
		owner.key(kb.Escape)
		owner.focused("#close")
		owner.key("\r") // at once
		owner.focused("#closing-title")
		owner.key(kb.Escape)
		owner.focused("#close")
		// In the same moment, before any timer, frame or word of the browser.
		if heard := run(owner, chromedp.Evaluate[bool](`(async () => {
			const press = document.activeElement;
			const dialog = document.getElementById("closing");
			press.click();
			dialog.dispatchEvent(new Event("cancel", { cancelable: true })); // as Escape does
			const left = !dialog.open;
			for (let i = 0; i < 50; i++) await 0;
			press.click();
			return left && dialog.open;
		})()`, chromedp.EvalAwaitPromise)); !heard {
			t.Error("a press right after Escape is not heard")
		}
		owner.focused("#closing-title")
		owner.fill("#closing-word", "close")
		owner.fill("#closing-password", password)
		owner.enter("#closing .danger")
		owner.at("/")
		owner.see("#told")
	})
}
