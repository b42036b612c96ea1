package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/device"
)

// devices are the machines of the scripts; each name is a command that runs
// readmit with that device's state.
var devices = []string{"laptop", "phone", "tablet", "mallory"}

type commandFunc = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what scripts have beside testscript's own:
//
//	server start [-shift D] [FLAGS] | stop | ready   the account server, a process
//	laptop|phone|tablet|mallory ARGS…          readmit on that device; ! for a failing one
//	operator ARGS…                             readmit admin on the server's machine
//	update DEVICE                              put the newer program on a device
//	exits N                                    the exit code of the last one
//	refused                                    the last one was refused: 4001, three lines; sets $REF
//	keep NAME                                  the last standard output becomes $NAME
//	find NAME REGEXP                           what the last output has for (…) becomes $NAME
//	mailed NAME REGEXP                         what a message since the last such has for (…) becomes $NAME
//	enrol DEVICE BY                            the device signs in with a code from another
//	ask DEVICE                                 the device proves the password and waits for a code; sets $ID
//	miss DEVICE                                the device gives a code that is wrong
//	strangers N                                N sign-ins by devices nobody knows, with a wrong password
//	sealed DEVICE                              the last refusal's incident, whole, into sealed.txt
//	swap-key DEVICE                            another key in the device's enrolment
//	recovery DEVICE begin | prove code|device CODE | set FILE    a page recovers jane's account; ! sets $REF
//	recovery DEVICE codes | approve | cancel   an enrolled device's part in it; sets $CODE1 to $CODE10, or $CODE
//	passkey DEVICE add | remove | copy         jane's passkey, on an enrolled device; a copy of it is taken
//	passkey DEVICE second [ORIGIN|copied]      the device that was asked gives it; ! sets $REF
//	network plain|intercepted|trusted          what lies between device and server
//	disk full|free                             whether the server's files can grow
//	serve FLAGS                                a server that must not start, with !
//	newer DATABASE                             a newer server has changed the schema of this database
//	database new|gone|read-only|slow|right|plant FILE     a PostgreSQL for the server: see database.go
//	shop DEVICE [METHOD]                       the device calls the example service; the answer goes to the file answer
//	with FILE METHOD                           the same with headers that were kept
//	service start|stop NAME                    the example service on $SHOP, with the credentials of NAME.secret
//	service pause NAME                         it answers, and gets no signals until the operator resumes it
//	service answers|ready                      it answers; it hears of signals
//	lines FILE WORDS…                          a file with these words, each on a line
//	leaks WORDS…                               no secret is in what the server leaves behind; these are more secrets
//	desktop                                    a desktop that shows notifications: see desktop.go
//	keystore, kill-agent, gone-agent, sleep-agent, wake-agent, fetches, at-once, refreshes, expire     agents' and key stores': see agents.go
//	jar, object, rclone, line, client, text, shown, snapshot, repaired, undone      iCloud's: see icloud.go
//	made, named CAUSE AUDIENCE, remedied, signed-in DEVICE     the steps of the matrix
func commands() map[string]commandFunc {
	all := map[string]commandFunc{
		"server": onWorld((*world).server), "operator": onWorld((*world).operator), "update": onWorld((*world).update),
		"exits": onWorld((*world).exits), "refused": onWorld((*world).refused), "keep": keep, "find": find, "mailed": onWorld((*world).message),
		"enrol": onWorld((*world).enrol), "ask": onWorld((*world).ask), "miss": onWorld((*world).miss), "strangers": onWorld((*world).strangers),
		"sealed": onWorld((*world).sealed), "swap-key": onWorld((*world).swapKey), "recovery": onWorld((*world).recovery), "passkey": onWorld((*world).passkey), "network": onWorld((*world).network), "disk": onWorld((*world).disk),
		"serve": onWorld((*world).serve), "newer": newer, "service": onWorld((*world).service), "database": onWorld((*world).database), "shop": onWorld((*world).shop), "with": onWorld((*world).with), "lines": onWorld((*world).lines), "leaks": onWorld((*world).leaks),
		"made": onWorld((*world).made), "named": onWorld((*world).named), "remedied": onWorld((*world).remedied), "signed-in": onWorld((*world).signedIn),
	}
	maps.Copy(all, icloudCommands())
	maps.Copy(all, agentCommands())
	for _, d := range devices {
		all[d] = onWorld(func(w *world, ts *testscript.TestScript, neg bool, args []string) { w.readmit(ts, d, neg, args...) })
	}
	return all
}

