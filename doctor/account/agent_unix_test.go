//go:build unix

package account

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/api"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/resident"
)

// speaking is an agent that answers in its home's socket as it is told to.
func speaking(t *testing.T, a *agent.Agent, answer func(do string) resident.Answer) (asked func() []string) {
	t.Helper()
	must(t, os.MkdirAll(a.Home.Path("agent"), 0o700))
	l, err := net.Listen("unix", a.Home.Path("agent/sock"))
	must(t, err)
	t.Cleanup(func() { l.Close() })
	must(t, os.Chmod(a.Home.Path("agent/sock"), 0o600))
	must(t, a.Home.Save(agent.AgentFile, resident.Record{State: resident.Running, PID: os.Getpid(), At: a.Now()}))
	var mu sync.Mutex
	var all []string
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var ask resident.Ask
			line, err := bufio.NewReader(c).ReadBytes('\n')
			if errors.Join(err, json.Unmarshal(line, &ask)) == nil {
				mu.Lock()
				all = append(all, ask.Do)
				mu.Unlock()
				out := answer(ask.Do)
				out.Version = resident.Version
				json.NewEncoder(c).Encode(out)
			}
			c.Close()
		}
	}()
	return func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
}

// TestAgentFails: what a running agent says of itself is found too, where this
// device's own examination sees nothing.
func TestAgentFails(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	id, err := a.Identity()
	must(t, err)
	_, err = a.SignIn(t.Context(), where, id.Account, "zq seven grey lanterns", "", "laptop")
	refused := new(agent.RefusedError)
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	failing := func(s resident.Trouble) resident.Status { return resident.Status{Requests: "stream", Failing: &s} }
	unheard := func(s resident.Trouble) resident.Status { return resident.Status{Requests: "not", Unheard: &s} }
	locked := resident.Trouble{Reason: resident.KeyStore, Why: "locked", Text: "the key store is locked"}
	full := resident.Trouble{Reason: resident.Unwritable, Text: "no room"}
	cut := resident.Trouble{Reason: resident.Unreachable, Why: agent.CutOff, Text: "cannot be reached"}
	for _, c := range []struct {
		name   string
		status resident.Status
		now    *resident.Trouble // what comes of another try; nil: it does not fail
		found  string
		fails  string
		got    []string // of the finding's proof
		proof  cause.Check
		saw    string
	}{
		{"well", resident.Status{Requests: "stream"}, nil, "", "", nil, "", "nothing fails"},
		{"just begun", resident.Status{Requests: "not"}, nil, "", "", nil, "", "nothing fails"},
		{"refused", failing(resident.Trouble{Reason: resident.Refused, Reference: refused.Reference, Text: "token failed (4001)"}),
			&resident.Trouble{Reason: resident.Refused, Reference: refused.Reference, Text: "token failed (4001)"}, "password-wrong", "", []string{"not-proved"}, cause.CheckPassword, "failing: token failed (4001)"},
		{"refused, and not explained", failing(resident.Trouble{Reason: resident.Refused, Reference: "0000-0000", Text: "token failed (4001)"}),
			&resident.Trouble{Reason: resident.Refused, Reference: "0000-0000", Text: "token failed (4001)"}, "refused", "token failed (4001)", nil, "", "failing: token failed (4001)"},
		{"a moment ago", failing(cut), nil, "", "", nil, "", "failed a moment ago, and does not now"},
		{"locked for it", failing(cut), &locked, "keystore-locked", "", []string{"locked"}, cause.CheckKeyStore, "failing: " + locked.Text},
		{"its own way is cut", unheard(cut), &cut, "unreachable", "", []string{"cut-off"}, cause.CheckConnection, "requests do not arrive: " + cut.Text},
		{"only the stream is", unheard(cut), nil, "unreachable", "", []string{"cut-off"}, cause.CheckConnection, "requests do not arrive: " + cut.Text},
		{"the service", failing(cut), &resident.Trouble{Reason: resident.Problem, Code: api.Unavailable, Text: "x"}, "service-fault", "", []string{"not-ready"}, cause.CheckServer, "failing: x"},
		{"its file", failing(cut), &resident.Trouble{Reason: resident.State, File: agent.SessionFile, Why: string(agent.Malformed), Text: "x"}, "state-damaged", "", []string{"malformed"}, cause.CheckStateFile, "failing: x"},
		{"no room", failing(full), &full, "", "no room", nil, "", "failing: no room"},
		{"words of another version", failing(cut), &resident.Trouble{Reason: resident.KeyStore, Why: "what is this", Text: "x"}, "", "x", nil, "", "failing: x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := twin(t, a)
			asked := speaking(t, b, func(do string) resident.Answer {
				switch {
				case do == resident.DoStatus:
					return resident.Answer{Status: &c.status}
				case c.now != nil:
					return resident.Answer{Trouble: c.now}
				case do == resident.DoRequests:
					return resident.Answer{Requests: &api.Requests{}}
				}
				return resident.Answer{Token: &resident.Token{Value: "x"}}
			})
			ex, w := examine(t, b)
			if found(ex) != c.found || ex.AgentFails != c.fails || w.saw["agent's calls"] != c.saw {
				t.Fatalf("found %q, the agent: %q, saw %q", found(ex), ex.AgentFails, w.saw["agent's calls"])
			}
			if c.proof != "" && !slices.Equal(words(ex, c.proof), c.got) {
				t.Errorf("evidence %q", words(ex, c.proof))
			}
			if !ex.SignedIn || ex.Unreached() || w.saw["agent"] != "runs" {
				t.Errorf("signed in: %t, unreached: %t, agent: %s", ex.SignedIn, ex.Unreached(), w.saw["agent"])
			}
			if c.found == "refused" && ex.Incident != "0000-0000" {
				t.Errorf("incident %q", ex.Incident)
			}
			if tried := strings.Join(asked(), " "); c.status.Failing != nil != strings.Contains(tried, resident.DoToken) {
				t.Errorf("the agent was asked for %s", tried)
			}
		})
	}
}
