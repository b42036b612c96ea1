// Package cause is the closed table of why a sign-in can fail.
//
// The rules it keeps:
//
//   - A cause is here only if somebody would act differently on it, and only
//     with the check that proves it. Its code is stable and never reused.
//   - The zero Audience tells the fewest. Disclose is the one place where an
//     audience is held against a cause.
//   - Evidence is typed: a Fact is made of a check from a closed list and of
//     values of that check's kinds. No free text gets in, so nothing can be
//     injected into a report and no secret can slip into one.
package cause

import "slices"

// Code names a cause on the wire, in files and in the documentation.
type Code string

// Audience says who may be told a cause. Each one may be told all that those
// before it may.
type Audience int

// The audiences, fewest rights first.
const (
	Anyone   Audience = iota // who has proved nothing
	Holder                   // the failing client signs with a key enrolled for this account
	Owner                    // an enrolled device of this account with a living session, signing now
	Desk                     // support, after the owner approved this incident
	Operator                 // who runs the server, on its own machine
)

func (a Audience) String() string {
	switch a {
	case Holder:
		return "holder"
	case Owner:
		return "owner"
	case Desk:
		return "desk"
	case Operator:
		return "operator"
	}
	return "anyone"
}

// By says who carries out a remedy.
type By string

// Who can carry out a remedy.
const (
	Person     By = "person"
	ADevice    By = "device"
	ADesk      By = "desk"
	AnOperator By = "operator"
)

// Page names one of the account server's pages, on which a person carries out
// a remedy that no command does.
type Page string

// The pages of remedies.
const (
	PageRecover   Page = "recover"   // begin a recovery, or go on with one
	PageStop      Page = "stop"      // stop a recovery
	PagePasskeys  Page = "passkeys"  // remove and add passkeys
	PageAddresses Page = "addresses" // verify and remove addresses
)

// Remedy is one step that ends a cause. Argv may hold the words {server},
// {account}, {device} and {reference}, which whoever prints it fills in.
type Remedy struct {
	By   By       `json:"by"`
	Do   string   `json:"do"`
	Argv []string `json:"argv,omitempty"`
	Page Page     `json:"page,omitempty"`
	Undo bool     `json:"undo"` // whether readmit undo takes it back
}

// Row is one cause.
type Row struct {
	Code     Code
	Title    string
	Audience Audience
	Proof    Check   // the failed check that shows it
	With     []Check // what else supports it, where it was seen
	HiddenBy []Code  // roots of which this one is a mere consequence
	Remedies []Remedy
}

// Refused is the one cause of those who may be told nothing.
const Refused Code = "refused"

// Lookup finds the row of a code.
func Lookup(c Code) (Row, bool) {
	for _, r := range table {
		if r.Code == c {
			return r, true
		}
	}
	return Row{}, false
}

// Table returns all rows, roots before what they hide.
func Table() []Row { return append([]Row(nil), table...) }

// ofAccount are causes that anyone may know where a device has seen them by
// itself, with who may know what the account server has seen of them: that a
// request was fetched is not in what its own device sends.
var ofAccount = map[Code]Audience{
	"factor-unfinished": Owner,
}

// Disclose says what an audience is told of a cause with this evidence: the
// cause itself or Refused. Nothing else in Readmit compares an audience with a
// cause.
func Disclose(c Code, evidence []Fact, to Audience) Code {
	r, ok := Lookup(c)
	least := r.Audience
	if slices.ContainsFunc(evidence, func(f Fact) bool { return f.seen == ByServer && f.shows(&r) }) {
		least = max(least, ofAccount[c])
	}
	if !ok || to < least {
		return Refused
	}
	return c
}
