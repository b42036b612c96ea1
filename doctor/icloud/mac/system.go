package mac

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"readmit.dev/readmit/cause"
)

// Minimum is a version of the system below which something that signing in
// needs is missing, with where that is said.
type Minimum struct {
	Version string
	Needs   string // for a person
	// Everybody: no account of today gets in below it. The others concern
	// accounts that have switched something on, which cannot be seen from here.
	Everybody bool
	Source    string
}

// Minimums are the versions known to be too old, lowest first. This table is
// the only place where they are written.
var Minimums = []Minimum{
	{
		Version: "10.11", Everybody: true,
		Needs:  "the window that asks for the six digits of a second factor",
		Source: "Apple's notice to account holders of June 2017, as printed at https://www.macrumors.com/2017/06/12/ios-11-macos-high-sierra-two-factor-auth/",
	},
	{
		Version: "13.1",
		Needs:   "accounts that use Advanced Data Protection",
		Source:  "https://www.macrumors.com/how-to/enable-advanced-data-protection-icloud/ and Apple's announcement of December 2022",
	},
}

// parseVersion reads what sw_vers prints: "Name:<tabs>value" lines.
func parseVersion(out []byte) (version string, ok bool) {
	for line := range bytes.Lines(out) {
		key, value, found := strings.Cut(string(line), ":")
		if !found || strings.TrimSpace(key) != "ProductVersion" {
			continue
		}
		version = strings.TrimSpace(value)
		if _, ok := numbers(version); ok {
			return version, true
		}
	}
	return "", false
}

func numbers(version string) (n [4]int, ok bool) {
	parts := strings.Split(version, ".")
	if len(parts) > len(n) {
		return n, false
	}
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) > 5 {
			return n, false
		}
		n[i] = int(v)
	}
	return n, true
}

// below compares dotted versions; what is not one is below nothing.
func below(version, minimum string) bool {
	v, ok := numbers(version)
	m, ok2 := numbers(minimum)
	return ok && ok2 && slices.Compare(v[:], m[:]) < 0
}

func (e *examination) version(ctx context.Context) ([]cause.Fact, string) {
	o, err := e.m.Run(ctx, swVers)
	if err != nil {
		return nil, "cannot tell: " + err.Error()
	}
	v, ok := parseVersion(o.Stdout)
	if !ok {
		return nil, "cannot tell: sw_vers prints nothing that is understood"
	}
	saw := "macOS " + v
	for _, min := range Minimums {
		switch {
		case !below(v, min.Version):
		case min.Everybody:
			return []cause.Fact{cause.Note(cause.CheckSystemVersion, cause.Version(min.Version), cause.Version(v), cause.ByDevice)},
				saw + ", older than " + min.Version + ", which has " + min.Needs
		default:
			saw += "; " + min.Needs + " need " + min.Version
		}
	}
	return nil, saw
}

// proxies is what scutil --proxy tells that matters: what is switched on.
type proxies struct{ on []string }

var proxyKinds = []struct{ key, name string }{
	{"HTTPSEnable", "HTTPS"},
	{"HTTPEnable", "HTTP"},
	{"SOCKSEnable", "SOCKS"},
	{"ProxyAutoConfigEnable", "automatic configuration"},
	{"ProxyAutoDiscoveryEnable", "automatic discovery"},
}

// parseProxies reads the dictionary that scutil prints, "Key : value" lines.
// Names and addresses of proxies are not kept: they may hold a password.
func parseProxies(out []byte) (p proxies, ok bool) {
	if !bytes.Contains(out, []byte("<dictionary> {")) {
		return p, false
	}
	depth := 0
	for line := range bytes.Lines(out) {
		s := strings.TrimSpace(string(line))
		switch {
		case s == "}":
			depth--
		case strings.HasSuffix(s, "> {"):
			depth++
		case depth == 1:
			key, value, _ := strings.Cut(s, " : ")
			for _, k := range proxyKinds {
				if k.key == key && value == "1" && !slices.Contains(p.on, k.name) {
					p.on = append(p.on, k.name)
				}
			}
		}
	}
	return p, true
}

