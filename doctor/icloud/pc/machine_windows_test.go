package pc

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
	"howett.net/plist"

	"readmit.dev/readmit/doctor"
)

// The tests of this file run on Windows, or on what TestUnderWine makes: with
// sleeper.exe on C:, which stands in for iCloud's programs.

const sleeper = `C:\sleeper.exe`

// pcWithICloud installs what stands in for the classic edition, and signs in.
func pcWithICloud(t *testing.T) (m Machine, folder, prefs string) {
	t.Helper()
	program, err := os.ReadFile(sleeper)
	if err != nil {
		t.Fatal(err)
	}
	folder = filepath.Join(os.Getenv("CommonProgramFiles(x86)"), "Apple", "Internet Services")
	prefs = filepath.Join(os.Getenv("APPDATA"), "Apple Computer", "Preferences")
	put(t, filepath.Join(prefs, accountsFile), accountsPlist(t, plist.BinaryFormat))
	put(t, filepath.Join(prefs, settingsFile), settingsPlist(t, plist.XMLFormat))
	put(t, filepath.Join(prefs, "ByHost", "com.apple.other.plist"), []byte("beside"))
	for _, name := range []string{"iCloudServices.exe", "iCloudDrive.exe", "iCloudHome.exe", "AppleOther.exe"} {
		put(t, filepath.Join(folder, name), program)
	}
	m = Here(os.Getenv)
	t.Cleanup(func() {
		for _, p := range list(t, m) {
			if err := m.Stop(p); err != nil {
				t.Error(err)
			}
		}
	})
	return m, folder, prefs
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, m Machine) []Process {
	t.Helper()
	procs, err := m.Processes()
	if err != nil {
		t.Fatal(err)
	}
	return procs
}

