package incident_test

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/incident"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ring(t *testing.T) *keys.Ring {
	t.Helper()
	s, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r, err := keys.Open(t.Context(), s, make([]byte, 32), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func fact(c cause.Check, want, got cause.Value) cause.Fact {
	return cause.Note(c, want, got, cause.ByServer)
}

// id is the ID that takes the most room as JSON.
var id = store.ID{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}

// longName is the longest that a name can be: forty letters of four bytes.
var longName = strings.Repeat("𐐀", 40)

// worst is a refused call that has all against it that one call can: a removed
// device's old session, used with another key, on a disabled account.
func worst() incident.Content {
	name, at, hash := cause.Name(longName), cause.Instant(now), cause.Fingerprint([]byte("12345678"))
	return incident.Content{
		Account: id, Attempt: id, At: now.Add(123456789), What: "explanation read", Outcome: incident.Unfinished,
		Device: longName, Client: longName, Address: "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff%interface0]:65535",
		Facts: []cause.Fact{
			fact(cause.CheckClock, cause.Duration(0), cause.Duration(-1<<62)),
			fact(cause.CheckEnabled, cause.Word("enabled"), cause.Word("disabled")),
			fact(cause.CheckDisabledAt, cause.Value{}, at),
			fact(cause.CheckDeviceKey, hash, hash),
			fact(cause.CheckDevice, cause.Word("enrolled"), cause.Word("removed")),
			fact(cause.CheckDeviceRemovedAt, cause.Value{}, at),
			fact(cause.CheckDeviceRemovedBy, cause.Value{}, name),
			fact(cause.CheckSessionAlive, cause.Word("alive"), cause.Word("password-changed")),
			fact(cause.CheckSessionEndedAt, cause.Value{}, at),
			fact(cause.CheckSessionEndedBy, cause.Value{}, name),
			fact(cause.CheckSessionIdle, cause.Duration(720*time.Hour), cause.Duration(99999*time.Hour)),
			fact(cause.CheckSessionUsed, cause.Value{}, at),
		},
	}
}

// contents are what an incident may hold, from next to nothing to all.
func contents() map[string]incident.Content {
	version := cause.Version("999999999.999999999.999999999.999999999")
	outdated := worst()
	outdated.Facts = append(outdated.Facts[:3:3],
		fact(cause.CheckClientVersion, version, version),
		fact(cause.CheckSystemVersion, version, version),
		fact(cause.CheckProtocol, cause.Count(1000), cause.Count(-1<<62)),
		fact(cause.CheckAccount, cause.Word("known"), cause.Word("unknown")))
	locked := worst()
	locked.Facts = append(locked.Facts[:3:3],
		fact(cause.CheckOwnDevice, cause.Count(10), cause.Count(60)),
		fact(cause.CheckOwnDeviceUntil, cause.Value{}, cause.Instant(now)),
		fact(cause.CheckOwnDeviceName, cause.Value{}, cause.Name(longName)),
		fact(cause.CheckPassword, cause.Word("proved"), cause.Word("changed-meanwhile")),
		fact(cause.CheckPasswordChanged, cause.Value{}, cause.Instant(now)))
	return map[string]incident.Content{
		"next to nothing": {At: now},
		"one fact": {Account: store.ID{1}, Attempt: store.ID{2}, At: now, What: "sign-in", Outcome: incident.Refused,
			Facts: []cause.Fact{fact(cause.CheckPassword, cause.Word("proved"), cause.Word("not-proved"))}},
		"outdated": outdated,
		"locked":   locked,
		"worst":    worst(),
	}
}

// Whoever holds an incident can measure it: its length must not tell the cause,
// and no evidence may be too long to be sealed, for that would turn a refusal
// into an error.
func TestOneLength(t *testing.T) {
	r := ring(t)
	length := 0
	for name, c := range contents() {
		sealed, err := incident.Seal(r, c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if length == 0 {
			length = len(sealed)
		}
		if len(sealed) != length {
			t.Errorf("%s is sealed into %d characters, others into %d", name, len(sealed), length)
		}
		if got, err := incident.Open(r, sealed, now); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s came back as %+v, %v", name, got, err)
		}
	}
}

func TestOpenFor(t *testing.T) {
	r := ring(t)
	sealed, err := incident.Seal(r, contents()["one fact"])
	if err != nil {
		t.Fatal(err)
	}
	if incident.OpenFor != 30*24*time.Hour || keys.OpenFor <= incident.OpenFor {
		t.Error("an incident is to open for 30 days, and its key for longer")
	}
	for after, want := range map[time.Duration]error{
		0: nil, incident.OpenFor: nil, incident.OpenFor + time.Second: incident.ErrTooOld, 10 * incident.OpenFor: incident.ErrTooOld,
	} {
		c, err := incident.Open(r, sealed, now.Add(after))
		if !errors.Is(err, want) {
			t.Errorf("%s after: %v, want %v", after, err, want)
		}
		if err != nil && !reflect.DeepEqual(c, incident.Content{}) {
			t.Errorf("%s after: refused, and told all the same", after)
		}
	}
}

func TestUnknown(t *testing.T) {
	r := ring(t)
	sealed, err := incident.Seal(r, worst())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := incident.Seal(ring(t), worst())
	if err != nil {
		t.Fatal(err)
	}
	other, err := r.Seal("sign-in state", []byte(`{"at":"2026-03-01T12:00:00Z"}`), 2048)
	if err != nil {
		t.Fatal(err)
	}
	noContent, err := r.Seal("incident", []byte("no content"), 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	list := map[string]string{
		"nothing": "", "a reference": "4K7Q-9FXM", "no base64": "!!!!", "padded": sealed + "=", "longer": sealed + "AAAA",
		"cut": sealed[:len(sealed)-4], "another server's": foreign, "sealed for another use": text(other), "no content": text(noContent),
	}
	for i := 0; i < len(sealed); i += 97 {
		b := []byte(sealed)
		if b[i]++; b[i] == sealed[i] {
			t.Fatal("unchanged")
		}
		list["byte changed"] = string(b)
		for name, s := range list {
			if c, err := incident.Open(r, s, now); !errors.Is(err, incident.ErrUnknown) || !reflect.DeepEqual(c, incident.Content{}) {
				t.Fatalf("%s (%d): %v", name, i, err)
			}
		}
	}
}

func TestReference(t *testing.T) {
	form := "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	seen := map[string]bool{}
	rapid.Check(t, func(r *rapid.T) {
		attempt := store.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "attempt"))
		s := incident.Reference(attempt)
		if len(s) != 9 || s[4] != '-' || strings.Trim(strings.ReplaceAll(s, "-", "4"), form) != "" {
			r.Fatalf("reference %q", s)
		}
		if s != incident.Reference(attempt) {
			r.Fatal("an attempt has two references")
		}
		seen[s] = true
	})
	if len(seen) < 50 {
		t.Errorf("%d references of a hundred attempts", len(seen))
	}
	// References that were written down stay true. The SHA-256 of sixteen zero
	// bytes begins 374708FFF7.
	if got := incident.Reference(store.ID{}); got != "6X3G-HZZQ" {
		t.Errorf("the reference of the zero attempt is %s", got)
	}
}

