//go:build unix

package agent

import (
	"os"

	"golang.org/x/sys/unix"
)

// exclusively waits for a file's lock, which ends with the file.
func exclusively(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX) }
