// Package pc examines and repairs iCloud for Windows: the classic edition and
// the one of the Store, from their preferences and the programs that run. It
// reads no value of a token: of the file that holds one, only the names of the
// accounts are taken out.
package pc

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// Machine is all that is asked of a PC. The file operations return errors of
// package fs; what a machine cannot tell is ErrCannotTell.
type Machine interface {
	Getenv(name string) string
	Read(path string) ([]byte, error) // at most maxState bytes, else ErrTooLarge
	Stat(path string) (fs.FileInfo, error)
	List(path string) ([]fs.DirEntry, error)
	// InSync reports whether a file of a cloud folder is what the cloud has.
	InSync(path string) (bool, error)

	Processes() ([]Process, error) // iCloud's, of this person's session
	Stop(p Process) error          // returns when it has ended
	Start(program string, args ...string) error

	Packages() ([]Package, error) // what is installed of iCloud
	System() (string, error)      // the version of Windows
	Clock(ctx context.Context) (string, error)
}

// Process is one that runs.
type Process struct {
	PID  uint32
	Name string // the program's file name
	Path string // all of it; empty where that is not told
}

// Package is an edition as Windows has it installed.
type Package struct {
	Store   bool
	Version string
}

// Options is what a caller knows or allows.
type Options struct {
	// Offset measures how far this machine's clock is off; nil where nothing may
	// leave the machine.
	Offset func(ctx context.Context) (time.Duration, error)
	// OtherSource asks the person whether another device or number gets the six
	// digits of the next sign-in. It is asked only before a repair after which
	// they will be needed; nil declines such a repair.
	OtherSource func(ctx context.Context) (bool, error)
}

// edition is one of the two forms of iCloud for Windows, as found here.
type edition struct {
	store  bool
	prefs  string // its folder of preferences
	family string // of the Store's package: "AppleInc.iCloud_…"
}

func (e edition) String() string {
	if e.store {
		return "Store edition"
	}
	return "classic edition"
}

const packagePrefix = "AppleInc.iCloud_"

var prefsPath = filepath.Join("Apple Computer", "Preferences")

// editions finds what is here of iCloud, the Store's first: it is the one that
// is still made. Preferences, an installation or a running program is enough.
func editions(m Machine) []edition {
	var all []edition
	procs, _ := m.Processes()
	packages, _ := m.Packages()
	if local := m.Getenv("LOCALAPPDATA"); local != "" {
		folders, _ := m.List(filepath.Join(local, "Packages"))
		for _, f := range folders {
			if f.IsDir() && strings.HasPrefix(f.Name(), packagePrefix) {
				all = append(all, edition{true, filepath.Join(local, "Packages", f.Name(), "LocalCache", "Roaming", prefsPath), f.Name()})
			}
		}
	}
	if roaming := m.Getenv("APPDATA"); roaming != "" {
		e := edition{prefs: filepath.Join(roaming, prefsPath)}
		_, noAccounts := m.Stat(filepath.Join(e.prefs, accountsFile))
		_, noSettings := m.Stat(filepath.Join(e.prefs, settingsFile))
		if noAccounts == nil || noSettings == nil ||
			slices.ContainsFunc(packages, func(p Package) bool { return !p.Store }) ||
			slices.ContainsFunc(procs, func(p Process) bool { return p.Path != "" && !ofStore(p.Path) }) {
			all = append(all, e)
		}
	}
	return all
}

// ofStore reports whether a program's path is one of the Store's packages.
func ofStore(path string) bool { return packageOf(path) != "" }

// packageOf is the full name of the package that a program belongs to, such as
// AppleInc.iCloud_15.8.118.0_x64__nzyj5cx40ttqa; empty for none of iCloud's.
func packageOf(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '\\' || r == '/' })
	for i, part := range parts {
		if strings.EqualFold(part, "WindowsApps") && i+1 < len(parts) && strings.HasPrefix(parts[i+1], packagePrefix) {
			return parts[i+1]
		}
	}
	return ""
}

// packageVersion takes the version out of a package's full name.
func packageVersion(full string) string {
	rest, ok := strings.CutPrefix(full, packagePrefix)
	version, _, cut := strings.Cut(rest, "_")
	if !ok || !cut || cause.Version(version).String() != version {
		return ""
	}
	return version
}

// Find returns a subject for each edition of iCloud for Windows that is here,
// none where there is none.
func Find(ctx context.Context, m Machine, o Options) ([]doctor.Subject, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all := editions(m)
	var subjects []doctor.Subject
	for _, e := range all {
		x := &examination{m: m, o: o, edition: e, others: len(all) - 1}
		subjects = append(subjects, doctor.Subject{Client: "windows", Account: readAccounts(m, e).name, Checks: x.checks(), Plan: x.plan})
	}
	return subjects, nil
}
