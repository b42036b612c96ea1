package cause

// The checks. Each comment says what is compared with what.
const (
	CheckClientVersion     Check = "client-version"      // the client's version with the policy's minimum
	CheckSystemVersion     Check = "system-version"      // the operating system's version with the minimum
	CheckProtocol          Check = "protocol"            // the protocol version with the minimum
	CheckClock             Check = "clock"               // the client's clock minus the server's with what is allowed
	CheckStore             Check = "store"               // whether the server can keep what it must
	CheckServer            Check = "server"              // whether the server says it is ready
	CheckName              Check = "name-resolution"     // whether the server's name leads to an address
	CheckConnection        Check = "connection"          // whether a connection opens
	CheckTLS               Check = "tls"                 // whether the certificate is one this device trusts
	CheckTLSKey            Check = "tls-key"             // the certificate's key with the one seen at enrolment
	CheckStateFile         Check = "state-file"          // whether a state file is whole
	CheckStateName         Check = "state-file-name"     // which state file it is
	CheckStateAside        Check = "state-copy"          // whether the copy of a damaged state file is whole
	CheckAccount           Check = "account"             // whether the identifier has an account
	CheckIdentifier        Check = "identifier"          // what was typed with what this device is enrolled for
	CheckPassword          Check = "password"            // whether the password's proof was right
	CheckPasswordChanged   Check = "password-changed"    // when the password was last changed
	CheckStrangers         Check = "strangers-lock"      // failures in a row by devices that are not enrolled, here and at identifiers that share the counter, with the limit
	CheckStrangersUntil    Check = "strangers-until"     // when their way in opens again
	CheckOwnDevice         Check = "device-lock"         // failures in a row by one enrolled device, with the limit
	CheckOwnDeviceUntil    Check = "device-until"        // when its way in opens again
	CheckOwnDeviceName     Check = "device-locked"       // which enrolled device it is
	CheckEnabled           Check = "account-enabled"     // whether the operator has disabled the account
	CheckDisabledAt        Check = "account-disabled"    // since when
	CheckPrompt            Check = "prompt"              // whether an enrolled device has fetched the request
	CheckPromptDevice      Check = "prompt-device"       // the enrolled device that was waited for
	CheckPromptSeen        Check = "prompt-device-seen"  // when that device was last seen
	CheckDelivery          Check = "delivery"            // what became of the message with the code
	CheckDeliveryKind      Check = "delivery-kind"       // the kind of address that it went to
	CheckDeliveryAt        Check = "delivery-at"         // when it was last tried
	CheckDenied            Check = "request"             // what the owner said to the request
	CheckCode              Check = "code"                // whether the code is any that could be right
	CheckCodeAge           Check = "code-age"            // how long ago the code stopped being shown, with what is accepted
	CheckCodeAttempt       Check = "code-attempt"        // whether the code was made for this attempt
	CheckCodeClock         Check = "code-clock"          // how far off the clock is that made the code
	CheckCodeDevice        Check = "code-device"         // which device made the code
	CheckCodeDeviceSkew    Check = "code-device-skew"    // that device's clock minus ours when last seen
	CheckCodeFresh         Check = "code-fresh"          // whether the code was used before
	CheckCodeTries         Check = "code-tries"          // wrong codes of this attempt, with the limit
	CheckFactor            Check = "code-sources"        // enrolled devices that can make a code
	CheckFactorFailures    Check = "code-failures"       // wrong codes in a row over all attempts, with the limit
	CheckSessionIdle       Check = "session-idle"        // time without use, with the limit
	CheckSessionUsed       Check = "session-used"        // when the session was last used
	CheckSessionAlive      Check = "session"             // whether the session was ended
	CheckSessionEndedAt    Check = "session-ended-at"    // when
	CheckSessionEndedBy    Check = "session-ended-by"    // from which device
	CheckSessionLatest     Check = "session-latest"      // whether this device has begun a newer session
	CheckSessionNewer      Check = "session-newer"       // when it did
	CheckDeviceKey         Check = "device-key"          // the key that signed with the key that was enrolled
	CheckDevice            Check = "device"              // whether the device is still enrolled
	CheckDeviceRemovedAt   Check = "device-removed-at"   // since when it is not
	CheckDeviceRemovedBy   Check = "device-removed-by"   // from which device it was removed
	CheckKeyStore          Check = "key-store"           // whether the system's key store gives out this device's key
	CheckAgent             Check = "agent"               // whether the agent that was started still runs
	CheckAgentSince        Check = "agent-since"         // since when it does not
	CheckPasswordAge       Check = "password-age"        // whether what was typed is the password before the last change
	CheckPasswordChangedBy Check = "password-changed-by" // from which device it was last changed
	CheckSignedBy          Check = "signed-by"           // which enrolled device made the attempt

	CheckPasskey        Check = "passkey"         // whether the passkey proved who signs in
	CheckPasskeyName    Check = "passkey-name"    // what its owner calls it
	CheckPasskeyCounter Check = "passkey-counter" // its signature counter, with the least that is wanted

	CheckRecovery        Check = "recovery"          // whether the recovery still runs
	CheckRecoveryEndedBy Check = "recovery-ended-by" // from where it was stopped
	CheckRecoveryProofs  Check = "recovery-proofs"   // proofs given for it, with the least that is wanted
	CheckRecoveryWait    Check = "recovery-wait"     // whether its time has come
	CheckRecoveryOpens   Check = "recovery-opens"    // when that is
	CheckRecoveryCode    Check = "recovery-code"     // whether the code given for it was right

	// Of a client of another provider, read from what it keeps or says.
	CheckClient        Check = "client"              // which client it is
	CheckClientAccount Check = "client-account"      // the account it is set up for, masked
	CheckFolder        Check = "state-folder"        // where it keeps its state
	CheckPlace         Check = "state-place"         // whether what is kept there lasts
	CheckSharers       Check = "clients-on-account"  // clients of this machine that use one account
	CheckStateChanged  Check = "state-changed"       // when its state last changed
	CheckLastStatus    Check = "last-status"         // the HTTP status of its last sign-in; it can be stale
	CheckTrust         Check = "trust-left"          // how long the provider still trusts it, with the least that is wanted; negative once it has ended
	CheckTrustUntil    Check = "trust-until"         // when that ends
	CheckSecondFactor  Check = "second-factor"       // whether a second factor was ever finished
	CheckTerms         Check = "terms"               // whether the provider's terms are accepted
	CheckRegion        Check = "region"              // the domain the account lives on with the one that is asked
	CheckAccess        Check = "data-access"         // whether the account lets its data be read this way
	CheckPasswordKind  Check = "password-kind"       // whether the password is the account's own
	CheckFactorKind    Check = "factor-kind"         // whether the account's second factor is one the client can give
	CheckRate          Check = "rate"                // whether the provider holds requests back
	CheckAccountLock   Check = "account-lock"        // whether the provider says that the account is locked
	CheckProvisioning  Check = "device-provisioning" // whether the provider lets this device introduce itself
	CheckAgreement     Check = "settings-and-daemon" // whether what the settings say is what the daemon says
	CheckSettings      Check = "settings"            // what the settings say
	CheckDaemon        Check = "daemon"              // what the daemon says
	CheckChange        Check = "change"              // whether a change has reached every service
	CheckChangeService Check = "change-service"      // which service has not taken it yet
	CheckChangeKind    Check = "change-kind"         // what has changed
	CheckChangeSince   Check = "change-since"        // since when it waits
	CheckText          Check = "text"                // whether an error text is one we know
	CheckTextCode      Check = "text-code"           // the number that the text names
	CheckTextRule      Check = "text-rule"           // by which rule of ours it was known
)

