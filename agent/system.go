package agent

import "strings"

// numbers keeps of a version the dotted numbers it begins with, four at most.
func numbers(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		s = s[:end]
	}
	parts := strings.Split(strings.Trim(s, "."), ".")
	if s = strings.Join(parts[:min(4, len(parts))], "."); s == "" {
		return "0"
	}
	return s
}
