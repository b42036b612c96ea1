package texts

import (
	"strings"
	"sync"

	"readmit.dev/readmit/cause"
)

// rule is one row of what is known about texts.
type rule struct {
	label  string
	ctx    scope    // of what the text must speak
	says   []string // any of these suffices; " + " joins what must be said together, #409 is that status
	bare   []string // too common to know among other words, but known where they are all that is asked
	codes  []int    // Apple's numbers, and the article's
	status []int    // HTTP statuses, from a client or of a sign-in host
	lone   []int    // further numbers, known only where they are all that is asked
	causes []guess  // the likeliest first; one alone is certain
	test   string   // what tells several causes apart
	wait   string   // when not to try again
	over   []string // weaker rules that this one replaces
	last   bool     // holds only where no other rule does
	source string   // where it was seen

	parts [][]string // says, squeezed
	alone []string   // what suffices where nothing else is said, squeezed
}

// guess is a cause that a text can have, with what to do that is particular to the text.
type guess struct {
	cause cause.Code
	do    string
}

const (
	ipd     = "https://github.com/icloud-photos-downloader/icloud_photos_downloader/issues/"
	dockipd = "https://github.com/boredazfcuk/docker-icloudpd/issues/"
	rcl     = "https://github.com/rclone/rclone/issues/"
	survey  = "164 public threads of open iCloud clients, classified by hand in 2026"

	once      = "Do not try again and again: every refused try counts and can lock the account. Test first, change one thing, then try once."
	sayNoMore = "Do not try again now: repeats lengthen the block. Stop every client on this account, wait some hours, then try once."

	webTest = "This text alone cannot tell what is wrong. The test: sign in at https://www.icloud.com with the same identifier and password. Refused there too: the password or the identifier is wrong. "
)

func causes(c ...cause.Code) []guess {
	g := make([]guess, len(c))
	for i := range c {
		g[i].cause = c[i]
	}
	return g
}

