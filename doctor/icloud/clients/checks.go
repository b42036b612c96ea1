package clients

import (
	"context"
	"fmt"
	"strings"
	"time"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/doctor"
)

// checks are what is looked at for one account, in the order files, session,
// second factor, account, service. Each notes facts only of what is not as it
// should be.
func (k *kept) checks(m Machine) []doctor.Check {
	now := m.Now()
	look := func(name string, f func() ([]cause.Fact, string)) doctor.Check {
		return doctor.Check{Name: name, Look: func(context.Context) ([]cause.Fact, string) { return f() }}
	}
	all := []doctor.Check{
		look("state files", k.lookFiles),
		look("state folder", func() ([]cause.Fact, string) { return k.lookPlace(m, now) }),
		look("client version", func() ([]cause.Fact, string) { return k.lookVersion(m) }),
	}
	if k.encrypted {
		return all
	}
	return append(all,
		look("trust", func() ([]cause.Fact, string) { return k.lookTrust(now, m.MinValid) }),
		look("second factor", func() ([]cause.Fact, string) { return k.lookFactor(now) }),
		look("last sign-in", k.lookStatus),
		look("password", k.lookPassword),
		look("region", k.lookRegion),
		look("terms", k.lookTerms),
		look("data access", func() ([]cause.Fact, string) { return k.lookAccess(now) }),
	)
}

const cannotTell = "cannot tell"

func (k *kept) lookFiles() ([]cause.Fact, string) {
	if k.encrypted {
		said := "left out: rclone.conf is encrypted as a whole, so nothing in it can be told"
		if !k.wanted {
			return nil, said + ", not even whether it has an iCloud remote"
		}
		return []cause.Fact{
			note(cause.CheckStateFile, cause.Word(intact), cause.Word(unreadable)),
			only(cause.CheckStateName, cause.Word("encrypted-rclone.conf")),
		}, said
	}
	var facts []cause.Fact
	var said []string
	for _, f := range k.files {
		if f.state == missing && f.name != "keyring" {
			said = append(said, f.name+": none") // the client makes them when it signs in
			continue
		}
		if f.state == intact {
			continue
		}
		facts = append(facts,
			note(cause.CheckStateFile, cause.Word(intact), cause.Word(f.state)),
			only(cause.CheckStateName, cause.Word(f.name)))
		said = append(said, f.name+": "+f.state)
	}
	if facts == nil {
		said = append([]string{"intact"}, said...)
	}
	return facts, strings.Join(said, ", ") + k.changedAgo()
}

func (k *kept) changedAgo() string {
	if t := k.changed(); !t.IsZero() {
		return ", last changed " + t.UTC().Format(time.DateOnly)
	}
	return ""
}

// lookPlace asks whether what is kept lasts. What has outlived its own trust has
// lasted well enough: there, where it lies is said and not noted.
func (k *kept) lookPlace(m Machine, now time.Time) ([]cause.Fact, string) {
	word, why := m.place(k, now)
	facts := []cause.Fact{}
	said := "lasting"
	lasted := (word == "temporary" || word == "not-mounted") && k.ended(now)
	if word != "lasting" {
		said = why
	}
	if word != "lasting" && !lasted {
		facts = append(facts,
			note(cause.CheckPlace, cause.Word("lasting"), cause.Word(word)),
			only(cause.CheckFolder, cause.Place(m.shown(k.folder))))
	}
	if k.sharers > 1 {
		facts = append(facts, note(cause.CheckSharers, cause.Count(1), cause.Count(k.sharers)))
		said += fmt.Sprintf("; %d clients of this machine use this account", k.sharers)
	}
	return facts, said
}

func (k *kept) lookVersion(m Machine) ([]cause.Fact, string) {
	all := m.installed(k.client, k.folder)
	f := least(k.client)
	switch {
	case len(all) == 0:
		return nil, cannotTell + ": no installed version was found"
	case !older(all[len(all)-1], f.least):
		if older(all[0], f.least) {
			return nil, fmt.Sprintf("%s which is used: %s are installed, and those before %s are behind", cannotTell, strings.Join(all, ", "), f.least)
		}
		return nil, all[len(all)-1]
	}
	newest := all[len(all)-1]
	return []cause.Fact{note(cause.CheckClientVersion, cause.Version(f.least), cause.Version(newest))},
		fmt.Sprintf("%s is behind %s: %s", newest, f.least, f.why)
}

