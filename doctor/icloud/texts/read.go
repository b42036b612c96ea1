package texts

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

const limit = 64 << 10

// reading is a text in the forms that rules look at.
type reading struct {
	said   []string       // letters and digits only: wraps, quotes and punctuation are gone
	codes  map[int]bool   // Apple's own numbers, where the text calls them errors
	status map[int]bool   // HTTP statuses, where the text calls them that
	where  map[scope]bool // of what the text speaks
	alone  string         // the text without accounts' names, as in said
	client string
}

// scope is what a text has to speak of before a rule may know it.
type scope int

const (
	anywhere scope = iota
	provider       // of Apple, iCloud or what signs in there
	host           // of one of Apple's hosts, or of a client
	client         // of a sign-in client or a sign-in host
)

func read(text string) reading {
	if len(text) > limit {
		text = text[:limit/2] + "\n" + text[len(text)-limit/2:]
	}
	whole := plain(text)
	bare := stripPrefixes(whole, 4)
	flat := []string{flatten(whole), flatten(bare), flatten(stripPrefixes(whole, 1))}
	r := reading{codes: map[int]bool{}, status: map[int]bool{}, where: map[scope]bool{anywhere: true}}
	for _, f := range flat {
		r.said = append(r.said, squeeze(f))
	}
	if joined := squeeze(strings.ReplaceAll(bare, "-\n", "")); !slices.Contains(r.said, joined) {
		r.said = append(r.said, joined)
	}
	r.alone = squeeze(nameForm().ReplaceAllString(flat[1], ""))
	r.client = clientOf(r)
	r.where[client] = r.saysAny(clientWords)
	r.where[host] = r.where[client] || r.saysAny(hostWords)
	r.where[provider] = r.where[host] || r.saysAny(providerWords) || slices.ContainsFunc(flat, appleForm().MatchString)
	tight := strings.NewReplacer("-\n", "-", "\n", "").Replace(bare)
	for _, f := range append(flat, tight) {
		noteCodes(r.codes, f)
		noteStatus(r.status, f)
	}
	return r
}

func (r reading) within(s scope) bool { return r.where[s] }
func (r reading) names(n int) bool    { return r.codes[n] }
func (r reading) answered(n int) bool { return r.status[n] && r.where[client] }

func (r reading) saysAll(parts []string) bool {
	return slices.ContainsFunc(r.said, func(s string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool {
			if n, ok := strings.CutPrefix(p, "#"); ok {
				status, _ := strconv.Atoi(n)
				return !r.status[status]
			}
			return !strings.Contains(s, p)
		})
	})
}

// saysOnly reports whether the text is the phrase and hardly more: somebody
// who asks about one line alone means iCloud.
func (r reading) saysOnly(p string) bool {
	return len(r.alone) <= len(p)+8 && strings.Contains(r.alone, p)
}

func (r reading) saysAny(words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return r.saysAll([]string{w}) })
}

// form compiles an expression when it is first asked for: most runs of the
// program read no text, and all would wait for it.
func form(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var (
	ansiForm = form("\x1b(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[@-Z\\\\-_])")
	tagForm  = form(`(?i)</?(?:b|i|br|p|a|em|li|ul|ol|td|tr|div|pre|code|span|strong|blockquote)\b[^<>]{0,200}>`)

	escapes = strings.NewReplacer(
		`\xa0`, " ", `\u00a0`, " ", `\u2019`, "'", `\u2018`, "'", `\r\n`, " ", `\n`, " ", `\t`, " ", `\r`, " ",
		"\r\n", "\n", "\r", "\n",
		"‘", "'", "’", "'", "“", `"`, "”", `"`, "„", `"`, "«", `"`, "»", `"`,
		"\u2010", "-", "\u2011", "-", "\u2012", "-", "\u2013", "-", "\u2014", "-", "\u2212", "-", "\ufe63", "-", "\uff0d", "-",
		"\u00a0", " ", "\u202f", " ", "\u2009", " ", "\u200b", "", "\u200d", "", "\ufeff", "", "\u00ad", "",
	)
)

// plain undoes what terminals, web pages and serialisers add to a text.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = ansiForm().ReplaceAllString(s, "")
	s = tagForm().ReplaceAllString(s, " ")
	for range 2 { // logs are pasted into pages that escape them once more
		s = html.UnescapeString(s)
	}
	return strings.ToLower(escapes.Replace(s))
}

