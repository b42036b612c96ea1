package texts

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"readmit.dev/readmit/cause"
)

type errorText struct {
	at, rule, source, text string
	first                  cause.Code
}

// load reads files of texts: "== rule cause", "from" or "after" the source,
// then the text. "from" is as the thread has it, cut to what matters and with
// the program's name where the thread gives it elsewhere; "after" is made in
// the form that the source shows.
func load(t testing.TB, dir string) []errorText {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no texts in %s: %v", dir, err)
	}
	var all []errorText
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var c *errorText
		in := bufio.NewScanner(f)
		for n := 1; in.Scan(); n++ {
			line := in.Text()
			if line == "==" || strings.HasPrefix(line, "== ") {
				all = append(all, errorText{at: fmt.Sprintf("%s:%d", filepath.Base(name), n)})
				c = &all[len(all)-1]
				fmt.Sscanf(line, "== %s %s", &c.rule, &c.first)
				continue
			}
			if c.rule != "" && c.source == "" {
				c.source = line
				continue
			}
			c.text += line + "\n"
		}
	}
	return all
}

func TestCases(t *testing.T) {
	cases := load(t, "cases")
	if len(cases) < 80 {
		t.Errorf("%d cases, want at least 80", len(cases))
	}
	seen := map[string]int{}
	for _, c := range cases {
		e := Explain(c.text)
		if len(e.Rules) == 0 || e.Rules[0] != c.rule || e.Findings[0].Cause != c.first {
			t.Errorf("%s: %v %s, want %s %s\n%s", c.at, e.Rules, e.Findings[0].Cause, c.rule, c.first, c.text)
		}
		if !strings.HasPrefix(c.source, "from ") && !strings.HasPrefix(c.source, "after ") {
			t.Errorf("%s: no source", c.at)
		}
		seen[c.rule]++
	}
	for _, r := range rules() {
		if seen[r.label] == 0 && !slices.Contains(byHand, r.label) {
			t.Errorf("no case for the rule %s", r.label)
		}
	}
	t.Logf("%d rules, %d cases", len(rules()), len(cases))
}

// byHand are rules without a thread that quotes their text.
var byHand = []string{"throttled", "app-password-unsupported"}

func TestUnknown(t *testing.T) {
	texts := load(t, "unknown")
	if len(texts) < 40 {
		t.Errorf("%d texts, want at least 40", len(texts))
	}
	for _, c := range texts {
		for _, m := range mutations {
			text := m.do(c.text)
			e := Explain(text)
			if len(e.Findings) != 1 || e.Findings[0].Cause != "unknown" || len(e.Rules) != 0 || len(e.Findings[0].Remedies) == 0 {
				t.Errorf("%s, %s: %v %s\n%s", c.at, m.name, e.Rules, e.Findings[0].Cause, text)
			}
		}
	}
	t.Logf("%d unknown texts", len(texts))
}

type mutation struct {
	name string
	do   func(string) string
}

func eachLine(s string, do func(string) string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = do(lines[i])
	}
	return strings.Join(lines, "\n") + "\n"
}

// wrapped breaks lines after so many runes, wherever that is, as a terminal does.
func wrapped(s string, width int, prefix string) string {
	return eachLine(s, func(l string) string {
		var out []string
		for r := []rune(l); ; r = r[width:] {
			if len(r) <= width {
				out = append(out, prefix+string(r))
				return strings.Join(out, "\n")
			}
			out = append(out, prefix+string(r[:width]))
		}
	})
}

// softly breaks lines between words.
func softly(s string, width int, prefix string) string {
	return eachLine(s, func(l string) string {
		out, n := prefix, 0
		for i, w := range strings.Split(l, " ") {
			if i > 0 && n+len(w) >= width {
				out, n = out+"\n"+prefix, 0
			} else if i > 0 {
				out, n = out+" ", n+1
			}
			out, n = out+w, n+len(w)
		}
		return out
	})
}

