package resident

import (
	"context"
	"os/exec"
	"runtime"
	"time"
)

// notifyTime is how long a desktop may take to show something.
const notifyTime = 10 * time.Second

// Desktop returns what shows a text on this user's desktop, nil where there is
// none. The texts travel as arguments, never as part of a script.
func Desktop(getenv func(string) string) func(title, text string) error {
	argv := desktopCommand(runtime.GOOS, getenv)
	if argv == nil {
		return nil
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return nil
	}
	return func(title, text string) error {
		ctx, cancel := context.WithTimeout(context.Background(), notifyTime)
		defer cancel()
		c := exec.CommandContext(ctx, program, argv[1:]...)
		if runtime.GOOS == "windows" { // whose quoting differs from program to program
			c.Env = append(c.Environ(), "READMIT_TITLE="+title, "READMIT_TEXT="+text)
		} else {
			c.Args = append(c.Args, title, text)
		}
		return c.Run()
	}
}

// desktopCommand is the command that shows a title and a text, which follow it.
func desktopCommand(system string, getenv func(string) string) []string {
	switch system {
	case "darwin":
		return []string{"osascript", "-e", "on run argv", "-e", "display notification (item 2 of argv) with title (item 1 of argv)", "-e", "end run", "--"}
	case "windows":
		return []string{"powershell.exe", "-NoProfile", "-NonInteractive", "-WindowStyle", "Hidden", "-Command", balloon}
	}
	if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" {
		return nil
	}
	return []string{"notify-send", "--app-name=Readmit", "--"}
}

// balloon shows what two variables of its environment hold.
const balloon = `Add-Type -AssemblyName System.Windows.Forms,System.Drawing
$n = New-Object System.Windows.Forms.NotifyIcon
$n.Icon = [System.Drawing.SystemIcons]::Information
$n.Visible = $true
$n.ShowBalloonTip(8000, $env:READMIT_TITLE, $env:READMIT_TEXT, 'Info')
Start-Sleep -Seconds 8
$n.Dispose()`
