package host

import (
	"bufio"
	"bytes"
	"net/netip"
	"slices"
	"strings"
)

// Overridden lists the names, of those given or below them, that a hosts file
// leads elsewhere than the name service would.
func Overridden(hosts []byte, names []string) []string {
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(hosts))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if _, err := netip.ParseAddr(fields[0]); err != nil {
			continue
		}
		for _, f := range fields[1:] {
			f = strings.ToLower(strings.TrimSuffix(f, "."))
			if !slices.Contains(found, f) && slices.ContainsFunc(names, func(n string) bool { return f == n || strings.HasSuffix(f, "."+n) }) {
				found = append(found, f)
			}
		}
	}
	return found
}
