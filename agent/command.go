package agent

import (
	"path/filepath"
	"runtime"
	"strings"
)

// Command is a readmit command as a person types it for this home, wherever they
// are: with READMIT_HOME before it where the home is not the usual one. For a
// POSIX shell; on Windows for PowerShell.
func (h Home) Command(words string) string {
	dir, err := filepath.Abs(h.dir)
	if err != nil {
		dir = h.dir
	}
	if at, err := usual(); err == nil && at == dir {
		return "readmit " + words
	}
	if runtime.GOOS == "windows" {
		return "$env:READMIT_HOME='" + strings.ReplaceAll(dir, "'", "''") + "'; readmit " + words
	}
	if strings.Trim(dir, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-") != "" {
		dir = "'" + strings.ReplaceAll(dir, "'", `'\''`) + "'"
	}
	return "READMIT_HOME=" + dir + " readmit " + words
}
