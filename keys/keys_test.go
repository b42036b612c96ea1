package keys_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func open(t *testing.T, s store.Store, master []byte, c *clock) *keys.Ring {
	t.Helper()
	r, err := keys.Open(t.Context(), s, master, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seal(t *testing.T, r *keys.Ring, label, plain string) []byte {
	t.Helper()
	b, err := r.Seal(label, []byte(plain), 64)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// opens reports whether the ring opens what was sealed, and fails the test if
// it opens as something else or fails as something else than ErrSeal.
func opens(t *testing.T, r *keys.Ring, label string, sealed []byte, plain string) bool {
	t.Helper()
	b, err := r.Open(label, sealed)
	if err != nil {
		if !errors.Is(err, keys.ErrSeal) || b != nil {
			t.Fatalf("%q, %v", b, err)
		}
		return false
	}
	if string(bytes.TrimRight(b, "\x00")) != plain {
		t.Fatalf("opened as %q, want %q", b, plain)
	}
	return true
}

var (
	master  = bytes.Repeat([]byte{1}, 32)
	account = store.ID{1}
	phone   = store.ID{2}
)

func TestRingSurvivesARestart(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := openStore(t, dir)
	before := open(t, s, master, c)
	sealed := seal(t, before, "incident", "why")
	oprf, key := before.OPAQUE()
	if oprf == [64]byte{} || key == [64]byte{} || oprf == key {
		t.Error("the OPAQUE seeds are not random")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	c.at = c.at.Add(time.Hour)
	after := open(t, openStore(t, dir), master, c)
	if o, k := after.OPAQUE(); o != oprf || k != key {
		t.Error("the OPAQUE seeds have changed: no account can sign in")
	}
	if after.Lookup("jane@example.org") != before.Lookup("jane@example.org") {
		t.Error("the lookup key has changed: no account is found")
	}
	if !bytes.Equal(after.Code(), before.Code()) || !bytes.Equal(after.CodeSecret(account, phone, c.at), before.CodeSecret(account, phone, c.at)) {
		t.Error("the code key has changed")
	}
	if !opens(t, after, "incident", sealed, "why") {
		t.Error("what was sealed before does not open")
	}
	if a, b := before.Signing(), after.Signing(); len(a) != 1 || len(b) != 1 || a[0].ID != b[0].ID || !a[0].Key.Equal(b[0].Key) {
		t.Error("the signing key has changed")
	}
}

func TestAnotherMasterKey(t *testing.T) {
	other := bytes.Repeat([]byte{2}, 32)
	// Also when the keys are due to rotate: what is then made must not be
	// sealed under a key that does not belong here.
	for _, later := range []time.Duration{time.Hour, keys.RotateAfter, keys.RotateAfter + keys.OpenFor} {
		c := newClock()
		s := openStore(t, t.TempDir())
		sealed := seal(t, open(t, s, master, c), "incident", "why")
		c.at = c.at.Add(later)
		_, err := keys.Open(t.Context(), s, other, c.now)
		if err == nil || !strings.Contains(err.Error(), "master key") {
			t.Errorf("%s later: %v", later, err)
		}
		if !opens(t, open(t, s, master, c), "incident", sealed, "why") {
			t.Errorf("%s later: the right master key opens no more what it sealed", later)
		}
	}
	if _, err := keys.Open(t.Context(), openStore(t, t.TempDir()), []byte("short"), newClock().now); err == nil {
		t.Error("a master key of five bytes was taken")
	}
}

// One database made twice has nothing in common.
func TestTwoServersShareNothing(t *testing.T) {
	c := newClock()
	a, b := open(t, openStore(t, t.TempDir()), master, c), open(t, openStore(t, t.TempDir()), master, c)
	if opens(t, b, "incident", seal(t, a, "incident", "why"), "why") {
		t.Error("one server opens what the other sealed")
	}
	ao, ak := a.OPAQUE()
	bo, bk := b.OPAQUE()
	if ao == bo || ak == bk || a.Lookup("jane@example.org") == b.Lookup("jane@example.org") || bytes.Equal(a.Code(), b.Code()) ||
		a.Signing()[0].Key.Equal(b.Signing()[0].Key) {
		t.Error("two servers have a key in common")
	}
}

func TestRotation(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir())
	r := open(t, s, master, c)
	rotate := func() {
		t.Helper()
		if err := r.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	oprf, key := r.OPAQUE()
	lookup, code := r.Lookup("jane@example.org"), r.Code()
	first := r.Signing()[0].ID
	old := seal(t, r, "incident", "old")

	c.at = c.at.Add(keys.RotateAfter - time.Second)
	rotate()
	if again := seal(t, r, "incident", "again"); !bytes.Equal(again[:4], old[:4]) || len(r.Signing()) != 1 {
		t.Error("rotated before its time")
	}
	c.at = c.at.Add(time.Second)
	rotate()
	retired := c.at
	newer := seal(t, r, "incident", "new")
	if bytes.Equal(newer[:4], old[:4]) {
		t.Error("sealed with the old key after the rotation")
	}
	if got := r.Signing(); len(got) != 2 || got[0].ID != first || got[1].ID == first {
		t.Errorf("%d signing keys, want the old one and then the new", len(got))
	}

	c.at = retired.Add(keys.PublishedFor)
	rotate()
	if len(r.Signing()) != 2 {
		t.Error("the old signing key went before its time")
	}
	c.at = c.at.Add(time.Second)
	rotate()
	if got := r.Signing(); len(got) != 1 || got[0].ID == first {
		t.Error("the old signing key is published still")
	}

	c.at = retired.Add(keys.OpenFor)
	rotate()
	// The second key is due by now: three generations live side by side.
	newest := seal(t, r, "incident", "newest")
	if !opens(t, r, "incident", old, "old") || !opens(t, r, "incident", newer, "new") || !opens(t, r, "incident", newest, "newest") {
		t.Error("what was sealed in the last 31 days does not open")
	}
	c.at = c.at.Add(time.Second)
	rotate()
	if opens(t, r, "incident", old, "old") {
		t.Error("the key is kept for longer than anything it sealed is good")
	}
	if !opens(t, r, "incident", newer, "new") || !opens(t, r, "incident", newest, "newest") {
		t.Error("another key has gone with it")
	}
	if again := open(t, s, master, c); opens(t, again, "incident", old, "old") || !opens(t, again, "incident", newer, "new") {
		t.Error("a restart finds other keys")
	}
	if o, k := r.OPAQUE(); o != oprf || k != key || r.Lookup("jane@example.org") != lookup || !bytes.Equal(r.Code(), code) {
		t.Error("a key that identifies accounts has rotated")
	}
}

func TestSeal(t *testing.T) {
	r := open(t, openStore(t, t.TempDir()), master, newClock())
	sealed := seal(t, r, "incident", "why")
	if opens(t, r, "attempt", sealed, "why") || opens(t, r, "", sealed, "why") {
		t.Error("what was sealed for one use opens for another")
	}
	if again := seal(t, r, "incident", "why"); bytes.Equal(again, sealed) {
		t.Error("the same text is sealed the same way twice")
	}
	if bytes.Contains(sealed, []byte("why")) {
		t.Error("the text is in what was sealed")
	}
	for _, n := range []int{0, 1, 63, 64} {
		b, err := r.Seal("incident", make([]byte, n), 64)
		if err != nil || len(b) != len(sealed) {
			t.Errorf("%d bytes are sealed into %d, %v; want %d", n, len(b), err, len(sealed))
		}
	}
	if b, err := r.Seal("incident", []byte(strings.Repeat("secret", 11)), 64); err == nil || b != nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("66 bytes fit into 64: %v", err)
	}
	for i := range sealed {
		b := bytes.Clone(sealed)
		b[i] ^= 1
		if opens(t, r, "incident", b, "why") {
			t.Errorf("opens with byte %d changed", i)
		}
		if opens(t, r, "incident", sealed[:i], "why") {
			t.Errorf("opens when cut to %d bytes", i)
		}
	}
	if opens(t, r, "incident", append(bytes.Clone(sealed), 0), "why") || opens(t, r, "incident", nil, "") {
		t.Error("opens with a byte more, or none")
	}
}

func TestCodeSecretsAreEachDevicesOwn(t *testing.T) {
	c := newClock()
	r := open(t, openStore(t, t.TempDir()), master, c)
	secret := r.CodeSecret(account, phone, c.at)
	if len(secret) != 32 || !bytes.Equal(secret, r.CodeSecret(account, phone, c.at.In(time.FixedZone("", 3600)))) {
		t.Error("the same device has another secret")
	}
	for name, other := range map[string][]byte{
		"account":   r.CodeSecret(store.ID{9}, phone, c.at),
		"device":    r.CodeSecret(account, store.ID{9}, c.at),
		"enrolment": r.CodeSecret(account, phone, c.at.Add(time.Second)),
		"swapped":   r.CodeSecret(phone, account, c.at),
	} {
		if bytes.Equal(secret, other) {
			t.Errorf("another %s has the same secret", name)
		}
	}
	if r.Lookup("jane@example.org") == r.Lookup("jnae@example.org") {
		t.Error("two identifiers have one key")
	}
}

// A copy of the database alone opens nothing: no key stands in it in clear.
func TestDatabaseHoldsNoKeyInClear(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	r := open(t, s, master, newClock())
	oprf, key := r.OPAQUE()
	private, err := r.Signing()[0].Key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range [][]byte{oprf[:], key[:], r.Code(), private, master} {
			if bytes.Contains(b, secret) {
				t.Errorf("%s holds a key in clear", f.Name())
			}
		}
	}
}

func TestStoreFails(t *testing.T) {
	c := newClock()
	s := openStore(t, t.TempDir())
	r := open(t, s, master, c)
	sealed := seal(t, r, "incident", "why")
	s.Close()
	c.at = c.at.Add(keys.RotateAfter)
	if err := r.Rotate(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("rotates without a store: %v", err)
	}
	if !opens(t, r, "incident", sealed, "why") || len(r.Signing()) != 1 {
		t.Error("a rotation that failed has cost the keys in use")
	}
	if _, err := keys.Open(context.Background(), s, master, c.now); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("opens without a store: %v", err)
	}
}

// TestMasterThatCannotBe: where the key can be neither read nor made, the error
// says what to do.
func TestMasterThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "master.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "away")} {
		if _, err := keys.Master(d); err == nil || !strings.Contains(err.Error(), d) || !strings.Contains(err.Error(), "--data") {
			t.Errorf("%s: %v does not say what to do", d, err)
		}
	}
}

