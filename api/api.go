// Package api is what goes over the wire between a device and the account
// server: paths, messages and the refusal. docs/protocol.md explains the order.
//
// Every POST but the last of a sign-in carries a DPoP proof (RFC 9449) by the device's key, bound to a
// nonce of the server and, by the claim "bh", to the body. Byte strings are
// base64url without padding.
package api

import (
	"encoding/base64"
	"strings"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/policy"
)

// Protocol is the version of this protocol.
const Protocol = 1

// Paths of the account server.
const (
	PathHello          = "/v1/hello"
	PathSignUpStart    = "/v1/sign-up/start"
	PathSignUpFinish   = "/v1/sign-up/finish"
	PathSignInStart    = "/v1/sign-in/start"
	PathSignInFinish   = "/v1/sign-in/finish"
	PathSignInCode     = "/v1/sign-in/code"
	PathToken          = "/v1/token"
	PathWhoAmI         = "/v1/whoami"
	PathSession        = "/v1/session"
	PathSignOut        = "/v1/sign-out"
	PathSignOutAll     = "/v1/sign-out/everywhere"
	PathRequests       = "/v1/requests"
	PathEvents         = "/v1/events" // a stream: what appears by itself
	PathAllow          = "/v1/requests/allow"
	PathDeny           = "/v1/requests/deny"
	PathPass           = "/v1/pass"
	PathDevices        = "/v1/devices"
	PathRemoveDevice   = "/v1/devices/remove"
	PathEndDevice      = "/v1/devices/end"
	PathActivity       = "/v1/activity"
	PathMine           = "/v1/activity/mine" // SignedReference -> 204: the owner says that it was them
	PathPasswordStart  = "/v1/password/start"
	PathPasswordFinish = "/v1/password/finish"
	PathExplain        = "/v1/explain"
	PathKeys           = "/.well-known/jwks.json"
	PathCauses         = "/causes/" // + code: the page of a cause
	PathHealth         = "/healthz"
	PathReady          = "/readyz"
)

// Headers.
const (
	HeaderProof = "DPoP"
	HeaderNonce = "DPoP-Nonce" // on every answer: the nonce for the next proof
)

// Codes of a Problem. Only Failed says that a sign-in or a session was refused.
const (
	Failed      = 4001 // refused; the incident explains it to the right person
	BadRequest  = 4000 // the message is not of the protocol's form
	StaleProof  = 4010 // the proof's nonce is old or the proof was used: sign again with the new nonce
	NotPossible = 4090 // well formed, permitted, and in the way of the present state
	TooMany     = 4290 // slower, please
	Unavailable = 5030 // the service cannot work now; nothing was checked
)

// Problem is an error answer (RFC 9457), content type application/problem+json.
// Title and Detail are English for people; Code and Reason are for programs.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      int    `json:"code"`
	Reason    string `json:"reason,omitempty"`    // one of the Reason words; none on a refusal
	Reference string `json:"reference,omitempty"` // short, to read aloud
	Incident  string `json:"incident,omitempty"`  // sealed; only the server can open it
}

func (p *Problem) Error() string {
	switch {
	case p.Detail == "":
		return p.Title
	case p.Code == NotPossible: // the detail says it all: no such reference, the name is taken
		return p.Detail
	}
	return p.Title + ": " + p.Detail
}

// Bytes is a byte string on the wire: base64url without padding.
type Bytes []byte

// MarshalText writes base64url without padding.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads base64url without padding, strictly.
func (b *Bytes) UnmarshalText(in []byte) error {
	d, err := strict.AppendDecode(nil, in)
	*b = d
	return err
}

var strict = base64.RawURLEncoding.Strict()

// Client is what the client says of itself.
type Client struct {
	Name          string `json:"name"`
	Version       string `json:"version"`
	System        string `json:"system"`
	SystemVersion string `json:"system_version"`
	Protocol      int    `json:"protocol"`
}

// Stretch is how the client stretches a password: Argon2id (RFC 9106).
type Stretch struct {
	Memory  uint32 `json:"memory"` // KiB
	Time    uint32 `json:"time"`
	Threads uint8  `json:"threads"`
}

