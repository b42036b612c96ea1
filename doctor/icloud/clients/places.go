package clients

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// defaults looks into every place where a client keeps its state unless told
// otherwise.
func (m Machine) defaults(ctx context.Context, client string) []*kept {
	var dirs []string
	dirs = append(dirs, filepath.Join(m.Home, ".pyicloud"))
	temps := []string{m.Temp}
	if m.GOOS != "windows" {
		temps = append(temps, m.at("/tmp"), m.at("/var/tmp"))
		dirs = append(dirs, m.at("/cookies"), m.at("/config"), m.at("/config/session_data"))
	}
	for _, t := range temps {
		dirs = append(dirs, under(t, "pyicloud"), filepath.Join(t, "pyicloud"))
	}
	for _, config := range []string{m.at("/config"), filepath.Join(m.Home, ".homeassistant"), m.at("/usr/share/hassio/homeassistant")} {
		dirs = append(dirs, filepath.Join(config, ".storage/icloud3.apple_acct"), filepath.Join(config, ".storage/icloud"))
	}
	var all []*kept
	for _, pattern := range dirs {
		for _, dir := range each(pattern) {
			if ctx.Err() != nil {
				return nil
			}
			all = append(all, m.folder(dir, client, false)...)
		}
	}
	if client == "" || client == rclone {
		for _, path := range m.rcloneFiles() {
			if exists(path) {
				found, _ := m.rcloneFile(path, client == rclone)
				all = append(all, found...)
				break // rclone itself takes the first
			}
		}
	}
	return all
}

// under is the pattern of a folder's own folders, one for each user of the system.
func under(dir, name string) string { return filepath.Join(dir, name, "*") }

