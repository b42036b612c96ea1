package store

import "time"

// Signal is the news of one change of an account.
type Signal struct {
	ID      ID
	Account ID // zero where it is about a service's stream alone
	Epoch   int64
	Kind    string // one of the constants of package signal
	At      time.Time
	Detail  []byte // JSON of signal.Detail; never a secret
}

// Tally tells two sets of signals of one part of time apart without reading them.
type Tally struct {
	Signals int64
	Stamps  int64 // the sum of how long after the part's beginning each is, in microseconds
}

// Service is a program of others that signals go to.
type Service struct {
	ID       ID
	Name     string // what the operator calls it
	Audience string // of its access tokens, and of the signals sent to it
	Push     string // where signals are sent; empty for a service that polls
	Secret   [32]byte
	Added    time.Time
	Status   string    // of its stream: one of the Stream constants
	Why      string    // its status, as its receiver or this server gave it
	Parked   time.Time // since when the stream is paused or disabled, by whomever; zero: it is not, or an earlier version has not written it down
	Events   string    // types of events that its receiver asked for, by spaces; empty for all
	About    string    // what its receiver says of the stream
}

// The states of a service's stream (OpenID Shared Signals Framework 1.0, §8.1.2).
const (
	StreamEnabled  = "enabled"
	StreamPaused   = "paused"   // signals are kept for it and not sent
	StreamDisabled = "disabled" // signals are not kept for it either
	StreamDeleted  = "deleted"  // by its receiver, who may make it again
)

// Work is what a node writes down of sending to one service.
type Work struct {
	Service ID
	Node    ID        // that sends to it
	Lease   time.Time // until when no other node does
	Heard   time.Time // when the service last took a signal
}

// Receipt is the way of one signal to one service.
type Receipt struct {
	Service   ID
	Signal    ID
	Account   ID
	Epoch     int64
	Kind      string
	Made      time.Time // when the change was
	Next      time.Time // when it is tried next
	Tries     int
	Delivered time.Time // the service has it
	Applied   time.Time // the service says that it acts on it
	Why       string    // why it waits, or what became of it: one of the constants of package signal
}

// Due is a receipt that is due, with what its signal says.
type Due struct {
	Receipt
	Detail []byte
	Lost   bool // the signal is gone
}

// Backlog is what one service has not taken yet.
type Backlog struct {
	Service ID
	Waiting int
	Oldest  time.Time // when the oldest change of them was
}

// Signals is the part of a Tx about the news of changes and their way to
// services. What only writes reads nothing, so that an adapter may send it late.
type Signals interface {
	AddSignal(Signal) error
	// AddReceipts adds a receipt of a signal for every service whose stream is
	// not disabled, due at once.
	AddReceipts(Signal) error
	AddReceipt(Receipt) error // for one service alone
	// Signals returns those after a moment and, at that very moment, an ID;
	// oldest first, so many at most.
	Signals(after time.Time, id ID, limit int) ([]Signal, error)
	// Tallies tells of the signals from a moment on, by the part of time they are
	// of: the number of whole widths since 1970. Parts without any are left out.
	Tallies(from time.Time, width time.Duration) (map[int64]Tally, error)
	Signal(at time.Time, id ID) (Signal, error)

	Services() ([]Service, error) // by name
	AddService(Service) error     // ErrConflict when the name is taken
	SaveService(Service) error    // by ID
	// DropWaiting deletes the receipts of a service whose signals it has not taken.
	DropWaiting(service ID) error
	DropService(ID) error // with the receipts that wait; ErrNotFound

	Work(service ID) (Work, error) // the zero Work of a service that has none
	// Claim makes a service a node's to send to until then, unless it is now
	// another's. A lease that ends after far was written by a clock that is wrong,
	// and holds nobody off.
	Claim(w Work, now, far time.Time) (claimed bool, err error)
	Heard(service ID, at time.Time) error

	// DueReceipts returns the receipts of a service that are due. Of each
	// account only the earliest that was not delivered is ever among them.
	DueReceipts(service ID, now time.Time, limit int) ([]Due, error)
	// Deliver and Apply mark receipts that are not yet marked so; what was
	// applied was delivered. PutOff is for those not delivered.
	Deliver(service, signal ID, at time.Time, why string) error
	Apply(service, signal ID, applied, now time.Time) error
	PutOff(service, signal ID, next time.Time, why string) error
	Hurry(service ID, now time.Time) error             // all that wait are due
	Afresh(service ID, now time.Time) error            // the same, and as if never tried
	Receipts(account ID, limit int) ([]Receipt, error) // newest first
	// ReceiptsOf returns those of the changes to one epoch, newest first.
	ReceiptsOf(account ID, epoch int64, limit int) ([]Receipt, error)
	// FirstWaiting returns the earliest of an account that a service has not
	// taken; ErrNotFound when it has them all.
	FirstWaiting(service, account ID) (Receipt, error)
	// LongestWaiting returns the oldest that a service has not taken, of whichever
	// account; ErrNotFound when it has them all.
	LongestWaiting(service ID) (Receipt, error)
	// LastApplied is when a service last applied one of the signals made until
	// then, so many of the newest; zero for none.
	LastApplied(service ID, until time.Time, limit int) (time.Time, error)
	Backlogs() ([]Backlog, error) // of services with any
}
