package cause

var (
	signIn = []string{"readmit", "sign-in", "--server", "{server}", "--account", "{account}"}
	doctor = []string{"readmit", "doctor", "--fix"}
)

// table holds the causes, roots before what they hide: where several hold at
// once, the first one here is the likeliest.
var table = []Row{
	{
		Code: "service-fault", Title: "The account server could not do its work", Audience: Anyone,
		Proof: CheckStore, With: []Check{CheckServer},
		Remedies: []Remedy{
			{By: AnOperator, Do: "Free space or repair the disk under the server's data folder, or bring back the database it keeps its data in; it goes on by itself as soon as it can write."},
			{By: Person, Do: "Nothing is wrong with your password: it was not checked. Try again in a few minutes.", Argv: signIn},
		},
	},
	{
		Code: "state-damaged", Title: "State kept on this device is damaged", Audience: Anyone,
		Proof: CheckStateFile, With: []Check{CheckStateName, CheckStateAside},
		Remedies: []Remedy{
			{By: ADevice, Do: "Move the damaged file aside and restore it from what is intact.", Argv: doctor, Undo: true},
		},
	},
	{
		Code: "keystore-locked", Title: "The system's key store does not give out this device's key", Audience: Anyone,
		Proof: CheckKeyStore, HiddenBy: []Code{"state-damaged"},
		Remedies: []Remedy{
			{By: Person, Do: "Unlock the system's key store: sign in to this machine's desktop, or open its program for passwords (Passwords and Keys, Keychain Access, Credential Manager). Then go on.", Argv: []string{"readmit", "status"}},
			{By: Person, Do: "On a machine where nobody can unlock one, sign in as a new device with its key in a file: set READMIT_KEYSTORE=file and READMIT_HOME to a fresh folder.", Argv: signIn},
		},
	},
	{
		Code: "clock-off", Title: "This device's clock is wrong", Audience: Anyone,
		Proof: CheckClock,
		Remedies: []Remedy{
			{By: Person, Do: "Switch on automatic date and time in this device's settings, wait until it is right, and sign in again.", Argv: signIn},
		},
	},
	{
		Code: "unreachable", Title: "The account server cannot be reached from here", Audience: Anyone,
		Proof: CheckConnection, With: []Check{CheckName, CheckServer}, HiddenBy: []Code{"state-damaged"},
		Remedies: []Remedy{
			{By: Person, Do: "Check the network and the server's address; open any page in a browser to pass a guest network's welcome page. Then sign in again.", Argv: signIn},
			{By: AnOperator, Do: "If others cannot reach it either: see that the server runs and listens on its public address."},
		},
	},
	{
		Code: "tls-intercepted", Title: "Something between this device and the server answers in its place", Audience: Anyone,
		Proof: CheckTLS, With: []Check{CheckTLSKey}, HiddenBy: []Code{"clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "Leave this network, or switch off the proxy or security program that opens encrypted connections. Do not type your password until this is gone."},
			{By: AnOperator, Do: "If the server's certificate was renewed by another authority: give devices that authority's certificate."},
		},
	},
	{
		Code: "client-outdated", Title: "This client is older than the server allows", Audience: Anyone,
		Proof: CheckClientVersion, With: []Check{CheckSystemVersion, CheckProtocol},
		Remedies: []Remedy{
			{By: Person, Do: "Update Readmit, or the operating system where the evidence names it, and sign in again.", Argv: signIn},
			{By: AnOperator, Do: "If the minimum was set by mistake: lower it.", Argv: []string{"readmit", "admin", "policy"}},
		},
	},
	{
		Code: "provisioning-refused", Title: "The provider does not let this device introduce itself", Audience: Anyone,
		Proof: CheckProvisioning, HiddenBy: []Code{"client-outdated", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "This is not about your password. Update the client; where it names a provisioning (\"anisette\") server, use another one or one of your own, and wait an hour before the next try."},
		},
	},
	{
		Code: "region-wrong", Title: "The account lives on the provider's other domain", Audience: Anyone,
		Proof: CheckRegion,
		Remedies: []Remedy{
			{By: Person, Do: "Set the client's domain to the one the evidence expects (icloud.com.cn for accounts of mainland China), and sign in again."},
		},
	},
	{
		Code: "state-not-persisted", Title: "What the client keeps of its sign-in does not last", Audience: Anyone,
		Proof: CheckPlace, With: []Check{CheckSharers, CheckFolder},
		Remedies: []Remedy{
			{By: Person, Do: "Give the client a folder that survives a restart and belongs to the user it runs as, readable by that user alone; in a container, a mounted volume. One folder per client. Then sign in again."},
		},
	},
	{
		Code: "app-password", Title: "An app-specific password was used where the account's own is wanted", Audience: Anyone,
		Proof: CheckPasswordKind,
		Remedies: []Remedy{
			{By: Person, Do: "Sign in with the account's own password; app-specific ones are for mail, calendars and contacts only."},
		},
	},
	{
		Code: "account-locked", Title: "The provider says that the account is locked; not by whom", Audience: Anyone,
		Proof: CheckAccountLock,
		Remedies: []Remedy{
			{By: Person, Do: "Stop every client that still tries: each try can lengthen the lock. Unlock the account at https://iforgot.apple.com, then sign in once."},
		},
	},
	{
		Code: "rate-limited", Title: "The provider holds requests back", Audience: Anyone,
		Proof: CheckRate, With: []Check{CheckSharers}, HiddenBy: []Code{"client-outdated"},
		Remedies: []Remedy{
			{By: Person, Do: "Do not try again now: repeats lengthen it. Stop all but one client on this account, wait some hours, then try once."},
		},
	},
	{
		Code: "terms-pending", Title: "The provider's terms wait to be accepted", Audience: Anyone,
		Proof: CheckTerms, With: []Check{CheckLastStatus}, HiddenBy: []Code{"region-wrong"},
		Remedies: []Remedy{
			{By: Person, Do: "Sign in at https://www.icloud.com (or https://account.apple.com) in a browser, accept what is shown, then sign in with the client again."},
		},
	},
	{
		Code: "security-keys", Title: "The account wants a security key, which this client cannot give", Audience: Anyone,
		Proof: CheckFactorKind,
		Remedies: []Remedy{
			{By: Person, Do: "There is no way in for this client while the account uses security keys: use Apple's own software, or take the keys off the account and know that this lowers its security."},
		},
	},
	{
		Code: "trust-expired", Title: "The provider no longer trusts this client", Audience: Anyone,
		Proof: CheckTrust, With: []Check{CheckTrustUntil, CheckStateChanged}, HiddenBy: []Code{"state-not-persisted"},
		Remedies: []Remedy{
			{By: Person, Do: "Sign in with the client again, and give it the six digits."},
		},
	},
	{
		Code: "factor-unfinished", Title: "The second factor was asked for and never given", Audience: Anyone,
		Proof: CheckSecondFactor, With: []Check{CheckLastStatus}, HiddenBy: []Code{"state-not-persisted", "terms-pending", "region-wrong", "app-password", "security-keys"},
		Remedies: []Remedy{
			{By: Person, Do: "Sign in with the client at a terminal, have a trusted device near, and type all six digits, leading zeros too."},
		},
	},
	{
		Code: "access-not-approved", Title: "The account does not let its data be read this way", Audience: Anyone,
		Proof: CheckAccess, HiddenBy: []Code{"terms-pending", "factor-unfinished"},
		Remedies: []Remedy{
			{By: Person, Do: "On an iPhone, iPad or Mac of the account: Settings, your name, iCloud: switch on \"Access iCloud Data on the Web\". With Advanced Data Protection, approve the request that appears on a trusted device when the client signs in."},
		},
	},
	{
		Code: "account-unknown", Title: "No account has this identifier", Audience: Operator,
		Proof: CheckAccount, With: []Check{CheckIdentifier},
		Remedies: []Remedy{
			{By: Person, Do: "Type the identifier as it was when the account was made.", Argv: signIn},
			{By: AnOperator, Do: "If the person should have an account: invite them.", Argv: []string{"readmit", "admin", "invite", "{account}"}},
		},
	},
	{
		Code: "account-disabled", Title: "The operator has disabled this account", Audience: Holder,
		Proof: CheckEnabled, With: []Check{CheckDisabledAt}, HiddenBy: []Code{"account-unknown"},
		Remedies: []Remedy{
			{By: AnOperator, Do: "Enable the account, if it should be.", Argv: []string{"readmit", "admin", "enable", "{account}"}},
			{By: Person, Do: "Ask whoever runs the server why it was disabled."},
		},
	},
	{
		Code: "locked-by-strangers", Title: "Others have guessed at this account; new devices must wait", Audience: Holder,
		Proof: CheckStrangers, With: []Check{CheckStrangersUntil}, HiddenBy: []Code{"account-disabled", "client-outdated", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "On an enrolled device make a one-time pass, and give it to the sign-in on the new device.", Argv: []string{"readmit", "pass"}},
			{By: Person, Do: "Or wait until the time in the evidence; it ends by itself.", Argv: signIn},
			{By: AnOperator, Do: "Or lift the lock.", Argv: []string{"readmit", "admin", "unlock", "{account}"}},
		},
	},
	{
		Code: "device-removed", Title: "This device was removed from the account", Audience: Owner,
		Proof: CheckDevice, With: []Check{CheckDeviceRemovedAt, CheckDeviceRemovedBy}, HiddenBy: []Code{"account-disabled"},
		Remedies: []Remedy{
			{By: Person, Do: "If you removed it by mistake: sign in on it again, as a new device, with a code.", Argv: signIn},
			{By: Person, Do: "If it was not you: change the password on an enrolled device.", Argv: []string{"readmit", "password"}},
		},
	},
	{
		Code: "locked-by-own-device", Title: "An enrolled device keeps failing and must wait", Audience: Holder,
		Proof: CheckOwnDevice, With: []Check{CheckOwnDeviceName, CheckOwnDeviceUntil}, HiddenBy: []Code{"account-disabled", "device-removed", "client-outdated", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "On the device named in the evidence, sign in with the right password after the time given.", Argv: signIn},
			{By: Person, Do: "If it is not you who tries there: on another enrolled device, end what that one does. Its session ends, and it is told to sign in again.", Argv: []string{"readmit", "devices", "end", "{device}"}},
			{By: AnOperator, Do: "Or lift the lock.", Argv: []string{"readmit", "admin", "unlock", "{account}"}},
		},
	},
	{
		Code: "key-mismatch", Title: "The device's key is not the one that was enrolled", Audience: Owner,
		Proof: CheckDeviceKey, HiddenBy: []Code{"device-removed", "state-damaged"},
		Remedies: []Remedy{
			{By: ADevice, Do: "Set the enrolment aside and enrol this device again, with a code.", Argv: doctor, Undo: true},
		},
	},
	{
		Code: "token-superseded", Title: "This session was replaced by a newer one of the same device", Audience: Holder,
		Proof: CheckSessionLatest, With: []Check{CheckSessionNewer}, HiddenBy: []Code{"account-disabled", "device-removed", "key-mismatch"},
		Remedies: []Remedy{
			{By: Person, Do: "This state was restored from a backup or copied. Sign in again; where two machines share one copied state, sign in on each as a device of its own.", Argv: signIn},
		},
	},
	{
		Code: "session-ended", Title: "The session was ended", Audience: Holder,
		Proof: CheckSessionAlive, With: []Check{CheckSessionEndedAt, CheckSessionEndedBy}, HiddenBy: []Code{"account-disabled", "device-removed", "token-superseded", "key-mismatch"},
		Remedies: []Remedy{
			{By: Person, Do: "Sign in again; after a password change, with the new password.", Argv: signIn},
		},
	},
	{
		Code: "session-expired", Title: "The session was not used for too long", Audience: Holder,
		Proof: CheckSessionIdle, With: []Check{CheckSessionUsed}, HiddenBy: []Code{"account-disabled", "device-removed", "session-ended", "token-superseded", "key-mismatch", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "Sign in again.", Argv: signIn},
		},
	},
	{
		Code: "password-former", Title: "The password was the one before the last change", Audience: Holder,
		Proof: CheckPasswordAge, With: []Check{CheckPasswordChanged, CheckPasswordChangedBy, CheckSignedBy},
		HiddenBy: []Code{"account-disabled", "locked-by-own-device", "client-outdated", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "Type the new password; the evidence says when and on which device it was changed. A program on the device that keeps the old one must be given the new one.", Argv: signIn},
			{By: Person, Do: "If it was not you who changed it: on a device that is still signed in, look at what was done, and ask whoever runs the server to disable the account.", Argv: []string{"readmit", "activity"}},
		},
	},
	{
		Code: "password-wrong", Title: "The password was not the account's", Audience: Holder,
		Proof: CheckPassword, With: []Check{CheckPasswordChanged, CheckSignedBy},
		HiddenBy: []Code{"account-unknown", "account-disabled", "locked-by-strangers", "locked-by-own-device", "client-outdated", "clock-off", "region-wrong", "app-password"},
		Remedies: []Remedy{
			{By: Person, Do: "Type the password again, slowly: check caps lock and the keyboard layout; if it was changed lately, it is the new one.", Argv: signIn},
			{By: Person, Do: "On a device that is still signed in, you can set a new one if you know the present one.", Argv: []string{"readmit", "password"}},
			{By: Person, Do: "If it is forgotten: begin a recovery on the account server's page, /recover.", Page: PageRecover},
		},
	},
	{
		Code: "factor-missing", Title: "No enrolled device can make a code", Audience: Owner,
		Proof: CheckFactor, With: []Check{CheckFactorFailures}, HiddenBy: []Code{"account-disabled", "password-wrong"},
		Remedies: []Remedy{
			{By: Person, Do: "On an enrolled device, sign in with the password: that binds its codes again.", Argv: signIn},
			{By: Person, Do: "If no device is left: begin a recovery on the account server's page, /recover. With a recovery code, or two other proofs, its device is enrolled.", Page: PageRecover},
			{By: AnOperator, Do: "Or let the person enrol one with an operator's invitation.", Argv: []string{"readmit", "admin", "invite", "{account}"}},
		},
	},
	{
		Code: "code-tries-spent", Title: "Too many wrong codes; this attempt is over", Audience: Owner,
		Proof: CheckCodeTries, HiddenBy: []Code{"account-disabled", "factor-missing"},
		Remedies: []Remedy{
			{By: Person, Do: "Begin the sign-in again, allow it on an enrolled device, and type the code that device shows then.", Argv: signIn},
		},
	},
	{
		Code: "request-denied", Title: "An enrolled device denied this sign-in", Audience: Owner,
		Proof: CheckDenied, With: []Check{CheckCodeDevice}, HiddenBy: []Code{"account-disabled"},
		Remedies: []Remedy{
			{By: Person, Do: "If it was you who tried: begin again and allow it.", Argv: signIn},
			{By: Person, Do: "If it was not you: somebody knows the password. Change it.", Argv: []string{"readmit", "password"}},
		},
	},
	{
		Code: "code-undelivered", Title: "The code, or the request for one, did not arrive", Audience: Owner,
		Proof: CheckPrompt, With: []Check{CheckPromptDevice, CheckPromptSeen, CheckDelivery, CheckDeliveryKind, CheckDeliveryAt}, HiddenBy: []Code{"account-disabled", "factor-missing", "code-tries-spent"},
		Remedies: []Remedy{
			{By: Person, Do: "Switch on the device named in the evidence and see who asks to sign in.", Argv: []string{"readmit", "requests"}},
			{By: Person, Do: "Or make a code on it by hand, without a network.", Argv: []string{"readmit", "code"}},
			{By: Person, Do: "Where the code went by mail or SMS: see whether the address is right, or use another one; a fault of the service's own mail (unreachable, tls, no-login) is the operator's to end.", Page: PageAddresses},
		},
	},
	{
		Code: "code-clock-off", Title: "The clock of the device that made the code is wrong", Audience: Owner,
		Proof: CheckCodeClock, With: []Check{CheckCodeDevice, CheckCodeDeviceSkew}, HiddenBy: []Code{"account-disabled", "factor-missing"},
		Remedies: []Remedy{
			{By: Person, Do: "Set the clock of the device named in the evidence, then make a fresh code on it.", Argv: []string{"readmit", "code"}},
			{By: Person, Do: "Or allow the request on it: the codes shown there follow the server's clock.", Argv: []string{"readmit", "requests"}},
		},
	},
	{
		Code: "code-late", Title: "The code was right but came too late", Audience: Owner,
		Proof: CheckCodeAge, With: []Check{CheckCodeDevice, CheckCodeDeviceSkew}, HiddenBy: []Code{"account-disabled", "factor-missing", "code-clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "Use the code that is shown now, within its 30 seconds.", Argv: []string{"readmit", "requests"}},
		},
	},
	{
		Code: "code-elsewhere", Title: "The code was made for another attempt or device", Audience: Owner,
		Proof: CheckCodeAttempt, With: []Check{CheckCodeDevice}, HiddenBy: []Code{"account-disabled", "factor-missing"},
		Remedies: []Remedy{
			{By: Person, Do: "Allow the request of the device in front of you, and type the code shown for that one.", Argv: []string{"readmit", "requests"}},
		},
	},
	{
		Code: "code-used", Title: "The code was used before", Audience: Owner,
		Proof: CheckCodeFresh, With: []Check{CheckCodeDevice}, HiddenBy: []Code{"account-disabled", "factor-missing"},
		Remedies: []Remedy{
			{By: Person, Do: "Wait for the next code; each is good once.", Argv: []string{"readmit", "code"}},
		},
	},
	{
		Code: "code-wrong", Title: "The code was not right", Audience: Owner,
		Proof: CheckCode, HiddenBy: []Code{"account-disabled", "factor-missing", "code-tries-spent", "code-undelivered"},
		Remedies: []Remedy{
			{By: Person, Do: "Type all six digits, leading zeros too, as the enrolled device shows them now.", Argv: []string{"readmit", "requests"}},
		},
	},
	{
		Code: "passkey-refused", Title: "The passkey did not prove who signs in", Audience: Owner,
		Proof: CheckPasskey, With: []Check{CheckPasskeyName}, HiddenBy: []Code{"account-disabled", "password-wrong", "code-tries-spent", "request-denied", "client-outdated", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "Choose the passkey that belongs to this account, and unlock it with finger, face or PIN. One that was removed from the account is good for nothing: delete it where it is kept.", Page: PagePasskeys},
			{By: Person, Do: "Where the evidence says wrong-origin: the page that asked was not this server's. Leave it, and type the server's address yourself."},
			{By: Person, Do: "Or sign in with the password and a code.", Argv: signIn},
		},
	},
	{
		Code: "passkey-copied", Title: "The passkey's counter went back: it may have been copied", Audience: Owner,
		Proof: CheckPasskeyCounter, With: []Check{CheckPasskeyName}, HiddenBy: []Code{"account-disabled", "password-wrong", "code-tries-spent", "request-denied", "client-outdated", "clock-off", "passkey-refused"},
		Remedies: []Remedy{
			{By: Person, Do: "On a device that is signed in, remove this passkey from the account and add a new one. If it was not you who just signed in, somebody has a copy: look through devices and activity.", Page: PagePasskeys},
			{By: Person, Do: "Until then, sign in with the password and a code.", Argv: signIn},
		},
	},
	{
		Code: "recovery-over", Title: "This recovery is over", Audience: Owner,
		Proof: CheckRecovery, With: []Check{CheckRecoveryEndedBy}, HiddenBy: []Code{"account-unknown", "account-disabled", "client-outdated", "clock-off"},
		Remedies: []Remedy{
			{By: Person, Do: "If it was you who began it: begin anew, on the page of recovery.", Page: PageRecover},
			{By: Person, Do: "If it was not you: nothing needs to be done; where it was stopped, it stays stopped."},
		},
	},
	{
		Code: "recovery-pending", Title: "The recovery has to wait before it opens", Audience: Holder,
		Proof: CheckRecoveryWait, With: []Check{CheckRecoveryOpens}, HiddenBy: []Code{"recovery-over"},
		Remedies: []Remedy{
			{By: Person, Do: "Wait until the time in the evidence, on the device that began it; or give a second proof of another way: a recovery code, a code sent to an address, or one shown by an enrolled device.", Page: PageRecover},
			{By: Person, Do: "If it is not yours: stop it on an enrolled device, or with the word in the message about it.", Page: PageStop},
		},
	},
	{
		Code: "recovery-code-wrong", Title: "The code given for the recovery was not right", Audience: Owner,
		Proof: CheckRecoveryCode, HiddenBy: []Code{"recovery-over", "code-undelivered"},
		Remedies: []Remedy{
			{By: Person, Do: "A recovery code is good once, and only those made last are good: take another one of the newest list. A code that was sent is good for a quarter of an hour, one that a device shows for half a minute: ask for the one of now.", Page: PageRecover},
		},
	},
	{
		Code: "recovery-unproved", Title: "Nothing was proved for the recovery yet", Audience: Owner,
		Proof: CheckRecoveryProofs, HiddenBy: []Code{"recovery-over", "recovery-code-wrong"},
		Remedies: []Remedy{
			{By: Person, Do: "Give a recovery code, a code that is sent to a verified address, or one that an enrolled device shows when the recovery is approved there.", Page: PageRecover},
			{By: AnOperator, Do: "Who has none of these cannot be told from a stranger: the account stays closed to them. The attempt itself can be seen.", Argv: []string{"readmit", "admin", "explain", "{reference}"}},
		},
	},
	{
		Code: "services-disagree", Title: "The settings and the daemon tell different things about the account", Audience: Anyone,
		Proof: CheckAgreement, With: []Check{CheckSettings, CheckDaemon},
		Remedies: []Remedy{
			{By: ADevice, Do: "Set the cached account state aside and start the daemons again.", Argv: doctor, Undo: true},
			{By: Person, Do: "Then restart this machine and look again before anything is signed out."},
		},
	},
	{
		Code: "change-pending", Title: "A change of the account has not reached every service yet", Audience: Holder,
		Proof: CheckChange, With: []Check{CheckChangeService, CheckChangeKind, CheckChangeSince},
		Remedies: []Remedy{
			{By: ADevice, Do: "A change of a Readmit account is everywhere within a second. Where the evidence names a service that is behind, let this device wait half a minute for it.", Argv: doctor},
			{By: AnOperator, Do: "Still behind: whoever runs the service that the evidence names sees why it does not take its signals, and whoever runs the account server lets it have them again.", Argv: []string{"readmit", "admin", "service", "list"}},
		},
	},
	{
		Code: "agent-stopped", Title: "The agent that keeps this device signed in has stopped", Audience: Anyone,
		Proof: CheckAgent, With: []Check{CheckAgentSince}, HiddenBy: []Code{"state-damaged", "keystore-locked"},
		Remedies: []Remedy{
			{By: Person, Do: "If another cause is named beside this one, end that first: the agent stops by itself rather than ask in vain. Then start it again.", Argv: []string{"readmit", "agent", "start"}},
			{By: Person, Do: "Or do without it: what was started by hand is forgotten with this.", Argv: []string{"readmit", "agent", "stop"}},
		},
	},
	{
		Code: "unknown", Title: "What was shown is not understood", Audience: Anyone,
		Proof: CheckText, With: []Check{CheckTextCode, CheckTextRule, CheckClient, CheckClientAccount},
		Remedies: []Remedy{
			{By: Person, Do: "Collect the whole message with the lines around it, the client's name and version, and whether the account signs in on the web; then have it explained again.", Argv: []string{"readmit", "explain", "-"}},
			{By: Person, Do: "Or go through the whole procedure.", Argv: []string{"readmit", "guide", "icloud"}},
		},
	},
	{
		Code: Refused, Title: "The sign-in was refused; the reason is told to the account's owner", Audience: Anyone,
		Remedies: []Remedy{
			{By: Person, Do: "Check the identifier, then the password: caps lock, keyboard layout, a space at either end.", Argv: signIn},
			{By: Person, Do: "Have an enrolled device near and switched on; type its six digits while they are shown, or make a code on it by hand.", Argv: []string{"readmit", "code"}},
			{By: ADevice, Do: "Let this device be examined and reset what is stale.", Argv: doctor, Undo: true},
			{By: Person, Do: "Take the reference to a device that is signed in to this account: it is told the exact cause.", Argv: []string{"readmit", "explain", "{reference}"}},
			{By: AnOperator, Do: "No such device left: give the reference to whoever runs the server.", Argv: []string{"readmit", "admin", "explain", "{reference}"}},
		},
	},
}
