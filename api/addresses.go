package api

// Paths of an account's addresses: where its messages go.
const (
	PathAddresses     = "/v1/addresses"
	PathAddAddress    = "/v1/addresses/add"
	PathVerifyAddress = "/v1/addresses/verify"
	PathRemoveAddress = "/v1/addresses/remove" // SignedID
)

// Kinds of an address.
const (
	Email = "email"
	Phone = "phone"
)

// Address is one of the account's addresses.
type Address struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Language  string `json:"language"`             // that messages to it are written in
	Added     int64  `json:"added"`                // Unix seconds
	Verified  int64  `json:"verified,omitempty"`   // Unix seconds
	CodeUntil int64  `json:"code_until,omitempty"` // until when the code that was sent is good, Unix seconds
	Failed    int64  `json:"failed,omitempty"`     // when the last message could not be delivered, Unix seconds
	Why       string `json:"why,omitempty"`        // one of the words of the check "delivery"
}

// Addresses lists them, oldest first.
type Addresses struct {
	Addresses []Address `json:"addresses"`
	Kinds     []string  `json:"kinds"` // that this server sends to
}

// AddAddress adds one and has a code sent to it; asked again, another code.
// The answer is the Address.
type AddAddress struct {
	Session  string `json:"session"`
	Kind     string `json:"kind"`
	Value    string `json:"value"`
	Language string `json:"language,omitempty"`
}

// VerifyAddress gives the code. The answer is the Address.
type VerifyAddress struct {
	Session string `json:"session"`
	ID      string `json:"id"`
	Code    string `json:"code"` // empty: none came
}
