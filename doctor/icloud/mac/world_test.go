package mac

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howett.net/plist"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

const (
	person = "ada@example.com"
	dsid   = "10020030040"
)

// planted are values that may appear nowhere in what is told.
var planted = []string{
	"planted-list-token", "planted-database-token", "planted-token-file", "cGxhbnRlZC1zeW5jLXRva2Vu",
	"planted-message", "planted-log-token", "planted-proxy-password", "planted-pac-key", "tax 2026", "letters",
	person, "Lovelace", dsid,
}

type world struct {
	*Recorded
	t *testing.T
	j *doctor.Journal
	o Options
}

// newWorld is a healthy Mac over which the recordings named are laid.
func newWorld(t *testing.T, overlays ...string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, Recorded: &Recorded{
		Commands: filepath.Join(dir, "commands"), Root: filepath.Join(dir, "root"), HomeDir: filepath.Join(dir, "Users", "ada"), User: 501,
	}}
	w.o = Options{Temp: filepath.Join(dir, "tmp"), OtherDevice: func(context.Context) (bool, error) { return true, nil }}
	w.j = &doctor.Journal{Dir: filepath.Join(dir, "readmit"), Now: time.Now, Services: Services(w.Recorded)}
	for _, d := range []string{w.Commands, w.o.Temp, w.j.Dir} {
		must(t, os.MkdirAll(d, 0o700))
	}
	for _, o := range append([]string{"healthy"}, overlays...) {
		w.lay(o)
	}
	w.file(filepath.Join(w.Root, "etc", "hosts"), "##\n# Host Database\n##\n127.0.0.1\tlocalhost\n255.255.255.255\tbroadcasthost\n::1             localhost\n0.0.0.0 metrics.icloud.com xp.apple.com\n")
	w.list(plist.BinaryFormat, true, true)
	w.database(1)
	w.file(w.token(), "planted-token-file")
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lay lays what a Mac's commands print over what is there.
func (w *world) lay(name string) {
	from := filepath.Join("testdata", "recorded", name)
	files, err := os.ReadDir(from)
	must(w.t, err)
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		must(w.t, err)
		w.file(filepath.Join(w.Commands, f.Name()), string(b))
	}
}

