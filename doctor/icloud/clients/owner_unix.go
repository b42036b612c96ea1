//go:build unix

package clients

import (
	"io/fs"
	"syscall"
)

// owner is the number of the user a file belongs to; -1 where there is none.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
