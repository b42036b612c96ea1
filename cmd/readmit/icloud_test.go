package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"readmit.dev/readmit/cause"
)

// findings are the causes of a report, in order.
func findings(t *testing.T, r result) []string {
	t.Helper()
	var report cause.Report
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || report.Schema != 1 || report.Audience != "owner" {
		t.Fatalf("not a report: %v: %+v", err, r)
	}
	var all []string
	for _, f := range report.Findings {
		all = append(all, string(f.Cause))
	}
	return all
}

func TestExplainText(t *testing.T) {
	d := newDevice(t)
	for _, c := range []struct {
		stdin, arg, first string
	}{
		{"", "-20209", "account-locked"},
		{"", "-21669", "code-wrong"},
		{"Incorrect Verification Code (-21669)\n", "-", "code-wrong"},
		{"\x1b[31mERROR\x1b[0m This Apple ID has been locked for security\nreasons. (-20209)", "-", "account-locked"},
		{"all is well today\n", "-", "unknown"},
		{"", "9999", "unknown"},
	} {
		r := d.in(c.stdin, "explain", "--json", c.arg)
		if got := findings(t, r); r.code != fine || len(got) == 0 || got[0] != c.first {
			t.Errorf("explain %s of %q: %v, exit code %d, want %s", c.arg, c.stdin, got, r.code, c.first)
		}
		if flagLast := d.in(c.stdin, "explain", c.arg, "--json"); flagLast != r {
			t.Errorf("explain %s --json: %+v", c.arg, flagLast)
		}
	}
	if r := d.in("", "explain", "-"); r.code != misused || !strings.Contains(r.stderr, "nothing to explain") {
		t.Errorf("nothing: %+v", r)
	}
	// A refusal of ours is an incident, however much of it was pasted.
	for _, text := range []string{"4K7Q-9FXM", "readmit: sign-in failed (4001)\nincident: 4K7Q-9FXM\nhint: on a device that is signed in\n"} {
		if r := d.in(text, "explain", "-"); r.code != needPerson || !strings.Contains(r.stderr, "neither that incident") {
			t.Errorf("%q: %+v", text, r)
		}
	}
}

