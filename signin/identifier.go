package signin

import (
	"net/mail"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Normalise makes one spelling of all that mean the same identifier: NFC, case
// folded, without surrounding space. It happens once, here, so that spellings
// share an account, a counter and an OPRF key.
func Normalise(identifier string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(identifier))))
}

// ValidIdentifier reports whether an account can be made with the identifier:
// the form of an e-mail address, and nothing around it.
func ValidIdentifier(normalised string) bool {
	if len(normalised) > MaxIdentifier {
		return false
	}
	a, err := mail.ParseAddress(normalised)
	return err == nil && a.Address == normalised && a.Name == ""
}
