package agent

import (
	"os"

	"golang.org/x/sys/windows"
)

// exclusively waits for a file's lock, which ends with the file.
func exclusively(f *os.File) error {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, &windows.Overlapped{})
}
