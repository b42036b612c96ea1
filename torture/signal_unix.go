//go:build !windows

package main

import (
	"os"
	"syscall"
)

// halt stops a process where it stands; it knows nothing of it.
func halt(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }

// proceed lets it go on.
func proceed(p *os.Process) error { return p.Signal(syscall.SIGCONT) }
