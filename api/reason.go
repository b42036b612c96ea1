package api

// Reasons of a Problem: words that stay when its sentences are written anew.
// What a program does next, and what a page says in its reader's language,
// depends on these alone. A refusal (Failed) has none: what anyone may know of
// it is in its type.
const (
	// BadRequest
	ReasonForm      = "form"          // the message is not of the protocol's form
	ReasonTooLong   = "too-long"      // the message is too long
	ReasonUnread    = "unread"        // the message broke off
	ReasonUnsigned  = "unsigned"      // the proof is missing or is of something else
	ReasonElsewhere = "elsewhere"     // a browser says that another site's page has sent it
	ReasonNoPath    = "no-path"       // nothing is at this address
	ReasonMethod    = "method"        // this method is not for this address
	ReasonNoToken   = "no-token"      // there is no valid access token in the request
	ReasonReference = "reference"     // neither an incident nor a reference
	ReasonStale     = "stale"         // StaleProof: sign again
	ReasonFault     = "service-fault" // Unavailable: the service has a fault
	ReasonBusy      = "busy"          // TooMany: the service has more to do than it can
	ReasonStreams   = "streams"       // TooMany: streams of events
	ReasonSlow      = "slow"          // TooMany: calls by one caller
	ReasonSignUps   = "sign-ups"      // TooMany: sign-ups of one identifier
	ReasonCodesSent = "codes-sent"    // TooMany: codes to one address
	ReasonAsked     = "asked"         // TooMany: what waits for one owner
	ReasonEnded     = "ended"         // the token's session has ended
	ReasonBehind    = "behind"        // the token knows of a change that has not come here yet
	ReasonSecret    = "secret"        // no service is registered with this secret
	ReasonNoStream  = "no-stream"     // the service has no such stream

	// NotPossible for services and the operator, who read no pages.
	ReasonNoService    = "no-service"    // none is registered under this name
	ReasonServiceKnown = "service-known" // one is registered under this name
	ReasonServiceForm  = "service-form"  // name, audience or address are not such
	ReasonParked       = "parked"        // the stream gets nothing until it is resumed
	ReasonPaused       = "paused"        // its receiver has paused the stream: changes wait
	ReasonDisabled     = "disabled"      // its receiver has disabled the stream: changes are not kept
	ReasonStreamSet    = "stream-set"    // who runs the account server sets this

	// NotPossible
	ReasonTaken        = "taken"         // the account exists
	ReasonInvitation   = "invitation"    // sign-up needs one
	ReasonIdentifier   = "identifier"    // not of the form of an identifier
	ReasonNoAccount    = "no-account"    // no account has this identifier
	ReasonAttemptOver  = "attempt-over"  // the sign-in has to begin anew
	ReasonGrant        = "grant"         // the proof of the password is used, or of something else
	ReasonFresh        = "fresh"         // the password was proved too long ago
	ReasonNoSession    = "no-session"    // the device has no living session
	ReasonNoDevice     = "no-device"     // no such device is enrolled
	ReasonThisDevice   = "this-device"   // the device is the one that asks
	ReasonSameName     = "same-name"     // several devices have this name
	ReasonNoRequest    = "no-request"    // no device waits under this ID
	ReasonAddress      = "address"       // neither an e-mail address nor a phone number
	ReasonAddresses    = "addresses"     // there are as many as there may be
	ReasonAddressKnown = "address-known" // the account has it already
	ReasonNoAddress    = "no-address"    // the account has none with this ID
	ReasonNoSender     = "no-sender"     // this server sends nothing of that kind
	ReasonNoCase       = "no-case"       // the device has begun no such recovery, or it is over
	ReasonNoRecovery   = "no-recovery"   // no recovery of that name runs
	ReasonGiven        = "given"         // this way has given its proof
	ReasonNoAgent      = "no-agent"      // the account does not work at the desk
	ReasonOwn          = "own"           // nobody supports their own account
	ReasonNotApproved  = "not-approved"  // the owner does not let support see it
	ReasonNoAct        = "no-act"        // nothing of that name waits for a second agent
	ReasonSameAgent    = "same-agent"    // another agent has to agree
	ReasonNoIncident   = "no-incident"   // the account's ledger has no such reference
	ReasonNotRefused   = "not-refused"   // the reference is of an attempt that went on
	ReasonNotIncident  = "not-incident"  // nothing that this server has sealed
	ReasonTooOld       = "too-old"       // the incident is too old to be explained
	ReasonNumbered     = "numbered"      // passkeys belong to a name, and the server has a number
	ReasonPasskeys     = "passkeys"      // there are as many as there may be
	ReasonPasskeyKnown = "passkey-known" // the account has it already
	ReasonNoPasskey    = "no-passkey"    // the account has none with this ID
)