func TestCodesLast(t *testing.T) {
	for in, want := range map[string]string{
		"explain -20101":        "explain -- -20101",
		"explain -20101 --json": "explain --json -- -20101",
		"explain --json -20101": "explain --json -- -20101",
		"explain -- -20101":     "explain -- -20101",
		"explain -":             "explain -",
		"explain 421":           "explain 421",
		"doctor -20101":         "doctor -20101",
		"explain -x":            "explain -x",
		"":                      "",
	} {
		if got := strings.Join(codesLast(strings.Fields(in)), " "); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestDoctorFlags(t *testing.T) {
	for line, want := range map[string]string{
		"doctor --provider dropbox":                      "there is account and icloud",
		"doctor --client netscape":                       "there is auto, mac",
		"doctor --provider account --online":             "are for iCloud",
		"doctor --provider icloud --server http://[::1]": "--server is for",
		"doctor --min-valid -1h":                         "--min-valid",
		"doctor --client mac --state /nothing/there":     "/nothing/there",
		"doctor --state /nothing/there":                  "/nothing/there",
		"doctor icloud":                                  "takes no arguments",
	} {
		if r := newDevice(t).run(strings.Fields(line)...); r.code != misused || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %+v", line, r)
		}
	}
}

// iCloudDevice is a device whose person's home is empty but for what a test
// puts there.
func iCloudDevice(t *testing.T) *device {
	d := newDevice(t)
	home := t.TempDir()
	d.env["HOME"], d.env["TMPDIR"] = home, filepath.Join(home, "tmp")
	return d
}

func TestDoctorOnAnEmptyMachine(t *testing.T) {
	d := iCloudDevice(t)
	r := d.run("doctor", "--provider", "icloud")
	if r.code != fine || strings.Count(r.stdout, "\n") != 1 || !strings.Contains(r.stdout, "nothing of iCloud") {
		t.Errorf("%+v", r)
	}
	if got := findings(t, d.run("doctor", "--provider", "icloud", "--json")); len(got) > 0 {
		t.Errorf("found %v", got)
	}
}

// encrypted settings of rclone are the least that makes a client.
func (d *device) rclone(text string) string {
	d.t.Helper()
	path := filepath.Join(d.env["HOME"], ".config", "rclone", "rclone.conf")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

const unfinished = "[photos]\ntype = iclouddrive\napple_id = jane@example.org\npassword = zq-planted\ntrust_token =\ncookies = X-APPLE-WEBAUTH-USER=zq-planted\n"

// TestDoctorExaminesBoth: without --provider, whatever is on the machine.
func TestDoctorExaminesBoth(t *testing.T) {
	d := iCloudDevice(t)
	d.rclone(unfinished)
	r := d.run("doctor", "--json")
	if got := findings(t, r); r.code != needPerson || !slices.Equal(got, []string{"factor-unfinished"}) {
		t.Errorf("%v, %+v", got, r)
	}
	// Now something of an account of ours is there too: its state is damaged.
	if err := os.MkdirAll(d.env["READMIT_HOME"], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.home("identity.json"), []byte("cut"), 0o600); err != nil {
		t.Fatal(err)
	}
	var both cause.Report
	r = d.run("doctor", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &both); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range both.Findings {
		got = append(got, string(f.Cause))
	}
	if !slices.Equal(got, []string{"state-damaged", "factor-unfinished"}) || r.code != failed {
		t.Errorf("%v, exit code %d", got, r.code)
	}
	text := d.run("doctor")
	if !strings.Contains(text.stdout, "rclone (j***@example.org):") || !strings.Contains(text.stdout, "second factor") || strings.Contains(text.stdout+text.stderr, "zq-planted") {
		t.Errorf("%+v", text)
	}
	if one := d.run("doctor", "--provider", "account", "--json"); strings.Contains(one.stdout, "factor-unfinished") {
		t.Errorf("the account's doctor speaks of iCloud: %+v", one)
	}
}

func TestGuide(t *testing.T) {
	d := iCloudDevice(t)
	r := d.in("1\nb\nq\n", "guide", "icloud", "--on", "iphone")
	if r.code != needPerson || !strings.Contains(r.stdout, "tests: ") || !strings.Contains(r.stderr, "to go on, run: readmit guide icloud") {
		t.Errorf("%+v", r)
	}
	// What does not answer is asked again; the end of the input leaves.
	r = d.in("nonsense\n99\n0\n", "guide", "icloud")
	if r.code != needPerson || strings.Count(r.stderr, "type a number from 1 to") != 3 || !strings.Contains(r.stderr, "going on where it was left") {
		t.Errorf("%+v", r)
	}
	// To the end, by the first answer each time.
	r = d.in(strings.Repeat("1\n", 60), "guide", "icloud", "--new")
	if r.code != fine || !strings.Contains(r.stdout, "ruled out: ") {
		t.Errorf("%+v", r)
	}
	// A program takes one step at a time.
	r = d.run("guide", "icloud", "--new", "--on", "mac", "--json")
	var open struct {
		Schema int
		Step   struct {
			ID      string
			Answers []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(r.stdout), &open); err != nil || r.code != needPerson || open.Schema != 1 || open.Step.ID == "" {
		t.Fatalf("%v: %+v", err, r)
	}
	for i := 0; r.code == needPerson; i++ {
		if i > 60 {
			t.Fatal("it does not end")
		}
		if err := json.Unmarshal([]byte(r.stdout), &open); err != nil {
			t.Fatal(err)
		}
		r = d.run("guide", "icloud", "--json", "--answer", open.Step.ID+"="+open.Step.Answers[0].ID)
	}
	if got := findings(t, r); r.code != fine || len(got) == 0 {
		t.Errorf("%v: %+v", got, r)
	}
	for _, wrong := range [][]string{{"--on", "amiga"}, {"--answer", "nothing"}, {"--new", "--answer", "web=perhaps"}} {
		if r := d.run(append([]string{"guide", "icloud"}, wrong...)...); r.code != misused {
			t.Errorf("%v: %+v", wrong, r)
		}
	}
}

// TestGuideKeepsWhatIsThere: a file that cannot be read is not written over.
func TestGuideKeepsWhatIsThere(t *testing.T) {
	d := iCloudDevice(t)
	d.in("q\n", "guide", "icloud")
	for _, damaged := range []string{"", "{", `{"schema":99}`, `{"schema":1,"on":"amiga"}`} {
		if err := os.WriteFile(d.home(guideFile), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		r := d.in("1\n", "guide", "icloud")
		if b, err := os.ReadFile(d.home(guideFile)); r.code != failed || err != nil || string(b) != damaged || !strings.Contains(r.stderr, "--new") {
			t.Errorf("%q: %+v, %q, %v", damaged, r, b, err)
		}
	}
	r := d.in("q\n", "guide", "icloud", "--new")
	if b, err := os.ReadFile(d.home(guideFile + ".old")); r.code != needPerson || err != nil || len(b) == 0 {
		t.Errorf("%+v, %q, %v", r, b, err)
	}
}

// TestGuideKnowsWhatTheDoctorSees: what stands in a client's files is not asked.
func TestGuideKnowsWhatTheDoctorSees(t *testing.T) {
	d := iCloudDevice(t)
	d.rclone(unfinished)
	r := d.run("guide", "icloud", "--json")
	if r.code == fine {
		if got := findings(t, r); got[0] != "factor-unfinished" {
			t.Errorf("%v", got)
		}
		return
	}
	t.Errorf("it asks although it knows: %+v", r)
}