// rules is the table.
var rules = sync.OnceValue(func() []rule {
	return build([]rule{
		{
			label: "session-token-refused", ctx: provider, lone: []int{400},
			says:   []string{"Invalid Session Token"},
			causes: []guess{{"client-outdated", "The client uses a sign-in that Apple has switched off; no password gets through it. rclone: v1.75 or later."}},
			over:   []string{"status-401", "password-refused"},
			source: rcl + "8155",
		},
		{
			label: "code-accepted-by-conflict", bare: []string{`409 with "valid": true`, `409 "valid": true`}, ctx: provider,
			says: []string{"securitycode + valid true + #409", "validate2FACode failed + #409", "validateSMSCode + #409"},
			causes: []guess{{"client-outdated", "The code was right: since mid-2026 Apple answers 409 to a code that it accepts, and this client takes that for a refusal. Fresh codes do not help; a newer client does. " +
				"rclone: v1.75 or later."}},
			over:   []string{"status-409", "second-factor-wanted", "code-wrong"},
			source: rcl + "9488",
		},
		{
			label: "old-challenge-endpoint", ctx: host,
			says:   []string{"accountservice + prod.me.com", "get_challenge_devices"},
			causes: []guess{{"client-outdated", "The client asks for a code in a way that Apple no longer has."}},
			over:   []string{"no-connection", "second-factor-wanted"},
			source: dockipd + "227",
		},
		{
			label: "held-back", ctx: client,
			says: []string{
				"Service Temporarily Unavailable (503)", "temporary refusing to serve icloudpd", "Connection Error 503", "Error response for GSA request: 503",
				"503 Service Temporarily Unavailable + icloudpd", "503 Service Temporarily Unavailable + fastlane",
			},
			status: []int{503}, causes: causes("client-outdated", "rate-limited"), wait: sayNoMore,
			test: "503 is said both to a client that is too old and to one that asked too often. The test: upgrade the client, stop all others on this account, wait some hours, try once. " +
				"Still 503 with the newest client: Apple holds this address or account back; another day, or another network, ends it.",
			over:   []string{"password-refused", "identifier-or-password", "status-401", "find-my-password", "session-over", "token-refused"},
			source: "https://github.com/mandarons/icloudpy/issues/48",
		},
		{
			label: "throttled", ctx: client, status: []int{429}, says: []string{"Too Many Requests (429)", "429 Too Many Requests"},
			causes: causes("rate-limited"), wait: sayNoMore, source: survey,
		},
		{
			label: "bad-gateway", ctx: client, status: []int{502},
			says:   []string{"Bad Gateway (502)"},
			causes: []guess{{"service-fault", "Apple's own service failed and checked nothing: https://www.apple.com/support/systemstatus tells when it is well. Try again in an hour."}},
			over:   []string{"password-refused"},
			source: dockipd + "665",
		},
		{
			label: "identifier-or-password", ctx: provider, codes: []int{-20101, -20283},
			says: []string{
				"Enter the email or phone number and password for your Apple Account", "Check the account information you entered and try again",
			},
			causes: causes("client-outdated", "app-password", "password-wrong", "account-unknown"),
			test: webTest + "Accepted there: look at the client's version first (older ones cannot do Apple's sign-in of October 2024 and are told exactly this), " +
				"then whether an app-specific password (four groups of four letters) was given.",
			wait: once, over: []string{"password-refused", "status-401", "session-over", "token-refused"},
			source: ipd + "975",
		},
		{
			label: "proof-refused", bare: []string{"Enter the correct password"}, ctx: provider, codes: []int{-22406},
			says:   []string{"Enter the correct password for this Apple Account", "Password SRP Error"},
			causes: causes("password-wrong", "client-outdated", "app-password"),
			test: webTest + "Accepted there: upgrade the client; type the identifier in the very case it was made in (one thread ended with that); give no app-specific password. " +
				"Of nine threads with the right password most ended without an answer: then change the password once, on a device that is signed in.",
			wait: once, over: []string{"identifier-or-password", "password-refused", "status-401"},
			source: "https://github.com/dchristl/macless-haystack/issues/233",
		},
		{
			label: "password-refused", ctx: provider,
			says: []string{
				"Invalid email/password combination", "Invalid username/password", "Bad username or password", "Invalid Username or Password",
				"Invalid username and password combination",
			},
			causes: causes("client-outdated", "app-password", "password-wrong", "region-wrong", "service-fault"),
			test: webTest + "Accepted there: in the order of how often it was so: the client is too old (look at its version), an app-specific password was given, " +
				"the account is one of mainland China (https://www.icloud.com sends it to icloud.com.cn).",
			wait: once, over: []string{"status-401"},
			source: ipd + "506",
		},
		{
			label: "token-refused", ctx: provider,
			says:   []string{"Missing apple_id field", "No session token available"},
			causes: causes("app-password", "password-wrong", "client-outdated"),
			test: "The client got no session from the first step and went on without one. The test: is the password an app-specific one (four groups of four letters)? Then that is it. " +
				"If not: sign in at https://www.icloud.com with it; refused there, the password is wrong; accepted, the client is too old.",
			wait: once, over: []string{"password-refused", "status-401"},
			source: "https://github.com/mandarons/icloud-docker/issues/142",
		},
		{
			label: "app-password-unsupported", ctx: provider,
			says:   []string{"app-specific passwords are not supported", "app specific password + not supported"},
			causes: causes("app-password"), over: []string{"password-refused", "token-refused"},
			source: "https://github.com/mandarons/icloud-docker/issues/314",
		},
		{
			label: "mail-wants-app-password", ctx: provider,
			says: []string{"imap.mail.me.com + AUTHENTICATIONFAILED", "imap.mail.me.com + Authentication failed", "iCloud IMAP + AUTHENTICATIONFAILED", "xapplepushservice + AUTHENTICATIONFAILED"},
			causes: []guess{{"password-wrong", "Mail is the other way round: iCloud mail takes no account password from other programs, only an app-specific one (https://account.apple.com: Sign-In and Security: App-Specific Passwords), " +
				"with the whole address as the user name."}},
			wait: once, source: "https://github.com/lefcha/imapfilter/issues/125",
		},
		{
			label: "apple-says-incorrect", ctx: provider,
			says:   []string{"Your Apple ID or password was incorrect", "Your Apple ID or password is incorrect", "Apple Account or password is incorrect", "Apple Account or password was incorrect", "Your Apple ID or password was entered incorrectly"},
			causes: causes("password-wrong", "account-unknown", "client-outdated"),
			test:   webTest + "Accepted there: the identifier was typed otherwise here, or this system is too old for Apple's sign-in.",
			wait:   once, source: "https://buralog.jp/?p=21446",
		},
		{
			label: "status-401", ctx: client, status: []int{401}, says: []string{"Unauthorized (401)"},
			causes: causes("client-outdated", "app-password", "password-wrong"), test: webTest + "Accepted there: the client is too old, or it was given an app-specific password.",
			wait: once, source: "https://github.com/timlaing/pyicloud/issues/81",
		},
		{
			label: "status-403", ctx: client, status: []int{403}, says: []string{"Forbidden (403)"},
			causes: causes("account-unknown", "password-wrong", "client-outdated"),
			test:   "403 is said to an identifier that Apple does not know; some clients say it for a wrong password too. The test: type the same identifier at https://www.icloud.com. Not known there: it is another one. Accepted: the client is too old.",
			wait:   once, over: []string{"status-401"}, source: "https://github.com/gcobb321/icloud3/issues/388",
		},
		{
			label: "account-locked", ctx: provider, codes: []int{-20209},
			says: []string{
				"has been locked for security reasons", "was locked for security reasons", "has been disabled for security reasons", "was disabled for security reasons",
				"your account was disabled for security",
			},
			causes: causes("account-locked"), wait: "Do not try again before it is unlocked: each try can lengthen the lock.",
			over:   []string{"password-refused", "identifier-or-password", "provisioning-refused"},
			source: "https://github.com/nab138/iloader/issues/237",
		},
		{
			label: "code-tries-spent", ctx: provider, codes: []int{-22982},
			says:   []string{"incorrect verification code too many times", `"tooManyCodesValidated" : true`, `"securityCodeLocked" : true`},
			causes: causes("code-tries-spent"), wait: "Do not type another code now: wait until the next day, then ask for one fresh code and type it once.",
			over:   []string{"code-wrong", "code-accepted-by-conflict", "status-409"},
			source: "https://github.com/fastlane/fastlane/issues/16359",
		},
		{
			label: "codes-sent-too-often", ctx: provider, codes: []int{-22979, -22981},
			says: []string{"Too many verification codes have been sent", `"tooManyCodesSent" : true`, `"securityCodeCooldown" : true`},
			causes: []guess{{"rate-limited", "Apple sends no more codes for now. The last one that came may still be good; a code made by hand on a trusted device needs no sending: " +
				"Settings, your name, Sign-In & Security, Get Verification Code."}},
			wait:   "Do not ask for another code now: each request lengthens the wait.",
			over:   []string{"code-accepted-by-conflict", "status-409"},
			source: "https://github.com/SideStore/SideStore/issues/1023",
		},
		{
			label: "number-gets-no-codes", ctx: provider, codes: []int{-28248},
			says:   []string{"Verification codes can't be sent to this phone number"},
			causes: []guess{{"code-undelivered", "Apple sends no codes to this number now. Use a trusted device or another trusted number, or make a code by hand."}},
			wait:   "Do not ask for it again today.", over: []string{"code-not-sent"},
			source: "https://github.com/fastlane/fastlane/issues/28816",
		},
		{
			label: "code-wrong", ctx: provider, codes: []int{-21669},
			says:   []string{"Incorrect verification code", "Failed to verify verification code", "Failed to verify two-factor authentication code", "Failed to complete SMS 2FA", "The Verification Code was not correct"},
			causes: causes("code-wrong"), wait: "Do not guess: a few wrong codes lock the way in for hours.",
			over:   []string{"second-factor-wanted", "status-409"},
			source: ipd + "56",
		},
		{
			label: "code-answered-400", ctx: client,
			says:   []string{"Invalid HTTP response (400) + securitycode"},
			causes: causes("code-wrong", "client-outdated"),
			test:   "The test: ask for a code by text message and type that one. Taken: the other was not for this client. Refused as well: the client is too old.",
			wait:   "Do not guess: a few wrong codes lock the way in for hours.", source: "https://github.com/XcodesOrg/xcodes/issues/251",
		},
		{
			label: "leading-zero-lost", bare: []string{"44199 is not in the range"},
			says: []string{"is not in the range 100000<=x<=999999"},
			causes: []guess{{"code-wrong", "The client read the code as a number and lost its leading zero. Upgrade it (icloudpd: 1.21 or later), " +
				"or ask for fresh codes until one begins with another digit."}},
			over: []string{"second-factor-wanted"}, source: dockipd + "599",
		},
		{
			label: "code-for-an-index", ctx: anywhere,
			says: []string{"is not in the valid range of 0 to", "Please choose an option: [0] + is not in the valid range"},
			causes: []guess{{"code-wrong", "The client asked which device or number to use, and got the six digits. Type the number of the option first (0), " +
				"wait for the next question, and type the code there."}},
			over: []string{"second-factor-wanted"}, source: ipd + "484",
		},
		{
			label: "security-key", ctx: provider,
			says: []string{
				"no trusted number found", "No trusted phone numbers found", "security key + only + not supported + 2FA", "security keys are not supported",
				"no code-based sign-in", "security keys + code is not sent",
			},
			causes: causes("security-keys"), over: []string{"code-not-sent", "second-factor-wanted"},
			source: "https://github.com/Euphonique/iCloudPhotoSync/issues/58",
		},
		{
			label: "code-not-sent", ctx: provider,
			says: []string{
				"Failed to send two-factor authentication code", "Failed to send verification code", "Failed to send two-step authentication code",
				"did not receive two-factor authentication code", "didn't receive two-factor authentication code", "2FA code is not received",
			},
			causes: causes("code-undelivered", "security-keys"),
			test: "The test: sign in at https://www.icloud.com. It asks for a security key: the account takes no codes. It shows a six-digit code on a trusted device: make one by hand for this client, " +
				"or upgrade it; clients before spring 2026 no longer reach devices with iOS 26.4.",
			over: []string{"second-factor-wanted"}, source: ipd + "583",
		},
		{
			label: "second-factor-incomplete", ctx: anywhere,
			says:   []string{"Multifactor authentication information missing from cookie", "Cookie is not multifactor authentication capable", "Valid cookie file has not appeared within"},
			causes: causes("factor-unfinished", "access-not-approved"),
			test: "The test: run the client's sign-in again and answer both questions, the one for the password and the one for the code. Still the same: look whether Advanced Data Protection is on " +
				"(Settings, your name, iCloud); then the account does not let this client in.",
			over: []string{"second-factor-wanted"}, source: dockipd + "598",
		},
		{
			label: "second-factor-wanted", ctx: provider,
			says: []string{
				"2FA is required. Please log in", "Two-factor authentication is required", "Two-step/two-factor authentication is required", "Two-step authentication required",
				"Two-factor authentication required. Your trusted devices are", "Two factor authentication is required", "Missing X-APPLE-WEBAUTH_HSA-LOGIN cookie",
				"two-factor authentication cookie has expired", "HSA2 + authentication required + trust token", "trust token expired",
			},
			causes: causes("trust-expired", "state-not-persisted", "factor-unfinished"),
			test: "The client was asked for its second factor. The test: readmit doctor --provider icloud reads its files and tells which: a date that has passed (trust ended), no files or new ones after every start " +
				"(the folder does not last), or no trust in them at all (the six digits were never given).",
			over: []string{"session-over", "status-409"}, source: "https://github.com/mandarons/icloud-docker/issues/278",
		},
		{
			label: "status-409", ctx: client, status: []int{409}, says: []string{"Conflict (409)"},
			causes: causes("factor-unfinished", "client-outdated"),
			test:   `409 asks for the second factor; since mid-2026 it is also the answer to a code that was accepted. The test: does the answer hold "valid": true? Then the client is too old; if not, type the six digits.`,
			over:   []string{"session-over"}, source: "https://github.com/rclone/rclone/pull/9660",
		},
		{
			label: "find-my-password", ctx: provider, status: []int{450},
			says: []string{"Authentication required for Account. (450)"},
			causes: []guess{
				{"session-expired", "Find My wants the password again, not the token: sign the client in once more with the password."},
				{"client-outdated", ""},
			},
			test: "The test: sign the client in once with the password. Find My still answers 450: the client is too old to give it; upgrade.",
			over: []string{"session-over"}, source: "https://github.com/home-assistant/core/issues/128811",
		},
		{
			label: "session-over", ctx: provider, status: []int{421},
			says: []string{"Authentication required for Account. (421)", "Misdirected Request"},
			causes: []guess{
				{"trust-expired", ""}, {"session-expired", "The session ended: sign the client in once more; as long as it is trusted no code is asked for."},
				{"state-not-persisted", ""}, {"access-not-approved", "Switching Advanced Data Protection on, even for a moment, switches \"Access iCloud Data on the Web\" off: switch it on again."},
			},
			test: "A client that goes on after this line has merely renewed its session: only the last error counts. The test: sign it in once. Asked for a code: its trust had ended. Asked again after every restart: its folder does not last. " +
				"Still 421: see Settings, your name, iCloud, \"Access iCloud Data on the Web\".",
			source: "https://github.com/mandarons/icloudpy/issues/19",
		},
		{
			label: "terms-wait", ctx: provider,
			says:   []string{"PyiCloudAcceptTermsException", "You must accept the updated terms", `"termsUpdateNeeded" : true`, "accept the iCloud Terms and Conditions"},
			causes: causes("terms-pending"), over: []string{"web-token-missing", "session-over"},
			source: "https://github.com/home-assistant/core/issues/172859",
		},
		{
			label: "status-412", ctx: provider, status: []int{412},
			says: []string{"Precondition Failed (412)", "securitycode + #412"},
			causes: []guess{{"terms-pending", "The account has a step to finish before anybody lets it in: accept what https://account.apple.com shows after signing in there; " +
				"an account without two-factor authentication is asked to switch it on."}},
			over: []string{"code-accepted-by-conflict", "second-factor-wanted", "session-over"}, source: ipd + "1026",
		},
		{
			label: "web-token-missing", ctx: provider,
			says:   []string{"Missing X-APPLE-WEBAUTH-TOKEN cookie", "X-APPLE-WEBAUTH-REPAIR + requestPCS"},
			causes: causes("terms-pending", "access-not-approved", "session-expired"),
			test: "The test: sign in at https://www.icloud.com. It shows terms: accept them. It says that the web may not see the data: switch on \"Access iCloud Data on the Web\" on a device. " +
				"Neither: the session has ended; sign the client in again.",
			over: []string{"session-over", "access-refused"}, source: rcl + "9658",
		},
		{
			label: "access-refused", ctx: provider, status: []int{423},
			says: []string{"Missing PCS cookies", "Cannot find PCS auth info", "Unable to acquire PCS cookies"},
			causes: []guess{{"access-not-approved", "This is Advanced Data Protection: the client has to ask, and a trusted device to approve. " +
				"rclone: v1.75 or later, which asks for iCloud Drive too."}},
			source: rcl + "8310",
		},
		{
			label: "private-data-refused", bare: []string{"private db access disabled"}, ctx: anywhere,
			says:   []string{"private db access disabled for this account"},
			causes: causes("access-not-approved", "rate-limited"),
			test: "The test: is Advanced Data Protection on, or \"Access iCloud Data on the Web\" off (Settings, your name, iCloud)? Then that is it. If neither: stop the client for a day and try once; " +
				"what works then was held back for asking too often.",
			wait: sayNoMore, source: dockipd + "805",
		},
		{
			label: "service-not-ready", ctx: anywhere,
			says:   []string{"manually finish setting up your iCloud service"},
			causes: causes("access-not-approved", "trust-expired"),
			test: "The client says this of two different answers; look for the word in parentheses. ZONE_NOT_FOUND: the service was never set up; open it once at https://www.icloud.com. " +
				"AUTHENTICATION_FAILED: the client is no longer signed in; sign it in again.",
			source: "https://github.com/skarppi/icloud_photo_station/issues/92",
		},
		{
			label: "service-not-set-up", bare: []string{"ZONE_NOT_FOUND"}, ctx: anywhere,
			says: []string{"ZONE_NOT_FOUND + icloud", "ZONE_NOT_FOUND + photos"}, over: []string{"service-not-ready"},
			causes: []guess{{"access-not-approved", "This account has never set up the service that is asked for (mostly iCloud Photos): open it once at https://www.icloud.com, " +
				"or switch it on on a device, and let the first upload begin."}},
			source: dockipd + "237",
		},
		{
			label: "other-domain", bare: []string{"domainToUse", "HTTP 302 domainToUse"}, ctx: anywhere,
			says: []string{"Apple insists on using iCloud.com.cn", "domainToUse + iCloud.com.cn", "To sign in with this Apple ID, go to iCloud.com.cn", "Apple requires unsupported domain iCloud.com.cn", "can't sign in to iCloud.com. + iCloud.com.cn"},
			lone: []int{302}, causes: causes("region-wrong"), over: []string{"password-refused", "domain-too-many"}, source: dockipd + "296",
		},
		{
			label: "domain-too-many", ctx: anywhere,
			says:   []string{"Apple insists on using iCloud.com for your request", "Apple insists on using iCloud.com. Please"},
			causes: []guess{{"region-wrong", "Here it is the other way round: the client is set to icloud.com.cn, and the account lives on icloud.com. Take the setting out."}},
			over:   []string{"password-refused"}, source: dockipd + "750",
		},
		{
			label: "provisioning-refused", ctx: provider, codes: []int{-36607, -45025, -45054, -22411},
			says: []string{
				"end provisioning error", "An error occurred when provisioning", "An error occurred while provisioning", "getting anisette data from a V3 server", "AKAnisetteError",
				"parse anisette data + Received response status code: 502", "36607 error + anisette", "Unable to sign you in to your Apple ID. Try again later",
			},
			causes: causes("provisioning-refused"), wait: "Do not try again at once: wait an hour; repeats through a shared server get accounts locked.",
			over:   []string{"bad-gateway", "held-back"},
			source: "https://github.com/NyaMisty/AltServer-Linux/issues/58",
		},
		{
			label: "client-files-missing", ctx: anywhere,
			says: []string{
				"Keyring file does not exist", "Permission denied + .pyicloud", "Permission denied + session_data", "Permission denied + python_keyring", "Permission denied + icloud3.apple_acct",
				"unable to create cookie file",
			},
			causes: causes("state-not-persisted"), source: dockipd + "309",
		},
		{
			label: "cookie-missing", bare: []string{"Cookie does not exist"}, ctx: anywhere,
			says:   []string{"Cookie does not exist. Please run container interactively", "Cookie does not exist + 2FA cookie", "ERROR Cookie does not exist"},
			causes: causes("state-not-persisted", "factor-unfinished"),
			test: "The test: is there a file named like the account, without its signs, in the folder that the log calls the cookie path, and is it there after a restart? Not after a restart: the folder is not mounted. " +
				"Never: run the container's sign-in (--Initialise) and give both codes.",
			source: dockipd + "50",
		},
		{
			label: "state-unreadable", ctx: provider,
			says: []string{"does not look like a Set-Cookie3 (LWP) format file", "Failed to read cookiejar"},
			causes: []guess{{"state-damaged", "The client's cookie file is damaged or another version's. readmit doctor --provider icloud --fix moves it aside (and readmit undo puts it back); " +
				"then sign the client in."}},
			source: "https://github.com/picklepete/pyicloud/issues/379",
		},
		{
			label: "certificate-not-now", ctx: host,
			says:   []string{"certificate verify failed + not yet valid", "certificate verify failed + certificate has expired", "certificate has expired or is not yet valid", "clock + is wrong + certificate"},
			causes: causes("clock-off", "tls-intercepted"),
			test:   "The test: compare this machine's date and time with a telephone's. More than a few minutes off: it is the clock. Right: something on the way answers with an old certificate.",
			over:   []string{"certificate-untrusted", "no-connection"}, source: "https://docs.python.org/3/library/ssl.html",
		},
		{
			label: "certificate-foreign", ctx: host,
			says:   []string{"certificate verify failed + self-signed certificate", "certificate verify failed + self signed certificate", "CA certificate could not be matched"},
			causes: causes("tls-intercepted"), over: []string{"certificate-untrusted", "no-connection"}, source: ipd + "806",
		},
		{
			label: "certificate-untrusted", ctx: host,
			says:   []string{"CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "x509: certificate signed by unknown authority"},
			causes: causes("tls-intercepted", "clock-off", "client-outdated"),
			test: "The test: from another network (a telephone's) without proxy or VPN. Works there: this network opens encrypted connections. Fails there too: compare the clock; right: the client's own list of authorities is old; upgrade it. " +
				"Never switch the check off.",
			over: []string{"no-connection"}, source: "https://github.com/home-assistant/core/issues/37903",
		},
		{
			label: "no-secure-connection", ctx: provider,
			says:   []string{"Error establishing secure connection"},
			causes: causes("tls-intercepted", "region-wrong"),
			test:   "The test: open https://www.icloud.com in a browser on this network. It warns: something opens the connection. It sends on to icloud.com.cn: set the client's domain to cn.",
			source: dockipd + "411",
		},
		{
			label: "no-connection", ctx: host,
			says: []string{
				"Name or service not known", "Temporary failure in name resolution", "getaddrinfo failed", "nodename nor servname provided", "no such host", "Failed to resolve + apple.com", "Failed to resolve + icloud.com",
				"Network is unreachable", "No route to host", "Failed to establish a new connection", "connection timed out + icloud.com", "Connection refused + icloud.com", "i/o timeout + icloud.com",
			},
			causes: causes("unreachable"), over: []string{"password-refused"}, source: "https://docs.python.org/3/library/socket.html",
		},
		{
			label: "server-not-met", ctx: provider,
			says:   []string{"error connecting to the Apple ID server", "error connecting to iCloud", "error connecting to the Apple Account server"},
			causes: causes("unreachable", "clock-off", "service-fault"),
			test: "The test: open https://www.icloud.com on the same machine. Does not open: the network, a VPN or the hosts file. Opens: compare the clock with a telephone's; " +
				"right: see https://www.apple.com/support/systemstatus.",
			source: "https://eatsip365.com/troubleshooting-common-icloud-access-issues",
		},
		{
			label: "answer-without-account", ctx: client, last: true,
			says:   []string{"KeyError: 'dsInfo'"},
			causes: causes("session-expired", "region-wrong", "terms-pending"),
			test: "Apple's answer lacked the account, and the client does not say why. The test: sign it in once more, and sign in at https://www.icloud.com: taken there with terms to accept: accept them; " +
				"sent on to icloud.com.cn: set the domain; neither: the session had ended.",
			source: ipd + "1363",
		},
		{
			label: "could-not-authenticate", ctx: provider, codes: []int{4001}, last: true,
			says: []string{"Authentication failed. Please check your credentials and try again + 4001"},
			causes: causes("client-outdated", "trust-expired", "code-wrong", "code-undelivered", "password-wrong", "account-locked",
				"provisioning-refused", "app-password", "access-not-approved", "region-wrong", "state-not-persisted", "terms-pending", "tls-intercepted", "rate-limited", "security-keys", "change-pending"),
			test: "4001 says only that the device could not authenticate; the five causes of Apple's article stand first, then the rest, each by how often it was met. The tests, cheapest first: " +
				"readmit doctor --provider icloud looks at this machine; signing in at https://www.icloud.com tells whether password, lock and terms are well; the version of client and system; " +
				"whether a code arrives, and whether it is taken. readmit guide icloud asks them in that order.",
			wait: once, source: "the article on error 4001; its order by " + survey,
		},
	})
})

func build(rules []rule) []rule {
	for i := range rules {
		for _, s := range rules[i].says {
			var parts []string
			for p := range strings.SplitSeq(s, " + ") {
				if !strings.HasPrefix(p, "#") {
					p = squeeze(p)
				}
				parts = append(parts, p)
			}
			rules[i].parts = append(rules[i].parts, parts)
			if len(parts) == 1 {
				rules[i].alone = append(rules[i].alone, parts[0])
			}
		}
		for _, s := range rules[i].bare {
			rules[i].alone = append(rules[i].alone, squeeze(s))
		}
	}
	return rules
}
