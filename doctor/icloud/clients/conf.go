package clients

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// section is a part of a file in the form of Windows' old .ini files.
type section struct {
	name   string
	values map[string]string
}

// maxLine holds the longest line of such a file: rclone's cookies.
const maxLine = 1 << 20

// readSections reads such a file; names of values are in lower case. A line that
// begins with white space goes on with the value before where continued is set,
// as in Python. It reports false for what has not this form.
func readSections(b []byte, continued bool) ([]section, bool) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, false
	}
	var all []section
	last := ""
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		raw := lines.Text()
		text := strings.TrimSpace(raw)
		switch {
		case text == "" || text[0] == '#' || text[0] == ';':
		case continued && last != "" && (raw[0] == ' ' || raw[0] == '\t'):
			all[len(all)-1].values[last] += text
		case text[0] == '[' && text[len(text)-1] == ']':
			all = append(all, section{strings.TrimSpace(text[1 : len(text)-1]), map[string]string{}})
			last = ""
		default:
			i := strings.IndexAny(text, "=:")
			if i <= 0 || len(all) == 0 {
				return all, false
			}
			last = strings.ToLower(strings.TrimSpace(text[:i]))
			all[len(all)-1].values[last] = strings.TrimSpace(text[i+1:])
		}
	}
	return all, lines.Err() == nil
}

// remote is what is kept of one iclouddrive remote of rclone.
type remote struct {
	name, account string
	trust         bool
	pending       bool // a second factor was asked for and not given
	jar           jar
	country       string // of a sign-in that is not finished
	appPassword   bool
}

// readRclone reads rclone.conf. The whole file can be encrypted; then nothing in
// it can be told, not even whether there is a remote of this kind.
func readRclone(b []byte) (remotes []remote, encrypted, ok bool) {
	if isEncrypted(b) {
		return nil, true, true
	}
	all, ok := readSections(b, false)
	for _, s := range all {
		if s.values["type"] != "iclouddrive" {
			continue
		}
		r := remote{
			name: s.name, account: s.values["apple_id"],
			trust: s.values["trust_token"] != "",
			jar:   readCookieList(s.values["cookies"]),
		}
		r.appPassword = obscuredIsApp(s.values["password"])
		r.pending, r.country = readPending(s.values["_auth_session"])
		remotes = append(remotes, r)
	}
	return remotes, false, ok
}

// isEncrypted looks for rclone's mark: the first line that is not a comment.
func isEncrypted(b []byte) bool {
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == ';' || line[0] == '#' {
			continue
		}
		return bytes.HasPrefix(line, []byte("RCLONE_ENCRYPT_V"))
	}
	return false
}

// readPending reads what rclone keeps between its questions; it empties it when
// the second factor is finished.
func readPending(s string) (pending bool, country string) {
	if s == "" {
		return false, ""
	}
	var v struct {
		Country string `json:"ac"`
	}
	if b, err := base64.StdEncoding.DecodeString(s); err == nil && json.Unmarshal(b, &v) == nil && isCountry(v.Country) {
		country = v.Country
	}
	return true, country
}

// An app-specific password is four groups of four small letters, joined by
// hyphens. Nothing of another length is looked at any further.
const appLength = 4*4 + 3

func isApp(b []byte) bool {
	if len(b) != appLength {
		return false
	}
	for i, c := range b {
		if hyphen := i%5 == 4; hyphen && c != '-' || !hyphen && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// obscuredIsApp reports whether a password in rclone.conf has that form. rclone
// hides passwords from a look over the shoulder with AES in counter mode, under
// a key that is in its published source and so keeps nothing from anybody; the
// first block is the counter's start.
func obscuredIsApp(s string) bool {
	if len(s) != base64.RawURLEncoding.EncodedLen(aes.BlockSize+appLength) {
		return false
	}
	key, err := hex.DecodeString("9c935b48730a554d6bfd7c63c886a92bd390198eb8128afbf4de162b8b95f638")
	if err != nil {
		return false
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return false
	}
	defer clear(b)
	block, err := aes.NewCipher(key)
	if err != nil {
		return false
	}
	text := b[aes.BlockSize:]
	cipher.NewCTR(block, b[:aes.BlockSize]).XORKeyStream(text, text)
	return isApp(text)
}

// stored is an account whose password lies in a keyring file.
type stored struct {
	account     string
	appPassword bool
}

// readKeyring reads the file of Python's plain keyring: a section for each
// service, a value for each account. Names are written with _XX for every byte
// that is no letter and no digit; passwords in base64.
func readKeyring(b []byte) ([]stored, bool) {
	all, ok := readSections(b, true)
	var found []stored
	for _, s := range all {
		if !strings.Contains(unescaped(s.name), "icloud") {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(s.values)) {
			found = append(found, stored{unescaped(name), encodedIsApp(s.values[name])})
		}
	}
	return found, ok
}

func encodedIsApp(s string) bool {
	if len(s) != base64.StdEncoding.EncodedLen(appLength) {
		return false
	}
	b, err := base64.StdEncoding.DecodeString(s)
	defer clear(b)
	return err == nil && isApp(b)
}

func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+2 < len(s) {
			if x, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(x[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// settings is what is kept of docker-icloudpd's or icloud-docker's settings.
type settings struct {
	account string
	domain  string // empty where they do not say
	user    string // the number of the user the client runs as
}

// readSettings reads icloudpd.conf: name=value as a shell takes it. It reports
// false for what has not this form.
func readSettings(b []byte) (settings, bool) {
	var s settings
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return s, false
	}
	cn := map[string]string{}
	for line := range bytes.Lines(b) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(text, "export "), "=")
		if !ok {
			return s, false
		}
		value = unquoted(value)
		switch name = strings.TrimSpace(name); name {
		case "apple_id":
			s.account = value
		case "user_id":
			s.user = value
		case "auth_china", "icloud_china":
			cn[name] = strings.ToLower(value)
		}
	}
	switch cmp.Or(cn["auth_china"], cn["icloud_china"]) {
	case "true":
		s.domain = dotCN
	case "false":
		s.domain = dotCom
	}
	return s, true
}

func unquoted(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	s, _, _ = strings.Cut(s, " #")
	return strings.TrimSpace(s)
}

// readConfigYAML takes the two values that matter from icloud-docker's
// config.yaml, line by line: no more of its form is relied on.
func readConfigYAML(b []byte) settings {
	var s settings
	for line := range bytes.Lines(b) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), ":")
		if !ok {
			continue
		}
		switch value = unquoted(value); {
		case name == "username" && s.account == "" && strings.Contains(value, "@"):
			s.account = value
		case name == "region" && value == "china":
			s.domain = dotCN
		case name == "region" && value == "global":
			s.domain = dotCom
		}
	}
	return s
}

// slug is what the clients make of an identifier to name its files: letters,
// digits and underscores are left. Case is folded: one client does, others do not.
func slug(account string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			return unicode.ToLower(r)
		}
		return -1
	}, account)
}
