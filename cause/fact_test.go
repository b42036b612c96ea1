package cause

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestValues(t *testing.T) {
	for _, c := range []struct {
		got  Value
		want string
	}{
		{Count(-3), "-3"},
		{Duration(90*time.Second + 400*time.Millisecond), "1m30s"},
		{Duration(-90 * time.Second), "-1m30s"},
		{Instant(time.Date(2026, 1, 2, 5, 4, 5, 999, time.FixedZone("", 7200))), "2026-01-02T03:04:05Z"},
		{Version("1.2.3"), "1.2.3"},
		{Version("1.2.3-dev; rm"), "0"},
		{Version(""), "0"},
		{Version("1234567890"), "0"},
		{Version("1.2.3.4.5"), "0"},
		{Version("1.2\n"), "0"},
		{Name("Jane's laptop (2)"), "Jane's laptop (2)"},
		{Name("\x1b[31mred\x07\u202e<script>"), "31mredscript"},
		{Name("\x00\n"), "unnamed"},
		{Name("\xff\xfe"), "unnamed"},
		{Name(strings.Repeat("é", 60)), strings.Repeat("é", 40)},
		{Fingerprint([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}), "0102030405060708"},
		{Fingerprint(nil), ""},
		{Identifier("jane@example.org"), "jane@example.org"},
		{Identifier("correct horse battery"), notAnAddress},
		{Identifier("hunter2"), notAnAddress},
		{Identifier(`"a b"@example.org`), notAnAddress},
		{Identifier("Jane <jane@example.org>"), notAnAddress},
		{Identifier("jane@example.org\x1b[2J"), notAnAddress},
		{Identifier(strings.Repeat("a", 250) + "@example.org"), notAnAddress},
		{Masked("jane@example.org"), "j***@example.org"},
		{Masked("éva@example.org"), "é***@example.org"},
		{Masked("hunter2"), notAnAddress},
	} {
		if c.got.String() != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// Note takes nothing but what the check compares, so that no text gets into
// evidence by way of a wrong kind.
func TestNoteRefusesOtherKinds(t *testing.T) {
	values := map[kind]Value{
		none: {}, count: Count(1), duration: Duration(time.Second), instant: Instant(time.Unix(0, 0)),
		version: Version("1"), name: Name("a"), fingerprint: Fingerprint([]byte{1}), identifier: Identifier("a@b.example"),
		place: Place("~/kept here"), label: Label("a-rule"),
	}
	for c, s := range checks {
		values[word] = Word("some words")
		good := func(k kind) Value {
			if k == word {
				return Word(s.words[0])
			}
			return values[k]
		}
		if panics(func() { Note(c, good(s.want), good(s.got), ByDevice) }) {
			t.Errorf("%s refuses its own kinds", c)
		}
		for k, v := range values {
			if (k != s.want || k == word) && !panics(func() { Note(c, v, good(s.got), ByServer) }) {
				t.Errorf("%s expects kind %d", c, k)
			}
			if (k != s.got || k == word) && !panics(func() { Note(c, good(s.want), v, ByServer) }) {
				t.Errorf("%s finds kind %d", c, k)
			}
		}
		if !panics(func() { Note(c, good(s.want), good(s.got), "elsewhere") }) {
			t.Errorf("%s was seen from elsewhere", c)
		}
	}
	if !panics(func() { Note("free-text", Value{}, Name("a"), ByServer) }) {
		t.Error("a check that is none was noted")
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}

func TestFactRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		f := drawFact(r)
		b, err := json.Marshal(f)
		if err != nil {
			r.Fatal(err)
		}
		var g Fact
		if err := json.Unmarshal(b, &g); err != nil {
			r.Fatalf("%s: %v", b, err)
		}
		if g != f {
			r.Fatalf("%+v came back as %+v", f, g)
		}
	})
}

