package web

import (
	"html/template"
	"strings"

	"readmit.dev/readmit/cause"
)

// group is some causes under one heading, as the help lists them.
type group struct {
	Name   string // key of its heading
	Causes []cause.Code
}

// steps has the causes that lie with each step of the article, in its order.
var steps = []struct {
	name   string
	causes string
}{
	{"service", "service-fault unreachable tls-intercepted clock-off client-outdated refused"},
	{"credentials", "password-wrong account-unknown account-disabled locked-by-strangers locked-by-own-device"},
	{"code", "code-undelivered code-wrong code-late code-used code-elsewhere code-clock-off code-tries-spent factor-missing request-denied"},
	{"device", "state-damaged device-removed key-mismatch token-superseded session-ended session-expired"},
	{"passkey", "passkey-refused passkey-copied"},
	{"recovery", "recovery-pending recovery-unproved recovery-code-wrong recovery-over"},
}

// groups sorts the table: what has no place with a step of ours is of another
// provider's accounts, but for what the table may gain.
func groups() []group {
	var out []group
	placed := map[cause.Code]bool{}
	for _, s := range steps {
		g := group{Name: "p.causes." + s.name}
		for name := range strings.FieldsSeq(s.causes) {
			if _, ok := cause.Lookup(cause.Code(name)); ok {
				g.Causes = append(g.Causes, cause.Code(name))
				placed[cause.Code(name)] = true
			}
		}
		out = append(out, g)
	}
	rest := group{Name: "p.causes.other"}
	for _, row := range cause.Table() {
		if !placed[row.Code] {
			rest.Causes = append(rest.Causes, row.Code)
		}
	}
	return append(out, rest)
}

// causePage is a cause's page in the reader's language: title and remedies by the
// catalogue, the text by docs/causes.
type causePage struct {
	cause.Row
	Title string
	Body  template.HTML
}

func (p *Pages) cause(lang string, code cause.Code) (causePage, bool) {
	row, ok := cause.Lookup(code)
	if !ok {
		return causePage{}, false
	}
	at := causes
	if lang != tongues[0].Code {
		at += lang + "/"
	}
	body, err := files.ReadFile(at + string(code) + ".html")
	if err != nil {
		return causePage{}, false
	}
	// It is our own page, from the binary itself.
	return causePage{row, p.words[lang].get(causeKey(code)), template.HTML(body)}, true
}
