package agent

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestPreparePassword(t *testing.T) {
	composed, err := PreparePassword("pass\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	apart, err := PreparePassword("passe\u0301")
	if err != nil || string(apart) != string(composed) {
		t.Errorf("two keyboards type %x and %x, %v", composed, apart, err)
	}
	for _, good := range []string{"a", " space at both ends ", strings.Repeat("x", maxPassword), "日本語"} {
		if b, err := PreparePassword(good); err != nil || string(b) != good {
			t.Errorf("%d bytes became %d, %v", len(good), len(b), err)
		}
	}
	for _, bad := range []string{"", strings.Repeat("x", maxPassword+1), "zqsecret\xff"} {
		if b, err := PreparePassword(bad); err == nil || b != nil || strings.Contains(err.Error(), "zqsecret") {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestCheckNewPassword(t *testing.T) {
	const account = "Jane.Doe.Long@example.org"
	for _, good := range []string{
		"zqxwvuts", "correct horse battery staple", "日本語日本語日本", "Jane.Doe.Long2", strings.Repeat("z", 200), "        ",
	} {
		if err := CheckNewPassword(good, account); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for what, bad := range map[string]string{
		"empty":                 "",
		"seven":                 "zqxwvut",
		"seven of many bytes":   "日本語日本語日",
		"four and four accents": "e\u0301e\u0301e\u0301e\u0301",
		"the account":           account,
		"the account in caps":   strings.ToUpper(account),
		"its first part":        "jane.doe.long",
		"a common one":          "password1",
		"a common one in caps":  "PassWord1",
	} {
		err := CheckNewPassword(bad, account)
		if !errors.Is(err, ErrPassword) {
			t.Errorf("%s: %v", what, err)
		}
		if bad != "" && strings.Contains(strings.TrimPrefix(err.Error(), ErrPassword.Error()), bad) {
			t.Errorf("%s: the error repeats it", what)
		}
	}
}

// The list is compared with a password in lower case, composed, so a line of
// any other form would refuse nothing.
func TestCommonPasswords(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(common, "\n"), "\n")
	if len(lines) < 100 {
		t.Errorf("%d common passwords", len(lines))
	}
	seen := slices.Clone(lines)
	slices.Sort(seen)
	if len(slices.Compact(seen)) != len(lines) {
		t.Error("a common password stands there twice")
	}
	for _, l := range lines {
		if l != strings.ToLower(l) || l != norm.NFC.String(l) || utf8.RuneCountInString(l) < minPassword {
			t.Errorf("%q can never match", l)
		}
		for _, p := range []string{l, strings.ToUpper(l)} {
			if err := CheckNewPassword(p, "jane@example.org"); !errors.Is(err, ErrPassword) {
				t.Errorf("%q is taken", p)
			}
		}
	}
}
