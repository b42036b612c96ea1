package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
)

// states makes the state of each client: sign-ins of the account jane in the
// client's own place, with cookies and a session that are changed as asked. It
// returns the identifier that can be told.
var states = []struct {
	client  string
	dir     string
	account string
	make    func(w *world, cookies []planted, session map[string]any)
}{
	{icloudpd, "/home/jane/.pyicloud", "", func(w *world, cookies []planted, session map[string]any) {
		w.jarFile("/home/jane/.pyicloud/"+janeKey, false, cookies...)
		w.sessionFile("/home/jane/.pyicloud/"+janeKey+".session", session)
	}},
	{pyicloud, "/home/jane/state/pyicloud", jane, func(w *world, cookies []planted, session map[string]any) {
		w.env["TMPDIR"] = w.at("/home/jane/state")
		w.Temp = w.at("/home/jane/state")
		w.Mounts = append(w.Mounts, Mount{"/home/jane/state/pyicloud", "ext4"})
		w.jarFile("/home/jane/state/pyicloud/jane/"+janeKey+".cookiejar", true, cookies...)
		w.sessionFile("/home/jane/state/pyicloud/jane/"+janeKey+".session", session)
		w.file("/home/jane/state/pyicloud/jane/accounts.json", fmt.Sprintf(
			`{"accounts": {%q: {"last_used_at": "2026-01-01T00:00:00+00:00", "session_path": "/x/%s.session", "cookiejar_path": "/x/%[2]s.cookiejar"}}}`, jane, janeKey))
	}},
	{icloudpy, "/config/session_data", jane, func(w *world, cookies []planted, session map[string]any) {
		w.jarFile("/config/session_data/"+janeKey, false, cookies...)
		w.sessionFile("/config/session_data/"+janeKey+".session", session)
		w.file("/config/config.yaml", "app:\n  credentials:\n    # your account\n    username: \""+jane+"\"\n    retry_login_interval: 600 # seconds\n")
	}},
	{docker, "/config", jane, func(w *world, cookies []planted, session map[string]any) {
		w.jarFile("/config/"+janeKey, false, cookies...)
		w.sessionFile("/config/"+janeKey+".session", session)
		w.dockerSettings("")
		w.keyring("/config", "a long secret password")
	}},
	{icloud3, "/config/.storage/icloud3.apple_acct", jane, func(w *world, cookies []planted, session map[string]any) {
		w.jarFile("/config/.storage/icloud3.apple_acct/"+janeKey+".cookies", false, cookies...)
		w.sessionFile("/config/.storage/icloud3.apple_acct/"+janeKey+".session", session)
		w.file("/config/.storage/icloud3/configuration", `{"data": {"apple_accounts": [{"username": "`+jane+`", "password": "secret-encoded"}]}}`)
	}},
}

func (w *world) dockerSettings(more string) {
	w.file("/config/icloudpd.conf", "apple_id=\""+jane+"\"\nauthentication_type=MFA\ndownload_path=/home/jane/iCloud\ntelegram_token=secret-telegram\n"+more)
}

// keyring writes a password where Python's plain keyring keeps it.
func (w *world) keyring(data, password string) {
	w.file(data+"/python_keyring/keyring_pass.cfg", "[pyicloud_3A_2F_2Ficloud_2Dpassword]\njane_2edoe_40icloud_2ecom = \n\t"+b64(password)+"\n\n")
}

func TestCauses(t *testing.T) {
	type change struct {
		name    string
		cookies func(w *world) []planted
		session map[string]any
		more    func(w *world, dir string)
		want    string
		not     string // clients of which this cannot be told, or is another cause
	}
	whole := func(trust time.Duration) func(w *world) []planted {
		return func(w *world) []planted { return w.signedIn(".icloud.com", trust) }
	}
	changes := []change{
		{name: "well", cookies: whole(20 * day)},
		{name: "trust ended", cookies: whole(-9 * day), want: "trust-expired"},
		{name: "no trust token", cookies: whole(20 * day), session: map[string]any{"trust_token": ""}, want: "factor-unfinished"},
		{name: "no trust token at all", cookies: func(w *world) []planted { return without(w.signedIn(".icloud.com", day), trustCookie) },
			session: map[string]any{"trust_token": nil, "apple_rscd": "409"}, want: "factor-unfinished"},
		{name: "no trust cookie", cookies: func(w *world) []planted { return without(w.signedIn(".icloud.com", day), trustCookie) },
			want: "factor-unfinished", not: pyicloud},
		{name: "terms", cookies: func(w *world) []planted {
			return append(without(w.signedIn(".icloud.com", 20*day), tokenCookie), planted{repairCookie, "secret-repair", ".icloud.com", w.Now().Add(day).Unix()})
		}, want: "terms-pending"},
		{name: "terms by status", cookies: func(w *world) []planted { return without(w.signedIn(".icloud.com", 20*day), tokenCookie) },
			session: map[string]any{"apple_rscd": "412"}, want: "terms-pending"},
		{name: "china on .com", cookies: whole(20 * day), session: map[string]any{"account_country": "CHN"}, want: "region-wrong"},
		{name: "world on .cn", cookies: func(w *world) []planted { return w.signedIn(".icloud.com.cn", 20*day) }, want: "region-wrong"},
		{name: "china on .cn", cookies: func(w *world) []planted { return w.signedIn(".icloud.com.cn", 20*day) }, session: map[string]any{"account_country": "CHN"}},
		{name: "no access", cookies: func(w *world) []planted { return without(w.signedIn(".icloud.com", 20*day), accessPrefix) },
			want: "access-not-approved", not: pyicloud + " " + icloud3},
		{name: "password refused", cookies: whole(20 * day), session: map[string]any{"apple_rscd": 401}, want: "password-wrong"},
		{name: "in memory", cookies: whole(20 * day), want: "state-not-persisted", more: func(w *world, dir string) {
			w.Mounts = append(w.Mounts, Mount{dir, "tmpfs"})
		}},
		{name: "outside a volume", cookies: whole(20 * day), want: "state-not-persisted", not: pyicloud, more: func(w *world, dir string) {
			w.Mounts, w.Container = []Mount{{"/", "overlay"}}, true
		}},
		{name: "in a volume", cookies: whole(20 * day), more: func(w *world, dir string) {
			w.Mounts, w.Container = append([]Mount{{"/", "overlay"}, {dir, "ext4"}}, w.Mounts[1:]...), true
		}},
		{name: "session cut", cookies: whole(20 * day), want: "state-damaged", more: func(w *world, dir string) { w.cut(dir, ".session") }},
		{name: "jar cut", cookies: whole(20 * day), want: "state-damaged", more: func(w *world, dir string) { w.cut(dir, "") }},
	}
	for _, s := range states {
		for _, c := range changes {
			if slices.Contains(strings.Fields(c.not), s.client) {
				continue
			}
			t.Run(s.client+"/"+c.name, func(t *testing.T) {
				w := newWorld(t)
				s.make(w, c.cookies(w), c.session)
				if c.more != nil {
					c.more(w, s.dir)
				}
				found := w.find("", "")
				if len(found) != 1 || found[0].Client != s.client || found[0].Account != s.account {
					t.Fatalf("found %+v", found)
				}
				e := examine(found[0])
				want := strings.Fields(c.want)
				if !slices.Equal(e.causes(), want) {
					t.Errorf("found %v, want %v\n%s", e.causes(), want, e.saw)
				}
				if c.name == "trust ended" && s.client != pyicloud {
					if got := e.got(cause.CheckTrust); got != "-216h0m0s" {
						t.Errorf("trust left %q", got)
					}
					if got := e.got(cause.CheckTrustUntil); got != w.Now().Add(-9*day).UTC().Format(time.RFC3339) {
						t.Errorf("trust until %q", got)
					}
					if !strings.Contains(e.saw, "ended 9 days ago") {
						t.Error(e.saw)
					}
				}
			})
		}
	}
}