type spec struct {
	want, got kind
	words     []string
}

// words makes the spec of a check that compares words; the first is the good one.
func words(w ...string) spec { return spec{word, word, w} }

var checks = map[Check]spec{
	CheckClientVersion: {want: version, got: version},
	CheckSystemVersion: {want: version, got: version},
	CheckProtocol:      {want: count, got: count},
	CheckClock:         {want: duration, got: duration},
	CheckStore:         words("writable", "not-writable"),
	CheckServer:        words("ready", "not-ready", "other-answer"),
	CheckName:          words("resolves", "no-such-name", "no-answer", "hosts-file"),
	CheckConnection:    words("open", "refused", "timed-out", "no-route", "cut-off", "other-server"),
	CheckTLS:           words("trusted", "untrusted", "wrong-name", "expired", "no-tls"),
	CheckTLSKey:        {want: fingerprint, got: fingerprint},
	CheckStateFile:     words("intact", "missing", "malformed", "unreadable", "wrong-mode", "newer", "keyless"),
	CheckStateName: {got: word, words: []string{
		"identity.json", "identity.json.copy", "session.json", "attempt.json", "folders.json", "incident", "pending.json", "agent.json", "recovery.json",
		"cookies", "session", "accounts.json", "settings", "keyring", "rclone.conf", "encrypted-rclone.conf",
		"MobileMeAccounts.plist", "Accounts4.sqlite", "token-folder", "com.apple.AOSKit.plist", "iCloudWinPref.plist",
	}},
	CheckStateAside:      words("intact", "missing", "malformed"),
	CheckAccount:         words("known", "unknown"),
	CheckIdentifier:      {want: identifier, got: identifier},
	CheckPassword:        words("proved", "not-proved", "not-finished", "changed-meanwhile"),
	CheckPasswordChanged: {got: instant},
	CheckStrangers:       {want: count, got: count},
	CheckStrangersUntil:  {got: instant},
	CheckOwnDevice:       {want: count, got: count},
	CheckOwnDeviceUntil:  {got: instant},
	CheckOwnDeviceName:   {got: name},
	CheckEnabled:         words("enabled", "disabled"),
	CheckDisabledAt:      {got: instant},
	CheckPrompt:          words("fetched", "not-fetched"),
	CheckPromptDevice:    {got: name},
	CheckPromptSeen:      {got: instant},
	CheckDelivery: words("delivered", "no-such-mailbox", "mailbox-full", "rejected-number", "refused", "put-off", "unreachable", "tls",
		"no-login", "not-configured", "lost"),
	CheckDeliveryKind:      {got: word, words: []string{"email", "phone"}},
	CheckDeliveryAt:        {got: instant},
	CheckDenied:            words("allowed", "denied"),
	CheckCode:              words("right", "wrong", "not-given"),
	CheckCodeAge:           {want: duration, got: duration},
	CheckCodeAttempt:       words("this", "another"),
	CheckCodeClock:         {want: duration, got: duration},
	CheckCodeDevice:        {got: name},
	CheckCodeDeviceSkew:    {got: duration},
	CheckCodeFresh:         words("fresh", "used"),
	CheckCodeTries:         {want: count, got: count},
	CheckFactor:            {want: count, got: count},
	CheckFactorFailures:    {want: count, got: count},
	CheckSessionIdle:       {want: duration, got: duration},
	CheckSessionUsed:       {got: instant},
	CheckSessionAlive:      words("alive", "signed-out", "password-changed", "device-removed", "unknown"),
	CheckSessionEndedAt:    {got: instant},
	CheckSessionEndedBy:    {got: name},
	CheckSessionLatest:     words("latest", "superseded"),
	CheckSessionNewer:      {got: instant},
	CheckDeviceKey:         {want: fingerprint, got: fingerprint},
	CheckDevice:            words("enrolled", "removed", "never-enrolled"),
	CheckDeviceRemovedAt:   {got: instant},
	CheckDeviceRemovedBy:   {got: name},
	CheckPasskey:           words("proved", "not-proved", "not-of-account", "wrong-origin", "wrong-challenge", "user-not-verified"),
	CheckPasskeyName:       {got: name},
	CheckPasskeyCounter:    {want: count, got: count},
	CheckRecovery:          words("running", "cancelled", "finished", "tries-spent", "expired", "password-changed"),
	CheckRecoveryEndedBy:   {got: name},
	CheckRecoveryProofs:    {want: count, got: count},
	CheckRecoveryWait:      words("over", "waiting"),
	CheckRecoveryOpens:     {got: instant},
	CheckRecoveryCode:      words("right", "wrong"),
	CheckKeyStore:          words("open", "locked", "no-answer", "absent"),
	CheckAgent:             words("running", "not-running", "gave-up"),
	CheckAgentSince:        {got: instant},
	CheckPasswordAge:       words("present", "former"),
	CheckPasswordChangedBy: {got: name},
	CheckSignedBy:          {got: name},

	CheckClient:        {got: word, words: []string{"mac", "windows", "iphone", "icloudpd", "pyicloud", "icloudpy", "docker-icloudpd", "icloud3", "rclone"}},
	CheckClientAccount: {got: identifier},
	CheckFolder:        {got: place},
	CheckPlace:         words("lasting", "temporary", "not-mounted", "wrong-owner", "wrong-mode", "shared"),
	CheckSharers:       {want: count, got: count},
	CheckStateChanged:  {got: instant},
	CheckLastStatus:    {got: count},
	CheckTrust:         {want: duration, got: duration},
	CheckTrustUntil:    {got: instant},
	CheckSecondFactor:  words("finished", "never-finished", "interrupted"),
	CheckTerms:         words("accepted", "pending"),
	CheckRegion:        words("icloud.com", "icloud.com.cn"),
	CheckAccess:        words("allowed", "not-approved", "web-access-off", "not-set-up"),
	CheckPasswordKind:  words("account", "app-specific"),
	CheckFactorKind:    words("code", "security-key"),
	CheckRate:          words("normal", "limited"),
	CheckAccountLock:   words("open", "locked"),
	CheckProvisioning:  words("accepted", "refused"),
	CheckAgreement:     words("agree", "disagree"),
	CheckSettings:      {got: word, words: []string{"signed-in", "signed-out", "unknown"}},
	CheckDaemon:        {got: word, words: []string{"signed-in", "signed-out", "not-running", "unknown"}},
	CheckChange:        words("everywhere", "on-its-way"),
	CheckChangeService: {got: name},
	CheckChangeKind: {got: word, words: []string{
		"password-changed", "device-added", "device-removed", "sessions-ended", "session-ended", "account-disabled", "account-enabled",
		"recovered", "account-closed", "factor-changed", "other",
	}},
	CheckChangeSince: {got: instant},
	CheckText:        words("understood", "not-understood"),
	CheckTextCode:    {got: count},
	CheckTextRule:    {got: label},
}
