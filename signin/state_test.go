package signin

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"readmit.dev/readmit/cause"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

func ring(t testing.TB) *keys.Ring {
	t.Helper()
	s, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	r, err := keys.Open(t.Context(), s, make([]byte, 32), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var someFacts = []cause.Fact{
	cause.Note(cause.CheckAccount, cause.Word("known"), cause.Word("unknown"), cause.ByServer),
	cause.Note(cause.CheckOwnDeviceName, cause.Value{}, cause.Name("Jane's phone"), cause.ByServer),
	cause.Note(cause.CheckStrangersUntil, cause.Value{}, cause.Instant(time.Unix(1e9, 0)), cause.ByServer),
}

// someState draws a state as Start can make one.
func someState(t *rapid.T) state {
	id := func(what string, n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, what) }
	st := state{
		Account: store.ID(id("account", 16)), Attempt: store.ID(id("attempt", 16)), Key: store.Thumbprint(id("key", 32)),
		Lane: store.Lane(rapid.IntRange(0, store.Lanes-1).Draw(t, "lane")), Ring: store.Ring(rapid.IntRange(0, int(store.Rings)-1).Draw(t, "ring")),
		Seq: rapid.Int64Range(1, 1<<62).Draw(t, "seq"), Way: way(rapid.IntRange(0, int(withPass)).Draw(t, "way")),
		Real: rapid.Bool().Draw(t, "real"), Counted: rapid.Bool().Draw(t, "counted"), Purpose: rapid.SampledFrom(purposes).Draw(t, "purpose"),
		Begun: time.Unix(0, rapid.Int64Range(0, 1<<61).Draw(t, "begun")).UTC(), Expected: id("expected", 64), Former: id("former", 64),
		Facts: someFacts[:rapid.IntRange(0, len(someFacts)).Draw(t, "facts")],
	}
	if st.Way == withPass {
		st.Pass = id("pass", 32)
	}
	for _, name := range []*string{&st.Shown, &st.Name, &st.System} {
		*name = cause.CleanName(rapid.String().Draw(t, "name"))
	}
	return st
}

// An attempt that was begun at a node of either form is finished at this one,
// and of all states of one client the length is the same.
func TestStateComesBack(t *testing.T) {
	keys := ring(t)
	rapid.Check(t, func(t *rapid.T) {
		st := someState(t)
		for _, shared := range []bool{false, true} {
			s := &Service{Keys: keys, Shared: shared}
			sealed, err := s.sealState(st)
			if err != nil {
				t.Fatal(err)
			}
			back, err := (&Service{Keys: keys}).openState(sealed)
			if err != nil || !same(back, st) {
				t.Fatalf("shared %t: %+v came back as %+v, %v", shared, st, back, err)
			}
			other, err := s.sealState(state{Shown: st.Shown, Name: st.Name, System: st.System})
			if err != nil || len(other) != len(sealed) {
				t.Fatalf("shared %t: %d octets and %d, %v", shared, len(sealed), len(other), err)
			}
		}
	})
}

// same compares what is in two states: none is as good as an empty list.
func same(a, b state) bool {
	for _, st := range []*state{&a, &b} {
		if len(st.Facts) == 0 {
			st.Facts = nil
		}
		if len(st.Pass) == 0 {
			st.Pass = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

// What the version before has sealed, and what it reads: it knows these keys.
func TestStateInJSON(t *testing.T) {
	const before = `{"account":"01000000000000000000000000000000","attempt":"02000000000000000000000000000000","lane":3,"ring":1,"seq":4,` +
		`"key":"0500000000000000000000000000000000000000000000000000000000000000","way":1,"real":true,"counted":true,"purpose":"sign-in",` +
		`"begun":"2026-03-01T12:00:00.000000006Z","expected":"BwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",` +
		`"former":"CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==","facts":null,` +
		`"shown":"readmit 0.1.0 (linux 6.1)","name":"laptop","system":"linux 6.1"}`
	want := state{
		Account: store.ID{1}, Attempt: store.ID{2}, Lane: 3, Ring: 1, Seq: 4, Key: store.Thumbprint{5}, Way: ownDevice, Real: true, Counted: true,
		Purpose: ToSignIn, Begun: time.Date(2026, 3, 1, 12, 0, 0, 6, time.UTC), Expected: append([]byte{7}, make([]byte, 63)...),
		Former: append([]byte{8}, make([]byte, 63)...), Shown: "readmit 0.1.0 (linux 6.1)", Name: "laptop", System: "linux 6.1",
	}
	if b, err := json.Marshal(want); err != nil || string(b) != before {
		t.Errorf("it is written as\n%s\nand not\n%s\n%v", b, before, err)
	}
	s := &Service{Keys: ring(t), Shared: true}
	sealed, err := s.Keys.Seal(stateLabel, []byte(before), stateSizeJSON)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.openState(sealed); err != nil || !same(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	ours, err := s.sealState(want)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := s.Keys.Open(stateLabel, ours); err != nil || string(bytes.TrimRight(plain, "\x00")) != before || len(plain) != stateSizeJSON {
		t.Errorf("sealed is %q, %v", plain, err)
	}
}

func TestStateOfAnotherForm(t *testing.T) {
	s := &Service{Keys: ring(t)}
	st := state{Expected: make([]byte, 64), Former: make([]byte, 64), Facts: someFacts}
	good, err := st.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	short := state{Expected: make([]byte, 63)}
	cut, err := short.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for what, plain := range map[string][]byte{
		"nothing": nil, "another form": change(0, 2), "cut": good[:len(good)-1], "more behind it": append(bytes.Clone(good), 0, 1), "a short proof": cut,
		"no ring": change(67, byte(store.Rings)), "no way": change(76, byte(withPass)+1), "no flags": change(77, 4),
		"JSON that ends": []byte(`{"account":`), "no state": []byte(`{}`),
	} {
		sealed, err := s.Keys.Seal(stateLabel, plain, max(len(plain), 1))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.openState(sealed); !errors.Is(err, ErrForm) || !reflect.DeepEqual(got, state{}) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	if _, err := s.openState([]byte("not sealed")); !errors.Is(err, ErrForm) {
		t.Errorf("not sealed: %v", err)
	}
}

func FuzzState(f *testing.F) {
	for _, st := range []state{{}, {Way: withPass, Pass: make([]byte, 32), Facts: someFacts, Name: "laptop", Begun: time.Unix(1, 2)}} {
		b, err := st.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var st state
		if st.UnmarshalBinary(in) != nil {
			return
		}
		b, err := st.MarshalBinary()
		if err != nil || !bytes.HasPrefix(in, b) || len(bytes.Trim(in[len(b):], "\x00")) > 0 {
			t.Fatalf("%x was read, and written again as %x, %v", in, b, err)
		}
	})
}
