package faults

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
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// world is one script's: its server, its network, its devices.
type world struct {
	dir     string
	bin     string
	record  *Record
	address string // what devices connect to
	process *exec.Cmd
	log     output
	said    output   // what commands wrote on standard error
	mailed  output   // what it wrote for the account's addresses
	read    int      // how much of that a script has read
	code    int      // the last exit code
	updated []string // devices with the newer program
	keys    *keyStore
	desktop *desktop
	asleep  []int // processes of agents that stand still
	given   int   // refreshes that were counted
	path    *path // what lies between, when it is not the loopback alone

	recoveries          map[string]*recovering // by device
	lineKey, lineClient string                 // the line of the matrix that is worked on
	sums                map[string]string      // of folders, before a repair
	passkeys            passkeys
	services            map[string]*exec.Cmd // example services that run, by name
	databases           *Databases
	db                  *database // the script's own
}

func (w *world) data() string { return filepath.Join(w.dir, "data") }

// end stops what the script left running.
func (w *world) end() {
	w.endAgents()
	for name := range w.services {
		w.endService(name)
	}
	w.stop()
	if w.keys != nil {
		w.keys.end()
	}
	if w.path != nil {
		w.path.close()
	}
	if w.db != nil {
		w.db.between.close()
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (w *world) server(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "stop":
		ts.Check(w.stop())
	case "start":
		if err := w.start(args[1:]); err != nil {
			ts.Fatalf("%v\n%s", err, w.log.String())
		}
	case "ready":
		for range 1000 {
			if w.answers(context.Background(), "/readyz") {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		ts.Fatalf("the server does not become ready")
	default:
		ts.Fatalf("server start, stop or ready")
	}
}

// start starts the account server and waits until it answers. -shift D moves
// its clock; other flags are serve's.
func (w *world) start(args []string) error {
	env := environ()
	if len(args) > 1 && args[0] == "-shift" {
		env, args = append(env, "READMIT_CLOCK_SHIFT="+args[1]), args[2:]
	}
	listen := []string{"--listen", w.address}
	if w.path != nil {
		listen = []string{"--config", w.path.config, "--listen", w.path.server}
	}
	c := exec.Command(filepath.Join(w.bin, "readmit"), append(append([]string{"serve", "--data", w.data()}, listen...), args...)...)
	c.Env, c.Stdout, c.Stderr, c.Dir = env, &w.mailed, &w.log, w.dir
	if err := c.Start(); err != nil {
		return err
	}
	w.process = c
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if w.healthy(ctx) {
			return nil
		}
	}
	return fmt.Errorf("the server does not answer")
}

func (w *world) healthy(ctx context.Context) bool {
	if w.path != nil { // TLS: that the port is open says enough
		c, err := net.Dial("tcp", w.path.server)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
	return w.answers(ctx, "/healthz")
}

// answers reports whether the server answers a path with 200.
func (w *world) answers(ctx context.Context, path string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+path, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (w *world) stop() error {
	if w.process == nil {
		return nil
	}
	w.process.Process.Signal(syscall.SIGTERM)
	err := w.process.Wait()
	w.process = nil
	return err
}

// output is what the server logs; several goroutines look at it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(o.buf.String())
}

// write puts a file of a script in its place.
func (w *world) write(name string, b []byte) (string, error) {
	path := filepath.Join(w.dir, name)
	return path, os.WriteFile(path, b, 0o600)
}
