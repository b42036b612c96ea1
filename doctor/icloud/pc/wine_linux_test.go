package pc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
)

// prefix is a wine of the test's own: its folder, its home, its server.
type prefix struct {
	dir string
	env []string
}

// newPrefix makes it by scripts/wine.sh and ends it with the test; it is ready
// when the function it returns has returned.
func newPrefix(t *testing.T) (prefix, func()) {
	t.Helper()
	dir := t.TempDir()
	home, tmp := filepath.Join(dir, "home"), filepath.Join(dir, "tmp") // apart: wine shows parts of a home on C:
	if err := errors.Join(os.Mkdir(home, 0o700), os.Mkdir(tmp, 0o700)); err != nil {
		t.Fatal(err)
	}
	p := prefix{dir: filepath.Join(dir, "prefix")}
	p.env = append(os.Environ(), "WINEPREFIX="+p.dir, "HOME="+home, "WINEDEBUG=-all", "DISPLAY=", "TMPDIR="+tmp)
	made := make(chan struct{})
	t.Cleanup(func() {
		<-made
		p.command(context.Background(), "wineserver", "-k").Run() // fails where none runs
		if err := p.command(context.Background(), "wineserver", "-w").Run(); err != nil {
			t.Errorf("wine does not end: %v", err)
		}
	})
	var out string
	var err error
	go func() {
		defer close(made)
		out, err = output(p.command(t.Context(), "../../../scripts/wine.sh"))
	}()
	return p, func() {
		t.Helper()
		if <-made; err != nil {
			t.Fatalf("make a prefix (is wine there? scripts/deps.sh): %v\n%s", err, out)
		}
	}
}

// command is bounded: nothing under wine may hold the tests up. A prefix alone
// takes ten seconds, and more than a minute with others at work.
func (p prefix) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	c := exec.CommandContext(ctx, name, args...)
	c.Cancel = func() error { defer cancel(); return c.Process.Kill() }
	c.Env, c.WaitDelay = p.env, 2*time.Second
	return c
}

