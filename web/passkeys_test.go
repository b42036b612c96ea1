package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// authenticator gives the browser one that always agrees.
func (p *person) authenticator() webauthn.AuthenticatorID {
	p.t.Helper()
	return run(p, func(ctx context.Context, t *chromedp.Target) (webauthn.AuthenticatorID, error) {
		if _, err := cdp.Call(ctx, t, webauthn.Enable, webauthn.EnableParams{}); err != nil {
			return "", err
		}
		r, err := cdp.Call(ctx, t, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}})
		return r.AuthenticatorID, err
	})
}

// kept is what an authenticator keeps.
func (p *person) kept(in webauthn.AuthenticatorID) []*webauthn.Credential {
	p.t.Helper()
	return run(p, func(ctx context.Context, t *chromedp.Target) ([]*webauthn.Credential, error) {
		r, err := cdp.Call(ctx, t, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: in})
		return r.Credentials, err
	})
}

// keep puts a credential into an authenticator.
func (p *person) keep(in webauthn.AuthenticatorID, c *webauthn.Credential) {
	p.t.Helper()
	// Chromium refuses a credential with a member it does not support, even where
	// it is false; the type has one, so it is not used.
	add := cdp.Command[map[string]any, cdp.Empty]{Method: webauthn.CommandAddCredential}
	p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, add, map[string]any{"authenticatorId": in, "credential": map[string]any{
			"credentialId": c.CredentialID, "isResidentCredential": true, "rpId": c.RpID, "privateKey": c.PrivateKey,
			"userHandle": c.UserHandle, "signCount": c.SignCount,
		}})
		return chromedp.Void{}, err
	})
}

// verifies sets whether the authenticator knows its owner.
func (p *person) verifies(in webauthn.AuthenticatorID, does bool) {
	p.t.Helper()
	p.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: in, IsUserVerified: does})
		return chromedp.Void{}, err
	})
}

// TestPasskeys: a passkey that is carried from one browser to another stands in
// for the code and for all of it; one that was copied or removed is refused, and
// the owner is told why.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	laptop.open("/sign-up")
	laptop.write("#account", jane)
	laptop.write("#password", password)
	laptop.click("#sign-up .main")
	laptop.at("/account")
	laptop.see("#inside")
	own := laptop.authenticator()
	laptop.open("/account/ways")
	laptop.click("#passkey-add")
	laptop.see("#passkeys li")
	all := laptop.kept(own)
	if len(all) != 1 || !all[0].IsResidentCredential || all[0].RpID != "localhost" || all[0].UserName != jane {
		t.Fatalf("%d credentials", len(all))
	}
	first := *all[0]

	// The owner who is not known to the authenticator does not get past it.
	phone := newPerson(t, browser, s.url, "phone")
	theirs := phone.authenticator()
	phone.keep(theirs, &first)
	phone.verifies(theirs, false)
	phone.open("/")
	phone.click("#passkey")
	phone.see("#trouble")
	phone.verifies(theirs, true)

	// In place of the six digits.
	phone.write("#account", jane)
	phone.write("#password", password)
	phone.click("#sign-in .main")
	phone.see("#code-passkey")
	phone.click("#code-passkey")
	phone.at("/account")
	phone.see("#inside")

	// What changes elsewhere takes nothing away that somebody may be about to
	// press.
	laptop.until(`document.getElementById("passkeys").textContent.includes("last used")`)
	asked := `performance.getEntriesByType("resource").filter((e) => e.name.endsWith("/v1/passkeys")).length`
	times := run(laptop, chromedp.Evaluate[int](`was = document.querySelector("#passkeys li"); said = was.outerHTML; was.querySelector("button").focus(); `+asked))
	phone.open("/account/ways")
	phone.click("#codes-make")
	phone.see("#codes-made")
	laptop.until(fmt.Sprintf(`document.getElementById("codes-left").textContent.startsWith("10") && %s > %d`, asked, times))
	if laptop.watch(`((now) => now.outerHTML === said && (now !== was || !now.contains(document.activeElement)))(document.querySelector("#passkeys li"))`, 500*time.Millisecond) {
		t.Error("a passkey that nobody touched was drawn anew")
	}

	// Each account has a key of its own in a browser, whichever was there last.
	keysOf := func(p *person) map[string]string {
		t.Helper()
		var all map[string]string
		must(t, json.Unmarshal([]byte(run(p, chromedp.Evaluate[string](`(async () => {
			const { accounts } = await import(document.querySelector("script[type=module]").src.replace(/[^/]*$/, "kept.js"));
			const all = {};
			for (const a of await accounts()) all[a.account] = (await crypto.subtle.exportKey("jwk", a.keys.publicKey)).x;
			return JSON.stringify(all);
		})()`, chromedp.EvalAwaitPromise))), &all))
		return all
	}
	before := keysOf(laptop)[jane]
	laptop.open("/sign-up")
	laptop.write("#account", "joe@example.org")
	laptop.write("#password", password)
	laptop.click("#sign-up .main")
	laptop.at("/account")
	laptop.see("#inside")
	laptop.open("/?add")
	laptop.click("#passkey") // of jane, where joe was last
	laptop.at("/account")
	laptop.see("#inside")
	if keys := keysOf(laptop); keys[jane] != before || keys["joe@example.org"] == before || len(keys) != 2 {
		t.Errorf("the keys of jane (before: %s): %q", before, keys)
	}
	var devices struct{ Devices []struct{ Name string } }
	must(t, json.Unmarshal([]byte(laptop.calls("/v1/devices", nil)), &devices))
	if len(devices.Devices) != 2 { // this one and the phone
		t.Errorf("jane has %+v", devices)
	}
	tablet := newPerson(t, browser, s.url, "tablet")
	tablet.keep(tablet.authenticator(), laptop.kept(own)[0])
	tablet.signUp("jim@example.org", password)
	tablet.open("/?add")
	tablet.click("#passkey") // of an account that was never here
	tablet.at("/account")
	tablet.until(`document.getElementById("who-account").textContent === "` + jane + `"`)
	if keys := keysOf(tablet); keys[jane] == "" || keys[jane] == keys["jim@example.org"] {
		t.Errorf("one key for two accounts: %q", keys)
	}

	// A copy from before counts from where it was taken.
	thief := newPerson(t, browser, s.url, "thief")
	copied := thief.authenticator()
	thief.keep(copied, &first)
	thief.open("/")
	thief.click("#passkey")
	thief.see("#refused")
	thief.until(`document.getElementById("refused-reference").textContent.trim().length === 9`)
	told := func(reference, what string) {
		t.Helper()
		laptop.open("/incident/" + reference)
		laptop.see("#told")
		if title := laptop.text("#told-title"); !strings.Contains(title, what) {
			t.Errorf("the owner is told %q, want %q", title, what)
		}
	}
	told(thief.text("#refused-reference"), "counter went back")
	laptop.look("incident-passkey")

	// What was removed is good for nothing.
	laptop.open("/account/ways")
	laptop.click("#passkeys .danger")
	laptop.click("#ask-yes")
	laptop.until(`document.querySelectorAll("#passkeys li").length === 0`)
	last := newPerson(t, browser, s.url, "last")
	gone := last.authenticator()
	last.keep(gone, phone.kept(theirs)[0])
	last.open("/")
	last.click("#passkey")
	last.see("#refused")
	told(last.text("#refused-reference"), "did not prove")
}
