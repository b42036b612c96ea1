package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
)

func TestFloors(t *testing.T) {
	var of []string
	for _, f := range floors {
		of = append(of, f.client)
		if f.least == "" || plainVersion(f.least) != f.least || cause.Version(f.least).String() != f.least {
			t.Errorf("%s: %q is no version", f.client, f.least)
		}
		if f.why == "" || !strings.HasPrefix(f.source, "https://") {
			t.Errorf("%s: say why, and where it is written", f.client)
		}
	}
	want := Names()
	slices.Sort(of)
	slices.Sort(want)
	if !slices.Equal(of, want) {
		t.Errorf("floors of %v, clients %v", of, want)
	}
}

func TestPlainVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1.32.3": "1.32.3", "v1.75.1": "1.75.1", " 2.2.1.dev15+gcfb15f89d": "2.2.1", "1.60.1+dfsg-2": "1.60.1", "v1.69.0-DEV": "1.69.0",
		"3.4": "3.4", "2026.10.0": "2026.10.0", "(devel)": "", "": "", "v0.0.0-2024": "", "1.2.3.4.5": "1.2.3.4", "99999999999.1": "", "secret": "",
	} {
		if got := plainVersion(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for _, c := range [][2]string{{"1.9", "1.10"}, {"1.74.0", "1.75"}, {"2.6.0", "2026.10.0"}, {"3.3.3", "3.4"}, {"1", "1.0.1"}} {
		if !older(c[0], c[1]) || older(c[1], c[0]) || older(c[0], c[0]) {
			t.Error(c)
		}
	}
}

func TestInstalled(t *testing.T) {
	metadata := func(v string) string { return "Metadata-Version: 2.1\nName: x\nVersion: " + v + "\n\nVersion: 9.9\n" }
	for _, c := range []struct {
		client int // of states
		files  map[string]string
		want   string // the version that is behind
		saw    string
	}{
		{0, map[string]string{"/usr/local/lib/python3.11/site-packages/icloudpd-1.16.2.dist-info/METADATA": metadata("1.16.2")}, "1.16.2", "icloud"},
		{0, map[string]string{"/home/jane/.local/share/pipx/venvs/icloudpd/lib/python3.12/site-packages/icloudpd-1.32.3.dist-info/METADATA": metadata("1.32.3")}, "", "1.32.3"},
		{0, map[string]string{
			"/usr/lib/python3/dist-packages/icloudpd-1.16.2.dist-info/METADATA":                      metadata("1.16.2"),
			"/home/jane/.local/lib/python3.12/site-packages/icloudpd-1.32.3.dist-info/METADATA":      metadata("1.32.3"),
			"/home/jane/.local/lib/python3.12/site-packages/pyicloud_ipd-0.10.1.dist-info/METADATA":  metadata("0.10.1"),
			"/home/jane/.local/lib/python3.12/site-packages/icloudpd_web-2025.3.dist-info/METADATA":  metadata("2025.3"),
			"/home/jane/.local/lib/python3.12/site-packages/icloudpd-broken.dist-info/METADATA":      "\x00\x00",
			"/home/jane/.local/lib/python3.12/site-packages/icloudpd-nothing.dist-info/TOP_LEVEL.md": "",
		}, "", "cannot tell which"},
		{0, nil, "", "no installed version"},
		{1, map[string]string{"/usr/lib/python3/dist-packages/pyicloud-1.0.0.egg-info": metadata("1.0.0")}, "1.0.0", "is behind"},
		{1, map[string]string{"/usr/lib/python3/dist-packages/pyicloud-1.0.0.egg-info/PKG-INFO": metadata("1.0.0")}, "1.0.0", "is behind"},
		{2, map[string]string{"/usr/local/lib/python3.12/site-packages/icloudpy-0.8.0.dist-info/METADATA": metadata("0.8.0")}, "0.8.0", "is behind"},
		{3, map[string]string{"/opt/icloudpd/lib/python3.12/site-packages/icloudpd-1.23.4.dist-info/METADATA": metadata("1.23.4")}, "1.23.4", "SRP"},
		{3, map[string]string{"/opt/icloudpd/lib/python3.12/site-packages/icloudpd-1.32.2.dist-info/METADATA": metadata("1.32.2")}, "", "1.32.2"},
		{4, map[string]string{"/config/custom_components/icloud3/manifest.json": `{"domain": "icloud3", "version": "3.3.3"}`}, "3.3.3", "is behind"},
		{4, map[string]string{"/config/custom_components/icloud3/manifest.json": `{"version": "3.7.5"}`}, "", "3.7.5"},
	} {
		w := newWorld(t)
		s := states[c.client]
		s.make(w, w.signedIn(".icloud.com", 20*day), nil)
		for path, content := range c.files {
			w.file(path, content)
		}
		e := examine(w.find("", "")[0])
		if e.got(cause.CheckClientVersion) != c.want || !strings.Contains(e.saw, c.saw) {
			t.Errorf("%s, %v: %q, want %q\n%s", s.client, c.files, e.got(cause.CheckClientVersion), c.want, e.saw)
		}
		if behind := slices.Equal(e.causes(), []string{"client-outdated"}); behind != (c.want != "") {
			t.Errorf("%s, %v: %v", s.client, c.files, e.causes())
		}
	}
}

// rclone's version is read from programs that the Go tools built: with the version
// given on the command line, as its makefile does, and from a tag.
func TestRcloneVersion(t *testing.T) {
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GIT_CONFIG_GLOBAL=/dev/null")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module github.com/rclone/rclone\n\ngo 1.26.0\n")
	write("main.go", "package main\n\nfunc main() {}\n")
	write(".gitignore", "bin\n")
	run("git", "init", "-q")
	run("git", "add", ".")
	run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "t")
	run("git", "tag", "v1.73.0")

	w := newWorld(t)
	conf := map[string]map[string]string{"x": {"type": "iclouddrive", "apple_id": jane, "trust_token": "t"}}
	w.rcloneConf("/home/jane/.config/rclone/rclone.conf", "", conf)
	behind := func(want string) {
		t.Helper()
		e := examine(w.find("", "")[0])
		if got := e.got(cause.CheckClientVersion); got != want {
			t.Errorf("%q is behind, want %q\n%s", got, want, e.saw)
		}
	}
	behind("")
	w.file("/var/lib/dpkg/status", "Package: rar\nVersion: 2:6.0\n\nPackage: rclone\nStatus: install ok installed\nVersion: 1:1.60.1+dfsg-2\n\nPackage: rsync\nVersion: 3\n")
	behind("1.60.1")
	w.env["PATH"] = filepath.Join(dir, "bin")
	run("go", "build", "-buildvcs=true", "-o", "bin/rclone", ".")
	behind("1.73.0")
	run("go", "build", "-buildvcs=false", "-ldflags", "-X github.com/rclone/rclone/fs.Version=v1.74.2", "-o", "bin/rclone", ".")
	behind("1.74.2")
	run("go", "build", "-buildvcs=false", "-ldflags", "-X github.com/rclone/rclone/fs.Version=v1.75.1", "-o", "bin/rclone", ".")
	behind("")

	// Another program of the name is not asked.
	write("go.mod", "module example.org/rclone\n\ngo 1.26.0\n")
	run("go", "build", "-buildvcs=false", "-ldflags", "-X github.com/rclone/rclone/fs.Version=v1.75.1", "-o", "bin/rclone", ".")
	behind("1.60.1")
}
