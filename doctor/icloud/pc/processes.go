package pc

import (
	"slices"
	"strings"
)

// programs are the processes of iCloud for Windows, in the order in which they
// are stopped: what leans on another one first. They are started in reverse.
var programs = []struct {
	name string
	does string
	// byOthers: nobody but the named starts it.
	byOthers string
}{
	{name: "iCloudPasswordsExtensionHelper.exe", does: "gives the browser its passwords", byOthers: "the browser"},
	{name: "iCloudPasswords.exe", does: "shows the passwords"},
	{name: "iCloudHome.exe", does: "the window and the icon"},
	{name: "iCloudPhotos.exe", does: "syncs photos"},
	{name: "iCloudDrive.exe", does: "syncs files"},
	{name: "iCloudCKKS.exe", does: "syncs the keychain"},
	{name: "iCloudServices.exe", does: "keeps the account signed in"},
}

const (
	servicesProgram = "iCloudServices.exe"
	driveProgram    = "iCloudDrive.exe"
)

// rank is a program's place in the table, -1 for none of iCloud's.
func rank(name string) int {
	for i, p := range programs {
		if strings.EqualFold(p.name, name) {
			return i
		}
	}
	return -1
}

// running lists iCloud's processes that belong to an edition, in the table's
// order. One that does not tell its path may be of either.
func running(m Machine, e edition) ([]Process, error) {
	all, err := m.Processes()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(p Process) bool {
		return p.Path != "" && ofStore(p.Path) != e.store
	})
	slices.SortStableFunc(all, func(a, b Process) int { return rank(a.Name) - rank(b.Name) })
	return all, nil
}

func runs(procs []Process, name string) bool {
	return slices.ContainsFunc(procs, func(p Process) bool { return strings.EqualFold(p.Name, name) })
}

// told names programs without the end of a file's name.
func told(name string) string {
	if i := rank(name); i >= 0 {
		name = programs[i].name
	}
	return strings.TrimSuffix(name, ".exe")
}