// Hello is the answer to GET /v1/hello.
type Hello struct {
	Protocol int           `json:"protocol"`
	URL      string        `json:"url"`  // the public address: what proofs are signed for
	Time     int64         `json:"time"` // the server's clock, Unix milliseconds
	Policy   policy.Policy `json:"policy"`
	Invited  bool          `json:"invited"` // sign-up needs an invitation
	Stretch  Stretch       `json:"stretch"` // for a new record
}

// SignUpStart asks for the evaluation of a blinded password.
type SignUpStart struct {
	Account    string `json:"account"`
	Invitation string `json:"invitation,omitempty"`
	Request    Bytes  `json:"request"` // RFC 9807 RegistrationRequest
	Client     Client `json:"client"`
}

// SignUpStarted carries the evaluation.
type SignUpStarted struct {
	Response Bytes `json:"response"` // RFC 9807 RegistrationResponse
}

// SignUpFinish creates the account with this device as its first.
type SignUpFinish struct {
	Account    string  `json:"account"`
	Invitation string  `json:"invitation,omitempty"`
	Record     Bytes   `json:"record"` // RFC 9807 RegistrationRecord
	Stretch    Stretch `json:"stretch"`
	DeviceName string  `json:"device_name"`
	Client     Client  `json:"client"`
}

// Purposes of a password proof.
const (
	ForSignIn   = "sign-in"
	ForPassword = "password" // a change of the password, by an enrolled device
)

// SignInStart opens an attempt.
type SignInStart struct {
	Account    string `json:"account"`
	Purpose    string `json:"purpose"`
	KE1        Bytes  `json:"ke1"`
	Pass       string `json:"pass,omitempty"`
	DeviceName string `json:"device_name"`
	Client     Client `json:"client"`
}

// SignInStarted answers the first message. State goes back with the last.
type SignInStarted struct {
	KE2     Bytes   `json:"ke2"`
	Former  Bytes   `json:"former"` // opens only to who typed the former password on an enrolled device
	Stretch Stretch `json:"stretch"`
	State   Bytes   `json:"state"`
}

// SignInFinish proves the password. It carries no DPoP proof: KE3 shows that
// its sender is who signed the first message. A client whose envelope did not open
// sends random bytes as KE3, so that it gets its incident.
type SignInFinish struct {
	State Bytes `json:"state"`
	KE3   Bytes `json:"ke3"`
}

// SignInFinished has exactly one of its fields.
type SignInFinished struct {
	SignedIn *SignedIn `json:"signed_in,omitempty"`
	Code     *NeedCode `json:"code_needed,omitempty"`
	Grant    Bytes     `json:"grant,omitempty"` // for a change of the password
}

// SignedIn is a session bound to the device's key.
type SignedIn struct {
	Account     string `json:"account"`
	Session     string `json:"session"`
	Device      string `json:"device"`
	CodeSecret  Bytes  `json:"code_secret"` // makes codes by hand, offline
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

// NeedCode says that the password was proved and the device is new.
type NeedCode struct {
	Attempt string `json:"attempt"`
	Request string `json:"request"` // the short name enrolled devices see
	Expires int64  `json:"expires"` // Unix seconds
	Digits  int    `json:"digits"`
	Tries   int    `json:"tries"` // wrong codes before the attempt is over
}

// SignInCode gives the six digits. The answer is SignedIn.
type SignInCode struct {
	Attempt string `json:"attempt"`
	Code    string `json:"code"`
}

// TokenRequest asks for an access token; the proof is by the session's device.
type TokenRequest struct {
	Session  string `json:"session"`
	Audience string `json:"audience,omitempty"` // default: the account server itself
}

// Token is an access token: at+jwt (RFC 9068), ES256, bound to the device key (cnf.jkt).
type Token struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

// WhoAmI is what an access token stands for.
type WhoAmI struct {
	Account string `json:"account"`
	Subject string `json:"sub"`
	Session string `json:"sid"`
	Device  string `json:"device"`
	Expires int64  `json:"exp"` // Unix seconds
}

// SessionRequest asks, by a device's key alone, for its living session, when
// the device has lost what it knew of it. The answer is SignedIn.
type SessionRequest struct {
	Account string `json:"account"`
	Client  Client `json:"client"`
}

// Signed is the body of calls on a session that need nothing else.
type Signed struct {
	Session string `json:"session"`
}

// SignedID is the body of calls on a session about one thing.
type SignedID struct {
	Session string `json:"session"`
	ID      string `json:"id"`
}

// Request is a new device that waits for a code.
type Request struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	System  string `json:"system"`
	Client  string `json:"client"`
	Address string `json:"address"`
	Opened  int64  `json:"opened"`  // Unix seconds
	Expires int64  `json:"expires"` // Unix seconds
	Status  string `json:"status"`  // waiting, allowed, denied, done
}