func TestEntry(t *testing.T) {
	for name, c := range contents() {
		c.Account, c.Attempt = store.ID{1}, store.ID{2}
		e := c.Entry(store.RingDevices, 7)
		if e.Account != c.Account || e.ID != c.Attempt || e.Ring != store.RingDevices || e.Seq != 7 || !e.At.Equal(c.At) ||
			e.Reference != incident.Reference(c.Attempt) || e.Open != (c.Outcome == incident.Unfinished) {
			t.Errorf("%s: %+v", name, e)
		}
		if got, err := incident.Read(e); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%s came back as %+v, %v", name, got, err)
		}
	}
	if _, err := incident.Read(store.Entry{Detail: []byte("{")}); err == nil {
		t.Error("half a line was read")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("4K7Q-9FXM")
	f.Add("AAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := incident.Open(clear{}, s, now); err != nil && !errors.Is(err, incident.ErrUnknown) && !errors.Is(err, incident.ErrTooOld) {
			t.Fatalf("%q: %v", s, err)
		}
	})
}

// clear is a box that seals nothing, so that what is in a box can be fuzzed.
type clear struct{}

func (clear) Seal(_ string, plain []byte, _ int) ([]byte, error) { return plain, nil }
func (clear) Open(_ string, sealed []byte) ([]byte, error)       { return sealed, nil }