func TestMaster(t *testing.T) {
	dir := t.TempDir()
	made, err := keys.Master(dir)
	if err != nil || len(made) != 32 || bytes.Equal(made, make([]byte, 32)) {
		t.Fatalf("%d bytes, %v", len(made), err)
	}
	path := filepath.Join(dir, "master.key")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the master key can be read by others: %s", info.Mode())
	}
	database := filepath.Join(dir, "readmit.db")
	for _, lost := range []func() error{func() error { return nil }, func() error { return os.WriteFile(database, nil, 0o600) }} {
		if err := lost(); err != nil {
			t.Fatal(err)
		}
		if b, err := keys.Master(dir); err == nil || b != nil || !strings.Contains(err.Error(), database) || !strings.Contains(err.Error(), "backup") {
			t.Errorf("a key whose database was lost is taken for a new one's: %v", err)
		}
	}
	if err := os.WriteFile(database, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := keys.Master(dir); err != nil || !bytes.Equal(again, made) {
		t.Errorf("read anew it is another, %v", err)
	}

	for _, damaged := range [][]byte{{}, made[:31], append(bytes.Clone(made), '\n')} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := keys.Master(dir)
		if err == nil || b != nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), string(made[:16])) {
			t.Errorf("%d bytes: %v", len(damaged), err)
		}
		if left, _ := os.ReadFile(path); !bytes.Equal(left, damaged) {
			t.Error("a damaged key was overwritten")
		}
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Master(dir); err == nil || !strings.Contains(err.Error(), "put back") {
		t.Errorf("beside a database: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a new master key was made beside a database that it does not open")
	}
	if _, err := keys.Master(filepath.Join(dir, "none")); err == nil {
		t.Error("made in a folder that is not there")
	}
}
