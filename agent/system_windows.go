package agent

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// System names the operating system and its version.
func System() (name, version string) {
	v := windows.RtlGetVersion()
	return "windows", numbers(fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber))
}
