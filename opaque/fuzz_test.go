package opaque

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gtank/ristretto255"
)

// Each target hands one decoder anything at all. What it takes has to be
// canonical, and what it refuses, refused with the error it promises.

func canonical(t *testing.T, b []byte) {
	t.Helper()
	e, err := ristretto255.NewIdentityElement().SetCanonicalBytes(b)
	if err != nil {
		t.Fatalf("taken, but no element: %v", err)
	}
	if !bytes.Equal(e.Bytes(), b) {
		t.Fatal("taken in a second spelling")
	}
	if e.Equal(ristretto255.NewIdentityElement()) == 1 {
		t.Fatal("took the identity")
	}
}

// seed adds a good message and what is almost one.
func seed(f *testing.F, good []byte) {
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0))
	f.Add(make([]byte, len(good)))
	f.Add(bytes.Repeat([]byte{0xff}, len(good)))
	f.Add([]byte{})
}

func FuzzRegistrationRequest(f *testing.F) {
	r := vectorRun(f)
	seed(f, r.request)
	f.Fuzz(func(t *testing.T, b []byte) {
		response, err := r.server.Register(b, r.id)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		canonical(t, b)
		if len(response) != ResponseSize {
			t.Fatalf("a response of %d bytes", len(response))
		}
		canonical(t, response[:32])
	})
}

func FuzzRegistrationResponse(f *testing.F) {
	r := vectorRun(f)
	seed(f, r.response)
	f.Fuzz(func(t *testing.T, b []byte) {
		record, _, err := r.registration.finish(b, none)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		canonical(t, b[:32])
		canonical(t, b[32:])
		if err := CheckRecord(record); err != nil {
			t.Fatalf("made a record that no server takes: %v", err)
		}
	})
}

// What CheckRecord lets in, Login has to be able to answer from, always.
func FuzzRecord(f *testing.F) {
	r := vectorRun(f)
	seed(f, r.record)
	f.Fuzz(func(t *testing.T, b []byte) {
		checked := CheckRecord(b)
		if checked != nil && !errors.Is(checked, ErrMalformed) {
			t.Fatal(checked)
		}
		if checked == nil {
			canonical(t, b[:32])
		}
		ke2, _, err := r.server.Login(b, r.ke1, r.id)
		if err != nil && !errors.Is(err, ErrRecord) {
			t.Fatal(err)
		}
		if taken := err == nil; taken != (checked == nil || len(b) == 0) {
			t.Fatalf("CheckRecord: %v, Login: %v", checked, err)
		}
		if err == nil && len(ke2) != KE2Size {
			t.Fatalf("a KE2 of %d bytes", len(ke2))
		}
	})
}

func FuzzKE1(f *testing.F) {
	r := vectorRun(f)
	seed(f, r.ke1)
	f.Fuzz(func(t *testing.T, b []byte) {
		known, _, err := r.server.Login(r.record, b, r.id)
		standIn, _, err2 := r.server.Login(nil, b, r.id)
		if err != err2 {
			t.Fatalf("%v with a record, %v without", err, err2)
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		canonical(t, b[:32])
		canonical(t, b[64:])
		if len(known) != KE2Size || !bytes.Equal(known[:32], standIn[:32]) {
			t.Fatal("a record shows in the answer")
		}
	})
}

func FuzzKE2(f *testing.F) {
	r := vectorRun(f)
	seed(f, r.ke2)
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := finishQuickly(r.login, b)
		switch {
		case err == nil:
			if !bytes.Equal(b, r.ke2) {
				t.Fatal("opened an answer that no server gave")
			}
		case !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrCredentials):
			t.Fatal(err)
		}
	})
}

func FuzzKE3(f *testing.F) {
	r := vectorRun(f)
	seed(f, r.ke3)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r.expected.Verify(b) != bytes.Equal(b, r.ke3) {
			t.Fatal("took what no client sent, or refused what it did")
		}
	})
}
