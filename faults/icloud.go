package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"howett.net/plist"

	"readmit.dev/readmit/doctor"
)

// The iCloud causes cannot be made at Apple's servers. What is real here is
// what the clients keep: cookie jars written by Python's http.cookiejar, an
// rclone.conf by rclone's own code, property lists, a Mac's and a PC's files;
// each damaged in the way of the cause. A script may make a cause at several
// clients, each a line of the matrix.

// LineSteps are the steps of a line: the last two only where this device can
// repair the cause.
var LineSteps = []string{"made", "named", "repaired", "undone"}

// planted begins every value that is secret; no output may have it.
const planted = "zq-planted-"

func icloudCommands() map[string]commandFunc {
	return map[string]commandFunc{
		"jar": onWorld((*world).jar), "object": onWorld((*world).object), "rclone": onWorld((*world).rclone),
		"line": onWorld((*world).line), "client": onWorld((*world).client), "shown": onWorld((*world).shown),
		"text": onWorld((*world).text), "snapshot": onWorld((*world).snapshot), "repaired": onWorld((*world).repaired), "undone": onWorld((*world).undone),
		"memory": memory, "cut": cut, "mac": onWorld((*world).mac),
	}
}

// peer is where a program lies that writes what clients keep: in testdata, at
// the module's root, where this runs or above.
func peer(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return filepath.Join(dir, "testdata", name)
}

// when reads -9d, 30d or 2h as a moment that far from now.
func when(ts *testscript.TestScript, s string) int64 {
	length := s
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		ts.Check(err)
		length = strconv.Itoa(n*24) + "h"
	}
	d, err := time.ParseDuration(length)
	ts.Check(err)
	return time.Now().Add(d).Unix()
}

// jar writes a cookie jar: jar FILE keep|drop NAME=WHEN…, a moment or "session".
func (w *world) jar(ts *testscript.TestScript, _ bool, args []string) {
	type cookie struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		Domain  string `json:"domain"`
		Expires *int64 `json:"expires,omitempty"`
	}
	var cookies []cookie
	for _, a := range args[2:] {
		name, until, _ := strings.Cut(a, "=")
		c := cookie{Name: name, Value: planted + name, Domain: ".icloud.com"}
		if until != "session" {
			t := when(ts, until)
			c.Expires = &t
		}
		cookies = append(cookies, c)
	}
	in, err := json.Marshal(map[string]any{"path": ts.MkAbs(args[0]), "keep": args[1] == "keep", "cookies": cookies})
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o700))
	w.writeWith(ts, args[0], "python3", append(in, '\n'), filepath.Join(peer("cookiejar-peer"), "jar.py"))
}

// object writes a JSON object: object FILE KEY=VALUE…; "secret" as a value is a planted one.
func (w *world) object(ts *testscript.TestScript, _ bool, args []string) {
	o := map[string]string{}
	for _, a := range args[1:] {
		k, v, _ := strings.Cut(a, "=")
		if v == "secret" {
			v = planted + k
		}
		o[k] = v
	}
	b, err := json.MarshalIndent(o, "", "    ")
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// rclone writes rclone.conf with one remote: rclone FILE [-encrypted] KEY=VALUE…
func (w *world) rclone(ts *testscript.TestScript, _ bool, args []string) {
	file, rest := ts.MkAbs(args[0]), args[1:]
	command := []string{file}
	if len(rest) > 0 && rest[0] == "-encrypted" {
		command, rest = append(command, planted+"configuration"), rest[1:]
	}
	remote := map[string]string{"type": "iclouddrive"}
	for _, a := range rest {
		k, v, _ := strings.Cut(a, "=")
		remote[k] = strings.ReplaceAll(v, "secret", planted+k)
	}
	in, err := json.Marshal(map[string]any{"photos": remote})
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o700))
	w.writeWith(ts, file, filepath.Join(w.bin, "rclone-peer"), in, command...)
}

// writeWith runs a program that writes a file from what it reads.
func (w *world) writeWith(ts *testscript.TestScript, file, program string, in []byte, args ...string) {
	c := exec.Command(program, args...)
	c.Env = append(environ(), "HOME="+w.dir)
	c.Stdin = bytes.NewReader(in)
	if out, err := c.CombinedOutput(); err != nil {
		ts.Fatalf("%s: %v\n%s", filepath.Base(program), err, out)
	}
	ts.Check(os.Chmod(ts.MkAbs(file), 0o600))
}

// memory moves a folder to where nothing survives a restart, and leaves a link.
func memory(ts *testscript.TestScript, _ bool, args []string) {
	there, err := os.MkdirTemp("/dev/shm", "readmit-faults-*")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(there) })
	here := ts.MkAbs(args[0])
	ts.Check(os.CopyFS(there, os.DirFS(here)))
	ts.Check(os.RemoveAll(here))
	ts.Check(os.Symlink(there, here))
}

