package faults

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// service runs or ends the example service, which polls with the credentials
// of NAME.secret and listens on $SHOP: service start|stop NAME.
func (w *world) service(ts *testscript.TestScript, _ bool, args []string) {
	name := args[1]
	switch args[0] {
	case "start":
		c := exec.Command(filepath.Join(w.bin, "service"), "--issuer", "http://"+w.address, "--audience", "http://"+ts.Getenv("SHOP"),
			"--secret-file", filepath.Join(w.dir, name+".secret"), "--listen", ts.Getenv("SHOP"))
		c.Env, c.Stderr, c.Dir = environ(), &w.log, w.dir
		ts.Check(c.Start())
		if w.services == nil {
			w.services = map[string]*exec.Cmd{}
		}
		w.services[name] = c
	case "stop":
		w.endService(name)
	default:
		ts.Fatalf("service start or stop")
	}
}

func (w *world) endService(name string) {
	c := w.services[name]
	delete(w.services, name)
	c.Process.Signal(syscall.SIGTERM)
	ended := time.AfterFunc(5*time.Second, func() { c.Process.Kill() })
	c.Wait()
	ended.Stop()
}
