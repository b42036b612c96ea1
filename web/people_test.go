package web_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// signUp makes an account in a browser.
func (p *person) signUp(account, password string) {
	p.t.Helper()
	p.open("/sign-up")
	p.write("#account", account)
	p.write("#password", password)
	p.click("#sign-up .main")
	p.at("/account")
	p.see("#inside")
}

// finger gives the browser an authenticator that always agrees.
func (p *person) finger() {
	p.t.Helper()
	p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return chromedp.Void{}, err
		}
		_, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		return chromedp.Void{}, err
	})
}

// mailed waits for a message that the server wrote on its terminal, and
// returns the text after the last one's address.
func (s *site) mailed(to string, has *regexp.Regexp) string {
	s.t.Helper()
	for began := time.Now(); time.Since(began) < step; time.Sleep(50 * time.Millisecond) {
		said := s.said.String()
		if i := strings.LastIndex(said, " to "+to+"\n"); i >= 0 {
			if m := has.FindString(said[i+len(to)+5:]); m != "" {
				return m
			}
		}
	}
	s.t.Fatalf("no message to %s says %s:\n%s", to, has, s.said)
	return ""
}

// TestPeople is about what people need when something is lost: addresses,
// recovery codes, passkeys, recovery, support; and about leaving.
func TestPeople(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	ann := newPerson(t, browser, s.url, "ann")
	const next, mail = "another horse, another staple", "jane@mail.example"
	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		ok := t.Run(name, func(t *testing.T) {
			laptop.t, ann.t, s.t = t, t, t
			f(t)
		})
		laptop.t, ann.t, s.t = t, t, t
		if !ok {
			t.FailNow()
		}
	}

	part("an address, verified by its code", func(t *testing.T) {
		laptop.signUp(jane, password)
		laptop.open("/account/ways")
		laptop.write("#email", mail)
		laptop.click("#add-email button")
		laptop.see("#addresses form")
		code := s.mailed(mail, regexp.MustCompile(`\b\d{6}\b`))
		wrong := "000000"
		if code == wrong {
			wrong = "111111"
		}
		laptop.write("#addresses input", wrong)
		laptop.click("#addresses [type=submit]")
		if said := laptop.text("#trouble"); !strings.Contains(said, "4001") {
			t.Errorf("a wrong code: %q", said)
		}
		laptop.write("#addresses input", code)
		laptop.click("#addresses [type=submit]")
		laptop.until(`document.querySelector("#addresses").textContent.includes("verified just now")`)
	})

	var codes []string
	part("recovery codes, shown once", func(t *testing.T) {
		laptop.click("#codes-make")
		laptop.see("#codes-made")
		codes = run(laptop, chromedp.Evaluate[[]string](`[...document.querySelectorAll("#codes li")].map((e) => e.textContent)`))
		if len(codes) != 10 {
			t.Fatalf("%d recovery codes", len(codes))
		}
		laptop.look("ways")
		laptop.open("/account/ways")
		laptop.until(`document.getElementById("codes-left").textContent.startsWith("10")`)
	})

	part("a passkey, as the only step", func(t *testing.T) {
		laptop.finger()
		laptop.see("#passkey-add")
		laptop.click("#passkey-add")
		laptop.see("#passkeys li")
		laptop.open("/account/security")
		laptop.click("#sign-out")
		laptop.at("/")
		laptop.see("#sign-in")
		laptop.click("#passkey")
		laptop.at("/account")
		laptop.see("#inside")
	})

	lost := newPerson(t, browser, s.url, "lost")
	part("a recovery that is not hers, stopped", func(t *testing.T) {
		lost.t = t
		lost.open("/recover")
		lost.look("recover")
		lost.write("#account", jane)
		lost.click("#begin-form .main")
		lost.see("#case")
		lost.look("recover-unproved")
		lost.write("#recovery-code", "AAAA-AAAA-AAAA-AAAA")
		lost.click("#prove-code [type=submit]")
		if said := lost.text("#case-trouble"); !strings.Contains(said, "4001") {
			t.Errorf("a code made up: %q", said)
		}
		lost.write("#recovery-code", strings.ToLower(codes[0]))
		lost.click("#prove-code [type=submit]")
		lost.until(`document.getElementById("case-told").textContent.includes("opens in")`)
		lost.look("recover-waiting")
		laptop.see("#recoveries li") // by itself
		laptop.look("recovery-seen")
		laptop.click("#recoveries .danger")
		laptop.until(`document.getElementById("recoveries").hidden`)
		lost.open("/recover")
		lost.until(`document.getElementById("case-state").textContent === "It was stopped"`)
	})

	part("a recovery of her own", func(t *testing.T) {
		lost.t = t
		lost.click("#anew")
		lost.see("#begin-form")
		lost.write("#account", jane)
		lost.click("#begin-form .main")
		lost.see("#prove-address")
		lost.click("#send")
		lost.until(`document.getElementById("sent").textContent`)
		lost.write("#address-code", s.mailed(mail, regexp.MustCompile(`(?m)^\| [0-9A-Z]{4}-[0-9A-Z]{4}$`))[2:])
		lost.click("#prove-address [type=submit]")
		lost.until(`document.getElementById("case-told").textContent.includes("opens in")`)
		laptop.see("#recoveries li")
		laptop.click("#recoveries .go button:not(.danger)")
		lost.write("#device-code", laptop.text("#recoveries output"))
		lost.click("#prove-device [type=submit]")
		// The address is as young as the account: whoever holds the device could
		// have added it.
		lost.until(`document.getElementById("case-told").textContent.includes("count as one way")`)
		lost.write("#recovery-code", codes[1])
		lost.click("#prove-code [type=submit]")
		lost.see("#new-password")
		lost.look("recover-open")
		lost.write("#password", next)
		lost.click("#new-password .main")
		lost.until(`location.pathname !== "/recover"`)
		laptop.refused() // every session has ended
		laptop.signIn(jane, next)
		laptop.at("/account")
	})

	part("support, with her leave", func(t *testing.T) {
		ann.signUp("ann@example.org", password)
		if out, exit := s.terminal().run("", "admin", "desk", "add", "ann@example.org", "--data", s.data); exit != 0 {
			t.Fatalf("a role at the desk: %s", out)
		}
		stranger := newPerson(t, browser, s.url, "stranger")
		stranger.signIn(jane, "a wrong one")
		reference := stranger.refused()
		ann.open("/desk")
		ann.see("#find")
		ann.write("#identifier", jane)
		ann.write("#reference", reference)
		ann.click("#find .main")
		ann.see("#unapproved")
		ann.look("desk-unapproved")
		if run(ann, chromedp.Evaluate[bool](`document.body.textContent.includes("not proved")`)) {
			t.Error("support sees evidence that the owner has not approved")
		}
		ann.click("#ask-owner")
		ann.until(`document.getElementById("asked-owner").textContent`)
		laptop.see("#support li") // by itself
		laptop.look("support-asks")
		laptop.click("#support button")
		laptop.until(`document.getElementById("support").textContent.includes("may see")`)
		ann.click("#find .main")
		ann.see("#approved")
		if said := ann.text("#told-title"); said != "The password was not the account's" {
			t.Errorf("support is told %q", said)
		}
		ann.look("desk-approved")
		ann.click("#acts [data-act=unlock]")
		ann.click("#ask-yes")
		ann.see("#done")
		ann.until(`!document.querySelector("#acts [aria-busy]")`)
		ann.click("#acts .danger")
		ann.click("#ask-yes")
		ann.until(`document.getElementById("done").textContent.includes("second agent")`)
		ann.see("#waiting li")
		laptop.see("#support .danger")
		laptop.click("#support .danger")
		laptop.until(`document.getElementById("support").hidden`)
		ann.click("#find .main")
		ann.see("#unapproved")
	})

	part("leave", func(t *testing.T) {
		laptop.open("/account/ways")
		laptop.see("#inside")
		laptop.click("#export")
		laptop.until(`!document.getElementById("export").hasAttribute("aria-busy")`)
		if run(laptop, chromedp.Evaluate[bool](`!document.getElementById("trouble").hidden`)) {
			t.Errorf("export: %s", laptop.text("#trouble"))
		}
		laptop.click("#close")
		laptop.write("#closing-word", "close")
		laptop.write("#closing-password", next)
		laptop.click("#closing .danger")
		laptop.at("/")
		laptop.signIn(jane, next)
		laptop.refused()
	})
}
