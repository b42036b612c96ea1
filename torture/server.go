package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"readmit.dev/readmit/api"
)

// server is the account server's process.
type server struct {
	binary, data, address string
	config                string // a configuration file; empty for none
	process               *exec.Cmd
	log                   *bytes.Buffer
}

func newServer(binary, data string) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &server{binary: binary, data: data, address: l.Addr().String()}, nil
}

func (s *server) url() string { return "http://" + s.address }

func (s *server) socket() string { return filepath.Join(s.data, api.AdminSocket) }

func (s *server) start(ctx context.Context) error {
	args := []string{"serve", "--data", s.data, "--listen", s.address}
	if s.config != "" {
		args = append(args, "--config", s.config)
	}
	c := exec.Command(s.binary, args...)
	s.log = new(bytes.Buffer)
	c.Stderr = s.log
	if err := c.Start(); err != nil {
		return err
	}
	s.process = c
	if err := s.ready(ctx, 20*time.Second); err != nil {
		s.kill()
		return fmt.Errorf("%w\n%s", err, s.log)
	}
	return nil
}

// ready waits until the server can keep what it must.
func (s *server) ready(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("the server does not become ready")
}

// kill ends it as a power failure of the process would: at once.
func (s *server) kill() {
	if s.process == nil {
		return
	}
	s.process.Process.Kill()
	s.process.Wait()
	s.process = nil
	http.DefaultClient.CloseIdleConnections()
}

// operate makes a call on the operator's socket.
func (s *server) operate(ctx context.Context, path string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	operator := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket())
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://operator"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := operator.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", path, a.Status)
	}
	return nil
}

// failSyncs lets every fsync and fdatasync of the server fail with EIO, from
// when it returns until right is called.
func (s *server) failSyncs() (right func(), err error) {
	pid := s.process.Process.Pid
	c := exec.Command("strace", "-f", "-qq", "-p", strconv.Itoa(pid), "-o", os.DevNull, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO")
	said := new(bytes.Buffer)
	c.Stderr = said
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("%w (make deps installs strace)", err)
	}
	right = sync.OnceFunc(func() {
		c.Process.Signal(os.Interrupt)
		c.Wait()
	})
	for range 500 {
		if traced(pid) {
			return right, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	right()
	return nil, fmt.Errorf("strace could not attach to the server: %s", said)
}

// traced reports whether each thread of a process is being traced.
func traced(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, t := range threads {
		b, err := os.ReadFile(t)
		if err != nil || bytes.Contains(b, []byte("TracerPid:\t0\n")) {
			return false
		}
	}
	return true
}
