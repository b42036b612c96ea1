package agent

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"readmit.dev/readmit/device"
	"readmit.dev/readmit/keystore"
)

// fakeStore is a key store in memory.
type fakeStore struct {
	entries map[string]string
	why     string // "" for open
	broken  bool   // keeps something else than it is given
	onSet   func()
}

func (f *fakeStore) Get(name string) (string, error) {
	if f.why != "" {
		return "", &keystore.Error{Why: f.why}
	}
	v, ok := f.entries[name]
	if !ok {
		return "", keystore.ErrNoEntry
	}
	return v, nil
}

func (f *fakeStore) Set(name, value string) error {
	if f.why != "" {
		return &keystore.Error{Why: f.why}
	}
	if f.onSet != nil {
		f.onSet()
	}
	if f.broken {
		value = value[:len(value)/2]
	}
	f.entries[name] = value
	return nil
}

func openStore() *fakeStore { return &fakeStore{entries: map[string]string{}} }

func enrolment(t *testing.T) Identity {
	t.Helper()
	k, err := device.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	i := identity
	i.Key = string(pem)
	return i
}

// secretFree sees that no file of a home has the key or the code secret.
func secretFree(t *testing.T, h Home, of Identity) {
	t.Helper()
	line := strings.Split(of.Key, "\n")[1]
	for _, name := range []string{IdentityFile, IdentityCopy} {
		b, err := os.ReadFile(h.Path(name))
		if err != nil || bytes.Contains(b, []byte(line)) || bytes.Contains(b, []byte("code_secret")) {
			t.Errorf("%s has a secret, or is not there: %v", name, err)
		}
	}
}

func TestSecretsAreInTheKeyStore(t *testing.T) {
	store, want := openStore(), enrolment(t)
	h := newHome(t).With(store)
	if err := h.SaveIdentity(want); err != nil {
		t.Fatal(err)
	}
	secretFree(t, h, want)
	for _, name := range []string{IdentityFile, IdentityCopy} {
		got, err := h.Enrolment(name)
		if want.Entry = got.Entry; err != nil || got.Entry == "" || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, why := range []string{keystore.Locked, keystore.Silent, keystore.Absent} {
		store.why = why
		e := new(KeyStoreError)
		if got, err := h.Identity(); !errors.As(err, &e) || e.Why != why || got.Key != "" {
			t.Errorf("%s: %+v, %v", why, got, err)
		}
		if err := h.SaveIdentity(want); !errors.As(err, &e) || e.Why != why {
			t.Errorf("%s: saved: %v", why, err)
		}
	}
	store.why = ""
	if got, err := h.Identity(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("open again: %+v, %v", got, err)
	}
	if _, err := h.With(openStore()).Identity(); problem(t, err) != Keyless {
		t.Errorf("copied to another machine: %v", err)
	}
	e := new(KeyStoreError)
	if _, err := h.With(nil).Identity(); !errors.As(err, &e) || e.Why != keystore.Absent {
		t.Errorf("without a key store: %v", err)
	}
	store.entries[want.Entry] = `{"key":"another"}`
	if _, err := h.Identity(); problem(t, err) != Keyless {
		t.Errorf("another key in its place: %v", err)
	}
}

// Two homes of one person do not meet in the key store.
func TestTwoHomesSideBySide(t *testing.T) {
	store := openStore()
	first, second := newHome(t).With(store), newHome(t).With(store)
	one, two := enrolment(t), enrolment(t)
	if err := errors.Join(first.SaveIdentity(one), second.SaveIdentity(two)); err != nil {
		t.Fatal(err)
	}
	got, err := first.Identity()
	if err != nil || got.Key != one.Key {
		t.Errorf("the first has another key, %v", err)
	}
	if got, err = second.Identity(); err != nil || got.Key != two.Key {
		t.Errorf("the second has another key, %v", err)
	}
}

func TestWithoutAKeyStore(t *testing.T) {
	store, want := &fakeStore{why: keystore.Absent}, enrolment(t)
	h := newHome(t).With(store)
	if err := h.SaveIdentity(want); err != nil {
		t.Fatal(err)
	}
	want.InFile = true
	if got, err := h.Identity(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	// A key store that comes later takes nothing away from those who cannot reach it.
	later := openStore()
	if err := h.With(later).MoveKeys(); err != nil || len(later.entries) > 0 {
		t.Errorf("moved: %v, %v", later.entries, err)
	}
}

// A key store that is locked when a key is made is not gone around.
func TestLockedAtEnrolment(t *testing.T) {
	h := newHome(t).With(&fakeStore{why: keystore.Locked})
	e := new(KeyStoreError)
	if err := h.SaveIdentity(enrolment(t)); !errors.As(err, &e) || e.Why != keystore.Locked {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(h.Path(IdentityFile)); !os.IsNotExist(err) {
		t.Errorf("a file was written: %v", err)
	}
}

// An older home's secrets move at the first use; until the key store has shown
// that it has them, they stay in the file.
func TestMoveKeys(t *testing.T) {
	want := enrolment(t)
	h := newHome(t)
	if err := h.SaveIdentity(want); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(h.Path(IdentityFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*fakeStore{"locked": {why: keystore.Locked}, "silent": {why: keystore.Silent}, "lying": {entries: map[string]string{}, broken: true}} {
		if err := h.With(s).MoveKeys(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after, err := os.ReadFile(h.Path(IdentityFile)); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: the file is another one, %v", name, err)
		}
	}
	store := openStore()
	store.onSet = func() {
		if after, err := os.ReadFile(h.Path(IdentityFile)); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the file changed before the key store had the key, %v", err)
		}
	}
	// Ended between the file and its copy: the next use moves the copy as well.
	if err := h.With(store).MoveKeys(); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteWhole(IdentityCopy, before); err != nil {
		t.Fatal(err)
	}
	store.onSet = nil
	for range 2 {
		if err := h.With(store).MoveKeys(); err != nil {
			t.Fatal(err)
		}
		secretFree(t, h, want)
		got, err := h.With(store).Identity()
		if want.Entry = got.Entry; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
