//go:build unix

package doctor

import (
	"fmt"
	"io/fs"
	"os"
)

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// modeHere is what becomes of a mode on this system's disks.
func modeHere(m fs.FileMode) fs.FileMode { return m.Perm() }

func restoreCommand(from, to string) string { return fmt.Sprintf("mv -- %q %q", from, to) }

func rename(from, to string) error { return os.Rename(from, to) }
