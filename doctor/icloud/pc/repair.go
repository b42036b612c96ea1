package pc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

const (
	damaged  cause.Code = "state-damaged"
	disagree cause.Code = "services-disagree"
)

// guide is how a person goes on where files were set aside.
var guide = []string{"readmit", "guide", "icloud", "--on", "windows"}

const whatUndoDoes = " Undo puts the files back; whether iCloud takes up its old session again is not in our hands."

// restartCounts is how long a restart is remembered that did not help.
const restartCounts = 24 * time.Hour

// plan says what is repaired. What is set aside is no more than the finding
// asks for; and where a restart may be enough, that comes first.
func (x *examination) plan(ctx context.Context, j *doctor.Journal, found []cause.Finding) ([]doctor.Repair, []doctor.Declined, error) {
	var repairs []doctor.Repair
	var declined []doctor.Declined
	for _, f := range found {
		var r doctor.Repair
		var why string
		var err error
		switch f.Cause {
		case damaged:
			r, why, err = x.mend(ctx, j)
		case disagree:
			r, why, err = x.agree(ctx, j)
		default:
			continue
		}
		switch {
		case err != nil:
			return nil, nil, err
		case why != "":
			declined = append(declined, doctor.Declined{Cause: f.Cause, Why: why})
		case len(r.Aside)+len(r.Start) > 0:
			repairs = append(repairs, r)
		}
	}
	return repairs, declined, nil
}

// mend sets the damaged files aside: iCloud writes new ones.
func (x *examination) mend(ctx context.Context, j *doctor.Journal) (doctor.Repair, string, error) {
	var paths []string
	for _, file := range stateFiles {
		switch _, state := look(x.m, x.edition, file); state {
		case "intact", "missing":
		case "unreadable":
			return doctor.Repair{}, file + " cannot be read: give it back to yourself (its Properties, Security), then run this again", nil
		default:
			paths = append(paths, filepath.Join(x.edition.prefs, file))
		}
	}
	return x.setAside(ctx, j, damaged, paths)
}

// agree starts the programs again; where that was done and did not help, what
// they keep is set aside first.
func (x *examination) agree(ctx context.Context, j *doctor.Journal) (doctor.Repair, string, error) {
	if !x.compare().disagree() {
		return doctor.Repair{}, "", nil
	}
	tried, err := restarted(j)
	if err != nil {
		return doctor.Repair{}, "", err
	}
	if !tried {
		r := doctor.Repair{Cause: disagree}
		if err := x.aroundIt(&r); err != nil {
			return r, "", err
		}
		if len(r.Start) == 0 {
			return r, "its programs are not where they are looked for: install iCloud for Windows from the Microsoft Store, then run this again", nil
		}
		r.Do = x.sentence(r, "")
		return r, "", nil
	}
	// The Store's folder is iCloud's alone; the classic one is shared with
	// Apple's other programs.
	paths := []string{x.edition.prefs}
	if !x.edition.store {
		paths = nil
		for _, file := range stateFiles {
			paths = append(paths, filepath.Join(x.edition.prefs, file))
		}
	}
	return x.setAside(ctx, j, disagree, paths)
}

// restarted reports whether the programs were started again lately for the
// same finding, with nothing set aside.
func restarted(j *doctor.Journal) (bool, error) {
	all, err := j.List()
	return slices.ContainsFunc(all, func(e doctor.Entry) bool {
		return e.Cause == disagree && e.State == "done" && e.Undoes == "" && len(e.Moves) == 0 && len(e.Start) > 0 && j.Now().Sub(e.At) < restartCounts
	}), err
}

