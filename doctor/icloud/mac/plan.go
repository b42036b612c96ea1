package mac

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// guide is the command with which a person goes on after a repair.
var guide = []string{"readmit", "guide", "icloud", "--on", "mac"}

// again is the command that tells whether a restart of the daemons was enough.
var again = []string{"readmit", "doctor", "--provider", "icloud"}

// exportFile is where the account list is kept as the system's own tool writes
// it, within the journal's folder.
const exportFile = "MobileMeAccounts.exported.plist"

// plan says what this Mac can repair of what was found. The least comes first:
// a disagreement is met by starting the daemons afresh, and only one that is
// still there after that by moving the account list aside.
func (e *examination) plan(ctx context.Context, j *doctor.Journal, found []cause.Finding) ([]doctor.Repair, []doctor.Declined, error) {
	var repairs []doctor.Repair
	var declined []doctor.Declined
	for _, f := range found {
		var r doctor.Repair
		var why string
		var err error
		switch f.Cause {
		case "services-disagree":
			r, why, err = e.agree(ctx, j, f)
		case "state-damaged":
			r, why, err = e.mend(ctx, j, f)
		default:
			continue
		}
		switch {
		case err != nil:
			return repairs, declined, err
		case why != "":
			declined = append(declined, doctor.Declined{Cause: f.Cause, Why: why})
		default:
			r.Cause = f.Cause
			repairs = append(repairs, r)
		}
		if why == "" && len(r.Aside) > 0 {
			break // one that moves the list aside leaves nothing for a second one
		}
	}
	return repairs, declined, nil
}

func evidence(f cause.Finding, c cause.Check, got string) bool {
	for _, fact := range f.Evidence {
		if fact.Check() == c && fact.Got() == got {
			return true
		}
	}
	return false
}

const uploadsWait = ": what is touched now could be lost. Wait until iCloud Drive is done (the sidebar of Finder shows it), then run this again."

// agree plans what ends a disagreement of settings and daemons.
func (e *examination) agree(ctx context.Context, j *doctor.Journal, f cause.Finding) (r doctor.Repair, why string, err error) {
	// What waits to be uploaded is asked again: what was seen is minutes old.
	drive := askDrive(ctx, e.m)
	if drive.pending > 0 {
		return r, waiting(drive.pending) + uploadsWait, nil
	}
	before, err := restarted(j)
	if err != nil {
		return r, "", err
	}
	switch {
	case !before:
		return e.restart(), "", nil
	case evidence(f, cause.CheckDaemon, "not-running"):
		return r, "The daemons were started afresh and one still does not run: restart this Mac, then run readmit doctor again.", nil
	}
	return e.reset(ctx, j, drive)
}

// restarted reports whether the daemons were started afresh lately: what is
// found after that, a restart did not end.
func restarted(j *doctor.Journal) (bool, error) {
	all, err := j.List()
	if err != nil {
		return false, err
	}
	for _, entry := range all {
		if entry.Cause == "services-disagree" && entry.State == "done" && entry.Undoes == "" &&
			len(entry.Start) > 0 && len(entry.Moves) == 0 && j.Now().Sub(entry.At) < 24*time.Hour {
			return true, nil
		}
	}
	return false, nil
}

func signs(d Daemon) bool { return d.Sign }
func all(Daemon) bool     { return true }

// restart plans to start all daemons that matter afresh, and touches no file.
func (e *examination) restart() doctor.Repair {
	uid := e.m.UID()
	r := doctor.Repair{Stop: stops(uid, signs), Start: starts(uid, signs), Guide: again}
	r.Do = "Stop these daemons and start them afresh; no file is touched:" + doing(r.Start)
	for _, d := range Daemons {
		if d.Sign && !d.mine(uid) {
			r.Do += fmt.Sprintf("\nLeft running, because it belongs to the system: %s (%s). A restart of the Mac starts it afresh.", d.Name, d.Does)
		}
	}
	return r
}