func (k *kept) lookTrust(now time.Time, want time.Duration) ([]cause.Fact, string) {
	until, exact, ok := k.trust()
	if !ok {
		if k.remote {
			return nil, cannotTell + ": rclone keeps no date"
		}
		return nil, cannotTell + ": no date was kept"
	}
	left := until.Sub(now)
	if !exact || left <= 0 {
		left = min(left, -time.Second)
	}
	if left >= want {
		return nil, "ends in " + days(left)
	}
	facts := []cause.Fact{note(cause.CheckTrust, cause.Duration(want), cause.Duration(left))}
	said := "ended " + days(-left) + " ago"
	switch {
	case !exact:
		said = "had ended " + days(-left) + " ago or earlier: the cookies were left out since"
	case left > 0:
		said = "ends in " + days(left)
	}
	if exact {
		facts = append(facts, only(cause.CheckTrustUntil, cause.Instant(until)))
	}
	return k.withChange(facts), said
}

func (k *kept) withChange(facts []cause.Fact) []cause.Fact {
	if t := k.changed(); !t.IsZero() {
		facts = append(facts, only(cause.CheckStateChanged, cause.Instant(t)))
	}
	return facts
}

// days tells a length of time as a person would.
func days(d time.Duration) string {
	n, unit := int(d/(24*time.Hour)), "day"
	if n == 0 {
		n, unit = int(d/time.Hour), "hour"
	}
	if n == 0 {
		return "less than an hour"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

func (k *kept) lookFactor(now time.Time) ([]cause.Fact, string) {
	word := k.factor(now)
	switch word {
	case "":
		return nil, cannotTell
	case finished:
		return nil, finished
	}
	facts := []cause.Fact{note(cause.CheckSecondFactor, cause.Word(finished), cause.Word(word))}
	if k.session != nil && k.session.status == 409 {
		facts = append(facts, only(cause.CheckLastStatus, cause.Count(409)))
	}
	if word == interrupted {
		return facts, "a sign-in stopped at the second factor"
	}
	return facts, "never finished"
}

func (k *kept) lookStatus() ([]cause.Fact, string) {
	if k.session == nil || k.session.status == 0 {
		return nil, "left out: this client keeps no status, or none was kept"
	}
	n := k.session.status
	if n != 401 {
		return nil, fmt.Sprintf("last status %d", n)
	}
	return k.withChange([]cause.Fact{
		note(cause.CheckPassword, cause.Word("proved"), cause.Word("not-proved")),
		only(cause.CheckLastStatus, cause.Count(n)),
	}), "the last password was refused" + k.changedAgo() + "; it can be stale, for not every answer changes it"
}

func (k *kept) lookPassword() ([]cause.Fact, string) {
	switch {
	case k.appPassword:
		return []cause.Fact{note(cause.CheckPasswordKind, cause.Word("account"), cause.Word("app-specific"))}, "the stored password has the form of an app-specific one"
	case k.canTell:
		return nil, "the stored password has not the form of an app-specific one"
	}
	return nil, cannotTell + ": no stored password of this account was found"
}

func (k *kept) lookRegion() ([]cause.Fact, string) {
	if k.session == nil {
		return nil, cannotTell
	}
	lives, asked := region(k.session.country), k.domain()
	switch {
	case lives == "" || asked == "":
		return nil, cannotTell
	case lives == asked:
		return nil, asked
	}
	return []cause.Fact{note(cause.CheckRegion, cause.Word(lives), cause.Word(asked))},
		fmt.Sprintf("the account lives on %s, and %s is asked", lives, asked)
}

func (k *kept) lookTerms() ([]cause.Fact, string) {
	if k.jar == nil || k.jar.damaged {
		return nil, cannotTell
	}
	step := k.session != nil && k.session.status == 412
	if k.jar.has(tokenCookie) || !step && !k.jar.has(repairCookie) {
		return nil, "nothing pending"
	}
	facts := []cause.Fact{note(cause.CheckTerms, cause.Word("accepted"), cause.Word("pending"))}
	if step {
		facts = append(facts, only(cause.CheckLastStatus, cause.Count(412)))
	}
	return facts, "the sign-in waits for a step in a browser"
}

// lookAccess looks for the cookies by which encrypted data is opened. All clients
// need them but those that only ask where devices are; one that is signed in and
// has none was not let in.
func (k *kept) lookAccess(now time.Time) ([]cause.Fact, string) {
	switch {
	case k.client == icloud3 || k.client == pyicloud:
		return nil, "left out: this client may do without"
	case k.jar == nil || k.jar.damaged || !k.jar.has(tokenCookie) || k.factor(now) != finished || k.ended(now):
		return nil, cannotTell + " before the sign-in is whole"
	case k.jar.hasPrefix(accessPrefix):
		return nil, "allowed"
	}
	return []cause.Fact{note(cause.CheckAccess, cause.Word("allowed"), cause.Word("not-approved"))},
		"signed in, and no cookie that opens the data"
}
