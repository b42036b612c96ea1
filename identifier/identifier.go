// Package identifier is how accounts are named: in the form of an e-mail
// address, and in one spelling. The account server and the device read what is
// typed alike. It is pure.
package identifier

import (
	"net/mail"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Max is the longest identifier in bytes (RFC 5321 §4.5.3.1.3, less brackets).
const Max = 254

// Normalise makes one spelling of all that mean the same identifier: NFC, case
// folded, without surrounding space. On the server it happens once, so that
// spellings share an account, a counter and an OPRF key.
func Normalise(typed string) string {
	return norm.NFC.String(cases.Fold().String(strings.Map(upCherokee, norm.NFC.String(strings.TrimSpace(typed)))))
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

// Valid reports whether an account can be made with the identifier: the form of
// an e-mail address, nothing around it, and nothing in it that does not show,
// by which two accounts could look the same.
func Valid(normalised string) bool {
	if len(normalised) > Max || strings.ContainsFunc(normalised, hidden) {
		return false
	}
	a, err := mail.ParseAddress(normalised)
	return err == nil && a.Address == normalised && a.Name == ""
}

func hidden(r rune) bool {
	return !unicode.IsPrint(r) || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}
