package opaque

import (
	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// The group of RFC 9496. What is done with secrets here takes the same time
// whatever they are.

// element is one of the group.
type element struct{ point curve.RistrettoPoint }

// number is what elements are multiplied by.
type number struct{ scalar scalar.Scalar }

// decodeElement takes the one encoding of an element that is not the identity
// (RFC 9496 §4.3.1). It returns ErrMalformed.
func decodeElement(b []byte) (*element, error) {
	var e element
	var c curve.CompressedRistretto
	if _, err := c.SetBytes(b); err != nil {
		return nil, ErrMalformed
	}
	if _, err := e.point.SetCompressed(&c); err != nil || e.identity() {
		return nil, ErrMalformed
	}
	return &e, nil
}

// uniformElement maps 64 uniform bytes to the group (RFC 9496 §4.3.4).
func uniformElement(b []byte) *element {
	var e element
	if _, err := e.point.SetUniformBytes(b); err != nil {
		panic(err) // 64 bytes always fit
	}
	return &e
}

func (e *element) bytes() []byte {
	var c curve.CompressedRistretto
	return c.SetRistrettoPoint(&e.point)[:]
}

func (e *element) identity() bool { return e.point.IsIdentity() }

func mult(n *number, e *element) *element {
	var out element
	out.point.Mul(&e.point, &n.scalar)
	return &out
}

// multBase multiplies the group's generator.
func multBase(n *number) *element {
	var out element
	out.point.MulBasepoint(curve.RISTRETTO_BASEPOINT_TABLE, &n.scalar)
	return &out
}

// uniformNumber reduces 64 uniform bytes (RFC 9496 §4.4).
func uniformNumber(b []byte) *number {
	var n number
	if _, err := n.scalar.SetBytesModOrderWide(b); err != nil {
		panic(err)
	}
	return &n
}

func (n *number) zero() bool { return n.scalar.Equal(scalar.New()) == 1 }

func (n *number) inverse() *number {
	var out number
	out.scalar.Invert(&n.scalar)
	return &out
}
