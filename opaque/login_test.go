package opaque

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"math"
	"slices"
	"testing"
)

// floor is the cheapest stretching a client takes.
var floor = Stretch{Memory: 19 << 10, Time: 2, Threads: 1}

func TestRegisterAndLogIn(t *testing.T) {
	s, id, password := testServer(t), []byte("jo"), []byte("right")
	r, request, err := StartRegistration(password)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.Register(request, id)
	if err != nil {
		t.Fatal(err)
	}
	record, export, err := r.Finish(response, floor)
	if err != nil {
		t.Fatal(err)
	}

	l, ke1 := begin(t, password)
	ke2, expected, err := s.Login(record, ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	ke3, session, exported, err := l.Finish(ke2, floor)
	if err != nil {
		t.Fatal(err)
	}
	if !expected.Verify(ke3) {
		t.Error("KE3 does not verify")
	}
	if !bytes.Equal(session, expected.SessionKey[:]) {
		t.Error("the session keys differ")
	}
	if !bytes.Equal(export, exported) {
		t.Error("the export keys differ")
	}

	// Another stretching is another password.
	if _, _, _, err := l.Finish(ke2, Stretch{Memory: 19 << 10, Time: 3, Threads: 1}); !errors.Is(err, ErrCredentials) {
		t.Errorf("with other parameters: %v, want ErrCredentials", err)
	}
}

// A randomized password opens every later login of its account.
func TestStretchedIsRemembered(t *testing.T) {
	s, id, password := testServer(t), []byte("jo"), []byte("right")
	record := enrol(t, s, id, password)
	var remembered []byte
	for i := range 3 {
		l, ke1 := begin(t, password)
		ke2, expected, err := s.Login(record, ke1, id)
		if err != nil {
			t.Fatal(err)
		}
		rp, err := l.stretched(ke2, none)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			remembered = rp
		}
		ke3, _, _, err := l.FinishWith(ke2, remembered)
		if err != nil || !expected.Verify(ke3) {
			t.Errorf("login %d does not open with what was remembered: %v", i, err)
		}
	}
}

