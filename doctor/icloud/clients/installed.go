package clients

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// installed lists the versions of a client that lie on this machine, oldest
// first. No program is asked: they are read from what was installed.
func (m Machine) installed(client, folder string) []string {
	var all []string
	switch client {
	case rclone:
		all = m.rcloneVersions()
	case icloud3:
		all = m.icloud3Version(folder)
	case docker:
		all = m.pythonVersions(icloudpd)
	default:
		all = m.pythonVersions(client)
	}
	all = slices.DeleteFunc(all, func(v string) bool { return v == "" })
	slices.SortFunc(all, func(a, b string) int { return slices.Compare(numbers(a), numbers(b)) })
	return slices.Compact(all)
}

// pythonVersions looks into the folders Python packages are installed in.
func (m Machine) pythonVersions(name string) []string {
	var sites []string
	for _, lib := range []string{
		filepath.Join(m.Home, ".local/lib/python3*"),
		filepath.Join(m.Home, ".local/share/pipx/venvs/*/lib/python3*"),
		filepath.Join(m.Home, ".local/pipx/venvs/*/lib/python3*"),
		filepath.Join(m.Home, ".local/share/uv/tools/*/lib/python3*"),
		filepath.Join(m.Home, ".pyenv/versions/*/lib/python3*"),
		filepath.Join(m.Home, "venv/lib/python3*"), filepath.Join(m.Home, ".venv/lib/python3*"),
		m.at("/usr/lib/python3*"), m.at("/usr/local/lib/python3*"),
		m.at("/opt/*/lib/python3*"), m.at("/opt/homebrew/lib/python3*"),
		m.at("/app/*/lib/python3*"), m.at("/venv/lib/python3*"), m.at("/srv/homeassistant/lib/python3*"),
	} {
		sites = append(sites, lib+"/site-packages", lib+"/dist-packages")
	}
	if venv := m.Getenv("VIRTUAL_ENV"); venv != "" {
		sites = append(sites, filepath.Join(venv, "lib/python3*/site-packages"))
	}
	var all []string
	for _, site := range sites {
		for _, form := range []string{"-*.dist-info/METADATA", "-*.egg-info/PKG-INFO", "-*.egg-info"} {
			found, err := filepath.Glob(filepath.Join(site, name+form))
			if err != nil {
				continue // a folder's name that is no pattern
			}
			for _, path := range found {
				if b, s := m.read(path); s == intact {
					all = append(all, metadataVersion(b))
				}
			}
		}
	}
	return all
}

// metadataVersion is the version in a package's metadata, which is headed like mail.
func metadataVersion(b []byte) string {
	for line := range bytes.Lines(b) {
		text := strings.TrimSpace(string(line))
		if text == "" {
			break
		}
		if v, ok := strings.CutPrefix(text, "Version:"); ok {
			return plainVersion(v)
		}
	}
	return ""
}

// icloud3Version reads the manifest beside the .storage folder its state lies in.
func (m Machine) icloud3Version(folder string) []string {
	b, s := m.read(filepath.Join(folder, "../../custom_components/icloud3/manifest.json"))
	var manifest struct {
		Version string `json:"version"`
	}
	if s != intact || json.Unmarshal(b, &manifest) != nil {
		return nil
	}
	return []string{plainVersion(manifest.Version)}
}

var stampedVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`rclone/fs\.Version=v([0-9.]+)`) })

// rcloneVersions reads what the Go tools wrote into the program, and where they
// wrote nothing the package manager's list.
func (m Machine) rcloneVersions() []string {
	program := "rclone"
	if m.GOOS == "windows" {
		program += ".exe"
	}
	var all []string
	for _, dir := range append(filepath.SplitList(m.Getenv("PATH")), m.at("/usr/bin"), m.at("/usr/local/bin")) {
		info, err := buildinfo.ReadFile(filepath.Join(dir, program))
		if err != nil || info.Main.Path != "github.com/rclone/rclone" {
			continue
		}
		version := plainVersion(info.Main.Version)
		for _, s := range info.Settings {
			if v := stampedVersion().FindStringSubmatch(s.Value); s.Key == "-ldflags" && v != nil {
				version = plainVersion(v[1])
			}
		}
		all = append(all, version)
	}
	if strings.Join(all, "") == "" {
		all = append(all, m.packageVersion("rclone"))
	}
	return all
}

// packageVersion is a package's version in Debian's list of what is installed.
func (m Machine) packageVersion(name string) string {
	b, _ := m.read(m.at("/var/lib/dpkg/status"))
	_, entry, ok := bytes.Cut(b, []byte("Package: "+name+"\n"))
	if !ok {
		return ""
	}
	entry, _, _ = bytes.Cut(entry, []byte("\n\n"))
	_, version, _ := bytes.Cut(entry, []byte("\nVersion: "))
	line, _, _ := bytes.Cut(version, []byte("\n"))
	_, upstream, ok := bytes.Cut(line, []byte(":")) // an epoch
	if !ok {
		upstream = line
	}
	return plainVersion(string(upstream))
}
