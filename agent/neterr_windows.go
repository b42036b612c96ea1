package agent

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Windows' sockets have error numbers of their own; those of package syscall
// are made up there and never come from the system.

func refused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

func noRoute(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEHOSTUNREACH)
}