func each(pattern string) []string {
	if !strings.HasSuffix(pattern, "*") {
		return []string{pattern}
	}
	dir := filepath.Dir(pattern)
	var all []string
	for _, n := range names(dir) {
		if p := filepath.Join(dir, n); isFolder(p) {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	return all
}

// rcloneFiles lists where rclone looks for its settings, in its own order.
func (m Machine) rcloneFiles() []string {
	if path := m.Getenv("RCLONE_CONFIG"); path != "" {
		return []string{path}
	}
	var all []string
	if dir := m.Getenv("APPDATA"); m.GOOS == "windows" && dir != "" {
		all = append(all, filepath.Join(dir, "rclone", "rclone.conf"))
	}
	if dir := m.Getenv("XDG_CONFIG_HOME"); dir != "" {
		all = append(all, filepath.Join(dir, "rclone", "rclone.conf"))
	}
	all = append(all, filepath.Join(m.Home, ".config", "rclone", "rclone.conf"), filepath.Join(m.Home, ".rclone.conf"))
	if m.GOOS != "windows" {
		all = append(all, m.at("/config/rclone/rclone.conf"))
	}
	return all
}

// given looks at what the person named.
func (m Machine) given(client, path string) ([]*kept, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %q cannot be opened: give the folder or the file in which the client keeps its sign-in", ErrState, path)
	}
	var all []*kept
	if info.IsDir() {
		subs := []string{".", ".pyicloud", "session_data", "icloud3.apple_acct", ".storage/icloud3.apple_acct", ".storage/icloud", "pyicloud", "pyicloud/*"}
		if filepath.Base(path) == "pyicloud" {
			subs = append(subs, "*")
		}
		for _, sub := range subs {
			for _, dir := range each(filepath.Join(path, sub)) {
				all = append(all, m.folder(dir, client, true)...)
			}
		}
		for _, file := range []string{"rclone.conf", "rclone/rclone.conf"} {
			if p := filepath.Join(path, file); (client == "" || client == rclone) && exists(p) {
				found, _ := m.rcloneFile(p, true)
				all = append(all, found...)
			}
		}
	} else {
		all, err = m.givenFile(client, path)
	}
	if len(all) == 0 && err == nil {
		err = m.unknown(client, path)
	}
	return all, err
}

func (m Machine) givenFile(client, path string) ([]*kept, error) {
	base := filepath.Base(path)
	b, state := m.read(path)
	if client == rclone || client == "" && (strings.HasSuffix(base, "rclone.conf") || state == intact && looksLikeRclone(b)) {
		return m.rcloneFile(path, true)
	}
	key := base
	for _, ext := range []string{".session", ".cookiejar", ".cookies"} {
		key = strings.TrimSuffix(key, ext)
	}
	all := m.folder(filepath.Dir(path), client, true)
	if base == "icloudpd.conf" || base == "accounts.json" {
		return all, nil
	}
	return slices.DeleteFunc(all, func(k *kept) bool { return k.key != key }), nil
}

// unknown says why nothing was found where the person pointed.
func (m Machine) unknown(client, path string) error {
	if client != "" {
		if others, err := m.given("", path); err == nil && len(others) > 0 {
			return fmt.Errorf("%w: %q holds the state of %s, not of %s: ask for that client, or leave --client out", ErrState, path, others[0].client, client)
		}
	}
	return fmt.Errorf("%w: nothing in %q is: give the folder in which the client keeps its cookies (of icloudpd ~/.pyicloud, of a container the folder mounted at /config), or rclone's rclone.conf", ErrState, path)
}

func looksLikeRclone(b []byte) bool {
	return isEncrypted(b) || bytes.Contains(b, []byte("iclouddrive"))
}

// rcloneFile reads rclone's settings: one of its remotes is one account. Settings
// that are encrypted, or damaged, count only where they can be of iCloud: when
// they were asked for, or still name its kind of remote.
func (m Machine) rcloneFile(path string, wanted bool) ([]*kept, error) {
	file := &kept{client: rclone, folder: filepath.Dir(path), remote: true, wanted: wanted, session: &session{}, jar: &jar{}}
	b, ok := file.load(m, "rclone.conf", path)
	if !ok {
		if !wanted {
			return nil, nil
		}
		return []*kept{file}, nil
	}
	remotes, encrypted, ok := readRclone(b)
	switch {
	case encrypted:
		file.files[0].name = "encrypted-rclone.conf"
		file.encrypted = true
		return []*kept{file}, nil
	case !ok && len(remotes) == 0 && (wanted || looksLikeRclone(b)):
		file.spoil()
		return []*kept{file}, nil
	case len(remotes) == 0 && wanted:
		return nil, fmt.Errorf("%w: %q has no remote of the type iclouddrive: make one with rclone config", ErrState, path)
	}
	if !ok {
		file.spoil()
	}
	var all []*kept
	for _, r := range remotes {
		k := *file
		k.files = slices.Clone(file.files)
		k.account, k.key = r.account, first(slug(r.account), r.name)
		k.jar, k.session = &r.jar, &session{trust: r.trust, country: r.country}
		k.interrupted, k.canTell, k.appPassword = r.pending, true, r.appPassword
		all = append(all, &k)
	}
	return all, nil
}

// group is the files of one folder that are named after one account.
type group struct{ jar, session, cookiejar, cookies bool }

// folder reads a client's folder. Which client's it is, its content tells: given
// says that a person named it, so that a jar alone is enough.
func (m Machine) folder(dir, client string, given bool) []*kept {
	groups := map[string]*group{}
	at := func(key string) *group {
		if groups[key] == nil {
			groups[key] = &group{}
		}
		return groups[key]
	}
	var settingsFile, listFile bool
	for _, name := range names(dir) {
		switch ext := filepath.Ext(name); {
		case name == "icloudpd.conf":
			settingsFile = true
		case name == "accounts.json":
			listFile = true
		case ext == ".session" && name != ext:
			at(strings.TrimSuffix(name, ext)).session = true
		case ext == ".cookiejar" && name != ext:
			at(strings.TrimSuffix(name, ext)).cookiejar = true
		case ext == ".cookies" && name != ext:
			at(strings.TrimSuffix(name, ext)).cookies = true
		case isKey(name) && !isFolder(filepath.Join(dir, name)):
			at(name).jar = true
		}
	}
	if settingsFile {
		return m.dockerFolder(dir, client, groups)
	}
	own := ownFolder(dir)
	var list []listed
	if listFile {
		list = m.accountList(dir, at)
	}
	var all []*kept
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		path := filepath.Join(dir, key)
		lone := g.jar && !g.session && !g.cookiejar && !g.cookies
		if own == "" && (!given && (lone || !g.jar) || lone && !m.isJar(path)) {
			continue // a folder of many things: it takes more to be a client's
		}
		if g.cookies {
			all = append(all, m.account(dir, key, icloud3, path+".cookies", path+".session"))
		}
		if g.cookiejar || list != nil && slices.ContainsFunc(list, func(l listed) bool { return slug(l.name) == slug(key) }) {
			k := m.account(dir, key, pyicloud, path+".cookiejar", path+".session")
			k.drops, k.shared, k.unstarted = true, g.jar && g.session, !g.cookiejar && !g.session
			all = append(all, k)
		}
		if g.jar || g.session && !g.cookies && !g.cookiejar {
			k := m.account(dir, key, own, path, path+".session")
			k.shared = g.cookiejar && g.session
			k.client = first(own, k.guess())
			if given && slices.Contains([]string{icloudpd, pyicloud, icloudpy}, client) {
				k.client = client // of one form: the person knows which it is
			}
			all = append(all, k)
		}
	}
	for _, k := range all {
		m.complete(k, list)
	}
	return slices.DeleteFunc(all, func(k *kept) bool { return client != "" && k.client != client })
}

