package pc

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
)

// What an edition keeps in its folder of preferences.
const (
	accountsFile = "com.apple.AOSKit.plist" // its top-level keys name the accounts; the values are their tokens
	settingsFile = "iCloudWinPref.plist"
)

var stateFiles = []string{accountsFile, settingsFile}

// maxState is far above what these files are, a few kilobytes.
const maxState = 1 << 20

var (
	// ErrTooLarge: a state file is not what it should be.
	ErrTooLarge = errors.New("the file is far too large for what it should be")
	// ErrCannotTell: this machine does not say.
	ErrCannotTell = errors.New("cannot be told here")

	errNotPlist = errors.New("not a property list")
)

// maxDepth is how deep lists may lie in each other before a file is held to be
// damaged: a reader needs stack for each.
const maxDepth = 64

// unread takes the place of every value: none is decoded, so none can leak.
type unread struct{}

// UnmarshalPlist reads nothing.
func (*unread) UnmarshalPlist(func(any) error) error { return nil }

// keys reads the names at the top of a property list, binary or XML.
func keys(b []byte) (names []string, err error) {
	defer func() {
		if recover() != nil { // the reader is not ours
			names, err = nil, errNotPlist
		}
	}()
	text := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case bytes.HasPrefix(b, []byte(binaryName)) && apart(b):
	case bytes.HasPrefix(text, []byte("<")) && depth(text) <= maxDepth:
		b = text
	default:
		return nil, errNotPlist
	}
	var top map[string]unread
	if _, err := plist.Unmarshal(b, &top); err != nil || top == nil {
		return nil, errNotPlist
	}
	for name := range top {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// depth is how deep the elements of an XML text lie in each other at most,
// counted without a reader's stack.
func depth(text []byte) int {
	now, most := 0, 0
	for {
		i := bytes.IndexByte(text, '<')
		if i < 0 || i+1 == len(text) {
			return most
		}
		text = text[i+1:]
		switch text[0] {
		case '/':
			now--
		case '?', '!':
		default:
			if end := bytes.IndexByte(text, '>'); end <= 0 || text[end-1] != '/' {
				now++
			}
		}
		most = max(most, now)
	}
}

// fileState is a word of cause.CheckStateFile.
func fileState(err error) string {
	switch {
	case err == nil:
		return "intact"
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case errors.Is(err, errNotPlist), errors.Is(err, ErrTooLarge):
		return "malformed"
	}
	return "unreadable"
}

// look reads one of an edition's files and says how it is.
func look(m Machine, e edition, file string) (names []string, state string) {
	b, err := m.Read(filepath.Join(e.prefs, file))
	if err == nil {
		names, err = keys(b)
	}
	return names, fileState(err)
}

// accounts is what the file of accounts says.
type accounts struct {
	state   string // of the file
	entries int
	name    string // of the first account that has the form of an identifier
	more    int    // such accounts beside it
}

// settings is a word of cause.CheckSettings.
func (a accounts) settings() string {
	switch {
	case a.state != "intact" && a.state != "missing", a.entries > 0 && a.name == "":
		return "unknown"
	case a.entries == 0:
		return "signed-out"
	}
	return "signed-in"
}

func readAccounts(m Machine, e edition) accounts {
	names, state := look(m, e, accountsFile)
	a := accounts{state: state, entries: len(names), more: -1}
	for _, name := range names {
		if cause.Identifier(name).String() != name {
			continue
		}
		if a.name == "" {
			a.name = name
		}
		a.more++
	}
	a.more = max(a.more, 0)
	return a
}
