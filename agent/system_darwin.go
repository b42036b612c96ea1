package agent

import "golang.org/x/sys/unix"

// System names the operating system and its version.
func System() (name, version string) {
	v, err := unix.Sysctl("kern.osproductversion")
	if err != nil {
		return "darwin", "0"
	}
	return "darwin", numbers(v)
}
