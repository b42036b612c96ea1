package store

import "time"

// Kinds of an Address.
const (
	Email = "email"
	Phone = "phone"
)

// Address is where messages of an account go, beside its devices.
type Address struct {
	Account    ID
	ID         ID
	Kind       string // Email or Phone
	Value      string // normalised: lower-case e-mail address, or + and digits
	Language   string // that messages to it are written in, as a language tag
	Added      time.Time
	AddedBy    ID        // device
	Verified   time.Time // zero until its code was typed
	CodeHash   [32]byte  // of the code sent last
	CodeUntil  time.Time
	CodeTries  int       // wrong codes since it was sent
	Failed     time.Time // when a message to it last could not be delivered; zero when the last one could
	FailedWhy  string    // one of the constants of package message
	LastNotice time.Time
}

// RecoveryCode is one of the codes an owner prints. Only its hash is kept.
type RecoveryCode struct {
	Account ID
	Hash    [32]byte
	Created time.Time
	Used    time.Time // zero until it was used
}

// Recovery is the way back in of somebody who has lost the password. Proofs of
// different ways gather in it; when there are not enough, time stands in.
type Recovery struct {
	ID          ID
	Account     ID         // a ghost's where there is no such account
	Thumbprint  Thumbprint // key of the device that began it
	Name        string
	System      string
	Client      string
	Address     string // from where
	Opened      time.Time
	Opens       time.Time // when a new password may be set; zero until the proofs are chosen
	Expires     time.Time
	ByCode      time.Time // a recovery code was given
	ByDevice    ID        // an enrolled device has approved
	ByDeviceAt  time.Time
	ByAddress   time.Time // a code sent to a verified address was given
	AddressHash [32]byte  // of the code sent to it
	Wrong       int       // wrong codes of any kind
	Cancelled   time.Time
	CancelledBy string    // a device's name, "message-word", "starter" or "support"
	CancelHash  [32]byte  // of the word in the messages that cancels
	Finished    time.Time // the new password was set
	Agent       ID        // support agent's account, when the desk began it
	Told        []byte    // the addresses told when it began, under the server's key
}

// Passkey is a WebAuthn credential of an account.
type Passkey struct {
	Account    ID
	Credential []byte // its ID
	Data       []byte // what the WebAuthn library needs to check it, as JSON
	Name       string
	Added      time.Time
	AddedBy    ID // device
	LastUsed   time.Time
	Count      int64 // signature counter
}

// Approval lets support see the explanation of one incident.
type Approval struct {
	Account   ID
	Reference string
	At        time.Time
	Expires   time.Time
	By        string // the device's name, or "recovery-code"
	Revoked   time.Time
}

// Agent is an account that may work at the support desk.
type Agent struct {
	Account ID
	Added   time.Time
	Removed time.Time // zero while it may
}

// DeskAct is what one agent has asked for and, where it lowers an account's
// security, another one must agree to.
type DeskAct struct {
	ID        ID
	Account   ID
	Reference string // of the approved incident
	Kind      string // one of the constants of package desk
	AskedBy   ID     // agent's account
	Asked     time.Time
	AgreedBy  ID
	Agreed    time.Time
	Done      time.Time
	Expires   time.Time
}

// Message waits to be sent by mail or SMS, or was.
type Message struct {
	ID      ID
	Account ID
	Address ID // of the account's addresses; zero for one that is none
	Channel string
	Kind    string // one of the constants of package message
	Sealed  []byte // address and text, under the server's key
	Created time.Time
	Next    time.Time // when it is tried next
	Tries   int
	Sent    time.Time
	GaveUp  time.Time
	Why     string // why the last try failed: one of the constants of package message
}

// People is the part of a Tx about how people are reached and get back in.
type People interface {
	Addresses(account ID) ([]Address, error)             // oldest first
	FindAddresses(kind, value string) ([]Address, error) // verified ones, over all accounts
	AddAddress(Address) error                            // ErrConflict when the account has it
	SaveAddress(Address) error
	DropAddress(account, id ID) error // ErrNotFound

	RecoveryCodes(account ID) ([]RecoveryCode, error)
	ReplaceRecoveryCodes(account ID, codes []RecoveryCode) error   // all of them, by these
	UseRecoveryCode(account ID, hash [32]byte, at time.Time) error // ErrNotFound when there is none that is unused

	Recovery(ID) (Recovery, error)
	Recoveries(account ID) ([]Recovery, error) // newest first
	AddRecovery(Recovery) error
	SaveRecovery(Recovery) error

	Passkeys(account ID) ([]Passkey, error) // oldest first
	Passkey(credential []byte) (Passkey, error)
	AddPasskey(Passkey) error // ErrConflict when the credential is known
	SavePasskey(Passkey) error
	DropPasskey(account ID, credential []byte) error // ErrNotFound

	Approvals(account ID) ([]Approval, error) // newest first
	SaveApproval(Approval) error              // by account and reference

	Agent(account ID) (Agent, error)
	Agents() ([]Agent, error)
	SaveAgent(Agent) error

	DeskAct(ID) (DeskAct, error)
	DeskActs(account ID) ([]DeskAct, error) // newest first
	AddDeskAct(DeskAct) error
	SaveDeskAct(DeskAct) error

	AddMessage(Message) error
	SaveMessage(Message) error
	DueMessages(now time.Time, limit int) ([]Message, error) // neither sent nor given up, oldest first
	Messages(account ID) ([]Message, error)                  // newest first

	// CloseAccount deletes the account and everything of it, sessions, ledger and
	// signals too.
	CloseAccount(ID) error
}
