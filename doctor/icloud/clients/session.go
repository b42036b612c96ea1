package clients

import (
	"encoding/json"
	"strconv"
	"strings"
)

// session is what is kept of a client's session file: never a token.
type session struct {
	trust   bool // whether there is a trust token
	country string
	status  int // of the last sign-in; 0 for none
	damaged bool
}

// readSession reads a session file. All clients write one JSON object with names
// that come from the same headers; some wrap it in another.
func readSession(b []byte) session {
	var top map[string]json.RawMessage
	if json.Unmarshal(b, &top) != nil || top == nil {
		return session{damaged: true}
	}
	s := session{}
	s.take(top)
	for _, raw := range top {
		var inner map[string]json.RawMessage
		if len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &inner) == nil {
			s.take(inner)
		}
	}
	return s
}

func (s *session) take(fields map[string]json.RawMessage) {
	text := func(name string) string {
		var v any
		if json.Unmarshal(fields[name], &v) != nil {
			return ""
		}
		switch v := v.(type) {
		case string:
			return strings.TrimSpace(v)
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		}
		return ""
	}
	s.trust = s.trust || text("trust_token") != ""
	if c := strings.ToUpper(text("account_country")); s.country == "" && isCountry(c) {
		s.country = c
	}
	if n, err := strconv.Atoi(text("apple_rscd")); err == nil && s.status == 0 && n >= 100 && n < 600 {
		s.status = n
	}
}

func isCountry(s string) bool {
	return (len(s) == 2 || len(s) == 3) && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// region is the domain the account lives on, or empty where no country was kept.
func region(country string) string {
	switch country {
	case "":
		return ""
	case "CHN", "CN":
		return dotCN
	}
	return dotCom
}

// listed is an account of pyicloud's own list.
type listed struct {
	name            string
	session, cookie string // paths
	domain          string // empty where the list does not say
}

// readAccounts reads pyicloud's accounts.json.
func readAccounts(b []byte) ([]listed, bool) {
	var file struct {
		Accounts map[string]struct {
			Session string `json:"session_path"`
			Cookie  string `json:"cookiejar_path"`
			China   *bool  `json:"china_mainland"`
		} `json:"accounts"`
	}
	if json.Unmarshal(b, &file) != nil {
		return nil, false
	}
	var all []listed
	for name, a := range file.Accounts {
		l := listed{name: name, session: a.Session, cookie: a.Cookie}
		if a.China != nil {
			l.domain = dotCom
			if *a.China {
				l.domain = dotCN
			}
		}
		all = append(all, l)
	}
	return all, true
}

// readUsernames gives the identifiers in a JSON file whose shape differs from
// version to version: every text called username that has an @.
func readUsernames(b []byte) []string {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	var all []string
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		if depth > 8 || len(all) > 100 {
			return
		}
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if s, ok := x.(string); ok && k == "username" && strings.Contains(s, "@") {
					all = append(all, s)
				}
				walk(x, depth+1)
			}
		case []any:
			for _, x := range v {
				walk(x, depth+1)
			}
		}
	}
	walk(v, 0)
	return all
}