// prefixes are what logs put in front of each line.
var prefixes = []func() *regexp.Regexp{
	form(`^[\s>|│├╰●•]+`),
	form(`^[a-z0-9][a-z0-9_.-]{0,40} +\| `),
	form(`^\[?\d{4}[-/.]\d{1,2}[-/.]\d{1,2}[t ,]+\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?:z|[+-]\d\d:?\d\d)?\]?[ ,:|-]*`),
	form(`^\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?[ ,:|-]*`),
	form(`^(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) +\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)? \S{1,60} [^\s:]{1,60}: ?`),
	form(`^(?:::? ?)?\[?(?:trace|debug|info|notice|warn|warning|error|critical|fatal)\b\]?[ \t]*(?:[:|-]+[ \t]*)?`),
	form(`^\[\d+\] *`),
	form(`^(?:stdout|stderr)\b[ \t]*`),
	form(`^\((?:mainthread|syncworker_\d+)\) *(?:\[[\w.]+\] *)?`),
}

// stripPrefixes takes prefixes away, in so many rounds: a log within a log has
// several, but what looks like one can be the first word of a wrapped line.
func stripPrefixes(s string, rounds int) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		for range rounds {
			was := l
			for _, p := range prefixes {
				l = p().ReplaceAllString(l, "")
			}
			if l == was {
				break
			}
		}
		lines[i] = l
	}
	return strings.Join(lines, "\n")
}

func flatten(s string) string { return strings.Join(strings.Fields(s), " ") }

func squeezeSpace(s string) string { return strings.Join(strings.Fields(s), "") }

// squeeze keeps letters and digits alone, so that a phrase is found however it
// was wrapped, quoted or escaped.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

var (
	nameForm      = form(`\S+@\S+`)
	appleForm     = form(`\bapple\b`)
	codeForm      = form(`(?:^|[^0-9a-z.])-(\d{5})(?:[^0-9]|$)`)
	beforeCode    = form(`(?:\b(?:error|err|ec|code|status|fehler|erreur)|errorcode|errornumber)["'\\\]]*\s*(?:code|number)?\s*(?:[:=#]|=>)?\s*["'(\\\[]*$|[a-z0-9.!'")\]]\s?\($`)
	articleForm   = form(`(?:\b(?:error|fehler|err|code)\W{0,4}(?:code|number)?\W{0,4}|\()4001(?:[^0-9]|$)`)
	statusForm    = form(`(?:\bhttp(?:/[\d.]+)?(?: (?:error|status|code))?|status(?:[ _-]?code)?|\berror[ _-]?code|\bconnection error|\bcurl request error\.?|\breturn(?:ed|s)? https? code|\bhttp/[\d.]+)["'\\]*\s*(?:[:=-]|=>)?\s*["'(\\]*(\d{3})([^0-9].{0,12}|$)`)
	errorForm     = form(`\berror(?:: ?|-| )(\d{3})(?:\s*[.,:;)\]"'}]|$)`)
	countForm     = form(`^["')]*\s*(?:of\b|/|photos|files|items|assets|albums|videos|bytes|ms\b|s\b|kb|mb|gb|px|%|seconds|minutes|days)`)
	loneForm      = form(`^(?:(?:icloud|apple|http|https|error|err|code|status|fehler)[ :#=]*){0,4}[("'\[]*(-?)(\d{3,5})[)"'\]]*[.!?]?$`)
	referenceForm = form(`^[0-9A-Za-z]{4}-[0-9A-Za-z]{4}$`)
	sealedForm    = form(`^[0-9A-Za-z_-]+$`)
)

