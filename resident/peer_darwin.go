package resident

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func peer(fd int) (int, error) {
	c, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return int(c.Uid), nil
}

// short is a name for a socket that is short enough; this system has no way to
// make one.
func short(path string) (name string, done func(), err error) {
	if len(path) > maxPath {
		return "", nil, fmt.Errorf("%s is too long for a socket's name: set READMIT_HOME to a shorter one", path)
	}
	return path, func() {}, nil
}
