//go:build !linux

package faults

import "errors"

// desktop is Linux's: elsewhere the system's own programs show notifications.
type desktop struct{}

func newDesktop(...string) (*desktop, error) {
	return nil, errors.New("a desktop for a test can be had on Linux only")
}

func (*desktop) press(string) error   { return nil }
func (*desktop) away() error          { return nil }
func (*desktop) now() []notification  { return nil }
func (*desktop) ever() []notification { return nil }
func (*desktop) address() string      { return "" }
func (*desktop) end()                 {}
