package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/resident"
)

// assassin lies between a device and the account server: it passes an answer on
// and kills the device's process in the moments in which that is being read,
// understood and written down.
type assassin struct {
	server string // where the real one listens

	mu     sync.Mutex
	path   string // whose answer is awaited; empty for none
	target *os.Process
	struck chan struct{}
}

// aim makes the next answer of a path the last thing a process gets.
func (a *assassin) aim(path string, target *os.Process) <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.path, a.target, a.struck = path, target, make(chan struct{})
	return a.struck
}

func (a *assassin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+a.server+r.URL.Path, r.Body)
	if err != nil {
		return
	}
	out.Header, out.ContentLength = r.Header.Clone(), r.ContentLength
	answer, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	w.Write(body)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.path != r.URL.Path || answer.StatusCode != http.StatusOK {
		return
	}
	a.path = ""
	http.NewResponseController(w).Flush()
	time.Sleep(rand.N(2500 * time.Microsecond))
	a.target.Kill()
	close(a.struck)
}

// answers kills a device between the server's answer and its writing down, many
// times: a lone refresh, the agent's, a sign-in that ends the session before.
// The next command has to go well without a word.
func (t *torture) answers(ctx context.Context, rounds int) (string, error) {
	dir, err := os.MkdirTemp("", "readmit-torture-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	s, err := newServer(t.binary, filepath.Join(dir, "data"))
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	between := &assassin{server: s.address}
	proxy := &http.Server{Handler: between}
	go proxy.Serve(l)
	defer proxy.Close()
	config := filepath.Join(dir, "readmit.toml")
	if err := os.WriteFile(config, []byte("url = \"http://"+l.Addr().String()+"\"\n"), 0o600); err != nil {
		return "", err
	}
	s.config = config
	if err := s.start(ctx); err != nil {
		return "", err
	}
	defer s.kill()
	d := &victim{t: t, dir: dir, home: filepath.Join(dir, "home"), between: between, url: "http://" + l.Addr().String()}
	if err := d.prepare(ctx); err != nil {
		return "", err
	}
	defer d.run(context.WithoutCancel(ctx), "agent", "stop")
	for round := range rounds {
		kind := "refresh"
		switch {
		case round%10 == 9:
			kind = "sign-in"
		case round%4 == 3:
			kind = "agent"
		}
		if err := d.once(ctx, kind); err != nil {
			return "", fmt.Errorf("round %d, %s: %w", round+1, kind, err)
		}
		if (round+1)%50 == 0 && round+1 < rounds {
			fmt.Fprintf(t.stderr, "answer: %d of %d\n", round+1, rounds)
		}
	}
	if d.lost == 0 && rounds >= 50 { // a third are, by chance
		return "", errors.New("no answer was lost: the kills came too late")
	}
	return fmt.Sprintf("%d times killed between answer and save (%d answers lost), each recovered without a word", rounds, d.lost), nil
}

// victim is the device.
type victim struct {
	t       *torture
	dir     string
	home    string
	url     string
	between *assassin
	lost    int // answers that were not written down
}

func (d *victim) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, d.t.binary, args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + d.dir, "TMPDIR=" + os.TempDir(), "READMIT_HOME=" + d.home, "READMIT_KEYSTORE=file"}
	return c
}

// run runs a command that has to go well, and returns what it said on standard error.
func (d *victim) run(ctx context.Context, args ...string) (string, error) {
	var said bytes.Buffer
	c := d.command(ctx, args...)
	c.Stderr = &said
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("%w: readmit %s: %w: %s", errWrong, strings.Join(args, " "), err, said.String())
	}
	return said.String(), nil
}

func (d *victim) prepare(ctx context.Context) error {
	if err := os.WriteFile(filepath.Join(d.dir, "password"), []byte("seven green lanterns\n"), 0o600); err != nil {
		return err
	}
	_, err := d.run(ctx, "sign-up", "--server", d.url, "--account", "jane@example.org", "--password-file", filepath.Join(d.dir, "password"), "--device-name", "laptop")
	return err
}

func (d *victim) session() []byte {
	b, err := os.ReadFile(filepath.Join(d.home, agent.SessionFile))
	if err != nil {
		return nil
	}
	return b
}

func (d *victim) once(ctx context.Context, kind string) error {
	before := d.session()
	c := d.command(ctx, "token", "--min-valid", "5m")
	path := api.PathToken
	switch kind {
	case "sign-in":
		c, path = d.command(ctx, "sign-in", "--password-file", filepath.Join(d.dir, "password")), api.PathSignInFinish
	case "agent":
		if err := d.expire(ctx); err != nil {
			return err
		}
		before = d.session()
		c = d.command(ctx, "agent", "--service")
	}
	if err := c.Start(); err != nil {
		return err
	}
	struck := d.between.aim(path, c.Process)
	select {
	case <-struck:
	case <-time.After(30 * time.Second):
		c.Process.Kill()
		c.Wait()
		return errors.New("no answer came by")
	}
	c.Wait()
	if bytes.Equal(before, d.session()) {
		d.lost++
	}
	said, err := d.run(ctx, "token", "--min-valid", "5m")
	if err == nil && said != "" {
		err = fmt.Errorf("%w: the next command was not silent: %s", errWrong, said)
	}
	if err != nil || kind != "agent" {
		return err
	}
	// The agent that comes after it finds its place, and refreshes.
	if _, err := d.run(ctx, "agent", "start"); err != nil {
		return err
	}
	if said, err = d.run(ctx, "token"); err == nil && said != "" {
		err = fmt.Errorf("%w: asking the agent was not silent: %s", errWrong, said)
	}
	if err != nil {
		return err
	}
	_, err = d.run(ctx, "agent", "stop")
	return err
}

// expire ends the tokens that the device has in hand.
func (d *victim) expire(ctx context.Context) error {
	h, err := agent.OpenHome(func(string) string { return d.home })
	if err != nil {
		return err
	}
	if state, _ := resident.Look(ctx, h); state == resident.Running {
		return fmt.Errorf("%w: an agent is left over", errWrong)
	}
	s, err := h.Session()
	if err != nil {
		return err
	}
	for audience, t := range s.Tokens {
		t.Expires = time.Now().Add(-time.Minute)
		s.Tokens[audience] = t
	}
	return h.Save(agent.SessionFile, s)
}
