package clients

import (
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"
)

// kept is what one client keeps of one account's sign-in, as it was read.
type kept struct {
	client  string
	account string // empty where no file names it
	key     string // what the client's files are named after
	folder  string

	files   []stateFile
	jar     *jar     // nil where there is none
	session *session // nil where there is none
	drops   bool     // the client leaves ended cookies out of its jar

	asked       string // the domain that is asked for, where settings say it
	user        string // the number of the user the client runs as, likewise
	interrupted bool   // a second factor was asked for and not given
	remote      bool   // of rclone: cookies without dates and domains
	appPassword bool
	canTell     bool // whether a stored password could be looked at
	encrypted   bool // nothing inside can be told
	wanted      bool // it was asked for by name, not come upon
	unstarted   bool // set up, and never signed in
	shared      bool // another client writes one of its files
	sharers     int
}

// stateFile is one file of a client, under its word of cause.CheckStateName.
type stateFile struct {
	name  string
	path  string
	state string // a word of cause.CheckStateFile
	info  fs.FileInfo
}

// load reads one file and remembers how it is.
func (k *kept) load(m Machine, name, path string) ([]byte, bool) {
	b, state := m.read(path)
	f := stateFile{name: name, path: path, state: state}
	if info, err := os.Stat(path); err == nil {
		f.info = info
	}
	k.files = append(k.files, f)
	return b, state == intact
}

// spoil says that the file loaded last is not of its form.
func (k *kept) spoil() { k.files[len(k.files)-1].state = malformed }

func (k *kept) loadJar(m Machine, path string) {
	b, ok := k.load(m, "cookies", path)
	if !ok {
		return
	}
	j := readJar(b)
	if j.damaged {
		k.spoil()
	}
	k.jar = &j
}

func (k *kept) loadSession(m Machine, path string) {
	b, ok := k.load(m, "session", path)
	if !ok {
		return
	}
	s := readSession(b)
	if s.damaged {
		k.spoil()
		return
	}
	k.session = &s
}

// loadKeyring looks for the account's stored password: which form it has, and
// whose it is, where the client's own files do not say.
func (k *kept) loadKeyring(m Machine, path string) {
	if !exists(path) {
		return
	}
	b, ok := k.load(m, "keyring", path)
	if !ok {
		return
	}
	found, ok := readKeyring(b)
	if !ok {
		k.spoil()
	}
	for _, s := range found {
		if slug(s.account) != slug(k.key) {
			continue
		}
		k.account = first(k.account, s.account)
		k.canTell, k.appPassword = true, k.appPassword || s.appPassword
	}
}

// name takes the first of the identifiers that the files can be named after.
func (k *kept) name(identifiers []string) {
	for _, s := range identifiers {
		if k.account == "" && slug(s) == slug(k.key) {
			k.account = s
		}
	}
}

func (k *kept) file(name string) *stateFile {
	i := slices.IndexFunc(k.files, func(f stateFile) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return &k.files[i]
}

// damaged reports whether a file is there and cannot be relied on.
func (k *kept) damaged(name string) bool {
	f := k.file(name)
	return f != nil && f.state != intact && f.state != missing
}

// changed is the newest change of the files that a sign-in writes.
func (k *kept) changed() time.Time {
	var t time.Time
	for _, f := range k.files {
		if f.info != nil && (f.name == "cookies" || f.name == "session" || f.name == "rclone.conf") && f.info.ModTime().After(t) {
			t = f.info.ModTime()
		}
	}
	return t
}

// trust says when the trust ends or ended. exact is false where only the moment
// is known by which it was over; ok is false where nothing can be said.
func (k *kept) trust() (until time.Time, exact, ok bool) {
	if k.jar == nil {
		return time.Time{}, false, false
	}
	if t, ok := k.jar.until(); ok && (!k.drops || k.jar.has(trustCookie)) {
		return t, true, true
	}
	if f := k.file("cookies"); k.drops && !k.jar.damaged && !k.jar.has(trustCookie) && f.info != nil && k.session != nil && k.session.trust {
		return f.info.ModTime(), false, true
	}
	return time.Time{}, false, false
}

// ended reports whether the trust is known to be over.
func (k *kept) ended(now time.Time) bool {
	t, exact, ok := k.trust()
	return ok && (!exact || !t.After(now))
}

// Whether a second factor was ever given, in the words of cause.CheckSecondFactor;
// empty where that cannot be told.
const (
	finished      = "finished"
	neverFinished = "never-finished"
	interrupted   = "interrupted"
)

func (k *kept) factor(now time.Time) string {
	if k.interrupted {
		return interrupted
	}
	if k.unstarted {
		return neverFinished
	}
	if k.remote {
		if k.session.trust {
			return finished
		}
		return neverFinished
	}
	token, cookie := "", ""
	if k.session != nil {
		token = neverFinished
		if k.session.trust {
			token = finished
		}
	}
	if k.jar != nil {
		switch {
		case k.jar.has(trustCookie):
			cookie = finished
		case !k.jar.damaged && !k.drops:
			cookie = neverFinished
		}
	}
	stopped := k.session != nil && k.session.status == 409
	switch {
	case token == neverFinished && k.ended(now), stopped && k.ended(now):
		return interrupted // trust had been there, and a new sign-in stopped on the way
	case token == neverFinished, cookie == neverFinished:
		return neverFinished
	case token == finished || cookie == finished:
		return finished
	}
	return ""
}

// domain is the one the client asks, or empty where that cannot be told.
func (k *kept) domain() string {
	if k.asked != "" || k.jar == nil || k.remote {
		return k.asked
	}
	return k.jar.domain()
}

// runsAs is the number of the user the client runs as, where settings say it.
func (k *kept) runsAs() (int, bool) {
	n, err := strconv.Atoi(k.user)
	return n, err == nil && n >= 0
}
