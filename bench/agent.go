package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/resident"
)

const (
	// idleFor is how long the agent is left alone before its memory is taken.
	idleFor = 30 * time.Second
	// asks is how often a token is asked for.
	asks = 200
	// callers are the processes that ask together when the token has ended.
	callers = 20
)

// machine is a device with a home of its own and the real program.
type machine struct {
	binary string
	home   agent.Home
	env    []string
}

// partAgent measures the agent of one device: idle, and asked for tokens. Agent
// and commands run where they like, as on a device: what starts with one core
// is not given the threads that it has anywhere else.
func (b *bench) partAgent() error { return b.cores.unpinned(b.device) }

func (b *bench) device() (err error) {
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.data, "device")
	m := machine{binary: binary, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.data, "READMIT_HOME=" + dir, "READMIT_KEYSTORE=file"}}
	if m.home, err = agent.OpenHome(func(string) string { return dir }); err != nil {
		return err
	}
	password := filepath.Join(b.data, "password")
	if err := os.WriteFile(password, []byte("a bench of oak by the pond\n"), 0o600); err != nil {
		return err
	}
	if _, err := m.run("sign-up", "--server", "http://"+b.server.address, "--account", "agent@example.org", "--password-file", password); err != nil {
		return err
	}
	a := exec.Command(m.binary, "agent", "--service")
	a.Env = m.env
	if err := a.Start(); err != nil {
		return err
	}
	defer func() {
		_, stopped := m.run("agent", "stop")
		err = errors.Join(err, stopped, a.Wait())
	}()
	for begun := time.Now(); !resident.Runs(context.Background(), m.home); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > startWait {
			return errors.New("the agent does not answer")
		}
	}
	if err := b.idle(&serverProcess{cmd: a}); err != nil {
		return err
	}
	if err := b.asked(m); err != nil {
		return err
	}
	return b.together(m)
}

func (m machine) run(args ...string) (string, error) {
	c := exec.Command(m.binary, args...)
	var said bytes.Buffer
	c.Env, c.Stderr = m.env, &said
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("readmit %s: %w: %s", args[0], err, said.String())
	}
	return string(out), err
}

// idle leaves the agent alone, and looks what it uses.
func (b *bench) idle(a *serverProcess) error {
	time.Sleep(idleFor / 2) // it has given back what its start has used
	before, err := a.cpu()
	if err != nil {
		return err
	}
	time.Sleep(idleFor / 2)
	after, err := a.cpu()
	if err != nil {
		return err
	}
	rss, err := a.memory("VmRSS")
	if err != nil {
		return err
	}
	b.below("agent's memory, idle for half a minute", 20, rss/1e6, "MB", fmt.Sprintf("processor time in the last half of it: %.0f ms", ms(after-before)))
	return nil
}

// asked measures a token from the agent: over its socket, and by a process.
func (b *bench) asked(m machine) error {
	var socket, process []float64
	for range asks {
		began := time.Now()
		if _, err := resident.Call(context.Background(), m.home, resident.Ask{Do: resident.DoToken, MinValid: 60}); err != nil {
			return err
		}
		socket = append(socket, ms(time.Since(began)))
		began = time.Now()
		if _, err := m.run("token"); err != nil {
			return err
		}
		process = append(process, ms(time.Since(began)))
	}
	slices.Sort(socket)
	slices.Sort(process)
	b.below("a token from the agent, over its socket", 10, socket[asks/2], "ms", fmt.Sprintf("median of %d; 99 %% %.1f ms", asks, socket[asks*99/100]))
	b.below("readmit token as a process", 10, process[asks/2], "ms", fmt.Sprintf("median of %d; the fastest %.1f, 99 %% %.1f ms", asks, process[0], process[asks*99/100]))
	return nil
}

// together has processes ask at once when the token has ended, and counts what
// the account server saw of it.
func (b *bench) together(m machine) error {
	unlock, err := m.home.Lock(context.Background())
	if err != nil {
		return err
	}
	s, err := m.home.Session()
	if err == nil {
		s.Tokens = nil
		err = m.home.Save(agent.SessionFile, s)
	}
	unlock()
	if err != nil {
		return err
	}
	before, err := b.refreshed()
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	failed := make([]error, callers)
	for i := range callers {
		all.Go(func() { _, failed[i] = m.run("token") })
	}
	all.Wait()
	after, err := b.refreshed()
	if err := errors.Join(append(failed, err)...); err != nil {
		return err
	}
	b.below("20 processes ask when the token has ended: refreshes", 2, float64(after-before), "", "")
	return nil
}

// refreshed is how many refreshes the account server has answered.
func (b *bench) refreshed() (int, error) {
	operator := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(b.data, "d", api.AdminSocket))
	}}}
	answer, err := operator.Get("http://admin" + api.AdminMetrics)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`(?m)^readmit_calls_total\{path="/v1/token",status="200"\} (\d+)$`).FindSubmatch(all)
	if m == nil {
		return 0, nil
	}
	return strconv.Atoi(string(m[1]))
}