func onWorld(f func(w *world, ts *testscript.TestScript, neg bool, args []string)) commandFunc {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		f(ts.Value(worldKey{}).(*world), ts, neg, args)
	}
}

// readmit runs the program on a device and keeps its exit code.
func (w *world) readmit(ts *testscript.TestScript, on string, neg bool, args ...string) {
	ts.Setenv("READMIT_HOME", filepath.Join(w.dir, on))
	program := "readmit"
	if slices.Contains(w.updated, on) {
		program = "readmit-newer"
	}
	w.run(ts, neg, filepath.Join(w.bin, program), args...)
}

func (w *world) run(ts *testscript.TestScript, neg bool, program string, args ...string) {
	err := ts.Exec(program, args...)
	w.said.Write([]byte(ts.ReadFile("stderr")))
	w.code = 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		w.code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if neg != (w.code != 0) {
		ts.Fatalf("readmit %s: exit code %d", strings.Join(args, " "), w.code)
	}
}

func (w *world) operator(ts *testscript.TestScript, neg bool, args []string) {
	w.run(ts, neg, filepath.Join(w.bin, "readmit"), append([]string{"admin", "--data", w.data()}, args...)...)
}

func (w *world) update(_ *testscript.TestScript, _ bool, args []string) {
	w.updated = append(w.updated, args...)
}

func (w *world) exits(ts *testscript.TestScript, _ bool, args []string) {
	if want, err := strconv.Atoi(args[0]); err != nil || want != w.code {
		ts.Fatalf("exit code %d, want %s", w.code, args[0])
	}
}

// refusal is all that the refused one may see. The hint differs only by what
// anyone may know and by what the device itself knows.
var refusal = regexp.MustCompile(`^readmit: [a-z -]+ failed \(4001\)\nincident: ([0-9A-Z]{4}-[0-9A-Z]{4})\nhint: .*readmit explain ([0-9A-Z]{4}-[0-9A-Z]{4})\n$`)

func (w *world) refused(ts *testscript.TestScript, _ bool, _ []string) {
	m := refusal.FindStringSubmatch(ts.ReadFile("stderr"))
	if m == nil || m[1] != m[2] || w.code != 1 || ts.ReadFile("stdout") != "" {
		ts.Fatalf("not a refusal, or it says more than it may")
	}
	ts.Setenv("REF", m[1])
}

func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func find(ts *testscript.TestScript, _ bool, args []string) {
	m := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout") + ts.ReadFile("stderr"))
	if len(m) != 2 {
		ts.Fatalf("nothing like %s in the output", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// message waits for one that the server wrote for an address.
func (w *world) message(ts *testscript.TestScript, _ bool, args []string) {
	like := regexp.MustCompile(args[1])
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		text := w.mailed.String()
		if m := like.FindStringSubmatchIndex(text[w.read:]); m != nil {
			ts.Setenv(args[0], text[w.read+m[2]:w.read+m[3]])
			w.read += m[1]
			return
		}
	}
	ts.Fatalf("no new message is like %s", args[1])
}

func (w *world) ask(ts *testscript.TestScript, _ bool, args []string) {
	w.readmit(ts, args[0], true, "sign-in", "--server", ts.Getenv("SERVER"), "--account", "jane@example.org", "--password-file", "right.txt", "--device-name", args[0])
	if w.code != 4 {
		ts.Fatalf("exit code %d, want 4: a code is needed", w.code)
	}
	find(ts, false, []string{"ID", `readmit allow (\w+)`})
}

// enrol brings a device in with a code that another one shows.
func (w *world) enrol(ts *testscript.TestScript, _ bool, args []string) {
	w.ask(ts, false, args[:1])
	w.readmit(ts, args[1], false, "allow", ts.Getenv("ID"))
	w.readmit(ts, args[0], false, "sign-in", "--code", strings.TrimSpace(ts.ReadFile("stdout")))
}

// miss gives a code that no device has made: one off from the code that the
// laptop makes by hand now, and not the one it made or makes next.
func (w *world) miss(ts *testscript.TestScript, _ bool, args []string) {
	w.readmit(ts, "laptop", false, "code")
	n, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile("stdout")))
	ts.Check(err)
	w.readmit(ts, args[0], true, "sign-in", "--code", fmt.Sprintf("%06d", (n+500_001)%1_000_000))
}

