package pc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
)

func TestNothingOfICloud(t *testing.T) {
	w := newWorld(t)
	w.put(w.at("AppData/Roaming/Apple Computer/Preferences/com.apple.iTunes.plist"), []byte("another program's"))
	for name, m := range map[string]Machine{"a PC": w, "offline": Offline(w.root), "no PC": Here(os.Getenv)} {
		all, err := Find(t.Context(), m, Options{})
		if err != nil || len(all) > 0 {
			t.Errorf("%s: found %d, %v", name, len(all), err)
		}
	}
}

func TestHealthy(t *testing.T) {
	for _, store := range []bool{false, true} {
		w := newWorld(t)
		edition := "classic edition"
		if store {
			edition = "Store edition, version 15.8.118.0"
			w.signIn(w.storePrefs())
			w.runStore("iCloudServices.exe", "iCloudHome.exe", "iCloudDrive.exe")
		} else {
			w.signIn(w.classicPrefs())
			w.packages = []Package{{false, "7.21.0.23"}}
			w.runClassic("iCloudServices.exe", "iCloudDrive.exe")
		}
		s := only(t, w, Options{})
		if s.Client != "windows" || s.Account != account {
			t.Errorf("%s: client %s, account %s", edition, s.Client, s.Account)
		}
		facts, said := examine(t, s)
		if len(facts) > 0 {
			t.Errorf("%s: %v", edition, causes(facts))
		}
		if !strings.HasPrefix(said["edition"], edition) || said["account"] != "j***@example.org" {
			t.Errorf("said %q", said)
		}
	}
}

func TestBothEditions(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.storePrefs())
	w.signIn(w.classicPrefs())
	w.runStore("iCloudServices.exe")
	all, err := Find(t.Context(), w, Options{})
	if err != nil || len(all) != 2 {
		t.Fatal(len(all), err)
	}
	facts, said := examine(t, all[0])
	if len(facts) > 0 || !strings.Contains(said["edition"], "both editions") {
		t.Errorf("Store edition: %v, %q", causes(facts), said)
	}
	facts, said = examine(t, all[1])
	wantCauses(t, facts, "services-disagree")
	if said["programs"] != "none runs" {
		t.Errorf("the Store's programs count for the classic edition: %q", said)
	}
}

func TestDisagree(t *testing.T) {
	for _, c := range []struct {
		name   string
		signed bool
		run    []string
		want   []cause.Code
		daemon string
	}{
		{"nothing runs", true, nil, []cause.Code{"services-disagree"}, "not-running"},
		{"all but the one that counts", true, []string{"iCloudHome.exe", "iCloudPhotos.exe"}, []cause.Code{"services-disagree"}, "not-running"},
		{"the Drive is not enabled", true, []string{"iCloudServices.exe"}, nil, ""},
		{"signed out, nothing runs", false, nil, nil, ""},
		{"signed out, the window is open", false, []string{"iCloudServices.exe", "iCloudHome.exe"}, nil, ""},
		{"signed out, files are synced", false, []string{"iCloudServices.exe", "iCloudDrive.exe"}, []cause.Code{"services-disagree"}, "signed-in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if c.signed {
				w.signIn(w.storePrefs())
			} else {
				w.put(filepath.Join(w.storePrefs(), settingsFile), settingsPlist(t, plist.XMLFormat))
			}
			w.runStore(c.run...)
			facts, said := examine(t, only(t, w, Options{}))
			wantCauses(t, facts, c.want...)
			for _, f := range facts {
				if f.Check() == cause.CheckDaemon && f.Got() != c.daemon {
					t.Errorf("daemon: %s", f.Got())
				}
			}
			if got := strings.Contains(said["programs"], "not enabled"); got != (c.name == "the Drive is not enabled") && c.signed {
				t.Errorf("programs: %s", said["programs"])
			}
		})
	}
}

