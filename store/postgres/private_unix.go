//go:build !windows

package postgres

import (
	"fmt"
	"io/fs"
)

// private refuses a file that others can read.
func private(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s can be read by others: chmod 600 %s", path, path)
	}
	return nil
}
