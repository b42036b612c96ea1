package opaque

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/gtank/ristretto255"
)

// badElements are 32 bytes each that are no element one may compute with.
func badElements(t *testing.T) map[string][]byte {
	t.Helper()
	// p = 2^255-19, little-endian: zero once more, in a second spelling.
	p := bytes.Repeat([]byte{0xff}, 32)
	p[0], p[31] = 0xed, 0x7f
	pPlus2 := slices.Clone(p)
	pPlus2[0] += 2
	high := publicOf(randomNumber())
	high[31] |= 0x80
	negative := make([]byte, 32)
	negative[0] = 1
	bad := map[string][]byte{
		"identity":                make([]byte, 32),
		"identity, not reduced":   p,
		"coordinate, not reduced": pPlus2,
		"unused bit set":          high,
		"negative coordinate":     negative,
		"all ones":                bytes.Repeat([]byte{0xff}, 32),
		"off the group":           offGroup(t),
		"element, negated":        negated(publicOf(randomNumber())),
	}
	for name, b := range bad {
		if len(b) != 32 {
			t.Fatalf("%s has %d bytes", name, len(b))
		}
	}
	return bad
}

// offGroup is the first coordinate that is reduced and not negative, and still
// belongs to no element.
func offGroup(t *testing.T) []byte {
	t.Helper()
	for i := byte(2); i < 254; i += 2 {
		b := make([]byte, 32)
		b[0] = i
		if _, err := ristretto255.NewIdentityElement().SetCanonicalBytes(b); err != nil {
			return b
		}
	}
	t.Fatal("every small coordinate is an element")
	return nil
}

// negated is p minus a coordinate: the same element to a decoder that does not
// look at the sign.
func negated(b []byte) []byte {
	out := make([]byte, len(b))
	borrow := 0
	for i := range b {
		p := 0xff
		switch i {
		case 0:
			p = 0xed
		case len(b) - 1:
			p = 0x7f
		}
		d := p - int(b[i]) - borrow
		borrow = 0
		if d < 0 {
			d, borrow = d+256, 1
		}
		out[i] = byte(d)
	}
	return out
}

// decoders are all the places where a message comes in.
func decoders(t *testing.T) []decoder {
	r := vectorRun(t)
	return []decoder{
		{"registration request", r.request, []int{0}, ErrMalformed, func(b []byte) error {
			_, err := r.server.Register(b, r.id)
			return err
		}},
		{"KE1", r.ke1, []int{0, 64}, ErrMalformed, func(b []byte) error {
			_, _, err := r.server.Login(r.record, b, r.id)
			return err
		}},
		{"KE1 without a record", r.ke1, []int{0, 64}, ErrMalformed, func(b []byte) error {
			_, _, err := r.server.Login(nil, b, r.id)
			return err
		}},
		{"record sent", r.record, []int{0}, ErrMalformed, CheckRecord},
		{"record kept", r.record, []int{0}, ErrRecord, func(b []byte) error {
			_, _, err := r.server.Login(b, r.ke1, r.id)
			return err
		}},
		{"registration response", r.response, []int{0, 32}, ErrMalformed, func(b []byte) error {
			_, _, err := r.registration.finish(b, none)
			return err
		}},
		{"KE2", r.ke2, []int{0, 224}, ErrMalformed, func(b []byte) error {
			_, _, err := finishQuickly(r.login, b)
			return err
		}},
	}
}

type decoder struct {
	name     string
	good     []byte
	elements []int // where they begin
	want     error
	decode   func([]byte) error
}

