package pc

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/doctor"
)

// comesUp is how long a program is waited for that was started.
const comesUp = 10 * time.Second

var (
	errNotOurs   = errors.New("not a program of iCloud for Windows")
	errNotComing = errors.New("it was started and does not run: open iCloud from the Start menu")
)

// services stops and starts iCloud's programs.
type services struct {
	m    Machine
	wait time.Duration
}

// Services stops and starts the programs of iCloud on a machine. A name to stop
// is a program's; a name to start is a program's whole path, or the
// application of the Store's package. A name that is none of iCloud's is
// refused: the journal that holds it could have been written by others.
func Services(m Machine) doctor.Services { return services{m, comesUp} }

// Stop ends all processes of a program.
func (s services) Stop(name string) error {
	if rank(name) < 0 {
		return fmt.Errorf("%q: %w", name, errNotOurs)
	}
	procs, err := s.m.Processes()
	if err != nil {
		return err
	}
	for _, p := range procs {
		if strings.EqualFold(p.Name, name) {
			if err := s.m.Stop(p); err != nil {
				return err
			}
		}
	}
	return nil
}

var applicationForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^shell:AppsFolder\\AppleInc\.iCloud_[0-9a-z]{1,32}!iCloud$`)
})

// Start starts what does not run yet, and returns once it does.
func (s services) Start(name string) error {
	up := func(procs []Process) bool { return runs(procs, base(name)) }
	program, args := name, []string(nil)
	switch {
	case applicationForm().MatchString(name):
		up = func(procs []Process) bool {
			for _, p := range procs {
				if ofStore(p.Path) {
					return true
				}
			}
			return false
		}
		program, args = filepath.Join(s.m.Getenv("SystemRoot"), "explorer.exe"), []string{name}
	case rank(base(name)) < 0 || !filepath.IsAbs(name):
		return fmt.Errorf("%q: %w", name, errNotOurs)
	}
	procs, err := s.m.Processes()
	if err != nil || up(procs) {
		return err
	}
	if err := s.m.Start(program, args...); err != nil {
		return err
	}
	for begun := time.Now(); ; time.Sleep(s.wait / 100) {
		if procs, err = s.m.Processes(); err != nil || up(procs) {
			return err
		}
		if time.Since(begun) > s.wait {
			return errNotComing
		}
	}
}

// base is a program's file name, on whatever system this runs.
func base(path string) string { return path[strings.LastIndexAny(path, `\/`)+1:] }
