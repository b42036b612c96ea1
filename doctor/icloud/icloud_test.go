package icloud

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// seen remembers what a watcher was told.
type seen struct{ subjects, ended []string }

func (s *seen) Subject(client, account string)            { s.subjects = append(s.subjects, client+" "+account) }
func (s *seen) Begin(string)                              {}
func (s *seen) End(name string, _ []cause.Fact, _ string) { s.ended = append(s.ended, name) }

func check(name string, facts ...cause.Fact) doctor.Check {
	return doctor.Check{Name: name, Look: func(context.Context) ([]cause.Fact, string) { return facts, "seen" }}
}

func note(c cause.Check, want, got cause.Value) cause.Fact {
	return cause.Note(c, want, got, cause.ByDevice)
}

var (
	ended   = note(cause.CheckTrust, cause.Duration(0), cause.Duration(-9*24*time.Hour))
	ending  = note(cause.CheckTrust, cause.Duration(72*time.Hour), cause.Duration(24*time.Hour))
	memory  = note(cause.CheckPlace, cause.Word("lasting"), cause.Word("temporary"))
	terms   = note(cause.CheckTerms, cause.Word("accepted"), cause.Word("pending"))
	clock   = note(cause.CheckClock, cause.Duration(0), cause.Duration(time.Hour))
	tls     = note(cause.CheckTLS, cause.Word("trusted"), cause.Word("expired"))
	refused = note(cause.CheckPassword, cause.Word("proved"), cause.Word("not-proved"))
)

func codes(found []cause.Finding) string {
	var all []string
	for _, f := range found {
		all = append(all, string(f.Cause))
	}
	return strings.Join(all, " ")
}

func TestExamine(t *testing.T) {
	for name, c := range map[string]struct {
		environment []doctor.Check
		subjects    []doctor.Subject
		want        string
	}{
		"nothing wrong": {nil, []doctor.Subject{{Client: "rclone", Checks: []doctor.Check{check("terms")}}}, ""},
		"the likelier cause first, whichever check came first": {
			nil, []doctor.Subject{{Client: "icloudpd", Checks: []doctor.Check{check("trust", ended), check("terms", terms)}}}, "terms-pending trust-expired",
		},
		"a root hides its consequence in one subject": {
			nil, []doctor.Subject{{Client: "icloudpd", Checks: []doctor.Check{check("trust", ended), check("place", memory)}}}, "state-not-persisted",
		},
		"and not in another": {
			nil, []doctor.Subject{{Client: "icloudpd", Checks: []doctor.Check{check("place", memory)}}, {Client: "icloud3", Checks: []doctor.Check{check("trust", ended)}}},
			"state-not-persisted trust-expired",
		},
		"what the machine explains is said once, and hides what follows": {
			[]doctor.Check{check("clock", clock), check("tls", tls)},
			[]doctor.Subject{{Client: "icloudpd", Checks: []doctor.Check{check("password", refused)}}, {Client: "icloud3", Checks: []doctor.Check{check("password", refused)}}},
			"clock-off",
		},
		"the same cause at two clients is two findings": {
			nil, []doctor.Subject{{Client: "icloudpd", Checks: []doctor.Check{check("trust", ended)}}, {Client: "pyicloud", Checks: []doctor.Check{check("trust", ended)}}},
			"trust-expired trust-expired",
		},
	} {
		w := &seen{}
		ex, err := Examine(t.Context(), c.environment, c.subjects, w)
		if err != nil {
			t.Fatal(err)
		}
		if got := codes(ex.Report.Findings); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if len(w.subjects) != len(c.subjects) || ex.Report.Schema != 1 || ex.Report.Audience != "owner" || ex.Report.Findings == nil {
			t.Errorf("%s: %+v, %+v", name, w, ex.Report)
		}
	}
}

// TestFindingsAreICloudsOwn: each says which client and account it is about,
// the account masked, and what to do is of iCloud and of that client.
func TestFindingsAreICloudsOwn(t *testing.T) {
	subject := doctor.Subject{Client: "icloudpd", Account: "jane@example.org", Checks: []doctor.Check{check("trust", ending), check("password", refused)}}
	ex, err := Examine(t.Context(), nil, []doctor.Subject{subject}, &seen{})
	if err != nil || len(ex.Report.Findings) != 2 {
		t.Fatalf("%+v, %v", ex, err)
	}
	for _, f := range ex.Report.Findings {
		if f.Evidence[0].Check() != cause.CheckClient || f.Evidence[0].Got() != "icloudpd" || f.Evidence[1].Got() != "j***@example.org" {
			t.Errorf("%s is about %v", f.Cause, f.Evidence[:2])
		}
		if len(f.Remedies) == 0 {
			t.Errorf("%s has no remedy", f.Cause)
		}
		for _, r := range f.Remedies {
			if slices.Contains(r.Argv, "sign-in") || strings.Contains(r.Do, "readmit password") {
				t.Errorf("%s: a remedy of a Readmit account: %+v", f.Cause, r)
			}
		}
	}
	if f := ex.Report.Findings[0]; f.Cause != "trust-expired" || f.Title != expiring {
		t.Errorf("trust that still holds is called %q", f.Title)
	}
	ex, err = Examine(t.Context(), nil, []doctor.Subject{{Client: "icloudpd", Checks: []doctor.Check{check("trust", ended)}}}, &seen{})
	if err != nil || ex.Report.Findings[0].Title == expiring {
		t.Errorf("trust that has ended is said to end soon: %+v, %v", ex.Report.Findings, err)
	}
}

func TestExamineEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ex, err := Examine(ctx, nil, []doctor.Subject{{Client: "rclone", Checks: []doctor.Check{check("trust", ended)}}}, &seen{}); err == nil {
		t.Errorf("an examination that was interrupted ends with %+v", ex.Report)
	}
}

// TestOffline: without being asked to, nothing is looked up and nothing dialled.
func TestOffline(t *testing.T) {
	m := Here(func(string) string { return "" }, time.Now, 0)
	m.Hosts = t.TempDir() // no file
	for _, c := range m.Environment(false) {
		facts, saw := c.Look(t.Context())
		if len(facts) > 0 {
			t.Errorf("%s: %v", c.Name, facts)
		}
		if (c.Name == "clock" || c.Name == "network") != strings.HasPrefix(saw, "left out") {
			t.Errorf("%s: %s", c.Name, saw)
		}
	}
	if on, off := len(m.Environment(true)), len(m.Environment(false)); on != off+len(servers)-1 {
		t.Errorf("%d checks online, %d offline", on, off)
	}
}

func TestFindSaysWhatIsMissing(t *testing.T) {
	m := Here(func(string) string { return "" }, time.Now, 0)
	m.Clients.Home, m.Clients.Root, m.Clients.Temp = t.TempDir(), t.TempDir(), t.TempDir()
	if found, err := m.Find(t.Context(), "", ""); len(found) > 0 || err != nil {
		t.Errorf("found %v, %v on an empty machine", found, err)
	}
	for client, state := range map[string]string{"": t.TempDir(), "mac": t.TempDir(), "windows": t.TempDir(), "rclone": t.TempDir(), "icloudpd": "/nothing/there"} {
		if found, err := m.Find(t.Context(), client, state); err == nil {
			t.Errorf("%s: found %v in an empty folder", client, found)
		}
	}
	if !slices.Equal(Clients()[2:], []string{"icloudpd", "pyicloud", "icloudpy", "docker-icloudpd", "icloud3", "rclone"}) {
		t.Errorf("clients %v", Clients())
	}
}
