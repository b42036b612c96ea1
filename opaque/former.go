package opaque

import (
	"crypto/subtle"
)

// A former password: beside its second message, a server can offer what a
// client opens if what was typed is the password of a record that was replaced.
// Like the record of RFC 9807 it opens only under the randomized password, which
// takes the same evaluation and so the same counted guess; unlike it, it leads
// to no key that anything is done with. Only a client that has opened it says
// so: of any other password that was typed, nothing leaves the client.

// FormerSize is the length of an offer: a masking nonce, and under its pad the
// server's public key and the envelope.
const FormerSize = nonceSize + elementSize + envelopeSize

// Former makes the offer that goes with a ke1 and its ke2, and the proof of a
// client that has opened it. Without a record it is made of a stand-in that
// nobody can open; the work is the same. It returns ErrRecord for a record that
// is damaged.
func (s *Server) Former(record, ke1, ke2, credentialID []byte) (offer []byte, proof [KE3Size]byte, err error) {
	if len(record) != 0 && CheckRecord(record) != nil {
		return nil, proof, ErrRecord
	}
	picked := concat(make([]byte, elementSize), expand(s.seed, hashSize, credentialID, []byte("FormerStandIn")), make([]byte, envelopeSize))
	real := 1
	if len(record) == 0 {
		record, real = picked, 0
	}
	subtle.ConstantTimeCopy(real, picked, record)
	maskingKey, env := picked[elementSize:elementSize+hashSize], picked[elementSize+hashSize:]
	nonce := randomBytes(nonceSize)
	masked := expand(maskingKey, elementSize+envelopeSize, nonce, []byte("FormerPasswordPad"))
	subtle.XORBytes(masked, masked, concat(s.public, env))
	offer = concat(nonce, masked)
	return offer, formerProof(maskingKey, ke1, ke2, offer), nil
}

// formerProof binds the proof to the run.
func formerProof(maskingKey, ke1, ke2, offer []byte) [KE3Size]byte {
	return [KE3Size]byte(mac(expand(maskingKey, hashSize, []byte("FormerPasswordProof")), hash(ke1, ke2, offer)))
}

// Former is what a client sends in the place of KE3 when ke2 did not open under
// rp, the randomized password, and the offer does; false when that does not either.
func (l *Login) Former(ke2, offer, rp []byte) ([]byte, bool) {
	if len(offer) != FormerSize || len(ke2) != KE2Size {
		return nil, false
	}
	maskingKey := expand(rp, hashSize, []byte("MaskingKey"))
	plain := expand(maskingKey, elementSize+envelopeSize, offer[:nonceSize], []byte("FormerPasswordPad"))
	subtle.XORBytes(plain, plain, offer[nonceSize:])
	serverKey, nonce, tag := plain[:elementSize], plain[elementSize:elementSize+nonceSize], plain[elementSize+nonceSize:]
	e := openEnvelope(rp, nonce, serverKey, l.id)
	if subtle.ConstantTimeCompare(e.tag, tag) != 1 {
		return nil, false
	}
	proof := formerProof(maskingKey, l.ke1, ke2, offer)
	return proof[:], true
}
