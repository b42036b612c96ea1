package pc

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// plan examines the one edition and asks what is to be done.
func plan(t *testing.T, m Machine, j *doctor.Journal, o Options) ([]doctor.Repair, []doctor.Declined) {
	t.Helper()
	s := only(t, m, o)
	facts, _ := examine(t, s)
	repairs, declined, err := s.Plan(t.Context(), j, cause.Find(facts))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range repairs {
		for _, text := range append(append([]string{r.Do}, r.Stop...), r.Start...) {
			if strings.Contains(text, secret) || strings.Contains(text, account) {
				t.Errorf("shown: %s", text)
			}
		}
	}
	return repairs, declined
}

// one is the only repair, with nothing declined.
// atHand is a person who has the device that gets the six digits at hand.
var atHand = Options{OtherSource: func(context.Context) (bool, error) { return true, nil }}

func one(t *testing.T, m Machine, j *doctor.Journal) doctor.Repair {
	t.Helper()
	repairs, declined := plan(t, m, j, atHand)
	if len(repairs) != 1 || len(declined) > 0 {
		t.Fatalf("repairs %v, declined %v", repairs, declined)
	}
	return repairs[0]
}

func refuse(t *testing.T, m Machine, j *doctor.Journal, o Options, why string) {
	t.Helper()
	repairs, declined := plan(t, m, j, o)
	if len(repairs) > 0 || len(declined) != 1 || !strings.Contains(declined[0].Why, why) {
		t.Fatalf("repairs %v, declined %v; want %q", repairs, declined, why)
	}
}

func TestMendDamagedState(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.classicPrefs())
	w.put(filepath.Join(w.classicPrefs(), "com.apple.iTunes.plist"), []byte("another program's"))
	w.put(filepath.Join(w.classicPrefs(), accountsFile), []byte("torn "+secret))
	w.runClassic("iCloudServices.exe", "iCloudDrive.exe", "iCloudHome.exe", "iCloudPasswordsExtensionHelper.exe")
	before := tree(t, w.at("AppData"))
	j := journal(t, w)
	r := one(t, w, j)
	if len(r.Aside) != 1 || !strings.Contains(r.Do, "iCloudServices (keeps the account signed in)") || !slices.Equal(r.Guide, guide) {
		t.Errorf("repair: %+v", r)
	}
	e, err := j.Apply(r)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return "start " + w.at("Common/Apple/Internet Services/"+name) }
	want := []string{
		"stop iCloudPasswordsExtensionHelper.exe", "stop iCloudHome.exe", "stop iCloudDrive.exe", "stop iCloudServices.exe",
		at("iCloudServices.exe"), at("iCloudDrive.exe"), at("iCloudHome.exe"),
	}
	if !slices.Equal(w.log, want) {
		t.Errorf("in this order:\n%s\nwant:\n%s", strings.Join(w.log, "\n"), strings.Join(want, "\n"))
	}
	if _, state := look(w, edition{prefs: w.classicPrefs()}, accountsFile); state != "missing" {
		t.Errorf("the damaged file is %s", state)
	}
	if facts, _ := examine(t, only(t, w, Options{})); len(causes(facts)) > 0 && slices.Contains(causes(facts), damaged) {
		t.Error("still found")
	}
	w.signIn(w.classicPrefs()) // iCloud writes a new one
	if _, err := j.Undo(e.ID); err != nil {
		t.Fatal(err)
	}
	after := tree(t, w.at("AppData"))
	for path, content := range before {
		if after[path] != content {
			t.Errorf("%s is not what it was", path)
		}
	}
	if !runs(w.procs, servicesProgram) {
		t.Error("iCloud does not run after undo")
	}
}

