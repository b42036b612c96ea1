// Package mac examines and repairs Apple's own software on a Mac.
//
// All that it touches goes through Machine: a few commands of the system that
// only read or restart, and files of this user. It reads no keychain, opens no
// connection, and keeps no value of a token. What it moves, the journal moves
// aside (see doctor.Journal); it deletes nothing.
package mac

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// Client is the word of cause.CheckClient for what this package examines.
const Client = "mac"

// Options are what the caller alone can know.
type Options struct {
	// Clock asks a server for the time, and says how far this Mac is from it. Nil
	// leaves the check out: nothing may leave the machine, or the caller looks itself.
	Clock func(ctx context.Context) (off time.Duration, err error)
	// Allowed is the largest deviation of the clock that is no finding; zero is five minutes.
	Allowed time.Duration
	// OtherDevice asks the person whether another device of the account is at
	// hand, signed in, and can show codes (see AnotherDevice). It is asked only
	// before a repair that takes this Mac's sign-in away; nil declines that repair.
	OtherDevice func(ctx context.Context) (bool, error)
	// Temp is where the copy of a database is made for a moment; empty is the system's place.
	Temp string
}

// Find returns the one subject that every Mac is: the account that is signed in
// to the system, or none yet. Where there is no Mac there is no subject.
func Find(ctx context.Context, m Machine, o Options) ([]doctor.Subject, error) {
	if _, err := m.Run(ctx, swVers); err != nil {
		return nil, ctx.Err()
	}
	if o.Allowed == 0 {
		o.Allowed = 5 * time.Minute
	}
	e := &examination{m: m, o: o}
	// Environment, files, session, account: what comes first explains what follows.
	checks := []doctor.Check{
		{Name: "system version", Look: e.version},
		{Name: "proxies", Look: e.proxies},
		{Name: "hosts file", Look: e.hosts},
		{Name: "account list (MobileMeAccounts.plist)", Look: e.accountList},
		{Name: "account database (Accounts4.sqlite)", Look: e.accountDatabase},
		{Name: "token folder", Look: e.tokenFolder},
		{Name: "daemons", Look: e.daemons},
		{Name: "iCloud Drive's daemon (brctl status)", Look: e.driveDaemon},
		{Name: "settings and daemons agree", Look: e.agreement},
		{Name: "log of the last hour", Look: e.codes},
	}
	if o.Clock != nil {
		checks = slices.Insert(checks, 1, doctor.Check{Name: "clock", Look: e.clock})
	}
	return []doctor.Subject{{Client: Client, Account: e.account(ctx), Checks: checks, Plan: e.plan}}, nil
}

// examination keeps what several checks need, each looked at once.
type examination struct {
	m Machine
	o Options

	list *listState
	db   *database
	bird *driveState
}

type listState struct {
	settings
	damage string // a word of cause.CheckStateFile; empty where whole or missing
	why    string
}

func (e *examination) listPath() string {
	return filepath.Join(e.m.Home(), "Library", "Preferences", "MobileMeAccounts.plist")
}

func (e *examination) databasePath() string {
	return filepath.Join(e.m.Home(), "Library", "Accounts", "Accounts4.sqlite")
}

// tokenPath is where older systems keep an account's tokens, one file or
// folder by its number; newer ones keep them in the keychain.
func (e *examination) tokenPath(dsid string) string {
	return filepath.Join(e.m.Home(), "Library", "Application Support", "iCloud", "Accounts", dsid)
}

func (e *examination) settings() listState {
	if e.list != nil {
		return *e.list
	}
	s := listState{settings: settings{word: "unknown"}}
	b, err := e.m.ReadFile(e.listPath(), largestList)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.word, s.why = "signed-out", "there is none"
	case errors.Is(err, ErrTooLarge), errors.Is(err, errNotAFile):
		s.damage = "malformed"
	case errors.Is(err, syscall.EPERM):
		s.why = "macOS does not let this program read it"
	case errors.Is(err, fs.ErrPermission):
		s.damage = "unreadable"
	case err != nil:
		s.why = "it cannot be read"
	default:
		if s.settings, err = readSettings(b); err != nil {
			s.damage = "malformed"
		}
	}
	e.list = &s
	return s
}

func (e *examination) database(ctx context.Context) database {
	if e.db == nil {
		d := readDatabase(ctx, e.m, e.databasePath(), e.o.Temp)
		e.db = &d
	}
	return *e.db
}

func (e *examination) drive(ctx context.Context) driveState {
	if e.bird == nil {
		d := askDrive(ctx, e.m)
		e.bird = &d
	}
	return *e.bird
}

func (e *examination) account(ctx context.Context) string {
	if a := e.settings().account; a != "" {
		return a
	}
	return e.database(ctx).account
}

func (e *examination) clock(ctx context.Context) ([]cause.Fact, string) {
	off, err := e.o.Clock(ctx)
	switch {
	case err != nil:
		return nil, "cannot tell: no server of time could be asked"
	case off.Abs() > e.o.Allowed:
		return []cause.Fact{cause.Note(cause.CheckClock, cause.Duration(e.o.Allowed), cause.Duration(off), cause.ByDevice)},
			"off by " + off.Round(time.Second).String()
	}
	return nil, "right"
}

// damaged notes a state file that is not whole.
func damaged(file, how string) []cause.Fact {
	return []cause.Fact{
		cause.Note(cause.CheckStateFile, cause.Word("intact"), cause.Word(how), cause.ByDevice),
		cause.Note(cause.CheckStateName, cause.Value{}, cause.Word(file), cause.ByDevice),
	}
}

