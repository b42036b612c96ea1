package mac

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"
)

func TestReadSettings(t *testing.T) {
	whole := settings{word: "signed-in", account: person, dsid: dsid, drive: true}
	for _, format := range []int{plist.BinaryFormat, plist.XMLFormat} {
		b := listBytes(t, format, true, true)
		if s, err := readSettings(b); s != whole || err != nil {
			t.Fatalf("%+v %v", s, err)
		}
		// Cut anywhere it is damaged, and never half understood.
		for n := range len(b) {
			s, err := readSettings(b[:n])
			if err == nil && strings.TrimSpace(string(b[n:])) != "" {
				t.Fatalf("format %d cut at %d of %d: %+v", format, n, len(b), s)
			}
		}
		random := rand.New(rand.NewPCG(1, uint64(format)))
		for range 3000 {
			c := slices.Clone(b)
			for range 1 + random.IntN(4) {
				c[random.IntN(len(c))] = byte(random.Uint32())
			}
			readSettings(c)
		}
	}
	for name, c := range map[string]struct {
		value any
		want  settings
	}{
		"empty":            {map[string]any{"Accounts": []any{}}, settings{word: "signed-out"}},
		"no accounts":      {map[string]any{"x": 1}, settings{word: "signed-out"}},
		"logged out":       {accounts(map[string]any{"AccountID": person, "LoggedIn": false}), settings{word: "signed-out", account: person}},
		"not said":         {accounts(map[string]any{"AccountID": person}), settings{word: "unknown", account: person}},
		"number as number": {accounts(map[string]any{"AccountID": person, "AccountDSID": 10020030040, "LoggedIn": 1}), settings{word: "signed-in", account: person, dsid: dsid}},
		"number as path":   {accounts(map[string]any{"AccountID": person, "AccountDSID": "../../x", "LoggedIn": true}), settings{word: "signed-in", account: person}},
		"strange types":    {accounts(map[string]any{"AccountID": []any{1}, "AccountDSID": map[string]any{}, "LoggedIn": "x"}), settings{word: "unknown"}},
		"second is signed in": {accounts(map[string]any{"AccountID": "b@example.com", "LoggedIn": false}, map[string]any{"AccountID": person, "LoggedIn": true}),
			settings{word: "signed-in", account: person}},
	} {
		for _, format := range []int{plist.BinaryFormat, plist.XMLFormat} {
			b, err := plist.Marshal(c.value, format)
			must(t, err)
			if s, err := readSettings(b); s != c.want || err != nil {
				t.Errorf("%s: %+v %v", name, s, err)
			}
		}
	}
}

func accounts(a ...any) any { return map[string]any{"Accounts": a} }

// bomb is a binary list of arrays, each of which refers twice to the next: small
// to store, without end to unfold.
func bomb(levels int, same bool) []byte {
	b := []byte("bplist00")
	var offsets []byte
	for i := range levels {
		offsets = binary.BigEndian.AppendUint16(offsets, uint16(len(b)))
		next := uint16(i + 1)
		if same {
			next = uint16(i)
		}
		b = append(b, 0xA2)
		b = binary.BigEndian.AppendUint16(b, next)
		b = binary.BigEndian.AppendUint16(b, next)
	}
	offsets = binary.BigEndian.AppendUint16(offsets, uint16(len(b)))
	b = append(b, 0x08)
	table := len(b)
	b = append(b, offsets...)
	trailer := make([]byte, 32)
	trailer[6], trailer[7] = 2, 2
	binary.BigEndian.PutUint64(trailer[8:], uint64(levels+1))
	binary.BigEndian.PutUint64(trailer[24:], uint64(table))
	return append(b, trailer...)
}

// Lists made to keep a reader busy, or to use up its stack, are refused at once.
func TestHostileLists(t *testing.T) {
	marshal := func(v any, format int) []byte {
		b, err := plist.Marshal(v, format)
		must(t, err)
		return b
	}
	var deep any = "x"
	for range deepest {
		deep = []any{deep}
	}
	for name, b := range map[string][]byte{
		"many accounts":    marshal(map[string]any{"Accounts": make([]map[string]any, widest+1)}, plist.BinaryFormat),
		"deep beside it":   marshal(map[string]any{"Accounts": []any{}, "x": deep}, plist.XMLFormat),
		"deep in binary":   marshal(map[string]any{"Accounts": []any{}, "x": deep}, plist.BinaryFormat),
		"deep XML":         []byte("<plist>" + strings.Repeat("<array>", 100_000) + strings.Repeat("</array>", 100_000) + "</plist>"),
		"deep binary":      bomb(10_000, false),
		"doubling":         bomb(40, false),
		"circular":         bomb(3, true),
		"OpenStep text":    []byte("{ Accounts = (); }"),
		"JSON":             []byte(`{"Accounts":[]}`),
		"nothing":          nil,
		"only the name":    []byte("bplist00"),
		"zeros":            append([]byte("bplist00"), make([]byte, 64)...),
		"entities":         []byte(`<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><plist><string>&b;</string></plist>`),
		"another encoding": []byte("\xff\xfe<\x00p\x00l\x00i\x00s\x00t\x00>\x00"),
	} {
		begun := time.Now()
		if s, err := readSettings(b); err == nil {
			t.Errorf("%s was read: %+v", name, s)
		}
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("%s took %s", name, d)
		}
	}
}