var mutations = []mutation{
	{"as it is", func(s string) string { return s }},
	{"in CRLF", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
	{"wrapped at 80", func(s string) string { return wrapped(s, 80, "") }},
	{"wrapped at 57", func(s string) string { return wrapped(s, 57, "") }},
	{"wrapped at 33 with CRLF", func(s string) string { return strings.ReplaceAll(wrapped(s, 33, ""), "\n", "\r\n") }},
	{"wrapped softly at 40", func(s string) string { return softly(s, 40, "") }},
	{"wrapped softly and quoted", func(s string) string { return softly(s, 60, "> ") }},
	{"wrapped under a log's prefix", func(s string) string { return softly(s, 50, "2025-11-21 09:02:13,421 ERROR    ") }},
	{"from journald", func(s string) string {
		return eachLine(s, func(l string) string { return "Nov 21 09:02:13 host python3[503]: " + l })
	}},
	{"from compose", func(s string) string {
		return eachLine(s, func(l string) string { return "sync-1  | [2025-11-21 09:02:13] " + l })
	}},
	{"coloured", func(s string) string {
		return eachLine(s, func(l string) string {
			return "\x1b[1;31m" + strings.ReplaceAll(l, " ", "\x1b[0m \x1b[33m") + "\x1b[0m"
		})
	}},
	{"from a web page", func(s string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;", "\n", "<br>\n").Replace(s)
	}},
	{"with smart quotes", func(s string) string {
		return strings.NewReplacer(`"`, "”", "'", "’", "-", "−").Replace(s)
	}},
	{"in capitals", strings.ToUpper},
	{"in small letters", strings.ToLower},
	{"escaped once more", func(s string) string { return fmt.Sprintf("%q\n", s) }},
	{"among other lines", func(s string) string {
		return "Starting up, pid 421\nLoaded 503 items in 409 ms\n" + s + "Shutting down after 450 seconds, port 8080\nBye (-1)\n"
	}},
	{"with trailing spaces", func(s string) string { return eachLine(s, func(l string) string { return "   " + l + "  \t " }) }},
}

func TestMutilated(t *testing.T) {
	for _, c := range load(t, "cases") {
		for _, m := range mutations {
			text := m.do(c.text)
			e := Explain(text)
			if e.Findings[0].Cause == c.first && slices.Contains(e.Rules, c.rule) {
				continue
			}
			t.Errorf("%s, %s: %v %s, want %s %s\n%s", c.at, m.name, e.Rules, e.Findings[0].Cause, c.rule, c.first, text)
		}
	}
}

// Half a message may be too little; it must not be told to be something else.
// A half that says less may leave the cause open among several, or hold only
// the part that another rule of the whole text knows.
func TestHalves(t *testing.T) {
	var right, open, unknown int
	for _, c := range load(t, "cases") {
		var also []string
		page := read(c.text)
		for _, m := range page.matches() {
			also = append(also, m.label)
		}
		r := []rune(strings.TrimSpace(c.text))
		for _, part := range []string{
			string(r[:len(r)/2]), string(r[len(r)/2:]), string(r[:len(r)/3]), string(r[len(r)/3 : 2*len(r)/3]), string(r[2*len(r)/3:]),
			string(r[:len(r)*3/4]), string(r[len(r)/4:]),
		} {
			e := Explain(part)
			switch got := e.Findings[0].Cause; {
			case got == "unknown":
				unknown++
			case got == c.first:
				right++
			case e.Ambiguous && (slices.ContainsFunc(e.Findings, func(f cause.Finding) bool { return f.Cause == c.first }) || slices.Contains(also, e.Rules[0])):
				open++
			default:
				t.Errorf("%s: half of it is told to be %v %s, want %s\n%s", c.at, e.Rules, got, c.first, part)
			}
		}
	}
	t.Logf("%d right, %d open, %d unknown", right, open, unknown)
}

func TestRules(t *testing.T) {
	labels := map[string]bool{}
	for _, r := range rules() {
		if labels[r.label] || cause.Label(r.label).String() != r.label {
			t.Errorf("label %q", r.label)
		}
		labels[r.label] = true
	}
	for _, r := range rules() {
		if r.source == "" || len(r.causes) == 0 || len(r.says)+len(r.codes)+len(r.status) == 0 {
			t.Errorf("%s has no source, no cause or nothing that it matches", r.label)
		}
		if (len(r.causes) > 1) != (r.test != "") {
			t.Errorf("%s: %d causes, test %q", r.label, len(r.causes), r.test)
		}
		for _, g := range r.causes {
			if _, ok := cause.Lookup(g.cause); !ok {
				t.Errorf("%s: %s is no cause", r.label, g.cause)
			}
			if len(Remedies(g.cause, "")) == 0 {
				t.Errorf("%s: nothing ends %s", r.label, g.cause)
			}
		}
		for _, o := range r.over {
			if !labels[o] || o == r.label {
				t.Errorf("%s replaces %q", r.label, o)
			}
		}
		for _, parts := range r.parts {
			if n := utf8.RuneCountInString(strings.Join(parts, "")); n < 10 {
				t.Errorf("%s: %v is too short to be sure of", r.label, parts)
			}
		}
	}
	for c, list := range advices {
		if _, ok := cause.Lookup(c); !ok {
			t.Errorf("advice on %s, which is no cause", c)
		}
		if list[0].client != "" {
			t.Errorf("%s: no advice for any client", c)
		}
		for _, a := range list {
			if a.client != "" {
				cause.Note(cause.CheckClient, cause.Value{}, cause.Word(a.client), cause.ByDevice)
			}
			if len(a.argv) > 0 && a.argv[0] != "readmit" {
				t.Errorf("%s: %v", c, a.argv)
			}
		}
	}
}

func TestCodes(t *testing.T) {
	for in, want := range map[string]cause.Code{
		"-20101": "client-outdated", "-20283": "client-outdated", "-22406": "password-wrong", "-20209": "account-locked", "-21669": "code-wrong",
		"-22979": "rate-limited", "-22981": "rate-limited", "-22982": "code-tries-spent", "-28248": "code-undelivered", "-36607": "provisioning-refused",
		"-45025": "provisioning-refused", "302": "region-wrong", "400": "client-outdated", "401": "client-outdated", "403": "account-unknown",
		"409": "factor-unfinished", "412": "terms-pending", "421": "trust-expired", "423": "access-not-approved", "450": "session-expired",
		"503": "client-outdated", "4001": "client-outdated",
		"HTTP 421": "trust-expired", "(-22406)": "password-wrong", "−20209": "account-locked", "Error 4001": "client-outdated", " error: -21669 \r\n": "code-wrong",
		"20209": "account-locked", "iCloud error code (4001)": "client-outdated", "“-22982”": "code-tries-spent", "9999": "unknown", "-12345": "unknown",
	} {
		e, ok := Code(in)
		if !ok || e.Findings[0].Cause != want {
			t.Errorf("%q: %v, want %s", in, e.Findings, want)
			continue
		}
		if want != "unknown" && !slices.ContainsFunc(e.Findings[0].Evidence, func(f cause.Fact) bool { return f.Check() == cause.CheckTextCode }) {
			t.Errorf("%q: the evidence lacks the number", in)
		}
		if e.Ambiguous && e.Findings[0].Remedies[0].Do != e.Test {
			t.Errorf("%q: the first remedy is not the test", in)
		}
	}
	for _, in := range []string{"", "4K7Q-9FXM", "1234-5678", "hello", "4001 and more", "421 photos", "-1", "127.0.0.1", "2025-11-21", "--20101", "12345678"} {
		if e, ok := Code(in); ok {
			t.Errorf("%q is taken for a code: %v", in, e.Rules)
		}
	}
}

// The words of the survey's table are known alone, as somebody would type them.
func TestOneLine(t *testing.T) {
	for in, want := range map[string]cause.Code{
		"Invalid email/password combination": "client-outdated", "Invalid Session Token": "client-outdated", `409 with "valid": true`: "client-outdated",
		"end provisioning error… (-45025)": "provisioning-refused", "-36607": "provisioning-refused",
		"Authentication required for Account. (421)": "trust-expired", "2FA is required. Please log in.": "trust-expired",
		"Bad username or password": "client-outdated", "Bad username or password for jane@example.org": "client-outdated", "Missing apple_id field": "app-password",
		"Incorrect Verification Code (-21669)": "code-wrong", "44199 is not in the range": "code-wrong",
		"Missing PCS cookies": "access-not-approved", "private db access disabled": "access-not-approved", "private db access disabled for this account": "access-not-approved", "ZONE_NOT_FOUND": "access-not-approved",
		"Apple insists on using iCloud.com.cn": "region-wrong", "domainToUse": "region-wrong", "HTTP 302 domainToUse": "region-wrong", "Enter the correct password": "password-wrong",
		"Keyring file does not exist": "state-not-persisted", "Cookie does not exist": "state-not-persisted", "Missing X-APPLE-WEBAUTH-TOKEN cookie": "terms-pending",
		"CERTIFICATE_VERIFY_FAILED": "tls-intercepted", "no trusted number found": "security-keys", "HTTP 503": "client-outdated",
	} {
		if e := Explain(in); e.Findings[0].Cause != want {
			t.Errorf("%q: %v %s, want %s", in, e.Rules, e.Findings[0].Cause, want)
		}
	}
}

// The umbrella names the article's five first, and all of iCloud's own causes.
func TestUmbrella(t *testing.T) {
	e, _ := Code("4001")
	if !e.Ambiguous || e.Test == "" || e.Findings[0].Remedies[0].Do != e.Test {
		t.Fatal("4001 is told without its tests")
	}
	var got []cause.Code
	for _, f := range e.Findings {
		got = append(got, f.Cause)
	}
	article := []cause.Code{"client-outdated", "trust-expired", "code-wrong", "code-undelivered", "password-wrong", "account-locked"}
	if !slices.Equal(got[:len(article)], article) {
		t.Errorf("4001 begins %v", got)
	}
}

func TestRootsFirst(t *testing.T) {
	e := Explain("pyicloud: validate2FACode failed: HTTP error 409 and icloudpd: Too Many Requests (429)")
	if !slices.Equal(e.Rules, []string{"code-accepted-by-conflict", "throttled"}) {
		t.Errorf("rules %v", e.Rules)
	}
	e = Explain("icloudpd\nToo Many Requests (429)\nApple insists on using iCloud.com.cn for your request\nPyiCloudAcceptTermsException")
	if e.Rules[0] != "other-domain" {
		t.Errorf("rules %v, want the domain before the terms it hides", e.Rules)
	}
	// A root stands first even where it is the less certain of the two.
	e = Explain("icloudpd\nService Temporarily Unavailable (503)\nToo Many Requests (429)")
	if !slices.Equal(e.Rules, []string{"held-back", "throttled"}) || !e.Ambiguous {
		t.Errorf("rules %v", e.Rules)
	}
	// The umbrella says nothing beside what says more.
	e = Explain("iCloud error 4001\nMissing PCS cookies from the request")
	if !slices.Equal(e.Rules, []string{"access-refused"}) || e.Ambiguous {
		t.Errorf("rules %v", e.Rules)
	}
}

func TestClients(t *testing.T) {
	e := Explain("rclone iclouddrive: Invalid Session Token")
	if e.Client != "rclone" || !slices.ContainsFunc(e.Findings[0].Remedies, func(r cause.Remedy) bool { return strings.Contains(r.Do, "rclone selfupdate") }) {
		t.Errorf("%q %v", e.Client, e.Findings[0].Remedies)
	}
}

func TestLooksLikeText(t *testing.T) {
	sealed := strings.Repeat("Ab3_-", 60)
	for in, want := range map[string]bool{
		"": false, "  \n": false, "4K7Q-9FXM": false, " 4k7q-9fxm\n": false, sealed: false, wrapped(sealed, 64, ""): false,
		"-20101": true, "4001": true, "Invalid Session Token": true, "PyiCloudFailedLoginException": true, "readmit: sign-in failed (4001)\nincident: 4K7Q-9FXM": true,
		strings.Repeat("some words of prose ", 20): true,
	} {
		if got := LooksLikeText(in); got != want {
			t.Errorf("%q: %v", in, got)
		}
	}
}

func TestLongTexts(t *testing.T) {
	noise := strings.Repeat("2025-11-21 09:02:13 DEBUG    nothing to see (421) here 503 -20101\n", 40_000)
	for name, text := range map[string]string{
		"at the end":   noise + "iCloud: Auth error -20209: locked\n",
		"at the start": "iCloud: Auth error -20209: locked\n" + noise,
	} {
		start := time.Now()
		if e := Explain(text); e.Findings[0].Cause != "account-locked" {
			t.Errorf("%s: %v", name, e.Rules)
		}
		// A quarter of a second here; the rest is room for slow machines and -race.
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
}

func FuzzExplain(f *testing.F) {
	for _, c := range append(load(f, "cases"), load(f, "unknown")...) {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := Explain(text)
		if len(e.Findings) == 0 || (len(e.Rules) == 0) != (e.Findings[0].Cause == "unknown") || e.Ambiguous != (e.Test != "") {
			t.Errorf("%+v", e)
		}
		seen := map[cause.Code]bool{}
		for _, f := range e.Findings {
			if seen[f.Cause] || len(f.Remedies) == 0 || len(f.Evidence) == 0 {
				t.Errorf("finding %+v", f)
			}
			seen[f.Cause] = true
		}
		LooksLikeText(text)
	})
}
