package pc

import (
	"strconv"
	"strings"
)

// What a version of iCloud for Windows or of Windows can do, where that was
// said in public. No public text names a version of iCloud for Windows that is
// refused as such; so only Windows itself has a minimum.
const (
	// Windows 10 is what the edition that is still made asks for.
	// https://mytour.vn/en/blog/bai-viet/troubleshooting-icloud-login-issues-on-your-computer.html
	minSystem = 10
	// From 15 on, accounts with security keys can sign in.
	// https://applenovinky.cz/2024/02/icloud-pro-windows-nyni-podporuje-bezpecnostni-klice-pro-apple-id/
	securityKeysFrom = 15
)

// major is the first number of a version, 0 where there is none.
func major(version string) int {
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return n
}
