package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// result is what one command line did.
type result struct {
	code           int
	stdout, stderr string
}

// device runs command lines with a home of its own.
type device struct {
	t   testing.TB
	env map[string]string
}

func newDevice(t testing.TB) *device {
	return &device{t, map[string]string{"READMIT_HOME": filepath.Join(t.TempDir(), "home"), "READMIT_KEYSTORE": "file"}}
}

func (d *device) home(name string) string { return filepath.Join(d.env["READMIT_HOME"], name) }

// in runs a command line with this text on its standard input.
func (d *device) in(stdin string, args ...string) result {
	d.t.Helper()
	var out, err bytes.Buffer
	code := run(d.t.Context(), args, strings.NewReader(stdin), &out, &err, func(name string) string { return d.env[name] })
	return result{code, out.String(), err.String()}
}

func (d *device) run(args ...string) result { return d.in("", args...) }

// must runs a command line that has to go well.
func (d *device) must(args ...string) result {
	d.t.Helper()
	r := d.run(args...)
	if r.code != fine {
		d.t.Fatalf("readmit %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r
}

// TestOneCommand: a command line that begins with a command's name has that one
// alone made for it.
func TestOneCommand(t *testing.T) {
	for _, c := range newRootCommand(&env{}, nil).Commands() {
		if c.Name() == "completion" {
			continue
		}
		if made := newRootCommand(&env{}, []string{c.Name(), "more"}).Commands(); len(made) != 1 || made[0].Name() != c.Name() {
			t.Errorf("for %s, %d commands are made", c.Name(), len(made))
		}
	}
}

// all are the commands, without the help that cobra adds.
func all() []*cobra.Command {
	var out []*cobra.Command
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		out = append(out, c)
		for _, s := range c.Commands() {
			if s.Name() != "help" {
				walk(s)
			}
		}
	}
	walk(newRootCommand(&env{getenv: func(string) string { return "" }}, nil))
	return out
}

// words are a command's path without the program's name.
func words(c *cobra.Command) []string { return strings.Fields(c.CommandPath())[1:] }

func TestEveryCommandIsExplained(t *testing.T) {
	commands := all()
	if len(commands) < 25 {
		t.Errorf("only %d commands", len(commands))
	}
	for _, c := range commands {
		path := c.CommandPath()
		if c.Short == "" || c.Long == "" || c.Example == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short %q, long %q, example %q", path, c.Short, c.Long, c.Example)
		}
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " >")
			line, _, _ = strings.Cut(line, " <")
			fields := strings.Fields(line)
			found, rest, err := newRootCommand(&env{}, nil).Find(codesLast(fields[1:]))
			if fields[0] != "readmit" || err != nil {
				t.Errorf("%s: example %q: %v", path, line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: example %q: %v", path, line, err)
			} else if found.Args != nil {
				if err := found.Args(found, found.Flags().Args()); err != nil {
					t.Errorf("%s: example %q: %v", path, line, err)
				}
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s: --%s is not explained", path, f.Name)
			}
		})
		r := newDevice(t).run(append(words(c), "--help")...)
		if r.code != fine || !strings.Contains(r.stdout, c.Example) || r.stderr != "" {
			t.Errorf("%s --help: %+v", path, r)
		}
	}
}

