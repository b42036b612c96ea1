package guide

import "readmit.dev/readmit/cause"

type remedy struct {
	on   string // "" for all that have none of their own
	do   string
	argv []string
}

// own are iCloud's remedies of the causes that it shares with Readmit's
// accounts; those of its own causes stand in the table of causes.
var own = map[cause.Code][]remedy{
	"client-outdated": {
		{"", "Upgrade the client to its newest release; where there is none, use another one. Then sign in once.", nil},
		{"iphone", "Settings, General, Software Update. What cannot have iOS 16 or later may have no way in any more.", nil},
		{"mac", "Apple menu, System Settings, General, Software Update.", nil},
		{"windows", "Microsoft Store, Library, Get updates; replace the classic edition of iCloud by the Store's.", nil},
	},
	"password-wrong": {
		{"", "Reset it at https://iforgot.apple.com, best from a trusted device. Without one a recovery takes days, and using devices of the account meanwhile can cancel it. Do not go on guessing: that locks the account.", nil},
	},
	"account-unknown": {
		{"", "Use the identifier that Settings, your name shows on a device that is signed in, in the same case.", nil},
	},
	"code-wrong": {
		{"", "Ask for a fresh code and type all six digits where they were asked for; a code from a text message fits only there. A client that drops a leading zero wants an update.", nil},
	},
	"code-late": {
		{"", "Ask for a fresh code and type it at once.", nil},
	},
	"code-tries-spent": {
		{"", "Type no further code today. Tomorrow ask for one fresh code and type it once.", nil},
	},
	"code-undelivered": {
		{"", "Make a code by hand: Settings, your name, Sign-In & Security, Get Verification Code. See there that the trusted phone number is yours.", nil},
	},
	"session-expired": {
		{"", "You are signed in again: nothing more is to be done. It comes back within days: update the client.", nil},
	},
	"service-fault": {
		{"", "Nothing is wrong with your password. Wait until https://www.apple.com/support/systemstatus shows it well, then try once.", nil},
	},
	"unreachable": {
		{"", "Switch off VPN and filters, take apple and icloud out of the hosts file, or use another network.", []string{"readmit", "doctor", "--provider", "icloud", "--online"}},
	},
	"tls-intercepted": {
		{"", "Type no password on this network. Leave it, or switch off the proxy or security program that opens encrypted connections.", []string{"readmit", "doctor", "--provider", "icloud", "--online"}},
	},
	"clock-off": {
		{"", "Switch on automatic date and time, wait until it is right, then sign in.", nil},
		{"iphone", "Settings, General, Date & Time, Set Automatically; then sign in.", nil},
		{"mac", "System Settings, General, Date & Time, set automatically; then sign in.", nil},
		{"windows", "Settings, Time & language, Date & time, Sync now; then sign in.", nil},
	},
	"state-damaged": {
		{"", "Let the doctor move the damaged file aside, then sign in again; readmit undo puts it back.", []string{"readmit", "doctor", "--provider", "icloud", "--fix"}},
	},
	"change-pending": {
		{"", "Wait: the article allows up to 24 hours after a change or move of the account. Change nothing more meanwhile, then try once.", nil},
	},
	"services-disagree": {
		{"", "Let the doctor set the cached account state aside and start the daemons again; readmit undo puts it back. Then restart.", []string{"readmit", "doctor", "--provider", "icloud", "--fix"}},
		{"iphone", "Restart the device; where that has helped, nothing more is to be done.", nil},
	},
}

func remedies(c cause.Code, on string) []cause.Remedy {
	var all, mine []cause.Remedy
	for _, r := range own[c] {
		m := cause.Remedy{By: cause.Person, Do: r.do, Argv: r.argv}
		switch {
		case r.on == on && on != "":
			mine = append(mine, m)
		case r.on == "":
			all = append(all, m)
		}
	}
	if len(mine) > 0 {
		return mine
	}
	if len(all) > 0 {
		return all
	}
	row, _ := cause.Lookup(c)
	return row.Remedies
}

func support() []cause.Remedy {
	return []cause.Remedy{{By: cause.Person, Do: "Turn to Apple at https://getsupport.apple.com with the exact message and what was ruled out here. " +
		"An account recovery that they start takes days; nobody can shorten it, and using devices of the account meanwhile can cancel it."}}
}