// setAside plans to move what is there of the paths, with the programs stopped
// meanwhile; or says why not.
func (x *examination) setAside(ctx context.Context, j *doctor.Journal, c cause.Code, paths []string) (doctor.Repair, string, error) {
	r := doctor.Repair{Cause: c, Guide: guide}
	for _, path := range paths {
		a, err := j.Aside(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return r, "", err
		}
		r.Aside = append(r.Aside, a)
	}
	if len(r.Aside) == 0 {
		return doctor.Repair{}, "", nil
	}
	up := lookForUploads(ctx, x.m)
	if up.wait > 0 {
		return r, fmt.Sprintf("%d files in %s are not in the cloud yet: let them be uploaded, or copy them to another folder, then run this again", up.wait, up.folder), nil
	}
	sure := false
	if x.o.OtherSource != nil {
		var err error
		if sure, err = x.o.OtherSource(ctx); err != nil {
			return r, "", err
		}
	}
	if !sure {
		return r, "you will need six digits to sign in again, and a PC shows none: first see that another device or phone number of the account gets them, then run this again and say so (--other-device)", nil
	}
	if err := x.aroundIt(&r); err != nil {
		return r, "", err
	}
	more := " Have the device or phone at hand that gets the six digits: a PC shows none, so setting this aside takes no source of them away."
	if up.folder != "" && !up.known {
		more += " Whether files wait to be uploaded cannot be told here: look into " + up.folder + " before you go on."
	}
	r.Do = x.sentence(r, more+whatUndoDoes)
	return r, "", nil
}

// aroundIt names the programs that are stopped before a repair and started after
// it: those that run now, or what starts the rest where none does.
func (x *examination) aroundIt(r *doctor.Repair) error {
	procs, err := x.m.Processes()
	if errors.Is(err, ErrCannotTell) {
		return nil // a disk in another machine: nothing of it runs
	}
	if err != nil {
		return err
	}
	for i, p := range programs {
		if !runs(procs, p.name) {
			continue
		}
		r.Stop = append(r.Stop, p.name)
		if programs[i].byOthers == "" {
			for _, run := range procs {
				if start := startName(run); strings.EqualFold(run.Name, p.name) && start != "" && !slices.Contains(r.Start, start) {
					r.Start = append(r.Start, start)
				}
			}
		}
	}
	slices.Reverse(r.Start)
	if mine, err := running(x.m, x.edition); err != nil || runs(mine, servicesProgram) {
		return err
	}
	if main := x.mainProgram(); main != "" && !slices.Contains(r.Start, main) {
		r.Start = slices.Insert(r.Start, 0, main)
	}
	return nil
}

// startName is by what a process is started again: its path, or the
// application of its package, for a program of the Store is not started by its
// path. The path of the package says its version, the application's name does not.
func startName(p Process) string {
	if full := packageOf(p.Path); full != "" {
		first, _, _ := strings.Cut(full, "_")
		last := full[strings.LastIndexByte(full, '_')+1:]
		return application(first + "_" + last)
	}
	return p.Path
}

const applications = `shell:AppsFolder\`

func application(family string) string { return applications + family + "!iCloud" }

// mainProgram is what starts the rest of an edition; empty where it is not found.
func (x *examination) mainProgram() string {
	if x.edition.store {
		return application(x.edition.family)
	}
	for _, folder := range []string{"CommonProgramFiles(x86)", "CommonProgramFiles"} {
		if root := x.m.Getenv(folder); root != "" {
			path := filepath.Join(root, "Apple", "Internet Services", servicesProgram)
			if info, err := x.m.Stat(path); err == nil && info.Mode().IsRegular() {
				return path
			}
		}
	}
	return ""
}

// sentence says to a person what a repair does.
func (x *examination) sentence(r doctor.Repair, more string) string {
	var do []string
	if len(r.Stop) > 0 {
		var names []string
		for _, name := range r.Stop {
			names = append(names, fmt.Sprintf("%s (%s)", told(name), programs[rank(name)].does))
		}
		do = append(do, "stop "+strings.Join(names, ", "))
	}
	if len(r.Aside) > 0 {
		var names []string
		for _, a := range r.Aside {
			names = append(names, a.Path)
		}
		do = append(do, "move aside "+strings.Join(names, " and "))
	}
	if len(r.Start) > 0 {
		again := "start iCloud again"
		if len(r.Stop) == 0 {
			again = "start iCloud"
		}
		do = append(do, again)
	}
	text := strings.Join(do, ", ")
	if i := len(do) - 1; i > 0 {
		text = strings.Join(do[:i], ", ") + ", then " + do[i]
	}
	return x.edition.String() + ": " + text + "." + more
}
