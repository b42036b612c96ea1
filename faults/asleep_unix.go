//go:build unix

package faults

import "syscall"

// halt stops a process, and goOn lets it go on.
func halt(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) }
func goOn(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }
