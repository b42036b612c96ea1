package mac

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"howett.net/plist"
)

// recordings adds what was written down under a name, of every Mac.
func recordings(f *testing.F, name string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "recorded", "*", name))
	if err != nil || len(files) == 0 {
		f.Fatal("no recording of ", name, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzSettings(f *testing.F) {
	for _, format := range []int{plist.BinaryFormat, plist.XMLFormat} {
		b, err := plist.Marshal(map[string]any{"Accounts": []any{map[string]any{"AccountID": person, "AccountDSID": dsid, "LoggedIn": true,
			"Services": []any{map[string]any{"Name": "MOBILE_DOCUMENTS", "Enabled": true}}}}}, format)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(bomb(4, false))
	f.Add(bomb(2, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readSettings(b)
		if err != nil && err != errPlist && err != ErrTooLarge {
			t.Fatalf("an error that may quote the file: %v", err)
		}
		if s.dsid != "" && !digits(s.dsid) {
			t.Fatalf("%q would become a path", s.dsid)
		}
	})
}

func FuzzDrive(f *testing.F) {
	recordings(f, "brctl-status")
	recordings(f, "brctl-status.stderr")
	f.Fuzz(func(t *testing.T, b []byte) {
		s := parseDrive(b, nil)
		if s.pending < 0 || s.pending > 0 && s.word != "signed-in" || (s.word == "unknown") != (s.why != "") {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzVersion(f *testing.F) {
	recordings(f, "sw_vers")
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, ok := parseVersion(b); ok && strings.Trim(v, "0123456789.") != "" {
			t.Fatalf("%q", v)
		}
	})
}

func FuzzProxies(f *testing.F) {
	recordings(f, "scutil-proxy")
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, _ := parseProxies(b); len(p.on) > len(proxyKinds) {
			t.Fatalf("%q", p.on)
		}
	})
}

func FuzzPIDs(f *testing.F) {
	recordings(f, "pgrep-akd")
	f.Add([]byte("1\n2\n\n"))
	f.Add([]byte("-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		pids, ok := parsePIDs(b)
		for _, p := range pids {
			if p <= 0 || !ok {
				t.Fatal(pids, ok)
			}
		}
	})
}

func FuzzCodes(f *testing.F) {
	recordings(f, "log-akd")
	f.Fuzz(func(t *testing.T, b []byte) {
		found, _ := lastCodes(b)
		for _, c := range found {
			if c.number >= 0 || c.says == "" {
				t.Fatalf("%+v", c)
			}
		}
	})
}

func FuzzHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n0.0.0.0 gsa.apple.com # x\n::1%lo0 icloud.com."))
	f.Fuzz(func(t *testing.T, b []byte) {
		here, elsewhere := parseHosts(b)
		for _, n := range append(here, elsewhere...) {
			if !signInName(n) {
				t.Fatalf("%q", n)
			}
		}
		for _, n := range strings.Split(shown(append(here, elsewhere...)), ", ") {
			if n != "" && n != "a name for pushes" && !signInName(n) {
				t.Fatalf("%q is shown", n)
			}
		}
	})
}
