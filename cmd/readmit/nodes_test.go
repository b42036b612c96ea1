//go:build !windows

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/store/postgres/pgtest"
)

// asReadmit makes the test's own program be readmit: nodes are processes.
const asReadmit = "READMIT_TEST_AS_READMIT"

func TestMain(m *testing.M) {
	stretch = "least"
	if os.Getenv(asReadmit) != "" {
		main()
	}
	os.Exit(m.Run())
}

// node is one account server of several, a process of its own.
type node struct {
	cmd     *exec.Cmd
	address string
	data    string
	ended   chan struct{}
	said    *said
}

// said takes what a process writes.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func startNode(t *testing.T, public, store, master string) *node {
	t.Helper()
	n := &node{address: freeAddress(t), data: t.TempDir(), ended: make(chan struct{}), said: &said{}}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.cmd = exec.Command(exe, "serve", "--data", n.data, "--listen", n.address, "--url", public, "--store", store, "--master-key-file", master)
	n.cmd.Env = append(os.Environ(), asReadmit+"=1")
	n.cmd.Stderr, n.cmd.Stdout = n.said, n.said
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		n.cmd.Wait()
		close(n.ended)
	}()
	t.Cleanup(n.kill)
	return n
}

func (n *node) kill() {
	n.cmd.Process.Kill()
	<-n.ended
}

func (n *node) status(path string) int {
	c := http.Client{Timeout: 8 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + n.address + path)
	if err != nil {
		return 0
	}
	r.Body.Close()
	return r.StatusCode
}

func (n *node) until(t *testing.T, path string, want int, within time.Duration) {
	t.Helper()
	got := 0
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = n.status(path); got == want {
			return
		}
	}
	t.Fatalf("%s of %s answers %d, want %d\n%s", path, n.address, got, want, n.said)
}

// front stands where a balancer would: it hands each message to the node that
// the test chose for it, and to the next where that one is gone.
type front struct {
	url    string
	nodes  []*node
	choose atomic.Pointer[func(path string) int]
	went   chan string
}

func startFront(t *testing.T) *front {
	f := &front{went: make(chan string, 1000)}
	f.to(func(string) int { return 0 })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.url = "http://" + l.Addr().String()
	s := &http.Server{Handler: http.HandlerFunc(f.pass)}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return f
}

func (f *front) to(choose func(path string) int) { f.choose.Store(&choose) }

func (f *front) pass(w http.ResponseWriter, r *http.Request) {
	first := (*f.choose.Load())(r.URL.Path)
	for i := range f.nodes {
		at := (first + i) % len(f.nodes)
		c, err := net.DialTimeout("tcp", f.nodes[at].address, time.Second)
		if err != nil {
			continue
		}
		c.Close()
		select {
		case f.went <- fmt.Sprintf("%d %s", at, r.URL.Path):
		default:
		}
		p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: f.nodes[at].address})
		p.FlushInterval = -1
		p.ServeHTTP(w, r)
		return
	}
	http.Error(w, "no node", http.StatusBadGateway)
}

// seen empties what went where.
func (f *front) seen() string {
	var all []string
	for {
		select {
		case s := <-f.went:
			all = append(all, s)
		default:
			return strings.Join(all, "\n")
		}
	}
}

// newDatabase starts PostgreSQL for a test and makes a database there. It ends
// after what the test has started.
func newDatabase(t *testing.T) (*pgtest.Cluster, string) {
	t.Helper()
	pg, err := pgtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Stop() })
	name, err := pg.Database()
	if err != nil {
		t.Fatal(err)
	}
	return pg, name
}

