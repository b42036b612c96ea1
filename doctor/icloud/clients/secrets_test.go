package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// everything makes the state of all clients on one machine, each with something
// wrong, and a secret in every value.
func (w *world) everything() {
	ended := w.signedIn(".icloud.com", -9*day)
	states[0].make(w, ended, map[string]any{"apple_rscd": 401, "account_country": "CHN"})
	w.Temp = w.at("/tmp")
	w.jarFile("/tmp/pyicloud/jane/"+janeKey+".cookiejar", true, w.signedIn(".icloud.com", 20*day)...)
	w.sessionFile("/tmp/pyicloud/jane/"+janeKey+".session", map[string]any{"trust_token": ""})
	w.file("/tmp/pyicloud/jane/accounts.json", fmt.Sprintf(`{"accounts": {%q: {"session_path": "/x/%s.session", "cookiejar_path": "/x"}}}`, jane, janeKey))
	states[2].make(w, without(ended, trustCookie), nil)
	states[3].make(w, append(without(ended, tokenCookie), planted{repairCookie, "secret-repair", ".icloud.com", 0}), map[string]any{"apple_rscd": 409})
	w.keyring("/config", "abcd-efgh-ijkl-mnop")
	w.keyring("/home/jane/.local/share", "abcd-efgh-ijkl-mnop")
	states[4].make(w, ended, map[string]any{"apple_rscd": "412"})
	w.rcloneConf("/home/jane/.config/rclone/rclone.conf", "", map[string]map[string]string{"secret-remote": {
		"type": "iclouddrive", "apple_id": jane, "password": "abcd-efgh-ijkl-mnop", "trust_token": "secret-trust",
		"cookies":       "X-APPLE-WEBAUTH-TOKEN=secret-token; X-APPLE-WEBAUTH-USER=secret-user",
		"_auth_session": b64(`{"s":"secret-scnt","t":"secret-session","ac":"CHN"}`),
	}})
	w.file("/home/jane/.local/lib/python3.12/site-packages/icloudpd-1.16.2.dist-info/METADATA", "Metadata-Version: 2.1\nVersion: 1.16.2\n\nsecret\n")
}

// secrets are what must be told nowhere: what was planted, in any of the ways it
// is written, and who the account is.
func secrets() []string {
	return []string{"secret", b64("secret"), "mnop", b64("abcd-efgh-ijkl-mnop")[:8], jane, "jane.doe", janeKey, b64(`{"s":"sec`), "v=1:s=0"}
}

func (w *world) tellsNothing(where, text string) {
	w.Helper()
	for _, s := range secrets() {
		if strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
			w.Errorf("%s tells %q", where, s)
		}
	}
}

func (w *world) searched(subjects []doctor.Subject) {
	w.Helper()
	j := &doctor.Journal{Dir: w.TempDir(), Now: w.Now}
	for _, s := range subjects {
		e := examine(s)
		b, err := json.Marshal(e.facts)
		if err != nil {
			w.Fatal(err)
		}
		w.tellsNothing(s.Client+"'s facts", string(b))
		w.tellsNothing(s.Client+"'s words", e.saw)
		repairs, declined, err := s.Plan(context.Background(), j, cause.Find(e.facts))
		for _, r := range repairs {
			w.tellsNothing("a repair", r.Do+strings.Join(r.Guide, " "))
		}
		w.tellsNothing("what is declined", fmt.Sprint(declined, err))
	}
}

func TestSecretsStay(t *testing.T) {
	w := newWorld(t)
	w.everything()
	found := w.find("", "")
	if len(found) != 6 {
		t.Fatalf("%d clients found", len(found))
	}
	for _, s := range found {
		if len(examine(s).causes()) == 0 {
			t.Errorf("nothing is wrong with %s: nothing of it is looked at", s.Client)
		}
	}
	w.searched(found)

	// Nor when the files are damaged, whichever and wherever.
	err := filepath.WalkDir(w.Root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		whole, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, part := range [][]byte{whole[:len(whole)/2], whole[len(whole)/2:], append([]byte("secret\x00"), whole...), append(whole[:len(whole):len(whole)], "\nsecret secret"...)} {
			if err := os.WriteFile(p, part, 0o600); err != nil {
				return err
			}
			w.searched(w.find("", ""))
			for _, client := range append(Names(), "") {
				_, err := Find(context.Background(), w.Machine, client, p)
				w.tellsNothing("an error", strings.ReplaceAll(fmt.Sprint(err), p, ""))
			}
		}
		return os.WriteFile(p, whole, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What is kept in memory holds no secret either.
func TestSecretsAreNotKept(t *testing.T) {
	w := newWorld(t)
	w.everything()
	for _, k := range w.defaults(context.Background(), "") {
		k.account, k.key, k.folder, k.files = "", "", "", nil
		text := fmt.Sprintf("%+v", *k)
		if k.jar != nil {
			text += fmt.Sprintf("%+v", *k.jar)
		}
		if k.session != nil {
			text += fmt.Sprintf("%+v", *k.session)
		}
		w.tellsNothing(k.client+" in memory", text)
	}
}
