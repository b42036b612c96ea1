package api

// Paths of recovery. The first group is called by a device that has proved
// nothing, the second by the account's devices on a session.
const (
	PathRecoveryStart          = "/v1/recovery/start"
	PathRecoveryStatus         = "/v1/recovery/status"
	PathRecoverySend           = "/v1/recovery/send"
	PathRecoveryProve          = "/v1/recovery/prove"
	PathRecoveryPasswordStart  = "/v1/recovery/password/start"
	PathRecoveryPasswordFinish = "/v1/recovery/password/finish"
	PathRecoveryGiveUp         = "/v1/recovery/give-up"    // RecoveryCase -> 204
	PathRecoveryCancel         = "/v1/recovery/cancel"     // RecoveryWord -> 204
	PathRecoveryIdentifier     = "/v1/recovery/identifier" // RecoveryIdentifier -> 204, always

	PathRecoveries        = "/v1/recoveries"         // Signed -> Recoveries
	PathRecoveriesApprove = "/v1/recoveries/approve" // SignedID -> RecoveryApproved
	PathRecoveriesCancel  = "/v1/recoveries/cancel"  // SignedID -> 204
	PathRecoveryCodes     = "/v1/recovery/codes"     // SignedFresh -> RecoveryCodes
	PathRecoveryCodeCount = "/v1/recovery/codes/count"
	PathExport            = "/v1/export"        // Signed -> the account's data as one document
	PathClose             = "/v1/account/close" // SignedFresh with a grant of purpose "close" -> 204
)

// Purposes of a password proof beside ForSignIn and ForPassword. The grant
// comes from /v1/sign-in/start and finish on an enrolled device.
const (
	ForSettings = "settings" // what needs a fresh proof, where the session's own is older than an hour
	ForClose    = "close"
)

// SignedFresh is the body of calls on a session that need a fresh proof. Grant
// may be left out while the session is younger than an hour, but for PathClose.
type SignedFresh struct {
	Session string `json:"session"`
	Grant   Bytes  `json:"grant,omitempty"`
}

// RecoveryStart begins a case. Word is what support has read out, or empty.
type RecoveryStart struct {
	Account    string `json:"account"`
	Word       string `json:"word,omitempty"`
	DeviceName string `json:"device_name"`
	Client     Client `json:"client"`
}

// Recovery is a case as the device that began it sees it. Without a proof, all
// of it is the same for every identifier, and stays so.
type Recovery struct {
	Recovery Bytes    `json:"recovery,omitempty"` // sealed; goes back with every call about the case; only start gives it
	State    string   `json:"state"`              // unproved, waiting, open, cancelled, finished, over
	Proofs   []string `json:"proofs"`             // of code, address, device
	Opens    int64    `json:"opens,omitempty"`    // Unix seconds; once something was proved
	Expires  int64    `json:"expires"`            // Unix seconds
	Now      int64    `json:"now"`                // the server's clock, Unix seconds
	Wait     int      `json:"wait"`               // seconds that a case with one proof alone waits
}

// RecoveryCase names a case.
type RecoveryCase struct {
	Recovery Bytes `json:"recovery"`
}

// RecoveryProve gives one proof: exactly one of the codes.
type RecoveryProve struct {
	Recovery    Bytes  `json:"recovery"`
	Code        string `json:"code,omitempty"`         // a recovery code
	AddressCode string `json:"address_code,omitempty"` // sent to a verified address
	DeviceCode  string `json:"device_code,omitempty"`  // shown by an enrolled device
}

// RecoveryPasswordStart evaluates the new blinded password; the answer is
// SignUpStarted.
type RecoveryPasswordStart struct {
	Recovery Bytes `json:"recovery"`
	Request  Bytes `json:"request"`
}

// RecoveryPasswordFinish sets the new password; every session ends.
type RecoveryPasswordFinish struct {
	Recovery   Bytes   `json:"recovery"`
	Record     Bytes   `json:"record"`
	Stretch    Stretch `json:"stretch"`
	DeviceName string  `json:"device_name"`
	Client     Client  `json:"client"`
}

// RecoveryFinished has SignedIn where the device is in; otherwise it signs in
// with the new password, and needs a code.
type RecoveryFinished struct {
	SignedIn *SignedIn `json:"signed_in,omitempty"`
}

// RecoveryWord stops the case that the word of a message belongs to.
type RecoveryWord struct {
	Word string `json:"word"`
}

// RecoveryIdentifier asks which accounts have an e-mail address.
type RecoveryIdentifier struct {
	Email string `json:"email"`
}

// RecoverySeen is a case as the account's devices see it.
type RecoverySeen struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	System  string   `json:"system"`
	Client  string   `json:"client"`
	Address string   `json:"address"`
	Opened  int64    `json:"opened"`          // Unix seconds
	Opens   int64    `json:"opens,omitempty"` // Unix seconds
	Expires int64    `json:"expires"`         // Unix seconds
	State   string   `json:"state"`
	Proofs  []string `json:"proofs"`
	By      string   `json:"cancelled_by,omitempty"`
	Support bool     `json:"support,omitempty"` // begun by the desk
	This    bool     `json:"this,omitempty"`    // by the very device that asks
}

// Recoveries lists them, newest first.
type Recoveries struct {
	Recoveries []RecoverySeen `json:"recoveries"`
}

// RecoveryApproved shows the code to type where the case was begun. Asking
// again gives the code of the moment. It is empty where the asking device has
// itself begun the case: that is proved with the approval.
type RecoveryApproved struct {
	Code      string `json:"code,omitempty"`
	Remaining int    `json:"remaining,omitempty"` // seconds until the next one
	RecoverySeen
}

// RecoveryCodes are told once.
type RecoveryCodes struct {
	Codes []string `json:"codes"`
}

// RecoveryCodeCount tells how many are left.
type RecoveryCodeCount struct {
	Left int   `json:"left"`
	Made int64 `json:"made,omitempty"` // Unix seconds
}
