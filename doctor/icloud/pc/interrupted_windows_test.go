package pc

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"howett.net/plist"

	"readmit.dev/readmit/doctor"
)

// dying ends the whole process, as a power cut would, at a stop or a start.
type dying struct{ at string }

const dies = "READMIT_TEST_DIES" // where: stop or start

func (d dying) Stop(string) error  { return d.die("stop") }
func (d dying) Start(string) error { return d.die("start") }

func (d dying) die(at string) error {
	if at == d.at {
		os.Exit(9)
	}
	return nil
}

func TestMain(m *testing.M) {
	if at := os.Getenv(dies); at != "" {
		fmt.Println(dieApplying(os.Args[1], os.Args[2], at))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func dieApplying(home, prefs, at string) error {
	j := &doctor.Journal{Dir: home, Now: time.Now, Services: dying{at}}
	a, err := j.Aside(prefs)
	if err != nil {
		return err
	}
	_, err = j.Apply(doctor.Repair{Cause: disagree, Do: "Set it aside.", Stop: []string{servicesProgram}, Aside: []doctor.Aside{a}, Start: []string{servicesProgram}})
	return err
}

func TestWindowsInterrupted(t *testing.T) {
	for _, at := range []string{"stop", "start"} {
		j := realJournal(t, nil)
		j.Services = dying{}
		prefs := filepath.Join(j.Dir, "Preferences")
		put(t, filepath.Join(prefs, accountsFile), accountsPlist(t, plist.BinaryFormat))
		before := tree(t, prefs)
		c := exec.CommandContext(t.Context(), os.Args[0], j.Dir, prefs)
		c.Env = append(os.Environ(), dies+"="+at)
		out, err := c.Output()
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 9 {
			t.Fatalf("%v: %s", err, out)
		}
		e, err := j.Resume()
		if err != nil || len(e) != 1 || e[0].Left() {
			t.Fatalf("%s: %+v, %v", at, e, err)
		}
		if _, err := os.Stat(prefs); err == nil {
			t.Errorf("%s: nothing was set aside", at)
		}
		if _, err := j.Undo(""); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(before, tree(t, prefs)) {
			t.Errorf("%s: not byte for byte what it was", at)
		}
	}
}

// TestWindowsHeld moves what a program holds that is not stopped: nothing is
// changed, and nothing stands in the way of the next try.
func TestWindowsHeld(t *testing.T) {
	j := realJournal(t, nil)
	var r doctor.Repair
	for _, name := range []string{accountsFile, settingsFile} {
		path := filepath.Join(j.Dir, "Preferences", name)
		put(t, path, []byte(name))
		a, err := j.Aside(path)
		if err != nil {
			t.Fatal(err)
		}
		r.Aside = append(r.Aside, a)
	}
	before := tree(t, filepath.Join(j.Dir, "Preferences"))
	name, err := windows.UTF16PtrFromString(r.Aside[1].Path)
	if err != nil {
		t.Fatal(err)
	}
	held, err := windows.CreateFile(name, windows.GENERIC_READ, windows.FILE_SHARE_READ, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.Apply(r)
	if !errors.Is(err, windows.ERROR_SHARING_VIOLATION) || !maps.Equal(before, tree(t, filepath.Join(j.Dir, "Preferences"))) {
		t.Errorf("held: %v", err)
	}
	if all, err := j.List(); err != nil || len(all) > 0 {
		t.Errorf("left: %+v, %v", all, err)
	}
	time.AfterFunc(300*time.Millisecond, func() { windows.CloseHandle(held) })
	if _, err := j.Apply(r); err != nil { // let go of while it is waited for
		t.Error(err)
	}
}
