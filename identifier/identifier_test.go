package identifier_test

import (
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"readmit.dev/readmit/identifier"
)

// TestSpellings: what a person would call the same identifier is the same.
func TestSpellings(t *testing.T) {
	for want, spellings := range map[string][]string{
		"jane@example.org":   {"jane@example.org", "JANE@Example.ORG", "  jane@example.org\t\r\n", "Jane@example.org ", "jane@example.org\u00a0"},
		"zoë@example.org":    {"zoë@example.org", "ZOË@EXAMPLE.ORG", "zoe\u0308@example.org", "ZOE\u0308@example.org"},
		"strasse@example.de": {"strasse@example.de", "STRASSE@example.de", "straße@example.de", "STRAẞE@example.de"},
		"σίσυφοσ@example.gr": {"Σίσυφος@example.gr", "ΣΊΣΥΦΟΣ@example.gr", "σίσυφοσ@example.gr"},
	} {
		for _, s := range spellings {
			if got := identifier.Normalise(s); got != want {
				t.Errorf("%q becomes %q, want %q", s, got, want)
			}
		}
	}
	if identifier.Normalise("jane@example.org") == identifier.Normalise("jаne@example.org") { // a Cyrillic а
		t.Error("letters of two scripts are one")
	}
}

// TestNormaliseIsStable: what is kept is found again when it is typed as it is
// shown, whatever form it was first typed in.
func TestNormaliseIsStable(t *testing.T) {
	check := func(fail func(string, ...any), s string) {
		once := identifier.Normalise(s)
		for _, form := range []string{once, norm.NFC.String(s), norm.NFD.String(s), " " + s + "\n"} {
			if again := identifier.Normalise(form); again != once {
				fail("%+q becomes %+q, and as %+q it becomes %+q", s, once, form, again)
			}
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.IsLetter(r) || unicode.IsMark(r) {
			check(t.Errorf, "a"+string(r)+"b")
		}
	}
	if t.Failed() {
		return
	}
	runes := rapid.StringOfN(rapid.RuneFrom(nil, unicode.Latin, unicode.Greek, unicode.Mn, unicode.Lu, unicode.Zs), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) { check(t.Fatalf, runes.Draw(t, "identifier")) })
}

func TestValid(t *testing.T) {
	for _, s := range []string{"jane@example.org", "j.a-n+e@example.org", "zoë@example.org", "a@b"} {
		if !identifier.Valid(s) {
			t.Errorf("%q is no identifier", s)
		}
	}
	for _, s := range []string{
		"", "jane", "@", "jane@", "@example.org", "jane doe@example.org", "Jane <jane@example.org>", "<jane@example.org>",
		"jane@example.org, john@example.org", "jane@example.org\n", "\"jane\"@example.org ", "jane@exa mple.org", "ja\u200bne@example.org", "ja\u202ene@example.org", "ja\u00adne@example.org",
		"ja\ufe0fne@example.org", "ja\u3164ne@example.org", "jane@exa\u2060mple.org", "jane@example.org\x00",
		string(make([]byte, 300)) + "@example.org",
	} {
		if identifier.Valid(s) {
			t.Errorf("%q is an identifier", s)
		}
	}
}
