package pc

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// examination is that of one edition.
type examination struct {
	m       Machine
	o       Options
	edition edition
	others  int // editions beside it
}

const cannotTell = "cannot tell"

func (x *examination) checks() []doctor.Check {
	return []doctor.Check{
		{Name: "edition", Look: x.lookAtEdition},
		{Name: "clock", Look: x.lookAtClock},
		{Name: "preferences", Look: x.lookAtFiles},
		{Name: "account", Look: x.lookAtAccount},
		{Name: "uploads", Look: x.lookAtUploads},
		{Name: "programs", Look: x.lookAtPrograms},
		{Name: "agreement", Look: x.lookAtAgreement},
	}
}

func note(c cause.Check, want, got cause.Value) cause.Fact {
	return cause.Note(c, want, got, cause.ByDevice)
}

// version is that of the edition as installed, or as the path of a running
// program says; empty where neither does.
func (x *examination) version() string {
	packages, _ := x.m.Packages()
	for _, p := range packages {
		if p.Store == x.edition.store && p.Version != "" {
			return p.Version
		}
	}
	procs, _ := running(x.m, x.edition)
	for _, p := range procs {
		if v := packageVersion(packageOf(p.Path)); v != "" {
			return v
		}
	}
	return ""
}

func (x *examination) lookAtEdition(context.Context) ([]cause.Fact, string) {
	var facts []cause.Fact
	version := x.version()
	said := []string{x.edition.String() + ", version " + cause.Version(version).String()}
	switch {
	case version == "":
		said[0] = x.edition.String() + ", version: " + cannotTell
	case major(version) < securityKeysFrom:
		said = append(said, fmt.Sprintf("before version %d, no account with security keys can sign in", securityKeysFrom))
	}
	if !x.edition.store {
		said = append(said, "it is made no more: the Store has the one that is")
	}
	if x.others > 0 {
		said = append(said, "both editions are here: keep one, they get in each other's way")
	}
	if system, err := x.m.System(); err == nil && major(system) > 0 && major(system) < minSystem {
		facts = append(facts, note(cause.CheckSystemVersion, cause.Version(fmt.Sprint(minSystem)), cause.Version(system)))
	}
	return facts, strings.Join(said, "; ")
}

// clockAllowed is how far a clock may be off before certificates and codes fail.
const clockAllowed = 5 * time.Minute

func (x *examination) lookAtClock(ctx context.Context) ([]cause.Fact, string) {
	if x.o.Offset != nil {
		if off, err := x.o.Offset(ctx); err == nil {
			if off.Abs() > clockAllowed {
				return []cause.Fact{note(cause.CheckClock, cause.Duration(clockAllowed), cause.Duration(off))}, "off by " + off.Round(time.Second).String()
			}
			return nil, "right"
		}
	}
	out, err := x.m.Clock(ctx)
	if err != nil {
		return nil, cannotTell
	}
	switch synced, known := clockSynced(out); {
	case !known:
		return nil, cannotTell
	case !synced:
		return nil, "Windows has not set it by the network lately; whether it is right: " + cannotTell
	}
	return nil, "Windows sets it by the network"
}

// clockSynced reads the first line of w32tm's status, whose words are of the
// system's language and whose number is not: 0 to 2 is a clock that was set, 3
// one that was not.
func clockSynced(out string) (synced, known bool) {
	line, _, _ := strings.Cut(strings.TrimLeft(out, "\r\n "), "\n")
	_, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || len(value) < 2 || value[1] != '(' || value[0] < '0' || value[0] > '3' {
		return false, false
	}
	return value[0] != '3', true
}

func (x *examination) lookAtFiles(context.Context) ([]cause.Fact, string) {
	var facts []cause.Fact
	var said []string
	for _, file := range stateFiles {
		_, state := look(x.m, x.edition, file)
		said = append(said, file+": "+state)
		if state != "intact" && state != "missing" {
			facts = append(facts,
				note(cause.CheckStateFile, cause.Word("intact"), cause.Word(state)),
				note(cause.CheckStateName, cause.Value{}, cause.Word(file)))
		}
	}
	return facts, strings.Join(said, ", ")
}

func (x *examination) lookAtAccount(context.Context) ([]cause.Fact, string) {
	a := readAccounts(x.m, x.edition)
	switch {
	case a.settings() == "signed-out":
		return nil, "no account is set up"
	case a.name != "" && a.more > 0:
		return nil, fmt.Sprintf("%s, and %d more", cause.Masked(a.name), a.more)
	case a.name != "":
		return nil, cause.Masked(a.name).String()
	case a.state == "intact":
		return nil, "one without an e-mail address is set up"
	}
	return nil, cannotTell
}

