package icloud

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/doctor/host"
	"readmit.dev/readmit/doctor/icloud/clients"
	"readmit.dev/readmit/doctor/icloud/mac"
	"readmit.dev/readmit/doctor/icloud/pc"
)

// Clients are the clients that can be examined, as --client names them.
func Clients() []string {
	return []string{"mac", "windows", "icloudpd", "pyicloud", "icloudpy", "docker-icloudpd", "icloud3", "rclone"}
}

// clockTolerance is how far a clock may be off: Apple's provisioning data and
// web tokens carry the time, and five minutes is what such schemes commonly allow.
const clockTolerance = 5 * time.Minute

// servers are the names that a sign-in needs and whose certificates are of a
// public authority. (gsa.apple.com, where devices sign in, has one of Apple's
// own, which other systems rightly do not trust.)
var servers = []string{"idmsa.apple.com", "setup.icloud.com", "www.icloud.com"}

// timeServer is asked for the time, with --online.
const timeServer = "time.apple.com"

// domains are those whose names a hosts file should leave alone.
var domains = []string{"icloud.com", "icloud.com.cn", "apple.com", "apple-cloudkit.com"}

// Machine is this machine, or what was copied of another one.
type Machine struct {
	Clients clients.Machine
	Getenv  func(string) string
	Now     func() time.Time
	Hosts   string // path of the hosts file
	// OtherDevice asks the person whether another device of the account can show
	// codes. It is asked only before a repair that takes a sign-in away.
	OtherDevice func(ctx context.Context) (bool, error)
}

// Here is the machine this program runs on. Trust that ends before minValid has
// passed is a finding.
func Here(getenv func(string) string, now func() time.Time, minValid time.Duration) Machine {
	m := Machine{Clients: clients.Here(getenv, now), Getenv: getenv, Now: now, Hosts: hostsFile(getenv)}
	m.Clients.MinValid = minValid
	return m
}

// Services stop and start what repairs on this system stop and start. Elsewhere
// than on a Mac or a PC nothing of that kind runs.
func Services() doctor.Services {
	switch runtime.GOOS {
	case "darwin":
		return mac.Services(mac.Here(os.Getenv))
	case "windows":
		return pc.Services(pc.Here(os.Getenv))
	}
	return NoServices{}
}

// NoServices are those of a copy: what holds its files runs on another machine.
type NoServices struct{}

// Stop does nothing.
func (NoServices) Stop(string) error { return nil }

// Start does nothing.
func (NoServices) Start(string) error { return nil }

// Copied reports whether a state is a copy of a Mac or of a PC's user: nothing
// of the machine around it says anything about it.
func (m Machine) Copied(client, state string) bool {
	return state != "" && (client == mac.Client || client == windows || client == "" && (m.isMac(state) || m.isPC(state)))
}

// ErrState: nothing there that a client could have left.
var ErrState = errors.New("nothing of an iCloud client is there")

