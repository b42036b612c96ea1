package pc

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveAgent is the agent on Windows: in the foreground, asked by other
// processes over its named pipe, with its state in AppData; then in the
// background; then as a task that begins with this user's sessions, and where no
// task may be made, as an entry of the Run key.
func (p prefix) serveAgent(t *testing.T, exe, url string) {
	password := []string{"--password-file", `C:\password.txt`}
	p.readmit(t, exe, 0, append([]string{"sign-in"}, password...)...)
	homes, err := filepath.Glob(filepath.Join(p.dir, "drive_c/users/*/AppData/Roaming/readmit"))
	if err != nil || len(homes) != 1 {
		t.Fatal(homes, err)
	}
	record := filepath.Join(homes[0], "agent.json")
	p.readmit(t, exe, 1, "agent", "status")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := p.command(ctx, "wine", exe, "agent")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	said := func() string { b, _ := os.ReadFile(log.Name()); return string(b) }
	until(t, said, func() bool { _, err := os.Stat(record); return err == nil })

	// On Windows the first instance of the pipe holds its name, and takes no one:
	// by the system's rule for one that is made without access. Wine lets a first
	// caller in there, whom nobody answers. The doctor waits the shortest.
	output(p.command(t.Context(), "wine", exe, "doctor"))

	var status struct {
		Account, Server string
		PID             int
		Expires         time.Time
	}
	until(t, said, func() bool {
		out := p.readmit(t, exe, 0, "agent", "status", "--json")
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return !status.Expires.IsZero()
	})
	if status.Account != account || status.Server != url || status.PID == 0 {
		t.Errorf("%+v", status)
	}
	if out := p.readmit(t, exe, 1, "agent"); !strings.Contains(out, "runs for this device already") {
		t.Errorf("a second agent: %s", out)
	}
	// No file has the session now: what answers is the agent, who says so.
	session := filepath.Join(homes[0], "session.json")
	if err := os.Rename(session, session+".away"); err != nil {
		t.Fatal(err)
	}
	if out := p.readmit(t, exe, 4, "token"); !strings.Contains(out, "not signed in") {
		t.Errorf("without a session: %s", out)
	}
	if err := os.Rename(session+".away", session); err != nil {
		t.Fatal(err)
	}
	var token struct {
		Value   string `json:"access_token"`
		Expires time.Time
	}
	out := p.readmit(t, exe, 0, "token", "--json")
	if err := json.Unmarshal([]byte(out), &token); err != nil || strings.Count(token.Value, ".") != 2 || token.Expires.Before(time.Now()) {
		t.Errorf("%v: no token", err)
	}
	if out := p.readmit(t, exe, 0, "requests"); !strings.Contains(out, "no device asks") {
		t.Errorf("requests: %s", out)
	}
	if out := p.readmit(t, exe, 0, "agent", "stop"); !strings.Contains(out, "has stopped") {
		t.Errorf("stop: %s", out)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the agent ended: %v\n%s", err, said())
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the agent has not ended\n%s", said())
	}
	if _, err := os.Stat(record); err == nil {
		t.Error("an agent that was stopped is still expected")
	}
	p.readmit(t, exe, 1, "agent", "status")
	p.readmit(t, exe, 0, "token") // by itself
	if strings.Contains(said(), token.Value) {
		t.Error("a token is in the log")
	}

	// With each of this user's sessions from now on, and at once.
	const entries = `HKCU\Software\Microsoft\Windows\CurrentVersion\Run`
	entered := func() string {
		out, _ := output(p.command(t.Context(), "wine", "reg", "query", entries))
		return out
	}
	tasks := filepath.Join(p.dir, "drive_c/windows/system32/tasks")
	p.readmit(t, exe, 0, "agent", "install")
	if _, err := os.Stat(filepath.Join(tasks, "readmit-agent")); err != nil {
		t.Errorf("the task: %v", err)
	}
	// What Windows would keep; wine forgets what it does not know.
	b, err := os.ReadFile(filepath.Join(homes[0], "agent", "task.xml"))
	text := strings.ReplaceAll(string(b), "\x00", "")
	for _, has := range []string{"\xff\xfe<?xml", "<LogonTrigger><Enabled>true</Enabled><UserId>S-1-5-", `\readmit.exe</Command>`, "<Arguments>agent --service --home ", "<RestartOnFailure>"} {
		if !strings.Contains(text, has) {
			t.Errorf("the definition does not say %q: %v\n%s", has, err, text)
		}
	}
	if out := entered(); strings.Contains(out, "readmit-agent") {
		t.Errorf("the Run key beside a task: %s", out)
	}
	p.readmit(t, exe, 0, "agent", "status")
	p.readmit(t, exe, 0, "agent", "uninstall")
	if _, err := os.Stat(filepath.Join(tasks, "readmit-agent")); err == nil {
		t.Error("the task is there after its end")
	}
	p.readmit(t, exe, 1, "agent", "status")

	// A file in place of the tasks' folder: none can be made.
	if err := errors.Join(os.RemoveAll(tasks), os.WriteFile(tasks, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if out := p.readmit(t, exe, 0, "agent", "install"); !strings.Contains(out, "Windows makes no task") {
		t.Errorf("without a task: %s", out)
	}
	if out := entered(); !strings.Contains(out, "readmit-agent") || !strings.Contains(out, "agent --service --home") {
		t.Errorf("the Run key: %s", out)
	}
	p.readmit(t, exe, 0, "agent", "status")
	p.readmit(t, exe, 0, "agent", "uninstall")
	if out := entered(); strings.Contains(out, "readmit-agent") {
		t.Errorf("the Run key after: %s", out)
	}
	p.readmit(t, exe, 1, "agent", "status")
}

// until waits for what a program under wine does.
func until(t *testing.T, said func() string, there func() bool) {
	t.Helper()
	for begun := time.Now(); !there(); time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("the agent does not get there\n%s", said())
		}
	}
}
