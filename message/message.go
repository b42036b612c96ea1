// Package message tells an account's addresses what happens to the account,
// and carries codes to them.
//
// The rules it keeps:
//
//   - A message is queued in the transaction that makes the change it tells of:
//     it is as durable as the change, and there is none without it.
//   - Where it goes and what it says lie sealed in the store, and only until it
//     was sent or given up. Neither is ever logged; of a failure only a reason
//     from a closed list is kept, never what a server answered.
//   - Links lead to the configured public address alone, and no value can bring
//     another: what others choose, such as a device's name, is stripped of
//     everything that could be read as one.
//   - Before each try the next one is written down. Whoever is killed between a
//     sending and its mark sends that message once more, and nothing is lost.
package message

import (
	"context"
	"time"

	"readmit.dev/readmit/store"
)

// Kinds of messages. What stands beside each is the values that its text needs
// beside those that are always there: the account, the moment, the public address.
const (
	AddressCode       = "address-code"        // code
	RecoveryCode      = "recovery-code"       // code
	Identifiers       = "identifiers"         // accounts: one on each line
	NewDevice         = "new-device"          // device, from
	PasswordChanged   = "password-changed"    // device
	DeviceRemoved     = "device-removed"      // device, by
	SignedOut         = "signed-out"          // device; everywhere else
	RecoveryBegun     = "recovery-begun"      // device, from, opens, word
	RecoveryCancelled = "recovery-cancelled"  // by: a device; or whom: one of the closed list below
	RecoveryFinished  = "recovery-finished"   // device, from
	RecoveryCodesMade = "recovery-codes-made" // device
	FactorDisabled    = "factor-disabled"     // none; after too many wrong codes
	FactorRemoved     = "factor-removed"      // agent; by the desk
	AddressAdded      = "address-added"       // address, device
	AddressRemoved    = "address-removed"     // address, device
	PasskeyAdded      = "passkey-added"       // passkey, device
	PasskeyRemoved    = "passkey-removed"     // passkey, device
	PasskeyCounter    = "passkey-counter"     // passkey; its counter went back
	AccountClosed     = "account-closed"      // device
	Exported          = "exported"            // device
	DeskAsked         = "desk-asked"          // agent, reference
	DeskFound         = "desk-found"          // agent; that there is the account
	DeskLooked        = "desk-looked"         // agent, reference
	DeskActed         = "desk-acted"          // agent, reference
)

// Who a message can name beside devices, as the value whom. Each language has
// its own words for them.
const (
	WhoHasWord = "message-word" // somebody with the word that a message has brought
	WhoBegan   = "starter"      // the device that began the recovery
)

// CodeLife is how long a code that was sent is good, and how long it is tried
// to send it.
const CodeLife = 15 * time.Minute

// KeptTrying is how long it is tried to send everything else.
const KeptTrying = 3 * 24 * time.Hour

// life is how long a message is worth sending.
func life(kind string) time.Duration {
	if kind == AddressCode || kind == RecoveryCode {
		return CodeLife
	}
	return KeptTrying
}

// Why a message could not be delivered. The list is closed: what a mail server
// or an SMS service answers is never kept, it may hold the address or more.
const (
	NoSuchMailbox  = "no-such-mailbox" // the mail server does not know it
	MailboxFull    = "mailbox-full"
	RejectedNumber = "rejected-number" // the SMS service does not send there
	Refused        = "refused"         // by the mail server or the service
	PutOff         = "put-off"         // it asks to try later
	Unreachable    = "unreachable"     // no connection, or none in time
	TLS            = "tls"             // no connection that can be trusted
	NoLogin        = "no-login"        // it does not accept this server's credentials
	NotConfigured  = "not-configured"  // this server sends no such messages
	Lost           = "lost"            // the key that sealed it is gone
)

// Reasons is the closed list.
var Reasons = []string{NoSuchMailbox, MailboxFull, RejectedNumber, Refused, PutOff, Unreachable, TLS, NoLogin, NotConfigured, Lost}

// Failure is why a message was not sent.
type Failure struct {
	Why   string
	Final bool // another try would end the same
}

func (f *Failure) Error() string { return "message not sent: " + f.Why }

// Text is a message as it leaves.
type Text struct {
	ID       store.ID // the same at each try
	To       string
	Language string
	Subject  string // mail only
	Body     string
	At       time.Time // when it was queued
}

// Sender sends texts of one channel. Its error is a *Failure; any other counts
// as Unreachable.
type Sender interface {
	Send(context.Context, Text) error
}