// mend plans what ends a damaged state file.
func (e *examination) mend(ctx context.Context, j *doctor.Journal, f cause.Finding) (r doctor.Repair, why string, err error) {
	switch {
	case evidence(f, cause.CheckStateName, "Accounts4.sqlite") && !evidence(f, cause.CheckStateName, "MobileMeAccounts.plist"):
		return r, "The account database holds every account of this Mac, mail and calendars too, so it is not moved. Restart the Mac: the system mends it or makes a new one. If it is found damaged again, restore the file from a backup.", nil
	case evidence(f, cause.CheckStateFile, "unreadable"):
		return r, "A file cannot be read by you. Give it back to yourself first: in Terminal, sudo chown -R \"$USER\" ~/Library/Preferences/MobileMeAccounts.plist ~/Library/Application\\ Support/iCloud/Accounts; then run this again.", nil
	}
	drive := askDrive(ctx, e.m)
	if drive.pending > 0 {
		return r, waiting(drive.pending) + uploadsWait, nil
	}
	return e.reset(ctx, j, drive)
}

// reset plans to move the account list and the tokens aside.
func (e *examination) reset(ctx context.Context, j *doctor.Journal, drive driveState) (r doctor.Repair, why string, err error) {
	if !drive.told && e.settings().word != "signed-out" && (e.settings().drive || e.settings().damage != "") {
		return r, "It cannot be told whether files wait to be uploaded (" + drive.reason() + "). Restart the Mac, wait until iCloud Drive is done, then run this again.", nil
	}
	var paths []string
	for _, path := range append([]string{e.listPath()}, e.tokens()...) {
		aside, err := j.Aside(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return r, "Not all that would be moved can be read, so it could not be put back surely: " + e.masked(path) + ". Look who owns it.", nil
		}
		r.Aside = append(r.Aside, aside)
		paths = append(paths, e.masked(path))
	}
	if len(r.Aside) == 0 {
		return r, "There is nothing to move aside: the account list is gone already. Restart this Mac and sign in in System Settings; readmit guide icloud leads through it.", nil
	}
	// Asked last, when all else allows the repair: a person is not asked in vain.
	if e.o.OtherDevice == nil {
		return r, "This Mac cannot tell whether it is the account's only trusted device, and nobody could be asked. " + AnotherDevice.Why + " Run it at a terminal.", nil
	}
	other, err := e.o.OtherDevice(ctx)
	switch {
	case err != nil:
		return r, "", err
	case !other:
		return r, "This may be the account's only trusted device. " + AnotherDevice.Options[1].Loses, nil
	}
	uid := e.m.UID()
	r.Stop, r.Start, r.Guide = stops(uid, all), starts(uid, all), guide
	r.Do = "Move aside the list of accounts and the tokens kept beside it:"
	for _, path := range paths {
		r.Do += "\n  " + path
	}
	r.Do += "\nStop before and start afresh after it:" + doing(r.Start)
	change, ok, err := e.export(ctx, j)
	if err != nil {
		return r, "", err
	}
	if ok {
		r.Changes = []doctor.Change{change}
		r.Do += "\nAn export of the list is kept as " + exportFile + " in Readmit's folder."
	} else {
		r.Do += "\nThe list cannot be exported, because it is damaged; the file is kept as it is."
	}
	r.Do += "\nThen this Mac must be restarted and signed in by hand. readmit undo puts the files back as they were; it cannot bring back a sign-in that Apple has ended."
	return r, "", nil
}

func (d driveState) reason() string {
	if d.why != "" {
		return d.why
	}
	return "the daemon of iCloud Drive does not run"
}

func (e *examination) tokens() []string {
	if dsid := e.settings().dsid; dsid != "" {
		return []string{e.tokenPath(dsid)}
	}
	return nil
}

// masked is a path as it is shown: the account's number is an identifier.
func (e *examination) masked(path string) string {
	if dsid := e.settings().dsid; dsid != "" && filepath.Base(path) == dsid {
		return filepath.Join(filepath.Dir(path), "(the account's number)")
	}
	return path
}

// export has the system's own tool write the account list, which asks the
// process that keeps it in memory and so may know more than the file.
func (e *examination) export(ctx context.Context, j *doctor.Journal) (doctor.Change, bool, error) {
	o, err := e.m.Run(ctx, defaults, "export", "MobileMeAccounts", "-")
	if err != nil || o.Exit != 0 {
		return doctor.Change{}, false, nil
	}
	if _, err := readSettings(o.Stdout); err != nil {
		return doctor.Change{}, false, nil
	}
	before, err := j.Read(exportFile)
	if err != nil {
		return doctor.Change{}, false, err
	}
	after := doctor.Content{Bytes: o.Stdout, Mode: 0o600}
	return doctor.Change{File: exportFile, Before: before, After: after}, before.Sum() != after.Sum(), nil
}
