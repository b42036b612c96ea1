package faults

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/resident"
)

// agentCommands are what scripts have for agents and key stores:
//
//	keystore start|lock|unlock     the key store of all devices that write from now on
//	keystore holds N               it has so many entries
//	kill-agent DEVICE              kill -9 the agent of a device
//	gone-agent DEVICE              wait until the agent of a device has ended by itself
//	sleep-agent, wake-agent DEVICE the agent of a device stands still, once its stream is open; it goes on
//	fetches N                      wait until devices have fetched requests to sign in so often altogether
//	at-once N DEVICE ARGS…         so many processes run this on a device together
//	refreshes [N]                  the server has given out so many tokens by refresh since the last time
//	expire DEVICE                  the tokens that a device has in hand have ended
func agentCommands() map[string]commandFunc {
	return map[string]commandFunc{
		"keystore": onWorld((*world).keystore), "kill-agent": onWorld((*world).killAgent), "gone-agent": onWorld((*world).goneAgent),
		"sleep-agent": onWorld((*world).sleepAgent), "wake-agent": onWorld((*world).wakeAgent), "fetches": onWorld((*world).fetches),
		"at-once": onWorld((*world).atOnce), "refreshes": onWorld((*world).refreshes),
		"expire": onWorld((*world).expire), "desktop": onWorld((*world).desktopDo),
	}
}

func (w *world) keystore(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "start":
		k, err := newKeyStore()
		ts.Check(err)
		if w.keys != nil {
			w.keys.end() // another machine's
		}
		w.keys = k
		ts.Setenv("DBUS_SESSION_BUS_ADDRESS", k.address)
		ts.Setenv("READMIT_KEYSTORE", "system")
	case "lock":
		ts.Check(w.keys.lock())
	case "unlock":
		ts.Check(w.keys.unlock())
	case "holds":
		n, err := w.keys.items()
		ts.Check(err)
		if strconv.Itoa(n) != args[1] {
			ts.Fatalf("the key store holds %d entries, want %s", n, args[1])
		}
	default:
		ts.Fatalf("keystore start, lock, unlock or holds")
	}
}

// record is what the agent of a device has written of itself.
func (w *world) recordOf(device string) (resident.Record, error) {
	var r resident.Record
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, device) })
	if err == nil {
		err = home.Load(agent.AgentFile, &r)
	}
	return r, err
}

func (w *world) killAgent(ts *testscript.TestScript, _ bool, args []string) {
	r, err := w.recordOf(args[0])
	ts.Check(err)
	p, err := os.FindProcess(r.PID)
	ts.Check(err)
	ts.Check(p.Kill())
	for range 200 {
		if p.Signal(nil) != nil || !exists(r.PID) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// exists reports whether a process is there and no mere remainder.
func exists(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func (w *world) goneAgent(ts *testscript.TestScript, _ bool, args []string) {
	for range 600 {
		if r, err := w.recordOf(args[0]); err != nil || r.State != resident.Running {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("the agent of %s does not end", args[0])
}

// sleepAgent stops the process of an agent that holds a stream, as a machine that
// falls asleep does: its connections stay, and take what comes.
func (w *world) sleepAgent(ts *testscript.TestScript, _ bool, args []string) {
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, args[0]) })
	ts.Check(err)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		got, err := resident.Call(context.Background(), home, resident.Ask{Do: resident.DoStatus})
		ts.Check(err)
		if got.Status.Requests == "stream" {
			ts.Check(halt(got.Status.PID))
			w.asleep = append(w.asleep, got.Status.PID)
			return
		}
		if time.Since(begun) > 10*time.Second {
			ts.Fatalf("the agent of %s has no stream", args[0])
		}
	}
}

func (w *world) wakeAgent(ts *testscript.TestScript, _ bool, args []string) {
	r, err := w.recordOf(args[0])
	ts.Check(err)
	ts.Check(goOn(r.PID))
	w.asleep = slices.DeleteFunc(w.asleep, func(pid int) bool { return pid == r.PID })
}

func (w *world) fetches(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	for begun := time.Now(); time.Since(begun) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		var err error
		n, err = w.calls(api.PathRequests)
		ts.Check(err)
		if strconv.Itoa(n) == args[0] {
			return
		}
	}
	ts.Fatalf("requests were fetched %d times, want %s", n, args[0])
}

// endAgents stops the agents that a script has left running.
func (w *world) endAgents() {
	for _, pid := range w.asleep {
		goOn(pid)
	}
	for _, d := range devices {
		r, err := w.recordOf(d)
		if err != nil || r.State != resident.Running {
			continue
		}
		c := exec.Command(filepath.Join(w.bin, "readmit"), "agent", "stop")
		c.Env = append(environ(), "READMIT_HOME="+filepath.Join(w.dir, d))
		c.Run()
	}
}

// atOnce runs processes together; each has to end well, and all say the same.
func (w *world) atOnce(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var all sync.WaitGroup
	said, failed := make([]string, n), make([]error, n)
	env := append(environ(), "READMIT_HOME="+filepath.Join(w.dir, args[1]), "READMIT_KEYSTORE="+ts.Getenv("READMIT_KEYSTORE"),
		"DBUS_SESSION_BUS_ADDRESS="+ts.Getenv("DBUS_SESSION_BUS_ADDRESS"), "READMIT_CLOCK_SHIFT="+ts.Getenv("READMIT_CLOCK_SHIFT"))
	for i := range n {
		all.Go(func() {
			c := exec.Command(filepath.Join(w.bin, "readmit"), args[2:]...)
			c.Env = env
			b, err := c.Output()
			said[i], failed[i] = string(b), err
		})
	}
	all.Wait()
	for i := range n {
		ts.Check(failed[i])
		if said[i] == "" || said[i] != said[0] {
			ts.Fatalf("process %d of %d was told something else than the first", i+1, n)
		}
	}
}

// refreshes sees in the server's own figures how many tokens it has given out
// since the last time it was asked.
func (w *world) refreshes(ts *testscript.TestScript, _ bool, args []string) {
	now, err := w.tokens()
	ts.Check(err)
	if len(args) > 0 && strconv.Itoa(now-w.given) != args[0] {
		ts.Fatalf("%d refreshes since, want %s", now-w.given, args[0])
	}
	w.given = now
}

func (w *world) tokens() (int, error) { return w.calls(api.PathToken) }

// calls is how often the server has answered calls of a path well, by its own figures.
func (w *world) calls(path string) (int, error) {
	operator := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.data(), api.AdminSocket))
	}}}
	answer, err := operator.Get("http://admin" + api.AdminMetrics)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), "\nreadmit_calls_total{path=\""+path+"\",status=\"200\"} ")
	if !ok {
		return 0, nil
	}
	n, _, _ := strings.Cut(rest, "\n")
	return strconv.Atoi(n)
}

func (w *world) expire(ts *testscript.TestScript, _ bool, args []string) {
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, args[0]) })
	ts.Check(err)
	unlock, err := home.Lock(context.Background())
	ts.Check(err)
	defer unlock()
	s, err := home.Session()
	ts.Check(err)
	for audience, t := range s.Tokens {
		t.Expires = time.Now().Add(-time.Minute)
		s.Tokens[audience] = t
	}
	ts.Check(home.Save(agent.SessionFile, s))
}