// cut takes the last third of a state file away.
func (w *world) cut(dir, ext string) {
	w.Helper()
	n := 0
	err := filepath.WalkDir(w.at(dir), func(p string, d os.DirEntry, err error) error {
		name := d.Name()
		jar := strings.HasSuffix(name, ".cookies") || strings.HasSuffix(name, ".cookiejar") || name == janeKey
		if err != nil || d.IsDir() || (ext == "" && !jar) || (ext != "" && filepath.Ext(name) != ext) {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		n++
		return os.WriteFile(p, b[:len(b)*2/3], 0o600)
	})
	if err != nil || n != 1 {
		w.Fatalf("%d files cut: %v", n, err)
	}
}

func TestMinValid(t *testing.T) {
	for _, c := range []struct {
		left, want time.Duration
		cause      string
	}{{48 * time.Hour, 0, ""}, {48 * time.Hour, 72 * time.Hour, "trust-expired"}, {73 * time.Hour, 72 * time.Hour, ""}, {0, 0, "trust-expired"}} {
		w := newWorld(t)
		w.MinValid = c.want
		states[0].make(w, w.signedIn(".icloud.com", c.left), nil)
		e := examine(w.find("", "")[0])
		if !slices.Equal(e.causes(), strings.Fields(c.cause)) {
			t.Errorf("%v left, %v wanted: %v\n%s", c.left, c.want, e.causes(), e.saw)
		}
	}
}

// The dates of the cookies that open data are moved on by every request: they say
// nothing of trust.
func TestTrustIsNotReadFromSlidingDates(t *testing.T) {
	w := newWorld(t)
	cookies := w.signedIn(".icloud.com", -40*day)
	for i := range cookies {
		if strings.HasPrefix(cookies[i].Name, accessPrefix) {
			cookies[i].Expires = w.Now().Add(80 * day).Unix()
		}
	}
	states[0].make(w, cookies, nil)
	if e := examine(w.find("", "")[0]); !slices.Equal(e.causes(), []string{"trust-expired"}) {
		t.Error(e.causes(), e.saw)
	}
}

// pyicloud leaves ended cookies out: that they are gone is the sign, and the date
// is at least that of the jar.
func TestTrustOfDroppedCookies(t *testing.T) {
	w := newWorld(t)
	states[1].make(w, w.signedIn(".icloud.com", -9*day), nil)
	jar := w.at("/home/jane/state/pyicloud/jane/" + janeKey + ".cookiejar")
	saved := w.Now().Add(-5 * day)
	if err := os.Chtimes(jar, saved, saved); err != nil {
		t.Fatal(err)
	}
	e := examine(w.find(pyicloud, "")[0])
	if e.got(cause.CheckTrust) != "-120h0m0s" || e.got(cause.CheckTrustUntil) != "" || !strings.Contains(e.saw, "5 days ago or earlier") {
		t.Error(e.facts, e.saw)
	}
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	states[0].make(w, w.signedIn(".icloud.com", -2*day), map[string]any{"apple_rscd": 409})
	e := examine(w.find("", "")[0])
	if e.got(cause.CheckSecondFactor) != "interrupted" || e.got(cause.CheckLastStatus) != "409" {
		t.Error(e.facts, e.saw)
	}
	// A code that was accepted is answered with 409 too.
	w = newWorld(t)
	states[0].make(w, w.signedIn(".icloud.com", 20*day), map[string]any{"apple_rscd": 409})
	if e := examine(w.find("", "")[0]); len(e.causes()) > 0 {
		t.Error(e.causes(), e.saw)
	}
}