// cut leaves the first bytes of a file: cut FILE N.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// mac lays out what was copied of a Mac: its account list, and what its
// commands print, as recorded: mac FOLDER signed-in|signed-out RECORDING…
func (w *world) mac(ts *testscript.TestScript, _ bool, args []string) {
	folder := ts.MkAbs(args[0])
	commands := filepath.Join(folder, "commands")
	ts.Check(os.MkdirAll(commands, 0o700))
	for _, recording := range append([]string{"healthy"}, args[2:]...) {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(peer("x"))), "doctor/icloud/mac/testdata/recorded", recording, "*"))
		ts.Check(err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			ts.Check(err)
			ts.Check(os.WriteFile(filepath.Join(commands, filepath.Base(f)), b, 0o600))
		}
	}
	list, err := plist.Marshal(map[string]any{"Accounts": []any{map[string]any{
		"AccountID": "jane@example.org", "AccountDSID": "10020030040", "LoggedIn": args[1] == "signed-in", "authToken": planted + "token",
		"Services": []any{map[string]any{"Name": "MOBILE_DOCUMENTS", "Enabled": true}},
	}}}, plist.BinaryFormat)
	ts.Check(err)
	for path, b := range map[string][]byte{
		"home/Library/Preferences/MobileMeAccounts.plist":                  list,
		"home/Library/Application Support/iCloud/Accounts/10020030040/key": []byte(planted + "key"),
		"root/etc/hosts": []byte("127.0.0.1 localhost\n"),
	} {
		ts.Check(os.MkdirAll(filepath.Join(folder, filepath.Dir(path)), 0o700))
		ts.Check(os.WriteFile(filepath.Join(folder, path), b, 0o600))
	}
}

// line begins a line of the matrix: line CLIENT.
func (w *world) line(ts *testscript.TestScript, _ bool, args []string) {
	w.lineKey = script(ts) + " · " + args[0]
	w.lineClient = args[0]
	w.record.stamp(w.lineKey, "made")
}

// client runs the doctor on a client's state: client STATE FLAGS…
func (w *world) client(ts *testscript.TestScript, neg bool, args []string) {
	w.readmit(ts, "laptop", neg, append([]string{"doctor", "--provider", "icloud", "--client", w.lineClient, "--state", ts.MkAbs(args[0])}, args[1:]...)...)
	w.silent(ts)
}

// text has a pasted text explained: text FILE.
func (w *world) text(ts *testscript.TestScript, _ bool, args []string) {
	w.readmit(ts, "laptop", false, "explain", "--json", args[0])
	w.silent(ts)
}

// silent sees that nothing planted was told.
func (w *world) silent(ts *testscript.TestScript) {
	if strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), planted) {
		ts.Fatalf("a planted secret was told")
	}
}

// shown sees that the last report begins with this cause, found at the line's
// client, with evidence and a remedy: shown CAUSE.
func (w *world) shown(ts *testscript.TestScript, _ bool, args []string) {
	var r struct {
		Schema   int
		Audience string
		Findings []struct {
			Cause    string
			Evidence []struct{ Check, Got string }
			Remedies []json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &r); err != nil {
		ts.Fatalf("not a report: %v", err)
	}
	if r.Schema != 1 || r.Audience != "owner" || len(r.Findings) == 0 {
		ts.Fatalf("schema %d for %s with %d findings", r.Schema, r.Audience, len(r.Findings))
	}
	f := r.Findings[0]
	of := map[string]string{}
	for _, e := range f.Evidence {
		of[e.Check] = e.Got
	}
	if f.Cause != args[0] || len(f.Remedies) == 0 || of["client"] != w.lineClient && of["text"] == "" && of["text-rule"] == "" {
		ts.Fatalf("the first finding is %s of %q with %d remedies, want %s of %s", f.Cause, of["client"], len(f.Remedies), args[0], w.lineClient)
	}
	w.record.stamp(w.lineKey, "named")
}

// snapshot keeps what a folder holds, for undone to compare: snapshot FOLDER.
func (w *world) snapshot(ts *testscript.TestScript, _ bool, args []string) {
	sum, err := doctor.TreeSum(ts.MkAbs(args[0]))
	ts.Check(err)
	if w.sums == nil {
		w.sums = map[string]string{}
	}
	w.sums[args[0]] = sum
}

// repaired sees that the folder is not what it was, and undone that it is
// again, byte for byte.
func (w *world) repaired(ts *testscript.TestScript, _ bool, args []string) {
	sum, err := doctor.TreeSum(ts.MkAbs(args[0]))
	ts.Check(err)
	if sum == w.sums[args[0]] {
		ts.Fatalf("%s is as it was: nothing was repaired", args[0])
	}
	w.record.stamp(w.lineKey, "repaired")
}

func (w *world) undone(ts *testscript.TestScript, _ bool, args []string) {
	sum, err := doctor.TreeSum(ts.MkAbs(args[0]))
	ts.Check(err)
	if sum != w.sums[args[0]] {
		ts.Fatalf("%s is not what it was before the repair", args[0])
	}
	w.record.stamp(w.lineKey, "undone")
}

// Lines returns the lines that a script has begun, each with its steps.
func (r *Record) Lines(script string) map[string][]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := map[string][]string{}
	for key, steps := range r.done {
		if of, client, ok := strings.Cut(key, " · "); ok && of == script {
			lines[client] = slices.Clone(steps)
		}
	}
	return lines
}

// MissingOfLine returns the first step that a line has not reached; a repair
// must be undone, where there is one.
func MissingOfLine(reached []string) string {
	for _, step := range []string{"made", "named"} {
		if !slices.Contains(reached, step) {
			return step
		}
	}
	if slices.Contains(reached, "repaired") && !slices.Contains(reached, "undone") {
		return "undone"
	}
	return ""
}

// buildPeers builds what the scripts write clients' state with, and the example
// service.
func buildPeers(dir string) error {
	example := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "service"), "readmit.dev/readmit/examples/service")
	example.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := example.CombinedOutput(); err != nil {
		return fmt.Errorf("the example service: %w\n%s", err, out)
	}
	c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "rclone-peer"), ".")
	c.Dir = peer("rclone-peer")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("rclone-peer: %w\n%s", err, out)
	}
	return nil
}
