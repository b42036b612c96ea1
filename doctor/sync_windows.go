package doctor

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/windows"
)

// syncDir does nothing: Windows cannot sync a folder, and its journal of the
// file system keeps renames in order.
func syncDir(string) error { return nil }

// modeHere is what becomes of a mode on this system's disks: only whether the
// file may be written.
func modeHere(m fs.FileMode) fs.FileMode {
	if m&0o200 != 0 {
		return 0o666
	}
	return 0o444
}

func restoreCommand(from, to string) string { return `move "` + from + `" "` + to + `"` }

// patience is how long a file that a program holds open is waited for: one that
// was stopped just now, a virus scanner or the search index lets go of it soon.
const patience = 3 * time.Second

func rename(from, to string) error {
	var err error
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(50 * time.Millisecond) {
		err = os.Rename(from, to)
		if !errors.Is(err, windows.ERROR_SHARING_VIOLATION) && !errors.Is(err, windows.ERROR_ACCESS_DENIED) {
			return err
		}
	}
	return err
}