// Requests lists them, newest first.
type Requests struct {
	Requests []Request `json:"requests"`
}

// Allowed shows the code. Asking again gives the code of the moment.
type Allowed struct {
	Code      string `json:"code"`
	Remaining int    `json:"remaining"` // seconds until the next one
	Request
}

// Pass is a one-time pass.
type Pass struct {
	Pass    string `json:"pass"`
	Expires int64  `json:"expires"` // Unix seconds
}

// Device is one of the account's devices.
type Device struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	System   string `json:"system"`
	Enrolled int64  `json:"enrolled"`          // Unix seconds
	LastSeen int64  `json:"last_seen"`         // Unix seconds
	Removed  int64  `json:"removed,omitempty"` // Unix seconds
	This     bool   `json:"this,omitempty"`
	SignedIn bool   `json:"signed_in"`
}

// Devices lists them, oldest first.
type Devices struct {
	Devices []Device `json:"devices"`
}

// DeviceEnded names the device whose sessions were ended, and tells how many.
type DeviceEnded struct {
	Device        string `json:"device"`
	SessionsEnded int    `json:"sessions_ended"`
}

// Activity is one line of the account's ledger.
type Activity struct {
	At        int64      `json:"at"` // Unix seconds
	What      string     `json:"what"`
	Outcome   string     `json:"outcome"`
	Cause     cause.Code `json:"cause,omitempty"`
	Reference string     `json:"reference,omitempty"`
	Mine      int64      `json:"mine,omitempty"` // Unix seconds; when the owner said that it was them
	Device    string     `json:"device,omitempty"`
	Client    string     `json:"client,omitempty"`
	Address   string     `json:"address,omitempty"`
}

// Activities lists them, newest first.
type Activities struct {
	Activity []Activity `json:"activity"`
}

// PasswordStart evaluates the new blinded password under a grant.
type PasswordStart struct {
	Grant   Bytes `json:"grant"`
	Request Bytes `json:"request"`
}

// PasswordFinish replaces the record; every other session ends.
type PasswordFinish struct {
	Grant   Bytes   `json:"grant"`
	Session string  `json:"session"`
	Record  Bytes   `json:"record"`
	Stretch Stretch `json:"stretch"`
}

// SignedOut tells how many sessions ended, the caller's too.
type SignedOut struct {
	SessionsEnded int `json:"sessions_ended"`
}

// PasswordChanged tells how many other sessions ended.
type PasswordChanged struct {
	SessionsEnded int `json:"sessions_ended"`
}

// Explain asks for the finding this device may know. Incident or Reference is
// given; Session proves the owner; without it the device's key may prove the holder.
type Explain struct {
	Incident  string       `json:"incident,omitempty"`
	Reference string       `json:"reference,omitempty"`
	Session   string       `json:"session,omitempty"`
	Evidence  []cause.Fact `json:"evidence,omitempty"` // what the device itself has seen
}

// NormaliseReference makes of what was typed what is stored: upper case,
// without spaces, with one hyphen, the letters I, L, O read as 1, 1, 0.
func NormaliseReference(s string) (string, bool) {
	s = strings.NewReplacer(" ", "", "-", "", "I", "1", "L", "1", "O", "0").Replace(strings.ToUpper(strings.TrimSpace(s)))
	if len(s) != 8 || strings.Trim(s, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") != "" {
		return "", false
	}
	return s[:4] + "-" + s[4:], true
}
