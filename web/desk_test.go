package web_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// finds looks an account up at the desk.
func (p *person) finds(account, reference string) {
	p.t.Helper()
	p.write("#identifier", account)
	p.write("#reference", reference)
	p.click("#find .main")
	p.until(`!document.querySelector("#find [aria-busy]")`)
}

// acts presses one of the desk's acts and agrees to what it says.
func (p *person) acts(kind string) {
	p.t.Helper()
	p.click("#acts [data-act=" + kind + "]")
	p.click("#ask-yes")
	p.until(`!document.querySelector("#acts [aria-busy]")`)
}

// nothing fails where the page holds anything of the account's findings, seen
// or hidden.
func (p *person) nothing(when string) {
	p.t.Helper()
	for _, what := range []string{"told-title", "evidence", "remedies", "acts", "done", "approved-by"} {
		if held := run(p, chromedp.Evaluate[string](fmt.Sprintf("document.getElementById(%q).textContent", what))); held != "" {
			p.t.Errorf("%s, the page holds %q", when, held)
		}
	}
}

// TestDesk: support sees what the owner shows it, as long as they do, and does
// what two agree on where it matters.
func TestDesk(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	const ann, bob = "ann@example.org", "bob@example.org"
	owner := newPerson(t, browser, s.url, "owner")
	first := newPerson(t, browser, s.url, "ann")
	second := newPerson(t, browser, s.url, "bob")
	owner.signUp(jane, password)
	first.signUp(ann, password)
	second.signUp(bob, password)
	role := func(verb, account string) {
		t.Helper()
		if out, exit := s.terminal().run("", "admin", "desk", verb, account, "--data", s.data); exit != 0 {
			t.Fatalf("the role: %s", out)
		}
	}
	part := func(name string, f func(t *testing.T)) {
		t.Helper()
		ok := t.Run(name, func(t *testing.T) {
			owner.t, first.t, second.t, s.t = t, t, t, t
			f(t)
		})
		owner.t, first.t, second.t, s.t = t, t, t, t
		if !ok {
			t.FailNow() // what follows builds on it
		}
	}
	stranger := newPerson(t, browser, s.url, "stranger")
	stranger.signIn(jane, "a wrong one")
	reference := stranger.refused()
	of := map[string]any{"identifier": jane, "reference": reference}

	part("nobody without the role", func(t *testing.T) {
		first.open("/desk")
		if said := first.text("#trouble"); !strings.Contains(said, "does not work at the support desk") {
			t.Errorf("without the role: %q", said)
		}
		first.until(`document.getElementById("find").hidden`)
		if out := first.calls("/v1/desk/account", of); out != "refused 4090" {
			t.Errorf("past the page: %s", out)
		}
		role("add", ann)
		role("add", bob)
		first.open("/account")
		first.click("#to-desk a")
		first.at("/desk")
		first.see("#find")
	})

	part("nothing before the owner approves", func(t *testing.T) {
		first.finds("nobody@example.org", "")
		if said := first.text("#trouble"); !strings.Contains(said, "no account of that name") {
			t.Errorf("an unknown account: %q", said)
		}
		first.finds(ann, "")
		if said := first.text("#trouble"); !strings.Contains(said, "their own account") {
			t.Errorf("her own account: %q", said)
		}
		first.finds(jane, "")
		first.see("#found")
		first.finds(jane, "4K7")
		if said := first.text("#reference-hint"); said == "" {
			t.Error("half a reference is sent")
		}
		first.finds(jane, reference)
		first.see("#unapproved")
		first.nothing("before approval")
		first.look("desk-before")
		for _, path := range []string{"/v1/desk/explain", "/v1/desk/act"} {
			with := map[string]any{"identifier": jane, "reference": reference}
			if path == "/v1/desk/act" {
				with["kind"] = "end-sessions"
			}
			if out := first.calls(path, with); out != "refused 4090" {
				t.Errorf("%s before approval: %s", path, out)
			}
		}
		owner.open("/incident/" + reference)
		owner.see("#support-may")
		first.click("#ask-owner")
		first.until(`document.getElementById("asked-owner").textContent`)
		owner.until(`document.getElementById("support-told").textContent.includes("` + ann + `")`) // by itself
	})

	part("an incident's page follows what becomes of it", func(t *testing.T) {
		client := newStranger(t, s.url)
		begin := func(typed string) (finish func()) {
			t.Helper()
			login, ke1, err := opaque.StartLogin([]byte(typed))
			must(t, err)
			var started api.SignInStarted
			client.call(api.PathSignInStart, api.SignInStart{Account: jane, Purpose: api.ForSignIn, KE1: ke1, DeviceName: "tablet", Client: api.Client{Name: "readmit", Version: "1.0.0", System: "linux", SystemVersion: "6.0", Protocol: api.Protocol}}, &started)
			return func() {
				t.Helper()
				ke3 := opaque.DecoyKE3()
				if typed == password {
					ke3, _, _, err = login.Finish(started.KE2, opaque.Stretch{Memory: started.Stretch.Memory, Time: started.Stretch.Time, Threads: started.Stretch.Threads})
					must(t, err)
				}
				if err := client.Call(t.Context(), api.PathSignInFinish, api.SignInFinish{State: started.State, KE3: ke3}, new(api.SignInFinished)); (err == nil) != (typed == password) {
					t.Errorf("%q: %v", typed, err)
				}
			}
		}
		for _, tt := range []struct {
			typed, then, shows string
			late               string // answers that come only after there was a change
		}{
			{"a wrong one", "The password was not the account's", "#evidence", ""},
			{"another wrong one", "The password was not the account's", "#evidence", "/v1/events"},
			{"a third wrong one", "The password was not the account's", "#evidence", "/v1/activity"},
			{password, "This attempt was not refused", "#told-to", ""},
		} {
			finish := begin(tt.typed)
			soon := func() {}
			if tt.late != "" {
				soon = owner.delays(tt.late, 2*time.Second)
			}
			var now struct{ Activity []struct{ Reference string } }
			must(t, json.Unmarshal([]byte(owner.calls("/v1/activity", nil)), &now))
			owner.open("/incident/" + now.Activity[0].Reference)
			owner.until(`document.getElementById("evidence").textContent.includes("never finished")`)
			finish()
			soon()
			if tt.late == "" {
				owner.calls("/v1/activity/mine", map[string]any{"reference": reference}) // something changes
			}
			owner.until(`!document.getElementById("evidence-part").checkVisibility() || !document.getElementById("evidence").textContent.includes("never finished")`)
			if title := owner.text("#told-title"); title != tt.then {
				t.Errorf("after %q the page says %q", tt.typed, title)
			}
			owner.see(tt.shows)
			owner.see("#you")
		}
		owner.look("incident-went-on")
	})

	part("approved on the incident's page", func(t *testing.T) {
		owner.open("/incident/" + reference)
		owner.until(`document.getElementById("support-told").textContent.includes("` + ann + `")`)
		owner.look("incident-support")
		owner.click("#support-may")
		owner.see("#support-revoke")
		if said := owner.text("#support-told"); !strings.Contains(said, "may see this until") {
			t.Errorf("approved: %q", said)
		}
		first.finds(jane, "")
		first.click("#found-list button")
		first.see("#approved")
		if said := first.text("#told-title"); said != "The password was not the account's" {
			t.Errorf("support is told %q", said)
		}
		// An approval is of one incident.
		stranger.signIn(jane, "another wrong one")
		first.finds(jane, stranger.refused())
		first.see("#unapproved")
		first.nothing("at another incident")
	})

	part("what one agent can do", func(t *testing.T) {
		first.finds(jane, reference)
		first.see("#approved")
		first.acts("start-recovery")
		word := regexp.MustCompile(`[0-9A-Z]{4}(-[0-9A-Z]{4}){3}`).FindString(first.text("#done"))
		if word == "" {
			t.Fatalf("no word to read out: %q", first.text("#done"))
		}
		first.look("desk-word")
		// The word gives the case to who types it, and proves nothing.
		stranger.open("/recover")
		stranger.see("#begin-form")
		stranger.click("#begin-form summary")
		stranger.write("#word", strings.ToLower(word))
		stranger.begins(jane)
		if said := stranger.text("#case-state"); said != "Nothing is proved yet" {
			t.Errorf("with the word: %q", said)
		}
		first.acts("unlock")
		first.until(`document.getElementById("done").textContent.startsWith("Done")`)
	})

	part("taken back: gone by the next call", func(t *testing.T) {
		owner.open("/incident/" + reference)
		owner.click("#support-revoke")
		owner.see("#support-may")
		first.see("#acts")
		first.acts("end-sessions")
		if said := first.text("#trouble"); !strings.Contains(said, "taken it back") {
			t.Errorf("after revocation: %q", said)
		}
		first.nothing("after revocation")
		first.see("#unapproved")
		if out := owner.calls("/v1/devices", nil); strings.HasPrefix(out, "refused") {
			t.Errorf("the owner's session after an act that was refused: %s", out)
		}
		first.look("desk-revoked")
	})

	part("two agents", func(t *testing.T) {
		owner.click("#support-may")
		owner.see("#support-revoke")
		first.finds(jane, reference)
		first.see("#approved")
		first.acts("remove-factors")
		first.until(`document.getElementById("done").textContent.includes("second agent")`)
		first.see("#waiting li")
		if run(first, chromedp.Evaluate[bool](`Boolean(document.querySelector("#waiting button"))`)) {
			t.Error("who asked is offered to agree")
		}
		first.look("desk-waits")
		var known struct{ Waiting []struct{ Act string } }
		must(t, json.Unmarshal([]byte(first.calls("/v1/desk/account", map[string]any{"identifier": jane})), &known))
		if out := first.calls("/v1/desk/agree", map[string]any{"id": known.Waiting[0].Act}); out != "refused 4090" {
			t.Errorf("the same agent twice: %s", out)
		}
		second.open("/desk")
		second.finds(jane, "")
		second.see("#waiting li")
		second.look("desk-agree")
		owner.click("#support-revoke")
		owner.see("#support-may")
		second.click("[data-agree=remove-factors]")
		second.click("#ask-yes")
		if said := second.text("#trouble"); !strings.Contains(said, "taken it back") {
			t.Errorf("agreed after revocation: %q", said)
		}
		owner.click("#support-may")
		owner.see("#support-revoke")
	})

	part("the owner sees all of it", func(t *testing.T) {
		owner.open("/account/activity")
		owner.see("#activity li")
		for _, choice := range []struct {
			only  string
			wants []string
		}{
			{"looks", []string{"Account looked up by support", "Explanation " + reference + " read, as support", "Support asked to see an incident"}},
			{"support", []string{"Support allowed to see an incident: " + reference, "Support's leave taken back", "Recovery begun by support", "Locks lifted by support", "Removal of devices and passkeys asked for by support", ann}},
		} {
			owner.click(`input[value="` + choice.only + `"]`)
			for _, what := range choice.wants {
				owner.until(fmt.Sprintf(`document.getElementById("activity").textContent.includes(%q)`, what))
			}
		}
		owner.look("activity-support")
	})

	part("agreed, and done", func(t *testing.T) {
		second.finds(jane, "")
		second.click("[data-agree=remove-factors]")
		second.click("#ask-yes")
		second.until(`document.getElementById("done").textContent.startsWith("Done")`)
		owner.refused() // by itself
	})

	part("from right to left", func(t *testing.T) {
		second.open("/desk?lang=ar")
		second.finds(jane, reference)
		second.see("#approved")
		second.glance("desk-ar")
	})

	part("the role taken back", func(t *testing.T) {
		first.finds(jane, reference)
		first.see("#approved")
		role("remove", ann)
		first.acts("unlock")
		first.until(`document.getElementById("find").hidden`)
		first.nothing("without the role")
		first.look("desk-no-agent")
	})
}
