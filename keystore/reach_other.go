//go:build !linux

package keystore

// inReach: these systems have a key store for everybody who is signed in.
func inReach(func(string) string) bool { return true }

// look leaves it to the call itself: a locked key store answers with an error.
func look() error { return nil }

func why(error) string { return Silent }
