package agent

import "golang.org/x/sys/unix"

// System names the operating system and its version; on Linux, the kernel's.
func System() (name, version string) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "linux", "0"
	}
	return "linux", numbers(unix.ByteSliceToString(u.Release[:]))
}
