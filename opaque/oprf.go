package opaque

import (
	"crypto/sha512"

	"github.com/gtank/ristretto255"
)

// The OPRF of RFC 9497, mode OPRF (0x00), suite ristretto255-SHA512.

const oprfContext = "OPRFV1-\x00-ristretto255-SHA512"

// expandMessage is expand_message_xmd (RFC 9380 §5.3.1) with SHA-512 to 64
// bytes: one block.
func expandMessage(msg []byte, dst string) []byte {
	dstPrime := append([]byte(dst), byte(len(dst)))
	b0 := hash(make([]byte, sha512.BlockSize), msg, []byte{0, 64, 0}, dstPrime)
	return hash(b0, []byte{1}, dstPrime)
}

func hashToGroup(msg []byte) *ristretto255.Element {
	e, err := ristretto255.NewIdentityElement().SetUniformBytes(expandMessage(msg, "HashToGroup-"+oprfContext))
	if err != nil {
		panic(err) // 64 bytes always fit
	}
	return e
}

func hashToScalar(msg []byte, dst string) *ristretto255.Scalar {
	s, err := ristretto255.NewScalar().SetUniformBytes(expandMessage(msg, dst))
	if err != nil {
		panic(err)
	}
	return s
}

// deriveScalar is the private half of DeriveKeyPair (RFC 9497 §3.2.1).
func deriveScalar(seed []byte, info string) *ristretto255.Scalar {
	input := concat(seed, prefixed([]byte(info)))
	zero := ristretto255.NewScalar()
	for counter := range 256 {
		s := hashToScalar(append(input, byte(counter)), "DeriveKeyPair"+oprfContext)
		if s.Equal(zero) == 0 {
			return s
		}
	}
	panic("opaque: 256 zero scalars in a row") // a chance of 2^-64000
}

// deriveDH is DeriveDiffieHellmanKeyPair (RFC 9807 §2.1).
func deriveDH(seed []byte) (*ristretto255.Scalar, []byte) {
	s := deriveScalar(seed, "OPAQUE-DeriveDiffieHellmanKeyPair")
	return s, ristretto255.NewIdentityElement().ScalarBaseMult(s).Bytes()
}

// blindElement is Blind (RFC 9497 §3.3.1).
func blindElement(password []byte, blind *ristretto255.Scalar) ([]byte, error) {
	p := hashToGroup(password)
	if p.Equal(ristretto255.NewIdentityElement()) == 1 {
		return nil, ErrMalformed
	}
	return p.ScalarMult(blind, p).Bytes(), nil
}

// finalize is Finalize (RFC 9497 §3.3.1).
func finalize(password []byte, blind *ristretto255.Scalar, evaluated *ristretto255.Element) []byte {
	inverse := ristretto255.NewScalar().Invert(blind)
	n := ristretto255.NewIdentityElement().ScalarMult(inverse, evaluated)
	return hash(prefixed(password), prefixed(n.Bytes()), []byte("Finalize"))
}

// oprfKey is the account's key (RFC 9807 §5.2.2).
func oprfKey(seed, credentialID []byte) *ristretto255.Scalar {
	return deriveScalar(expand(seed, 32, credentialID, []byte("OprfKey")), "OPAQUE-DeriveKeyPair")
}
