// Package keys holds the account server's own keys.
//
// The rules it keeps:
//
//   - Keys live in the store, each sealed under the master key; the master key
//     lives in a file of its own (0600), so that a copy of the database alone
//     opens nothing.
//   - What identifies accounts (the OPRF seed, the server's OPAQUE key, the
//     lookup, code and recovery keys) never changes. What signs and what seals rotates:
//     a new one is made, the old one opens and verifies until nothing it made
//     can still be valid, and is then deleted.
//   - Ring is safe for concurrent use; a rotation swaps one immutable set.
package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"readmit.dev/readmit/store"
)

// How long keys serve. A sealing key opens incidents for OpenFor after it was
// retired; a signing key is published for an hour more, twelve times the life
// of the last token it signed.
const (
	RotateAfter  = 30 * 24 * time.Hour
	OpenFor      = 31 * 24 * time.Hour
	PublishedFor = time.Hour
	// SettleFor is how long a new key only opens and verifies, before it seals
	// and signs: in that time every node has read of it.
	SettleFor = 30 * time.Second
)

const (
	purposeOPRF    = "oprf-seed"
	purposeOPAQUE  = "opaque-key"
	purposeLookup  = "lookup"
	purposeCode    = "code"
	purposeRecover = "recovery"
	purposeSealing = "sealing"
	purposeSigning = "signing"
	purposeSignals = "signals"
)

// ErrSeal: not sealed by this server, for this use, or by a key that is gone.
var ErrSeal = errors.New("cannot be opened")

// Signing is one key that signs access tokens.
type Signing struct {
	ID  string
	Key *ecdsa.PrivateKey
}

// SignalKey is one key that signs Security Event Tokens: RSA, since the CAEP
// interoperability profile asks receivers for RS256 alone.
type SignalKey struct {
	ID  string
	Key *rsa.PrivateKey
}

type set struct {
	oprf    [64]byte
	opaque  [64]byte // seed of the server's OPAQUE key pair
	lookup  []byte
	code    []byte
	recover []byte
	sealing []sealing   // the one to use last
	signing []Signing   // the one to use last
	signals []SignalKey // the one to use last; none while no service was ever added
	rows    []store.SealedKey
	until   time.Time // when another one is to be used; zero for none
}

type sealing struct {
	id   [4]byte
	aead cipher.AEAD
}

// Ring gives the keys of the moment.
type Ring struct {
	store  store.Store
	master cipher.AEAD
	now    func() time.Time
	settle time.Duration // see SettleFor; zero for a server alone
	set    atomic.Pointer[set]
}

// Master reads the master key from the data folder, or makes it there, where
// there is no database either: each of the two is of no use without the other.
func Master(dir string) ([]byte, error) {
	path, database := filepath.Join(dir, "master.key"), filepath.Join(dir, "readmit.db")
	there, err := os.Stat(database)
	empty := errors.Is(err, fs.ErrNotExist) || err == nil && there.Size() == 0
	b, err := os.ReadFile(path)
	switch {
	case err == nil && len(b) == 32 && empty:
		// To begin anew here would make every account unknown without a word.
		return nil, fmt.Errorf("%s is there and the database it belongs to is missing or empty: put a backup of %s in its place, or, if no account was ever made here, remove both and start again", path, database)
	case err == nil && len(b) == 32:
		return b, nil
	case err == nil:
		return nil, fmt.Errorf("%s is damaged (%d bytes, want 32): put back the copy that belongs to this data folder", path, len(b))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: see that it is a file that this user can read, or choose another data folder with --data", err)
	}
	if !empty {
		return nil, fmt.Errorf("%s is missing, and without it the database beside it cannot be read: put back the copy that belongs to this data folder", path)
	}
	b = make([]byte, 32)
	rand.Read(b)
	if err := writeOnce(path, b); err != nil {
		return nil, fmt.Errorf("%w: choose another data folder with --data, or make it writable", err)
	}
	return b, nil
}

func writeOnce(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		defer d.Close()
		d.Sync() // some systems cannot sync a folder
	}
	return nil
}

