package guide

// steps is the table of steps: first those of the article, in its order, then
// what it leaves out. The guide asks in the order of worth, not in this one.
var steps = []step{
	{
		id: "web", tests: "whether identifier and password are right, by signing in on the web", minutes: 2,
		question: "Sign in at https://www.icloud.com in a browser with the same identifier and password. What happens?",
		how: []way{
			{"", "https://www.icloud.com or https://account.apple.com, in a private window. (The article: https://appleid.apple.com.)"},
		},
		usual: "accepted",
		answers: []option{
			{id: "accepted", text: "It lets me in (that proves the password, not that this device may sign in)", out: list("password-wrong", "account-unknown", "account-locked", "service-fault")},
			{id: "refused", text: "It refuses the identifier or the password", shows: list("password-wrong", "account-unknown")},
			{id: "locked", text: "It says that the account is locked or disabled", shows: list("account-locked")},
			{id: "terms", text: "It shows terms to accept, or a step to finish", shows: list("terms-pending")},
			{id: "other-domain", text: "It sends me to icloud.com.cn", shows: list("region-wrong")},
			{id: "key", text: "It asks for a security key", shows: list("security-keys")},
			{id: "no-page", text: "The page does not open, or the browser warns", shows: list("unreachable", "tls-intercepted", "clock-off", "service-fault")},
		},
	},
	{
		id: "recovery", tests: "whether the account is known at all", minutes: 4,
		question: "Give the identifier at https://iforgot.apple.com; go no further than its first answer. What does it say?",
		how: []way{
			{"", "https://iforgot.apple.com. (The article: Forgot Apple ID or password?) Start no recovery yet: it takes days, and using a device of the account can cancel it."},
		},
		gates: []gate{{"web", []string{"refused"}}},
		answers: []option{
			{id: "known", text: "It knows the identifier and offers to go on", shows: list("password-wrong"), out: list("account-unknown")},
			{id: "not-known", text: "It does not know the identifier", shows: list("account-unknown")},
			{id: "locked", text: "It says that the account is locked", shows: list("account-locked")},
		},
	},
	{
		id: "code-comes", tests: "whether the second factor reaches you", minutes: 2,
		question: "With a trusted iPhone, iPad or Mac near you, unlocked and switched on: sign in here once more. Does it show a six-digit code, or one arrive by text message?",
		how: []way{
			{"iphone", "On the other device: Settings, your name: it must show the same account. (The article: the trusted device nearby and powered on.)"},
			{"", "On the trusted device: Settings, your name (Mac: System Settings, your name): it must show the same account. (The article: the trusted device nearby and powered on.)"},
		},
		usual: "comes",
		answers: []option{
			{id: "comes", text: "A code comes", out: list("code-undelivered", "security-keys")},
			{id: "none", text: "I am asked for a code and none comes", shows: list("code-undelivered", "security-keys", "client-outdated")},
			{id: "not-asked", text: "I am not asked for a code", out: list("code-wrong", "code-late", "code-undelivered", "code-tries-spent", "factor-unfinished")},
		},
	},
	{
		id: "code-taken", tests: "whether the code is taken", minutes: 2,
		question: "Type all six digits, leading zeros too, while they are shown. What is the answer?",
		how: []way{
			{"", "A code from a text message fits only where a text message was asked for. (The article gives 30 seconds; in practice the code holds for some minutes.)"},
		},
		gates: []gate{{"code-comes", []string{"comes"}}},
		usual: "taken",
		answers: []option{
			{id: "taken", text: "It is taken", out: list("code-wrong", "code-late", "code-tries-spent", "factor-unfinished")},
			{id: "wrong", text: "It is called wrong", shows: list("code-wrong")},
			{id: "late", text: "It is called expired", shows: list("code-late")},
			{id: "too-many", text: "There were too many", shows: list("code-tries-spent")},
			{id: "not-typed", text: "I cannot type it: nothing asks for it any more", shows: list("factor-unfinished")},
		},
	},
	{
		id: "code-by-hand", tests: "whether a code made by hand is taken, which needs no delivery", minutes: 3,
		question: "Make a code by hand on a trusted device and type it here. What happens?",
		how: []way{
			{"", "iPhone or iPad: Settings, your name, Sign-In & Security, Get Verification Code (with the network off it is there at once). Mac: System Settings, your name, Sign-In & Security, Get Verification Code. " +
				"(The article: System Settings, Apple ID, Sign-In & Security, Get Verification Code.)"},
		},
		gates: []gate{{"code-comes", []string{"none"}}},
		usual: "refused",
		answers: []option{
			{id: "taken", text: "It is taken: only the delivery fails", shows: list("code-undelivered")},
			{id: "refused", text: "It is refused, or nothing asks for it", out: list("code-undelivered")},
			{id: "no-entry", text: "There is no such entry, or a security key is asked for", shows: list("security-keys")},
		},
	},
	{
		id: "local-copy", tests: "what would be lost by a sign-out", minutes: 2, on: apples,
		question: "Before anything is signed out: what exists on this device only?",
		how: []way{
			{"iphone", "Settings, your name, Sign Out offers to keep a copy of contacts, calendars and the like. Keep it. Without it what is on this device goes; iCloud Drive's and photos' originals stay in iCloud alone."},
			{"mac", "Sign Out offers to keep a copy of your iCloud data on this Mac: keep it (it takes room). Without it what is here goes, and with it whatever was not uploaded yet: brctl status shows that."},
			{"windows", "Sign Out offers to keep or delete what iCloud for Windows has put here: keep it. Deleting removes the files of iCloud Drive and Photos from this PC, and with them whatever was not uploaded yet."},
		},
		usual: "uploaded",
		answers: []option{
			{id: "uploaded", text: "Nothing: everything is uploaded, or I shall keep the copy"},
			{id: "pending", text: "There are uploads that have not ended (then nothing is signed out)"},
			{id: "unsure", text: "I do not know (then nothing is signed out)"},
		},
	},
	{
		id: "other-device", tests: "whether a second factor would remain after a sign-out", minutes: 1, on: apples,
		question: "Is another trusted device of this account signed in, or does the trusted phone number reach you?",
		how:      []way{{"", "Settings, your name lists the devices; Sign-In & Security the trusted numbers. Signing out the only one closes the way back."}},
		usual:    "yes",
		answers: []option{
			{id: "yes", text: "Yes, I have it here"},
			{id: "no", text: "No (then nothing is signed out)"},
		},
	},
	{
		id: "reset", tests: "whether what this machine keeps of its sign-in is stale", minutes: 5, on: []string{"mac", "windows"},
		question: "Let the doctor move the cached sign-in aside and start the services again (readmit undo puts it back). Does the sign-in work now?",
		how: []way{
			{"mac", "It restarts akd and accountsd, which sign in, beside bird and cloudd, which only sync. (The article: killall bird, killall cloudd, defaults delete MobileMeAccounts; that deletes the list without a copy and leaves the tokens.)"},
			{"windows", "It stops all of iCloud's processes, of the Store's edition too. (The article: taskkill of iCloudServices.exe and iCloudDrive.exe.)"},
		},
		argv:  []string{"readmit", "doctor", "--provider", "icloud", "--fix"},
		gates: []gate{{"local-copy", []string{"uploaded"}}, {"other-device", []string{"yes"}}},
		usual: "same",
		answers: []option{
			{id: "works", text: "Yes", shows: list("services-disagree")},
			{id: "damaged", text: "It named a damaged file", shows: list("state-damaged")},
			{id: "same", text: "No", out: list("services-disagree", "state-damaged")},
		},
	},
	{
		id: "restart", tests: "whether the settings and the programs behind them disagree", minutes: 4, on: apples,
		question: "Restart this device and try once. Does it work?",
		how: []way{
			{"iphone", "Hold the side button and a volume button, slide to power off, switch on again."},
			{"mac", "Apple menu, Restart."},
			{"windows", "Start, Power, Restart (not Shut down, which keeps programs asleep)."},
		},
		usual: "same",
		answers: []option{
			{id: "works", text: "Yes", shows: list("services-disagree")},
			{id: "same", text: "No", out: list("services-disagree")},
		},
	},
	{
		id: "sign-out", tests: "whether the session of this device has ended", minutes: 15, on: apples,
		question: "Sign out, keeping the copy, and sign in again. Does it work?",
		how: []way{
			{"iphone", "Settings, your name, Sign Out (at the very bottom); keep the copies it offers; then sign in at the top of Settings."},
			{"mac", "System Settings, your name, Sign Out; keep a copy; restart; sign in. (The article: System Settings, Apple ID, Sign Out.)"},
			{"windows", "iCloud for Windows, your name, Sign Out; keep the files; restart; sign in. (The article: open iCloud for Windows, click Sign Out.)"},
		},
		gates: []gate{{"local-copy", []string{"uploaded"}}, {"other-device", []string{"yes"}}},
		usual: "same",
		answers: []option{
			{id: "works", text: "Yes", shows: list("session-expired")},
			{id: "same", text: "No", out: list("session-expired")},
		},
	},
	{
		id: "changed", tests: "whether a change is still on its way to all of Apple's services", minutes: 0.5,
		question: "Was the identifier, the password, the phone number or the country of the account changed within the last 24 hours?",
		how:      []way{{"", "The article allows 24 hours; no other source gives a time. Wait, and change nothing more meanwhile."}},
		usual:    "no",
		answers: []option{
			{id: "no", text: "No", out: list("change-pending")},
			{id: "yes", text: "Yes (kept in mind: the last thing to blame, not the first)", of: list("change-pending")},
		},
	},
	{
		id: "support", tests: "nothing; it is what remains", minutes: 30, last: true,
		question: "Nothing that can be tested from here is left. Will you turn to Apple?",
		how: []way{
			{"", "https://getsupport.apple.com, and only there. Have ready: the exact message, this list of what was ruled out, the device's serial number. If they start an account recovery: it takes days, no one can shorten it, and using devices of the account meanwhile can cancel it."},
		},
		usual: "yes",
		answers: []option{
			{id: "yes", text: "Yes"},
			{id: "later", text: "Not now"},
		},
	},

	{
		id: "message", tests: "which part of the sign-in fails", minutes: 0.5,
		question: "What does the device or program say, as nearly as you can tell?",
		how:      []way{{"", "If you have the text itself, readmit explain - reads it more closely than you and I can."}},
		usual:    "password",
		answers: []option{
			{id: "password", text: "That the identifier or password is wrong, or only that it could not authenticate (4001)",
				shows: list("client-outdated", "app-password", "region-wrong", "password-wrong", "account-unknown", "provisioning-refused", "terms-pending", "clock-off", "services-disagree", "change-pending", "state-damaged")},
			{id: "again", text: "That I must sign in again, or confirm it, though I had done so",
				shows: list("trust-expired", "state-not-persisted", "session-expired", "factor-unfinished", "services-disagree", "state-damaged", "terms-pending")},
			{id: "code-wrong", text: "That the code is wrong", shows: list("code-wrong", "client-outdated")},
			{id: "code-late", text: "That the code has expired", shows: list("code-late")},
			{id: "code-tries", text: "That there were too many codes", shows: list("code-tries-spent", "rate-limited")},
			{id: "no-code", text: "It waits for a code that does not come",
				shows: list("code-undelivered", "security-keys", "client-outdated")},
			{id: "data", text: "It signs in and then may not see the data",
				shows: list("access-not-approved", "terms-pending", "rate-limited")},
			{id: "too-often", text: "That there were too many tries or requests, or that the service is not available",
				shows: list("rate-limited", "client-outdated", "service-fault")},
			{id: "locked", text: "That the account is locked", shows: list("account-locked")},
			{id: "no-server", text: "That it cannot reach or trust the server",
				shows: list("unreachable", "tls-intercepted", "clock-off", "service-fault")},
			{id: "else", text: "Something else, or I cannot tell"},
		},
	},
	{
		id: "version", tests: "whether the client or the system is behind Apple's sign-in", minutes: 3,
		question: "Update what signs in to its newest release, and try once. Does it work?",
		how: []way{
			{"iphone", "Settings, General, Software Update."},
			{"mac", "Apple menu, System Settings, General, Software Update. (The article: an outdated operating system.)"},
			{"windows", "Microsoft Store, Library, Get updates; Settings, Windows Update."},
			{"", "The client's own releases; its version is in the first lines of its log. Apple's sign-in changed in October 2024 and in mid-2026."},
		},
		usual: "same",
		answers: []option{
			{id: "works", text: "It works now", shows: list("client-outdated")},
			{id: "cannot", text: "There is an update that I cannot have", shows: list("client-outdated")},
			{id: "same", text: "It was the newest, or the update changed nothing", out: list("client-outdated")},
		},
	},
	{
		id: "password-kind", tests: "whether the password is the account's own", minutes: 0.5,
		question: "Does the password that is given here have four groups of four small letters (xxxx-xxxx-xxxx-xxxx)?",
		usual:    "no",
		answers: []option{
			{id: "yes", text: "Yes: it is an app-specific one", shows: list("app-password")},
			{id: "no", text: "No", out: list("app-password")},
		},
	},
	{
		id: "provisioning", tests: "whether the provider lets this device introduce itself", minutes: 0.5, on: clients,
		question: "Does the client or its message name a provisioning (\"anisette\") server, -36607 or -45025?",
		usual:    "no",
		answers: []option{
			{id: "yes", text: "Yes", shows: list("provisioning-refused")},
			{id: "no", text: "No", out: list("provisioning-refused")},
		},
	},
	{
		id: "region", tests: "whether the account lives on the other domain", minutes: 0.5,
		question: "Was the account made in, or moved to, mainland China?",
		how:      []way{{"", "Such accounts live on icloud.com.cn. Settings, your name, Media & Purchases, View Account shows the country."}},
		usual:    "no",
		answers: []option{
			{id: "yes", text: "Yes, and this client is not set so (or the other way round)", shows: list("region-wrong")},
			{id: "set", text: "Yes, and this client is set so", out: list("region-wrong")},
			{id: "no", text: "No", out: list("region-wrong")},
		},
	},
	{
		id: "trust", tests: "whether the second factor is still trusted, and kept", minutes: 1,
		question: "When did you last give this device or client a six-digit code that was taken?",
		how:      []way{{"", "Trust lasts 30 days in some reports and about 90 in others; readmit doctor --provider icloud reads the date of the open clients."}},
		usual:    "lately",
		answers: []option{
			{id: "long-ago", text: "A month ago or longer", shows: list("trust-expired")},
			{id: "each-time", text: "It wants one after every restart", shows: list("state-not-persisted", "trust-expired")},
			{id: "never", text: "Never, or I broke it off", shows: list("factor-unfinished")},
			{id: "lately", text: "Within the month", out: list("trust-expired", "state-not-persisted", "factor-unfinished")},
		},
	},
	{
		id: "folder", tests: "whether what the client keeps outlives a restart", minutes: 2, on: clients,
		question: "Is the client's folder on a mounted volume (not in the container, not in a temporary folder), and does it belong to the user the client runs as?",
		argv:     []string{"readmit", "doctor", "--provider", "icloud"},
		usual:    "yes",
		answers: []option{
			{id: "no", text: "No", shows: list("state-not-persisted")},
			{id: "yes", text: "Yes", out: list("state-not-persisted")},
		},
	},
	{
		id: "files", tests: "whether the files of the sign-in are whole", minutes: 1, on: noPhone,
		question: "What does the doctor say of the files of this client?",
		argv:     []string{"readmit", "doctor", "--provider", "icloud"},
		usual:    "whole",
		answers: []option{
			{id: "damaged", text: "It names a damaged one", shows: list("state-damaged")},
			{id: "whole", text: "Nothing is damaged", out: list("state-damaged")},
		},
	},
	{
		id: "once-more", tests: "whether the session has merely ended", minutes: 2, on: clients,
		question: "Sign the client in once more. Does it work, without a code?",
		usual:    "no",
		answers: []option{
			{id: "works", text: "Yes", shows: list("session-expired")},
			{id: "no", text: "No", out: list("session-expired")},
		},
	},
	{
		id: "terms", tests: "whether terms wait to be accepted", minutes: 1.5,
		question: "After signing in at https://www.icloud.com and https://account.apple.com, and in Settings on a device of the account: is there anything to accept or to finish?",
		how:      []way{{"", "The first page after the sign-in, and the line below your name in Settings."}},
		usual:    "nothing",
		answers: []option{
			{id: "terms", text: "Yes", shows: list("terms-pending")},
			{id: "nothing", text: "Nothing", out: list("terms-pending")},
		},
	},
	{
		id: "access", tests: "whether the account lets its data be read this way", minutes: 1, on: []string{"", "windows"},
		question: "On an iPhone, iPad or Mac of the account: is Advanced Data Protection on, or \"Access iCloud Data on the Web\" off?",
		how:      []way{{"", "Settings, your name, iCloud, both near the end. Switching data protection on, even for a moment, switches web access off."}},
		usual:    "fine",
		answers: []option{
			{id: "closed", text: "One of the two", shows: list("access-not-approved")},
			{id: "fine", text: "Neither", out: list("access-not-approved")},
		},
	},
	{
		id: "tries", tests: "whether Apple holds this account or address back", minutes: 0.5,
		question: "Do several clients use this account, or has one tried many times within the hour?",
		usual:    "no",
		answers: []option{
			{id: "yes", text: "Yes", shows: list("rate-limited")},
			{id: "no", text: "No", out: list("rate-limited")},
		},
	},
	{
		id: "security-key", tests: "whether the account takes codes at all", minutes: 1,
		question: "Does the account use security keys?",
		how:      []way{{"", "Settings, your name, Sign-In & Security, Two-Factor Authentication, Security Keys."}},
		usual:    "no",
		answers: []option{
			{id: "yes", text: "Yes", shows: list("security-keys")},
			{id: "no", text: "No", out: list("security-keys")},
		},
	},
	{
		id: "clock", tests: "whether this device's clock is right", minutes: 0.5,
		question: "Compare date, time and time zone with a telephone's. Are they the same?",
		how: []way{
			{"iphone", "Settings, General, Date & Time, Set Automatically."},
			{"mac", "System Settings, General, Date & Time."},
			{"windows", "Settings, Time & language, Date & time, Sync now."},
		},
		usual: "same",
		answers: []option{
			{id: "off", text: "They differ by minutes or more", shows: list("clock-off")},
			{id: "same", text: "The same", out: list("clock-off")},
		},
	},
	{
		id: "network", tests: "whether something on the way stops or opens the connection", minutes: 3,
		question: "Try once from another network (a telephone's), without VPN, proxy and filters. What happens?",
		how:      []way{{"", "Look also for apple or icloud in the hosts file: /etc/hosts, on Windows C:\\Windows\\System32\\drivers\\etc\\hosts."}},
		usual:    "same",
		answers: []option{
			{id: "works", text: "It works there", shows: list("unreachable", "tls-intercepted")},
			{id: "same", text: "The same", out: list("unreachable", "tls-intercepted")},
		},
	},
	{
		id: "certificate", tests: "whether something answers in Apple's place", minutes: 1,
		question: "On the network where it fails: does a browser warn of the certificate at https://www.icloud.com, or name an authority other than Apple or DigiCert?",
		argv:     []string{"readmit", "doctor", "--provider", "icloud", "--online"},
		usual:    "no",
		answers: []option{
			{id: "yes", text: "Yes", shows: list("tls-intercepted")},
			{id: "no-page", text: "No page opens at all", shows: list("unreachable")},
			{id: "no", text: "No", out: list("tls-intercepted")},
		},
	},
	{
		id: "status", tests: "whether Apple's own service is well", minutes: 1,
		question: "What does https://www.apple.com/support/systemstatus show for iCloud Account & Sign In?",
		usual:    "green",
		answers: []option{
			{id: "fault", text: "A fault or maintenance", shows: list("service-fault")},
			{id: "green", text: "All is well", out: list("service-fault")},
		},
	},
}
