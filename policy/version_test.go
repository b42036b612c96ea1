package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseVersion(t *testing.T) {
	for in, want := range map[string]string{
		"1": "1.0.0", "1.2": "1.2.0", "1.2.3": "1.2.3", "1.2.3.4": "1.2.3.4", "1.2.3.0": "1.2.3",
		"0.0.0-dev": "0.0.0", "1.2.0-rc.1": "1.2.0", "6.1.0-18-amd64": "6.1.0", "1.2+meta": "1.2.0", "1.2-a+b": "1.2.0",
		"01.002": "1.2.0", "999999999": "999999999.0.0",
	} {
		if got, err := ParseVersion(in); err != nil || got.String() != want {
			t.Errorf("%q is %s, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "1.", ".1", "1..2", "1.2.3.4.5", "v1.2", "-1", "+1", "1.-2", " 1", "1 ", "1.2\n", "1,2", "0x1", "1e3", "1_0",
		"1000000000", "0000000001", "99999999999999999999", "١", "dev",
	} {
		if got, err := ParseVersion(in); !errors.Is(err, ErrVersion) || got != (Version{}) {
			t.Errorf("%q is %s, %v", in, got, err)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		older, newer string
	}{
		{"0", "1"}, {"1.9", "1.10"}, {"1.2.3", "1.2.4"}, {"1.2.3", "1.2.3.1"}, {"1.99.99.99", "2"}, {"9", "10"}, {"0.0.0.1", "0.0.1"},
	} {
		if v(c.older).Compare(v(c.newer)) >= 0 || v(c.newer).Compare(v(c.older)) <= 0 {
			t.Errorf("%s is not older than %s", c.older, c.newer)
		}
	}
	for _, c := range []struct{ a, b string }{{"1", "1.0"}, {"1.0", "1.0.0.0"}, {"1.2-dev", "1.2"}} {
		if v(c.a).Compare(v(c.b)) != 0 {
			t.Errorf("%s is not as old as %s", c.a, c.b)
		}
	}
}

// Versions are ordered as lists of numbers are.
func TestCompareIsAnOrder(t *testing.T) {
	version := rapid.Custom(func(t *rapid.T) Version {
		var n Version
		for i := range n {
			n[i] = rapid.SampledFrom([]uint32{0, 1, 2, 10, 999999999}).Draw(t, "part")
		}
		return n
	})
	rapid.Check(t, func(r *rapid.T) {
		a, b := version.Draw(r, "a"), version.Draw(r, "b")
		if got, want := a.Compare(b), slices.Compare(a[:], b[:]); got != want {
			r.Fatalf("%s with %s is %d, want %d", a, b, got, want)
		}
	})
}

func TestVersionJSON(t *testing.T) {
	for _, in := range []string{`1`, `null`, `""`, `"x"`, `["1"]`, `{}`} {
		n := v("3")
		if err := json.Unmarshal([]byte(in), &n); !errors.Is(err, ErrVersion) {
			t.Errorf("%s was read as %s", in, n)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, s := range []string{"1.2.3", "1.2.3.4-dev", "", "1..2", "999999999.0", "1+1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseVersion(s)
		if err != nil {
			if n != (Version{}) || !errors.Is(err, ErrVersion) {
				t.Fatalf("%q: %s, %v", s, n, err)
			}
			return
		}
		if again, err := ParseVersion(n.String()); err != nil || again != n {
			t.Fatalf("%q is %s, and that is %s, %v", s, n, again, err)
		}
		if strings.Trim(n.String(), "0123456789.") != "" || len(n.String()) > 39 {
			t.Fatalf("%q is %s", s, n)
		}
	})
}
