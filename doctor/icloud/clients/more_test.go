package clients

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

func (w *world) mustBe(found []doctor.Subject, want ...string) examined {
	w.Helper()
	if len(found) != 1 {
		w.Fatalf("found %d: %+v", len(found), found)
	}
	e := examine(found[0])
	if !slices.Equal(e.causes(), want) {
		w.Errorf("found %v, want %v\n%s", e.causes(), want, e.saw)
	}
	return e
}

func (w *world) signedInAtHome() string {
	states[0].make(w, w.signedIn(".icloud.com", 20*day), nil)
	return w.at("/home/jane/.pyicloud")
}

func TestOwnerAndMode(t *testing.T) {
	w := newWorld(t)
	dir := w.signedInAtHome()
	w.UID = os.Getuid() + 1
	if e := w.mustBe(w.find("", ""), "state-not-persisted"); e.got(cause.CheckPlace) != "wrong-owner" || e.got(cause.CheckFolder) != "/home/jane/.pyicloud" {
		t.Error(e.facts)
	}
	w.UID = os.Getuid()
	if err := os.Chmod(filepath.Join(dir, janeKey), 0o400); err != nil {
		t.Fatal(err)
	}
	if e := w.mustBe(w.find("", ""), "state-not-persisted"); e.got(cause.CheckPlace) != "wrong-mode" {
		t.Error(e.facts)
	}

	// That others can read it matters, but explains nothing that has ended.
	for _, c := range []struct {
		trust int
		want  string
	}{{20, "state-not-persisted"}, {-20, "trust-expired"}} {
		w = newWorld(t)
		states[0].make(w, w.signedIn(".icloud.com", time.Duration(c.trust)*day), nil)
		for _, p := range []string{"", "home", "home/jane", "home/jane/.pyicloud"} {
			if err := os.Chmod(w.at("/"+p), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(w.at("/home/jane/.pyicloud/"+janeKey+".session"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.mustBe(w.find("", ""), c.want)
		if err := os.Chmod(w.at("/home/jane"), 0o750); err != nil {
			t.Fatal(err)
		}
		w.mustBe(w.find("", ""), strings.Fields(map[bool]string{true: "", false: "trust-expired"}[c.trust > 0])...)
	}
}

func TestTwoClients(t *testing.T) {
	w := newWorld(t)
	dir := "/home/jane/.pyicloud/" + janeKey
	w.signedInAtHome()
	w.jarFile(dir+".cookiejar", true, w.signedIn(".icloud.com", 20*day)...)
	found := w.find("", "")
	if len(found) != 2 || found[0].Client != icloudpd || found[1].Client != pyicloud {
		t.Fatalf("%+v", found)
	}
	for _, s := range found {
		e := examine(s)
		if !slices.Equal(e.causes(), []string{"state-not-persisted"}) || e.got(cause.CheckPlace) != "shared" || e.got(cause.CheckSharers) != "2" {
			t.Error(e.causes(), e.facts)
		}
	}

	// Each in a folder of its own: told, and wrong in nothing.
	w = newWorld(t)
	w.signedInAtHome()
	states[3].make(w, w.signedIn(".icloud.com", 20*day), nil)
	for _, s := range w.find("", "") {
		if e := examine(s); len(e.causes()) > 0 || e.got(cause.CheckSharers) != "2" {
			t.Error(e.causes(), e.saw)
		}
	}
}

// What outlived its own trust has lasted well enough, wherever it lies.
func TestEndedInMemory(t *testing.T) {
	w := newWorld(t)
	states[0].make(w, w.signedIn(".icloud.com", -3*day), nil)
	w.Mounts = append(w.Mounts, Mount{"/home/jane/.pyicloud", "tmpfs"})
	e := w.mustBe(w.find("", ""), "trust-expired")
	if !strings.Contains(e.saw, "lies in memory") {
		t.Error(e.saw)
	}
}

func TestTemporary(t *testing.T) {
	w := newWorld(t)
	w.sessionFile("/tmp/pyicloud/jane/"+janeKey+".session", nil)
	w.jarFile("/tmp/pyicloud/jane/"+janeKey+".cookiejar", true, w.signedIn(".icloud.com", 20*day)...)
	if e := w.mustBe(w.find("", ""), "state-not-persisted"); e.got(cause.CheckPlace) != "temporary" {
		t.Error(e.facts)
	}
	w.Mounts = append(w.Mounts, Mount{"/tmp/pyicloud", "ext4"})
	w.mustBe(w.find("", ""))

	// A home in a temporary folder is a trial.
	w.Mounts, w.Home = []Mount{{"/", "overlay"}}, w.at("/tmp/pyicloud")
	w.Container = true
	w.mustBe(w.find("", ""))
}

func TestDocker(t *testing.T) {
	w := newWorld(t)
	w.dockerSettings("")
	w.keyring("/config", "a long secret password")
	if e := w.mustBe(w.find("", ""), "factor-unfinished"); e.got(cause.CheckSecondFactor) != "never-finished" {
		t.Error(e.facts)
	}
	if err := os.Remove(w.at("/config/python_keyring/keyring_pass.cfg")); err != nil {
		t.Fatal(err)
	}
	if e := w.mustBe(w.find("", ""), "state-damaged", "factor-unfinished"); e.got(cause.CheckStateName) != "keyring" {
		t.Error(e.facts)
	}

	well := func(country, more string) *world {
		w := newWorld(t)
		states[3].make(w, w.signedIn(".icloud.com", 20*day), map[string]any{"account_country": country})
		w.dockerSettings(more)
		return w
	}
	well("USA", "auth_china=true\n").mustBe(well("USA", "auth_china=true\n").find("", ""), "region-wrong")
	w = well("CHN", "auth_china=false\n")
	w.mustBe(w.find("", ""), "region-wrong")
	w = well("CHN", "auth_china=True\n")
	w.mustBe(w.find("", ""))
	w = well("USA", "")
	w.keyring("/config", "abcd-efgh-ijkl-mnop")
	w.mustBe(w.find("", ""), "app-password")
	w = well("USA", "user_id=1234567\n")
	w.mustBe(w.find("", ""))
	w.Container, w.Mounts = true, []Mount{{"/", "overlay"}, {"/config", "ext4"}}
	if e := w.mustBe(w.find("", ""), "state-not-persisted"); e.got(cause.CheckPlace) != "wrong-owner" {
		t.Error(e.facts)
	}
	w = well("USA", "")
	w.file("/config/icloudpd.conf", "no settings at all\n")
	w.mustBe(w.find("", ""), "state-damaged")
}

func TestRclone(t *testing.T) {
	cookies := "X-APPLE-WEBAUTH-USER=\"v=1:s=0:d=secret-dsid\"; X-APPLE-WEBAUTH-TOKEN=\"secret-token\"; X-APPLE-WEBAUTH-HSA-TRUST=secret-trust; X-APPLE-WEBAUTH-PCS-Documents=\"secret-pcs\""
	pending := b64(`{"s":"secret-scnt","i":"secret-id","t":"secret-session","c":"secret-client","ac":"USA"}`)
	for _, c := range []struct {
		name   string
		change map[string]string
		want   string
	}{
		{"well", nil, ""},
		{"never", map[string]string{"trust_token": "", "cookies": ""}, "factor-unfinished"},
		{"interrupted", map[string]string{"_auth_session": pending, "trust_token": ""}, "factor-unfinished"},
		{"interrupted again", map[string]string{"_auth_session": pending}, "factor-unfinished"},
		{"app password", map[string]string{"password": "abcd-efgh-ijkl-mnop"}, "app-password"},
		{"like an app password", map[string]string{"password": "abcd-efgh-ijkl-mno1"}, ""},
		{"terms", map[string]string{"cookies": "X-APPLE-WEBAUTH-REPAIR=secret; X-APPLE-WEBAUTH-USER=secret"}, "terms-pending"},
		{"no access", map[string]string{"cookies": strings.ReplaceAll(cookies, "PCS", "OTHER")}, "access-not-approved"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			remote := map[string]string{"type": "iclouddrive", "apple_id": jane, "password": "a secret password", "trust_token": "secret-trust", "cookies": cookies}
			for k, v := range c.change {
				remote[k] = v
			}
			remotes := map[string]map[string]string{"apple": remote, "other": {"type": "drive", "token": "secret-other"}}
			path := w.rcloneConf("/home/jane/.config/rclone/rclone.conf", "", remotes)
			want := strings.Fields(c.want)
			e := w.mustBe(w.find("", ""), want...)
			if c.name == "interrupted" && e.got(cause.CheckSecondFactor) != interrupted {
				t.Error(e.facts)
			}
			if s := w.find(rclone, path); s[0].Account != jane {
				t.Error(s[0].Account)
			}
			w.mustBe(w.find("", path), want...)
			w.mustBe(w.find("", filepath.Dir(path)), want...)
		})
	}
}

func TestRcloneElsewhere(t *testing.T) {
	w := newWorld(t)
	remotes := map[string]map[string]string{"x": {"type": "drive"}}
	w.env["RCLONE_CONFIG"] = w.rcloneConf("/srv/rclone.conf", "", remotes)
	if found := w.find("", ""); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	if _, err := Find(context.Background(), w.Machine, rclone, w.env["RCLONE_CONFIG"]); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "rclone config") {
		t.Error(err)
	}
	remotes["y"] = map[string]string{"type": "iclouddrive", "apple_id": jane}
	remotes["z"] = map[string]string{"type": "iclouddrive", "apple_id": "joe@example.org"}
	w.rcloneConf("/srv/rclone.conf", "", remotes)
	if found := w.find("", ""); len(found) != 2 {
		t.Errorf("%+v", found)
	}

	// Encrypted as a whole: said, and guessed at by nobody.
	w = newWorld(t)
	path := w.rcloneConf("/home/jane/.rclone.conf", "a secret passphrase", remotes)
	e := w.mustBe(w.find("", ""))
	if !strings.Contains(e.saw, "encrypted as a whole") {
		t.Error(e.saw)
	}
	for _, found := range [][]doctor.Subject{w.find(rclone, ""), w.find("", path), w.find(rclone, path)} {
		e := w.mustBe(found, "state-damaged")
		if e.got(cause.CheckStateName) != "encrypted-rclone.conf" || found[0].Account != "" {
			t.Error(e.facts)
		}
	}

	w = newWorld(t)
	w.file("/home/jane/.config/rclone/rclone.conf", "[x]\ntype = iclouddrive\nthis is no line of it\n")
	w.mustBe(w.find("", ""), "state-damaged", "factor-unfinished")
	w.file("/home/jane/.config/rclone/rclone.conf", "nothing of the kind\n")
	if found := w.find("", ""); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

func TestGiven(t *testing.T) {
	w := newWorld(t)
	for _, s := range states {
		w := newWorld(t)
		s.make(w, w.signedIn(".icloud.com", 20*day), nil)
		paths := []string{s.dir, filepath.Dir(s.dir)}
		if s.client == docker {
			paths = paths[:1]
		}
		for _, path := range paths {
			found := w.find("", w.at(path))
			if len(found) != 1 || found[0].Client != s.client {
				t.Errorf("%s at %s: %+v", s.client, path, found)
			}
			if found := w.find(s.client, w.at(path)); len(found) != 1 {
				t.Errorf("%s at %s, asked for: %+v", s.client, path, found)
			}
		}
		_, err := Find(context.Background(), w.Machine, rclone, w.at(s.dir))
		if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), s.client) {
			t.Errorf("rclone at %s: %v", s.dir, err)
		}
	}

	// In a folder whose name says nothing, the content tells.
	for status, want := range map[any]string{nil: pyicloud, 200: icloudpd} {
		w.sessionFile("/srv/x/"+janeKey+".session", map[string]any{"apple_rscd": status})
		jar := w.jarFile("/srv/x/"+janeKey, false, w.signedIn(".icloud.com", 20*day)...)
		for _, path := range []string{filepath.Dir(jar), jar, jar + ".session"} {
			if found := w.find("", path); len(found) != 1 || found[0].Client != want {
				t.Errorf("%s: %+v", path, found)
			}
			if found := w.find(icloudpy, path); len(found) != 1 || found[0].Client != icloudpy {
				t.Errorf("%s: %+v", path, found)
			}
		}
	}

	w.file("/srv/none/notes", "nothing\n")
	for _, path := range []string{"/srv/none", "/srv/none/notes", "/srv/nowhere"} {
		if _, err := Find(context.Background(), w.Machine, "", w.at(path)); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "give the folder") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Find(context.Background(), w.Machine, "outlook", ""); !errors.Is(err, ErrClient) {
		t.Error(err)
	}
	if found := newWorld(t).find("", ""); len(found) != 0 {
		t.Errorf("on an empty machine: %+v", found)
	}
}

func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	dir := w.signedInAtHome()
	w.open = func(path string) (fs.File, error) {
		if strings.HasSuffix(path, ".session") {
			return nil, fs.ErrPermission
		}
		return os.Open(path)
	}
	e := w.mustBe(w.find("", ""), "state-damaged")
	if e.got(cause.CheckStateFile) != unreadable {
		t.Error(e.facts)
	}
	w.open = nil
	big := filepath.Join(dir, janeKey+".session")
	if err := os.Truncate(big, limit+1); err != nil {
		t.Fatal(err)
	}
	if e := w.mustBe(w.find("", ""), "state-damaged"); e.got(cause.CheckStateFile) != malformed {
		t.Error(e.facts)
	}
	if err := errors.Join(os.Remove(big), os.Mkdir(big, 0o700)); err != nil {
		t.Fatal(err)
	}
	w.mustBe(w.find("", ""), "state-damaged")
}

