package pc

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// files is what of a Machine is alike on every system.
type files struct {
	getenv func(string) string
}

func (f files) Getenv(name string) string { return f.getenv(name) }

func (files) Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotPlist
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err == nil && len(b) > maxState {
		return nil, ErrTooLarge
	}
	return b, err
}

func (files) Stat(path string) (fs.FileInfo, error) { return os.Stat(path) }

func (files) List(path string) ([]fs.DirEntry, error) { return os.ReadDir(path) }

// offline is a profile on a disk: nothing of it runs here.
type offline struct{ files }

// Offline is the profile of a PC's user (a folder such as C:\Users\jane) that
// is looked at from elsewhere: a disk in another machine, a backup. Its files
// can be examined and set aside; what runs, and what waits to be uploaded,
// cannot be told.
func Offline(profile string) Machine {
	places := map[string]string{
		"USERPROFILE":  profile,
		"APPDATA":      filepath.Join(profile, "AppData", "Roaming"),
		"LOCALAPPDATA": filepath.Join(profile, "AppData", "Local"),
	}
	return offline{files{func(name string) string { return places[name] }}}
}

func (offline) InSync(string) (bool, error)           { return false, ErrCannotTell }
func (offline) Processes() ([]Process, error)         { return nil, ErrCannotTell }
func (offline) Stop(Process) error                    { return ErrCannotTell }
func (offline) Start(string, ...string) error         { return ErrCannotTell }
func (offline) Packages() ([]Package, error)          { return nil, ErrCannotTell }
func (offline) System() (string, error)               { return "", ErrCannotTell }
func (offline) Clock(context.Context) (string, error) { return "", ErrCannotTell }