// TestUsage: what is not understood changes nothing, ends with 2 and says
// where to read on; with --json, as one object.
func TestUsage(t *testing.T) {
	d := newDevice(t)
	var lines [][]string
	for _, c := range all() {
		w := words(c)
		lines = append(lines, append(slices.Clone(w), "--no-such-flag"))
		lines = append(lines, append(slices.Clone(w), "one", "two", "three"))
		if strings.HasSuffix(c.Use, " ID") || strings.HasSuffix(c.Use, "|-") || strings.HasSuffix(c.Use, " REFERENCE") {
			lines = append(lines, w)
		}
	}
	lines = append(lines, []string{"nonsense"}, []string{"Status"}, []string{"admin", "nonsense"}, []string{"completion", "nonsense"},
		[]string{"devices", "nonsense"}, []string{"status", "--json=perhaps"}, []string{"token", "--min-valid", "x"}, []string{"--", "nonsense"},
		[]string{"token", "--min-valid", "6m"}, []string{"token", "--min-valid", "-1s"}, []string{"sign-in", "--server"},
		[]string{"sign-in", "--server", "http://192.0.2.1", "--account", "jane@example.org"}, []string{"sign-in"}, []string{"sign-up"},
		[]string{"doctor", "--server", "nonsense"}, []string{"serve", "--config", "no-such-file"}, []string{"serve", "--listen", "nonsense"},
		[]string{"serve", "--listen", "192.0.2.1:4001"}, []string{"explain", ""})
	for _, args := range lines {
		r := d.run(args...)
		of, _, _ := newRootCommand(&env{}, nil).Find(args) // the nearest command there is
		if r.code != misused || r.stdout != "" || !strings.HasPrefix(r.stderr, "readmit: ") || !strings.HasSuffix(r.stderr, "\nhint: run: "+of.CommandPath()+" --help\n") {
			t.Errorf("readmit %q: %+v", args, r)
		}
		if slices.Contains(args, "--") || slices.Contains(args, "--json=perhaps") || args[len(args)-1] == "--server" {
			continue
		}
		r = d.run(append(slices.Clone(args), "--json")...)
		told := oneObject(t, r.stderr)
		if r.code != misused || r.stdout != "" || told.Error == "" || told.Hint == "" {
			t.Errorf("readmit %q --json: %+v", args, r)
		}
	}
}

// oneObject reads what must be one JSON object on a line, and nothing else.
func oneObject(t testing.TB, text string) trouble {
	t.Helper()
	var told trouble
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&told); err != nil || strings.Count(text, "\n") != 1 {
		t.Errorf("not one JSON object: %q: %v", text, err)
		return told
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Errorf("more than one JSON object: %q", text)
	}
	return told
}

// TestNotEnrolled: commands that need an account say what to do without one,
// and send nothing.
func TestNotEnrolled(t *testing.T) {
	d := newDevice(t)
	for _, args := range [][]string{
		{"status"}, {"token"}, {"requests"}, {"allow", "4K7Q"}, {"deny", "4K7Q"}, {"code"}, {"pass"}, {"devices"}, {"devices", "remove", "x"},
		{"activity"}, {"sign-out"}, {"password"}, {"explain", "4K7Q-9FXM"}, {"sign-in", "--code", "123456"},
	} {
		for _, asJSON := range []bool{false, true} {
			if asJSON {
				args = append(args, "--json")
			}
			r := d.run(args...)
			if r.code != needPerson || r.stdout != "" {
				t.Errorf("readmit %q: %+v", args, r)
			}
			if asJSON {
				if told := oneObject(t, r.stderr); told.Error == "" || told.Hint == "" {
					t.Errorf("readmit %q: %+v", args, r)
				}
			} else if !strings.Contains(r.stderr, "\nhint: ") {
				t.Errorf("readmit %q: %+v", args, r)
			}
		}
	}
	files, err := filepath.Glob(d.home("*.json*"))
	if err != nil || len(files) > 0 {
		t.Errorf("asking made %q, %v", files, err)
	}
	if r := d.run("undo"); r.code != failed || !strings.Contains(r.stderr, "no repair to undo") {
		t.Errorf("undo: %+v", r)
	}
	if r := d.run("doctor"); r.code != needPerson || !strings.Contains(r.stderr, "readmit sign-in --server URL --account ID") {
		t.Errorf("doctor: %+v", r)
	}
	if r := d.run("admin", "accounts", "--data", d.home("none")); r.code != unchecked || !strings.Contains(r.stderr, "--data DIR") {
		t.Errorf("admin: %+v", r)
	}
}

