package account

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

const password = "zq seven green lanterns"

// where is the account server that all tests of this package ask.
var where string

func TestMain(m *testing.M) { os.Exit(serveFor(m)) }

func serveFor(m *testing.M) int {
	data, err := os.MkdirTemp("", "doctor-account-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(data)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	address, err := freeAddress()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := server.Config{Listen: address, Data: data}.Complete()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	open := func(dir string) (store.Store, error) { return sqlite.Open(dir) }
	l, err := server.Listen(ctx, c, open, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	where = l.URL
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	code := m.Run()
	stop()
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newDevice(t testing.TB) *agent.Agent {
	t.Helper()
	dir := t.TempDir()
	home, err := agent.OpenHome(func(string) string { return dir })
	must(t, err)
	return &agent.Agent{Home: home, Now: time.Now, Version: "0.1.0"}
}

// enrolled is a device that is signed in to an account of its own.
func enrolled(t testing.TB) *agent.Agent {
	t.Helper()
	a := newDevice(t)
	account := strings.ToLower(strings.ReplaceAll(t.Name(), "/", ".")) + "@example.org"
	must(t, a.SignUp(t.Context(), where, strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789@.", r) {
			return r
		}
		return '-'
	}, account), "", password, "laptop"))
	return a
}

// twin is another folder with the same state.
func twin(t testing.TB, a *agent.Agent) *agent.Agent {
	t.Helper()
	b := newDevice(t)
	must(t, os.RemoveAll(b.Home.Dir()))
	must(t, os.CopyFS(b.Home.Dir(), os.DirFS(a.Home.Dir())))
	kept := (&running{x: &Examiner{Agent: b}}).incidents()
	for _, f := range append(kept, agent.IdentityFile, agent.IdentityCopy, agent.SessionFile) { // CopyFS adds to modes
		if err := os.Chmod(b.Home.Path(f), 0o600); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return b
}

// watched remembers what each check saw, in order.
type watched struct {
	names []string
	saw   map[string]string
	bad   map[string]bool
}

func (w *watched) Begin(name string) { w.names = append(w.names, name) }

func (w *watched) End(name string, facts []cause.Fact, saw string) {
	w.saw[name], w.bad[name] = saw, len(facts) > 0
}

// examine examines a device, and sees that no secret of its state is in what
// is told of it.
func examine(t testing.TB, a *agent.Agent) (*Examination, *watched) {
	t.Helper()
	return examineWith(t, &Examiner{Agent: a})
}

func examineWith(t testing.TB, x *Examiner) (*Examination, *watched) {
	t.Helper()
	a := x.Agent
	secrets := secretsOf(t, a)
	before := contents(t, a)
	w := &watched{saw: map[string]string{}, bad: map[string]bool{}}
	ex, err := x.Examine(t.Context(), w)
	must(t, err)
	told, err := json.Marshal(ex.Report)
	must(t, err)
	told = append(told, fmt.Sprint(w.saw, ex.Report)...)
	for what, s := range secrets {
		if bytes.Contains(told, []byte(s)) {
			t.Errorf("the report contains the %s", what)
		}
	}
	for name, b := range contents(t, a) {
		if string(before[name]) != string(b) {
			t.Errorf("looking changed %s", name)
		}
	}
	return ex, w
}

// contents are the files of a home that an examination must leave alone; a
// refusal it meets is kept, as every refusal is.
func contents(t testing.TB, a *agent.Agent) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(a.Home.Path(f))
		if err == nil {
			out[f] = b
		}
	}
	return out
}

// secretsOf are all secrets that a home has in any of its files, in the forms
// in which they could be printed.
func secretsOf(t testing.TB, a *agent.Agent) map[string]string {
	t.Helper()
	out := map[string]string{"password": password}
	for _, f := range []string{agent.IdentityFile, agent.IdentityCopy} {
		var id agent.Identity
		a.Home.Load(f, &id) // what cannot be read has no secrets
		if len(id.CodeSecret) > 0 {
			out["code secret, base64"] = base64.StdEncoding.EncodeToString(id.CodeSecret)
			out["code secret, hex"] = hex.EncodeToString(id.CodeSecret)
		}
		for i, line := range strings.Split(id.Key, "\n") {
			if len(line) > 20 {
				out[fmt.Sprintf("key in %s, line %d", f, i)] = line
			}
		}
	}
	if s, err := a.Home.Session(); err == nil && s.ID != "" {
		out["session"] = s.ID
		for _, token := range s.Tokens {
			out["token"] = token.Value
		}
	}
	return out
}

func journal(a *agent.Agent) *doctor.Journal {
	return &doctor.Journal{Dir: a.Home.Dir(), Now: a.Now}
}

// found are the causes that an examination names, in order.
func found(ex *Examination) string {
	var codes []string
	for _, f := range ex.Findings {
		codes = append(codes, string(f.Cause))
	}
	return strings.Join(codes, " ")
}

// corrupt brings one file into a bad state.
func corrupt(t testing.TB, a *agent.Agent, file string, p agent.Problem) {
	t.Helper()
	path := a.Home.Path(file)
	b, err := os.ReadFile(path)
	if err != nil && p != agent.Missing {
		t.Fatal(err)
	}
	switch p {
	case agent.Missing:
		must(t, os.RemoveAll(path))
	case agent.Malformed:
		must(t, os.WriteFile(path, b[:len(b)/2], 0o600))
	case agent.Unreadable:
		must(t, os.Remove(path))
		must(t, os.Mkdir(path, 0o700))
	case agent.WrongMode:
		must(t, os.Chmod(path, 0o644))
	case agent.Newer:
		must(t, os.WriteFile(path, bytes.Replace(b, []byte(`"version":1`), []byte(`"version":3`), 1), 0o600))
	}
}

// snapshot is a home as it is on disk, with modes.
func snapshot(t testing.TB, a *agent.Agent) string {
	t.Helper()
	var out strings.Builder
	for _, pattern := range []string{"*", filepath.Join(agent.IncidentsDir, "*")} {
		paths, err := filepath.Glob(a.Home.Path(pattern))
		must(t, err)
		for _, p := range paths {
			info, err := os.Stat(p)
			must(t, err)
			if info.IsDir() || strings.HasSuffix(p, "lock") {
				continue
			}
			b, err := os.ReadFile(p)
			must(t, err)
			fmt.Fprintf(&out, "%s %o %x\n", p, info.Mode(), b)
		}
	}
	return out.String()
}
