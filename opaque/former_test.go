package opaque

import (
	"bytes"
	"errors"
	"testing"
)

// The offer opens under the former password and under no other, and proves to
// the server that it did.
func TestFormer(t *testing.T) {
	s, id := testServer(t), []byte("jane")
	former, present := enrol(t, s, id, []byte("seven green lanterns")), enrol(t, s, id, []byte("nine quiet harbours"))
	for _, c := range []struct {
		typed  string
		record []byte
		id     string // under which the server evaluates
		opens  bool
	}{
		{"seven green lanterns", former, "jane", true},
		{"nine quiet harbours", former, "jane", false}, // the present one: it opens ke2
		{"something else", former, "jane", false},
		{"seven green lanterns", nil, "jane", false},         // there is no former record
		{"seven green lanterns", former, "locked", false},    // a guess that was not counted
		{"seven green lanterns", present, "jane", false},     // another record
		{"nine quiet harbours", present, "jane", true},       // whichever is offered
		{"", make([]byte, RecordSize), "jane", false},        // damaged: an error
		{"", []byte("too short to be one"), "jane", false},   // damaged
		{"", append(former[:0:0], former[1:]...), "", false}, // damaged
	} {
		l, ke1 := begin(t, []byte(c.typed))
		ke2, _, err := s.Login(present, ke1, []byte(c.id))
		if err != nil {
			t.Fatal(err)
		}
		offer, want, err := s.Former(c.record, ke1, ke2, []byte(c.id))
		if c.typed == "" {
			if !errors.Is(err, ErrRecord) {
				t.Errorf("a damaged record: %v", err)
			}
			continue
		}
		if err != nil || len(offer) != FormerSize {
			t.Fatalf("%d bytes: %v", len(offer), err)
		}
		rp, err := l.stretched(ke2, none)
		if err != nil {
			t.Fatal(err)
		}
		proof, ok := l.Former(ke2, offer, rp)
		if ok != c.opens || ok != bytes.Equal(proof, want[:]) {
			t.Errorf("%+v: opens %t", c, ok)
		}
		for _, bad := range [][]byte{nil, offer[1:], append(bytes.Clone(offer), 0)} {
			if _, ok := l.Former(ke2, bad, rp); ok {
				t.Errorf("an offer of %d bytes opens", len(bad))
			}
		}
	}
}

// The proof is of one run: neither another first message nor another offer has
// the same, and it never is the proof of the password.
func TestFormerIsOfOneRun(t *testing.T) {
	s, id := testServer(t), []byte("jane")
	record := enrol(t, s, id, []byte("seven green lanterns"))
	_, ke1 := begin(t, []byte("seven green lanterns"))
	_, other := begin(t, []byte("seven green lanterns"))
	ke2, expected, err := s.Login(record, ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[KE3Size]byte]bool{expected.ClientMAC: true}
	offers := map[string]bool{}
	for range 2 {
		for _, first := range [][]byte{ke1, other} {
			offer, proof, err := s.Former(record, first, ke2, id)
			if err != nil || seen[proof] || offers[string(offer)] {
				t.Fatalf("the same proof or offer twice: %v", err)
			}
			if expected.Verify(proof[:]) {
				t.Fatal("the proof of a former password signs in")
			}
			seen[proof], offers[string(offer)] = true, true
		}
	}
}
