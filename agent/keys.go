package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"readmit.dev/readmit/keystore"
)

// KeyStoreError says that the device's secrets are in the system's key store,
// and that it does not give them out now.
type KeyStoreError struct{ Why string } // a constant of package keystore

func (e *KeyStoreError) Error() string { return (&keystore.Error{Why: e.Why}).Error() }

// With returns the home with a key store for its secrets. A home without one
// keeps them in its files, and cannot read those of a home that had one.
func (h Home) With(keys keystore.Store) Home {
	h.keys = keys
	return h
}

// kept is what an entry of the key store holds: all of an enrolment that is
// secret.
type kept struct {
	Key        string `json:"key"`
	CodeSecret []byte `json:"code_secret,omitempty"`
}

// entryOf names the entry of a key. Each key has one of its own, so that two
// homes do not meet, and a file that a repair brings back still has its entry.
func entryOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "device-key-" + hex.EncodeToString(sum[:8])
}

// unlocked completes an identity that was read from a file with what the key
// store has of it.
func (h Home) unlocked(file string, i *Identity) error {
	if i.Entry == "" {
		return nil
	}
	if h.keys == nil {
		return &KeyStoreError{keystore.Absent}
	}
	value, err := h.keys.Get(i.Entry)
	var k kept
	switch {
	case errors.Is(err, keystore.ErrNoEntry):
		return &StateError{file, Keyless} // a copy of another machine's home
	case err != nil:
		return keyStoreError(err)
	case json.Unmarshal([]byte(value), &k) != nil || entryOf(k.Key) != i.Entry:
		return &StateError{file, Keyless}
	}
	i.Key, i.CodeSecret = k.Key, k.CodeSecret
	return nil
}

func keyStoreError(err error) error {
	if e := new(keystore.Error); errors.As(err, &e) {
		return &KeyStoreError{e.Why}
	}
	return err
}

// locked returns an identity as its file has it: without secrets where the key
// store has taken them. It is written there and read back before the file that
// had it is replaced, so that whatever comes between loses nothing.
func (h Home) locked(i Identity) (Identity, error) {
	if h.keys == nil && i.Entry != "" {
		return i, &KeyStoreError{keystore.Absent}
	}
	if h.keys == nil || i.InFile || i.Key == "" {
		return i, nil
	}
	entry := entryOf(i.Key)
	b, err := json.Marshal(kept{i.Key, i.CodeSecret})
	if err != nil {
		return i, err
	}
	if err = h.keys.Set(entry, string(b)); err == nil {
		var back string
		if back, err = h.keys.Get(entry); err == nil && back != string(b) {
			err = &keystore.Error{Why: keystore.Silent}
		}
	}
	if e := new(keystore.Error); errors.As(err, &e) && e.Why == keystore.Absent && i.Entry == "" {
		i.InFile = true
		return i, nil
	}
	if err != nil {
		return i, keyStoreError(err)
	}
	i.Key, i.CodeSecret, i.Entry = "", nil, entry
	return i, nil
}

// MoveKeys moves the secrets of a home that was made before there was a key
// store into it. The caller holds the home's lock. Where the key store is
// locked or away the secrets stay where they are; another time will do.
func (h Home) MoveKeys() error {
	if h.keys == nil {
		return nil
	}
	var i, second Identity
	if err := h.Load(IdentityFile, &i); err != nil {
		return nil // what is wrong with it is told by whoever reads it
	}
	if h.Load(IdentityCopy, &second) != nil || i.InFile || i.Entry != "" && second.Entry == i.Entry {
		return nil
	}
	if err := h.unlocked(IdentityFile, &i); err != nil {
		return nil
	}
	moved, err := h.locked(i)
	if e := new(KeyStoreError); errors.As(err, &e) {
		return nil
	}
	if err != nil {
		return err
	}
	return h.saveBoth(moved)
}

// saveBoth writes an identity's file and its copy as they are.
func (h Home) saveBoth(i Identity) error {
	if err := h.Ours(IdentityFile, IdentityCopy); err != nil {
		return err
	}
	if err := h.Save(IdentityFile, i); err != nil {
		return err
	}
	return h.Save(IdentityCopy, i)
}

// Enrolment reads the enrolment, or its copy.
func (h Home) Enrolment(file string) (Identity, error) {
	var i Identity
	if err := h.Load(file, &i); err != nil {
		return i, err
	}
	if err := h.unlocked(file, &i); err != nil {
		return Identity{}, err
	}
	return i, nil
}
