package clients

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"
)

// cookie is what is kept of one: never its value.
type cookie struct {
	name, domain string
	filled       bool
	until        time.Time // zero for a cookie of the session, or where no date was kept
}

type jar struct {
	cookies []cookie
	damaged bool // some of it could not be read: what is absent may have been there
}

// maxCookies is far above what iCloud sets (about forty).
const maxCookies = 4096

var jarHeader = []byte("#LWP-Cookies-")

// readJar reads a jar in the form of Python's LWPCookieJar. What is whole in a
// damaged one is kept, for a truncated jar still tells dates.
func readJar(b []byte) jar {
	var j jar
	if !bytes.HasPrefix(b, jarHeader) || !utf8.Valid(b) || b[len(b)-1] != '\n' {
		j.damaged = true
	}
	for line := range bytes.Lines(b) {
		text := strings.TrimRight(string(line), "\r\n")
		rest, ok := strings.CutPrefix(text, "Set-Cookie3:")
		if !ok {
			if text = strings.TrimSpace(text); text != "" && text[0] != '#' {
				j.damaged = true
			}
			continue
		}
		c, ok := readCookie(rest)
		if !ok || len(j.cookies) == maxCookies {
			j.damaged = true
			continue
		}
		j.cookies = append(j.cookies, c)
	}
	return j
}

// readCookie reads what follows Set-Cookie3: on a line. A line that ends within
// quotes or has no domain was cut, and is not used.
func readCookie(line string) (cookie, bool) {
	var c cookie
	for i := 0; ; i++ {
		line = strings.TrimLeft(line, "; \t")
		if line == "" {
			return c, c.name != "" && c.domain != ""
		}
		name, value, rest, ok := readField(line)
		if !ok {
			return c, false
		}
		line = rest
		if i == 0 {
			c.name, c.filled = name, value != "" && value != `""`
			continue
		}
		switch strings.ToLower(name) {
		case "domain":
			c.domain = value
		case "expires":
			if c.until = readDate(value); c.until.IsZero() {
				return c, false
			}
		}
	}
}

// readField takes one name, or name=value, off the front; a value may be quoted,
// with backslashes before what shall not end it.
func readField(s string) (name, value, rest string, ok bool) {
	i := strings.IndexAny(s, "=;")
	if i < 0 {
		return strings.TrimSpace(s), "", "", true
	}
	name = strings.TrimSpace(s[:i])
	if s[i] == ';' {
		return name, "", s[i+1:], true
	}
	s = strings.TrimLeft(s[i+1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return name, strings.TrimSpace(value), rest, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return name, b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
			fallthrough
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", "", false
}

// The forms of a date that jars have had: ours, and those of the web.
var dateForms = []string{
	"2006-01-02 15:04:05Z", "2006-01-02T15:04:05Z", time.RFC1123, "Mon, 02-Jan-2006 15:04:05 MST", "Monday, 02-Jan-06 15:04:05 MST",
}

func readDate(s string) time.Time {
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil && t.Year() >= 1990 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// readCookieList reads cookies as a browser sends them, "n=v; n=v": there are no
// dates and no domains in it.
func readCookieList(s string) jar {
	var j jar
	for part := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || len(j.cookies) == maxCookies {
			continue
		}
		j.cookies = append(j.cookies, cookie{name: name, filled: strings.Trim(value, `"`) != ""})
	}
	return j
}

// The cookies that say how far a sign-in has come.
const (
	userCookie   = "X-APPLE-WEBAUTH-USER"
	trustCookie  = "X-APPLE-WEBAUTH-HSA-TRUST"
	tokenCookie  = "X-APPLE-WEBAUTH-TOKEN"
	repairCookie = "X-APPLE-WEBAUTH-REPAIR"
	accessPrefix = "X-APPLE-WEBAUTH-PCS-"
	webPrefix    = "X-APPLE-WEBAUTH-"
)

// has reports whether a cookie of the name is there, ended or not.
func (j *jar) has(name string) bool {
	for _, c := range j.cookies {
		if c.filled && c.name == name {
			return true
		}
	}
	return false
}

func (j *jar) hasPrefix(prefix string) bool {
	for _, c := range j.cookies {
		if c.filled && strings.HasPrefix(c.name, prefix) {
			return true
		}
	}
	return false
}

// until is when the trust in the client ends. Two cookies tell it, whichever ends
// first; of one name on several domains the newest counts. Those whose name
// begins with accessPrefix are moved on by every request, and tell nothing.
func (j *jar) until() (t time.Time, ok bool) {
	for _, name := range []string{userCookie, trustCookie} {
		var newest time.Time
		for _, c := range j.cookies {
			if c.name == name && c.until.After(newest) {
				newest = c.until
			}
		}
		if !newest.IsZero() && (!ok || newest.Before(t)) {
			t, ok = newest, true
		}
	}
	return t, ok
}

// The domains of cause.CheckRegion.
const (
	dotCom = "icloud.com"
	dotCN  = "icloud.com.cn"
)

// domain is which of the two the client asks, if its cookies are of one alone.
func (j *jar) domain() string {
	in := map[string]bool{}
	for _, c := range j.cookies {
		if !strings.HasPrefix(c.name, webPrefix) {
			continue
		}
		for _, d := range []string{dotCom, dotCN} {
			if c.domain == d || strings.HasSuffix(c.domain, "."+d) {
				in[d] = true
			}
		}
	}
	switch {
	case in[dotCom] && !in[dotCN]:
		return dotCom
	case in[dotCN] && !in[dotCom]:
		return dotCN
	}
	return ""
}
