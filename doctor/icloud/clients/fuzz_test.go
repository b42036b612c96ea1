package clients

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
)

// Whatever a file holds, a reader comes back, and what it keeps is of the form
// that is told of it.

func FuzzJar(f *testing.F) {
	f.Add([]byte("#LWP-Cookies-2.0\nSet-Cookie3: X-APPLE-WEBAUTH-USER=\"\\\"v=1; \\\\\\\"\"; path=\"/\"; domain=\".icloud.com\"; path_spec; secure; expires=\"2024-04-08 12:48:53Z\"; HttpOnly=None; version=0\n"))
	f.Add([]byte("#LWP-Cookies-2.0\nSet-Cookie3: a=b; domain=x; discard; version=0\n"))
	f.Add([]byte("#LWP-Cookies-2.0\nSet-Cookie3: a=\"b"))
	f.Add([]byte("# Netscape HTTP Cookie File\n.icloud.com\tTRUE\t/\tTRUE\t0\ta\tb\n"))
	f.Add([]byte("Set-Cookie3: =;;;=\"\"\\; expires=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		j := readJar(b)
		for _, c := range j.cookies {
			if c.name == "" || c.domain == "" {
				t.Errorf("%+v", c)
			}
		}
		if until, ok := j.until(); ok {
			cause.Note(cause.CheckTrustUntil, cause.Value{}, cause.Instant(until), cause.ByDevice)
		}
		if d := j.domain(); d != "" && d != dotCom && d != dotCN {
			t.Error(d)
		}
		readCookieList(string(b))
	})
}

func FuzzSession(f *testing.F) {
	f.Add([]byte(`{"session_token": "x", "trust_token": "y", "account_country": "USA", "apple_rscd": "409"}`))
	f.Add([]byte(`{"data": {"apple_rscd": 4.01e2, "account_country": ["CHN"], "trust_token": null}}`))
	f.Add([]byte(`{"accounts": {"a@b.c": {"session_path": "/x", "cookiejar_path": "/y", "china_mainland": true}}}`))
	f.Add([]byte(`{"version": "3.4", "x": [{"username": "a@b.c"}]}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := readSession(b)
		if s.country != "" && !isCountry(s.country) || s.status != 0 && (s.status < 100 || s.status > 599) {
			t.Errorf("%+v", s)
		}
		if s.damaged && (s.trust || s.status != 0) {
			t.Errorf("damaged, and read: %+v", s)
		}
		if list, ok := readAccounts(b); !ok && list != nil {
			t.Error(list)
		}
		for _, name := range readUsernames(b) {
			if !strings.Contains(name, "@") {
				t.Error(name)
			}
		}
	})
}

func FuzzSettings(f *testing.F) {
	f.Add([]byte("[a]\ntype = iclouddrive\napple_id = a@b.c\npassword = pkwQsz3hApdNhRbJf5l2pwrKm7v1TduNTRMXyLdrs27zheg\ncookies = a=b; c=d\n_auth_session = e30=\n"))
	f.Add([]byte("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nabc\n"))
	f.Add([]byte("[pyicloud_3A_2F_2Ficloud_2Dpassword]\na_40b_2ec = \n\tYWJjZC1lZmdoLWlqa2wtbW5vcA==\n\n"))
	f.Add([]byte("export apple_id='a@b.c' # me\nauth_china=true\nuser_id=1000\n"))
	f.Add([]byte("app:\n  region: china\n  credentials:\n    username: \"a@b.c\"\n"))
	f.Add([]byte("\xef\xbb\xbf[\n]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		remotes, encrypted, _ := readRclone(b)
		if encrypted && remotes != nil {
			t.Error("encrypted, and read")
		}
		readKeyring(b)
		s, _ := readSettings(b)
		for _, d := range []string{s.domain, readConfigYAML(b).domain} {
			if d != "" && d != dotCom && d != dotCN {
				t.Error(d)
			}
		}
	})
}

func FuzzMachine(f *testing.F) {
	f.Add([]byte("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n30 25 0:27 / /dev/a\\040b rw shared:1 master:2 - tmpfs tmpfs rw\n"))
	f.Add([]byte("Metadata-Version: 2.1\nVersion: 1.2.3\n\n"))
	f.Add([]byte("Package: rclone\nVersion: 1:1.60.1-2\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range readMounts(b) {
			if m.Point == "" || m.Type == "" {
				t.Errorf("%+v", m)
			}
		}
		if v := metadataVersion(b); v != "" {
			cause.Note(cause.CheckClientVersion, cause.Version(v), cause.Version(v), cause.ByDevice)
			if cause.Version(v).String() != v {
				t.Error(v)
			}
		}
	})
}

// FuzzFiles puts anything in the place of a client's files, and looks.
func FuzzFiles(f *testing.F) {
	jar := []byte("#LWP-Cookies-2.0\nSet-Cookie3: X-APPLE-WEBAUTH-HSA-TRUST=x; domain=\".icloud.com\"; expires=\"2024-04-08 12:48:53Z\"; version=0\n")
	f.Add(jar, []byte(`{"trust_token": "x"}`), []byte("apple_id=a@b.c\n"))
	f.Add([]byte{}, []byte("{"), []byte("[a]\ntype = iclouddrive\n"))
	f.Fuzz(func(t *testing.T, jar, session, conf []byte) {
		w := newWorld(t)
		for _, dir := range []string{"/home/jane/.pyicloud/", "/config/", "/config/.storage/icloud3.apple_acct/"} {
			w.file(dir+janeKey, string(jar))
			w.file(dir+janeKey+".cookies", string(jar))
			w.file(dir+janeKey+".session", string(session))
		}
		w.file("/config/icloudpd.conf", string(conf))
		w.file("/home/jane/.rclone.conf", string(conf))
		w.file("/home/jane/.local/share/python_keyring/keyring_pass.cfg", string(conf))
		for _, s := range w.find("", "") {
			if _, err := json.Marshal(cause.Find(examine(s).facts)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestMounts(t *testing.T) {
	m := Machine{Mounts: readMounts([]byte(
		"22 27 0:21 / /proc rw,relatime - proc proc rw\n27 1 254:0 / / rw,relatime - overlay overlay rw\n" +
			"30 25 0:27 / /dev/a\\040b rw,relatime shared:1 master:2 - tmpfs tmpfs rw\n31 27 8:1 / /config rw - ext4 /dev/sda rw\n" +
			"32 31 0:30 / /config rw - tmpfs tmpfs rw\nno mount\n1 2 3 4 5 -\n"))}
	for path, want := range map[string]string{"/": "overlay", "/home/x": "overlay", "/dev/a b/c": "tmpfs", "/config/x": "tmpfs", "/configs": "overlay"} {
		if got := m.mount(path).Type; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestHere(t *testing.T) {
	home := t.TempDir()
	env := map[string]string{"HOME": home}
	m := Here(func(k string) string { return env[k] }, newWorld(t).Now)
	if m.Home != home || m.Temp == "" || m.UID != os.Getuid() || m.Root != "" {
		t.Errorf("%+v", m)
	}
	if m.GOOS == "linux" && m.mount("/").Type == "" {
		t.Error("no mounts")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Find(ctx, m, "", ""); err == nil {
		t.Error("went on after the end")
	}
}

// All clients on one machine, from the search to the last check.
func BenchmarkEverything(b *testing.B) {
	w := newWorld(b)
	w.everything()
	w.env["PATH"] = os.Getenv("PATH")
	for b.Loop() {
		for _, s := range w.find("", "") {
			cause.Find(examine(s).facts)
		}
	}
}
