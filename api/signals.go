package api

import "encoding/json"

// Paths of the transmitter of signals (OpenID Shared Signals Framework 1.0).
// But for the first, a call carries the service's secret as a bearer token
// (RFC 6750 §2.1).
const (
	PathSSF       = "/.well-known/ssf-configuration"
	PathStream    = "/ssf/stream"
	PathStatus    = "/ssf/status"
	PathVerify    = "/ssf/verify"
	PathPoll      = "/ssf/poll"    // RFC 8936 §2.4
	PathApplied   = "/ssf/applied" // Applied -> 204
	PathReceipts  = "/v1/receipts" // ReceiptsRequest -> Receipts
	PathHelp      = "/help/"       // + code: what a device is told by a service that is behind
	ChangePending = PathHelp + "change-pending"
)

// How signals are delivered (RFC 8935, RFC 8936).
const (
	DeliveryPush = "urn:ietf:rfc:8935"
	DeliveryPoll = "urn:ietf:rfc:8936"
)

// SETType is the media type and the typ of a Security Event Token (RFC 8417 §2.3, §7.1).
const (
	SETType      = "secevent+jwt"
	SETMediaType = "application/secevent+jwt"
)

// Poll is a request for signals (RFC 8936 §2.4).
type Poll struct {
	MaxEvents         *int                `json:"maxEvents,omitempty"` // 0: only to acknowledge
	ReturnImmediately bool                `json:"returnImmediately,omitempty"`
	Ack               []string            `json:"ack,omitempty"`
	SetErrs           map[string]SETError `json:"setErrs,omitempty"`
}

// SETError says why a receiver does not take a signal (RFC 8935 §2.3).
type SETError struct {
	Err         string `json:"err"`
	Description string `json:"description,omitempty"`
}

// Polled answers a Poll (RFC 8936 §2.5).
type Polled struct {
	Sets          map[string]string `json:"sets"` // by jti
	MoreAvailable bool              `json:"moreAvailable,omitempty"`
}

// Applied tells which signals a service acts on by now.
type Applied struct {
	Applied map[string]int64 `json:"applied"` // jti: Unix microseconds
}

// SSFConfiguration describes the transmitter (OpenID Shared Signals Framework 1.0, §7.1).
type SSFConfiguration struct {
	Version        string                `json:"spec_version"`
	Issuer         string                `json:"issuer"`
	Keys           string                `json:"jwks_uri"`
	Delivery       []string              `json:"delivery_methods_supported"`
	Stream         string                `json:"configuration_endpoint"`
	Status         string                `json:"status_endpoint"`
	Verification   string                `json:"verification_endpoint"`
	Authorization  []AuthorizationScheme `json:"authorization_schemes"`
	DefaultSubject string                `json:"default_subjects"`
}

// AuthorizationScheme is one way to prove who calls.
type AuthorizationScheme struct {
	URN string `json:"spec_urn"`
}

// Stream is a service's stream (OpenID Shared Signals Framework 1.0, §8.1.1).
type Stream struct {
	ID             string    `json:"stream_id,omitempty"`
	Issuer         string    `json:"iss,omitempty"`
	Audience       Audience  `json:"aud,omitempty"`
	Supported      []string  `json:"events_supported,omitempty"`
	Requested      *[]string `json:"events_requested,omitempty"`
	Delivered      []string  `json:"events_delivered,omitempty"`
	Delivery       *Delivery `json:"delivery,omitempty"`
	VerifyInterval int       `json:"min_verification_interval,omitempty"` // seconds
	Description    *string   `json:"description,omitempty"`
}

// Audience is one or several: a string or a list of them (RFC 7519 §4.1.3).
type Audience []string

// MarshalJSON writes one as a string.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// UnmarshalJSON reads both forms.
func (a *Audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = Audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// Delivery says how a stream's signals travel.
type Delivery struct {
	Method        string `json:"method"`
	Endpoint      string `json:"endpoint_url,omitempty"`
	Authorization string `json:"authorization_header,omitempty"` // never told by this server
}

// StreamStatus is whether a stream runs (OpenID Shared Signals Framework 1.0, §8.1.2).
type StreamStatus struct {
	ID     string `json:"stream_id"`
	Status string `json:"status"` // enabled, paused or disabled
	Reason string `json:"reason,omitempty"`
}

// StreamVerify asks for a verification event (OpenID Shared Signals Framework 1.0, §8.1.4.2).
type StreamVerify struct {
	ID    string `json:"stream_id"`
	State string `json:"state,omitempty"`
}

// ReceiptsRequest asks which services have which change; of one epoch where
// that is not zero.
type ReceiptsRequest struct {
	Session string `json:"session"`
	Epoch   int64  `json:"epoch,omitempty"`
}

// Receipts are newest changes first; moments are Unix microseconds, 0 for none.
type Receipts struct {
	Epoch    int64     `json:"epoch"` // the account's
	Now      int64     `json:"now"`
	Receipts []Receipt `json:"receipts"`
	// Silent are the services that hear of no change now.
	Silent []Silent `json:"silent,omitempty"`
	More   bool     `json:"more,omitempty"` // there are older ones
	// Waiting is the first change that each service which is behind has not
	// taken, oldest first, whether or not it is among the Receipts. Where one
	// epoch was asked for, and from servers older than this member, it is nil.
	Waiting []Receipt `json:"waiting,omitzero"`
}

// Silent is a service whose stream is not enabled.
type Silent struct {
	Service string `json:"service"`
	Status  string `json:"status"`          // paused: changes wait; disabled, deleted: they are not kept
	Since   int64  `json:"since,omitempty"` // 0: not written down
	// Parked says that the account server has paused the stream itself, as the
	// service refused a change or took none for a day.
	Parked bool `json:"parked,omitempty"`
}

// Receipt is the way of one change to one service.
type Receipt struct {
	Service   string `json:"service"`
	Audience  string `json:"audience,omitempty"` // of the service's tokens
	Signal    string `json:"signal"`             // jti
	Epoch     int64  `json:"epoch"`
	Kind      string `json:"kind"`
	Made      int64  `json:"made"`
	Delivered int64  `json:"delivered,omitempty"`
	Applied   int64  `json:"applied,omitempty"`
	Waiting   int64  `json:"waiting_since,omitempty"` // 0 once it was delivered
	Tries     int    `json:"tries,omitempty"`
	Why       string `json:"why,omitempty"`
}