func (w *world) file(path, content string) {
	w.t.Helper()
	must(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(w.t, os.WriteFile(path, []byte(content), 0o600))
}

func (w *world) listFile() string {
	return filepath.Join(w.HomeDir, "Library", "Preferences", "MobileMeAccounts.plist")
}
func (w *world) databaseFile() string {
	return filepath.Join(w.HomeDir, "Library", "Accounts", "Accounts4.sqlite")
}
func (w *world) token() string {
	return filepath.Join(w.HomeDir, "Library", "Application Support", "iCloud", "Accounts", dsid)
}

func listBytes(t *testing.T, format int, in, drive bool) []byte {
	t.Helper()
	b, err := plist.Marshal(map[string]any{"Accounts": []any{map[string]any{
		"AccountAlternateDSID": "000123-05-planted-list-token",
		"AccountDSID":          dsid,
		"AccountDescription":   "iCloud",
		"AccountID":            person,
		"DisplayName":          "Ada Lovelace",
		"LoggedIn":             in,
		"authToken":            []byte("planted-list-token"),
		"Services": []any{
			map[string]any{"Name": "CLOUDDESKTOP", "ServiceID": "com.apple.Dataclass.CloudDesktop"},
			map[string]any{"Name": "MOBILE_DOCUMENTS", "Enabled": drive, "apsEnv": "production"},
			map[string]any{"Name": "FIND_MY_MAC", "Enabled": 1},
		},
	}}}, format)
	must(t, err)
	return b
}

func (w *world) list(format int, in, drive bool) {
	w.file(w.listFile(), string(listBytes(w.t, format, in, drive)))
}

// database writes one as a program does that is still at work: what it wrote
// last is in the journal beside it. A negative state has no iCloud account.
func (w *world) database(authenticated int) {
	w.t.Helper()
	dir := w.t.TempDir()
	path := filepath.Join(dir, "a.sqlite")
	db, err := sql.Open("sqlite", path)
	must(w.t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	do := func(q string, args ...any) {
		w.t.Helper()
		_, err := db.Exec(q, args...)
		must(w.t, err)
	}
	do("PRAGMA journal_mode=WAL")
	do("PRAGMA wal_autocheckpoint=0")
	do(`CREATE TABLE ZACCOUNTTYPE (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZACCOUNTTYPEDESCRIPTION VARCHAR, ZIDENTIFIER VARCHAR)`)
	do(`CREATE TABLE ZACCOUNT (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZACTIVE INTEGER, ZAUTHENTICATED INTEGER,
		ZVISIBLE INTEGER, ZACCOUNTTYPE INTEGER, ZPARENTACCOUNT INTEGER, ZDATE TIMESTAMP, ZACCOUNTDESCRIPTION VARCHAR, ZIDENTIFIER VARCHAR, ZUSERNAME VARCHAR)`)
	do(`INSERT INTO ZACCOUNTTYPE VALUES (1, 4, 1, 'IMAP', 'com.apple.account.IMAP'), (2, 4, 1, 'iCloud', 'com.apple.account.AppleAccount')`)
	do(`INSERT INTO ZACCOUNT VALUES (1, 2, 1, 1, 1, 1, 1, NULL, 700000000.5, 'Mail', 'A-1', 'mail@example.org')`)
	if authenticated >= 0 {
		_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
		must(w.t, err)
		do(`INSERT INTO ZACCOUNT VALUES (2, 2, 1, 1, ?, 1, 2, NULL, 700000001.5, 'planted-database-token', 'A-2', ?)`, authenticated, person)
	}
	for _, part := range parts {
		b, err := os.ReadFile(path + part)
		must(w.t, err)
		w.file(w.databaseFile()+part, string(b))
	}
}

func (w *world) signOut() {
	w.list(plist.XMLFormat, false, false)
	w.database(0)
	w.lay("signed-out-daemon")
}

type watch struct {
	saw   map[string]string
	order []string
}

func (v *watch) Begin(name string) { v.order = append(v.order, name) }
func (v *watch) End(name string, _ []cause.Fact, saw string) {
	v.saw[name] = saw
}

// examine makes all checks, and looks for planted values in all that they tell.
func (w *world) examine() (doctor.Subject, []cause.Finding, *watch) {
	w.t.Helper()
	subjects, err := Find(context.Background(), w.Recorded, w.o)
	must(w.t, err)
	if len(subjects) != 1 || subjects[0].Client != Client {
		w.t.Fatalf("subjects: %+v", subjects)
	}
	v := &watch{saw: map[string]string{}}
	facts := doctor.Run(context.Background(), subjects[0].Checks, v)
	for _, f := range facts {
		b, err := f.MarshalJSON()
		must(w.t, err)
		w.clean("a fact", string(b))
	}
	for name, saw := range v.saw {
		if saw == "" {
			w.t.Errorf("%s says nothing", name)
		}
		w.clean(name, saw)
	}
	left, err := os.ReadDir(w.o.Temp)
	must(w.t, err)
	if len(left) > 0 {
		w.t.Errorf("a copy was left behind: %v", left)
	}
	return subjects[0], cause.Find(facts), v
}

func (w *world) clean(what, text string) {
	w.t.Helper()
	for _, p := range planted {
		if strings.Contains(text, p) {
			w.t.Errorf("%s tells %q: %s", what, p, text)
		}
	}
}

// plan plans what to do about the findings.
func (w *world) plan() ([]doctor.Repair, []doctor.Declined) {
	w.t.Helper()
	s, found, _ := w.examine()
	repairs, declined, err := s.Plan(context.Background(), w.j, found)
	must(w.t, err)
	for _, r := range repairs {
		w.clean("a repair", r.Do+strings.Join(r.Guide, " "))
	}
	for _, d := range declined {
		w.clean("a refusal", d.Why)
	}
	return repairs, declined
}

func codesOf(found []cause.Finding) string {
	var s []string
	for _, f := range found {
		s = append(s, string(f.Cause))
	}
	return strings.Join(s, " ")
}

// tree is every file below a folder with its mode and content.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(p)
		all[p] = info.Mode().String() + string(b)
		return err
	}))
	return all
}

var errAway = errors.New("nobody there")
