//go:build unix

package main

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"
)

// TestPlist fills launchd's description in as its library does, and reads it as
// launchd would.
func TestPlist(t *testing.T) {
	before, rest, _ := strings.Cut(plistText, "{{range Arguments}}")
	each, after, _ := strings.Cut(rest, "{{end}}")
	args := []string{"agent", "--service", "--home", "/Users/jane/a & b"}
	var list strings.Builder
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	for _, a := range args {
		list.WriteString(strings.ReplaceAll(each, "{{. | html}}", escape.Replace(a)))
	}
	text := strings.NewReplacer("{{Name | html}}", "readmit-agent", "{{Path | html}}", "/usr/local/bin/readmit").Replace(before + list.String() + after)
	if strings.Contains(text, "{{") {
		t.Errorf("something is left to fill in: %s", text)
	}
	var got struct {
		Label            string
		ProgramArguments []string
		RunAtLoad        bool
		KeepAlive        map[string]bool
		ThrottleInterval int
		ProcessType      string
		Umask            int
	}
	format, err := plist.Unmarshal([]byte(text), &got)
	if err != nil || format != plist.XMLFormat {
		t.Fatalf("format %d, %v", format, err)
	}
	want := append([]string{"/usr/local/bin/readmit"}, args...)
	if got.Label != "readmit-agent" || !slices.Equal(got.ProgramArguments, want) || !got.RunAtLoad || got.Umask != 0o077 {
		t.Errorf("%+v", got)
	}
	// One that gave up ended well, and is not started again.
	if again, said := got.KeepAlive["SuccessfulExit"]; !said || again || got.ThrottleInterval < 1 {
		t.Errorf("%+v", got)
	}
}

// TestServiceNames: each home has a service of its own.
func TestServiceNames(t *testing.T) {
	set := func(string) string { return "x" }
	one, two := serviceName(set, "/a"), serviceName(set, "/b")
	if one == two || serviceName(func(string) string { return "" }, "/a") != "readmit-agent" {
		t.Errorf("%s, %s", one, two)
	}
}

// TestPathsOfServices: what a unit cannot hold does not get into one.
func TestPathsOfServices(t *testing.T) {
	d := newDevice(t)
	for _, name := range []string{`a"b`, "a%b", "a$b", "a\nb", `a\b`} {
		d.env["READMIT_HOME"] = filepath.Join(t.TempDir(), name)
		if r := d.run("agent", "install"); r.code != failed || !strings.Contains(r.stderr, "characters") {
			t.Errorf("%q: %+v", name, r)
		}
	}
}

// TestArguments: docker calls this program by another name.
func TestArguments(t *testing.T) {
	for _, c := range []struct{ argv, want []string }{
		{[]string{"readmit", "status"}, []string{"status"}},
		{[]string{"/home/jane/bin/docker-credential-readmit", "get"}, []string{"credential", "docker", "get"}},
		{[]string{"docker-credential-readmit.exe", "list"}, []string{"credential", "docker", "list"}},
		{nil, nil},
	} {
		if got := arguments(c.argv); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.argv, got)
		}
	}
}

func TestSameServer(t *testing.T) {
	for _, c := range []struct {
		server, address string
		want            bool
	}{
		{"https://id.example.org", "https://id.example.org", true},
		{"https://id.example.org", "HTTPS://ID.example.org/x", true},
		{"https://id.example.org", "https://id.example.org:443", true},
		{"http://127.0.0.1:4001", "http://localhost:4001", true},
		{"http://localhost:4001", "http://[::1]:4001", true},
		{"https://id.example.org", "https://id.example.org:8443", false},
		{"https://id.example.org", "https://git.example.org", false},
		{"http://127.0.0.1:4001", "http://localhost:4002", false},
	} {
		server, err := url.Parse(c.server)
		address, err2 := url.Parse(c.address)
		if err != nil || err2 != nil || sameServer(server, address) != c.want {
			t.Errorf("%s and %s: want %v", c.server, c.address, c.want)
		}
	}
}

// TestWhoGetsTokens: nobody over an open line, and never the account server's own.
func TestWhoGetsTokens(t *testing.T) {
	d := newDevice(t)
	for _, in := range []string{"protocol=http\nhost=git.example.org\n\n", "protocol=ftp\nhost=git.example.org\n\n"} {
		if r := d.in(in, "credential", "get"); r.code != fine || r.stdout != "" {
			t.Errorf("%q: %+v", in, r)
		}
	}
	for _, in := range []string{"", "protocol=https\n\n", "nonsense\n\n", "protocol=https\nhost=a/b\n\n", "protocol=https\nhost=jane@a\n\n"} {
		if r := d.in(in, "credential", "get"); r.code != misused || r.stdout != "" {
			t.Errorf("%q: %+v", in, r)
		}
	}
	if r := d.in("https://registry.example.org", "credential", "docker", "get"); r.code != needPerson || r.stdout != "" {
		t.Errorf("not enrolled: %+v", r)
	}
	d.env["KUBERNETES_EXEC_INFO"] = `{"apiVersion":"client.authentication.k8s.io/v2"}`
	if r := d.run("credential", "exec", "--audience", "x"); r.code != failed || r.stdout != "" {
		t.Errorf("another version: %+v", r)
	}
	if _, err := os.Stat(d.home("session.json")); err == nil {
		t.Error("asking made a session")
	}
}
