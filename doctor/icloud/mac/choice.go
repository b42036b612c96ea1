package mac

import (
	"fmt"
	"strconv"
)

// Choice is asked of the person before something that cannot be taken back by
// moving files. The texts are data, so that the doctor and the guide ask alike.
type Choice struct {
	ID       string
	Question string
	Why      string // what hangs on the answer
	Options  []Option
}

// Option is one answer, with what comes of it.
type Option struct {
	ID    string
	Label string
	Keeps string
	Loses string
	Safe  bool // nothing is lost that cannot be had again
}

// KeepCopy is asked before any sign-out.
var KeepCopy = Choice{
	ID:       "keep-copy",
	Question: "When this Mac signs out of iCloud: keep a copy of its iCloud data on it?",
	Why:      "Signing out asks this once, for contacts, calendars, Safari and iCloud Drive, and cannot be asked again.",
	Options: []Option{
		{
			ID: "keep", Label: "Keep a copy", Safe: true,
			Keeps: "What is on this Mac stays on it, and stays in iCloud.",
			Loses: "The copy does not follow changes any more; when the Mac signs in again, contacts and calendars can appear twice, and files in a folder of their own. Files of iCloud Drive that were never downloaded to this Mac are not in the copy.",
		},
		{
			ID: "remove", Label: "Remove it from this Mac",
			Keeps: "What has reached iCloud stays there and comes back when the Mac signs in.",
			Loses: "Everything that had not been uploaded yet is gone for good; and if the account cannot be entered again, so is what only iCloud has.",
		},
	},
}

// AnotherDevice is asked before a repair that takes this Mac's sign-in away.
// Which devices an account trusts is known to Apple alone: nothing on this Mac
// tells it for certain, so the person is asked to look at the other device.
var AnotherDevice = Choice{
	ID:       "another-device",
	Question: "Is another device of this account (iPhone, iPad, Mac) switched on, in your hand and signed in, and does its Settings show \"Get Verification Code\"?",
	Why:      "To sign in again this Mac needs six digits from a device that the account trusts. If this Mac is the only one, it would take away its own way back in.",
	Options: []Option{
		{
			ID: "yes", Label: "Yes, I have looked", Safe: true,
			Keeps: "The code can be shown there, or made there by hand.",
			Loses: "Nothing.",
		},
		{
			ID: "no", Label: "No, or I am not sure",
			Keeps: "This Mac stays as it is.",
			Loses: "The account list is not reset. First make sure that the trusted phone number still receives messages, or sign in on a second device.",
		},
	},
}

// Choices are all of them, in the order in which they are asked.
func Choices() []Choice { return []Choice{AnotherDevice, KeepCopy} }

func waiting(n int) string {
	if n == 1 {
		return "one file waits to be uploaded"
	}
	return strconv.Itoa(n) + " files wait to be uploaded"
}

func doing(names []string) string {
	var s string
	for _, name := range names {
		for _, d := range Daemons {
			if d.Name == name {
				s += fmt.Sprintf("\n  %s: %s", d.Name, d.Does)
			}
		}
	}
	return s
}