func TestFactRefusesWhatNoteCannotMake(t *testing.T) {
	for _, in := range []string{
		`null`, `5`, `"clock"`, `[]`, `{}`,
		`{"check":5}`,
		`{"check":"free-text","got":"hello","seen":"device"}`,
		`{"check":"clock","want":"5m0s","got":"1h0m0s"}`,
		`{"check":"clock","want":"5m0s","got":"1h0m0s","seen":"elsewhere"}`,
		`{"check":"clock","want":"5m0s","got":"1h","seen":"device"}`,
		`{"check":"clock","want":"5m0s","got":"1h0m0.5s","seen":"device"}`,
		`{"check":"clock","want":"5m0s","got":"soon","seen":"device"}`,
		`{"check":"clock","want":"5m0s","seen":"device"}`,
		`{"check":"clock","want":"5m0s","got":"1h0m0s","seen":"device","note":"call 555-0100"}`,
		`{"check":"tls","want":"trusted","got":"click here","seen":"device"}`,
		`{"check":"tls","want":"trusted","got":"resolves","seen":"device"}`,
		`{"check":"code-tries","want":"5","got":"+6","seen":"server"}`,
		`{"check":"code-tries","want":"5","got":"06","seen":"server"}`,
		`{"check":"prompt-device","want":"x","got":"laptop","seen":"server"}`,
		`{"check":"prompt-device","got":"\u001b[31mlaptop","seen":"server"}`,
		`{"check":"prompt-device","got":"<b>laptop</b>","seen":"server"}`,
		`{"check":"prompt-device","got":"","seen":"server"}`,
		`{"check":"prompt-device-seen","got":"2026-01-02T03:04:05+02:00","seen":"server"}`,
		`{"check":"prompt-device-seen","got":"2026-01-02T03:04:05.5Z","seen":"server"}`,
		`{"check":"client-version","want":"1","got":"1.0-beta","seen":"server"}`,
		`{"check":"device-key","want":"ab","got":"AB","seen":"device"}`,
		`{"check":"device-key","want":"ab","got":"abc","seen":"device"}`,
		`{"check":"device-key","want":"ab","got":"010203040506070809","seen":"device"}`,
		`{"check":"identifier","want":"a@b.example","got":"my password","seen":"device"}`,
		`{"check":"identifier","want":"a@b.example","got":"***@","seen":"device"}`,
	} {
		var f Fact
		if err := json.Unmarshal([]byte(in), &f); !errors.Is(err, ErrFact) {
			t.Errorf("%s: %v", in, err)
		}
		if f != (Fact{}) {
			t.Errorf("%s left %+v", in, f)
		}
	}
}

// Errors about evidence repeat nothing of it.
func TestFactErrorsAreMute(t *testing.T) {
	for _, in := range []string{
		`{"check":"zqsecret","seen":"device"}`,
		`{"check":"tls","want":"zqsecret","got":"zqsecret","seen":"zqsecret"}`,
		`{"check":"tls","zqsecret":"zqsecret"}`,
	} {
		var f Fact
		if err := json.Unmarshal([]byte(in), &f); err == nil || strings.Contains(err.Error(), "zqsecret") {
			t.Errorf("%v", err)
		}
	}
}

// What is not exactly as it was written is no fact, and its error is mute.
func TestBinaryFactIsExact(t *testing.T) {
	fact := Note(CheckOwnDeviceName, Value{}, Name("laptop"), ByServer)
	b, err := fact.AppendBinary([]byte("before"))
	if err != nil || string(b[:6]) != "before" {
		t.Fatalf("%q, %v", b, err)
	}
	b = b[6:]
	var got Fact
	if err := got.UnmarshalBinary(b); err != nil || got != fact {
		t.Fatalf("came back as %+v, %v", got, err)
	}
	long := bytes.Replace(b, []byte("\x00\x06laptop"), []byte("\xff\xfflaptop"), 1)
	free := bytes.Replace(b, []byte("\x00\x06laptop"), []byte("\x00\x0a<zqsecret>"), 1)
	other := bytes.Replace(b, []byte(ByServer), []byte("zqsecr"), 1)
	for _, in := range [][]byte{nil, {0}, b[:len(b)-1], append(bytes.Clone(b), 0), long, free, other} {
		var f Fact
		if err := f.UnmarshalBinary(in); !errors.Is(err, ErrFact) || strings.Contains(err.Error(), "zqsecr") || f != (Fact{}) {
			t.Errorf("%q: %+v, %v", in, f, err)
		}
	}
}

