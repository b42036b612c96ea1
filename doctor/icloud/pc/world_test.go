package pc

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

const (
	account = "jane.roe@example.org"
	secret  = "AAJzecretTokenValue7731"
	family  = "AppleInc.iCloud_nzyj5cx40ttqa"
	holds   = "READMIT_TEST_HOLDS" // the file that sleeper.exe keeps open
	full    = "AppleInc.iCloud_15.8.118.0_x64__nzyj5cx40ttqa"
)

// world is a PC in a temporary folder: its files are real, what runs on it is
// a list.
type world struct {
	files
	t        *testing.T
	root     string
	procs    []Process
	next     uint32
	log      []string
	packages []Package
	system   string
	clock    string
	synced   map[string]bool // by base name; nil: cannot be told
	stopErr  error
	dead     bool // what is started does not come up
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, root: t.TempDir(), next: 100, system: "10.0.22631"}
	for _, dir := range []string{"AppData/Roaming", "AppData/Local/Packages", "Common"} {
		if err := os.MkdirAll(filepath.Join(w.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{
		"APPDATA": w.at("AppData/Roaming"), "LOCALAPPDATA": w.at("AppData/Local"), "USERPROFILE": w.root,
		"SystemRoot": `C:\Windows`, "CommonProgramFiles(x86)": w.at("Common"),
	}
	w.files = files{func(name string) string { return env[name] }}
	return w
}

func (w *world) at(path string) string { return filepath.Join(w.root, filepath.FromSlash(path)) }

func (w *world) Processes() ([]Process, error) { return slices.Clone(w.procs), nil }

func (w *world) Stop(p Process) error {
	if w.stopErr != nil {
		return w.stopErr
	}
	w.log = append(w.log, "stop "+p.Name)
	w.procs = slices.DeleteFunc(w.procs, func(q Process) bool { return p.PID == q.PID })
	return nil
}

func (w *world) Start(program string, args ...string) error {
	w.log = append(w.log, strings.Join(append([]string{"start", program}, args...), " "))
	switch {
	case w.dead:
	case len(args) > 0:
		w.run(`C:\Program Files\WindowsApps\` + full + `\iCloud\iCloudServices.exe`)
	default:
		w.run(program)
	}
	return nil
}

func (w *world) Packages() ([]Package, error)          { return w.packages, nil }
func (w *world) System() (string, error)               { return w.system, nil }
func (w *world) Clock(context.Context) (string, error) { return w.clock, nil }

func (w *world) InSync(path string) (bool, error) {
	if w.synced == nil {
		return false, ErrCannotTell
	}
	return w.synced[filepath.Base(path)], nil
}

func (w *world) run(path string) {
	w.next++
	w.procs = append(w.procs, Process{w.next, base(path), path})
}

func (w *world) runStore(names ...string) {
	for _, name := range names {
		w.run(`C:\Program Files\WindowsApps\` + full + `\iCloud\` + name)
	}
}

func (w *world) runClassic(names ...string) {
	for _, name := range names {
		path := w.at("Common/Apple/Internet Services/" + name)
		w.put(path, []byte("MZ"))
		w.run(path)
	}
}

func (w *world) put(path string, b []byte) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) classicPrefs() string { return w.at("AppData/Roaming/Apple Computer/Preferences") }
func (w *world) storePrefs() string {
	return w.at("AppData/Local/Packages/" + family + "/LocalCache/Roaming/Apple Computer/Preferences")
}

// signIn writes the two files in the form that iCloud writes them.
func (w *world) signIn(prefs string) {
	w.put(filepath.Join(prefs, accountsFile), accountsPlist(w.t, plist.BinaryFormat))
	w.put(filepath.Join(prefs, settingsFile), settingsPlist(w.t, plist.BinaryFormat))
}

func accountsPlist(t testing.TB, format int) []byte {
	return encode(t, map[string]any{account: []byte("\x01\x00\x00\x00" + secret)}, format)
}

func settingsPlist(t testing.TB, format int) []byte {
	return encode(t, map[string]any{
		"StorageData": map[string]any{
			"entry_points": map[string]any{"quota.app_details_url": "https://p38-quota.example.net/ios/" + secret},
			"storage_data": map[string]any{"quota_info_in_bytes": map[string]any{"total_quota": 5368709120, "total_used": 42}},
		},
	}, format)
}

func encode(t testing.TB, v any, format int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := plist.NewEncoderForFormat(&b, format).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// only returns the one subject of the machine.
func only(t *testing.T, m Machine, o Options) doctor.Subject {
	t.Helper()
	all, err := Find(t.Context(), m, o)
	if err != nil || len(all) != 1 {
		t.Fatalf("found %d editions, want one; %v", len(all), err)
	}
	return all[0]
}

// examine runs all checks of a subject.
func examine(t *testing.T, s doctor.Subject) (facts []cause.Fact, said map[string]string) {
	t.Helper()
	said = map[string]string{}
	for _, c := range s.Checks {
		f, saw := c.Look(t.Context())
		facts = append(facts, f...)
		said[c.Name] = saw
	}
	for text := range strings.SplitSeq(strings.Join(slices.Collect(values(said)), "\n"), "\n") {
		if strings.Contains(text, secret) || strings.Contains(text, account) {
			t.Errorf("said: %s", text)
		}
	}
	return facts, said
}

func values(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// causes are what the facts show, in order.
func causes(facts []cause.Fact) []cause.Code {
	var all []cause.Code
	for _, f := range cause.Find(facts) {
		all = append(all, f.Cause)
	}
	return all
}

func wantCauses(t *testing.T, facts []cause.Fact, want ...cause.Code) {
	t.Helper()
	if got := causes(facts); !slices.Equal(got, want) {
		t.Fatalf("found %v, want %v", got, want)
	}
}

func journal(t *testing.T, m Machine) *doctor.Journal {
	return &doctor.Journal{Dir: t.TempDir(), Now: time.Now, Services: services{m, 100 * time.Millisecond}}
}

// tree is every file below a folder with its content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