func (e *examination) accountList(context.Context) ([]cause.Fact, string) {
	s := e.settings()
	switch {
	case s.damage != "":
		return damaged("MobileMeAccounts.plist", s.damage), s.damage
	case s.why != "" && s.word == "unknown":
		return nil, "cannot tell: " + s.why
	case s.word == "signed-out" && s.account == "":
		return nil, "no account"
	}
	drive := "iCloud Drive off"
	if s.drive {
		drive = "iCloud Drive on"
	}
	return nil, cause.Masked(s.account).String() + ", " + said(s.word) + ", " + drive
}

// said is a word of the checks as a person reads it.
func said(word string) string {
	switch word {
	case "signed-in", "signed-out":
		return strings.Replace(word, "-", " ", 1)
	case "not-running":
		return "not running"
	}
	return "cannot tell"
}

func (e *examination) accountDatabase(ctx context.Context) ([]cause.Fact, string) {
	d := e.database(ctx)
	switch {
	case d.damage != "":
		return damaged("Accounts4.sqlite", d.damage), d.damage
	case d.word == "unknown":
		return nil, "cannot tell: " + d.why
	case d.account == "":
		return nil, "no iCloud account"
	}
	return nil, cause.Masked(d.account).String() + ", " + said(d.word)
}

func (e *examination) tokenFolder(context.Context) ([]cause.Fact, string) {
	s := e.settings()
	if s.dsid == "" {
		return nil, "cannot tell: the account's number is not known"
	}
	path := e.tokenPath(s.dsid)
	info, err := e.m.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "none: newer systems keep tokens in the keychain"
	}
	if err == nil && info.IsDir() {
		_, err = e.m.ReadDir(path)
	}
	switch {
	case errors.Is(err, syscall.EPERM):
		return nil, "cannot tell: macOS does not let this program look"
	case err != nil:
		return damaged("token-folder", "unreadable"), "unreadable"
	case info.Mode().IsRegular() && info.Size() == 0:
		return damaged("token-folder", "malformed"), "empty"
	}
	return nil, "there"
}

func (e *examination) daemons(ctx context.Context) ([]cause.Fact, string) {
	var missing, resting, unknown []string
	for _, d := range Daemons {
		if !d.Sign {
			continue
		}
		switch runs, known := running(ctx, e.m, d.Name); {
		case !known:
			unknown = append(unknown, d.Name)
		case !runs && d.Always:
			missing = append(missing, d.Name)
		case !runs:
			resting = append(resting, d.Name)
		}
	}
	var saw []string
	if len(missing) > 0 {
		saw = append(saw, "not running: "+strings.Join(missing, ", "))
	}
	if len(resting) > 0 {
		saw = append(saw, "resting until asked for: "+strings.Join(resting, ", "))
	}
	if len(unknown) > 0 {
		saw = append(saw, "cannot tell: "+strings.Join(unknown, ", "))
	}
	if len(saw) == 0 {
		saw = append(saw, "all run")
	}
	s := e.settings()
	if len(missing) > 0 && s.word == "signed-in" {
		return disagree(s.word, "not-running"), strings.Join(saw, "; ")
	}
	return nil, strings.Join(saw, "; ")
}

func (e *examination) driveDaemon(ctx context.Context) ([]cause.Fact, string) {
	d := e.drive(ctx)
	switch {
	case d.word == "unknown":
		return nil, "cannot tell: " + d.why
	case d.pending > 0:
		return nil, said(d.word) + "; " + waiting(d.pending)
	}
	return nil, said(d.word)
}

// disagree notes that the settings say one thing and a daemon another.
func disagree(settings, daemon string) []cause.Fact {
	return []cause.Fact{
		cause.Note(cause.CheckAgreement, cause.Word("agree"), cause.Word("disagree"), cause.ByDevice),
		cause.Note(cause.CheckSettings, cause.Value{}, cause.Word(settings), cause.ByDevice),
		cause.Note(cause.CheckDaemon, cause.Value{}, cause.Word(daemon), cause.ByDevice),
	}
}

// daemonWords are what the daemons say of the account, where that bears on the
// account: with iCloud Drive switched off its daemon is signed out and right.
func (e *examination) daemonWords(ctx context.Context) (words []struct{ who, word string }) {
	add := func(who, word string) { words = append(words, struct{ who, word string }{who, word}) }
	s, d := e.settings(), e.drive(ctx)
	if d.word == "signed-in" || s.drive && d.word != "unknown" {
		add("bird", d.word)
	}
	if db := e.database(ctx); db.word != "unknown" {
		add("accountsd", db.word)
	}
	return words
}

func (e *examination) agreement(ctx context.Context) ([]cause.Fact, string) {
	s := e.settings()
	if s.word == "unknown" {
		return nil, "cannot tell: the settings say nothing"
	}
	words := e.daemonWords(ctx)
	for _, w := range words {
		if w.word != s.word {
			return disagree(s.word, w.word), "settings: " + said(s.word) + "; " + w.who + ": " + said(w.word)
		}
	}
	if len(words) == 0 {
		return nil, "cannot tell: no daemon says anything"
	}
	return nil, "they agree: " + said(s.word)
}

// signedIn reports whether all that can be asked say so.
func (e *examination) signedIn(ctx context.Context) bool {
	words := e.daemonWords(ctx)
	for _, w := range words {
		if w.word != "signed-in" {
			return false
		}
	}
	return len(words) > 0 && e.settings().word == "signed-in"
}
