package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// texts is an SMS service on loopback, which takes numbers of one country.
type texts struct {
	mu   sync.Mutex
	took []string
}

func (s *texts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct{ To, Text string }
	b, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(b, &m) != nil || !strings.HasPrefix(m.To, "+49") {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, m.Text)
}

func (s *texts) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took) == 0 {
		return ""
	}
	return s.took[len(s.took)-1]
}

// with makes a call as the account in this browser, with another session.
func (p *person) with(session, path string) string {
	p.t.Helper()
	return run(p, chromedp.Evaluate[string](fmt.Sprintf(`(async () => {
		const at = document.querySelector("script[type=module]").src.replace(/[^/]*$/, "");
		const [{ on }, { current }] = await Promise.all([import(at + "wire.js"), import(at + "kept.js")]);
		try { return JSON.stringify(await on({ ...await current(), session: %q }, %q)); } catch (e) { return "refused " + (e.code ?? e.message); }
	})()`, session, path), chromedp.EvalAwaitPromise))
}

// TestFlows is about what goes wrong on the way: texts that do not arrive, a
// proof that is too old, a session that has ended, a place that is elsewhere.
func TestFlows(t *testing.T) {
	t.Parallel()
	must(t, os.MkdirAll(screens, 0o755))
	sms := &texts{}
	service := httptest.NewServer(sms)
	t.Cleanup(service.Close)
	config := filepath.Join(t.TempDir(), "readmit.toml")
	must(t, os.WriteFile(config, []byte(fmt.Sprintf("sms = %q\nsms_private = [\"127.0.0.1\"]\n", service.URL+"/send")), 0o600))
	s := newSite(t, "--config", config)
	browser := newBrowser(t)
	laptop := newPerson(t, browser, s.url, "laptop")
	ann := newPerson(t, browser, s.url, "ann")
	laptop.signUp(jane, password)
	ann.signUp("ann@example.org", password)
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

	part("a number that texts do not reach", func(t *testing.T) {
		laptop.open("/account/ways")
		laptop.write("#phone", "+1 202 555 0143")
		laptop.click("#add-phone button")
		laptop.until(`document.querySelector("#addresses .warn")?.textContent.includes("the number is not one that messages can be sent to")`) // by itself
		laptop.look("ways-sms-undelivered")
		laptop.click("#addresses .none")
		laptop.until(`document.querySelector("#trouble a")`)
		laptop.click("#trouble a")
		laptop.see("#told")
		if title, evidence := laptop.text("#told-title"), laptop.text("#evidence"); !strings.Contains(title, "code") || !strings.Contains(evidence, "the number is not one") && !strings.Contains(evidence, "rejected") {
			t.Errorf("the owner is told %q: %q", title, evidence)
		}
		laptop.until(`document.getElementById("told-page").pathname === "/help/code-undelivered"`)
		laptop.look("incident-undelivered")
		laptop.open("/account/activity")
		laptop.click(`input[value="failed"]`)
		if said := laptop.text("#activity"); !strings.Contains(said, "+12025550143") {
			t.Errorf("the activity tells %q", said)
		}
	})

	part("one that they reach", func(t *testing.T) {
		laptop.open("/account/ways")
		laptop.click("#addresses .danger")
		laptop.until(`!document.querySelector("#addresses li")`)
		laptop.write("#phone", "+49 30 901820")
		laptop.click("#add-phone button")
		laptop.see("#addresses form")
		laptop.until(`document.querySelector("#addresses .warn").hidden`)
		code := ""
		laptop.until(`document.activeElement.id.startsWith("code-")`)
		for began := time.Now(); code == ""; time.Sleep(20 * time.Millisecond) {
			if code = six.FindString(sms.last()); time.Since(began) > step {
				t.Fatal("no text arrives")
			}
		}
		laptop.do(chromedp.KeyEvent(code + "\r"))
		laptop.until(`document.getElementById("addresses").textContent.includes("verified just now")`)
		laptop.until(`document.getElementById("say").textContent.includes("+4930901820")`) // to those who listen, too
	})

	part("who goes on typing is left to it", func(t *testing.T) {
		laptop.open("/account/ways")
		laptop.see("#addresses .danger")
		run(laptop, chromedp.Evaluate[chromedp.Void](`{
			const ask = window.fetch;
			window.fetch = async (...of) => { // its answer is slow: the row is gone before
				const got = await ask(...of);
				if (String(of[0]).endsWith("/v1/addresses/remove")) { await new Promise((go) => setTimeout(go, 3000)); document.body.dataset.answered = "now"; }
				return got;
			};
		}; undefined`))
		laptop.click("#addresses .danger")
		laptop.click("#ask-yes")
		laptop.until(`!document.querySelector("#addresses li")`)
		laptop.write("#phone", "+49 30 ")
		laptop.until(`document.body.dataset.answered && !document.querySelector("[aria-busy=true]")`)
		laptop.do(chromedp.KeyEvent("901820"))
		if got := run(laptop, chromedp.Evaluate[string](`document.getElementById("phone").value`)); got != "+49 30 901820" {
			t.Errorf("what was typed became %q", got)
		}
		laptop.write("#phone", "+49 30 901820")
		laptop.click("#add-phone button")
		laptop.until(`document.activeElement.id.startsWith("code-")`)
	})

	part("at the desk, a proof that is too old", func(t *testing.T) {
		if out, exit := s.terminal().run("", "admin", "desk", "add", "ann@example.org", "--data", s.data); exit != 0 {
			t.Fatalf("the role: %s", out)
		}
		ann.open("/desk")
		ann.see("#find")
		// As an hour later.
		run(ann, chromedp.Evaluate[chromedp.Void](`{
			const ask = window.fetch;
			window.fetch = (to, how) => String(to).startsWith("/v1/desk/")
				? Promise.resolve(new Response('{"code": 4090, "title": "Not possible now", "reason": "fresh"}', {status: 409, headers: {"Content-Type": "application/problem+json"}}))
				: ask(to, how);
		}; undefined`))
		ann.write("#identifier", jane)
		ann.click("#find .main")
		ann.see("#again-signin")
		if said := ann.text("#trouble"); !strings.Contains(said, "fresh proof") {
			t.Errorf("said: %q", said)
		}
		ann.look("desk-again")
		ann.click("#again-signin")
		ann.at("/")
		ann.write("#account", "ann@example.org")
		ann.write("#password", password)
		ann.click("#sign-in .main")
		ann.at("/desk") // where she was
		ann.see("#find")
		ann.finds(jane, "")
		ann.see("#found")
	})

	part("nowhere but here", func(t *testing.T) {
		for _, wanted := range []string{"//evil.example", "https://evil.example/account", "/account//evil.example", "/account/..//evil.example", `/\evil.example`, "javascript:alert(1)", "/account?x=//evil.example", " /account"} {
			ann.open("/?add")
			ann.see("#sign-in")
			run(ann, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`sessionStorage.setItem("readmit-after", %q); import(document.querySelector("script[type=module]").src.replace(/[^/]*$/, "inside.js")).then(({ inside }) => inside()); undefined`, wanted)))
			ann.until(fmt.Sprintf(`location.href === %q`, s.url+"/account"))
		}
	})

	part("an export is its owner's, as long as they are signed in", func(t *testing.T) {
		laptop.open("/account/ways")
		laptop.see("#export")
		session := run(laptop, chromedp.Evaluate[string](`import(document.querySelector("script[type=module]").src.replace(/[^/]*$/, "kept.js")).then(({ current }) => current()).then((e) => e.session)`, chromedp.EvalAwaitPromise))
		if out := laptop.with(session, "/v1/export"); !strings.Contains(out, jane) {
			t.Fatalf("her own: %.80s", out)
		}
		for _, path := range []string{"/v1/export", "/v1/activity", "/v1/requests", "/v1/recoveries", "/v1/devices"} {
			if out := ann.with(session, path); out != "refused refused" {
				t.Errorf("%s of another account: %.80s", path, out)
			}
		}
		// The page of the ended session is told by itself; what it would ask all
		// the same is refused too.
		laptop.calls("/v1/sign-out/everywhere", nil)
		laptop.refused()
		if out := laptop.with(session, "/v1/export"); out != "refused refused" {
			t.Errorf("with a session that has ended: %.80s", out)
		}
		laptop.signIn(jane, password)
		laptop.at("/account")
		laptop.see("#inside")
		laptop.open("/account/ways")
		laptop.see("#export")
		laptop.click("#export")
		laptop.see("#exported code")
	})
}
