package account

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"readmit.dev/readmit/agent"
	"readmit.dev/readmit/doctor"
	"readmit.dev/readmit/resident"
)

// private is the mode of every file of a home.
const private = 0o600

// Plan says which repairs this device can make itself for what was found, as
// the files are now.
func (ex *Examination) Plan(j *doctor.Journal) ([]doctor.Repair, error) {
	var plan []doctor.Repair
	if ex.NewerState() {
		return nil, nil
	}
	for _, f := range ex.Findings {
		var r doctor.Repair
		var err error
		switch f.Cause {
		case "state-damaged":
			r, err = ex.mendState(j)
		case "key-mismatch":
			r, err = ex.enrolAgain(j)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(r.Changes) > 0 {
			plan = append(plan, r)
		}
	}
	return plan, nil
}

// NewerState reports whether a newer readmit wrote a file: nothing is changed then.
func (ex *Examination) NewerState() bool {
	return slices.Contains(slices.Collect(maps.Values(ex.files)), agent.Newer)
}

// damagedToo reports whether a file that no newer readmit wrote is damaged.
func (ex *Examination) damagedToo() bool {
	for _, p := range ex.files {
		if p != agent.Newer {
			return true
		}
	}
	return false
}

// mendState moves each damaged file aside and puts in its place what is intact.
func (ex *Examination) mendState(j *doctor.Journal) (doctor.Repair, error) {
	r := doctor.Repair{Cause: "state-damaged", Do: "Move the damaged files aside, and restore what is intact."}
	if ex.NewerState() {
		return r, nil
	}
	var good []byte
	if ex.intact != "" {
		c, err := j.Read(ex.intact)
		if err != nil {
			return r, err
		}
		good = c.Bytes
	}
	for _, file := range slices.Sorted(maps.Keys(ex.files)) {
		if file == agent.IncidentsDir {
			if _, err := os.ReadDir(filepath.Join(j.Dir, file)); err != nil {
				return r, fmt.Errorf("%w: give the folder back to yourself (chown, chmod 700)", err)
			}
			continue
		}
		before, err := j.Read(file)
		if err != nil {
			return r, err
		}
		after := doctor.Content{}
		switch {
		case ex.files[file] == agent.WrongMode:
			after = doctor.Content{Bytes: before.Bytes, Mode: private}
		case file == agent.IdentityFile || file == agent.IdentityCopy:
			if good != nil {
				after = doctor.Content{Bytes: good, Mode: private}
			}
		case file == agent.SessionFile && ex.session != nil:
			after = doctor.Content{Bytes: ex.session, Mode: private}
		case file == agent.AgentFile: // that one is expected to run is not forgotten with it
			b, err := resident.Expected(ex.atWork)
			if err != nil {
				return r, err
			}
			after = doctor.Content{Bytes: b, Mode: private}
		}
		if before.Sum() != after.Sum() {
			r.Changes = append(r.Changes, doctor.Change{File: file, Before: before, After: after})
		}
	}
	if ex.intact == "" && ex.files[agent.IdentityFile] != "" || ex.files[agent.SessionFile] != "" && !usable(ex.files[agent.SessionFile]) && ex.session == nil && ex.intact == agent.IdentityFile {
		r.Guide = SignIn
	}
	return r, nil
}

// enrolAgain sets the enrolment aside, so that the device gets a new key. Where
// the copy still has the key that was enrolled, that is put back instead.
func (ex *Examination) enrolAgain(j *doctor.Journal) (doctor.Repair, error) {
	r := doctor.Repair{Cause: "key-mismatch", Do: "Move the enrolment aside; this device then signs in as a new one, with a code.", Guide: SignIn}
	for _, file := range []string{agent.IdentityFile, agent.IdentityCopy, agent.SessionFile} {
		before, err := j.Read(file)
		if err != nil {
			return r, err
		}
		if before.Bytes != nil {
			r.Changes = append(r.Changes, doctor.Change{File: file, Before: before})
		}
	}
	if len(r.Changes) > 1 && r.Changes[1].File == agent.IdentityCopy && agent.KeyIsEnrolled(r.Changes[1].Before.Bytes) {
		r.Do, r.Guide = "Put back the key that was enrolled, from the copy of the enrolment.", nil
		r.Changes = []doctor.Change{{File: agent.IdentityFile, Before: r.Changes[0].Before, After: doctor.Content{Bytes: r.Changes[1].Before.Bytes, Mode: private}}}
	}
	return r, nil
}

// SignIn is the command that ends what only a person can end.
var SignIn = []string{"readmit", "sign-in", "--server", "{server}", "--account", "{account}"}

// SignInEnds reports whether signing in again ends what was found.
func (ex *Examination) SignInEnds() bool {
	if len(ex.Findings) == 0 {
		return false
	}
	switch ex.Findings[0].Cause {
	case "session-ended", "session-expired", "token-superseded", "device-removed", "key-mismatch", "password-wrong":
		return true
	}
	return false
}
