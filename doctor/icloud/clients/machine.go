package clients

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Machine is what is looked at: all that the package knows of the world.
type Machine struct {
	Root      string // put before absolute places such as /config; empty on a real machine
	Home      string
	Temp      string // where programs put what need not last
	Getenv    func(string) string
	GOOS      string
	Now       func() time.Time
	UID       int // who examines; -1 where the system has no such numbers
	Mounts    []Mount
	Container bool
	MinValid  time.Duration // how much longer than now trust must last

	open func(path string) (fs.File, error) // os.Open
}

// Mount is one line of the table of mounts.
type Mount struct{ Point, Type string }

// Here is the machine this program runs on.
func Here(getenv func(string) string, now func() time.Time) Machine {
	m := Machine{Getenv: getenv, GOOS: runtime.GOOS, Now: now, UID: os.Getuid()}
	m.Home = first(getenv("HOME"), getenv("USERPROFILE"))
	m.Temp = first(getenv("TMPDIR"), getenv("TEMP"), getenv("TMP"), os.TempDir())
	if m.GOOS == "linux" {
		if b, s := m.read("/proc/self/mountinfo"); s == intact {
			m.Mounts = readMounts(b)
		}
		m.Container = getenv("container") != "" || getenv("KUBERNETES_SERVICE_HOST") != "" ||
			exists("/.dockerenv") || exists("/run/.containerenv") || m.mount("/").Type == "overlay"
	}
	return m
}

// at is an absolute place of this machine.
func (m Machine) at(place string) string {
	if m.Root == "" {
		return place
	}
	return filepath.Join(m.Root, place)
}

// shown is a path as the person knows it.
func (m Machine) shown(path string) string {
	if rel, err := filepath.Rel(m.Root, path); m.Root != "" && err == nil && !strings.HasPrefix(rel, "..") {
		return "/" + filepath.ToSlash(rel)
	}
	return path
}

// readMounts reads /proc/self/mountinfo: the fifth field is the mount point, and
// the type comes after a lone dash. A line that is not of this form is passed over.
func readMounts(b []byte) []Mount {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var all []Mount
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		for i := 6; i+1 < len(f); i++ {
			if f[i] == "-" {
				all = append(all, Mount{unescape.Replace(f[4]), f[i+1]})
				break
			}
		}
	}
	return all
}

// mount is where a path lies: the innermost mount, and the last of several at
// one point, which covers the others.
func (m Machine) mount(path string) Mount {
	path = filepath.ToSlash(path)
	var in Mount
	for _, t := range m.Mounts {
		under := t.Point == "/" || path == t.Point || strings.HasPrefix(path, t.Point+"/")
		if under && len(t.Point) >= len(in.Point) {
			in = t
		}
	}
	return in
}

// limit is more than any state file of a client has.
const limit = 8 << 20

// What can be said of a file, in the words of cause.CheckStateFile.
const (
	intact     = "intact"
	missing    = "missing"
	malformed  = "malformed"
	unreadable = "unreadable"
)

// read returns a file's content, or which way it is not there. A folder, a pipe
// or a device in its place is not opened, a file above the limit is not read.
func (m Machine) read(path string) ([]byte, string) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, missing
	case err != nil:
		return nil, unreadable
	case !info.Mode().IsRegular():
		return nil, malformed
	case info.Size() > limit:
		return nil, malformed
	}
	open := m.open
	if open == nil {
		open = func(p string) (fs.File, error) { return os.Open(p) }
	}
	f, err := open(path)
	if err != nil {
		return nil, unreadable
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, unreadable
	}
	if len(b) > limit {
		return nil, malformed
	}
	return b, intact
}

// names lists a folder's entries, up to a number that no client's folder has.
func names(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	all, _ := f.Readdirnames(4096) // what could be read is looked at
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// resolved is the path without links, or as it is where that cannot be told.
func resolved(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return filepath.Clean(path)
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