// account reads the two files of an account.
func (m Machine) account(dir, key, client, jar, session string) *kept {
	k := &kept{client: client, key: key, folder: dir}
	k.loadJar(m, jar)
	k.loadSession(m, session)
	return k
}

// complete adds what lies beside the two files: who it is, and what was set.
func (m Machine) complete(k *kept, list []listed) {
	for _, l := range list {
		if slug(l.name) == slug(k.key) {
			k.account, k.asked = l.name, l.domain
		}
	}
	switch k.client {
	case icloud3:
		if b, s := m.read(filepath.Join(k.folder, "../icloud3/configuration")); s == intact {
			k.name(readUsernames(b))
		}
	case icloudpy:
		if b, s := m.read(filepath.Join(k.folder, "../config.yaml")); s == intact {
			set := readConfigYAML(b)
			k.name([]string{set.account})
			k.asked = set.domain
		}
	}
	if k.client != icloud3 {
		data := first(m.Getenv("XDG_DATA_HOME"), filepath.Join(m.Home, ".local/share"))
		k.loadKeyring(m, filepath.Join(data, "python_keyring/keyring_pass.cfg"))
	}
}

// guess tells by content whose state a folder of no known name holds: icloudpd
// alone keeps the last status.
func (k *kept) guess() string {
	if k.session != nil && k.session.status == 0 {
		return pyicloud
	}
	return icloudpd
}

// dockerFolder reads the folder that docker-icloudpd has at /config.
func (m Machine) dockerFolder(dir, client string, groups map[string]*group) []*kept {
	if client != "" && client != docker {
		return nil
	}
	base := &kept{client: docker, folder: dir}
	b, ok := base.load(m, "settings", filepath.Join(dir, "icloudpd.conf"))
	var set settings
	if ok {
		if set, ok = readSettings(b); !ok {
			base.spoil()
		}
	}
	keys := []string{}
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		if groups[key].session || groups[key].jar && m.isJar(filepath.Join(dir, key)) {
			keys = append(keys, key)
		}
	}
	// The settings name one account; files of another are of one that was.
	if i := slices.IndexFunc(keys, func(key string) bool { return slug(key) == slug(set.account) }); set.account != "" && i >= 0 {
		keys = keys[i : i+1]
	} else if set.account != "" {
		keys = []string{slug(set.account)}
	} else if len(keys) == 0 {
		keys = []string{""}
	}
	var all []*kept
	for _, key := range keys {
		k := *base
		k.files = slices.Clone(base.files)
		k.key, k.account, k.asked, k.user = key, set.account, set.domain, set.user
		if groups[key] == nil {
			k.unstarted = true
		} else {
			k.loadJar(m, filepath.Join(dir, key))
			k.loadSession(m, filepath.Join(dir, key+".session"))
			k.unstarted = k.file("cookies").state == missing // it waits for a cookie, and does nothing
		}
		if keyring := filepath.Join(dir, "python_keyring/keyring_pass.cfg"); exists(keyring) {
			k.loadKeyring(m, keyring)
		} else {
			k.load(m, "keyring", keyring) // it is where this client takes the password from
		}
		all = append(all, &k)
	}
	return all
}

// accountList reads pyicloud's list. An account of it whose files are gone is an
// account all the same.
func (m Machine) accountList(dir string, at func(string) *group) []listed {
	b, s := m.read(filepath.Join(dir, "accounts.json"))
	list, ok := readAccounts(b)
	if s != intact || !ok {
		return nil
	}
	for _, l := range list {
		if base := filepath.Base(filepath.FromSlash(l.session)); strings.HasSuffix(base, ".session") {
			at(strings.TrimSuffix(base, ".session"))
		}
	}
	return list
}

// ownFolder is whose folder it is by its name, or empty.
func ownFolder(dir string) string {
	base, parent := filepath.Base(dir), filepath.Base(filepath.Dir(dir))
	switch {
	case base == ".pyicloud", base == "cookies":
		return icloudpd
	case base == "session_data":
		return icloudpy
	case base == "icloud3.apple_acct":
		return icloud3
	case parent == "pyicloud", base == "pyicloud", base == "icloud" && parent == ".storage":
		return pyicloud
	}
	return ""
}

// isKey reports whether a file can be named after an account.
func isKey(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_'
	}) < 0
}

func (m Machine) isJar(path string) bool {
	b, s := m.read(path)
	return s == intact && bytes.HasPrefix(b, jarHeader)
}
