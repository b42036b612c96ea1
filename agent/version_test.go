package agent

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// older copies a home as an older version wrote it; a checkout does not keep
// modes.
func older(t *testing.T, from string) Home {
	t.Helper()
	h := newHome(t)
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := h.Path(strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		b, err := os.ReadFile(path)
		return errors.Join(err, os.WriteFile(to, b, 0o600))
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A home that version 1 wrote is read, every file of it.
func TestReadsVersionOne(t *testing.T) {
	h := older(t, "testdata/state-1")
	i, err := h.Identity()
	if err != nil || i.Account != "jane@example.org" || i.Server != "http://127.0.0.1:4071" || i.Name != "laptop" || len(i.CodeSecret) != 32 {
		t.Errorf("the enrolment of %q: %v", i.Account, err)
	}
	sum, err := Thumbprint(i)
	if err != nil || sum == [32]byte{} {
		t.Error("no key", err)
	}
	second, err := h.Enrolment(IdentityCopy)
	if err != nil || !sameIdentity(i, second) {
		t.Errorf("the copy: %v", err)
	}
	s, err := h.Session()
	if err != nil || len(s.ID) != 32 || len(s.Tokens) == 0 || s.Tokens[""].Value == "" {
		t.Errorf("the session: %v", err)
	}
	a, err := (&Agent{Home: h}).Waiting()
	if err != nil || a.Name != "phone" || a.Request == "" || a.Tries == 0 || a.Expires.IsZero() {
		t.Errorf("the attempt: %+v, %v", a, err)
	}
	n, ok := h.Incident("BA94-S0G8")
	if !ok || n.Account != "jane@example.org" || n.What != "sign-in" || n.Sealed == "" || n.At.IsZero() {
		t.Errorf("the incident: %+v", n)
	}
}

// What has not changed its sense is written so that version 1 reads it; what
// version 1 would misread is not.
func TestWritesTheLowestVersion(t *testing.T) {
	for _, c := range []struct {
		of   any
		want string
	}{
		{identity, `{"version":1,`}, {Session{ID: "x"}, `{"version":1,`}, {Attempt{}, `{"version":1,`}, {Incident{}, `{"version":1,`},
		{Identity{Entry: "device-key-1"}, `{"version":2,`},
	} {
		b, err := Content(c.of)
		if err != nil || !bytes.HasPrefix(b, []byte(c.want)) {
			t.Errorf("%T: %.20s, %v", c.of, b, err)
		}
	}
}

// Every file of a newer version is told to be that, and stays as it is.
func TestRefusesNewer(t *testing.T) {
	h := older(t, "testdata/state-1")
	later := []byte(`{"version":3,"sum":"of another kind","content":["what we cannot know"]}`)
	a := &Agent{Home: h}
	for file, read := range map[string]func() error{
		IdentityFile: func() error { _, err := a.Identity(); return err },
		IdentityCopy: func() error { _, err := h.Enrolment(IdentityCopy); return err },
		SessionFile:  func() error { _, err := h.Session(); return err },
		AttemptFile:  func() error { _, err := a.Waiting(); return err },
		filepath.Join(IncidentsDir, "BA94-S0G8.json"): func() error {
			return h.Load(filepath.Join(IncidentsDir, "BA94-S0G8.json"), new(Incident))
		},
	} {
		before, err := os.ReadFile(h.Path(file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(h.Path(file), later, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := read(); problem(t, err) != Newer {
			t.Errorf("%s: %v", file, err)
		}
		if now, err := os.ReadFile(h.Path(file)); err != nil || !bytes.Equal(now, later) {
			t.Errorf("%s was changed: %v", file, err)
		}
		if err := os.WriteFile(h.Path(file), before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing is put in the place of a newer version's file, and none is taken away;
// what would be written in its place is not begun, for the server would have
// ended what this device has.
func TestKeepsNewer(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(s.Close)
	later := []byte(`{"version":3,"sum":"of another kind","content":["what we cannot know"]}`)
	all := map[string]func(a *Agent) error{
		"sign-up": func(a *Agent) error {
			return a.SignUp(t.Context(), s.URL, "jane@example.org", "", "zq lanterns", "laptop")
		},
		"sign-in": func(a *Agent) error {
			_, err := a.SignIn(t.Context(), s.URL, "jane@example.org", "zq lanterns", "", "laptop")
			return err
		},
		"code": func(a *Agent) error { return a.GiveCode(t.Context(), "123456") },
		"recovery": func(a *Agent) error {
			_, err := a.Recover(t.Context(), s.URL, "jane@example.org", "", "laptop")
			return err
		},
		"recovered": func(a *Agent) error { _, err := a.FinishRecovery(t.Context(), "zq lanterns"); return err },
	}
	incident := filepath.Join(IncidentsDir, "BA94-S0G8.json")
	for file, ways := range map[string][]string{
		IdentityFile: {"sign-up", "sign-in", "code", "recovery", "recovered"}, IdentityCopy: {"sign-up", "sign-in", "code", "recovery", "recovered"},
		SessionFile: {"sign-up", "sign-in", "code", "recovery", "recovered"}, AttemptFile: {"sign-up", "sign-in", "code"},
		PendingFile: {"sign-up", "sign-in", "code", "recovered"}, RecoveryFile: {"recovery", "recovered"}, AgentFile: nil, FoldersFile: nil, incident: nil,
	} {
		a := &Agent{Home: newHome(t), Now: time.Now}
		err := errors.Join(a.Home.Save(AttemptFile, Attempt{Server: s.URL, ID: "one"}), a.Home.Save(RecoveryFile, Recovering{Server: s.URL}),
			os.WriteFile(a.Home.Path(file), later, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		tries := map[string]error{"save": a.Home.Save(file, Incident{}), "remove": a.Home.Remove(file)}
		for _, way := range ways {
			tries[way] = all[way](a)
		}
		for what, err := range tries {
			if problem(t, err) != Newer {
				t.Errorf("%s of a newer %s: %v", what, file, err)
			}
		}
		if now, err := os.ReadFile(a.Home.Path(file)); err != nil || !bytes.Equal(now, later) {
			t.Errorf("%s was changed: %v", file, err)
		}
	}
	if asked > 0 {
		t.Errorf("the server was asked %d times", asked)
	}
}
