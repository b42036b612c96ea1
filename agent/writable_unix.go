//go:build unix

package agent

import "golang.org/x/sys/unix"

// writable asks the system whether this user may write a file, or into a folder.
func writable(path string) error { return unix.Access(path, unix.W_OK) }
