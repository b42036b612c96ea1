// Package virtual is a browser with an authenticator, in software, for tests
// and faults: ES256, and credentials that it finds by itself. What one sets of
// it, it does wrong.
package virtual

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Authenticator answers the options of a server.
type Authenticator struct {
	Origin     string // of the page that asks
	Party      string // whom it signs for; the options' where it is empty
	Unverified bool   // does not ask its owner
	Mistaken   bool   // signs for the other purpose: to add for to sign in
	Constant   bool   // does not count
	Kept       []*Credential
}

// Credential is one that it keeps.
type Credential struct {
	ID    []byte
	User  []byte
	Key   *ecdsa.PrivateKey
	Count uint32
}

// Clone is a copy of it and of all it keeps.
func (a *Authenticator) Clone() *Authenticator {
	c := *a
	c.Kept = nil
	for _, k := range a.Kept {
		n := *k
		c.Kept = append(c.Kept, &n)
	}
	return &c
}

// Options is what it reads of a server's options.
type Options struct {
	Challenge string
	User      struct{ ID string }
	RP        struct{ ID string }
	RPID      string
}

var encoding = base64.RawURLEncoding

// Create answers options to make a credential.
func (a *Authenticator) Create(options []byte) (json.RawMessage, error) {
	var o Options
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	user, err := encoding.DecodeString(o.User.ID)
	if err != nil {
		return nil, err
	}
	k := &Credential{ID: make([]byte, 32), User: user}
	rand.Read(k.ID)
	if k.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	a.Kept = append(a.Kept, k)
	return a.Attest(options, k)
}

// Attest answers options to make a credential with one that is there.
func (a *Authenticator) Attest(options []byte, k *Credential) (json.RawMessage, error) {
	var o Options
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	point, err := k.Key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	key, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
	})
	if err != nil {
		return nil, err
	}
	attested := binary.BigEndian.AppendUint16(make([]byte, 16), uint16(len(k.ID))) // after an AAGUID of zeros
	attested = append(append(attested, k.ID...), key...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": a.data(k, o.RP.ID, attested)})
	if err != nil {
		return nil, err
	}
	said, err := a.said("webauthn.create", o.Challenge)
	if err != nil {
		return nil, err
	}
	return answer(k, map[string]any{
		"clientDataJSON": encoding.EncodeToString(said), "attestationObject": encoding.EncodeToString(object), "transports": []string{"internal"},
	})
}

// Get answers options to sign, with the credential made last.
func (a *Authenticator) Get(options []byte) (json.RawMessage, error) {
	if len(a.Kept) == 0 {
		return nil, errors.New("the authenticator keeps no credential")
	}
	return a.GetWith(options, a.Kept[len(a.Kept)-1])
}

// GetWith answers them with one of its credentials.
func (a *Authenticator) GetWith(options []byte, k *Credential) (json.RawMessage, error) {
	var o Options
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	said, err := a.said("webauthn.get", o.Challenge)
	if err != nil {
		return nil, err
	}
	data := a.data(k, o.RPID, nil)
	hash := sha256.Sum256(said)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.Key, digest[:])
	if err != nil {
		return nil, err
	}
	return answer(k, map[string]any{
		"clientDataJSON": encoding.EncodeToString(said), "authenticatorData": encoding.EncodeToString(data),
		"signature": encoding.EncodeToString(signature), "userHandle": encoding.EncodeToString(k.User),
	})
}

func (a *Authenticator) said(kind, challenge string) ([]byte, error) {
	if a.Mistaken {
		kind = map[string]string{"webauthn.get": "webauthn.create", "webauthn.create": "webauthn.get"}[kind]
	}
	return json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
}

// data is the authenticator data (W3C Web Authentication §6.1).
func (a *Authenticator) data(k *Credential, party string, attested []byte) []byte {
	if a.Party != "" {
		party = a.Party
	}
	const present, verified, attests = 0x01, 0x04, 0x40
	flags := byte(present)
	if !a.Unverified {
		flags |= verified
	}
	if attested != nil {
		flags |= attests
	}
	if !a.Constant {
		k.Count++
	}
	id := sha256.Sum256([]byte(party))
	return append(binary.BigEndian.AppendUint32(append(id[:], flags), k.Count), attested...)
}

// answer reports an extension that nobody asked for, as password managers do.
func answer(k *Credential, response map[string]any) (json.RawMessage, error) {
	id := encoding.EncodeToString(k.ID)
	return json.Marshal(map[string]any{
		"id": id, "rawId": id, "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}, "response": response,
	})
}