// Find finds what can be signed in to iCloud: of one client or, where none is
// named, of all; in the places where they keep their state or, where one is
// given, in that. Of a Mac or a PC elsewhere, state is a folder with what was
// copied of it (see docs/icloud.md).
func (m Machine) Find(ctx context.Context, client, state string) ([]doctor.Subject, error) {
	if state != "" {
		if _, err := os.Stat(state); err != nil {
			return nil, fmt.Errorf("--state: %w", err)
		}
	}
	ofMac, ofPC := client == mac.Client, client == windows
	if client == "" {
		ofMac, ofPC = m.isMac(state), m.isPC(state)
	}
	var all []doctor.Subject
	if ofMac {
		machine, err := m.mac(state)
		if err != nil {
			return nil, err
		}
		found, err := mac.Find(ctx, machine, mac.Options{OtherDevice: m.OtherDevice})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if ofPC {
		machine, err := m.pc(state)
		if err != nil {
			return nil, err
		}
		found, err := pc.Find(ctx, machine, pc.Options{OtherSource: m.OtherDevice})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if client == mac.Client || client == windows || state != "" && (ofMac || ofPC) {
		if state != "" && len(all) == 0 {
			return nil, fmt.Errorf("%s: %w: see docs/icloud.md for what to copy", state, ErrState)
		}
		return all, nil
	}
	open, err := clients.Find(ctx, m.Clients, client, state)
	return append(all, open...), err
}

// Folders of what was copied of a Mac.
const (
	copiedCommands = "commands" // what its commands print
	copiedRoot     = "root"     // files outside the person's folder
	copiedHome     = "home"
)

func (m Machine) isMac(state string) bool {
	if state == "" {
		return runtime.GOOS == "darwin"
	}
	return isFolder(filepath.Join(state, copiedCommands)) && isFolder(filepath.Join(state, copiedHome))
}

func (m Machine) isPC(state string) bool {
	if state == "" {
		return runtime.GOOS == "windows"
	}
	return isFolder(filepath.Join(state, "AppData"))
}

func (m Machine) mac(state string) (mac.Machine, error) {
	switch {
	case state != "":
		return &mac.Recorded{Commands: filepath.Join(state, copiedCommands), Root: filepath.Join(state, copiedRoot), HomeDir: filepath.Join(state, copiedHome), User: os.Getuid()}, nil
	case runtime.GOOS != "darwin":
		return nil, errors.New("--client mac: this is no Mac; say --state with a folder copied from one (see docs/icloud.md)")
	}
	return mac.Here(m.Getenv), nil
}

func (m Machine) pc(state string) (pc.Machine, error) {
	switch {
	case state != "":
		return pc.Offline(state), nil
	case runtime.GOOS != "windows":
		return nil, errors.New("--client windows: this is no PC with Windows; say --state with a user's folder copied from one (see docs/icloud.md)")
	}
	return pc.Here(m.Getenv), nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// windows is the word of cause.CheckClient for what pc examines.
const windows = "windows"

// Environment looks at what every client needs of the machine. What needs the
// network is left out unless online.
func (m Machine) Environment(online bool) []doctor.Check {
	const out = "left out: --online looks at it"
	checks := []doctor.Check{{Name: "clock", Look: func(context.Context) ([]cause.Fact, string) {
		if !online {
			return nil, out
		}
		return host.ClockByNetwork(timeServer, time.Until(m.Now()), clockTolerance)
	}}, {Name: "hosts file", Look: func(context.Context) ([]cause.Fact, string) {
		hosts, err := readSome(m.Hosts)
		if err != nil {
			return nil, "cannot tell"
		}
		names := host.Overridden(hosts, domains)
		if len(names) == 0 {
			return nil, "leads none of the provider's names elsewhere"
		}
		return []cause.Fact{cause.Note(cause.CheckName, cause.Word("resolves"), cause.Word("hosts-file"), cause.ByDevice)},
			"leads " + strings.Join(names[:min(3, len(names))], ", ") + " elsewhere"
	}}, {Name: "proxy", Look: func(context.Context) ([]cause.Fact, string) {
		if p := host.Proxy("https://" + servers[0]); p != "" {
			return nil, "everything goes through " + p
		}
		return nil, "none"
	}}}
	for _, name := range servers {
		checks = append(checks, doctor.Check{Name: name, Look: func(ctx context.Context) ([]cause.Fact, string) {
			if !online {
				return nil, out
			}
			if facts, saw := host.Name(ctx, net.DefaultResolver, "https://"+name); len(facts) > 0 {
				return facts, saw
			}
			if p := host.Proxy("https://" + name); p != "" {
				return nil, "left to the proxy " + p
			}
			return host.Handshake(ctx, net.JoinHostPort(name, "443"), nil)
		}})
	}
	if !online { // one line says it for all
		checks = slices.Delete(checks, 4, len(checks))
		checks[3].Name = "network"
	}
	if runtime.GOOS == "darwin" { // a Mac's own checks look at these two, with its own tools
		checks = slices.Delete(checks, 1, 3)
	}
	return checks
}

// hostsFile is where this system keeps names of its own.
func hostsFile(getenv func(string) string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(getenv("SystemRoot"), "System32", "drivers", "etc", "hosts")
	}
	return "/etc/hosts"
}

// readSome reads a file of at most a megabyte.
func readSome(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return nil, fmt.Errorf("%s is not a file of at most a megabyte", path)
	}
	return os.ReadFile(path)
}
