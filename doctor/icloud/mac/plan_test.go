package mac

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// commands are those of a list that change something.
func commands(ran []string) []string {
	var s []string
	for _, c := range ran {
		if strings.HasPrefix(c, killall) || strings.HasPrefix(c, launchctl) {
			s = append(s, filepath.Base(c[:strings.Index(c, " ")])+c[strings.Index(c, " "):])
		}
	}
	return s
}

var restartAll = []string{
	"killall bird", "killall cloudd", "killall identityservicesd", "killall akd", "killall accountsd",
	"launchctl kickstart -k gui/501/com.apple.accountsd", "launchctl kickstart -k gui/501/com.apple.akd",
	"launchctl kickstart -k gui/501/com.apple.identityservicesd", "launchctl kickstart -k gui/501/com.apple.cloudd",
	"launchctl kickstart -k gui/501/com.apple.bird",
}

// resetAll stops and starts the process that keeps settings in memory as well:
// last to stop, so that it knows of no change when the list is moved, and first
// to start, so that whoever asks it gets what is there now.
var resetAll = slices.Concat(restartAll[:5],
	[]string{"killall cfprefsd", "launchctl kickstart -k gui/501/com.apple.cfprefsd.xpc.agent"}, restartAll[5:])

func (w *world) apply(r doctor.Repair) doctor.Entry {
	w.t.Helper()
	entry, err := w.j.Apply(r)
	must(w.t, err)
	return entry
}

// A disagreement is met by a restart of the daemons, and one that a restart did
// not end by moving the list aside; undo puts every byte back.
func TestDisagreement(t *testing.T) {
	w := newWorld(t, "signed-out-daemon")
	before := tree(t, w.HomeDir)

	repairs, declined := w.plan()
	if len(repairs) != 1 || len(declined) != 0 {
		t.Fatal(repairs, declined)
	}
	r := repairs[0]
	if r.Cause != "services-disagree" || len(r.Aside)+len(r.Changes) != 0 || !slices.Equal(r.Guide, again) {
		t.Fatalf("%+v", r)
	}
	for _, d := range Daemons {
		if d.Sign && !strings.Contains(r.Do, d.Name+": "+d.Does) && !strings.Contains(r.Do, d.Name+" ("+d.Does) {
			t.Errorf("%s is not named with what it does: %s", d.Name, r.Do)
		}
	}
	w.apply(r)
	if got := commands(w.Ran()); !slices.Equal(got, restartAll) {
		t.Errorf("ran %q", got)
	}
	if !maps.Equal(before, tree(t, w.HomeDir)) {
		t.Error("a restart changed a file")
	}

	ran := len(w.Ran())
	repairs, declined = w.plan()
	if len(repairs) != 1 || len(declined) != 0 {
		t.Fatal(repairs, declined)
	}
	r = repairs[0]
	if len(r.Aside) != 2 || len(r.Changes) != 1 || !slices.Equal(r.Guide, guide) || !strings.Contains(r.Do, "puts the files back") {
		t.Fatalf("%+v", r)
	}
	w.apply(r)
	if got := commands(w.Ran()[ran:]); !slices.Equal(got, resetAll) {
		t.Errorf("ran %q", got)
	}
	for _, gone := range []string{w.listFile(), w.token()} {
		if _, err := os.Lstat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", gone)
		}
	}
	exported, err := os.ReadFile(filepath.Join(w.j.Dir, exportFile))
	must(t, err)
	recorded, err := os.ReadFile(filepath.Join(w.Commands, "defaults-export"))
	must(t, err)
	if string(exported) != string(recorded) {
		t.Error("the export is not what defaults wrote")
	}
	all, err := w.j.List()
	must(t, err)
	for _, m := range all[len(all)-1].Moves {
		if m.OutSum == "" || !strings.Contains(m.Restore(), m.Path) {
			t.Errorf("no hash or no command to restore: %+v", m)
		}
	}

	// A list that the system made meanwhile is somebody's work, and kept.
	w.file(w.listFile(), "a new list")
	ran = len(w.Ran())
	_, err = w.j.Undo("")
	must(t, err)
	if got := commands(w.Ran()[ran:]); !slices.Equal(got, resetAll) {
		t.Errorf("undo ran %q", got)
	}
	after := tree(t, w.HomeDir)
	for path, content := range before {
		if after[path] != content {
			t.Errorf("%s is not as it was", path)
		}
	}
	kept := false
	for path, content := range after {
		kept = kept || path != w.listFile() && strings.HasSuffix(content, "a new list")
	}
	if !kept {
		t.Error("the new list was lost")
	}
}