// TestPasswordsAreNotArguments: no flag takes a secret itself, and without a
// terminal nothing is read that was not named.
func TestPasswordsAreNotArguments(t *testing.T) {
	for _, c := range all() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			for _, secret := range []string{"password", "token", "secret", "invitation", "key"} {
				if strings.Contains(f.Name, secret) && !strings.HasSuffix(f.Name, "-file") {
					t.Errorf("%s has --%s", c.CommandPath(), f.Name)
				}
			}
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	d := newDevice(t)
	at := []string{"--server", address, "--account", "jane@example.org"}
	r := d.in("zq seven green lanterns\n", append([]string{"sign-in"}, at...)...)
	if r.code != misused || !strings.Contains(r.stderr, "--password-file -") {
		t.Errorf("no terminal and no file: %+v", r)
	}
	folder := t.TempDir()
	empty, right := filepath.Join(folder, "empty"), filepath.Join(folder, "right")
	for name, text := range map[string]string{empty: "\n", right: "zq seven green lanterns\r\nsecond line\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		file, stdin string
		code        int
		says        string
	}{
		{"-", "", misused, "the password is empty"},
		{"-", "\nzq second\n", misused, "the password is empty"},
		{empty, "zq\n", misused, "the password is empty"},
		{filepath.Join(folder, "none"), "", misused, "--password-file: open "},
		{folder, "", failed, "is a directory"},
		{"-", "zq seven green lanterns\n", unchecked, "cannot be reached"},
		{"-", "zq seven green lanterns", unchecked, "cannot be reached"},
		{right, "", unchecked, "cannot be reached"},
	} {
		r := d.in(c.stdin, append([]string{"sign-in", "--password-file", c.file}, at...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.says) || strings.Contains(r.stderr, "zq") {
			t.Errorf("--password-file %s: %+v", c.file, r)
		}
	}
}

func TestVersion(t *testing.T) {
	r := newDevice(t).run("--version")
	if r.code != fine || r.stdout != "readmit "+version+"\n" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
}

// full takes nothing, as a file on a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputThatIsLost(t *testing.T) {
	d := newDevice(t)
	for _, args := range [][]string{{"--version"}, {"undo", "--help"}, {"completion", "bash"}, {"doctor", "--provider", "icloud"}, {"doctor", "--provider", "icloud", "--json"}} {
		var said strings.Builder
		code := run(t.Context(), args, strings.NewReader(""), full{}, &said, func(name string) string { return d.env[name] })
		if code != failed || !strings.Contains(said.String(), syscall.ENOSPC.Error()) {
			t.Errorf("%v: exit %d, %s", args, code, said.String())
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := newDevice(t).run("completion", shell)
		if r.code != fine || !strings.Contains(r.stdout, "readmit") || len(r.stdout) < 1000 || r.stderr != "" {
			t.Errorf("%s: exit code %d, %d bytes: %s", shell, r.code, len(r.stdout), r.stderr)
		}
	}
	r := newDevice(t).run("__complete", "sign-")
	if r.code != fine || !strings.Contains(r.stdout, "sign-in") || !strings.Contains(r.stdout, "sign-up") || !strings.Contains(r.stdout, "sign-out") {
		t.Errorf("%+v", r)
	}
}

func TestEnvironment(t *testing.T) {
	d := newDevice(t)
	for _, shift := range []string{"nonsense", "10", "\x1b[31m10m", "10 m"} {
		d.env["READMIT_CLOCK_SHIFT"] = shift
		for _, args := range [][]string{{"status"}, {"code"}, {"doctor"}, {"serve", "--data", d.home("data"), "--listen", "127.0.0.1:0"}} {
			r := d.run(args...)
			if r.code != misused || !strings.Contains(r.stderr, "READMIT_CLOCK_SHIFT") || strings.Contains(r.stderr, "\x1b") {
				t.Errorf("%q, %q: %+v", shift, args, r)
			}
		}
	}
	if _, err := os.Stat(d.home("data")); err == nil {
		t.Error("a server that did not start made its data folder")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.env = map[string]string{"READMIT_HOME": filepath.Join(file, "home")}
	for _, args := range [][]string{{"status"}, {"doctor"}, {"undo"}, {"sign-in"}} {
		if r := d.run(args...); r.code != failed || !strings.Contains(r.stderr, "READMIT_HOME") || !strings.Contains(r.stderr, file) {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// TestInterrupted: a command that is interrupted says so, and no more.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, err bytes.Buffer
	d := newDevice(t)
	code := run(ctx, []string{"doctor", "--server", "http://127.0.0.1:9"}, strings.NewReader(""), &out, &err, func(name string) string { return d.env[name] })
	if code != failed || err.String() != fmt.Sprintln("readmit: interrupted") {
		t.Errorf("exit code %d: %s", code, &err)
	}
}