// What differs between the runs in which nothing opens is for nobody to see.
func TestWhatDoesNotOpen(t *testing.T) {
	s, id, password := testServer(t), []byte("jo"), []byte("right")
	other, err := NewServer([64]byte{1}, [64]byte{3})
	if err != nil {
		t.Fatal(err)
	}
	reseeded, err := NewServer([64]byte{4}, [64]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	record := enrol(t, s, id, password)
	for _, c := range []struct {
		name     string
		server   *Server
		record   []byte
		id       string
		password string
	}{
		{"wrong password", s, record, "jo", "wrong"},
		{"no password", s, record, "jo", ""},
		{"no record", s, nil, "jo", "right"},
		{"empty record", s, []byte{}, "jo", "right"},
		{"record of another account", s, record, "al", "right"},
		{"another server's key", other, record, "jo", "right"},
		{"another server's seed", reseeded, record, "jo", "right"},
	} {
		l, ke1 := begin(t, []byte(c.password))
		ke2, expected, err := c.server.Login(c.record, ke1, []byte(c.id))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if len(ke2) != KE2Size {
			t.Errorf("%s: a KE2 of %d bytes", c.name, len(ke2))
		}
		ke3, session, export, err := l.Finish(ke2, floor)
		if err != ErrCredentials {
			t.Errorf("%s: %v, want ErrCredentials itself", c.name, err)
		}
		if ke3 != nil || session != nil || export != nil {
			t.Errorf("%s: keys came with the error", c.name)
		}
		if expected.Verify(DecoyKE3()) {
			t.Errorf("%s: a decoy verifies", c.name)
		}
	}
}

func TestDecoy(t *testing.T) {
	a, b := DecoyKE3(), DecoyKE3()
	if len(a) != KE3Size {
		t.Errorf("a decoy of %d bytes", len(a))
	}
	if bytes.Equal(a, b) {
		t.Error("two decoys are the same")
	}
}

// What a caller forgot to fill in must not be a proof that is easy to send.
func TestZeroExpectedVerifiesNothing(t *testing.T) {
	if (Expected{}).Verify(make([]byte, KE3Size)) {
		t.Error("zeros verify")
	}
}

func TestStretchBounds(t *testing.T) {
	for _, c := range []struct {
		s  Stretch
		ok bool
	}{
		{DefaultStretch, true},
		{floor, true},
		{Stretch{1 << 20, 16, 16}, true},
		{Stretch{}, false},
		{Stretch{19<<10 - 1, 2, 1}, false},
		{Stretch{19 << 10, 1, 1}, false},
		{Stretch{19 << 10, 2, 0}, false},
		{Stretch{1<<20 + 1, 3, 4}, false},
		{Stretch{100 << 20, 3, 4}, false},
		{Stretch{64 << 10, 17, 4}, false},
		{Stretch{64 << 10, 3, 17}, false},
		{Stretch{math.MaxUint32, math.MaxUint32, math.MaxUint8}, false},
	} {
		err := c.s.Validate()
		if c.ok && err != nil {
			t.Errorf("%+v: %v", c.s, err)
		}
		if !c.ok && !errors.Is(err, ErrStretch) {
			t.Errorf("%+v: %v, want ErrStretch", c.s, err)
		}
	}
}

// A server that asks for the machine's memory, or for next to no work, gets
// neither: the bounds hold in every call that stretches.
func TestStretchBoundsHoldEverywhere(t *testing.T) {
	r := vectorRun(t)
	for _, s := range []Stretch{{}, {8, 1, 1}, {math.MaxUint32, 3, 4}} {
		if _, _, err := r.registration.Finish(r.response, s); !errors.Is(err, ErrStretch) {
			t.Errorf("Registration.Finish, %+v: %v, want ErrStretch", s, err)
		}
		if _, err := r.login.Stretched(r.ke2, s); !errors.Is(err, ErrStretch) {
			t.Errorf("Login.Stretched, %+v: %v, want ErrStretch", s, err)
		}
		if _, _, _, err := r.login.Finish(r.ke2, s); !errors.Is(err, ErrStretch) {
			t.Errorf("Login.Finish, %+v: %v, want ErrStretch", s, err)
		}
	}
}

// A stand-in that changed would tell, on the second try, that nobody is there.
func TestStandInIsStable(t *testing.T) {
	s, id := testServer(t), []byte("nobody")
	again := testServer(t) // as after a restart
	_, ke1 := begin(t, []byte("guess"))
	first, _, err := s.Login(nil, ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := again.Login(nil, ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	known, _, err := s.Login(enrol(t, s, id, []byte("right")), ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != KE2Size || len(known) != KE2Size {
		t.Errorf("KE2 of %d bytes without and of %d with a record", len(first), len(known))
	}
	if !bytes.Equal(first[:32], second[:32]) {
		t.Error("the evaluated element changes from one login to the next")
	}
	if !bytes.Equal(first[:32], known[:32]) {
		t.Error("registering changes the evaluated element")
	}
	if !bytes.Equal(s.standIn(id), again.standIn(id)) {
		t.Error("the stand-in changes")
	}
	if bytes.Equal(s.standIn(id)[32:96], s.standIn([]byte("another"))[32:96]) {
		t.Error("two identifiers share a masking key")
	}

	// All else is fresh each time, or two answers could be told to be one's.
	for at := 32; at < KE2Size; at += 32 {
		if bytes.Equal(first[at:at+32], second[at:at+32]) {
			t.Errorf("bytes %d to %d are the same in two answers", at, at+32)
		}
	}
}

// Under its mask a stand-in's answer has the form of a real one.
func TestStandInUnmasks(t *testing.T) {
	s, id := testServer(t), []byte("nobody")
	record := s.standIn(id)
	if err := CheckRecord(record); err != nil {
		t.Fatalf("the stand-in is no record: %v", err)
	}
	_, ke1 := begin(t, []byte("guess"))
	ke2, _, err := s.Login(nil, ke1, id)
	if err != nil {
		t.Fatal(err)
	}
	plain := expand(record[32:96], elementSize+envelopeSize, ke2[32:64], []byte("CredentialResponsePad"))
	subtle.XORBytes(plain, plain, ke2[64:192])
	if !bytes.Equal(plain[:elementSize], s.PublicKey()) {
		t.Error("the server's public key is not under the mask")
	}
	if !bytes.Equal(plain[elementSize:], record[96:]) {
		t.Error("the stand-in's envelope is not under the mask")
	}
}

// Both ways go through the same calls, so they ask for memory equally often.
// How long they take is measured by "make bench".
func TestStandInCostsTheSame(t *testing.T) {
	s, id := testServer(t), []byte("jo")
	record := enrol(t, s, id, []byte("right"))
	_, ke1 := begin(t, []byte("right"))
	login := func(record []byte) {
		if _, _, err := s.Login(record, ke1, id); err != nil {
			t.Fatal(err)
		}
	}
	known := testing.AllocsPerRun(100, func() { login(record) })
	standIn := testing.AllocsPerRun(100, func() { login(nil) })
	if known != standIn {
		t.Errorf("%v allocations with a record, %v with a stand-in", known, standIn)
	}
}

func TestPublicKeyIsACopy(t *testing.T) {
	s := testServer(t)
	want := slices.Clone(s.PublicKey())
	clear(s.PublicKey())
	if !bytes.Equal(s.PublicKey(), want) {
		t.Error("a caller changed the server's key")
	}
}
