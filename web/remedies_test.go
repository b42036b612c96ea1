package web_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"readmit.dev/readmit/cause"
)

// away are the remedies of a person's for which these pages have no place: they
// are done on the machine itself, at the provider's, or by nobody.
var away = map[string]string{
	"keystore-locked.0":      "the system's key store",
	"tls-intercepted.0":      "the network",
	"provisioning-refused.0": "the client",
	"region-wrong.0":         "the client",
	"state-not-persisted.0":  "the client",
	"app-password.0":         "the provider",
	"account-locked.0":       "the provider",
	"rate-limited.0":         "waiting",
	"terms-pending.0":        "the provider",
	"security-keys.0":        "the provider",
	"trust-expired.0":        "the client",
	"factor-unfinished.0":    "the client",
	"access-not-approved.0":  "the provider",
	"account-disabled.1":     "asking",
	"passkey-refused.1":      "leaving the page",
	"recovery-over.1":        "nothing",
	"services-disagree.1":    "a restart",
	"agent-stopped.0":        "the agent",
	"agent-stopped.1":        "the agent",
	"unknown.0":              "a terminal",
	"unknown.1":              "a terminal",
	"refused.3":              "the page of the incident is where one stands",
}

// shownRemedy is a remedy as an incident's page has it.
type shownRemedy struct{ Key, Text, Href string }

// remedies are those of all causes, as the pages show them to somebody.
func (p *person) remedies(linked, owner bool, device string) (all []shownRemedy) {
	p.t.Helper()
	table := []cause.Finding{}
	for _, row := range cause.Table() {
		f := cause.Finding{Cause: row.Code, Title: row.Title, Evidence: []cause.Fact{}, Remedies: row.Remedies}
		if device != "" && slices.Contains(row.With, cause.CheckOwnDeviceName) {
			f.Evidence = append(f.Evidence, cause.Note(cause.CheckOwnDeviceName, cause.Value{}, cause.Name(device), cause.ByServer))
		}
		table = append(table, f)
	}
	b, err := json.Marshal(table)
	must(p.t, err)
	must(p.t, json.Unmarshal([]byte(run(p, chromedp.Evaluate[string](fmt.Sprintf(`(async () => {
		const { remedy } = await import(document.querySelector("script[type=module]").src.replace(/[^/]*$/, "report.js"));
		return JSON.stringify(%s.flatMap((f) => f.remedies.map((_, i) => {
			const step = remedy(f, i, { reference: "4K7Q-9FXM", account: "", linked: %t, owner: %t });
			return { Key: f.cause + "." + i, Text: step.textContent, Href: step.querySelector("a")?.getAttribute("href") ?? "" };
		})));
	})()`, b, linked, owner), chromedp.EvalAwaitPromise))), &all))
	return all
}

// TestRemedies: each remedy that a person can carry out on these pages leads to
// where that is done, and none shows a hole that was not filled.
func TestRemedies(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	laptop := newPerson(t, newBrowser(t), s.url, "laptop")
	laptop.open("/incident/4K7Q-9FXM")

	by := map[string]cause.By{}
	for _, row := range cause.Table() {
		for i, r := range row.Remedies {
			by[fmt.Sprintf("%s.%d", row.Code, i)] = r.By
		}
	}
	left := maps.Clone(away)
	pages := map[string]bool{}
	for _, r := range laptop.remedies(true, true, "phone") {
		if strings.Contains(r.Text, "{") {
			t.Errorf("%s is shown with a hole: %q", r.Key, r.Text)
		}
		_, elsewhere := left[r.Key]
		delete(left, r.Key)
		if want := by[r.Key] == cause.Person && !elsewhere; want != (r.Href != "") {
			t.Errorf("%s leads to %q: %q", r.Key, r.Href, r.Text)
		}
		if r.Href != "" {
			pages[r.Href] = true
		}
	}
	if len(left) > 0 {
		t.Errorf("no such remedies: %v", left)
	}
	for page := range pages {
		path, anchor, _ := strings.Cut(page, "#")
		r, err := http.Get(s.url + path)
		must(t, err)
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", page, r.StatusCode)
		}
		if laptop.open(path); anchor != "" && !laptop.holds(fmt.Sprintf("document.getElementById(%q)", anchor)) {
			t.Errorf("%s has no such part", page)
		}
	}
	if len(pages) < 9 {
		t.Errorf("%d pages end something: %v", len(pages), pages)
	}

	// To who may not follow them, commands are shown; a device by its name, as
	// a shell takes it.
	for _, device := range []string{"", "Jane's phone"} {
		for _, r := range slices.Concat(laptop.remedies(true, false, device), laptop.remedies(false, false, device)) {
			if strings.Contains(r.Text, "{") {
				t.Errorf("%s is shown with a hole: %q", r.Key, r.Text)
			}
			want := map[string]string{"": "readmit devices end DEVICE", "Jane's phone": `readmit devices end 'Jane'\''s phone'`}[device]
			if r.Key == "locked-by-own-device.1" && !strings.HasSuffix(r.Text, want) {
				t.Errorf("%q, want %q", r.Text, want)
			}
			if strings.HasPrefix(r.Href, "/account") {
				t.Errorf("who is not signed in is led to %s", r.Href)
			}
		}
	}
}

// TestEndSession: what another device does is ended on the devices' page.
func TestEndSession(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	s := newSite(t)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	phone := newPerson(t, browser, s.url, "phone")
	laptop.signUp(jane, password)
	phone.enrol(laptop, jane, password)

	laptop.open("/account/devices")
	laptop.see("#devices li")
	const other = `#devices li:not(:has(.state.good)) `
	ends := other + `button:not(.danger)`
	laptop.click(ends)
	laptop.see("#ask")
	laptop.click(`#ask [value="no"]`)
	if n := laptop.sent("/v1/devices/end"); n != 0 {
		t.Errorf("%d sessions were ended without a yes", n)
	}
	laptop.look("devices-two")
	laptop.click(ends)
	laptop.look("ask-end")
	laptop.click("#ask-yes")
	if said := laptop.text(other + ".state"); said != "signed out" {
		t.Errorf("the ended device is %q", said)
	}
	if laptop.seen(ends) != 0 {
		t.Error("a session that has ended can be ended again")
	}
	phone.refused() // by itself
	phone.signIn(jane, password)
	phone.at("/account") // still trusted: no code

	// By the address, a part of the page that was hidden while it loaded.
	laptop.open("/account/ways#passkeys-title")
	laptop.until(`document.activeElement.id === "passkeys-title"`)
	laptop.open("/recover#stop=")
	laptop.until(`document.activeElement.id === "stop-word"`)
}