func FuzzFact(f *testing.F) {
	for c := range checks {
		s := checks[c]
		if s.got == word && s.want == word {
			b, _ := json.Marshal(Note(c, Word(s.words[0]), Word(s.words[1]), ByServer))
			f.Add(b)
		}
	}
	f.Add([]byte(`{"check":"identifier","want":"j***@example.org","got":"jane@example.org","seen":"device"}`))
	f.Add([]byte(`{"check":"device-key","want":"0102030405060708","got":"","seen":"device"}`))
	f.Add([]byte(`{"check":"prompt-device","got":"laptop","seen":"server"}`))
	f.Add([]byte(`{"check":"session-idle","want":"720h0m0s","got":"721h0m0s","seen":"server"}`))
	for _, fact := range []Fact{
		Note(CheckPassword, Word("proved"), Word("not-proved"), ByServer), Note(CheckOwnDeviceName, Value{}, Name("laptop"), ByServer),
	} {
		b, _ := fact.AppendBinary(nil)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var a Fact
		if json.Unmarshal(in, &a) != nil && a.UnmarshalBinary(in) != nil {
			return
		}
		s := checks[a.check]
		for _, v := range []struct {
			kind kind
			text string
		}{{s.want, a.Want()}, {s.got, a.Got()}} {
			if !made(v.kind, v.text, s.words) {
				t.Fatalf("%s was read with %q", a.Check(), v.text)
			}
			if len(v.text) > 254 || !utf8.ValidString(v.text) || strings.ContainsFunc(v.text, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%s was read with %q", a.Check(), v.text)
			}
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var b Fact
		if err := json.Unmarshal(out, &b); err != nil || a != b {
			t.Fatalf("%s came back as %+v, %v", out, b, err)
		}
		out, err = a.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.UnmarshalBinary(out); err != nil || a != b {
			t.Fatalf("%q came back as %+v, %v", out, b, err)
		}
		if err := b.UnmarshalBinary(append(out, 0)); !errors.Is(err, ErrFact) {
			t.Fatalf("with more behind it: %v", err)
		}
	})
}

// made reports whether a constructor of the kind can have made the text.
func made(k kind, s string, words []string) bool {
	switch k {
	case none:
		return s == ""
	case word:
		for _, w := range words {
			if w == s {
				return true
			}
		}
		return false
	case duration:
		d, err := time.ParseDuration(s)
		return err == nil && d.Round(time.Second).String() == s
	case instant:
		t, err := time.Parse("2006-01-02T15:04:05Z", s)
		return err == nil && t.Format("2006-01-02T15:04:05Z") == s
	case name:
		return CleanName(s) == s
	case fingerprint:
		b, err := hex.DecodeString(s)
		return err == nil && Fingerprint(b).String() == s
	case place:
		return Place(s).String() == s && len(s) <= 800
	case label:
		return Label(s).String() == s
	case identifier:
		return Identifier(s).String() == s || strings.Contains(s, "***@")
	}
	return strings.Trim(s, "0123456789.-") == "" && s != ""
}

// A path keeps what a person needs to find the folder, and nothing that a
// terminal or a page would obey.
func TestPlaceAndLabel(t *testing.T) {
	for in, want := range map[string]string{
		"~/.pyicloud":                  "~/.pyicloud",
		`C:\Users\Jane\AppData (x86)`:  `C:\Users\Jane\AppData (x86)`,
		"/config/\x1b]0;owned\x07":     "/config/0owned",
		"/a\n/b<script>\u202e":         "/a/bscript",
		" " + strings.Repeat("x", 300): strings.Repeat("x", 199),
	} {
		if got := Place(in).String(); got != want {
			t.Errorf("the place %q is told as %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"invalid-session-token": "invalid-session-token", "": "unnamed", "Secret Value": "unnamed", "a--b": "unnamed", "9a": "unnamed",
	} {
		if got := Label(in).String(); got != want {
			t.Errorf("the label %q is told as %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"", "laptop", "  a  ", "\x1b]0;x\x07", "\u202eevil", strings.Repeat("a ", 30), "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := CleanName(s)
		if CleanName(c) != c {
			t.Errorf("%q is cleaned to %q, and that to %q", s, c, CleanName(c))
		}
		if n := utf8.RuneCountInString(c); n < 1 || n > 40 || strings.TrimSpace(c) != c {
			t.Errorf("%q is cleaned to %q", s, c)
		}
		for _, r := range c {
			if unicode.IsControl(r) || !unicode.IsPrint(r) || strings.ContainsRune("<>&\"\\`$%;|@/:=", r) {
				t.Errorf("%q is cleaned to %q, which has %q", s, c, r)
			}
		}
	})
}
