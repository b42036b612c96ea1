//go:build !linux

package faults

import "errors"

// keyStore is Linux's; the other systems' belong to the person who is signed in.
type keyStore struct{ address string }

func newKeyStore() (*keyStore, error) {
	return nil, errors.New("a key store for a test can be had on Linux only")
}

func (*keyStore) lock() error         { return nil }
func (*keyStore) unlock() error       { return nil }
func (*keyStore) items() (int, error) { return 0, nil }
func (*keyStore) end()                {}