func TestDamagedList(t *testing.T) {
	w := newWorld(t)
	w.file(w.listFile(), "bplist00 torn")
	must(t, os.Remove(filepath.Join(w.Commands, "defaults-export")))
	before := tree(t, w.HomeDir)
	repairs, declined := w.plan()
	if len(repairs) != 1 || len(declined) != 0 {
		t.Fatal(repairs, declined)
	}
	// The account's number is in the damaged file, so its tokens are not known.
	if r := repairs[0]; r.Cause != "state-damaged" || len(r.Aside) != 1 || len(r.Changes) != 0 || !strings.Contains(r.Do, "cannot be exported") {
		t.Fatalf("%+v", r)
	}
	w.apply(repairs[0])
	_, found, _ := w.examine()
	if slices.ContainsFunc(found, func(f cause.Finding) bool { return f.Cause == "state-damaged" }) {
		t.Errorf("still damaged: %s", codesOf(found))
	}
	_, err := w.j.Undo("")
	must(t, err)
	if after := tree(t, w.HomeDir); !maps.Equal(before, after) {
		t.Error("undo left other files")
	}
}

func TestChangedSinceShown(t *testing.T) {
	w := newWorld(t)
	w.file(w.token(), "")
	repairs, _ := w.plan()
	if len(repairs) != 1 {
		t.Fatal(repairs)
	}
	w.list(plist.XMLFormat, true, true)
	before, ran := tree(t, w.HomeDir), len(w.Ran())
	if _, err := w.j.Apply(repairs[0]); !errors.Is(err, doctor.ErrChanged) {
		t.Fatal(err)
	}
	if !maps.Equal(before, tree(t, w.HomeDir)) || len(w.Ran()) != ran {
		t.Error("something was touched")
	}
}

func TestDeclined(t *testing.T) {
	restartBefore := func(w *world) {
		repairs, _ := w.plan()
		w.apply(repairs[0])
	}
	for name, c := range map[string]struct {
		change func(*world)
		why    string
	}{
		"uploads wait":           {func(w *world) { w.database(0); w.lay("uploads-waiting") }, "2 files wait to be uploaded"},
		"uploads wait, damaged":  {func(w *world) { w.file(w.listFile(), "torn"); w.lay("uploads-waiting") }, "2 files wait to be uploaded"},
		"cannot tell what waits": {func(w *world) { w.file(w.listFile(), "torn"); w.lay("daemon-hangs") }, "cannot be told whether files wait"},
		"only trusted device": {func(w *world) {
			w.file(w.token(), "")
			w.o.OtherDevice = func(context.Context) (bool, error) { return false, nil }
		}, "may be the account's only trusted device"},
		"nobody to ask":           {func(w *world) { w.file(w.token(), ""); w.o.OtherDevice = nil }, "nobody could be asked"},
		"database":                {func(w *world) { w.file(w.databaseFile(), strings.Repeat("x", 4096)) }, "account database holds every account"},
		"list gone after restart": {func(w *world) { must(t, os.Remove(w.listFile())); restartBefore(w) }, "nothing to move aside"},
		"daemon missing still":    {func(w *world) { w.lay("daemon-missing"); restartBefore(w) }, "restart this Mac"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.change(w)
			before := tree(t, w.HomeDir)
			repairs, declined := w.plan()
			if len(repairs) != 0 || len(declined) != 1 || !strings.Contains(declined[0].Why, c.why) {
				t.Fatalf("%+v %+v", repairs, declined)
			}
			if !maps.Equal(before, tree(t, w.HomeDir)) {
				t.Error("a refusal touched a file")
			}
		})
	}
}

// What defaults does not write as a list is not kept as one.
func TestNoExport(t *testing.T) {
	for name, c := range map[string]struct{ out, exit string }{
		"it fails":          {"", "1"},
		"it fails but said": {string(listBytes(t, plist.XMLFormat, true, true)), "1"},
		"nonsense":          {"The domain MobileMeAccounts does not exist", "0"},
		"it hangs":          {string(listBytes(t, plist.XMLFormat, true, true)), "hangs"},
	} {
		w := newWorld(t)
		w.file(w.token(), "")
		w.file(filepath.Join(w.Commands, "defaults-export"), c.out)
		w.file(filepath.Join(w.Commands, "defaults-export.exit"), c.exit)
		repairs, _ := w.plan()
		if len(repairs) != 1 || len(repairs[0].Changes) != 0 || len(repairs[0].Aside) != 2 {
			t.Errorf("%s: %+v", name, repairs)
		}
	}
}

