package sqlite

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

type dirLock struct{ f *os.File }

// lockDir takes the folder for this process; the lock ends with it, however it
// ends.
func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w: choose another with --data, or make it writable", dir, err)
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("data folder %s is in use by another account server: stop that one, or choose another with --data", dir)
	}
	return &dirLock{f}, nil
}

func (l *dirLock) release() { l.f.Close() }
