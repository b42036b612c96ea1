package message

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"readmit.dev/readmit/store"
)

// values makes of each value what a text may hold of it. What is not here has
// no place in a message.
var values = map[string]func(string) (string, bool){
	"code":      matching(`^[0-9A-Z]([0-9A-Z-]{0,38}[0-9A-Z])?$`),
	"word":      matching(`^[0-9A-Za-z]([0-9A-Za-z -]{0,62}[0-9A-Za-z])?$`),
	"reference": matching(`^[0-9A-Z]{4}-[0-9A-Z]{4}$`),
	"account":   identifier,
	"accounts":  identifiers,
	"agent":     identifier,
	"address":   masked,
	"device":    name,
	"passkey":   name,
	"by":        name,
	"whom":      oneOf(WhoHasWord, WhoBegan),
	"from":      from,
	"when":      moment,
	"opens":     moment,
}

// What stands for a device without a name, and for an address that is none. Each
// language has its own words for them.
const (
	unnamed = "unnamed"
	local   = "local"
)

func oneOf(words ...string) func(string) (string, bool) {
	return func(s string) (string, bool) { return s, slices.Contains(words, s) }
}

func matching(form string) func(string) (string, bool) {
	r := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(form) })
	return func(s string) (string, bool) { return s, r().MatchString(s) }
}

// identifier shows an account's identifier, with a question mark for what could
// be read as more than an e-mail address. It refuses none: what an account is
// called must not keep its owner from being told.
func identifier(s string) (string, bool) {
	out := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || strings.ContainsRune(` "<>(),:;\/[]`, r) {
			return '?'
		}
		return r
	}, s)
	return string([]rune(out)[:min(len([]rune(out)), 254)]), s != ""
}

// maxIdentifiers is how many accounts one message lists.
const maxIdentifiers = 10

func identifiers(s string) (string, bool) {
	lines := strings.Split(s, "\n")
	lines = lines[:min(len(lines), maxIdentifiers)]
	for i, l := range lines {
		var ok bool
		if lines[i], ok = identifier(l); !ok {
			return "", false
		}
	}
	return strings.Join(lines, "\n"), true
}

// masked is an address of which most is left out.
func masked(s string) (string, bool) {
	if !strings.Contains(s, "***") {
		return "", false
	}
	return identifier(s)
}

// Masked shows of an address what its owner knows it by.
func Masked(kind, value string) string {
	if kind == store.Phone {
		return value[:min(3, len(value))] + "***" + value[max(0, len(value)-2):]
	}
	local, domain, _ := strings.Cut(value, "@")
	for _, r := range local {
		return string(r) + "***@" + domain
	}
	return "***@" + domain
}

// name keeps of what a person called a thing letters, digits and a little
// between them. A full stop is not kept: a mail reader makes a link of
// "example.org", and whoever names a device can be a thief.
func name(s string) (string, bool) {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == 40 {
			break
		}
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune("-_'()", r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
		n++
	}
	if s = strings.Join(strings.Fields(b.String()), " "); s == "" {
		s = unnamed
	}
	return s, true
}

func from(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return local, true
	}
	return a.WithZone("").String(), true
}

func moment(s string) (string, bool) {
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC().Format("2006-01-02 15:04 UTC"), err == nil
}

// Moment is how a time is given as a value.
func Moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

var placeholder = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{[a-z]+\}`) })

// fill puts values into a text of the catalogue, all at once, so that no value
// can bring a placeholder of its own.
func fill(text string, with map[string]string) (string, error) {
	var missing error
	out := placeholder().ReplaceAllStringFunc(text, func(p string) string {
		v, ok := with[p[1:len(p)-1]]
		if !ok {
			missing = fmt.Errorf("message: no value for %s", p)
		}
		return v
	})
	return out, missing
}

// clean checks and cleans what a caller gives.
func clean(given map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(given)+4)
	for k, v := range given {
		f, ok := values[k]
		if !ok {
			return nil, fmt.Errorf("message: there is no value called %q", k)
		}
		if out[k], ok = f(v); !ok {
			return nil, fmt.Errorf("message: the value %s is not of its form", k)
		}
	}
	return out, nil
}