// A restart that was taken back is tried again.
func TestRestartUndone(t *testing.T) {
	w := newWorld(t, "signed-out-daemon")
	repairs, _ := w.plan()
	w.apply(repairs[0])
	_, err := w.j.Undo("")
	must(t, err)
	if repairs, _ = w.plan(); len(repairs) != 1 || len(repairs[0].Aside) != 0 {
		t.Fatalf("%+v", repairs)
	}
}

// A restart that is long past, or of another cause, does not count as tried.
func TestRestartedLately(t *testing.T) {
	w := newWorld(t, "signed-out-daemon")
	repairs, _ := w.plan()
	w.j.Now = func() time.Time { return time.Now().Add(-25 * time.Hour) }
	w.apply(repairs[0])
	w.j.Now = time.Now
	if repairs, _ = w.plan(); len(repairs) != 1 || len(repairs[0].Aside) != 0 {
		t.Fatalf("%+v", repairs)
	}
}

// A person who ends the question ends the repair.
func TestQuestionEnded(t *testing.T) {
	w := newWorld(t)
	w.file(w.token(), "")
	w.o.OtherDevice = func(context.Context) (bool, error) { return false, errAway }
	s, found, _ := w.examine()
	if _, _, err := s.Plan(context.Background(), w.j, found); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
}

func TestServices(t *testing.T) {
	w := newWorld(t)
	s := Services(w.Recorded)
	set := func(name, stdout, stderr, exit string) {
		w.file(filepath.Join(w.Commands, name), stdout)
		w.file(filepath.Join(w.Commands, name+".stderr"), stderr)
		w.file(filepath.Join(w.Commands, name+".exit"), exit)
	}
	must(t, s.Stop("akd"))
	must(t, s.Start("akd"))

	// One that does not run is stopped already.
	set("killall-akd", "", "No matching processes belonging to you were found\n", "1")
	must(t, s.Stop("akd"))

	// One of another user stays, and that is said.
	set("killall-bird", "", "killall: warning: kill -TERM 470: Operation not permitted\n", "1")
	if err := s.Stop("bird"); err == nil || !strings.Contains(err.Error(), "restart this Mac") {
		t.Error(err)
	}

	// Where launchctl refuses, the daemon is ended and comes back when asked.
	for _, domain := range []string{"gui", "user"} {
		set("launchctl-"+domain+"-com.apple.cloudd", "", "Could not kickstart service \"com.apple.cloudd\": 1: Operation not permitted\n", "1")
	}
	ran := len(w.Ran())
	must(t, s.Start("cloudd"))
	want := []string{"launchctl kickstart -k gui/501/com.apple.cloudd", "launchctl kickstart -k user/501/com.apple.cloudd", "killall cloudd"}
	if got := commands(w.Ran()[ran:]); !slices.Equal(got, want) {
		t.Errorf("ran %q", got)
	}

	ran = len(w.Ran())
	for _, name := range []string{"Finder", "", "akd bird"} {
		if s.Stop(name) == nil || s.Start(name) == nil {
			t.Errorf("%q was stopped or started", name)
		}
	}
	if len(w.Ran()) != ran {
		t.Error("something was run for a name that is not ours")
	}
}

// Root may start the system's own daemon as well.
func TestRoot(t *testing.T) {
	if got := starts(0, signs); !slices.Contains(got, "apsd") {
		t.Errorf("%q", got)
	}
	if got := starts(501, signs); slices.Contains(got, "apsd") || slices.Contains(got, "cfprefsd") {
		t.Errorf("%q", got)
	}
}

func TestTexts(t *testing.T) {
	for _, d := range Daemons {
		if d.Does == "" || d.Label == "" {
			t.Errorf("%+v", d)
		}
	}
	for _, m := range Minimums {
		if _, ok := numbers(m.Version); !ok || m.Source == "" || m.Needs == "" {
			t.Errorf("%+v", m)
		}
	}
	for _, c := range Choices() {
		if c.ID == "" || c.Question == "" || c.Why == "" || len(c.Options) < 2 {
			t.Errorf("%+v", c)
		}
		for _, o := range c.Options {
			if o.ID == "" || o.Label == "" || o.Keeps == "" || o.Loses == "" {
				t.Errorf("%+v", o)
			}
		}
	}
}
