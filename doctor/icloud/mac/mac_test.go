package mac

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
)

func TestHealthy(t *testing.T) {
	for name, change := range map[string]func(*world){
		"all on":              func(*world) {},
		"list as XML":         func(w *world) { w.list(plist.XMLFormat, true, true) },
		"token folder":        func(w *world) { must(t, os.Remove(w.token())); w.file(filepath.Join(w.token(), "a"), "x") },
		"no tokens":           func(w *world) { must(t, os.Remove(w.token())) },
		"signed out":          (*world).signOut,
		"no files at all":     func(w *world) { must(t, os.RemoveAll(w.HomeDir)); w.lay("signed-out-daemon") },
		"drive off":           func(w *world) { w.list(plist.BinaryFormat, true, false); w.lay("signed-out-daemon") },
		"daemon says nothing": func(w *world) { w.lay("daemon-refuses") },
		"daemon hangs":        func(w *world) { w.lay("daemon-hangs") },
		"uploads wait":        func(w *world) { w.lay("uploads-waiting") },
		"a proxy":             func(w *world) { w.lay("proxy") },
		"code of the past":    func(w *world) { w.lay("password") },
		"an akd that rests":   func(w *world) { must(t, os.Remove(filepath.Join(w.Commands, "pgrep-akd"))) },
		"no clock to compare": func(w *world) { w.o.Clock = func(context.Context) (time.Duration, error) { return 0, errAway } },
		"a clock right enough": func(w *world) {
			w.o.Clock = func(context.Context) (time.Duration, error) { return -4 * time.Minute, nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			change(w)
			s, found, v := w.examine()
			if len(found) != 0 {
				t.Fatalf("found %s: %v", codesOf(found), v.saw)
			}
			repairs, declined, err := s.Plan(context.Background(), w.j, found)
			if len(repairs)+len(declined) != 0 || err != nil {
				t.Fatal(repairs, declined, err)
			}
		})
	}
}

func TestCauses(t *testing.T) {
	hosts := func(line string) func(*world) {
		return func(w *world) { w.file(filepath.Join(w.Root, "etc", "hosts"), "127.0.0.1 localhost\n"+line+"\n") }
	}
	for name, c := range map[string]struct {
		change func(*world)
		want   string
		saw    [2]string // of which check, what
	}{
		"old system":            {func(w *world) { w.lay("too-old-system") }, "client-outdated", [2]string{"system version", "10.10.5, older than 10.11"}},
		"clock":                 {func(w *world) { w.o.Clock = func(context.Context) (time.Duration, error) { return time.Hour, nil } }, "clock-off", [2]string{"clock", "off by 1h0m0s"}},
		"hosts blocks":          {hosts("0.0.0.0 setup.icloud.com # ads"), "unreachable", [2]string{"hosts file", "blocks setup.icloud.com"}},
		"hosts sends elsewhere": {hosts("192.0.2.7\tGSA.apple.com. x"), "unreachable", [2]string{"hosts file", "sends gsa.apple.com"}},
		"hosts blocks pushes":   {hosts("::1 7-courier.push.apple.com"), "unreachable", [2]string{"hosts file", "a name for pushes"}},
		"daemon signed out":     {func(w *world) { w.lay("signed-out-daemon") }, "services-disagree", [2]string{"settings and daemons agree", "bird: signed out"}},
		"accountsd signed out":  {func(w *world) { w.database(0) }, "services-disagree", [2]string{"settings and daemons agree", "accountsd: signed out"}},
		"account not there":     {func(w *world) { w.database(-1) }, "services-disagree", [2]string{"settings and daemons agree", "accountsd: signed out"}},
		"list deleted":          {func(w *world) { must(t, os.Remove(w.listFile())) }, "services-disagree", [2]string{"settings and daemons agree", "bird: signed in"}},
		"daemon missing":        {func(w *world) { w.lay("daemon-missing") }, "services-disagree", [2]string{"daemons", "not running: identityservicesd; resting until asked for: akd"}},
		"list damaged":          {func(w *world) { w.file(w.listFile(), "bplist00") }, "state-damaged", [2]string{"account list (MobileMeAccounts.plist)", "malformed"}},
		"list enormous":         {func(w *world) { w.file(w.listFile(), strings.Repeat("x", largestList+1)) }, "state-damaged", [2]string{"account list (MobileMeAccounts.plist)", "malformed"}},
		"list is a folder":      {func(w *world) { must(t, os.Remove(w.listFile())); must(t, os.Mkdir(w.listFile(), 0o700)) }, "state-damaged", [2]string{"account list (MobileMeAccounts.plist)", "malformed"}},
		"database damaged":      {func(w *world) { w.file(w.databaseFile(), strings.Repeat("x", 8192)) }, "state-damaged", [2]string{"account database (Accounts4.sqlite)", "malformed"}},
		"tokens empty":          {func(w *world) { w.file(w.token(), "") }, "state-damaged", [2]string{"token folder", "empty"}},
		"locked":                {func(w *world) { w.signOut(); w.lay("locked") }, "account-locked", [2]string{"log of the last hour", "-20209"}},
		"password":              {func(w *world) { w.signOut(); w.lay("password") }, "password-wrong", [2]string{"log of the last hour", "-22406"}},
		"code":                  {func(w *world) { w.signOut(); w.lay("rejected-code") }, "code-wrong", [2]string{"log of the last hour", "-21669"}},
		"provisioning":          {func(w *world) { w.signOut(); w.lay("provisioning") }, "provisioning-refused", [2]string{"log of the last hour", "-8008"}},
		"ambiguous code":        {func(w *world) { w.signOut(); w.lay("ambiguous-code") }, "", [2]string{"log of the last hour", "-20101 (account or password"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.change(w)
			_, found, v := w.examine()
			if codesOf(found) != c.want {
				t.Errorf("found %q: %v", codesOf(found), v.saw)
			}
			if saw := v.saw[c.saw[0]]; !strings.Contains(saw, c.saw[1]) {
				t.Errorf("%s: saw %q", c.saw[0], saw)
			}
		})
	}
}

