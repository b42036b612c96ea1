//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kardianos/service"

	"readmit.dev/readmit/agent"
)

const isWindows = false

// apart lets a process outlive the terminal it was started from.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// alone is for Windows: a service has no terminal here.
func (*env) alone(agent.Home) {}

// unit is what systemd is told. An agent that gives up ends well, so that it is
// started again only after it was killed.
const unit = `[Unit]
Description={{Description}}
Documentation=https://readmit.dev/docs/agent.md
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
ExecStart={{Path | cmdEscape}}{{range Arguments}} {{. | cmd}}{{end}}
Restart=on-failure
RestartSec=5
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
`

// plistText is what launchd is told, to the same effect.
const plistText = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>{{Name | html}}</string>
	<key>ProgramArguments</key>
	<array>
		<string>{{Path | html}}</string>
{{range Arguments}}		<string>{{. | html}}</string>
{{end}}	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>5</integer>
	<key>ProcessType</key>
	<string>Background</string>
	<key>Umask</key>
	<integer>63</integer>
</dict>
</plist>
`

// managed is a service that kardianos/service writes and drives.
type managed struct {
	service.Service
	file string
	link string // by which systemd knows that it is to be started
}

// nothing is what the library would run; the agent runs by itself.
type nothing struct{}

func (nothing) Start(service.Service) error { return nil }
func (nothing) Stop(service.Service) error  { return nil }

func newStarter(name, program string, args []string, _ agent.Home) (starter, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil, err
	}
	config := &service.Config{
		Name: name, DisplayName: "Readmit agent", Description: "Readmit keeps this device signed in",
		Executable: program, Arguments: args,
		Option: service.KeyValue{"UserService": true, "SystemdScript": unit, "LaunchdConfig": plistText},
	}
	for _, system := range service.AvailableSystems() {
		var file, link string
		switch system.String() {
		case "linux-systemd":
			units := filepath.Join(home, ".config", "systemd", "user")
			file, link = filepath.Join(units, name+".service"), filepath.Join(units, "default.target.wants", name+".service")
		case "darwin-launchd":
			file = filepath.Join(home, "Library", "LaunchAgents", name+".plist")
		default:
			continue
		}
		s, err := system.New(nothing{}, config)
		return managed{s, file, link}, err
	}
	return nil, errors.New("neither systemd nor launchd is here to start the agent")
}

func (m managed) install() (string, error) {
	err := m.Service.Install()
	if err != nil { // half a service is none
		m.uninstall()
	}
	return "", err
}

// uninstall takes the files away by hand where the system's own tool fails, as
// systemctl does without a systemd of this user: nothing has the service loaded
// then, and nothing finds it the next time.
func (m managed) uninstall() error {
	failed := m.Service.Uninstall()
	if failed == nil {
		return nil
	}
	for _, f := range []string{m.link, m.file} {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(failed, err)
		}
	}
	return nil
}

func (m managed) start() error { return m.Service.Start() }

func (m managed) installed() bool {
	_, err := os.Stat(m.file)
	return err == nil
}
