package account

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/device"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/resident"
)

const kept = "incidents/ABCD-EFGH.json"

// whole is a signed-in device with every file that a home can have.
func whole(t *testing.T) *agent.Agent {
	a := enrolled(t)
	must(t, a.Home.Save(agent.AttemptFile, agent.Attempt{Server: where, Account: "jane@example.org", ID: "i", Request: "R", Expires: time.Now()}))
	must(t, a.Home.KeepIncident(agent.Incident{Reference: "ABCD-EFGH", Server: where, Account: "jane@example.org", What: "sign-in", At: time.Now().Add(-48 * time.Hour)}))
	return a
}

// more writes a file that is there only while something is under way, and says
// what is then found on a device that is in order otherwise.
func more(t *testing.T, a *agent.Agent, file string) (found string) {
	switch file {
	case agent.AgentFile: // it should run, and does not
		must(t, a.Home.Save(file, resident.Record{State: resident.Running, PID: 1, At: time.Now()}))
		return "agent-stopped"
	case agent.RecoveryFile:
		must(t, a.Home.Save(file, agent.Recovering{Server: where, Account: "jane@example.org", Name: "laptop", Claim: []byte("C"), At: time.Now()}))
	case agent.FoldersFile:
		must(t, a.Home.Save(file, []string{}))
	}
	return ""
}

// what says what a repair does to its files: aside, restored or private.
func what(r doctor.Repair) map[string]string {
	out := map[string]string{}
	for _, c := range r.Changes {
		switch {
		case c.After.Bytes == nil:
			out[c.File] = "aside"
		case string(c.Before.Bytes) == string(c.After.Bytes):
			out[c.File] = "private"
		default:
			out[c.File] = "restored"
		}
		if c.After.Bytes != nil && c.After.Mode != 0o600 {
			out[c.File] += " for others to see"
		}
	}
	return out
}

// told is a plan without the contents, which are secret.
func told(plan []doctor.Repair) []map[string]string {
	var out []map[string]string
	for _, r := range plan {
		out = append(out, what(r))
	}
	return out
}

// TestDamage brings every file into every bad state. What is intact is put
// back, the rest moved aside; undo brings the damage back byte for byte.
func TestDamage(t *testing.T) {
	t.Parallel()
	original := whole(t)
	files := []string{agent.IdentityFile, agent.IdentityCopy, agent.SessionFile, agent.AttemptFile, kept, agent.AgentFile, agent.RecoveryFile, agent.FoldersFile}
	for _, c := range []struct {
		problem agent.Problem
		does    map[string]string // by file; none: nothing is planned
	}{
		{agent.Missing, map[string]string{agent.IdentityFile: "restored", agent.IdentityCopy: "restored", agent.SessionFile: "restored"}},
		{agent.Malformed, map[string]string{agent.IdentityFile: "restored", agent.IdentityCopy: "restored", agent.SessionFile: "restored", agent.AttemptFile: "aside", kept: "aside", agent.AgentFile: "restored", agent.RecoveryFile: "aside", agent.FoldersFile: "aside"}},
		{agent.WrongMode, map[string]string{agent.IdentityFile: "private", agent.IdentityCopy: "private", agent.SessionFile: "private", agent.AttemptFile: "private", kept: "private", agent.AgentFile: "private", agent.RecoveryFile: "private", agent.FoldersFile: "private"}},
		{agent.Newer, nil},
	} {
		for _, file := range files {
			t.Run(string(c.problem)+" "+filepath.Base(file), func(t *testing.T) {
				a := twin(t, original)
				must(t, os.Chmod(a.Home.Path(agent.AttemptFile), 0o600))
				must(t, os.Chmod(a.Home.Path(kept), 0o600))
				then := more(t, a, file)
				corrupt(t, a, file, c.problem)
				damage := snapshot(t, a)
				ex, _ := examine(t, a)
				j := journal(a)
				plan, err := ex.Plan(j)
				must(t, err)
				if c.problem == agent.Missing && c.does[file] == "" { // never had one
					if found(ex) != "" || len(plan) > 0 || !ex.SignedIn {
						t.Errorf("found %q, plan %v", found(ex), told(plan))
					}
					return
				}
				if found(ex) != "state-damaged" {
					t.Fatalf("found %q", found(ex))
				}
				if w := words(ex, cause.CheckStateFile); !slices.Equal(w, []string{string(c.problem)}) {
					t.Errorf("evidence says %q", w)
				}
				name := file
				if file == kept {
					name = "incident"
				}
				if w := words(ex, cause.CheckStateName); !slices.Equal(w, []string{name}) {
					t.Errorf("evidence names %q", w)
				}
				if (c.problem == agent.Newer) != ex.NewerState() {
					t.Errorf("NewerState() = %t", ex.NewerState())
				}
				if c.does == nil {
					if len(plan) > 0 {
						t.Errorf("planned: %v", what(plan[0]))
					}
					if snapshot(t, a) != damage {
						t.Error("something was changed")
					}
					return
				}
				if len(plan) != 1 || len(plan[0].Changes) != 1 || what(plan[0])[file] != c.does[file] || plan[0].Guide != nil {
					t.Fatalf("plan %v", told(plan))
				}
				if snapshot(t, a) != damage {
					t.Error("planning changed something")
				}
				_, err = j.Apply(plan[0])
				must(t, err)
				if ex, _ := examine(t, a); found(ex) != then || !ex.SignedIn || !ex.Enrolled {
					t.Errorf("after the repair: found %q, signed in: %t", found(ex), ex.SignedIn)
				}
				if _, err := a.Token(t.Context(), "", time.Minute); err != nil {
					t.Errorf("after the repair: %v", err)
				}
				_, err = j.Undo("")
				must(t, err)
				if file != agent.SessionFile && snapshot(t, a) != damage { // a token may have been fetched meanwhile
					t.Error("undo does not bring back what was there")
				}
			})
		}
	}
}

