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
	return norm.NFC.String(cases.Fold().String(strings.Map(upCherokee, norm.NFC.String(strings.TrimSpace(identifier)))))
}

// upCherokee writes Cherokee in the capitals that the folding expects: it turns
// each of its two cases into the other, so that no spelling would find another.
func upCherokee(r rune) rune {
	switch {
	case r >= 0xab70 && r <= 0xabbf:
		return r - 0xab70 + 0x13a0
	case r >= 0x13f8 && r <= 0x13fd:
		return r - 8
	}
	return r
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
