//go:build !windows

package pgtest

import (
	"os"
	"syscall"
)

// quit stops without waiting for clients ("fast shutdown").
func quit(p *os.Process) error { return p.Signal(syscall.SIGINT) }

// kill stops without anything; the server's own processes end when they see it.
func kill(p *os.Process) error { return p.Signal(syscall.SIGQUIT) }
