package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// serverProcess is the account server, the real binary, on a core of its own.
type serverProcess struct {
	cmd     *exec.Cmd
	address string
	stderr  *bytes.Buffer
	ended   chan error
}

// launch starts the server and returns when it answers that it is healthy,
// with how long that took.
func launch(binary, data string, cores cores, more ...string) (*serverProcess, time.Duration, error) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	address := free.Addr().String()
	free.Close()
	path, err := filepath.Abs(binary)
	if err != nil {
		return nil, 0, err
	}
	s := &serverProcess{address: address, stderr: &bytes.Buffer{}, ended: make(chan error, 1)}
	s.cmd = exec.Command(path, append([]string{"serve", "--data", data, "--listen", address}, more...)...)
	s.cmd.Stderr = s.stderr
	s.cmd.Env = os.Environ()
	if cores.pinned {
		s.cmd.Env = append(s.cmd.Env, "GOMAXPROCS=1")
	}
	began := time.Now()
	if err := cores.startOn(s.cmd); err != nil {
		return nil, 0, err
	}
	go func() { s.ended <- s.cmd.Wait() }()
	took, err := s.healthy(began)
	if err != nil {
		s.stop()
		return nil, 0, err
	}
	return s, took, nil
}

// startWait is how long a start may take before it has failed.
const startWait = 20 * time.Second

func (s *serverProcess) healthy(began time.Time) (time.Duration, error) {
	c := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for time.Since(began) < startWait {
		select {
		case err := <-s.ended:
			s.ended <- err
			return 0, fmt.Errorf("the server ended at its start: %w: %s", err, s.stderr)
		default:
		}
		// The socket is taken before the server answers on it: the time until
		// the answer counts, not until the connection.
		answer, err := c.Get("http://" + s.address + "/healthz")
		if err != nil {
			time.Sleep(200 * time.Microsecond)
			continue
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("the server did not become healthy in %s: %s", startWait, s.stderr)
}

// stop ends the server as an operator would, and waits for it.
func (s *serverProcess) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-s.ended:
		s.ended <- err
		return err
	case <-time.After(startWait):
		s.cmd.Process.Kill()
		return errors.New("the server did not stop when it was asked to")
	}
}

// ticks is how many units of /proc's CPU time make a second on Linux.
const ticks = 100

// cpu is the processor time the server has used: user and kernel, all threads.
func (s *serverProcess) cpu() (time.Duration, error) { return cpuOf(s.cmd.Process.Pid) }

func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in brackets may hold spaces; what follows it does not.
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, err
	}
	kernel, err := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+kernel) * time.Second / ticks, err
}

// memory is a line of /proc's status, in bytes: VmRSS now, VmHWM at most.
func (s *serverProcess) memory(line string) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, l := range strings.Split(string(b), "\n") {
		name, value, _ := strings.Cut(l, ":")
		if name != line {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		return kib * 1024, err
	}
	return 0, fmt.Errorf("/proc/status has no %s", line)
}

// cores says where server and load run.
type cores struct {
	pinned       bool
	server, load int
}

func (c cores) String() string {
	if !c.pinned {
		return fmt.Sprintf("%s/%s, server and load share %d cores, not pinned", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	}
	return fmt.Sprintf("%s/%s, server on core %d, load on core %d", runtime.GOOS, runtime.GOARCH, c.server, c.load)
}

// shares is the processor time the server has used, and how long its threads
// were ready to run and had no core; that is known on Linux alone.
func (s *serverProcess) shares() (had, waited time.Duration, err error) {
	all, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for _, name := range all {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has ended
		}
		if err != nil {
			return 0, 0, err
		}
		var h, w int64 // nanoseconds
		if _, err := fmt.Sscan(string(b), &h, &w); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", name, err)
		}
		had, waited = had+time.Duration(h), waited+time.Duration(w)
	}
	return had, waited, nil
}
