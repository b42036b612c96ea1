//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

type dirLock struct{ f *os.File }

// lockDir takes the folder for this process; the lock ends with it, however it
// ends.
func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w: choose another with --data, or make it writable", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data folder %s is in use by another account server: stop that one, or choose another with --data", dir)
	}
	return &dirLock{f}, nil
}

func (l *dirLock) release() { l.f.Close() }