// words are what the evidence of the first finding says for a check.
func words(ex *Examination, c cause.Check) []string {
	var out []string
	for _, f := range ex.Findings[0].Evidence {
		if f.Check() == c {
			out = append(out, f.Got())
		}
	}
	return out
}

// TestUnreadable: what is no file is not touched; the error says where it lies.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	original := whole(t)
	for _, file := range []string{agent.IdentityFile, agent.IdentityCopy, agent.SessionFile, agent.AttemptFile, kept, agent.AgentFile, agent.RecoveryFile, agent.FoldersFile} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			a := twin(t, original)
			must(t, os.Chmod(a.Home.Path(agent.AttemptFile), 0o600))
			must(t, os.Chmod(a.Home.Path(kept), 0o600))
			more(t, a, file)
			corrupt(t, a, file, agent.Unreadable)
			ex, _ := examine(t, a)
			if found(ex) != "state-damaged" || !slices.Equal(words(ex, cause.CheckStateFile), []string{"unreadable"}) {
				t.Errorf("found %q", found(ex))
			}
			if _, err := ex.Plan(journal(a)); err == nil || !strings.Contains(err.Error(), a.Home.Path(file)) {
				t.Errorf("Plan: %v", err)
			}
		})
	}
}

// TestBothCopiesDamaged: nothing is left to restore the enrolment from, so it
// is set aside, and a person signs in again.
func TestBothCopiesDamaged(t *testing.T) {
	t.Parallel()
	original := enrolled(t)
	for _, c := range []struct {
		file, copied agent.Problem
		aside        int
		word         string // what is said of the copy
	}{
		{agent.Malformed, agent.Malformed, 2, "malformed"},
		{agent.Malformed, agent.Missing, 1, "missing"},
		{agent.Missing, agent.Malformed, 1, "malformed"},
	} {
		t.Run(string(c.file)+" "+string(c.copied), func(t *testing.T) {
			a := twin(t, original)
			corrupt(t, a, agent.IdentityFile, c.file)
			corrupt(t, a, agent.IdentityCopy, c.copied)
			damage := snapshot(t, a)
			ex, _ := examineWith(t, &Examiner{Agent: a, Server: where})
			if found(ex) != "state-damaged" || !slices.Equal(words(ex, cause.CheckStateAside), []string{c.word}) {
				t.Errorf("found %q, the copy is %q", found(ex), words(ex, cause.CheckStateAside))
			}
			j := journal(a)
			plan, err := ex.Plan(j)
			must(t, err)
			if len(plan) != 1 || len(plan[0].Changes) != c.aside || !slices.Equal(plan[0].Guide, SignIn) {
				t.Fatalf("plan %v", told(plan))
			}
			for file, does := range what(plan[0]) {
				if does != "aside" {
					t.Errorf("%s: %s", file, does)
				}
			}
			_, err = j.Apply(plan[0])
			must(t, err)
			if ex, _ := examineWith(t, &Examiner{Agent: a, Server: where}); found(ex) != "" || ex.Enrolled || ex.SignedIn {
				t.Errorf("after the repair: found %q", found(ex))
			}
			_, err = j.Undo("")
			must(t, err)
			if snapshot(t, a) != damage {
				t.Error("undo does not bring back what was there")
			}
		})
	}
}

