package postgres

import (
	"regexp"
	"strings"
	"sync"
)

// statement is what is known of one of the shared queries from its text.
type statement struct {
	text   string
	name   string
	kind   string   // as in sqlc's header: one, many, exec or execrows
	tables []string // that it reads or writes
	// guarded is the text made to fail where it does not change exactly one row,
	// which is what its caller is told before it was run.
	guarded string
}

var (
	header = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-- name: (\w+) :(\w+)\n`) })
	named  = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)`)
	})
)

// statements remembers them; the queries are constants, so there are as many as
// store/queries.sql has.
type statements struct {
	mu    sync.RWMutex
	known map[string]*statement
}

func (s *statements) of(text string) *statement {
	s.mu.RLock()
	known, ok := s.known[text]
	s.mu.RUnlock()
	if ok {
		return known
	}
	known = read(text)
	s.mu.Lock()
	s.known[text] = known
	s.mu.Unlock()
	return known
}

func read(text string) *statement {
	s := &statement{text: text}
	if m := header().FindStringSubmatch(text); m != nil {
		s.name, s.kind = m[1], m[2]
	}
	body := strings.TrimSpace(header().ReplaceAllString(text, ""))
	for _, m := range named().FindAllStringSubmatch(body, -1) {
		if table := strings.ToLower(m[1]); table != "set" { // of DO UPDATE SET
			s.tables = append(s.tables, table)
		}
	}
	s.guarded = body
	if s.kind == "execrows" {
		// A condition of PostgreSQL's own would need a function; a division by
		// zero is in every one that speaks its protocol.
		s.guarded = "WITH changed AS (" + body + " RETURNING 1) SELECT 1 / (CASE WHEN count(*) = 1 THEN 1 ELSE 0 END) FROM changed"
	}
	return s
}

func (s *statement) shares(tables []string) bool {
	for _, a := range s.tables {
		for _, b := range tables {
			if a == b {
				return true
			}
		}
	}
	return false
}
