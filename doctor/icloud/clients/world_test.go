package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

const (
	jane    = "jane.doe@icloud.com"
	janeKey = "janedoeicloudcom"
	day     = 24 * time.Hour
)

// world is a whole machine in a folder.
type world struct {
	testing.TB
	Machine
	env map[string]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, env: map[string]string{}}
	now := time.Now().Truncate(time.Second)
	w.Machine = Machine{
		Root: t.TempDir(), Getenv: func(k string) string { return w.env[k] }, GOOS: "linux",
		Now: func() time.Time { return now }, UID: os.Getuid(), Mounts: []Mount{{"/", "ext4"}},
	}
	w.Home, w.Temp = w.at("/home/jane"), w.at("/tmp")
	return w
}

func (w *world) file(path, content string) string {
	w.Helper()
	path = w.at(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
	return path
}

// planted is a cookie that Python is asked to keep.
type planted struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Domain  string `json:"domain"`
	Expires int64  `json:"expires,omitempty"`
}

// python is one run of testdata/cookiejar-peer, asked line by line.
type python struct {
	sync.Mutex
	in  io.WriteCloser
	out *bufio.Scanner
	cmd *exec.Cmd
}

var jarPeer = sync.OnceValues(func() (*python, error) {
	cmd := exec.Command("python3", "../../../testdata/cookiejar-peer/jar.py")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p := &python{in: in, out: bufio.NewScanner(out), cmd: cmd}
	atEnd = append(atEnd, func() { in.Close(); cmd.Wait() })
	return p, cmd.Start()
})

// jarFile lets Python's http.cookiejar write a jar; drop leaves out what has ended.
func (w *world) jarFile(path string, drop bool, cookies ...planted) string {
	w.Helper()
	path = w.at(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	if cookies == nil {
		cookies = []planted{}
	}
	in, err := json.Marshal(map[string]any{"path": path, "keep": !drop, "cookies": cookies})
	if err != nil {
		w.Fatal(err)
	}
	p, err := jarPeer()
	if err != nil {
		w.Fatalf("python3 (see scripts/deps.sh): %v", err)
	}
	p.Lock()
	defer p.Unlock()
	if _, err := p.in.Write(append(in, '\n')); err != nil || !p.out.Scan() {
		w.Fatalf("python3 wrote no jar: %v", err)
	}
	return path
}

// signedIn is the cookies of a sign-in that is whole, whose trust ends then.
func (w *world) signedIn(domain string, trust time.Duration) []planted {
	at := func(d time.Duration) int64 { return w.Now().Add(d).Unix() }
	var all []planted
	for _, n := range []string{userCookie, trustCookie} {
		all = append(all, planted{n, `"v=1:s=0:d=secret;` + n + `\"x"`, domain, at(trust)})
	}
	return append(all,
		planted{tokenCookie, "secret-token", domain, at(trust)},
		planted{"X-APPLE-WEBAUTH-PCS-Photos", "secret-pcs", domain, at(30 * day)},
		planted{"X-APPLE-WEBAUTH-PCS-Documents", "secret-pcs", domain, at(30 * day)},
		planted{"X-APPLE-WEBAUTH-LOGIN", "secret-login", domain, at(30 * day)},
		planted{"acn01", "secret-acn", ".apple.com", at(90 * day)},
		planted{"aasp", "secret-of-the-session", ".idmsa.apple.com", 0})
}

func without(all []planted, prefix string) []planted {
	return slices.DeleteFunc(slices.Clone(all), func(c planted) bool { return strings.HasPrefix(c.Name, prefix) })
}

// sessionFile writes a session as the clients' json.dump does.
func (w *world) sessionFile(path string, change map[string]any) string {
	w.Helper()
	fields := map[string]any{
		"client_id": "auth-secret-client", "scnt": "secret-scnt", "session_id": "secret-session-id",
		"session_token": "secret-session-token", "trust_token": "secret-trust-token", "account_country": "USA",
	}
	for k, v := range change {
		if fields[k] = v; v == nil {
			delete(fields, k)
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		w.Fatal(err)
	}
	return w.file(path, string(b))
}

// rclonePeer is the program of testdata/rclone-peer, built once.
var rclonePeer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "rclone-peer-*")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "rclone-peer")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Dir = "../../../testdata/rclone-peer"
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: string(out), Err: err}
	}
	return path, nil
})

var atEnd []func() // what ends with the tests

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range atEnd {
		end()
	}
	os.Exit(code)
}

// rcloneConf lets rclone's own code write its settings, encrypted with a password.
func (w *world) rcloneConf(path, password string, remotes map[string]map[string]string) string {
	w.Helper()
	peer, err := rclonePeer()
	if err != nil {
		w.Fatal(err)
	}
	path = w.at(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.Fatal(err)
	}
	in, err := json.Marshal(remotes)
	if err != nil {
		w.Fatal(err)
	}
	cmd := exec.Command(peer, path)
	if password != "" {
		cmd.Args = append(cmd.Args, password)
	}
	cmd.Stdin = bytes.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("rclone-peer: %v\n%s", err, out)
	}
	return path
}

func (w *world) find(client, state string) []doctor.Subject {
	w.Helper()
	found, err := Find(context.Background(), w.Machine, client, state)
	if err != nil {
		w.Fatal(err)
	}
	return found
}

// examined is what was told of one subject.
type examined struct {
	facts []cause.Fact
	saw   string
}

func examine(s doctor.Subject) examined {
	var e examined
	for _, c := range s.Checks {
		facts, saw := c.Look(context.Background())
		e.facts = append(e.facts, facts...)
		e.saw += c.Name + ": " + saw + "\n"
	}
	return e
}

func (e examined) causes() []string {
	var all []string
	for _, f := range cause.Find(e.facts) {
		all = append(all, string(f.Cause))
	}
	return all
}

func (e examined) got(c cause.Check) string {
	for _, f := range e.facts {
		if f.Check() == c {
			return f.Got()
		}
	}
	return ""
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