func TestRestartThenSetAside(t *testing.T) {
	for _, store := range []bool{true, false} {
		w := newWorld(t)
		prefs, start := w.classicPrefs(), w.at("Common/Apple/Internet Services/iCloudServices.exe")
		if store {
			prefs, start = w.storePrefs(), application(family)
			w.runStore("iCloudHome.exe")
		} else {
			w.put(start, []byte("MZ"))
		}
		w.signIn(prefs)
		w.put(filepath.Join(prefs, "com.apple.other.plist"), []byte("beside"))
		before := tree(t, w.at("AppData"))
		j := journal(t, w)
		r := one(t, w, j)
		if len(r.Aside) > 0 || !slices.Equal(r.Start, []string{start}) {
			t.Fatalf("first repair: %+v", r)
		}
		if _, err := j.Apply(r); err != nil {
			t.Fatal(err)
		}
		facts, _ := examine(t, only(t, w, Options{}))
		wantCauses(t, facts)

		w.procs = nil // and it ends again
		r = one(t, w, j)
		if len(r.Aside) == 0 || !slices.Equal(r.Start, []string{start}) {
			t.Fatalf("second repair: %+v", r)
		}
		e, err := j.Apply(r)
		if err != nil || len(e.Unstarted) > 0 {
			t.Fatal(err, e.Unstarted)
		}
		if _, err := os.Stat(filepath.Join(prefs, accountsFile)); err == nil {
			t.Error("nothing was set aside")
		}
		if _, err := os.Stat(filepath.Join(prefs, "com.apple.other.plist")); (err == nil) == store {
			t.Errorf("store %t: what lies beside: %v", store, err)
		}
		facts, _ = examine(t, only(t, w, Options{}))
		wantCauses(t, facts)
		if _, err := j.Undo(""); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(before, tree(t, w.at("AppData"))) {
			t.Error("not byte for byte what it was")
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.storePrefs())
	w.put(filepath.Join(w.storePrefs(), settingsFile), []byte("torn"))
	w.runStore("iCloudServices.exe", "iCloudDrive.exe")
	w.put(w.at("iCloudDrive/new.txt"), []byte("mine"))
	w.put(w.at("iCloudDrive/old.txt"), []byte("mine"))
	j := journal(t, w)

	if r := one(t, w, j); !strings.Contains(r.Do, "cannot be told here") {
		t.Errorf("nothing is said of uploads: %s", r.Do)
	}
	w.synced = map[string]bool{"old.txt": true}
	refuse(t, w, j, atHand, "1 files in ")
	w.synced["new.txt"] = true
	refuse(t, w, j, Options{}, "a PC shows none")
	refuse(t, w, j, Options{OtherSource: func(context.Context) (bool, error) { return false, nil }}, "a PC shows none")

	r := one(t, w, j)
	w.put(filepath.Join(w.storePrefs(), settingsFile), []byte("torn otherwise"))
	if _, err := j.Apply(r); !errors.Is(err, doctor.ErrChanged) {
		t.Errorf("the evidence has changed: %v", err)
	}
	r = one(t, w, j)
	w.stopErr = errors.New("access is denied")
	before := tree(t, w.at("AppData"))
	if _, err := j.Apply(r); err == nil || !maps.Equal(before, tree(t, w.at("AppData"))) {
		t.Errorf("a program does not stop, and files were moved: %v", err)
	}
	if len(w.log) > 0 {
		t.Errorf("done: %q", w.log)
	}

	w = newWorld(t)
	w.signIn(w.classicPrefs())
	refuse(t, w, journal(t, w), atHand, "not where they are looked for")
}

func TestStartThatDoesNotCome(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.storePrefs())
	w.dead = true
	j := journal(t, w)
	e, err := j.Apply(one(t, w, j))
	if err != nil || !slices.Equal(e.Unstarted, []string{application(family)}) {
		t.Errorf("%v, not started: %v", err, e.Unstarted)
	}
}

func TestOffline(t *testing.T) {
	w := newWorld(t)
	w.signIn(w.storePrefs())
	w.put(filepath.Join(w.storePrefs(), accountsFile), accountsPlist(t, plist.BinaryFormat)[:40])
	w.put(w.at("iCloudDrive/new.txt"), []byte("mine"))
	before := tree(t, w.root)
	m := Offline(w.root)
	j := &doctor.Journal{Dir: t.TempDir(), Now: journal(t, w).Now}
	facts, said := examine(t, only(t, m, Options{}))
	wantCauses(t, facts, "state-damaged")
	if said["programs"] != cannotTell || said["agreement"] != cannotTell || said["clock"] != cannotTell {
		t.Errorf("said %q", said)
	}
	r := one(t, m, j)
	if len(r.Stop)+len(r.Start) > 0 {
		t.Errorf("stops and starts on another machine: %+v", r)
	}
	if _, err := j.Apply(r); err != nil {
		t.Fatal(err)
	}
	facts, _ = examine(t, only(t, m, Options{}))
	wantCauses(t, facts)
	if _, err := j.Undo(""); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before, tree(t, w.root)) {
		t.Error("not byte for byte what it was")
	}
}

func TestServicesRefuseOthers(t *testing.T) {
	w := newWorld(t)
	w.run(`C:\Windows\explorer.exe`)
	s := Services(w)
	for _, name := range []string{"explorer.exe", "", `C:\Windows\explorer.exe`, "iCloudServices.exe.bat"} {
		if err := s.Stop(name); !errors.Is(err, errNotOurs) {
			t.Errorf("stop %q: %v", name, err)
		}
		if err := s.Start(name); !errors.Is(err, errNotOurs) {
			t.Errorf("start %q: %v", name, err)
		}
	}
	for _, name := range []string{"iCloudServices.exe", applications + `Other.App_1!iCloud`, application(family) + ` & calc`, w.at("notepad.exe")} {
		if err := s.Start(name); !errors.Is(err, errNotOurs) {
			t.Errorf("start %q: %v", name, err)
		}
	}
	if len(w.log) > 0 {
		t.Errorf("done: %q", w.log)
	}
	if err := errors.Join(s.Stop("iCloudServices.exe"), s.Start(application(family)), s.Start(application(family))); err != nil {
		t.Error(err)
	}
	if len(w.log) != 1 {
		t.Errorf("started what runs: %q", w.log)
	}
}
