package doctor

import (
	"errors"
	"time"
)

// identity is not told here: when a file has changed can be set by programs.
func identity(string) (string, time.Time, error) {
	return "", time.Time{}, errors.ErrUnsupported
}
