package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"readmit.dev/readmit/device"
	"readmit.dev/readmit/verify"
	"readmit.dev/readmit/verify/verifytest"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "readmit-service-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "service")
		if runtime.GOOS == "windows" {
			binary += ".exe"
		}
		if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// process is the example, running.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string // with http://

	mu  sync.Mutex
	log bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// free is an address nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

const pushToken = "rmp_of-the-tests"

func credentials(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(path, []byte(verifytest.Secret+"\n"+pushToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// accountServer is the account server on a listener that can be closed and
// opened again.
type accountServer struct {
	*verifytest.Server
	t       *testing.T
	address string
	http    *http.Server
}

func newAccountServer(t *testing.T, audience string) *accountServer {
	t.Helper()
	a := &accountServer{t: t, address: free(t)}
	a.Server = verifytest.New("http://"+a.address, audience)
	a.open()
	t.Cleanup(a.close)
	return a
}

func (a *accountServer) open() {
	a.t.Helper()
	l, err := net.Listen("tcp", a.address)
	if err != nil {
		a.t.Fatal(err)
	}
	a.http = &http.Server{Handler: a.Server}
	go a.http.Serve(l)
}

func (a *accountServer) close() { a.http.Close() }

// start runs the example and waits until it has keys and hears of signals.
func start(t *testing.T, issuer, address, secretFile string, more ...string) *process {
	t.Helper()
	p := &process{t: t, address: "http://" + address}
	p.cmd = exec.Command(binary, append([]string{"--issuer", issuer, "--audience", p.address, "--secret-file", secretFile, "--listen", address}, more...)...)
	p.cmd.Stderr = p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		if t.Failed() {
			t.Logf("the service said:\n%s", p.said())
		}
		for _, s := range []string{verifytest.Secret, pushToken} {
			if strings.Contains(p.said(), s) {
				t.Error("a credential is in the service's log")
			}
		}
	})
	eventually(t, 10*time.Second, "the service has its keys", func() bool { return p.status().Keys >= 0 })
	time.Sleep(time.Until(p.status().Floor.Add(1100 * time.Millisecond))) // what is issued now is not from before its start
	return p
}

func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			t.Fatalf("after %s it is not so that %s", limit, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

var client = &http.Client{Timeout: 20 * time.Second}

func (p *process) status() verify.Status {
	s := verify.Status{Keys: -1, Stale: -1}
	a, err := client.Get(p.address + "/status")
	if err != nil {
		return s
	}
	defer a.Body.Close()
	json.NewDecoder(a.Body).Decode(&s)
	return s
}

// use makes a call with a token, and returns its status, reason and body.
func (p *process) use(who *verifytest.Person, token, method, body string) (int, verify.Reason, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.address+"/notes", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	proof, err := who.Key.Sign(device.Request{Method: method, URL: p.address + "/notes", Token: token, Body: []byte(body), Time: time.Now()})
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", proof)
	a, err := client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var problem verify.Problem
	json.Unmarshal(b, &problem)
	return a.StatusCode, problem.Reason, strings.TrimSpace(string(b))
}

func (p *process) want(who *verifytest.Person, token string, want verify.Reason, when string) {
	p.t.Helper()
	if status, got, body := p.use(who, token, "GET", ""); got != want || (status == 200) != (want == "") {
		p.t.Errorf("%s: %d %s, want %q", when, status, body, string(want))
	}
}

// refused waits until a token is refused, and says how long that took.
func (p *process) refused(who *verifytest.Person, token string, want verify.Reason) time.Duration {
	p.t.Helper()
	return eventually(p.t, 5*time.Second, "the token is refused", func() bool {
		_, got, _ := p.use(who, token, "GET", "")
		return got == want
	})
}

func TestNotes(t *testing.T) {
	address := free(t)
	server := newAccountServer(t, "http://"+address)
	p := start(t, server.Issuer(), address, credentials(t))
	jane, ann := verifytest.NewPerson(), verifytest.NewPerson()
	janes, anns := server.Token(jane, 1), server.Token(ann, 1)
	if status, _, body := p.use(jane, janes, "POST", "milk & bread"); status != 201 {
		t.Errorf("%d %s", status, body)
	}
	for _, bad := range []string{"", " \n", strings.Repeat("a", 1001), "\xff"} {
		if status, _, _ := p.use(jane, janes, "POST", bad); status != 400 {
			t.Errorf("a note of %d octets: %d", len(bad), status)
		}
	}
	if _, _, body := p.use(jane, janes, "GET", ""); body != `{"notes":["milk \u0026 bread"]}` {
		t.Error(body)
	}
	if _, _, body := p.use(ann, anns, "GET", ""); body != `{"notes":[]}` {
		t.Errorf("another account sees %s", body)
	}
	for range 99 {
		p.use(jane, janes, "POST", "one more")
	}
	if status, _, _ := p.use(jane, janes, "POST", "too many"); status != http.StatusInsufficientStorage {
		t.Errorf("the 101st note: %d", status)
	}
	if a, err := client.Get(p.address + "/notes"); err != nil || a.StatusCode != 401 {
		t.Errorf("without a token: %v, %v", a, err)
	}
}

func TestChangePolled(t *testing.T) {
	address := free(t)
	server := newAccountServer(t, "http://"+address)
	p := start(t, server.Issuer(), address, credentials(t))
	jane := verifytest.NewPerson()
	token := server.Token(jane, 1)
	p.want(jane, token, "", "before the change")
	jti, _ := server.Raise(verifytest.CredentialChange, jane, 2)
	if took := p.refused(jane, token, verify.Stale); took > time.Second {
		t.Errorf("refused after %s", took)
	}
	p.want(jane, server.Token(jane, 2), "", "a fresh token")
	eventually(t, 5*time.Second, "the account server knows it is applied", func() bool { _, ok := server.Applied(jti); return ok && server.Waiting() == 0 })
	if s := p.status(); !s.Ready || s.Pushed || s.Applied != 1 {
		t.Errorf("%+v", s)
	}
}

func TestChangePushed(t *testing.T) {
	address := free(t)
	server := newAccountServer(t, "http://"+address)
	p := start(t, server.Issuer(), address, credentials(t), "--push")
	jane := verifytest.NewPerson()
	token := server.Token(jane, 1)
	p.want(jane, token, "", "before the change")
	jti, text := server.EndSession(jane, 1)
	push := func(credential string) int {
		r, err := http.NewRequest("POST", p.address+"/signals", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/secevent+jwt")
		r.Header.Set("Authorization", "Bearer "+credential)
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		return a.StatusCode
	}
	if status := push("rmp_of-somebody"); status != 401 {
		t.Errorf("pushed by a stranger: %d", status)
	}
	p.want(jane, token, "", "pushed by a stranger")
	if status := push(pushToken); status != 202 {
		t.Errorf("pushed: %d", status)
	}
	p.want(jane, token, verify.Ended, "at once")
	eventually(t, 5*time.Second, "the account server knows it is applied", func() bool { _, ok := server.Applied(jti); return ok })
	if s := p.status(); !s.Ready || !s.Pushed {
		t.Errorf("%+v", s)
	}
}

func TestAccountServerAwayAndBack(t *testing.T) {
	address := free(t)
	server := newAccountServer(t, "http://"+address)
	p := start(t, server.Issuer(), address, credentials(t))
	jane := verifytest.NewPerson()
	token := server.Token(jane, 1)
	server.close()
	server.Raise(verifytest.CredentialChange, jane, 2)
	time.Sleep(2 * time.Second)
	p.want(jane, token, "", "with the account server away")
	if s := p.status(); s.Stale < time.Second || s.Error == "" {
		t.Errorf("%+v", s)
	}
	server.open()
	if took := p.refused(jane, token, verify.Stale); took > 4*time.Second {
		t.Errorf("refused %s after the server was back", took)
	}
	if s := p.status(); s.Error != "" {
		t.Errorf("%+v", s)
	}
}

func TestBadCalls(t *testing.T) {
	secret := credentials(t)
	loose := filepath.Join(t.TempDir(), "loose")
	if err := os.WriteFile(loose, []byte(verifytest.Secret), 0o644); err != nil {
		t.Fatal(err)
	}
	good := []string{"--issuer", "http://127.0.0.1:1", "--audience", "http://127.0.0.1:2", "--secret-file", secret, "--listen", "127.0.0.1:0"}
	with := func(name, value string) []string {
		all := append([]string{}, good...)
		for i := range all {
			if all[i] == name {
				all[i+1] = value
			}
		}
		return all
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown flag":     {append(good, "--pull"), 2, "pull"},
		"a word":              {append(good, "now"), 2, "now"},
		"no issuer":           {with("--issuer", ""), 2, "Issuer"},
		"issuer without TLS":  {with("--issuer", "http://id.example.org"), 2, "https"},
		"no audience":         {with("--audience", ""), 2, "Audience"},
		"no secret":           {good[:4], 2, "--secret-file"},
		"a secret not there":  {with("--secret-file", secret+"x"), 1, "readmit admin service add"},
		"a secret for all":    {with("--secret-file", loose), 1, "chmod 600"},
		"no push token in it": {append(with("--secret-file", onlySecret(t)), "--push"), 1, "rmp_"},
		"no such address":     {with("--listen", "127.0.0.1:99999"), 1, "port"},
	} {
		var stderr bytes.Buffer
		cmd := exec.Command(binary, c.args...)
		cmd.Stderr = &stderr
		err := cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != c.code || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%s: exit %d (%v), %q; want %d and something about %s", name, got, err, stderr.String(), c.code, c.want)
		}
		if strings.Contains(stderr.String(), verifytest.Secret) {
			t.Errorf("%s: the secret is told", name)
		}
	}
}

func onlySecret(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "one")
	if err := os.WriteFile(path, []byte(verifytest.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The lines of the README are those of the program.
func TestReadme(t *testing.T) {
	f, err := os.Open("README.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	help, _ := exec.Command(binary, "--help").CombinedOutput()
	lines := 0
	for in := bufio.NewScanner(f); in.Scan(); {
		for _, word := range strings.Fields(in.Text()) {
			if strings.HasPrefix(in.Text(), "    go run ./examples/service") && strings.HasPrefix(word, "--") {
				lines++
				if !strings.Contains(string(help), strings.TrimPrefix(word, "-")) {
					t.Errorf("the README calls %s, which is none of:\n%s", word, help)
				}
			}
		}
	}
	if lines < 4 {
		t.Errorf("%d flags in the README", lines)
	}
}