func TestDecodersTakeTheVectors(t *testing.T) {
	for _, d := range decoders(t) {
		if err := d.decode(d.good); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
}

func TestDecodersRefuseBadElements(t *testing.T) {
	bad := badElements(t)
	for _, d := range decoders(t) {
		for _, at := range d.elements {
			for name, e := range bad {
				b := slices.Clone(d.good)
				copy(b[at:], e)
				if err := d.decode(b); !errors.Is(err, d.want) {
					t.Errorf("%s, byte %d, %s: %v, want %v", d.name, at, name, err, d.want)
				}
			}
		}
	}
}

func TestDecodersRefuseOtherLengths(t *testing.T) {
	for _, d := range decoders(t) {
		twice := append(slices.Clone(d.good), d.good...)
		for n := range len(twice) + 1 {
			if n == len(d.good) {
				continue
			}
			// A record of no bytes is no damaged record: there is none.
			if n == 0 && d.name == "record kept" {
				continue
			}
			if err := d.decode(twice[:n]); !errors.Is(err, d.want) {
				t.Fatalf("%s of %d bytes: %v, want %v", d.name, n, err, d.want)
			}
		}
	}
}

func TestKE3Lengths(t *testing.T) {
	r := vectorRun(t)
	if !r.expected.Verify(r.ke3) {
		t.Fatal("the KE3 of the vector does not verify")
	}
	twice := append(slices.Clone(r.ke3), r.ke3...)
	for n := range len(twice) + 1 {
		if n != KE3Size && r.expected.Verify(twice[:n]) {
			t.Errorf("a KE3 of %d bytes verifies", n)
		}
	}
	if r.expected.Verify(nil) {
		t.Error("no KE3 verifies")
	}
}

// Known randomized passwords go around the stretching, not around the decoders.
func TestKnownPasswordsMeetTheDecoders(t *testing.T) {
	r := vectorRun(t)
	rp, err := r.login.stretched(r.ke2, none)
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range badElements(t) {
		b := slices.Clone(r.ke2)
		copy(b[224:], e)
		if _, _, _, err := r.login.FinishWith(b, rp); !errors.Is(err, ErrMalformed) {
			t.Errorf("KE2, %s: %v, want ErrMalformed", name, err)
		}
		b = slices.Clone(r.response)
		copy(b[32:], e)
		if _, _, err := r.registration.FinishWith(b, rp); !errors.Is(err, ErrMalformed) {
			t.Errorf("registration response, %s: %v, want ErrMalformed", name, err)
		}
	}
	if _, _, _, err := r.login.FinishWith(r.ke2[:KE2Size-1], rp); !errors.Is(err, ErrMalformed) {
		t.Errorf("short KE2: %v, want ErrMalformed", err)
	}
	if _, _, err := r.registration.FinishWith(r.response[:ResponseSize-1], rp); !errors.Is(err, ErrMalformed) {
		t.Errorf("short registration response: %v, want ErrMalformed", err)
	}
}

// Whoever stands between the two can change no byte of either message.
func TestEveryByteIsBound(t *testing.T) {
	s, id, password := testServer(t), []byte("jo"), []byte("right")
	record := enrol(t, s, id, password)
	l, ke1 := begin(t, password)
	ke2, expected, err := s.Login(record, ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	ke3, _, err := finishQuickly(l, ke2)
	if err != nil {
		t.Fatal(err)
	}
	for i := range ke2 {
		b := slices.Clone(ke2)
		b[i] ^= 1
		if _, _, err := finishQuickly(l, b); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrCredentials) {
			t.Errorf("KE2 changed at byte %d: %v", i, err)
		}
	}
	for i := range ke3 {
		b := slices.Clone(ke3)
		b[i] ^= 1
		if expected.Verify(b) {
			t.Errorf("KE3 changed at byte %d verifies", i)
		}
	}
	for i := range ke1 {
		b := slices.Clone(ke1)
		b[i] ^= 1
		ke2, _, err := s.Login(record, b, id)
		if err != nil {
			continue // no element any more
		}
		if _, _, err := finishQuickly(l, ke2); !errors.Is(err, ErrCredentials) {
			t.Errorf("KE1 changed at byte %d: %v, want ErrCredentials", i, err)
		}
	}
}