func TestDamagedFiles(t *testing.T) {
	good := accountsPlist(t, plist.BinaryFormat)
	for name, b := range map[string][]byte{
		"empty":           {},
		"zeros":           make([]byte, len(good)),
		"cut off":         good[:len(good)-9],
		"text":            []byte("not a property list"),
		"XML cut off":     accountsPlist(t, plist.XMLFormat)[:120],
		"a list":          encode(t, []string{account}, plist.BinaryFormat),
		"deep":            []byte("<plist><dict><key>a</key>" + strings.Repeat("<array>", 40_000) + strings.Repeat("</array>", 40_000) + "</dict></plist>"),
		"too large":       append(good, make([]byte, maxState)...),
		"old text format": []byte("{" + strings.Repeat("(", 1000)),
	} {
		t.Run(name, func(t *testing.T) {
			for _, file := range stateFiles {
				w := newWorld(t)
				w.signIn(w.classicPrefs())
				w.put(filepath.Join(w.classicPrefs(), file), b)
				w.runClassic("iCloudServices.exe")
				facts, _ := examine(t, only(t, w, Options{}))
				wantCauses(t, facts, "state-damaged")
				if f := facts[1]; f.Check() != cause.CheckStateName || f.Got() != file {
					t.Errorf("named %s", f.Got())
				}
			}
		})
	}
}

func TestAccounts(t *testing.T) {
	for _, c := range []struct {
		keys            []string
		settings, saw   string
		account, remark string
	}{
		{nil, "signed-out", "no account is set up", "", "an empty list"},
		{[]string{account}, "signed-in", "j***@example.org", account, ""},
		{[]string{account, "kim@example.net"}, "signed-in", "j***@example.org, and 1 more", account, ""},
		{[]string{"+8613800000000"}, "unknown", "one without an e-mail address is set up", "", "accounts of mainland China can be numbers"},
	} {
		w := newWorld(t)
		v := map[string]any{}
		for _, k := range c.keys {
			v[k] = []byte(secret)
		}
		w.put(filepath.Join(w.classicPrefs(), accountsFile), encode(t, v, plist.XMLFormat))
		s := only(t, w, Options{})
		if got := readAccounts(w, edition{prefs: w.classicPrefs()}).settings(); got != c.settings || s.Account != c.account {
			t.Errorf("%v: %s, %q", c.keys, got, s.Account)
		}
		if _, said := examine(t, s); said["account"] != c.saw {
			t.Errorf("%v: %s", c.keys, said["account"])
		}
	}
}

func TestClockAndVersions(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.storePrefs())
	w.runStore("iCloudServices.exe")
	w.system = "6.1.7601"
	facts, _ := examine(t, only(t, w, Options{}))
	wantCauses(t, facts, "client-outdated")
	w.system = "10.0.19045"
	for off, want := range map[time.Duration][]cause.Code{time.Minute: nil, -time.Hour: {"clock-off"}, 6 * time.Minute: {"clock-off"}} {
		facts, _ := examine(t, only(t, w, Options{Offset: func(context.Context) (time.Duration, error) { return off, nil }}))
		wantCauses(t, facts, want...)
	}
	for out, want := range map[string]string{
		"": cannotTell,
		"The service has not been started. (0x80070426)":  cannotTell,
		"Leap Indicator: 0(no warning)\r\nStratum: 4\r\n": "Windows sets it by the network",
		"Sprungindikator: 3(nicht synchronisiert)\r\n":    "Windows has not set it by the network lately; whether it is right: " + cannotTell,
	} {
		w.clock = out
		failed := Options{Offset: func(context.Context) (time.Duration, error) { return 0, errors.New("no network") }}
		if _, said := examine(t, only(t, w, failed)); said["clock"] != want {
			t.Errorf("%q: %s", out, said["clock"])
		}
	}
	w.packages = []Package{{true, "14.2.5"}}
	if _, said := examine(t, only(t, w, Options{})); !strings.Contains(said["edition"], "14.2.5") || !strings.Contains(said["edition"], "security keys") {
		t.Errorf("edition: %s", said["edition"])
	}
}

