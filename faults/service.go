package faults

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/api"
)

// service runs or ends the example service, which polls with the credentials
// of NAME.secret and listens on $SHOP, has its stream paused, or waits until it
// answers or hears of signals: service start|stop|pause NAME, service answers|ready.
func (w *world) service(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "start":
		name := args[1]
		c := exec.Command(filepath.Join(w.bin, "service"), "--issuer", "http://"+w.address, "--audience", "http://"+ts.Getenv("SHOP"),
			"--secret-file", filepath.Join(w.dir, name+".secret"), "--listen", ts.Getenv("SHOP"))
		c.Env, c.Stderr, c.Dir = environ(), &w.log, w.dir
		ts.Check(c.Start())
		if w.services == nil {
			w.services = map[string]*exec.Cmd{}
		}
		w.services[name] = c
	case "stop":
		w.endService(args[1])
	case "answers", "ready":
		w.awaitService(ts, args[0] == "ready")
	case "pause":
		w.pauseService(ts, args[1])
	default:
		ts.Fatalf("service start, stop, pause, answers or ready")
	}
}

// pauseService has the account server keep what it would send to a service, as
// the service itself can ask for (OpenID Shared Signals Framework 1.0, §8.1.2).
func (w *world) pauseService(ts *testscript.TestScript, name string) {
	secret, _, _ := strings.Cut(ts.ReadFile(name+".secret"), "\n")
	client := http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	call := func(method, path, body string) []byte {
		r, err := http.NewRequest(method, "http://"+w.address+path, strings.NewReader(body))
		ts.Check(err)
		r.Header.Set("Authorization", "Bearer "+secret)
		a, err := client.Do(r)
		ts.Check(err)
		defer a.Body.Close()
		text, err := io.ReadAll(io.LimitReader(a.Body, 64<<10))
		ts.Check(err)
		if a.StatusCode != http.StatusOK {
			ts.Fatalf("%s %s: %s %s", method, path, a.Status, text)
		}
		return text
	}
	var streams []api.Stream
	ts.Check(json.Unmarshal(call(http.MethodGet, api.PathStream, ""), &streams))
	body, err := json.Marshal(api.StreamStatus{ID: streams[0].ID, Status: "paused"})
	ts.Check(err)
	call(http.MethodPost, api.PathStatus, string(body))
}

// shop calls the example service as a device's program would: with the two
// headers that "readmit token --proof" prints. The answer's status and body go
// to the file answer; ! for one that is not 2xx.
func (w *world) shop(ts *testscript.TestScript, neg bool, args []string) {
	method := http.MethodGet
	if len(args) > 1 {
		method = args[1]
	}
	address := "http://" + ts.Getenv("SHOP") + "/notes"
	w.readmit(ts, args[0], false, "token", "--audience", "http://"+ts.Getenv("SHOP"), "--proof", method, address)
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("a note")
	}
	r, err := http.NewRequest(method, address, body)
	ts.Check(err)
	headers(r, ts.ReadFile("stdout"))
	w.send(ts, neg, r)
}

// with calls the example service with the headers in a file: with FILE METHOD.
func (w *world) with(ts *testscript.TestScript, neg bool, args []string) {
	r, err := http.NewRequest(args[1], "http://"+ts.Getenv("SHOP")+"/notes", nil)
	ts.Check(err)
	headers(r, ts.ReadFile(args[0]))
	w.send(ts, neg, r)
}

// headers takes lines as HTTP has them.
func headers(r *http.Request, lines string) {
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header.Add(name, value)
	}
}

// awaitService waits until the example service answers, or is ready: it has keys
// and hears of signals.
func (w *world) awaitService(ts *testscript.TestScript, ready bool) {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 1000 {
		var state struct {
			Ready bool `json:"ready"`
		}
		if a, err := client.Get("http://" + ts.Getenv("SHOP") + "/status"); err == nil {
			err = json.NewDecoder(a.Body).Decode(&state)
			a.Body.Close()
			if err == nil && (state.Ready || !ready) {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("the service does not become ready")
}

// send makes a request and keeps the answer.
func (w *world) send(ts *testscript.TestScript, neg bool, r *http.Request) {
	client := http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	a, err := client.Do(r)
	ts.Check(err)
	defer a.Body.Close()
	text, err := io.ReadAll(io.LimitReader(a.Body, 64<<10))
	ts.Check(err)
	_, err = w.write("answer", append([]byte(a.Status+"\n"), text...))
	ts.Check(err)
	if neg != (a.StatusCode/100 != 2) {
		ts.Fatalf("the service answers %s: %s", a.Status, text)
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
