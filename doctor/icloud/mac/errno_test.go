package mac

import "syscall"

// errNotPermitted is what a system call says where macOS guards a file.
func errNotPermitted() error { return syscall.EPERM }