// manyWords tells prose from something long that was wrapped.
func manyWords(s string) bool {
	words := strings.Fields(s)
	return len(words) > 4 && len(squeezeSpace(s))/len(words) < 30
}

// noteCodes notes Apple's numbers where what stands before them says that they
// are error codes, or where they stand in parentheses at the end of a sentence.
func noteCodes(into map[int]bool, flat string) {
	for _, at := range codeForm().FindAllStringSubmatchIndex(flat, -1) {
		sign := at[2] - 1
		if beforeCode().MatchString(flat[max(0, sign-48):sign]) {
			n, _ := strconv.Atoi(flat[at[2]:at[3]])
			into[-n] = true
		}
	}
	if articleForm().MatchString(flat) && !strings.Contains(flat, "readmit") {
		into[4001] = true
	}
}

func noteStatus(into map[int]bool, flat string) {
	for _, m := range statusForm().FindAllStringSubmatch(flat, -1) {
		n, _ := strconv.Atoi(m[1])
		// A count in one form of the text, where no prefix is in between, is one in all.
		if countForm().MatchString(m[2]) {
			into[n] = false
		} else if _, counted := into[n]; !counted {
			into[n] = true
		}
	}
	for _, m := range errorForm().FindAllStringSubmatch(flat, -1) {
		n, _ := strconv.Atoi(m[1])
		if _, counted := into[n]; !counted {
			into[n] = true
		}
	}
}

// What a text speaks of; all in the squeezed form.
var (
	clientWords = []string{
		"pyicloud", "icloudpd", "icloudpy", "icloud3error", "customcomponentsicloud3", "componentsicloud", "iclouddrivereus", "backendiclouddrive",
		"iclouddriveerror", "iclouddrivefailed", "idmsaapplecom", "setupicloudcom", "gsaapplecom", "gsarequest", "appleauthauth", "ckdatabasews",
		"docwsicloudcom", "fmipwebicloudcom", "fmipmobileicloudcom", "icloudphotosdownloader", "customcomponentsicloud", "failedtologintotheappleaccount",
		"appleacct", "fastlane", "spaceauth", "serviceerrors", "fatalerrorvalidate2facodefailed", "grandslam",
	}
	hostWords     = []string{"icloudcom", "applecom443", "appleauth", "prodmecom", "gsaapple", "imapmailmecom"}
	providerWords = []string{
		"icloud", "appleid", "appleaccount", "idmsa", "anisette", "altserver", "altstore", "sidestore", "sideload", "fastlane", "spaceauth",
		"iforgot", "spaceship", "authkit", "akauthentication", "rileytestut", "hsa2", "iloader", "ipatool", "findmy", "xcodes",
	}
)

// clientOf names the client whose words a text has, the most particular first.
func clientOf(r reading) string {
	for _, c := range []struct {
		client string
		words  []string
	}{
		{"docker-icloudpd", []string{"boredazfcuk", "dockericloudpd", "syncicloudsh", "icloudpdconf", "keyringfiledoesnotexist", "containerinitialisation"}},
		{"icloud3", []string{"icloud3", "appleserverlocation"}},
		{"icloudpy", []string{"icloudpy", "iclouddocker", "iclouddrivedocker", "mandarons"}},
		{"rclone", []string{"rclone", "iclouddriveerror"}},
		{"icloudpd", []string{"icloudpd", "icloudphotosdownloader"}},
		{"pyicloud", []string{"pyicloud"}},
		{"windows", []string{"icloudforwindows", "icloudservicesexe", "iclouddriveexe"}},
		{"mac", []string{"thismac", "macossystemsettings", "comappleaccountsd", "processakd"}},
		{"iphone", []string{"thisiphone", "thisipad"}},
	} {
		if r.saysAny(c.words) {
			return c.client
		}
	}
	return ""
}