func pid(procs []Process, name string) uint32 {
	for _, p := range procs {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

// realJournal keeps its repairs in a folder that is left to whoever made C:.
func realJournal(t *testing.T, m Machine) *doctor.Journal {
	t.Helper()
	dir, err := os.MkdirTemp("", "journal-*")
	if err != nil {
		t.Fatal(err)
	}
	return &doctor.Journal{Dir: dir, Now: time.Now, Services: Services(m)}
}

func TestWindowsProcesses(t *testing.T) {
	m, folder, _ := pcWithICloud(t)
	other := exec.CommandContext(t.Context(), filepath.Join(folder, "AppleOther.exe"))
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	s := Services(m)
	for _, name := range []string{"iCloudServices.exe", "iCloudDrive.exe"} {
		if err := s.Start(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	procs := list(t, m)
	if len(procs) != 2 || !runs(procs, servicesProgram) || !runs(procs, driveProgram) {
		t.Fatalf("running: %+v", procs)
	}
	for _, p := range procs {
		if !strings.EqualFold(p.Path, filepath.Join(folder, p.Name)) {
			t.Errorf("%s is %s", p.Name, p.Path)
		}
	}
	before := pid(procs, servicesProgram)
	if err := s.Start(filepath.Join(folder, servicesProgram)); err != nil || pid(list(t, m), servicesProgram) != before {
		t.Errorf("started what runs: %v", err)
	}
	if err := errors.Join(s.Stop(servicesProgram), s.Stop(servicesProgram)); err != nil {
		t.Error(err)
	}
	if procs := list(t, m); len(procs) != 1 || procs[0].Name != driveProgram {
		t.Errorf("running: %+v", procs)
	}
	if err := m.Stop(Process{PID: before, Name: servicesProgram}); err != nil {
		t.Errorf("stop what has ended: %v", err)
	}
	if err := m.Stop(Process{PID: windows.GetCurrentProcessId(), Name: servicesProgram}); err != nil {
		t.Errorf("stop a number that is another program's: %v", err)
	}
	if err := s.Start(filepath.Join(folder, "iCloudPhotos.exe")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("start what is not there: %v", err)
	}
}

func TestWindowsRepairs(t *testing.T) {
	m, folder, prefs := pcWithICloud(t)
	accountsPath := filepath.Join(prefs, accountsFile)
	t.Setenv(holds, accountsPath)
	j := realJournal(t, m)

	facts, said := examine(t, only(t, m, Options{}))
	wantCauses(t, facts, "services-disagree")
	r := one(t, m, j)
	if len(r.Aside) > 0 || len(r.Start) != 1 {
		t.Fatalf("repair: %+v", r)
	}
	if e, err := j.Apply(r); err != nil || len(e.Unstarted) > 0 {
		t.Fatal(err, e.Unstarted)
	}
	facts, said = examine(t, only(t, m, Options{}))
	wantCauses(t, facts)
	if !strings.HasPrefix(said["programs"], "running: iCloudServices") {
		t.Error(said["programs"])
	}

	for _, s := range list(t, m) {
		if err := m.Stop(s); err != nil {
			t.Fatal(err)
		}
	}
	put(t, accountsPath, accountsPlist(t, plist.BinaryFormat)[:30])
	put(t, filepath.Join(prefs, settingsFile), nil)
	for _, name := range []string{"iCloudServices.exe", "iCloudDrive.exe", "iCloudHome.exe"} {
		if err := Services(m).Start(filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	before, first := tree(t, os.Getenv("APPDATA")), list(t, m)
	for begun := time.Now(); os.Rename(accountsPath, accountsPath+"x") == nil; time.Sleep(20 * time.Millisecond) {
		if err := os.Rename(accountsPath+"x", accountsPath); err != nil || time.Since(begun) > 5*time.Second {
			t.Fatal("a program that runs does not hold its file", err)
		}
	}
	r = one(t, m, j)
	if len(r.Aside) != 2 || len(r.Stop) != 3 || len(r.Start) != 3 {
		t.Fatalf("repair: %+v", r)
	}
	e, err := j.Apply(r)
	if err != nil || len(e.Unstarted) > 0 {
		t.Fatal(err, e.Unstarted)
	}
	for _, p := range list(t, m) {
		if was := pid(first, p.Name); was == 0 || was == p.PID {
			t.Errorf("%s was not started again", p.Name)
		}
	}
	aside := tree(t, os.Getenv("APPDATA"))
	for _, moved := range e.Moves {
		if aside[moved.Out] != before[moved.Path] {
			t.Errorf("%s is not what it was", moved.Out)
		}
		if _, err := os.Stat(moved.Path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", moved.Path, err)
		}
		if restore := `move "` + moved.Out + `" "` + moved.Path + `"`; moved.Restore() != restore {
			t.Errorf("%s", moved.Restore())
		}
	}
	put(t, accountsPath, accountsPlist(t, plist.BinaryFormat)) // iCloud writes a new one
	u, err := j.Undo(e.ID)
	if err != nil || len(u.Unstarted) > 0 {
		t.Fatal(err, u.Unstarted)
	}
	after := tree(t, os.Getenv("APPDATA"))
	maps.DeleteFunc(after, func(path, _ string) bool { return strings.HasSuffix(path, ".readmit-"+u.ID) })
	if !maps.Equal(before, after) {
		t.Errorf("not byte for byte what it was: %v", slices.Sorted(maps.Keys(after)))
	}
	if len(list(t, m)) != 3 {
		t.Errorf("running: %+v", list(t, m))
	}
}

// TestWindowsStoreFolder moves a whole folder of preferences and puts it back.
func TestWindowsStoreFolder(t *testing.T) {
	profile, err := os.MkdirTemp("", "profile-*")
	if err != nil {
		t.Fatal(err)
	}
	m := Offline(profile)
	prefs := filepath.Join(profile, "AppData", "Local", "Packages", family, "LocalCache", "Roaming", prefsPath)
	put(t, filepath.Join(prefs, accountsFile), accountsPlist(t, plist.BinaryFormat))
	put(t, filepath.Join(prefs, "deep", "er", "read-only.plist"), []byte("kept"))
	if err := os.Chmod(filepath.Join(prefs, "deep", "er", "read-only.plist"), 0o400); err != nil {
		t.Fatal(err)
	}
	before := tree(t, profile)
	j := realJournal(t, m)
	x := &examination{m: m, o: atHand, edition: editions(m)[0]}
	r, why, err := x.setAside(context.Background(), j, disagree, []string{prefs})
	if err != nil || why != "" {
		t.Fatal(err, why)
	}
	if _, err := j.Apply(r); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(prefs); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := j.Undo(""); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before, tree(t, profile)) {
		t.Error("not byte for byte what it was")
	}
}

// TestWindowsJournal changes files as the repairs of Readmit's own state do.
func TestWindowsJournal(t *testing.T) {
	j := realJournal(t, nil)
	put(t, filepath.Join(j.Dir, "session.json"), []byte("torn"))
	r := doctor.Repair{Cause: damaged, Do: "Mend."}
	for file, after := range map[string]doctor.Content{
		"session.json": {Bytes: []byte("whole"), Mode: 0o600},
		"made.json":    {Bytes: []byte("new"), Mode: 0o600},
	} {
		before, err := j.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		r.Changes = append(r.Changes, doctor.Change{File: file, Before: before, After: after})
	}
	if _, err := j.Apply(r); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Apply(r); !errors.Is(err, doctor.ErrChanged) {
		t.Errorf("applied twice: %v", err)
	}
	u, err := j.Undo("")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(j.Dir, "session.json")); string(b) != "torn" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := j.Undo(u.ID); err != nil {
		t.Errorf("undo of the undo: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(j.Dir, "made.json")); string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWindowsRegistry(t *testing.T) {
	m := Here(os.Getenv)
	if all, err := m.Packages(); err != nil || len(all) > 0 {
		t.Fatal(all, err)
	}
	for _, name := range []string{full, "AppleInc.iTunes_12.13.1_x64__nzyj5cx40ttqa"} {
		key(t, registry.CURRENT_USER, storePackages+`\`+name, nil)
	}
	key(t, registry.LOCAL_MACHINE, classicInstall+`\{A}`, map[string]string{"DisplayName": "iCloud", "DisplayVersion": "7.21.0.23"})
	key(t, registry.LOCAL_MACHINE, classicInstall+`\{B}`, map[string]string{"DisplayName": "iTunes", "DisplayVersion": "12.1"})
	all, err := m.Packages()
	if want := []Package{{true, "15.8.118.0"}, {false, "7.21.0.23"}}; err != nil || !slices.Equal(all, want) {
		t.Errorf("%v, %v", all, err)
	}
	if v, err := m.System(); err != nil || major(v) < minSystem {
		t.Errorf("Windows %s, %v", v, err)
	}
}

func key(t *testing.T, root registry.Key, path string, values map[string]string) {
	t.Helper()
	k, _, err := registry.CreateKey(root, path, registry.ALL_ACCESS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(k.Close(), registry.DeleteKey(root, path)); err != nil {
			t.Error(err)
		}
	})
	for name, value := range values {
		if err := k.SetStringValue(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWindowsMayNotTell asks what this system may not have.
func TestWindowsMayNotTell(t *testing.T) {
	m := Here(os.Getenv)
	out, err := m.Clock(t.Context())
	t.Logf("clock: %q, %v", out, err)
	dir, err := os.MkdirTemp("", "cloud-*")
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "plain.txt"), []byte("x"))
	if in, err := m.InSync(filepath.Join(dir, "plain.txt")); in || err != nil && !errors.Is(err, ErrCannotTell) {
		t.Errorf("a plain file is in sync: %t, %v", in, err)
	}
	if u := lookForUploads(t.Context(), m); u.wait > 0 {
		t.Errorf("%+v", u)
	}
	if facts, saw := (&examination{m: m}).lookAtClock(t.Context()); len(facts) > 0 || saw == "" {
		t.Errorf("%v, %q", facts, saw)
	}
}