// The bounds hold by themselves, whatever the reader behind them stands.
func TestBounds(t *testing.T) {
	nested := func(n int) []byte {
		return []byte("<plist>" + strings.Repeat("<array>", n) + strings.Repeat("</array>", n) + "</plist>")
	}
	if !flatXML(nested(deepest)) || flatXML(nested(deepest+1)) {
		t.Error("XML is not bounded by its depth")
	}
	if !flatBinary(bomb(deepest-1, false)) || flatBinary(bomb(deepest, false)) || flatBinary(bomb(1, true)) {
		t.Error("a binary list is not bounded by its depth")
	}
	wide := func(n int) []byte {
		b, err := plist.Marshal(make([]int, n), plist.BinaryFormat)
		must(t, err)
		return b
	}
	if !flatBinary(wide(widest)) || flatBinary(wide(widest+1)) {
		t.Error("a binary list is not bounded by its width")
	}
}

func TestParseProxies(t *testing.T) {
	p, ok := parseProxies([]byte("<dictionary> {\n  ExceptionsList : <array> {\n    0 : HTTPEnable : 1\n  }\n  HTTPEnable : 0\n  SOCKSEnable : 1\n" +
		"  __SCOPED__ : <dictionary> {\n    en0 : <dictionary> {\n      HTTPSEnable : 1\n    }\n  }\n  ProxyAutoDiscoveryEnable : 1\n}\n"))
	if !ok || !slices.Equal(p.on, []string{"SOCKS", "automatic discovery"}) {
		t.Errorf("%q %v", p.on, ok)
	}
	if _, ok := parseProxies([]byte("scutil: no such thing")); ok {
		t.Error("understood what is none")
	}
}

// A database whose rows can still be read, while SQLite itself finds it damaged.
func TestDisorderedDatabase(t *testing.T) {
	w := newWorld(t)
	for _, part := range parts[1:] {
		must(t, os.Remove(w.databaseFile()+part))
	}
	b, err := os.ReadFile(w.databaseFile())
	must(t, err)
	const pointers = 100 + 8 // behind the headers of the file and of its first page
	b[pointers], b[pointers+1], b[pointers+2], b[pointers+3] = b[pointers+2], b[pointers+3], b[pointers], b[pointers+1]
	w.file(w.databaseFile(), string(b))
	if d := readDatabase(context.Background(), w.Recorded, w.databaseFile(), w.o.Temp); d.damage != "malformed" {
		t.Errorf("%+v", d)
	}
}

// A database that is damaged in any way is a finding or cannot be told; what is
// whole in it is never half understood.
func TestDamagedDatabase(t *testing.T) {
	w := newWorld(t)
	whole, err := os.ReadFile(w.databaseFile())
	must(t, err)
	if d := readDatabase(context.Background(), w.Recorded, w.databaseFile(), w.o.Temp); d.word != "signed-in" || d.account != person {
		t.Fatalf("the journal beside it was not read: %+v", d)
	}
	for _, part := range parts[1:] {
		must(t, os.Remove(w.databaseFile()+part))
	}
	if d := readDatabase(context.Background(), w.Recorded, w.databaseFile(), w.o.Temp); d.word != "signed-out" {
		t.Fatalf("what only the journal holds was read without it: %+v", d)
	}
	judged := map[string]int{}
	look := func(b []byte) database {
		w.file(w.databaseFile(), string(b))
		d := readDatabase(context.Background(), w.Recorded, w.databaseFile(), w.o.Temp)
		w.clean("a damaged database", d.why)
		judged[d.word+"/"+d.damage]++
		if d.word == "signed-in" {
			t.Errorf("a database without the account says %+v", d)
		}
		return d
	}
	for n := 0; n < len(whole); n += 173 {
		if d := look(whole[:n]); d.word != "unknown" {
			t.Errorf("cut at %d of %d: %+v", n, len(whole), d)
		}
	}
	random := rand.New(rand.NewPCG(7, 7))
	for range 120 {
		b := slices.Clone(whole)
		for range 1 + random.IntN(40) {
			b[random.IntN(len(b))] = byte(random.Uint32())
		}
		look(b)
	}
	if judged["unknown/malformed"] < 50 {
		t.Errorf("judged %v", judged)
	}
}

