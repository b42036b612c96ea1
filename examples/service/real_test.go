package main_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/verify"
	"readmit.dev/readmit/verify/verifytest"
)

// real is the account server itself, a process of its own.
type real struct {
	t            *testing.T
	program, dir string
	address      string
}

func newReal(t *testing.T) *real {
	t.Helper()
	dir := t.TempDir()
	r := &real{t: t, program: filepath.Join(dir, "readmit"), dir: dir, address: free(t)}
	if filepath.Ext(binary) == ".exe" {
		r.program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w -X main.stretch=least", "-o", r.program, "readmit.dev/readmit/cmd/readmit").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := filepath.Join(dir, "readmit.toml")
	if err := os.WriteFile(config, []byte("push_private = [\"127.0.0.1\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	server := exec.Command(r.program, "serve", "--config", config, "--data", filepath.Join(dir, "data"), "--listen", r.address)
	server.Stderr = &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Logf("the account server said:\n%s", &said)
		}
	})
	eventually(t, 20*time.Second, "the account server answers", func() bool {
		a, err := client.Get(r.url() + api.PathHealth)
		if err != nil {
			return false
		}
		a.Body.Close()
		return a.StatusCode == http.StatusOK
	})
	return r
}

func (r *real) url() string { return "http://" + r.address }

func (r *real) admin(args ...string) {
	r.t.Helper()
	if out, err := exec.Command(r.program, append([]string{"admin", "--data", filepath.Join(r.dir, "data")}, args...)...).CombinedOutput(); err != nil {
		r.t.Fatalf("readmit admin %v: %v: %s", args, err, out)
	}
}

// jane is an account of the real server, on a device.
type jane struct {
	t       *testing.T
	who     *verifytest.Person
	client  *agent.Client
	session string
}

const account = "jane@example.org"

func (r *real) signUp() *jane {
	r.t.Helper()
	key, err := device.GenerateKey()
	if err != nil {
		r.t.Fatal(err)
	}
	j := &jane{t: r.t, who: &verifytest.Person{Key: key}, client: agent.NewClient(r.url(), key, time.Now)}
	is := api.Client{Name: "readmit", Version: "0.1.0", System: "linux", SystemVersion: "6.1", Protocol: api.Protocol}
	reg, request, err := opaque.StartRegistration([]byte("correct horse battery staple"))
	if err != nil {
		r.t.Fatal(err)
	}
	var begun api.SignUpStarted
	j.call(api.PathSignUpStart, api.SignUpStart{Account: account, Request: request, Client: is}, &begun)
	stretched := make([]byte, 64) // Argon2id's outcome is as random
	rand.Read(stretched)
	record, _, err := reg.FinishWith(begun.Response, stretched)
	if err != nil {
		r.t.Fatal(err)
	}
	var done api.SignedIn
	j.call(api.PathSignUpFinish, api.SignUpFinish{
		Account: account, Record: record, Stretch: api.Stretch{Memory: 64 << 10, Time: 3, Threads: 4}, DeviceName: "laptop", Client: is,
	}, &done)
	j.session = done.Session
	return j
}

func (j *jane) call(path string, in, out any) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := j.client.Call(ctx, path, in, out); err != nil {
		j.t.Fatalf("%s: %v", path, err)
	}
}

func (j *jane) token(audience string) string {
	j.t.Helper()
	var out api.Token
	j.call(api.PathToken, api.TokenRequest{Session: j.session, Audience: audience}, &out)
	return out.AccessToken
}