// TestNewerBesideDamage: what a newer readmit wrote and what is damaged are each
// said to be that, and nothing is planned.
func TestNewerBesideDamage(t *testing.T) {
	t.Parallel()
	original := whole(t)
	const newer, both = "State kept on this device was written by a newer Readmit", "State kept on this device is damaged, and some of it was written by a newer Readmit"
	for _, c := range []struct {
		name         string
		bad          map[string]agent.Problem
		title, state string
		copied       []string // what is said of the copy
	}{
		{"session beside identity", map[string]agent.Problem{agent.IdentityFile: agent.Malformed, agent.SessionFile: agent.Newer}, both, "damaged, and in part written by a newer readmit", []string{"intact"}},
		{"copy beside identity", map[string]agent.Problem{agent.IdentityFile: agent.Malformed, agent.IdentityCopy: agent.Newer}, both, "damaged, and in part written by a newer readmit", nil},
		{"identity beside copy", map[string]agent.Problem{agent.IdentityFile: agent.Newer, agent.IdentityCopy: agent.Malformed}, both, "damaged, and in part written by a newer readmit", []string{"malformed"}},
		{"both identities", map[string]agent.Problem{agent.IdentityFile: agent.Newer, agent.IdentityCopy: agent.Newer}, newer, "written by a newer readmit", nil},
		{"attempt beside a session that is lost", map[string]agent.Problem{agent.AttemptFile: agent.Newer, agent.SessionFile: agent.Missing}, both, "written by a newer readmit", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := twin(t, original)
			must(t, os.Chmod(a.Home.Path(agent.AttemptFile), 0o600))
			must(t, os.Chmod(a.Home.Path(kept), 0o600))
			for file, p := range c.bad {
				corrupt(t, a, file, p)
			}
			before := snapshot(t, a)
			ex, w := examine(t, a)
			if found(ex) != "state-damaged" || ex.Findings[0].Title != c.title || w.saw["state files"] != c.state {
				t.Fatalf("found %q, %q; saw %q", found(ex), ex.Findings[0].Title, w.saw["state files"])
			}
			if said := strings.Contains(ex.Findings[0].Remedies[0].Do, "It is not damaged"); said != (c.title == newer) {
				t.Errorf("it says %q", ex.Findings[0].Remedies[0].Do)
			}
			if got := words(ex, cause.CheckStateAside); !slices.Equal(got, c.copied) {
				t.Errorf("of the copy it says %q", got)
			}
			if plan, err := ex.Plan(journal(a)); err != nil || len(plan) > 0 || snapshot(t, a) != before {
				t.Errorf("plan %v, %v", told(plan), err)
			}
		})
	}
}

// TestRestoredIsPrivate: an intact copy that others can read is made private,
// and what is restored from it is so from the beginning.
func TestRestoredIsPrivate(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	corrupt(t, a, agent.IdentityFile, agent.Malformed)
	corrupt(t, a, agent.IdentityCopy, agent.WrongMode)
	ex, _ := examine(t, a)
	plan, err := ex.Plan(journal(a))
	must(t, err)
	if len(plan) != 1 || what(plan[0])[agent.IdentityFile] != "restored" || what(plan[0])[agent.IdentityCopy] != "private" {
		t.Fatalf("plan %v", told(plan))
	}
	_, err = journal(a).Apply(plan[0])
	must(t, err)
	if ex, _ := examine(t, a); found(ex) != "" || !ex.SignedIn {
		t.Errorf("found %q", found(ex))
	}
}

