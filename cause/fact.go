package cause

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Seen says from where a fact was observed.
type Seen string

// From where a fact can be observed.
const (
	ByServer Seen = "server"
	ByDevice Seen = "device"
)

// Check names one thing that is looked at. The list is closed: see checks.
type Check string

// kind is what sort of value a check compares.
type kind int

const (
	none kind = iota
	word
	count
	duration
	instant
	version
	name
	fingerprint
	identifier
	place
	label
)

// Value is one typed value of a fact. The zero Value is "nothing to say".
type Value struct {
	kind kind
	text string
}

func (v Value) String() string { return v.text }

// Word is one of the words its check allows.
func Word(w string) Value { return Value{word, w} }

// ChangeKind is what has changed of an account, "other" where that is none of
// the kinds known here.
func ChangeKind(kind string) Value {
	if !slices.Contains(checks[CheckChangeKind].words, kind) {
		kind = "other"
	}
	return Word(kind)
}

// Count is a number of things.
func Count(n int) Value { return Value{count, strconv.Itoa(n)} }

// Duration is a length of time, told to the second; it may be negative.
func Duration(d time.Duration) Value {
	return Value{duration, d.Round(time.Second).String()}
}

// Instant is a moment, told in UTC to the second.
func Instant(t time.Time) Value {
	return Value{instant, t.UTC().Truncate(time.Second).Format(time.RFC3339)}
}

// Version is a dotted version; anything else becomes "0".
func Version(s string) Value {
	if !versionForm().MatchString(s) {
		s = "0"
	}
	return Value{version, s}
}

// Name is what a person called a device; see CleanName.
func Name(s string) Value { return Value{name, CleanName(s)} }

// Fingerprint shortens a digest to its first eight bytes, enough to compare two.
func Fingerprint(digest []byte) Value {
	return Value{fingerprint, fmt.Sprintf("%x", digest[:min(8, len(digest))])}
}

// Place is a folder's path as a person may read it: what is not a letter, a
// digit, a space or one of / \ : - _ . ~ ( ) is left out, and so is what comes
// after 200 of them.
func Place(path string) Value {
	var b strings.Builder
	n := 0
	for _, r := range path {
		if n == 200 {
			break
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(` /\:-_.~()`, r) {
			b.WriteRune(r)
			n++
		}
	}
	return Value{place, strings.TrimSpace(b.String())}
}

// Label is the name of one of our own rules; what does not have the form of
// one becomes "unnamed", so that nothing that was read can be told as one.
func Label(s string) Value {
	if !labelForm().MatchString(s) {
		s = "unnamed"
	}
	return Value{label, s}
}

// Identifier is an account's identifier as its own device knows it. What does
// not have the form of an e-mail address is not shown: it may be a password
// typed into the wrong field.
func Identifier(s string) Value {
	if !isIdentifier(s) {
		return Value{identifier, notAnAddress}
	}
	return Value{identifier, s}
}

// Masked is an identifier of which only the first letter and the domain show.
func Masked(s string) Value {
	v := Identifier(s)
	if v.text == notAnAddress {
		return v
	}
	local, domain, _ := strings.Cut(s, "@")
	return Value{identifier, string([]rune(local)[:1]) + "***@" + domain}
}

const notAnAddress = "not-an-address"

func isIdentifier(s string) bool {
	if len(s) > 254 || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' || r == '"' }) {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

// CleanName keeps of a name what is safe to print anywhere: letters, digits,
// spaces and - _ . ' ( ), at most 40 of them.
func CleanName(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == 40 {
			break
		}
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" -_.'()", r) {
			b.WriteRune(r)
			n++
		}
	}
	if s = strings.TrimSpace(b.String()); s == "" {
		return "unnamed"
	}
	return s
}

// Fact is a typed piece of evidence: what was checked, what was expected,
// what was found, seen from where.
type Fact struct {
	check     Check
	want, got Value
	seen      Seen
}

// ErrFact is returned for evidence that is not of its check's form.
var ErrFact = errors.New("evidence is not of its check's form")

// Note makes a fact. It panics on values that are not of the check's kinds:
// that is a mistake in the program, never in what was observed.
func Note(c Check, want, got Value, seen Seen) Fact {
	f := Fact{c, want, got, seen}
	if err := f.valid(); err != nil {
		panic(err)
	}
	return f
}