// MasterFile reads the master key of nodes, which share no data folder, from a
// file of its own.
func MasterFile(path string) ([]byte, error) {
	if path == "" {
		return nil, errors.New("nodes on one store need one master key: make it once with: readmit admin key new FILE, copy the file to every node, and name it in the configuration as master_key")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("master_key %s is missing: copy it from another node, or, for a store without accounts, make it with: readmit admin key new %s", path, path)
	}
	if err != nil {
		return nil, fmt.Errorf("master_key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("master_key %s can be read by others: chmod 600 %s", path, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master_key: %w", err)
	}
	if len(b) != 32 {
		return nil, fmt.Errorf("master_key %s is damaged (%d bytes, want 32): copy it again from another node", path, len(b))
	}
	return b, nil
}

// NewMasterFile makes a master key in a file that is not there yet.
func NewMasterFile(path string) error {
	b := make([]byte, 32)
	rand.Read(b)
	return writeOnce(path, b)
}

// Open reads the keys, makes those that are missing and rotates those whose
// time has come.
func Open(ctx context.Context, s store.Store, master []byte, now func() time.Time) (*Ring, error) {
	aead, err := newAEAD(master)
	if err != nil {
		return nil, err
	}
	r := &Ring{store: s, master: aead, now: now}
	return r, r.Rotate(ctx)
}

// OpenShared is Open for one of several nodes, which calls Refresh every second.
func OpenShared(ctx context.Context, s store.Store, master []byte, now func() time.Time) (*Ring, error) {
	aead, err := newAEAD(master)
	if err != nil {
		return nil, err
	}
	r := &Ring{store: s, master: aead, now: now, settle: SettleFor}
	return r, r.Rotate(ctx)
}