// Damage anywhere is a finding or nothing, never a cause that is not.
func TestDamageAnywhere(t *testing.T) {
	for _, s := range states {
		w := newWorld(t)
		s.make(w, w.signedIn(".icloud.com", 20*day), nil)
		err := filepath.WalkDir(w.at(s.dir), func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			whole, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			for n := range len(whole) {
				if n%7 != 0 && n != len(whole)-1 {
					continue
				}
				if err := os.WriteFile(p, whole[:n], 0o600); err != nil {
					return err
				}
				for _, found := range w.find("", "") {
					for _, c := range examine(found).causes() {
						if c != "state-damaged" && (c != "factor-unfinished" || filepath.Base(p) != "icloudpd.conf") {
							t.Errorf("%s of %s, cut at %d: %s", d.Name(), s.client, n, c)
						}
					}
				}
			}
			return os.WriteFile(p, whole, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPlan(t *testing.T) {
	w := newWorld(t)
	dir := w.signedInAtHome()
	w.cut("/home/jane/.pyicloud", "")
	before, err := doctor.TreeSum(dir)
	if err != nil {
		t.Fatal(err)
	}
	j := &doctor.Journal{Dir: t.TempDir(), Now: w.Now}
	s := w.find("", "")[0]
	found := cause.Find(examine(s).facts)
	repairs, declined, err := s.Plan(context.Background(), j, found)
	if err != nil || len(repairs) != 1 || len(declined) != 0 || len(repairs[0].Aside) != 1 {
		t.Fatal(repairs, declined, err)
	}
	e, err := j.Apply(repairs[0])
	if err != nil {
		t.Fatal(err)
	}
	left := w.find("", "")
	w.mustBe(left)
	if _, err := os.Stat(filepath.Join(dir, janeKey)); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := j.Undo(e.ID); err != nil {
		t.Fatal(err)
	}
	if after, err := doctor.TreeSum(dir); err != nil || after != before {
		t.Error("undo did not bring back what was", err)
	}
	if r, d, err := s.Plan(context.Background(), j, nil); r != nil || d != nil || err != nil {
		t.Error(r, d, err)
	}
}

// An account that pyicloud lists and has no files of was signed out, or its files
// were taken away.
func TestListed(t *testing.T) {
	w := newWorld(t)
	states[1].make(w, w.signedIn(".icloud.com", 20*day), nil)
	for _, ext := range []string{".session", ".cookiejar"} {
		if err := os.Remove(w.at("/home/jane/state/pyicloud/jane/" + janeKey + ext)); err != nil {
			t.Fatal(err)
		}
	}
	w.mustBe(w.find("", ""), "factor-unfinished")
	w.Mounts = w.Mounts[:1]
	w.mustBe(w.find("", ""), "state-not-persisted")
}

func TestStepsOfASignIn(t *testing.T) {
	// A step that was asked for and is done.
	w := newWorld(t)
	states[0].make(w, append(w.signedIn(".icloud.com", 20*day), planted{repairCookie, "x", ".icloud.com", w.Now().Add(day).Unix()}), map[string]any{"apple_rscd": 412})
	w.mustBe(w.find("", ""))
	// Of one that is over, nothing is concluded from what it cannot have.
	w = newWorld(t)
	states[0].make(w, without(w.signedIn(".icloud.com", -day), accessPrefix), nil)
	w.mustBe(w.find("", ""), "trust-expired")
	w = newWorld(t)
	states[0].make(w, without(without(w.signedIn(".icloud.com", day), accessPrefix), tokenCookie), nil)
	w.mustBe(w.find("", ""))
}

func TestRegionOfSettings(t *testing.T) {
	w := newWorld(t)
	states[1].make(w, w.signedIn(".icloud.com", 20*day), map[string]any{"account_country": "CHN"})
	w.file("/home/jane/state/pyicloud/jane/accounts.json", `{"accounts": {"`+jane+`": {"session_path": "x", "cookiejar_path": "y", "china_mainland": true}}}`)
	w.mustBe(w.find("", ""))
	w.file("/home/jane/state/pyicloud/jane/accounts.json", `{"accounts": {"`+jane+`": {"session_path": "x", "cookiejar_path": "y", "china_mainland": false}}}`)
	w.mustBe(w.find("", ""), "region-wrong")

	w = newWorld(t)
	states[2].make(w, w.signedIn(".icloud.com", 20*day), nil)
	w.file("/config/config.yaml", "app:\n  region: china # or global\n")
	w.mustBe(w.find("", ""), "region-wrong")
	w.file("/config/config.yaml", "app:\n  region: 'global'\n")
	w.mustBe(w.find("", ""))
}

func TestPlaces(t *testing.T) {
	// What lies where one client has its place is not another's.
	w := newWorld(t)
	w.signedInAtHome()
	for _, client := range Names() {
		if found := w.find(client, ""); (len(found) == 1) != (client == icloudpd) {
			t.Errorf("%s: %+v", client, found)
		}
	}
	// A folder that many things share.
	w = newWorld(t)
	w.file("/config/secrets", "nothing of ours")
	w.file("/config/other.session", "{}")
	w.jarFile("/config/jar", false, w.signedIn(".icloud.com", day)...)
	if found := w.find("", ""); len(found) != 0 {
		t.Errorf("%+v", found)
	}
	// rclone takes the first file it finds.
	w = newWorld(t)
	line := "[a]\ntype = iclouddrive\napple_id = a@example.org\ntrust_token = x\n"
	w.file("/home/jane/.config/rclone/rclone.conf", line)
	w.file("/home/jane/.rclone.conf", line)
	w.mustBe(w.find("", ""))
	// A link and what it leads to are one.
	w = newWorld(t)
	dir := w.signedInAtHome()
	if err := os.Symlink(dir, w.at("/cookies")); err != nil {
		t.Fatal(err)
	}
	w.mustBe(w.find("", ""))
}

func TestDeclined(t *testing.T) {
	w := newWorld(t)
	states[3].make(w, w.signedIn(".icloud.com", 20*day), nil)
	w.file("/config/icloudpd.conf", "nothing\n")
	w.cut("/config", ".session")
	w.open = func(path string) (fs.File, error) {
		if filepath.Base(path) == janeKey {
			return nil, fs.ErrPermission
		}
		return os.Open(path)
	}
	found := w.find("", "")
	if len(found) != 1 {
		t.Fatal(found)
	}
	j := &doctor.Journal{Dir: t.TempDir(), Now: w.Now}
	repairs, declined, err := found[0].Plan(context.Background(), j, cause.Find(examine(found[0]).facts))
	if err != nil || len(repairs) != 1 || len(repairs[0].Aside) != 1 || filepath.Ext(repairs[0].Aside[0].Path) != ".session" {
		t.Error(repairs, err)
	}
	if len(declined) != 2 || !strings.Contains(declined[0].Why, "settings") || !strings.Contains(declined[1].Why, "cannot be read") {
		t.Error(declined)
	}
}
