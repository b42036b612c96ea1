package resident

import (
	"context"
	"os/exec"
	"runtime"
)

// command is a program of the system that shows a text. It offers no choices.
// The texts travel as arguments, never as part of a script.
type command struct {
	program string
	args    []string
}

func (d command) Tell(title, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), NotifyTime)
	defer cancel()
	c := exec.CommandContext(ctx, d.program, d.args...)
	if runtime.GOOS == "windows" { // whose quoting differs from program to program
		c.Env = append(c.Environ(), "READMIT_TITLE="+title, "READMIT_TEXT="+text)
	} else {
		c.Args = append(c.Args, title, text)
	}
	return c.Run()
}

func (command) Panel(context.Context) (Panel, error) { return nil, ErrNoDesktop }

// desktopCommand is the command that shows a title and a text, which follow it.
func desktopCommand(system string) []string {
	switch system {
	case "darwin":
		return []string{"osascript", "-e", "on run argv", "-e", "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run", "--"}
	case "windows":
		return []string{"powershell.exe", "-NoProfile", "-NonInteractive", "-WindowStyle", "Hidden", "-Command", balloon}
	}
	return nil
}

// balloon shows what two variables of its environment hold.
const balloon = `Add-Type -AssemblyName System.Windows.Forms,System.Drawing
$n = New-Object System.Windows.Forms.NotifyIcon
$n.Icon = [System.Drawing.SystemIcons]::Information
$n.Visible = $true
$n.ShowBalloonTip(8000, $env:READMIT_TITLE, $env:READMIT_TEXT, 'Info')
Start-Sleep -Seconds 8
$n.Dispose()`
