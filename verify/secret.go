package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// What credentials begin with, so that a misplaced one is recognised.
const (
	secretPrefix    = "rms_"
	pushTokenPrefix = "rmp_"
)

// maxSecretFile is more than both credentials need.
const maxSecretFile = 4 << 10

// SecretFile gives the service's credential out of the file that
// "readmit admin service add --secret-file" has written: the line that begins
// with rms_. The file is read each time, so that a new credential needs no
// restart.
func SecretFile(path string) func() (string, error) { return line(path, secretPrefix) }

// PushTokenFile gives what the account server proves itself with, out of the
// same file: the line that begins with rmp_.
func PushTokenFile(path string) func() (string, error) { return line(path, pushTokenPrefix) }

func line(path, prefix string) func() (string, error) {
	return func() (string, error) {
		f, err := os.Open(path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("%s is not there: write it with readmit admin service add NAME --secret-file %s", path, path)
			}
			return "", err
		}
		defer f.Close()
		i, err := f.Stat()
		if err != nil {
			return "", err
		}
		if runtime.GOOS != "windows" && i.Mode().Perm()&0o077 != 0 {
			return "", fmt.Errorf("%s can be read by others: chmod 600 %s", path, path)
		}
		b, err := readAll(f, maxSecretFile)
		if err != nil {
			return "", fmt.Errorf("%s: not a file of credentials: %w", path, err)
		}
		for one := range bytes.Lines(b) {
			if s := strings.TrimSpace(string(one)); strings.HasPrefix(s, prefix) && !strings.ContainsAny(s, " \t") {
				return s, nil
			}
		}
		return "", fmt.Errorf("%s has no line that begins with %s", path, prefix)
	}
}