// A database of a form that is not known here is not called damaged.
func TestOtherDatabase(t *testing.T) {
	w := newWorld(t)
	for _, part := range parts {
		must(t, os.Remove(w.databaseFile()+part))
	}
	w.file(w.databaseFile(), "")
	if d := readDatabase(context.Background(), w.Recorded, w.databaseFile(), w.o.Temp); d.word != "unknown" || d.damage != "" || d.why == "" {
		t.Errorf("%+v", d)
	}
}

func TestParseDrive(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile("testdata/recorded/" + name)
		must(t, err)
		return b
	}
	for name, c := range map[string]struct {
		out, errs string
		want      driveState
	}{
		"healthy":         {string(read("healthy/brctl-status")), "", driveState{word: "signed-in", told: true}},
		"uploads wait":    {string(read("uploads-waiting/brctl-status")), "", driveState{word: "signed-in", told: true, pending: 2}},
		"signed out":      {"", string(read("signed-out-daemon/brctl-status.stderr")), driveState{word: "signed-out", told: true}},
		"busy, no items":  {"<com.apple.CloudDocs[1] foreground {client:needs-sync-up server:full-sync}>\n", "", driveState{word: "signed-in", told: true, pending: 1}},
		"one upload":      {"<com.apple.CloudDocs[1] foreground {client:idle}>\n  > upload{[ active]}\n", "", driveState{word: "signed-in", told: true, pending: 1}},
		"a daemon away":   {"", "brctl: connection to service named com.apple.bird was invalidated\n", driveState{word: "not-running"}},
		"refuses":         {"", string(read("daemon-refuses/brctl-status.stderr")), driveState{word: "unknown", why: "the daemon refuses to answer"}},
		"sandbox":         {"", "brctl: Trying to invoke brctl from a sandboxed process", driveState{word: "unknown", why: "brctl does not answer programs in a sandbox"}},
		"no container":    {"0 containers matching '*'\n", "", driveState{word: "unknown", why: "brctl prints nothing that is understood"}},
		"nothing":         {"", "", driveState{word: "unknown", why: "brctl prints nothing that is understood"}},
		"a file so named": {"<com.apple.CloudDocs[1] foreground {client:idle}>\n r:1 i:<A> st{n:\"up:needs-upload <x[1] y {client:needs-z\"}\n", "", driveState{word: "signed-in", told: true}},
	} {
		if got := parseDrive([]byte(c.out), []byte(c.errs)); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLastCodes(t *testing.T) {
	for line, want := range map[string][]int{
		"Error Domain=AKAuthenticationServerError Code=-20101 \"x\"": {-20101},
		"failed (-22406)":                        {-22406},
		`{"ec": -20209}`:                         {-20209},
		"ec = '-21669'":                          {-21669},
		"a (-20101)\nb (-22406)":                 {-22406},
		"a (-20101) then (-20101)":               {-20101},
		"a (-22406)\nall is well (200)":          {-22406},
		"pid 20101":                              nil,
		"421 photos, -20101 of them":             nil,
		"(20101)":                                nil,
		"Code=-201012":                           nil,
		"Domain=NSURLErrorDomain Code=-22406":    nil,
		"Domain=AKOther Code=-8008":              nil,
		"Domain=AKAnisetteError Code=-8008":      {-8008},
		strings.Repeat("x", 20<<10) + "(-20101)": nil,
	} {
		found, _ := lastCodes([]byte(line))
		var got []int
		for _, c := range found {
			got = append(got, c.number)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%.60s: %v", line, got)
		}
	}
}

func TestParseHosts(t *testing.T) {
	here, elsewhere := parseHosts([]byte("0.0.0.0 gsa.apple.com gsa.apple.com\r\n#1.2.3.4 idmsa.apple.com\n::1%lo0 ICLOUD.com.\n10.0.0.1\tidmsa.apple.com x.y # z\nnonsense appleid.apple.com\n1.2.3.4\n127.0.0.1 notgsa.apple.com push.apple.com # www.icloud.com\n"))
	if !slices.Equal(here, []string{"gsa.apple.com", "icloud.com"}) || !slices.Equal(elsewhere, []string{"idmsa.apple.com"}) {
		t.Errorf("%q %q", here, elsewhere)
	}
}

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		v, min string
		want   bool
	}{
		{"10.10.5", "10.11", true}, {"10.11", "10.11", false}, {"10.11.0", "10.11", false}, {"10.9", "10.11", true},
		{"26.0", "10.11", false}, {"13.0.1", "13.1", true}, {"", "13.1", false}, {"x", "13.1", false}, {"1.2.3.4.5", "13.1", false}, {"-1", "13.1", false},
	} {
		if got := below(c.v, c.min); got != c.want {
			t.Errorf("%s below %s: %v", c.v, c.min, got)
		}
	}
}
