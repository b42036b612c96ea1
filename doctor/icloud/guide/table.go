package guide

import (
	"slices"

	"readmit.dev/readmit/cause"
)

var systems = []string{"", "iphone", "mac", "windows"}

// frequency is how often a cause was met: threads out of the 164 of open iCloud
// clients that were classified by hand in 2026, orders of magnitude only. Where
// the survey counts causes together, the split is ours; a cause that it does
// not count has less than one.
type frequency struct {
	cause cause.Code
	n     float64
	on    []string // nil: everywhere
}

const rare = 0.5

var (
	clients = []string{""}
	noPhone = []string{"", "mac", "windows"}
	apples  = []string{"iphone", "mac", "windows"}
)

var frequencies = []frequency{
	{"client-outdated", 31, nil},
	{"provisioning-refused", 19, clients},
	{"trust-expired", 17, nil},
	{"app-password", 15, nil},
	{"code-wrong", 12, nil},                              // of 13 codes rejected
	{"access-not-approved", 13, []string{"", "windows"}}, // data protection, web access, set-up
	{"code-undelivered", 10, nil},
	{"region-wrong", 10, nil},
	{"password-wrong", 9, nil},          // told so although it was right: mostly unresolved
	{"state-not-persisted", 7, clients}, // of 9 on local files, keyring, path
	{"terms-pending", 7, nil},
	{"rate-limited", 3, nil},
	{"state-damaged", 2, noPhone}, // of 9 on local files
	{"tls-intercepted", 2, nil},   // of 4 on TLS, names and locale
	{"account-locked", 2, nil},
	{"security-keys", 2, nil},
	{"unreachable", 1, nil},
	{"clock-off", 1, nil},
	{"code-late", 1, nil}, // of 13 codes rejected
	{"code-tries-spent", rare, nil},
	{"factor-unfinished", rare, nil},
	{"session-expired", rare, nil},
	{"account-unknown", rare, nil},
	{"service-fault", rare, nil},
	{"services-disagree", rare, apples},
	{"change-pending", rare, nil},
}

// other is the likelihood of what the table does not know.
const other = 2.0

// enough is the likelihood at which what is left alone needs no test of its own.
const enough = 0.8

// asking is what every question costs a person besides its minutes.
const asking = 2.0

func weight(c cause.Code) float64 {
	for _, f := range frequencies {
		if f.cause == c {
			return f.n
		}
	}
	return rare
}

func (f frequency) fits(on string) bool { return f.on == nil || slices.Contains(f.on, on) }

// step is a row of the table of steps. Its minutes are our estimate of what it
// costs a person to find out.
type step struct {
	id, tests, question string
	how                 []way
	argv                []string
	minutes             float64
	on                  []string // nil: everywhere
	gates               []gate   // what must be answered before, the first one first
	usual               string   // the answer where none of the causes it shows holds; none where its gates let only those through
	answers             []option
	last                bool // asked only when nothing else is left
}

// way is where to go on a system; "" is for all that have none of their own.
type way struct{ on, where string }

// gate is a step that must have one of these answers first.
type gate struct {
	step string
	open []string
}

type option struct {
	id, text string
	shows    []cause.Code // it is one of these
	out      []cause.Code // it is none of these
	of       []cause.Code // it is the true answer of these too, without showing them
}

func (s step) fits(on string) bool { return s.on == nil || slices.Contains(s.on, on) }

// truth is the answer that is given when the cause holds.
func (s step) truth(c cause.Code) string {
	for _, a := range s.answers {
		if slices.Contains(a.shows, c) || slices.Contains(a.of, c) {
			return a.id
		}
	}
	return s.usual
}

func (a option) excludes(c cause.Code) bool {
	return slices.Contains(a.out, c) || len(a.shows) > 0 && !slices.Contains(a.shows, c)
}

func lookup(id string) (step, bool) {
	for _, s := range steps {
		if s.id == id {
			return s, true
		}
	}
	return step{}, false
}

func list(c ...cause.Code) []cause.Code { return c }
