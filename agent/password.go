package agent

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The server never sees a password, so its length and commonness are the
// client's to check (a deviation from NIST SP 800-63B-4 §3.1.1.2 that
// docs/security.md names).
const (
	minPassword = 8 // characters, beside a second factor
	maxPassword = 1024
)

//go:embed common.txt
var common string

// ErrPassword: a password that must not be set.
var ErrPassword = errors.New("choose another password")

// PreparePassword is the form in which a password is proved: NFC, so that
// keyboards that compose letters differently type the same.
func PreparePassword(p string) ([]byte, error) {
	if !utf8.ValidString(p) || len(p) == 0 || len(p) > maxPassword {
		return nil, fmt.Errorf("a password is text of 1 to %d bytes", maxPassword)
	}
	return []byte(norm.NFC.String(p)), nil
}

// CheckNewPassword refuses what is too short or among the first that anybody
// would guess. There are no rules of composition.
func CheckNewPassword(p, account string) error {
	p = norm.NFC.String(p)
	if utf8.RuneCountInString(p) < minPassword {
		return fmt.Errorf("%w: it has fewer than %d characters", ErrPassword, minPassword)
	}
	lower := strings.ToLower(p)
	local, _, _ := strings.Cut(strings.ToLower(account), "@")
	if lower == strings.ToLower(account) || lower == local {
		return fmt.Errorf("%w: it is the account's own name", ErrPassword)
	}
	lines := bufio.NewScanner(strings.NewReader(common))
	for lines.Scan() {
		if lines.Text() == lower {
			return fmt.Errorf("%w: it is among the most common ones", ErrPassword)
		}
	}
	return nil
}