// Check, Want, Got and Seen tell what the fact says.
func (f Fact) Check() Check { return f.check }
func (f Fact) Want() string { return f.want.text }
func (f Fact) Got() string  { return f.got.text }
func (f Fact) Seen() Seen   { return f.seen }

func (f Fact) valid() error {
	s, ok := checks[f.check]
	switch {
	case !ok:
		return fmt.Errorf("%w: unknown check", ErrFact)
	case f.seen != ByServer && f.seen != ByDevice:
		return fmt.Errorf("%w: %s: seen from nowhere", ErrFact, f.check)
	case !s.allows(s.want, f.want), !s.allows(s.got, f.got):
		return fmt.Errorf("%w: %s", ErrFact, f.check)
	}
	return nil
}

func (s spec) allows(k kind, v Value) bool {
	return v.kind == k && (k != word || slices.Contains(s.words, v.text))
}

type wireFact struct {
	Check Check  `json:"check"`
	Want  string `json:"want,omitempty"`
	Got   string `json:"got,omitempty"`
	Seen  Seen   `json:"seen"`
}

// MarshalJSON writes the fact as it is shown to people and programs alike.
func (f Fact) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireFact{f.check, f.want.text, f.got.text, f.seen})
}

// UnmarshalJSON accepts exactly what MarshalJSON can have written, so that
// evidence from a device is as typed as our own. It returns ErrFact.
func (f *Fact) UnmarshalJSON(b []byte) error {
	var w wireFact
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if in.Decode(&w) != nil {
		return fmt.Errorf("%w: not a fact", ErrFact)
	}
	return f.read(w)
}

// AppendBinary writes the fact in half the room that JSON takes, for what is
// read again within minutes: four texts, the length of each before it in two
// bytes. None is near as long as that can say.
func (f Fact) AppendBinary(b []byte) ([]byte, error) {
	for _, text := range []string{string(f.check), f.want.text, f.got.text, string(f.seen)} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
	}
	return b, nil
}

// UnmarshalBinary accepts exactly what AppendBinary can have written. It
// returns ErrFact.
func (f *Fact) UnmarshalBinary(b []byte) error {
	var texts [4]string
	for i := range texts {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return fmt.Errorf("%w: not a fact", ErrFact)
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		texts[i], b = string(b[2:end]), b[end:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: not a fact", ErrFact)
	}
	return f.read(wireFact{Check(texts[0]), texts[1], texts[2], Seen(texts[3])})
}

func (f *Fact) read(w wireFact) error {
	s, ok := checks[w.Check]
	if !ok {
		return fmt.Errorf("%w: unknown check", ErrFact)
	}
	want, ok1 := parse(s.want, w.Want)
	got, ok2 := parse(s.got, w.Got)
	n := Fact{w.Check, want, got, w.Seen}
	if !ok1 || !ok2 || n.valid() != nil {
		return fmt.Errorf("%w: %s", ErrFact, w.Check)
	}
	*f = n
	return nil
}

var (
	versionForm     = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$`) })
	labelForm       = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+){0,7}$`) })
	fingerprintForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([0-9a-f]{2}){0,8}$`) })
)

func parse(k kind, s string) (Value, bool) {
	v := Value{k, s}
	switch k {
	case none:
		return v, s == ""
	case word:
		return v, true
	case count:
		n, err := strconv.Atoi(s)
		return v, err == nil && Count(n) == v
	case duration:
		d, err := time.ParseDuration(s)
		return v, err == nil && Duration(d) == v
	case instant:
		t, err := time.Parse(time.RFC3339, s)
		return v, err == nil && Instant(t) == v
	case version:
		return v, Version(s) == v
	case name:
		return v, Name(s) == v
	case fingerprint:
		return v, fingerprintForm().MatchString(s)
	case place:
		return v, Place(s) == v
	case label:
		return v, Label(s) == v
	case identifier:
		return v, s == notAnAddress || isIdentifier(s) || strings.Contains(s, "***@") && isIdentifier(strings.Replace(s, "***", "x", 1))
	}
	return v, false
}
