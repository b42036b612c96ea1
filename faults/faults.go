// Package faults makes every cause in the running system and sees that it is
// named: real processes of the built program, a server and several devices,
// talking over a socket; nothing of ours is replaced by a stand-in.
//
// Each cause has a script of its own, testdata/script/<cause>.txtar: it makes
// the fault, sees the refusal, asks the right audience, applies the remedy and
// signs in again. Scripts named two-*.txtar make two causes at once and see the
// root named first; those named fault-*.txtar make service-fault elsewhere than on
// the server's disk: a database that is gone, takes no writes or is slow, at a
// node and as a service meets it; those named usage-* and bad-* go through what is no cause: the
// commands as a person uses them, and input that is refused. The commands that scripts use are in commands.go; what has
// to be done to the world for a fault, beside them: the disk (disk_linux.go),
// the network (network.go), the device's key (commands.go).
//
// "go test ./faults" runs the scripts as tests; faults/matrix prints the table.
package faults

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// Steps that a script goes through, in this order.
var Steps = []string{"made", "named", "remedied", "signed-in"}

// Record holds how far each script came.
type Record struct {
	mu   sync.Mutex
	done map[string][]string // by script
}

// Reached returns the steps a script has gone through.
func (r *Record) Reached(script string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.done[script]...)
}

func (r *Record) stamp(script, step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done == nil {
		r.done = map[string][]string{}
	}
	r.done[script] = append(r.done[script], step)
}

// Build builds the program, and a newer version of it that devices can be
// updated to, into a folder.
func Build(dir string) error {
	for name, version := range map[string]string{"readmit": "0.1.0", "readmit-newer": "0.3.0"} {
		c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.stretch=least -X main.version="+version, "-o", filepath.Join(dir, name), "readmit.dev/readmit/cmd/readmit")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stdout, c.Stderr = os.Stderr, os.Stderr
		if err := c.Run(); err != nil {
			return err
		}
	}
	return buildPeers(dir)
}

// Passwords that every script finds in files of these names.
var passwords = map[string]string{
	"right.txt": "seven green lanterns", "wrong.txt": "seven grey lanterns", "new.txt": "nine quiet harbours", "other.txt": "eleven tall chimneys",
}

// worldKey is where a script's world is kept.
type worldKey struct{}

// Params are how the scripts of a folder are run with the programs in bin, and
// with the databases that they share.
func Params(scripts, bin string, r *Record, d *Databases) testscript.Params {
	return testscript.Params{
		Dir:                 scripts,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for name, p := range passwords {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(p+"\n"), 0o600); err != nil {
					return err
				}
			}
			w := &world{dir: e.WorkDir, bin: bin, record: r, databases: d}
			address, err := freeAddress()
			if err != nil {
				return err
			}
			w.address = address
			e.Setenv("SERVER", "http://"+address)
			e.Setenv("ADDRESS", address)
			shop, err := freeAddress()
			if err != nil {
				return err
			}
			e.Setenv("SHOP", shop)
			e.Setenv("NAMED", "http://localhost"+address[strings.LastIndexByte(address, ':'):]) // for --url
			e.Setenv("READMIT_KEYSTORE", "file")
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Values[worldKey{}] = w
			e.Defer(w.end)
			return nil
		},
		Cmds: commands(),
	}
}

// script is the name of the script that runs.
func script(ts *testscript.TestScript) string {
	return strings.TrimSuffix(filepath.Base(ts.Name()), ".txtar")
}

// Missing returns the first step that was not reached in its order; empty for none.
func Missing(reached []string) string {
	i := 0
	for _, s := range reached {
		if i < len(Steps) && s == Steps[i] {
			i++
		}
	}
	if i == len(Steps) {
		return ""
	}
	return Steps[i]
}
