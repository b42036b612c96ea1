package opaque

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gtank/ristretto255"
)

// The group against another's implementation of it, of other authors, whose
// arithmetic has nothing in common with it.

func otherElement(t *testing.T, b []byte) *ristretto255.Element {
	t.Helper()
	e, err := ristretto255.NewIdentityElement().SetCanonicalBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func otherNumber(t *testing.T, b []byte) *ristretto255.Scalar {
	t.Helper()
	s, err := ristretto255.NewScalar().SetUniformBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func FuzzGroup(f *testing.F) {
	wide := func(fill byte) []byte { return bytes.Repeat([]byte{fill}, 64) }
	f.Add(wide(0), wide(0))
	f.Add(wide(1), wide(0))
	f.Add(wide(0xff), wide(0xff))
	f.Add(wide(0x55), append([]byte{1}, make([]byte, 63)...))
	f.Add(wide(2), append([]byte{8}, make([]byte, 63)...))
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 31: 0x10, 63: 0}
	f.Add(wide(3), order)
	order[0]-- // minus one
	f.Add(wide(4), order)
	f.Fuzz(func(t *testing.T, point, factor []byte) {
		if len(point) != 64 || len(factor) != 64 {
			return
		}
		e, n := uniformElement(point), uniformNumber(factor)
		o, s := ristretto255.NewIdentityElement(), otherNumber(t, factor)
		if _, err := o.SetUniformBytes(point); err != nil {
			t.Fatal(err)
		}
		same(t, "element", append(e.bytes(), 1), append(o.Bytes(), 1))
		same(t, "product", mult(n, e).bytes(), ristretto255.NewIdentityElement().ScalarMult(s, o).Bytes())
		same(t, "product of the generator", multBase(n).bytes(), ristretto255.NewIdentityElement().ScalarBaseMult(s).Bytes())
		if n.zero() {
			if !mult(n, e).identity() || !multBase(n).identity() {
				t.Error("zero times an element is not the identity")
			}
			return
		}
		same(t, "back", mult(n.inverse(), mult(n, e)).bytes(), e.bytes())
		if b := e.bytes(); !e.identity() {
			decoded, err := decodeElement(b)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "product of what was decoded", mult(n, decoded).bytes(), ristretto255.NewIdentityElement().ScalarMult(s, otherElement(t, b)).Bytes())
		}
	})
}

// The seeds of FuzzGroup are edges; these are what comes.
func TestGroup(t *testing.T) {
	for range 300 {
		point, factor := randomBytes(64), randomBytes(64)
		e, n := uniformElement(point), uniformNumber(factor)
		o := otherElement(t, e.bytes())
		same(t, "product", mult(n, e).bytes(), o.ScalarMult(otherNumber(t, factor), o).Bytes())
	}
}

func FuzzElement(f *testing.F) {
	seed(f, publicOf(randomNumber()))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeElement(b)
		o, otherErr := ristretto255.NewIdentityElement().SetCanonicalBytes(b)
		want := otherErr == nil && o.Equal(ristretto255.NewIdentityElement()) != 1
		if (err == nil) != want {
			t.Fatalf("%x: taken is %v, the other says %v", b, err == nil, want)
		}
		if err == nil && !bytes.Equal(e.bytes(), b) {
			t.Fatalf("%x was taken and is written %x", b, e.bytes())
		}
	})
}

// Secrets meet the group in constant time: what the library calls otherwise is
// named for it, and only group.go knows the library.
func TestNothingOfVariableTime(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("Vartime")) {
			t.Errorf("%s uses what takes a time that depends on a secret", name)
		}
		if name != "group.go" && bytes.Contains(b, []byte("curve25519-voi")) {
			t.Errorf("%s knows the group's library: only group.go is to", name)
		}
	}
}
