//go:build unix

package doctor

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// identity is which file a path is, of what mode and size and last written when;
// and when anything of it has changed, which no program can set.
func identity(path string) (string, time.Time, error) {
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		return "", time.Time{}, err
	}
	return fmt.Sprintf("%d %d %o %d %d", s.Dev, s.Ino, s.Mode, s.Size, s.Mtim.Nano()), time.Unix(s.Ctim.Unix()), nil
}