func (e *examination) proxies(ctx context.Context) ([]cause.Fact, string) {
	o, err := e.m.Run(ctx, scutil, "--proxy")
	if err != nil {
		return nil, "cannot tell: " + err.Error()
	}
	p, ok := parseProxies(o.Stdout)
	switch {
	case !ok:
		return nil, "cannot tell: scutil prints nothing that is understood"
	case len(p.on) == 0:
		return nil, "none"
	}
	// A proxy by itself is no fault: most let Apple's connections through.
	return nil, "switched on: " + strings.Join(p.on, ", ") + "; where sign-in fails, try once without"
}

// signInNames are the names that signing in asks; a name that begins with a
// dot stands for all that end so. Others of Apple's (advertising, telemetry)
// are blocked by many people on purpose, and no sign-in fails for it. By
// Apple's list for networks, https://support.apple.com/101555.
var signInNames = []string{
	"gsa.apple.com", "gsas.apple.com", "idmsa.apple.com", "auth.apple.com",
	"appleid.apple.com", "account.apple.com", "appleid.cdn-apple.com", "setup.icloud.com", "gateway.icloud.com",
	"icloud.com", "www.icloud.com", "setup.icloud.com.cn", "www.icloud.com.cn",
	".push.apple.com",
}

func signInName(name string) bool {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	return slices.ContainsFunc(signInNames, func(n string) bool {
		return name == n || strings.HasPrefix(n, ".") && strings.HasSuffix(name, n)
	})
}

const (
	hostsFile    = "/etc/hosts"
	largestHosts = 8 << 20
)

// parseHosts tells which of the names that signing in asks the hosts file sends
// to this machine itself, and which elsewhere.
func parseHosts(b []byte) (here, elsewhere []string) {
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		text, _, _ := strings.Cut(string(line), "#")
		fields := strings.Fields(text)
		if len(fields) < 2 {
			continue
		}
		// A zone may stand behind the address, as in fe80::1%lo0.
		host, _, _ := strings.Cut(fields[0], "%")
		addr, err := netip.ParseAddr(host)
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.TrimSuffix(strings.ToLower(name), ".")
			if !signInName(name) || seen[name] {
				continue
			}
			seen[name] = true
			if addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() {
				here = append(here, name)
			} else {
				elsewhere = append(elsewhere, name)
			}
		}
	}
	return here, elsewhere
}

func (e *examination) hosts(context.Context) ([]cause.Fact, string) {
	b, err := e.m.ReadFile(hostsFile, largestHosts)
	if err != nil {
		return nil, "cannot tell: the hosts file cannot be read"
	}
	here, elsewhere := parseHosts(b)
	var facts []cause.Fact
	var saw []string
	if len(here) > 0 {
		facts = append(facts, cause.Note(cause.CheckName, cause.Word("resolves"), cause.Word("no-such-name"), cause.ByDevice))
		saw = append(saw, "blocks "+shown(here))
	}
	if len(elsewhere) > 0 {
		facts = append(facts, cause.Note(cause.CheckConnection, cause.Word("open"), cause.Word("other-server"), cause.ByDevice))
		saw = append(saw, "sends "+shown(elsewhere)+" to an address that is not Apple's to give")
	}
	if len(saw) == 0 {
		return nil, "names nothing that signing in asks"
	}
	return facts, hostsFile + " " + strings.Join(saw, " and ") + ": take the lines out"
}

// shown lists names for a person: those that are written in our own table as
// they are, of the others that they are some.
func shown(names []string) string {
	var list []string
	for _, n := range names {
		if !slices.Contains(signInNames, n) {
			n = "a name for pushes"
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return strings.Join(list, ", ")
}
