package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"readmit.dev/readmit/cause"
)

const scripts = "../testdata/script"

// TestCauses runs every script, and sees that each cause of the table has one
// that goes through all steps.
func TestCauses(t *testing.T) {
	bin := t.TempDir()
	if err := Build(bin); err != nil {
		t.Fatal(err)
	}
	var record Record
	var databases Databases
	defer func() {
		if err := databases.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Run("script", func(t *testing.T) { testscript.Run(t, Params(scripts, bin, &record, &databases)) })
	if t.Failed() {
		return
	}
	for _, row := range cause.Table() {
		if _, err := os.Stat(filepath.Join(scripts, string(row.Code)+".txtar")); err != nil {
			t.Errorf("cause %s: %v", row.Code, err)
			continue
		}
		if len(record.Lines(string(row.Code))) > 0 {
			continue // below
		}
		if missing := Missing(record.Reached(string(row.Code))); missing != "" {
			t.Errorf("cause %s was not %s", row.Code, missing)
		}
	}
	elsewhere, err := filepath.Glob(filepath.Join(scripts, "fault-*.txtar"))
	if err != nil || len(elsewhere) < 6 {
		t.Errorf("faults at a node and at a service: %q, %v", elsewhere, err)
	}
	for _, file := range elsewhere {
		script := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if missing := Missing(record.Reached(script)); missing != "" {
			t.Errorf("%s was not %s", script, missing)
		}
	}
	for script, clients := range icloudLines {
		reached := record.Lines(script)
		for _, client := range clients {
			if missing := MissingOfLine(reached[client]); missing != "" {
				t.Errorf("%s at %s was not %s", script, client, missing)
			}
			delete(reached, client)
		}
		for client := range reached {
			t.Errorf("%s is made at %s too: say so in icloudLines", script, client)
		}
	}
}

// icloudLines are the causes of iCloud with the clients at which each is made:
// a client that cannot have a cause, or does not show it in what it keeps, is
// not there. "text" is an error text.
var icloudLines = map[string][]string{
	"trust-expired":          {"icloudpd", "icloudpy", "docker-icloudpd", "icloud3", "pyicloud"}, // rclone keeps no date
	"factor-unfinished":      {"icloudpd", "icloudpy", "docker-icloudpd", "icloud3", "pyicloud", "rclone"},
	"terms-pending":          {"icloudpd", "icloudpy", "docker-icloudpd", "icloud3", "pyicloud", "rclone"},
	"region-wrong":           {"icloudpd", "icloudpy", "docker-icloudpd", "icloud3", "pyicloud"}, // rclone tells its domain nowhere
	"access-not-approved":    {"icloudpd", "icloudpy", "docker-icloudpd", "rclone"},              // the others may do without that data
	"app-password":           {"docker-icloudpd", "rclone"},                                      // the others keep no password
	"state-not-persisted":    {"icloudpd", "icloudpy", "docker-icloudpd", "icloud3", "pyicloud", "rclone"},
	"services-disagree":      {"mac"},
	"icloud-change-pending":  {"guide"},
	"icloud-state-damaged":   {"icloudpd", "icloudpy", "docker-icloudpd", "icloud3", "pyicloud", "rclone", "mac", "windows"},
	"icloud-password-wrong":  {"icloudpd", "docker-icloudpd", "mac"}, // the other open clients keep no last status
	"icloud-code-wrong":      {"mac", "text"},
	"icloud-unreachable":     {"mac"},
	"icloud-account-locked":  {"mac"},
	"icloud-client-outdated": {"mac", "icloudpd", "pyicloud", "icloudpy", "icloud3", "docker-icloudpd"},
	"provisioning-refused":   {"text", "mac"},
	"security-keys":          {"text"},
	"rate-limited":           {"text"},
	"account-locked":         {"text"},
	"unknown":                {"text"},
}

func TestMissingOfLine(t *testing.T) {
	for _, c := range []struct {
		reached []string
		want    string
	}{
		{nil, "made"}, {[]string{"made"}, "named"}, {[]string{"made", "named"}, ""},
		{[]string{"made", "named", "repaired"}, "undone"}, {[]string{"made", "named", "repaired", "undone"}, ""},
	} {
		if got := MissingOfLine(c.reached); got != c.want {
			t.Errorf("MissingOfLine(%q) = %q, want %q", c.reached, got, c.want)
		}
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		reached []string
		want    string
	}{
		{nil, "made"},
		{[]string{"made", "named", "remedied", "signed-in"}, ""},
		{[]string{"made", "named", "named", "remedied", "signed-in", "signed-in"}, ""},
		{[]string{"named", "made", "remedied", "signed-in"}, "named"},
		{[]string{"made", "named", "signed-in"}, "remedied"},
	} {
		if got := Missing(c.reached); got != c.want {
			t.Errorf("Missing(%q) = %q, want %q", c.reached, got, c.want)
		}
	}
}

func TestAbout(t *testing.T) {
	for script, want := range map[string]string{"password-wrong": "password-wrong", "fault-service-gone": "service-fault", "two-disabled-and-wrong": "", "usage-proof": ""} {
		if got := about(script); got != want {
			t.Errorf("about(%q) = %q, want %q", script, got, want)
		}
	}
}