// The example against the real account server, pushed and polled: changes take
// effect at once, and the owner sees that they have.
func TestRealAccountServer(t *testing.T) {
	server := newReal(t)
	var all []*process
	for _, way := range []string{"--push", "--poll"} {
		address := free(t)
		file := filepath.Join(server.dir, "secret"+way)
		add := []string{"service", "add", "notes" + way, "--audience", "http://" + address, "--secret-file", file, way}
		var flags []string
		if way == "--push" {
			add, flags = append(add, "http://"+address+"/signals"), []string{way}
		}
		server.admin(add...)
		p := start(t, server.url(), address, file, flags...)
		eventually(t, 30*time.Second, "signals are heard of", func() bool { return p.status().Ready })
		all = append(all, p)
	}
	j := server.signUp()
	change := func(what string, want verify.Reason, make func()) {
		t.Helper()
		tokens := map[*process]string{}
		for _, p := range all {
			tokens[p] = j.token(p.address)
			p.want(j.who, tokens[p], "", "before "+what)
		}
		make()
		for _, p := range all {
			if took := p.refused(j.who, tokens[p], want); took > time.Second {
				t.Errorf("%s: refused after %s", what, took)
			}
		}
	}
	change("it was disabled", verify.Stale, func() { server.admin("disable", account) })
	server.admin("enable", account)
	eventually(t, 5*time.Second, "the services hear that it was enabled", func() bool {
		for _, p := range all {
			if _, reason, _ := p.use(j.who, j.token(p.address), "GET", ""); reason != "" {
				return false
			}
		}
		return true
	})
	eventually(t, 5*time.Second, "the owner sees that all is applied", func() bool {
		var got api.Receipts
		j.call(api.PathReceipts, api.ReceiptsRequest{Session: j.session}, &got)
		applied := 0
		for _, r := range got.Receipts {
			if r.Applied >= r.Made && r.Made > 0 {
				applied++
			}
		}
		return applied == len(got.Receipts) && applied >= 2*len(all)
	})
	change("its session ended", verify.Ended, func() { j.call(api.PathSignOut, api.Signed{Session: j.session}, nil) })
}

// TestRealSilentStream: a service whose stream was disabled with its own secret
// says that it hears nothing, and takes none of what was issued meanwhile when
// it hears again. The owner sees it.
func TestRealSilentStream(t *testing.T) {
	server := newReal(t)
	address, file := free(t), filepath.Join(server.dir, "secret")
	server.admin("service", "add", "notes", "--audience", "http://"+address, "--secret-file", file, "--poll")
	p := start(t, server.url(), address, file)
	eventually(t, 30*time.Second, "signals are heard of", func() bool { return p.status().Ready })
	j := server.signUp()
	token := j.token(p.address)
	p.want(j.who, token, "", "before")

	secret, err := verify.SecretFile(file)()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, path string, in, out any) {
		t.Helper()
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest(method, server.url()+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		if a.StatusCode != http.StatusOK || json.NewDecoder(a.Body).Decode(out) != nil {
			t.Fatalf("%s %s: %d", method, path, a.StatusCode)
		}
	}
	var streams []api.Stream
	ask("GET", api.PathStream, nil, &streams)
	ask("POST", api.PathStatus, api.StreamStatus{ID: streams[0].ID, Status: "disabled"}, new(api.StreamStatus))
	server.admin("disable", account)
	server.admin("enable", account)
	eventually(t, 5*time.Second, "the service says that it hears nothing", func() bool {
		s := p.status()
		return !s.Ready && strings.Contains(s.Error, "disabled")
	})
	was := p.status().Stale
	time.Sleep(time.Second)
	if s := p.status(); s.Stale < was+900*time.Millisecond {
		t.Errorf("stale for %s, and a second later for %s", was, s.Stale)
	}
	var got api.Receipts
	j.call(api.PathReceipts, api.ReceiptsRequest{Session: j.session}, &got)
	if len(got.Silent) != 1 || got.Silent[0].Service != "notes" || got.Silent[0].Status != "disabled" || got.Silent[0].Since == 0 {
		t.Errorf("the owner is shown %+v", got.Silent)
	}

	server.admin("service", "resume", "notes")
	if took := p.refused(j.who, token, verify.Stale); took > 10*time.Second {
		t.Errorf("refused after %s", took)
	}
	eventually(t, 20*time.Second, "the service is ready again", func() bool { s := p.status(); return s.Ready && s.Error == "" })
	p.want(j.who, j.token(p.address), "", "a fresh token")
}

// What the example says to who is refused is a problem of this protocol.
func TestProblemIsOfTheProtocol(t *testing.T) {
	server := newReal(t)
	address := free(t)
	p := start(t, server.url(), address, credentials(t))
	a, err := client.Get(p.address + "/notes")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	var problem api.Problem
	if err := json.NewDecoder(a.Body).Decode(&problem); err != nil || problem.Status != 401 || problem.Code != api.BadRequest || problem.Reason != string(verify.Missing) {
		t.Errorf("%+v, %v", problem, err)
	}
	eventually(t, 10*time.Second, "credentials that nobody knows are told", func() bool {
		s := p.status()
		return !s.Ready && s.Error != ""
	})
}
