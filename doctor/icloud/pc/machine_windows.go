package pc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Here is this PC.
func Here(getenv func(string) string) Machine { return here{files{getenv}} }

type here struct{ files }

// Processes goes through the system's own list. Those of other people who are
// signed in to this PC are left out: their iCloud is theirs.
func (here) Processes() ([]Process, error) {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	defer windows.CloseHandle(snapshot)
	var session uint32
	if err := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &session); err != nil {
		return nil, fmt.Errorf("tell this session: %w", err)
	}
	entry := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	var procs []Process
	for err = windows.Process32First(snapshot, &entry); err == nil; err = windows.Process32Next(snapshot, &entry) {
		name := windows.UTF16ToString(entry.ExeFile[:])
		if rank(name) < 0 {
			continue
		}
		var of uint32
		if windows.ProcessIdToSessionId(entry.ProcessID, &of) == nil && of != session {
			continue
		}
		procs = append(procs, Process{entry.ProcessID, name, pathOf(entry.ProcessID)})
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	return procs, nil
}

// pathOf is a process's program; empty for one that may not be asked.
func pathOf(pid uint32) string {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return ""
	}
	defer windows.CloseHandle(h)
	path, _ := imageName(h)
	return path
}

func imageName(h windows.Handle) (string, error) {
	buf := make([]uint16, windows.MAX_LONG_PATH)
	n := uint32(len(buf))
	if err := windows.QueryFullProcessImageName(h, 0, &buf[0], &n); err != nil {
		return "", err
	}
	return windows.UTF16ToString(buf[:n]), nil
}

// ends is how long a process may take to end.
const ends = 5 * time.Second

// Stop ends a process and waits until it has let go of its files. One that has
// ended is no error, nor is a number that is another program's by now.
func (here) Stop(p Process) error {
	const rights = windows.PROCESS_QUERY_LIMITED_INFORMATION | windows.PROCESS_TERMINATE | windows.SYNCHRONIZE
	h, err := windows.OpenProcess(rights, false, p.PID)
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", told(p.Name), err)
	}
	defer windows.CloseHandle(h)
	if path, err := imageName(h); err == nil && !strings.EqualFold(base(path), p.Name) {
		return nil
	}
	stopped := windows.TerminateProcess(h, 1)
	switch event, err := windows.WaitForSingleObject(h, uint32(ends.Milliseconds())); {
	case err == nil && event == windows.WAIT_OBJECT_0:
		return nil
	case stopped != nil:
		return fmt.Errorf("stop %s: %w", told(p.Name), stopped)
	}
	return fmt.Errorf("%s does not end", told(p.Name))
}

// Start starts a program that goes on by itself.
func (here) Start(program string, args ...string) error {
	c := exec.Command(program, args...)
	c.Dir = filepath.Dir(program)
	c.SysProcAttr = &windows.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
	if err := c.Start(); err != nil {
		return fmt.Errorf("start %s: %w", told(base(program)), err)
	}
	return c.Process.Release()
}

const (
	storePackages  = `Software\Classes\Local Settings\Software\Microsoft\Windows\CurrentVersion\AppModel\Repository\Packages`
	classicInstall = `SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall`
)

// Packages reads what Windows has written down of its installations.
func (here) Packages() ([]Package, error) {
	var all []Package
	for _, full := range subkeys(registry.CURRENT_USER, storePackages, 0) {
		if v := packageVersion(full); v != "" {
			all = append(all, Package{true, v})
		}
	}
	for _, view := range []uint32{registry.WOW64_64KEY, registry.WOW64_32KEY} {
		for _, name := range subkeys(registry.LOCAL_MACHINE, classicInstall, view) {
			k, err := registry.OpenKey(registry.LOCAL_MACHINE, classicInstall+`\`+name, registry.QUERY_VALUE|view)
			if err != nil {
				continue
			}
			title, _, _ := k.GetStringValue("DisplayName")
			version, _, _ := k.GetStringValue("DisplayVersion")
			k.Close()
			if p := (Package{false, version}); title == "iCloud" && (len(all) == 0 || all[len(all)-1] != p) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

func subkeys(root registry.Key, path string, view uint32) []string {
	k, err := registry.OpenKey(root, path, registry.ENUMERATE_SUB_KEYS|view)
	if err != nil {
		return nil
	}
	defer k.Close()
	names, _ := k.ReadSubKeyNames(-1)
	return names
}

func (here) System() (string, error) {
	v := windows.RtlGetVersion()
	return fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber), nil
}

// Clock asks the time service of this PC how it does; nothing leaves the machine.
func (h here) Clock(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(h.getenv("SystemRoot"), "System32", "w32tm.exe"), "/query", "/status")
	c.WaitDelay = time.Second
	out, err := c.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := c.Start(); err != nil {
		return "", err
	}
	b, _ := io.ReadAll(io.LimitReader(out, 16<<10))
	return string(b), c.Wait()
}

var (
	ntdll            = windows.NewLazySystemDLL("ntdll.dll")
	showPlaceholders = ntdll.NewProc("RtlSetProcessPlaceholderCompatibilityMode")
	cldapi           = windows.NewLazySystemDLL("cldapi.dll")
	stateFromTag     = cldapi.NewProc("CfGetPlaceholderStateFromAttributeTag")
)

// Words of the cloud files interface of Windows.
const (
	exposePlaceholders = 2
	statePlaceholder   = 0x1
	stateInSync        = 0x8
	stateInvalid       = 0xffffffff
)

// InSync asks Windows what it keeps with a file of a cloud folder: a file that
// the cloud has had is a placeholder, whole or not, and marked in sync until it
// is changed.
func (here) InSync(path string) (bool, error) {
	if showPlaceholders.Find() != nil || stateFromTag.Find() != nil {
		return false, ErrCannotTell
	}
	showPlaceholders.Call(exposePlaceholders) // else they look like any file
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return false, err
	}
	var found windows.Win32finddata
	h, err := windows.FindFirstFile(name, &found)
	if err != nil {
		return false, err
	}
	windows.FindClose(h)
	state, _, _ := stateFromTag.Call(uintptr(found.FileAttributes), uintptr(found.Reserved0))
	if uint32(state) == stateInvalid {
		return false, ErrCannotTell
	}
	return state&(statePlaceholder|stateInSync) == statePlaceholder|stateInSync, nil
}