func (x *examination) lookAtUploads(ctx context.Context) ([]cause.Fact, string) {
	u := lookForUploads(ctx, x.m)
	return nil, u.String()
}

func (x *examination) lookAtPrograms(context.Context) ([]cause.Fact, string) {
	procs, err := running(x.m, x.edition)
	if err != nil {
		return nil, cannotTell
	}
	var up []string
	for _, p := range programs {
		if runs(procs, p.name) {
			up = append(up, told(p.name))
		}
	}
	if len(up) == 0 {
		return nil, "none runs"
	}
	slices.Reverse(up)
	said := "running: " + strings.Join(up, ", ")
	if runs(procs, servicesProgram) && !runs(procs, driveProgram) {
		said += "; iCloudDrive is not: it ends by itself where the Drive is switched off, and some versions say \"not enabled\" though it is on; which: " + cannotTell
	}
	return nil, said
}

// agreement is what the settings say beside what runs.
type agreement struct {
	settings, daemon string // words of cause.CheckSettings and cause.CheckDaemon
	known            bool
}

func (x *examination) compare() agreement {
	procs, err := running(x.m, x.edition)
	a := agreement{settings: readAccounts(x.m, x.edition).settings(), daemon: "unknown", known: err == nil}
	switch {
	case err != nil:
	case !runs(procs, servicesProgram):
		a.daemon = "not-running"
	case runs(procs, driveProgram): // it ends by itself where there is no account
		a.daemon = "signed-in"
	}
	return a
}

// disagree: an account is set up and nothing keeps it signed in, or files are
// synced for none.
func (a agreement) disagree() bool {
	return a.known && (a.settings == "signed-in" && a.daemon == "not-running" || a.settings == "signed-out" && a.daemon == "signed-in")
}

func (x *examination) lookAtAgreement(context.Context) ([]cause.Fact, string) {
	a := x.compare()
	if !a.known || a.settings == "unknown" {
		return nil, cannotTell
	}
	said := "settings: " + a.settings + ", programs: " + a.daemon
	if !a.disagree() {
		return nil, said
	}
	return []cause.Fact{
		note(cause.CheckAgreement, cause.Word("agree"), cause.Word("disagree")),
		note(cause.CheckSettings, cause.Value{}, cause.Word(a.settings)),
		note(cause.CheckDaemon, cause.Value{}, cause.Word(a.daemon)),
	}, said
}

// uploads is what of the cloud folder is not in the cloud yet, as far as can
// be told.
type uploads struct {
	folder string // "" where there is none
	files  int    // that were looked at
	wait   int
	known  bool
}

func (u uploads) String() string {
	switch {
	case u.folder == "":
		return "no iCloud Drive folder"
	case u.wait > 0:
		return fmt.Sprintf("%d of %d files wait to be uploaded", u.wait, u.files)
	case !u.known:
		return "whether files wait to be uploaded: " + cannotTell
	}
	return "no file waits to be uploaded"
}

// maxFiles is how many files are looked at; more cannot be looked through while
// somebody waits.
const maxFiles = 20_000

// lookForUploads goes through the folder of iCloud Drive. Windows keeps with
// each file of such a folder whether the cloud has it as it is; a file that the
// cloud has never had is not marked at all.
func lookForUploads(ctx context.Context, m Machine) (u uploads) {
	profile := m.Getenv("USERPROFILE")
	if profile == "" {
		return uploads{}
	}
	u.folder = filepath.Join(profile, "iCloudDrive")
	if info, err := m.Stat(u.folder); err != nil || !info.IsDir() {
		return uploads{}
	}
	u.known = true
	defer func() {
		// Where no file at all is marked, nobody marks them: an older edition
		// copies files and tells no one which.
		if u.files > 0 && u.wait == u.files {
			u.known, u.wait = false, 0
		}
	}()
	todo := []string{u.folder}
	for len(todo) > 0 && u.known {
		folder := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		entries, err := m.List(folder)
		if err != nil {
			u.known = false
		}
		for _, f := range entries {
			path := filepath.Join(folder, f.Name())
			switch {
			case f.IsDir():
				todo = append(todo, path)
			case neverUploaded(f.Name()):
			case u.files == maxFiles, ctx.Err() != nil:
				u.known = false
				return u
			default:
				u.files++
				in, err := m.InSync(path)
				if err != nil {
					u.known = false
					return u
				}
				if !in {
					u.wait++
				}
			}
		}
	}
	return u
}

// neverUploaded reports whether a file of this name stays on the machine.
func neverUploaded(name string) bool {
	name = strings.ToLower(name)
	return name == "desktop.ini" || name == "thumbs.db" || name == ".ds_store" || strings.HasPrefix(name, "~$") || strings.HasSuffix(name, ".tmp")
}