// Refresh reads what keys another node has made or taken away.
func (r *Ring) Refresh(ctx context.Context) error {
	var rows []store.SealedKey
	if err := r.store.View(ctx, func(tx store.Tx) (err error) { rows, err = tx.Keys(); return }); err != nil {
		return err
	}
	now := r.set.Load()
	same := func(a, b store.SealedKey) bool { return a.ID == b.ID && a.Retired.Equal(b.Retired) }
	if slices.EqualFunc(rows, now.rows, same) && (now.until.IsZero() || r.now().Before(now.until)) {
		return nil
	}
	s, err := r.unseal(rows)
	if err != nil {
		return err
	}
	r.set.Store(s)
	return nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Opens reports whether a master key is the one of a store; it changes nothing.
func Opens(ctx context.Context, s store.Store, master []byte) error {
	aead, err := newAEAD(master)
	if err != nil {
		return err
	}
	return s.View(ctx, func(tx store.Tx) error {
		rows, err := tx.Keys()
		if err == nil {
			_, err = (&Ring{master: aead}).unseal(rows)
		}
		return err
	})
}

// Rotate makes what is missing or old, and deletes what is past use. It is
// called at start and every hour.
func (r *Ring) Rotate(ctx context.Context) error {
	now := r.now()
	var rows []store.SealedKey
	if err := r.store.View(ctx, func(tx store.Tx) (err error) { rows, err = tx.Keys(); return }); err != nil {
		return err
	}
	if r.stale(rows, now) {
		err := r.store.Update(ctx, func(tx store.Tx) (err error) {
			if rows, err = tx.Keys(); err != nil {
				return err
			}
			// Under a master key that opens nothing here, nothing may be made.
			if _, err = r.unseal(rows); err != nil {
				return err
			}
			if rows, err = r.renew(tx, rows, now); err != nil {
				return err
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	s, err := r.unseal(rows)
	if err != nil {
		return err
	}
	r.set.Store(s)
	return nil
}

type use struct {
	purpose string
	rotates bool
	keep    time.Duration
	make    func() ([]byte, error)
	asked   bool // made when it is first asked for: it takes long, and many need none
}

var uses = []use{
	{purposeOPRF, false, 0, randomBytes(64), false},
	{purposeOPAQUE, false, 0, randomBytes(64), false},
	{purposeLookup, false, 0, randomBytes(32), false},
	{purposeCode, false, 0, randomBytes(32), false},
	{purposeRecover, false, 0, randomBytes(32), false},
	{purposeSealing, true, OpenFor, randomBytes(32), false},
	{purposeSigning, true, PublishedFor, func() ([]byte, error) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKCS8PrivateKey(k)
	}, false},
	{purposeSignals, true, PublishedFor, func() ([]byte, error) {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKCS8PrivateKey(k)
	}, true},
}

func randomBytes(n int) func() ([]byte, error) {
	return func() ([]byte, error) {
		b := make([]byte, n)
		rand.Read(b)
		return b, nil
	}
}

func (r *Ring) stale(rows []store.SealedKey, now time.Time) bool {
	for _, u := range uses {
		current := u.asked && !has(rows, u.purpose)
		for _, k := range rows {
			if k.Purpose != u.purpose {
				continue
			}
			if k.Retired.IsZero() {
				current = !u.rotates || now.Sub(k.Created) < RotateAfter
			} else if now.Sub(k.Retired) > u.keep {
				return true
			}
		}
		if !current {
			return true
		}
	}
	return false
}

func (r *Ring) renew(tx store.Tx, rows []store.SealedKey, now time.Time) ([]store.SealedKey, error) {
	var kept []store.SealedKey
	for _, u := range uses {
		current := u.asked && !has(rows, u.purpose)
		for _, k := range rows {
			if k.Purpose != u.purpose {
				continue
			}
			switch {
			case k.Retired.IsZero() && u.rotates && now.Sub(k.Created) >= RotateAfter:
				k.Retired = now
				if err := tx.SaveKey(k); err != nil {
					return nil, err
				}
			case k.Retired.IsZero():
				current = true
			case now.Sub(k.Retired) > u.keep:
				if err := tx.DropKey(k.ID); err != nil {
					return nil, err
				}
				continue
			}
			kept = append(kept, k)
		}
		if current {
			continue
		}
		plain, err := u.make()
		if err != nil {
			return nil, err
		}
		k, err := r.add(tx, u.purpose, plain, now)
		if err != nil {
			return nil, err
		}
		kept = append(kept, k)
	}
	return kept, nil
}

func (r *Ring) add(tx store.Tx, purpose string, plain []byte, now time.Time) (store.SealedKey, error) {
	id := make([]byte, 4)
	rand.Read(id)
	k := store.SealedKey{ID: hex.EncodeToString(id), Purpose: purpose, Created: now}
	k.Sealed = r.master.Seal(nil, nil, plain, []byte(k.Purpose+k.ID))
	return k, tx.AddKey(k)
}

func has(rows []store.SealedKey, purpose string) bool {
	return slices.ContainsFunc(rows, func(k store.SealedKey) bool { return k.Purpose == purpose })
}

// NeedSignals makes the key that signs signals, where there is none yet.
func (r *Ring) NeedSignals(ctx context.Context) error {
	if len(r.Signals()) > 0 {
		return nil
	}
	plain, err := uses[len(uses)-1].make() // before the transaction, which others wait for
	if err != nil {
		return err
	}
	err = r.store.Update(ctx, func(tx store.Tx) error {
		rows, err := tx.Keys()
		if err != nil || has(rows, purposeSignals) {
			return err
		}
		_, err = r.add(tx, purposeSignals, plain, r.now())
		return err
	})
	if err != nil {
		return err
	}
	return r.Refresh(ctx)
}

func (r *Ring) unseal(rows []store.SealedKey) (*set, error) {
	s := &set{rows: rows}
	for _, k := range r.settled(rows, s) {
		plain, err := r.master.Open(nil, nil, k.Sealed, []byte(k.Purpose+k.ID))
		if err != nil {
			return nil, fmt.Errorf("the master key does not open the database's keys: the two do not belong together (key %s): put back the master key that was made with this database, or a backup of the database that was made with this key", k.ID)
		}
		switch k.Purpose {
		case purposeOPRF:
			copy(s.oprf[:], plain)
		case purposeOPAQUE:
			copy(s.opaque[:], plain)
		case purposeLookup:
			s.lookup = plain
		case purposeCode:
			s.code = plain
		case purposeRecover:
			s.recover = plain
		case purposeSealing:
			aead, err := newAEAD(plain)
			if err != nil {
				return nil, err
			}
			sk := sealing{aead: aead}
			if _, err := hex.Decode(sk.id[:], []byte(k.ID)); err != nil {
				return nil, err
			}
			s.sealing = append(s.sealing, sk)
		case purposeSigning:
			key, err := x509.ParsePKCS8PrivateKey(plain)
			if err != nil {
				return nil, err
			}
			s.signing = append(s.signing, Signing{k.ID, key.(*ecdsa.PrivateKey)})
		case purposeSignals:
			key, err := x509.ParsePKCS8PrivateKey(plain)
			if err != nil {
				return nil, err
			}
			s.signals = append(s.signals, SignalKey{k.ID, key.(*rsa.PrivateKey)})
		}
	}
	return s, nil
}

// settled puts a key that is too new to be used before the one it follows.
func (r *Ring) settled(rows []store.SealedKey, s *set) []store.SealedKey {
	rows = slices.Clone(rows)
	for i := 1; r.settle > 0 && i < len(rows); i++ {
		ready := rows[i].Created.Add(r.settle)
		if !ready.After(r.now()) {
			continue
		}
		for j := i - 1; j >= 0; j-- {
			if rows[j].Purpose == rows[i].Purpose {
				rows[i], rows[j] = rows[j], rows[i]
				if s.until.IsZero() || ready.Before(s.until) {
					s.until = ready
				}
				break
			}
		}
	}
	return rows
}

// Nonce is the key of the nonces that nodes issue for one another.
func (r *Ring) Nonce() [32]byte { return mac(r.set.Load().code, "nonce", nil) }

// OPAQUE returns the OPRF seed and the seed of the server's key pair.
func (r *Ring) OPAQUE() (oprf, key [64]byte) {
	s := r.set.Load()
	return s.oprf, s.opaque
}

// Lookup is the key under which a normalised identifier is stored: without
// this server's lookup key, nobody can tell which identifiers a copy of the
// table's keys belongs to.
func (r *Ring) Lookup(identifier string) store.Key {
	return store.Key(mac(r.set.Load().lookup, "identifier", []byte(identifier)))
}

// Code is the key from which the codes of attempts are made.
func (r *Ring) Code() []byte { return r.set.Load().code }

// CodeSecret is what one enrolled device makes its offline codes from. It is
// derived, never stored; enrolled is the moment of enrolment, so that a key
// enrolled anew has a new secret.
func (r *Ring) CodeSecret(account, device store.ID, enrolled time.Time) []byte {
	b := append(append([]byte{}, account[:]...), device[:]...)
	b = enrolled.UTC().AppendFormat(b, time.RFC3339)
	m := mac(r.set.Load().code, "offline", b)
	return m[:]
}

// Recovery makes and judges what people get back in with: without this server's
// key, a copy of the hashes of recovery codes cannot be searched.
func (r *Ring) Recovery(label string, data []byte) [32]byte {
	return mac(r.set.Load().recover, label, data)
}

func mac(key []byte, label string, data []byte) [32]byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	h.Write([]byte{0})
	h.Write(data)
	return [32]byte(h.Sum(nil))
}

// Signing returns the keys that sign access tokens, the one to use last.
func (r *Ring) Signing() []Signing { return r.set.Load().signing }

// Signals returns the keys that sign signals, the one to use last; none while
// nobody has asked for one.
func (r *Ring) Signals() []SignalKey { return r.set.Load().signals }

// PushToken is what this server shows to a service that it sends signals to.
// It is derived, so that no copy of the store gives it away.
func (r *Ring) PushToken(service store.ID) string {
	m := mac(r.set.Load().recover, "push", service[:])
	return "rmp_" + base64.RawURLEncoding.EncodeToString(m[:])
}

// Seal encrypts for this server alone. The label says what for: what was
// sealed for one use does not open for another. Plaintexts are padded with
// zeros to size, so that the length tells nothing; longer ones are refused.
func (r *Ring) Seal(label string, plain []byte, size int) ([]byte, error) {
	if len(plain) > size {
		return nil, fmt.Errorf("%d bytes to seal for %s, %d at most", len(plain), label, size)
	}
	s := r.set.Load().sealing
	k := s[len(s)-1]
	padded := make([]byte, size)
	copy(padded, plain)
	out := make([]byte, 4, 4+28+size)
	copy(out, k.id[:])
	return k.aead.Seal(out, nil, padded, []byte(label)), nil
}

// Open undoes Seal; the padding stays. It returns ErrSeal.
func (r *Ring) Open(label string, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 {
		return nil, ErrSeal
	}
	for _, k := range r.set.Load().sealing {
		if k.id != [4]byte(sealed[:4]) {
			continue
		}
		plain, err := k.aead.Open(nil, nil, sealed[4:], []byte(label))
		if err != nil {
			return nil, ErrSeal
		}
		return plain, nil
	}
	return nil, ErrSeal
}
