package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"text/template"
	"time"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/resident"
)

const isWindows = true

// apart lets a process outlive the console it was started from.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{HideWindow: true, CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}

// alone gives back a console that was opened for this process only: its empty
// window would stay on the desktop for as long as the agent runs. What the agent
// says goes to its log from then on.
func (e *env) alone(h agent.Home) {
	kernel := windows.NewLazySystemDLL("kernel32.dll")
	var ids [2]uint32
	if n, _, _ := kernel.NewProc("GetConsoleProcessList").Call(uintptr(unsafe.Pointer(&ids[0])), uintptr(len(ids))); n != 1 {
		return
	}
	if log, err := agentLog(h); err == nil {
		e.stderr = log
	}
	kernel.NewProc("FreeConsole").Call()
}

// task is what the Task Scheduler starts when this user signs in. A service
// would run as another user or need this one's password, and could reach
// neither the Credential Manager nor the desktop.
type task struct {
	name    string
	program string
	args    []string
	home    agent.Home
}

func newStarter(name, program string, args []string, home agent.Home) (starter, error) {
	return task{name, program, args, home}, nil
}

// definition is what the scheduler is told. An agent that gives up ends well,
// so that it is started again only after it was killed.
const definition = `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>Readmit keeps this device signed in</Description></RegistrationInfo>
  <Triggers><LogonTrigger><Enabled>true</Enabled><UserId>{{.User}}</UserId></LogonTrigger></Triggers>
  <Principals><Principal id="user"><UserId>{{.User}}</UserId><LogonType>InteractiveToken</LogonType><RunLevel>LeastPrivilege</RunLevel></Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>5</Count></RestartOnFailure>
  </Settings>
  <Actions Context="user"><Exec><Command>{{.Program}}</Command><Arguments>{{.Arguments}}</Arguments></Exec></Actions>
</Task>
`

// file is where the definition is kept: that it is there says that the task is.
func (k task) file() string { return filepath.Join(k.home.Dir(), "agent", "task.xml") }

// define writes the definition as the scheduler reads it: UTF-16 with its mark.
func (k task) define() error {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return err
	}
	escaped := func(s string) string {
		var b bytes.Buffer
		xml.EscapeText(&b, []byte(s)) // a buffer takes all
		return b.String()
	}
	var text bytes.Buffer
	if err := template.Must(template.New("").Parse(definition)).Execute(&text, map[string]string{
		"User": user.User.Sid.String(), "Program": escaped(k.program), "Arguments": escaped(windows.ComposeCommandLine(k.args)),
	}); err != nil {
		return err
	}
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text.String())) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return errors.Join(os.MkdirAll(filepath.Dir(k.file()), 0o700), os.WriteFile(k.file(), b, 0o600))
}

// scheduler asks the Task Scheduler, by the program that Windows has for it.
func scheduler(args ...string) error {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(system, "schtasks.exe"), args...)
	c.SysProcAttr = &syscall.SysProcAttr{HideWindow: true}
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("schtasks: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// install makes the task. Where Windows refuses, as a company's policy may, an
// entry of the Run key is left: it starts the agent as well, and not again after
// it was killed.
func (k task) install() (less string, err error) {
	err = k.define()
	if err == nil {
		err = scheduler("/create", "/tn", k.name, "/xml", k.file(), "/f")
	}
	if err == nil {
		return "", k.forget()
	}
	os.Remove(k.file())
	return fmt.Sprintf("Windows makes no task for the agent (%v): it starts when you sign in to Windows, and is not started again where it was killed", err), k.enter(err)
}

func (k task) uninstall() error {
	err := k.forget()
	if _, gone := os.Stat(k.file()); gone != nil {
		return err
	}
	return cmp.Or(scheduler("/delete", "/tn", k.name, "/f"), os.Remove(k.file()), err)
}

func (k task) installed() bool {
	_, err := os.Stat(k.file())
	return err == nil || k.entered()
}

// start has the scheduler start the agent, which then watches over it, and
// starts it by itself where that leads to nothing.
func (k task) start() error {
	if !k.entered() && scheduler("/run", "/tn", k.name) == nil {
		for range 40 {
			if resident.Runs(context.Background(), k.home) {
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return spawn(k.home)
}

// runKey lists what Windows starts when this user signs in, and then forgets.
const runKey = `Software\Microsoft\Windows\CurrentVersion\Run`

// enter makes an entry of the Run key, because there is no task.
func (k task) enter(why error) error {
	key, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return errors.Join(why, err)
	}
	defer key.Close()
	return key.SetStringValue(k.name, windows.ComposeCommandLine(append([]string{k.program}, k.args...)))
}

func (k task) entered() bool {
	key, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer key.Close()
	_, _, err = key.GetStringValue(k.name)
	return err == nil
}

// forget takes the entry away, where there is one.
func (k task) forget() error {
	key, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err == nil {
		defer key.Close()
		err = key.DeleteValue(k.name)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
