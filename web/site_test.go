package web_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	jane     = "jane@example.org"
	password = "correct horse battery staple"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// output is what a program says, read while it says it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// site is a server as people run it: the program, on loopback.
type site struct {
	t       *testing.T
	binary  string
	data    string
	address string
	url     string
	flags   []string
	said    *output
	serving *exec.Cmd
}

var built string // the folder of the program

// program builds it, once for all tests.
var program = sync.OnceValues(func() (string, error) {
	var err error
	if built, err = os.MkdirTemp("", "readmit-web-"); err != nil {
		return "", err
	}
	binary := filepath.Join(built, "readmit")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w -X main.stretch=least", "-o", binary, "../cmd/readmit").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	stopChromium()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

func newSite(t *testing.T, flags ...string) *site {
	t.Helper()
	binary, err := program()
	must(t, err)
	s := &site{t: t, binary: binary, data: filepath.Join(t.TempDir(), "data"), flags: flags, said: &output{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.address = l.Addr().String()
	must(t, l.Close())
	// By its name: passkeys belong to one.
	s.url = "http://localhost" + s.address[strings.LastIndexByte(s.address, ':'):]
	s.serve()
	t.Cleanup(func() { s.t = t; s.end() })
	return s
}

// serve starts the server, and waits until it answers.
func (s *site) serve(env ...string) {
	s.t.Helper()
	s.serving = exec.Command(s.binary, append([]string{"serve", "--data", s.data, "--listen", s.address, "--url", s.url}, s.flags...)...)
	s.serving.Stdout, s.serving.Stderr = s.said, s.said
	s.serving.Env = append(os.Environ(), env...)
	must(s.t, s.serving.Start())
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if r, err := http.Get(s.url + "/readyz"); err == nil {
			r.Body.Close()
			return
		}
		if time.Since(began) > 10*time.Second {
			s.t.Fatal("the server does not answer")
		}
	}
}

func (s *site) end() {
	s.t.Helper()
	s.serving.Process.Signal(os.Interrupt)
	began := time.Now()
	if err := s.serving.Wait(); err != nil {
		s.t.Errorf("the server ended with %v:\n%s", err, s.said)
	}
	if took := time.Since(began); took > 3*time.Second {
		s.t.Errorf("the server took %v to stop", took)
	}
}

// later makes it so much later than it is, for the server and for browsers: on
// the pages that they open from now on.
func (s *site) later(by time.Duration, people ...*person) {
	s.t.Helper()
	s.end()
	s.serve("READMIT_CLOCK_SHIFT=" + by.String())
	for _, p := range people {
		p.later(by)
	}
}

// terminal is a device whose person types commands.
type terminal struct {
	s    *site
	home string
}

func (s *site) terminal() *terminal { return &terminal{s, s.t.TempDir()} }

func (c *terminal) run(stdin string, args ...string) (string, int) {
	c.s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), step)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.s.binary, args...)
	cmd.Env = append(os.Environ(), "READMIT_HOME="+c.home)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); err != nil {
		if e, ok := err.(*exec.ExitError); ok {
			exit = e
			return string(out), exit.ExitCode()
		}
		c.s.t.Fatalf("%v: %v", args, err)
	}
	return string(out), 0
}
