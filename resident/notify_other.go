//go:build !linux

package resident

import (
	"os/exec"
	"runtime"
)

// OpenDesktop returns what shows texts on this user's desktop, nil where there
// can be none.
func OpenDesktop(func(string) string) Desktop {
	argv := desktopCommand(runtime.GOOS)
	if argv == nil {
		return nil
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return nil
	}
	return command{program, argv[1:]}
}
