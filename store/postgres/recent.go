package postgres

import (
	"sync"
	"time"
)

// recent remembers what a sign-in's first message has left behind, for its
// last: the account and its devices, as they were when it was committed. What
// is remembered is only ever taken together with a check, in the transaction
// that uses it, that the rows are still the same; where they are not, all is
// run again and read.
//
// It is done for enrolled devices alone. Names without an account share their
// rows with others, so that for them the check would fail more often: a
// stranger could tell by the time.
type recent struct {
	mu    sync.Mutex
	known [2]map[string]remembered // by account; two generations
}

type remembered struct {
	at               time.Time
	subject, devices result
	rows             [2]string // of subjects and devices, as text
}

const (
	// rememberedFor is longer than a client stretches its password.
	rememberedFor = time.Minute
	// rememberedEach bounds a generation: at some 4 KB each, 16 MB for both.
	rememberedEach = 2048
)

func (r *recent) keep(account string, m remembered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known[0]) >= rememberedEach || r.known[0] == nil {
		r.known[0], r.known[1] = map[string]remembered{}, r.known[0]
	}
	r.known[0][account] = m
}

// take gives out what is remembered once.
func (r *recent) take(account string) (remembered, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.known {
		if m, ok := g[account]; ok {
			delete(r.known[0], account)
			delete(r.known[1], account)
			return m, time.Since(m.at) < rememberedFor
		}
	}
	return remembered{}, false
}

const (
	subjectText = "SELECT coalesce(string_agg(s::text, '|'), '') FROM subjects AS s WHERE s.id = $1"
	devicesText = "SELECT coalesce(string_agg(d::text, '|' ORDER BY d.thumbprint), '') FROM devices AS d WHERE d.account = $1"
)

// unchanged fails where a text of rows is no longer what it was.
func unchanged(text string) string {
	return "SELECT 1 / (CASE WHEN (" + text + ") = $2 THEN 1 ELSE 0 END)"
}

var (
	subjectUnchanged = unchanged(subjectText)
	devicesUnchanged = unchanged(devicesText)
)
