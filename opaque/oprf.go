package opaque

import "crypto/sha512"

// The OPRF of RFC 9497, mode OPRF (0x00), suite ristretto255-SHA512.

const oprfContext = "OPRFV1-\x00-ristretto255-SHA512"

// expandMessage is expand_message_xmd (RFC 9380 §5.3.1) with SHA-512 to 64
// bytes: one block.
func expandMessage(msg []byte, dst string) []byte {
	dstPrime := append([]byte(dst), byte(len(dst)))
	b0 := hash(make([]byte, sha512.BlockSize), msg, []byte{0, 64, 0}, dstPrime)
	return hash(b0, []byte{1}, dstPrime)
}

func hashToGroup(msg []byte) *element {
	return uniformElement(expandMessage(msg, "HashToGroup-"+oprfContext))
}

func hashToScalar(msg []byte, dst string) *number {
	return uniformNumber(expandMessage(msg, dst))
}

// deriveScalar is the private half of DeriveKeyPair (RFC 9497 §3.2.1).
func deriveScalar(seed []byte, info string) *number {
	input := concat(seed, prefixed([]byte(info)))
	for counter := range 256 {
		s := hashToScalar(append(input, byte(counter)), "DeriveKeyPair"+oprfContext)
		if !s.zero() {
			return s
		}
	}
	panic("opaque: 256 zero scalars in a row") // a chance of 2^-64000
}

// deriveDH is DeriveDiffieHellmanKeyPair (RFC 9807 §2.1).
func deriveDH(seed []byte) (*number, []byte) {
	s := deriveScalar(seed, "OPAQUE-DeriveDiffieHellmanKeyPair")
	return s, multBase(s).bytes()
}

// blindElement is Blind (RFC 9497 §3.3.1).
func blindElement(password []byte, blind *number) ([]byte, error) {
	p := hashToGroup(password)
	if p.identity() {
		return nil, ErrMalformed
	}
	return mult(blind, p).bytes(), nil
}

// finalize is Finalize (RFC 9497 §3.3.1).
func finalize(password []byte, blind *number, evaluated *element) []byte {
	n := mult(blind.inverse(), evaluated)
	return hash(prefixed(password), prefixed(n.bytes()), []byte("Finalize"))
}

// oprfKey is the account's key (RFC 9807 §5.2.2).
func oprfKey(seed, credentialID []byte) *number {
	return deriveScalar(expand(seed, 32, credentialID, []byte("OprfKey")), "OPAQUE-DeriveKeyPair")
}