func (w *world) strangers(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	var wait sync.WaitGroup
	slots := make(chan struct{}, 2) // stretching a password takes 64 MiB
	codes := make([]int, n)
	for i := range n {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c := exec.Command(filepath.Join(w.bin, "readmit"), "sign-in", "--server", ts.Getenv("SERVER"), "--account", "jane@example.org", "--password-file", filepath.Join(w.dir, "wrong.txt"))
			c.Env = append(environ(), "READMIT_HOME="+filepath.Join(w.dir, "stranger"+strconv.Itoa(i)))
			c.Run()
			codes[i] = c.ProcessState.ExitCode()
		})
	}
	wait.Wait()
	if slices.ContainsFunc(codes, func(c int) bool { return c != 1 }) {
		ts.Fatalf("exit codes %v, want refusals", codes)
	}
}

// sealed takes the incident that a device has kept of its last refusal.
func (w *world) sealed(ts *testscript.TestScript, _ bool, args []string) {
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, args[0]) })
	ts.Check(err)
	i, ok := home.Incident(ts.Getenv("REF"))
	if !ok {
		ts.Fatalf("%s keeps no incident %s", args[0], ts.Getenv("REF"))
	}
	_, err = w.write("sealed.txt", []byte(i.Sealed))
	ts.Check(err)
}

// swapKey puts another key into a whole, well-formed enrolment, as a restored
// backup of another machine would.
func (w *world) swapKey(ts *testscript.TestScript, _ bool, args []string) {
	home, err := agent.OpenHome(func(string) string { return filepath.Join(w.dir, args[0]) })
	ts.Check(err)
	id, err := home.Identity()
	ts.Check(err)
	key, err := device.GenerateKey()
	ts.Check(err)
	pem, err := key.MarshalPEM()
	ts.Check(err)
	id.Key = string(pem)
	ts.Check(home.SaveIdentity(id))
}

func (w *world) made(ts *testscript.TestScript, _ bool, _ []string) {
	w.record.stamp(script(ts), "made")
}

func (w *world) remedied(ts *testscript.TestScript, _ bool, _ []string) {
	w.record.stamp(script(ts), "remedied")
}

// named sees that the last output is a report for this audience whose first
// finding is this cause, with evidence and a remedy.
func (w *world) named(ts *testscript.TestScript, _ bool, args []string) {
	var r struct {
		Schema   int
		Audience string
		Findings []struct {
			Cause, Title       string
			Evidence, Remedies []json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &r); err != nil {
		ts.Fatalf("not a report: %v", err)
	}
	if r.Schema != 1 || r.Audience != args[1] || len(r.Findings) == 0 {
		ts.Fatalf("a report for %s, want one for %s", r.Audience, args[1])
	}
	first := r.Findings[0]
	if first.Cause != args[0] || first.Title == "" || len(first.Remedies) == 0 || len(first.Evidence) == 0 && first.Cause != "refused" {
		ts.Fatalf("the first finding is %s with %d facts and %d remedies, want %s", first.Cause, len(first.Evidence), len(first.Remedies), args[0])
	}
	if want := about(script(ts)); want == "" || want == first.Cause {
		w.record.stamp(script(ts), "named")
	}
}

// about is the cause that a script has to see named, by the script's name: what
// else it sees named is no step. Empty where several will do.
func about(script string) string {
	if strings.HasPrefix(script, "fault-") {
		return "service-fault"
	}
	if slices.ContainsFunc(cause.Table(), func(r cause.Row) bool { return string(r.Code) == script }) {
		return script
	}
	return ""
}

func (w *world) signedIn(ts *testscript.TestScript, _ bool, args []string) {
	w.readmit(ts, args[0], false, "status", "--json")
	if !strings.Contains(ts.ReadFile("stdout"), `"signed_in":true`) {
		ts.Fatalf("%s is not signed in", args[0])
	}
	w.record.stamp(script(ts), "signed-in")
}

// environ is what processes get that are not the script's own: no proxy, no
// clock and no home of whoever runs the scripts.
func environ() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "TMPDIR=" + os.TempDir(), "READMIT_KEYSTORE=file"}
}