// Any node finishes what another began, a policy set at one holds at all, a
// node that is lost is not missed, and a database that is lost refuses nobody.
func TestNodes(t *testing.T) {
	pg, name := newDatabase(t)
	dir := t.TempDir()
	master := filepath.Join(dir, "master.key")
	laptop, phone := newDevice(t), newDevice(t)
	laptop.must("admin", "key", "new", master)
	f := startFront(t)
	for range 3 { // all at once, on an empty database
		f.nodes = append(f.nodes, startNode(t, f.url, pg.URL(name), master))
	}
	for _, n := range f.nodes {
		n.until(t, api.PathReady, http.StatusOK, 30*time.Second)
	}
	var keys [3]string
	for i, n := range f.nodes {
		keys[i] = fetch(t, "http://"+n.address+api.PathKeys)
	}
	if keys[0] != keys[1] || keys[1] != keys[2] || len(keys[0]) < 50 {
		t.Fatalf("nodes publish different keys: %q", keys)
	}

	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	laptop.must("sign-up", "--server", f.url, "--account", "jane@example.org", "--password-file", password, "--device-name", "laptop")

	// Begun at the second, finished at the third, and each nonce is another's.
	var turn atomic.Int32
	spread := func(path string) int {
		switch {
		case strings.HasSuffix(path, "/start"):
			return 1
		case strings.HasSuffix(path, "/finish"):
			return 2
		}
		return int(turn.Add(1)) % 3
	}
	f.seen()
	f.to(spread)
	laptop.must("sign-in", "--password-file", password)
	if went := f.seen(); !strings.Contains(went, "1 /v1/sign-in/start") || !strings.Contains(went, "2 /v1/sign-in/finish") {
		t.Fatalf("the messages went elsewhere:\n%s", went)
	}

	// A new device: its request is allowed at another node than it waits at.
	if r := phone.run("sign-in", "--server", f.url, "--account", "jane@example.org", "--password-file", password, "--device-name", "phone"); r.code != needPerson {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	var requests []struct {
		ID string `json:"id"`
	}
	out := laptop.must("requests", "--json")
	if i := strings.Index(out.stdout, "["); i >= 0 {
		json.Unmarshal([]byte(out.stdout[i:strings.LastIndex(out.stdout, "]")+1]), &requests)
	}
	if len(requests) != 1 {
		t.Fatalf("requests: %s", out.stdout)
	}
	code := strings.TrimSpace(laptop.must("allow", requests[0].ID).stdout)
	if r := phone.in(code+"\n", "sign-in", "--code", "-"); r.code != fine {
		t.Fatalf("with the code %q: exit code %d: %s%s", code, r.code, r.stdout, r.stderr)
	}
	phone.must("token")

	// A policy.
	laptop.must("admin", "--data", f.nodes[0].data, "policy", "--client", "readmit=99.0.0")
	for i := range f.nodes {
		f.to(func(string) int { return i })
		refused := false
		for end := time.Now().Add(3 * time.Second); !refused && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			refused = laptop.run("sign-in", "--password-file", password).code == failed
		}
		if !refused {
			t.Errorf("node %d did not hear of the policy", i)
		}
	}
	laptop.must("admin", "--data", f.nodes[2].data, "policy", "--client", "readmit=0")
	time.Sleep(1500 * time.Millisecond)

	// A node is killed in the middle of a sign-in.
	f.to(spread)
	begun := make(chan struct{})
	var once sync.Once
	f.to(func(path string) int {
		if strings.HasSuffix(path, "/finish") {
			once.Do(func() {
				f.nodes[1].kill()
				close(begun)
			})
		}
		return 1 // killed: the next one takes it
	})
	laptop.must("sign-in", "--password-file", password)
	<-begun
	phone.must("token", "--min-valid", "5m")

	// The database is lost: no node refuses anybody, and each says so itself.
	if err := pg.Kill(); err != nil {
		t.Fatal(err)
	}
	f.to(func(string) int { return 0 })
	r := laptop.run("sign-in", "--password-file", password)
	if r.code != unchecked || strings.Contains(r.stderr, "4001") {
		t.Errorf("without a database: exit code %d: %s", r.code, r.stderr)
	}
	for _, i := range []int{0, 2} {
		f.nodes[i].until(t, api.PathReady, http.StatusServiceUnavailable, 5*time.Second)
		f.nodes[i].until(t, api.PathHealth, http.StatusOK, time.Second)
	}
	if err := pg.Run(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 2} {
		f.nodes[i].until(t, api.PathReady, http.StatusOK, 10*time.Second)
	}
	laptop.must("sign-in", "--password-file", password)

	for _, i := range []int{0, 2} {
		f.nodes[i].cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-f.nodes[i].ended:
		case <-time.After(15 * time.Second):
			t.Errorf("a node did not stop")
		}
	}
}

func fetch(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(r.Body)
	return b.String()
}
