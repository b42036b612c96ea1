package api

import "encoding/json"

// Paths of passkeys. Options and credentials have the JSON forms of the W3C's
// Web Authentication (PublicKeyCredentialCreationOptionsJSON and the like).
const (
	PathPasskeys            = "/v1/passkeys"
	PathAddPasskeyStart     = "/v1/passkeys/add/start"
	PathAddPasskeyFinish    = "/v1/passkeys/add/finish"
	PathRemovePasskey       = "/v1/passkeys/remove"        // SignedID
	PathSecondPasskeyStart  = "/v1/sign-in/passkey/start"  // second factor, after the password
	PathSecondPasskeyFinish = "/v1/sign-in/passkey/finish" // the answer is SignedIn
	PathPasskeyStart        = "/v1/passkey/start"          // only step
	PathPasskeyFinish       = "/v1/passkey/finish"         // the answer is SignedIn
)

// Passkey is one of the account's.
type Passkey struct {
	ID       Bytes  `json:"id"` // of its credential
	Name     string `json:"name"`
	Added    int64  `json:"added"` // Unix seconds
	AddedOn  string `json:"added_on,omitempty"`
	LastUsed int64  `json:"last_used,omitempty"`
}

// Passkeys lists them, oldest first.
type Passkeys struct {
	Passkeys []Passkey `json:"passkeys"`
	Possible bool      `json:"possible"` // whether this server's address can have any
	Fresh    bool      `json:"fresh"`    // whether one can be added without a grant
	Most     int       `json:"most"`
}

// AddPasskeyStart begins to add one. A grant is needed where the session began
// more than an hour ago.
type AddPasskeyStart struct {
	Session string `json:"session"`
	Grant   Bytes  `json:"grant,omitempty"`
}

// PasskeyStarted is the answer to each start. State goes back with the finish,
// within two minutes.
type PasskeyStarted struct {
	Options json.RawMessage `json:"options"`
	State   Bytes           `json:"state"`
}

// AddPasskeyFinish adds it. The answer is the Passkey.
type AddPasskeyFinish struct {
	Session    string          `json:"session"`
	State      Bytes           `json:"state"`
	Credential json.RawMessage `json:"credential"` // RegistrationResponseJSON
	Name       string          `json:"name,omitempty"`
}

// SecondPasskeyStart begins the second factor of an attempt.
type SecondPasskeyStart struct {
	Attempt string `json:"attempt"`
}

// SecondPasskeyFinish is in place of the six digits.
type SecondPasskeyFinish struct {
	Attempt    string          `json:"attempt"`
	State      Bytes           `json:"state"`
	Credential json.RawMessage `json:"credential"` // AuthenticationResponseJSON
}

// PasskeyStart begins a sign-in of which a passkey is the only step.
type PasskeyStart struct {
	DeviceName string `json:"device_name"`
	Client     Client `json:"client"`
}

// PasskeyFinish ends it.
type PasskeyFinish struct {
	State      Bytes           `json:"state"`
	Credential json.RawMessage `json:"credential"` // AuthenticationResponseJSON
}
