package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

const isWindows = true

// apart lets a process outlive the console it was started from.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// runKey lists what Windows starts when this user signs in. A service would run
// as another user or need this one's password, and could reach neither the
// Credential Manager nor the desktop.
const runKey = `Software\Microsoft\Windows\CurrentVersion\Run`

// runEntry is an entry of that list.
type runEntry struct {
	name    string
	program string
	args    []string
}

func newStarter(name, program string, args []string) (starter, error) {
	return runEntry{name, program, args}, nil
}

func (r runEntry) install() error {
	k, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer k.Close()
	return k.SetStringValue(r.name, windows.ComposeCommandLine(append([]string{r.program}, r.args...)))
}

func (r runEntry) uninstall() error {
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer k.Close()
	return k.DeleteValue(r.name)
}

func (r runEntry) installed() bool {
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer k.Close()
	_, _, err = k.GetStringValue(r.name)
	return err == nil
}

func (r runEntry) start() error {
	c := exec.Command(r.program, r.args...)
	c.SysProcAttr = apart()
	if err := c.Start(); err != nil {
		return err
	}
	return c.Process.Release()
}