// Files that this user may not read are a finding of their own, but not where
// it is macOS that keeps programs out.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root reads everything: the errors are made by a machine that returns them")
	}
	for err, want := range map[error]string{os.ErrPermission: "state-damaged", errNotPermitted(): ""} {
		w := newWorld(t)
		m := barred{w.Recorded, err}
		subjects, ferr := Find(context.Background(), m, w.o)
		must(t, ferr)
		v := &watch{saw: map[string]string{}}
		var facts []cause.Fact
		for _, c := range subjects[0].Checks {
			f, saw := c.Look(context.Background())
			facts = append(facts, f...)
			v.saw[c.Name] = saw
		}
		if got := codesOf(cause.Find(facts)); got != want {
			t.Errorf("%v: found %q: %v", err, got, v.saw)
		}
	}
}

// barred keeps programs out of the files of the account.
type barred struct {
	*Recorded
	err error
}

func (b barred) ReadFile(path string, limit int64) ([]byte, error) {
	if strings.HasSuffix(path, "MobileMeAccounts.plist") || strings.Contains(path, "Accounts4.sqlite") {
		return nil, &os.PathError{Op: "open", Path: path, Err: b.err}
	}
	return b.Recorded.ReadFile(path, limit)
}

func TestOrder(t *testing.T) {
	w := newWorld(t)
	s, _, v := w.examine()
	if s.Account != person {
		t.Errorf("account %q", s.Account)
	}
	want := []string{"system version", "proxies", "hosts file",
		"account list (MobileMeAccounts.plist)", "account database (Accounts4.sqlite)", "token folder",
		"daemons", "iCloud Drive's daemon (brctl status)", "settings and daemons agree", "log of the last hour"}
	if !slices.Equal(v.order, want) {
		t.Errorf("order %q", v.order)
	}
	asked := 0
	for _, c := range w.Ran() {
		if c == brctl+" status" {
			asked++
		}
		if strings.Contains(c, killall) || strings.Contains(c, launchctl) {
			t.Errorf("an examination ran %s", c)
		}
	}
	if asked != 1 {
		t.Errorf("brctl was asked %d times", asked)
	}
}

func TestNoMac(t *testing.T) {
	subjects, err := Find(context.Background(), &Recorded{Commands: t.TempDir(), HomeDir: t.TempDir()}, Options{})
	if len(subjects) != 0 || err != nil {
		t.Fatal(subjects, err)
	}
}

// Every command is in the list with a limit, by its full path, and nothing that
// deletes or that was not thought of is run.
func TestPermitted(t *testing.T) {
	for name, limit := range limits {
		if !filepath.IsAbs(name) || limit <= 0 || limit > time.Minute {
			t.Errorf("%s: %s", name, limit)
		}
	}
	for _, bad := range [][]string{
		{defaults, "delete", "MobileMeAccounts"}, {defaults, "export", "NSGlobalDomain", "-"}, {defaults},
		{"/bin/sh", "-c", "true"}, {"sw_vers"}, {swVers, "-productVersion"}, {killall, "Finder"}, {killall, "-9", "akd"}, {killall},
		{launchctl, "bootout", "gui/501/com.apple.akd"}, {launchctl, "kickstart", "-k", "system/com.apple.akd"},
		{launchctl, "kickstart", "-k", "gui/502/com.apple.akd"}, {pgrep, "-x", "sshd"}, {brctl, "dump"}, {logTool, "erase"}, {scutil, "--set"},
	} {
		if permitted(bad[0], bad[1:], 501) {
			t.Errorf("permitted: %q", bad)
		}
		for _, m := range []Machine{&Recorded{User: 501}, local{uid: 501}} {
			if _, err := m.Run(context.Background(), bad[0], bad[1:]...); !errors.Is(err, ErrNotPermitted) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}

// The machine that this program runs on: a command that is missing or hangs is
// an error without the arguments, a large file is refused, a pipe not waited for.
func TestHere(t *testing.T) {
	m := Here(func(string) string { return t.TempDir() })
	if runtime.GOOS != "darwin" {
		if _, err := m.Run(context.Background(), swVers); err == nil || strings.Contains(err.Error(), "/") {
			t.Errorf("sw_vers: %v", err)
		}
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Run(done, pgrep, "-x", "akd"); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("a call that was given up: %v", err)
	}
	path := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(path, []byte("12345"), 0o600))
	if b, err := m.ReadFile(path, 5); string(b) != "12345" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if _, err := m.ReadFile(path, 4); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := m.ReadFile(filepath.Dir(path), 4); !errors.Is(err, errNotAFile) {
		t.Error(err)
	}
	var c capped
	for range 3 {
		if n, err := c.Write(make([]byte, most/2)); n != most/2 || err != nil {
			t.Fatal(n, err)
		}
	}
	if c.Len() != most {
		t.Errorf("%d bytes kept", c.Len())
	}
}
