package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"readmit.dev/readmit/api"
)

// nodes is an account server of one or several processes beside each other,
// with services that follow it.
type nodes struct {
	dir      string
	public   string // the address that all of them are
	all      []*node
	services []*serviceProcess
}

// node is one process, and its operator's socket.
type node struct {
	*serverProcess
	data     string
	operator *http.Client
}

// startNodes starts some nodes on the database that is given, or one on an
// embedded store where none is.
func (b *bench) startNodes(name, store string, count int, on cores) (n *nodes, err error) {
	n = &nodes{dir: filepath.Join(b.data, name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.stop())
		}
	}()
	config := "push_private = [\"127.0.0.1\"]\n"
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return n, err
	}
	if store != "" {
		key := filepath.Join(n.dir, "master.key")
		if out, err := exec.Command(b.binary, "admin", "key", "new", key).CombinedOutput(); err != nil {
			return n, fmt.Errorf("readmit admin key new: %w: %s", err, out)
		}
		config += fmt.Sprintf("store = %q\nmaster_key = %q\n", store, key)
	}
	file := filepath.Join(n.dir, "readmit.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return n, err
	}
	for i := range count {
		one := &node{data: filepath.Join(n.dir, fmt.Sprint(i))}
		more := []string{"--config", file}
		if n.public != "" {
			more = append(more, "--url", n.public)
		}
		if one.serverProcess, _, err = launch(b.binary, one.data, on, more...); err != nil {
			return n, err
		}
		if n.public == "" {
			n.public = "http://" + one.address
		}
		one.operator = onSocket(filepath.Join(one.data, api.AdminSocket))
		n.all = append(n.all, one)
	}
	return n, nil
}

func onSocket(path string) *http.Client {
	return &http.Client{Timeout: callTime, Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

func (n *nodes) stop() error {
	var failed []error
	for _, s := range n.services {
		failed = append(failed, s.stop())
	}
	for _, one := range n.all {
		failed = append(failed, one.serverProcess.stop())
	}
	return errors.Join(failed...)
}

// cpu is the processor time that all nodes have used.
func (n *nodes) cpu() (all time.Duration, err error) {
	for _, one := range n.all {
		used, err := one.serverProcess.cpu()
		if err != nil {
			return 0, err
		}
		all += used
	}
	return all, nil
}

// act is what an operator does with an account, at one node.
func (one *node) act(path, account string) error {
	return one.operate(path, api.AdminAccount{Account: account}, nil)
}

// operate makes a call on the operator's socket. A nil out wants no body.
func (one *node) operate(path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	a, err := one.operator.Post("http://operator"+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	switch {
	case err != nil:
		return err
	case a.StatusCode/100 != 2:
		return refused(path, a.StatusCode, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}

// serviceProcess is the example of a service, a process of its own.
type serviceProcess struct {
	name    string // for the table
	address string
	cmd     *exec.Cmd
	stderr  *bytes.Buffer
}

// addService registers a service and starts it.
func (n *nodes) addService(service, name string, push bool) (*serviceProcess, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &serviceProcess{name: name, address: free.Addr().String(), stderr: &bytes.Buffer{}}
	free.Close()
	registered := api.AdminServiceNew{Name: name, Audience: s.audience()}
	secret := filepath.Join(n.dir, name+".secret")
	flags := []string{"--issuer", n.public, "--audience", s.audience(), "--secret-file", secret, "--listen", s.address}
	if push {
		registered.Push, flags = s.audience()+"/signals", append(flags, "--push")
	}
	var credentials api.AdminServiceAdded
	if err := n.all[0].operate(api.AdminServiceAdd, registered, &credentials); err != nil {
		return nil, err
	}
	if err := os.WriteFile(secret, []byte(credentials.Secret+"\n"+credentials.Token+"\n"), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(service, flags...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	n.services = append(n.services, s)
	return s, s.ready()
}

func (s *serviceProcess) audience() string { return "http://" + s.address }

// ready waits until the service has its keys and hears of signals.
func (s *serviceProcess) ready() error {
	c := http.Client{Timeout: time.Second}
	var state struct {
		Ready bool `json:"ready"`
	}
	for began := time.Now(); time.Since(began) < startWait; time.Sleep(20 * time.Millisecond) {
		a, err := c.Get(s.audience() + "/status")
		if err != nil {
			continue
		}
		err = json.NewDecoder(a.Body).Decode(&state)
		a.Body.Close()
		if err == nil && state.Ready {
			return nil
		}
	}
	return fmt.Errorf("the service %s does not hear of signals: %s", s.name, s.stderr)
}

func (s *serviceProcess) stop() error {
	s.cmd.Process.Signal(os.Interrupt)
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(startWait):
		s.cmd.Process.Kill()
		return fmt.Errorf("the service %s did not stop when it was asked to", s.name)
	}
}

// buildService builds the example.
func (b *bench) buildService() (string, error) {
	path := filepath.Join(b.data, "service")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "readmit.dev/readmit/examples/service").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the example of a service: %w: %s", err, out)
	}
	return path, nil
}
