//go:build unix

package agent

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock waits until no other command works on this home. The lock ends with
// unlock or with the process.
func (h Home) Lock() (unlock func(), err error) {
	f, err := os.OpenFile(h.Path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