func TestUploads(t *testing.T) {
	w := newWorld(t)
	look := func() string { return lookForUploads(t.Context(), w).String() }
	if got := look(); got != "no iCloud Drive folder" {
		t.Error(got)
	}
	for _, name := range []string{"a.txt", "deep/er/b.txt", "desktop.ini", "~$c.docx"} {
		w.put(w.at("iCloudDrive/"+name), []byte(name))
	}
	if got := look(); got != "whether files wait to be uploaded: cannot tell" {
		t.Error(got)
	}
	w.synced = map[string]bool{} // none is marked: nobody marks them
	if got := look(); got != "whether files wait to be uploaded: cannot tell" {
		t.Error(got)
	}
	w.synced = map[string]bool{"a.txt": true}
	if got := look(); got != "1 of 2 files wait to be uploaded" {
		t.Error(got)
	}
	w.synced["b.txt"] = true
	if got := look(); got != "no file waits to be uploaded" {
		t.Error(got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := lookForUploads(ended, w); got.known {
		t.Error("told, though nobody waits any more")
	}
}

func TestPackageNames(t *testing.T) {
	for path, want := range map[string]string{
		`C:\Program Files\WindowsApps\` + full + `\iCloud\iCloudDrive.exe`: full,
		`C:\Program Files (x86)\Common Files\Apple\iCloudDrive.exe`:        "",
		`C:\WindowsApps`: "", "": "", `C:\WindowsApps\Other_1.0_x64__abc\a.exe`: "",
	} {
		if got := packageOf(path); got != want {
			t.Errorf("%s is of %q", path, got)
		}
	}
	for name, want := range map[string]string{full: "15.8.118.0", family: "", packagePrefix + "x_y": "", "": "", packagePrefix + "1.2": ""} {
		if got := packageVersion(name); got != want {
			t.Errorf("%s has version %q", name, got)
		}
	}
}

// TestTruncated reads the files cut off at every length, in both forms.
func TestTruncated(t *testing.T) {
	for _, format := range []int{plist.BinaryFormat, plist.XMLFormat} {
		for _, b := range [][]byte{accountsPlist(t, format), settingsPlist(t, format)} {
			for n := range len(b) {
				names, err := keys(b[:n])
				if err == nil && fmt.Sprint(names) != "["+account+"]" && fmt.Sprint(names) != "[StorageData]" {
					t.Errorf("format %d cut off at %d: %v", format, n, names)
				}
			}
			if _, err := keys(b); err != nil {
				t.Errorf("format %d: %v", format, err)
			}
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, format := range []int{plist.BinaryFormat, plist.XMLFormat, plist.OpenStepFormat, plist.GNUStepFormat} {
		f.Add(accountsPlist(f, format))
		f.Add(settingsPlist(f, format))
	}
	f.Add([]byte("bplist00"))
	f.Add([]byte("<plist><dict/></plist>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := keys(b)
		if err != nil && names != nil {
			t.Error("names of a file that is none")
		}
		if err != nil && err != errNotPlist {
			t.Errorf("an error that could say what is in the file: %v", err)
		}
	})
}

func FuzzClock(f *testing.F) {
	f.Add("Leap Indicator: 0(no warning)\r\nStratum: 4\r\n")
	f.Add("\n\n:3(")
	f.Fuzz(func(t *testing.T, out string) {
		if synced, known := clockSynced(out); synced && !known {
			t.Error("synced, and not known")
		}
	})
}

func FuzzPackage(f *testing.F) {
	f.Add(`C:\Program Files\WindowsApps\` + full + `\iCloud\iCloudDrive.exe`)
	f.Add(full)
	f.Fuzz(func(t *testing.T, path string) {
		packageVersion(path)
		packageVersion(packageOf(path))
		if start := startName(Process{Path: path}); start != path && !strings.HasPrefix(start, applications) {
			t.Errorf("started by %q", start)
		}
	})
}