// TestUnusableKey: a file whose checksum is right and whose key is none is
// damaged all the same; every command would fail on it.
func TestUnusableKey(t *testing.T) {
	t.Parallel()
	original := enrolled(t)
	id, err := original.Identity()
	must(t, err)
	id.Key = "no key"
	t.Run("copy intact", func(t *testing.T) {
		a := twin(t, original)
		must(t, a.Home.Save(agent.IdentityFile, id))
		ex, _ := examine(t, a)
		plan, err := ex.Plan(journal(a))
		must(t, err)
		if found(ex) != "state-damaged" || len(plan) != 1 || what(plan[0])[agent.IdentityFile] != "restored" {
			t.Fatalf("found %q, plan %v", found(ex), told(plan))
		}
		_, err = journal(a).Apply(plan[0])
		must(t, err)
		must(t, a.Alive(t.Context()))
	})
	t.Run("both", func(t *testing.T) {
		a := twin(t, original)
		must(t, a.Home.SaveIdentity(id))
		ex, _ := examine(t, a)
		plan, err := ex.Plan(journal(a))
		must(t, err)
		if found(ex) != "state-damaged" || len(plan) != 1 || plan[0].Guide == nil {
			t.Fatalf("found %q, plan %v", found(ex), told(plan))
		}
	})
}

// another puts a key into an identity that is not the one that was enrolled.
func another(t *testing.T, id agent.Identity) agent.Identity {
	t.Helper()
	k, err := device.GenerateKey()
	must(t, err)
	pem, err := k.MarshalPEM()
	must(t, err)
	id.Key = string(pem)
	return id
}

func TestKeyMismatch(t *testing.T) {
	t.Parallel()
	original := enrolled(t)
	id, err := original.Identity()
	must(t, err)
	wrong := another(t, id)
	t.Run("the copy has the key that was enrolled", func(t *testing.T) {
		a := twin(t, original)
		must(t, a.Home.Save(agent.IdentityFile, wrong))
		damage := snapshot(t, a)
		ex, w := examine(t, a)
		if found(ex) != "key-mismatch" || !w.bad["device key"] {
			t.Errorf("found %q", found(ex))
		}
		j := journal(a)
		plan, err := ex.Plan(j)
		must(t, err)
		if len(plan) != 1 || len(plan[0].Changes) != 1 || what(plan[0])[agent.IdentityFile] != "restored" || plan[0].Guide != nil {
			t.Fatalf("plan %v", told(plan))
		}
		_, err = j.Apply(plan[0])
		must(t, err)
		if ex, _ := examine(t, a); found(ex) != "" || !ex.SignedIn {
			t.Errorf("after the repair: found %q", found(ex))
		}
		_, err = j.Undo("")
		must(t, err)
		if snapshot(t, a) != damage {
			t.Error("undo does not bring back what was there")
		}
	})
	t.Run("neither has it", func(t *testing.T) {
		a := twin(t, original)
		must(t, a.Home.SaveIdentity(wrong))
		ex, _ := examine(t, a)
		if found(ex) != "key-mismatch" || !ex.SignInEnds() {
			t.Errorf("found %q", found(ex))
		}
		plan, err := ex.Plan(journal(a))
		must(t, err)
		want := map[string]string{agent.IdentityFile: "aside", agent.IdentityCopy: "aside", agent.SessionFile: "aside"}
		if len(plan) != 1 || len(what(plan[0])) != len(want) || !slices.Equal(plan[0].Guide, SignIn) {
			t.Fatalf("plan %v", told(plan))
		}
		for file, does := range what(plan[0]) {
			if want[file] != does {
				t.Errorf("%s: %s", file, does)
			}
		}
		_, err = journal(a).Apply(plan[0])
		must(t, err)
		if _, err := a.Identity(); !errors.Is(err, agent.ErrNotEnrolled) {
			t.Errorf("after the repair: %v", err)
		}
	})
}

// TestSignedOut: a damaged session that the server has ended is moved aside,
// and a person signs in.
func TestSignedOut(t *testing.T) {
	t.Parallel()
	a := enrolled(t)
	b, err := os.ReadFile(a.Home.Path(agent.SessionFile))
	must(t, err)
	_, err = a.SignOut(t.Context())
	must(t, err)
	ex, w := examine(t, a)
	if found(ex) != "" || ex.SignedIn || !ex.Enrolled {
		t.Errorf("signed out: found %q; %v", found(ex), w.saw)
	}
	must(t, os.WriteFile(a.Home.Path(agent.SessionFile), b[:20], 0o600))
	ex, _ = examine(t, a)
	plan, err := ex.Plan(journal(a))
	must(t, err)
	if found(ex) != "state-damaged" || len(plan) != 1 || what(plan[0])[agent.SessionFile] != "aside" || !slices.Equal(plan[0].Guide, SignIn) {
		t.Errorf("found %q, plan %v", found(ex), told(plan))
	}
}
