package clients

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const lasting = "lasting"

// place tells whether what a client keeps lasts, as a word of cause.CheckPlace,
// and why not.
func (m Machine) place(k *kept, now time.Time) (word, why string) {
	if k.shared {
		return "shared", "another client writes the same session file"
	}
	if why := m.foreign(k); why != "" {
		return "wrong-owner", why
	}
	if why := m.locked(k); why != "" {
		return "wrong-mode", why
	}
	if word, why := m.lasts(k.folder); word != lasting {
		return word, why
	}
	if m.exposed(k) && !k.ended(now) && k.factor(now) == finished {
		return "wrong-mode", "every user of this machine can read it"
	}
	return lasting, ""
}

// lasts looks at where a folder lies. A home that itself lies in a temporary
// folder is somebody's trial: nothing is said of what lies in it.
func (m Machine) lasts(folder string) (word, why string) {
	folder, home := m.real(folder), m.real(m.Home)
	in := m.mount(folder)
	for _, temp := range m.temps() {
		if within(home, temp) && within(folder, home) {
			return lasting, ""
		}
	}
	switch {
	case in.Type == "tmpfs" || in.Type == "ramfs":
		return "temporary", "it lies in memory, and is gone after a restart"
	case m.Container && (in.Point == "" || in.Point == "/"):
		return "not-mounted", "it lies in the container itself, and is gone with it"
	}
	for _, temp := range m.temps() {
		if within(folder, temp) && (in.Point == temp || !within(in.Point, temp)) {
			return "temporary", "it lies in a folder that the system empties"
		}
	}
	return lasting, ""
}

// temps are the folders whose content the system may take away.
func (m Machine) temps() []string {
	all := []string{m.real(m.Temp)}
	if m.GOOS != "windows" {
		all = append(all, "/tmp")
	}
	return slices.Compact(all)
}

// real is a path without links, as the table of mounts knows it.
func (m Machine) real(p string) string {
	if m.Root == "" {
		return filepath.ToSlash(resolved(p))
	}
	root := m
	root.Root = resolved(m.Root)
	return root.shown(resolved(p))
}

// within reports whether a path is a folder or lies in it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, strings.TrimSuffix(folder, "/")+"/")
}

// foreign tells of files that belong to somebody else than who runs the client.
func (m Machine) foreign(k *kept) string {
	dir := stat(k.folder)
	if dir == nil {
		return ""
	}
	owners := map[string]int{}
	for _, f := range k.files {
		if f.info != nil && f.name != "keyring" && f.name != "settings" {
			owners[f.name] = owner(f.info)
		}
	}
	user, set := k.runsAs()
	for name, uid := range owners {
		switch home := within(m.real(k.folder), m.real(m.Home)); {
		case uid < 0:
		case uid == 0 && owner(dir) > 0:
			return name + " belongs to the administrator, the folder to somebody else"
		case home && m.UID > 0 && uid != m.UID:
			return name + " lies in your home and belongs to somebody else"
		case m.Container && set && uid != user:
			return name + " does not belong to the user the settings name"
		}
	}
	a, hasJar := owners["cookies"]
	b, hasSession := owners["session"]
	if hasJar && hasSession && a != b {
		return "cookies and session belong to two users"
	}
	return ""
}

// locked tells of files that even their owner cannot change.
func (m Machine) locked(k *kept) string {
	if m.GOOS == "windows" {
		return ""
	}
	for _, f := range k.files {
		if f.info != nil && f.info.Mode().IsRegular() && f.info.Mode().Perm()&0o600 != 0o600 {
			return "its owner cannot read and write " + f.name
		}
	}
	if dir := stat(k.folder); dir != nil && dir.Mode().Perm()&0o300 != 0o300 {
		return "its owner cannot write into the folder"
	}
	return ""
}

// exposed reports whether every user of the machine can read what is kept. A
// container has no other users.
func (m Machine) exposed(k *kept) bool {
	if m.GOOS == "windows" || m.Container {
		return false
	}
	open := slices.ContainsFunc(k.files, func(f stateFile) bool {
		return f.info != nil && (f.name == "cookies" || f.name == "session" || f.name == "rclone.conf") && f.info.Mode().Perm()&0o004 != 0
	})
	top := first(m.Root, "/")
	for dir := k.folder; open; dir = filepath.Dir(dir) {
		if path.Clean(dir) == path.Clean(top) {
			return true
		}
		if info := stat(dir); info == nil || info.Mode().Perm()&0o001 == 0 || dir == filepath.Dir(dir) {
			return false
		}
	}
	return false
}

func stat(p string) fs.FileInfo {
	info, err := os.Stat(p)
	if err != nil {
		return nil
	}
	return info
}
