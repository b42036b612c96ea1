package texts

import "readmit.dev/readmit/cause"

type advice struct {
	client string // empty: any other
	do     string
	argv   []string
}

var (
	doctor = []string{"readmit", "doctor", "--provider", "icloud"}
	fix    = []string{"readmit", "doctor", "--provider", "icloud", "--fix"}
	guide  = []string{"readmit", "guide", "icloud"}
)

// Remedies are iCloud's own remedies of a cause, for one client where that
// differs; client is a word of cause.CheckClient or empty. For a cause that is
// none of iCloud's they are those of the table.
func Remedies(c cause.Code, client string) []cause.Remedy {
	var any, own []cause.Remedy
	for _, a := range advices[c] {
		r := cause.Remedy{By: cause.Person, Do: a.do, Argv: a.argv}
		switch a.client {
		case "":
			any = append(any, r)
		case client:
			own = append(own, r)
		}
	}
	if len(own) > 0 {
		return own
	}
	if len(any) > 0 {
		return any
	}
	row, _ := cause.Lookup(c)
	return row.Remedies
}

var advices = map[cause.Code][]advice{
	"client-outdated": {
		{"", "Update the client to its newest release, or this system to the newest it can have; then sign in once.", nil},
		{"icloudpd", "Update it: pip install --upgrade icloudpd, or take the newest release file or image. Then once: icloudpd --auth-only --username YOUR-ID.", nil},
		{"docker-icloudpd", "Fetch the newest image (docker pull boredazfcuk/icloudpd), make the container anew, then run in it: sync-icloud.sh --Initialise.", nil},
		{"pyicloud", "Update it: pip install --upgrade pyicloud (the fork of timlaing; the first one, by picklepete, is no longer kept). Then sign in once with its icloud command.", nil},
		{"icloudpy", "Fetch the newest image or pip install --upgrade icloudpy. Then once: icloud --username YOUR-ID --session-directory /config/session_data.", nil},
		{"icloud3", "Update iCloud3 in HACS, restart Home Assistant, and enter the account again.", nil},
		{"rclone", "Update it: rclone selfupdate (to v1.75 or later). Then: rclone config reconnect REMOTE:.", nil},
		{"mac", "Apple menu, System Settings, General, Software Update.", nil},
		{"windows", "Microsoft Store, Library, Get updates (the classic edition: replace it by the Store's).", nil},
		{"iphone", "Settings, General, Software Update.", nil},
	},
	"app-password": {
		{"", "Give the client the account's own password. App-specific passwords open mail, calendars and contacts only; here they are told to be wrong.", nil},
	},
	"password-wrong": {
		{"", "Type the password again, slowly: caps lock, keyboard layout, a space at either end. Copying it from a browser in which it has just worked is surest.", nil},
		{"", "Forgotten: https://iforgot.apple.com, best from a trusted device. Recovery takes days; using a device of the account meanwhile can cancel it.", nil},
	},
	"account-unknown": {
		{"", "Use the identifier that Settings, your name shows on a device that is signed in, in the same case; an alias or a new address need not be it.", nil},
	},
	"account-locked": {
		{"", "Stop every client that still tries with an old password. Unlock the account at https://iforgot.apple.com, then sign in once.", nil},
	},
	"rate-limited": {
		{"", "Stop all but one client on this account, wait some hours, then try once; set its interval to a day, not to minutes.", nil},
	},
	"terms-pending": {
		{"", "Sign in at https://www.icloud.com and https://account.apple.com in a browser, accept what is shown, then sign the client in again. A device of the account may show the terms in Settings instead.", nil},
	},
	"security-keys": {
		{"", "No code is ever sent to an account with security keys. Use Apple's own software, or a client that can ask for the key (newer releases of timlaing's pyicloud); taking the keys off the account lowers its security.", nil},
	},
	"trust-expired": {
		{"", "Sign the client in again and give it the six digits; trust then holds for one to three months.", nil},
		{"icloudpd", "icloudpd --auth-only --username YOUR-ID, at a terminal, with a trusted device near.", nil},
		{"docker-icloudpd", "docker exec -it CONTAINER sync-icloud.sh --Initialise", nil},
		{"pyicloud", "Run its icloud command at a terminal, with a trusted device near.", nil},
		{"icloudpy", "docker exec -it CONTAINER icloud --username YOUR-ID --session-directory /config/session_data", nil},
		{"rclone", "rclone config reconnect REMOTE:", nil},
		{"icloud3", "Home Assistant, Settings, iCloud3, Configure, Enter/Request Verification Code.", nil},
	},
	"factor-unfinished": {
		{"", "Sign the client in at a terminal with a trusted device near, and type all six digits, leading zeros too.", nil},
		{"docker-icloudpd", "docker exec -it CONTAINER sync-icloud.sh --Initialise, and answer both times it asks for a code.", nil},
		{"rclone", "rclone config reconnect REMOTE:, and give the code before you leave it.", nil},
	},
	"state-not-persisted": {
		{"", "Give the client a folder that lasts and belongs to the user it runs as; in a container, a mounted volume. The doctor tells where it keeps its state now.", doctor},
		{"docker-icloudpd", "Mount a volume at /config, owned by the user and group of icloudpd.conf; then docker exec -it CONTAINER sync-icloud.sh --Initialise.", nil},
		{"icloudpy", "Mount a volume at /config and sign in with --session-directory /config/session_data; the older /app/session_data is lost with the container.", nil},
		{"pyicloud", "Give it a cookie directory of its own; its default is below the temporary folder, which a restart empties.", nil},
	},
	"access-not-approved": {
		{"", "On an iPhone, iPad or Mac: Settings, your name, iCloud: switch on \"Access iCloud Data on the Web\"; with Advanced Data Protection approve the request that appears on a trusted device when the client signs in.", nil},
	},
	"region-wrong": {
		{"", "Accounts of mainland China live on icloud.com.cn, all others on icloud.com: set the client's domain so, and sign in again.", nil},
		{"icloudpd", "Start it with --domain cn.", nil},
		{"docker-icloudpd", "Set auth_china=true in /config/icloudpd.conf and start the container again.", nil},
		{"icloudpy", "Set region: china in config.yaml and sign in with --region china.", nil},
		{"pyicloud", "Make the service with china_mainland=True.", nil},
		{"rclone", "No setting of rclone for icloud.com.cn is known; use another client for such an account.", nil},
	},
	"provisioning-refused": {
		{"", "This is not about your password. Use another provisioning (\"anisette\") server or one of your own, update the client, and wait an hour before the next try.", nil},
	},
	"state-damaged": {
		{"", "Let the damaged file be moved aside, then sign the client in again.", fix},
	},
	"tls-intercepted": {
		{"", "Leave this network, or switch off the proxy or security program that opens encrypted connections; do not type the password until then.", nil},
		{"", "The doctor tells who answers in Apple's place.", []string{"readmit", "doctor", "--provider", "icloud", "--online"}},
	},
	"clock-off": {
		{"", "Switch on automatic date and time in this machine's settings, wait until it is right, and sign in again.", nil},
	},
	"unreachable": {
		{"", "Check the network: open https://www.icloud.com in a browser, switch off VPN and filters, look for apple or icloud in the hosts file.", []string{"readmit", "doctor", "--provider", "icloud", "--online"}},
	},
	"service-fault": {
		{"", "Nothing is wrong with your password: it was not checked. See https://www.apple.com/support/systemstatus, and try again in an hour.", nil},
	},
	"session-expired": {
		{"", "Sign the client in once more; as long as it is trusted no code is asked for.", nil},
	},
	"code-wrong": {
		{"", "Ask for a fresh code and type all six digits, leading zeros too, into the client that asked. A code that came by text message fits only where a text message was asked for, one shown on a device only where that was.", nil},
		{"", "Or make one by hand on a trusted device: Settings, your name, Sign-In & Security, Get Verification Code.", nil},
	},
	"code-tries-spent": {
		{"", "When the wait is over begin the sign-in again, and type one fresh code once.", nil},
	},
	"code-undelivered": {
		{"", "Make a code by hand on a trusted device; it needs no network: Settings, your name, Sign-In & Security, Get Verification Code (Mac: System Settings, your name, Sign-In & Security).", nil},
		{"", "See there, too, that the trusted phone number is yours. Then update the client: older ones no longer reach newer devices.", nil},
	},
	"code-late": {
		{"", "Ask for a fresh code and type it while it is shown.", nil},
	},
	"services-disagree": {
		{"", "Let the doctor set the cached account state aside and start the daemons again; readmit undo puts it back.", fix},
	},
	"change-pending": {
		{"", "Wait: the article allows up to 24 hours after a change or move of the account. Change nothing more meanwhile, then try once.", nil},
	},
	"unknown": {
		{"", "Collect the whole message with the lines around it, the client's name and version, and whether the account signs in on the web; then have it explained again.", []string{"readmit", "explain", "-"}},
		{"", "Or go through the whole procedure.", guide},
	},
}