// output runs a command with a file for its output: a pipe would be held open
// by every program that wine leaves running.
func output(c *exec.Cmd) (string, error) {
	f, err := os.CreateTemp("", "wine-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	c.Stdout, c.Stderr = f, f
	err = c.Run()
	b, rerr := os.ReadFile(f.Name())
	return string(b), errors.Join(err, rerr)
}

func build(t *testing.T, env []string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

var windows = []string{"GOOS=windows", "GOARCH=amd64"}

// TestUnderWine runs the tests of *_windows_test.go, and readmit.exe.
func TestUnderWine(t *testing.T) {
	p, ready := newPrefix(t)
	bin := t.TempDir()
	exe := filepath.Join(bin, "readmit.exe")
	build(t, windows, "test", "-c", "-ldflags", "-s -w", "-o", filepath.Join(bin, "pc.test.exe"), ".")
	build(t, windows, "build", "-ldflags", "-s -w", "-o", exe, "../../../cmd/readmit")
	build(t, nil, "build", "-ldflags", "-s -w -X main.stretch=least", "-o", filepath.Join(bin, "readmit"), "../../../cmd/readmit")
	ready()

	url := serve(t, filepath.Join(bin, "readmit"))
	t.Run("account", func(t *testing.T) { p.signUpAndRepair(t, exe, url) })
	t.Run("agent", func(t *testing.T) { p.serveAgent(t, exe, url) })
	t.Run("server", func(t *testing.T) { p.keepsData(t, exe) })
	t.Run("iCloud", func(t *testing.T) { p.repairICloud(t, exe) })
	t.Run("machine", func(t *testing.T) {
		out, err := output(p.command(t.Context(), "wine", filepath.Join(bin, "pc.test.exe"), "-test.run", "^TestWindows", "-test.v", "-test.timeout", "2m"))
		if err != nil || strings.Count(out, "--- PASS: TestWindows") < 8 || strings.Contains(out, "--- SKIP") {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.Contains(out, secret) {
			t.Error("a secret is in the output")
		}
	})
}

// readmit runs readmit.exe and wants an exit code.
func (p prefix) readmit(t *testing.T, exe string, code int, args ...string) string {
	t.Helper()
	c := p.command(t.Context(), "wine", append([]string{exe}, args...)...)
	out, err := output(c)
	if err != nil && c.ProcessState == nil || c.ProcessState.ExitCode() != code {
		t.Fatalf("readmit %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	return out
}

// signUpAndRepair is the device's side on Windows against a server on this
// machine: an account, a session, its damage, the repair and its undoing.
func (p prefix) signUpAndRepair(t *testing.T, exe, url string) {
	if out := p.readmit(t, exe, 0, "--help"); !strings.Contains(out, "Available Commands") {
		t.Errorf("help:\n%s", out)
	}
	const password = "a long walk over the hill 7"
	file := filepath.Join(p.dir, "drive_c", "password.txt")
	if err := os.WriteFile(file, []byte(password+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := []string{"--server", url, "--account", account, "--password-file", `C:\password.txt`}

	// An empty profile: no session, which only a person can begin.
	p.readmit(t, exe, 4, "doctor", "--json")
	p.readmit(t, exe, 0, append([]string{"sign-up"}, in...)...)
	p.readmit(t, exe, 0, "doctor", "--json")
	p.readmit(t, exe, 0, "sign-out")
	p.readmit(t, exe, 0, append([]string{"sign-in"}, in...)...)
	if out := p.readmit(t, exe, 0, "doctor", "--json"); strings.Contains(out, password) {
		t.Error("the password is in a report")
	}

	homes, err := filepath.Glob(filepath.Join(p.dir, "drive_c/users/*/AppData/Roaming/readmit"))
	if err != nil || len(homes) != 1 {
		t.Fatal(homes, err)
	}
	session := filepath.Join(homes[0], "session.json")
	torn := []byte("torn")
	if err := os.WriteFile(session, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	var report cause.Report
	if err := json.Unmarshal([]byte(p.readmit(t, exe, 1, "doctor", "--json")), &report); err != nil || len(report.Findings) != 1 || report.Findings[0].Cause != damaged {
		t.Fatalf("%+v, %v", report, err)
	}
	p.readmit(t, exe, 0, "doctor", "--fix", "--yes")
	p.readmit(t, exe, 0, "doctor")
	p.readmit(t, exe, 0, "undo")
	if b, err := os.ReadFile(session); err != nil || !bytes.Equal(b, torn) {
		t.Errorf("after undo: %q, %v", b, err)
	}
}

// keepsData has a server on Windows make its folder, with a list of its own. That
// this is done without an error is all wine can show: it keeps no such lists, and
// has no unix sockets, at which the start then ends.
func (p prefix) keepsData(t *testing.T, exe string) {
	out, err := output(p.command(t.Context(), "wine", exe, "serve", "--data", `C:\accounts`, "--listen", "127.0.0.1:0"))
	if err == nil || !strings.Contains(out, "the operator's socket") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(p.dir, "drive_c", "accounts", "master.key")); err != nil {
		t.Error(err)
	}
}

// repairICloud is readmit.exe on a PC whose classic edition has lost its list of
// accounts, with programs that run and hold it.
func (p prefix) repairICloud(t *testing.T, exe string) {
	drive := filepath.Join(p.dir, "drive_c")
	program, err := os.ReadFile(filepath.Join(drive, "sleeper.exe"))
	if err != nil {
		t.Fatal(err)
	}
	users, err := filepath.Glob(filepath.Join(drive, "users/*/AppData/Roaming/readmit"))
	if err != nil || len(users) != 1 {
		t.Fatal(users, err)
	}
	data := filepath.Join(filepath.Dir(users[0]), "Apple Computer")
	w := &world{t: t}
	w.signIn(filepath.Join(data, "Preferences"))
	torn := filepath.Join(data, "Preferences", accountsFile)
	w.put(torn, []byte("torn "+secret))
	w.put(filepath.Join(data, "Preferences", "com.apple.other.plist"), []byte("beside"))
	before := tree(t, data)

	folder := filepath.Join(drive, "Program Files (x86)/Common Files/Apple/Internet Services")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, name := range []string{"iCloudServices.exe", "iCloudDrive.exe"} {
		w.put(filepath.Join(folder, name), program)
		c := p.command(ctx, "wine", filepath.Join(folder, name))
		c.Env = append(c.Env, holds+"="+`C:\users\`+filepath.Base(strings.TrimSuffix(filepath.Dir(users[0]), "/AppData/Roaming"))+`\AppData\Roaming\Apple Computer\Preferences\`+accountsFile)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()
	}
	doctor := []string{"doctor", "--provider", "icloud", "--json", "--other-device"}
	out := p.untilSaid(t, exe, "iCloudServices, iCloudDrive", "doctor", "--provider", "icloud", "--other-device")
	for _, want := range []string{"state-damaged", "iCloudServices", accountsFile} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %s\n%s", want, out)
		}
	}
	out += p.readmit(t, exe, 1, append(doctor, "--fix", "--dry-run")...)
	if got := tree(t, data); !maps.Equal(before, got) {
		t.Error("a dry run moved something")
	}
	out += p.readmit(t, exe, 4, append(doctor, "--fix", "--yes")...) // and then a person signs in
	after := tree(t, data)
	if _, there := after[torn]; there || len(after) != len(before) {
		t.Errorf("after the repair:\n%s\n%v", out, slices.Sorted(maps.Keys(after)))
	}
	out += p.readmit(t, exe, 0, "undo")
	if !maps.Equal(before, tree(t, data)) {
		t.Error("after undo: not byte for byte what it was")
	}
	if strings.Contains(out, secret) || strings.Contains(out, account) {
		t.Errorf("a secret or the whole account is told:\n%s", out)
	}
	for _, name := range []string{"iCloudServices.exe", "iCloudDrive.exe"} {
		if out, err := output(p.command(t.Context(), "wine", "taskkill", "/F", "/IM", name)); err != nil {
			t.Errorf("%s does not run after undo: %v\n%s", name, err, out)
		}
	}
	if err := os.RemoveAll(data); err != nil {
		t.Error(err)
	}
}

// untilSaid runs readmit.exe until its output has a word: programs that were
// started are not there at once.
func (p prefix) untilSaid(t *testing.T, exe, word string, args ...string) string {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		out := p.readmit(t, exe, 1, args...)
		if strings.Contains(out, word) || time.Since(begun) > 10*time.Second {
			return out
		}
	}
}

// serve runs the account server and returns where.
func serve(t *testing.T, readmit string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := exec.Command(readmit, "serve", "--data", t.TempDir(), "--listen", addr)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return "http://" + addr
		}
	}
	t.Fatal("the server does not answer")
	return ""
}
