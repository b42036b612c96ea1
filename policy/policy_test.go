package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func v(s string) Version {
	n, err := ParseVersion(s)
	if err != nil {
		panic(err)
	}
	return n
}

func TestCheck(t *testing.T) {
	p := Policy{
		Clients:  map[string]Version{"readmit": v("1.4"), "other": v("0")},
		Systems:  map[string]Version{"linux": v("5.10"), "darwin": v("14")},
		Protocol: 2,
	}
	good := Client{Name: "readmit", Version: v("1.4"), System: "linux", SystemVersion: v("6.1"), Protocol: 2}
	for _, c := range []struct {
		name   string
		policy Policy
		change func(*Client)
		want   []Shortfall
	}{
		{"just enough", p, func(*Client) {}, nil},
		{"newer", p, func(c *Client) { c.Version, c.Protocol = v("2"), 3 }, nil},
		{"old client", p, func(c *Client) { c.Version = v("1.3.99") }, []Shortfall{{OfClient, "readmit", "1.4.0", "1.3.99"}}},
		{"client of no version", p, func(c *Client) { c.Version = Version{} }, []Shortfall{{OfClient, "readmit", "1.4.0", "0.0.0"}}},
		{"no version where zero will do", p, func(c *Client) { c.Name, c.Version = "other", Version{} }, nil},
		{"unknown client", p, func(c *Client) { c.Name, c.Version = "curl", Version{} }, nil},
		{"old system", p, func(c *Client) { c.SystemVersion = v("5.9") }, []Shortfall{{OfSystem, "linux", "5.10.0", "5.9.0"}}},
		{"another's minimum", p, func(c *Client) { c.System, c.SystemVersion = "darwin", v("13.6.1") }, []Shortfall{{OfSystem, "darwin", "14.0.0", "13.6.1"}}},
		{"unknown system", p, func(c *Client) { c.System, c.SystemVersion = "plan9", Version{} }, nil},
		{"old protocol", p, func(c *Client) { c.Protocol = 1 }, []Shortfall{{OfProtocol, "protocol", "2", "1"}}},
		{"protocol below none", p, func(c *Client) { c.Protocol = -5 }, []Shortfall{{OfProtocol, "protocol", "2", "0"}}},
		{"all at once", p, func(c *Client) { *c = Client{Name: "readmit", System: "linux"} }, []Shortfall{
			{OfClient, "readmit", "1.4.0", "0.0.0"}, {OfSystem, "linux", "5.10.0", "0.0.0"}, {OfProtocol, "protocol", "2", "0"},
		}},
		{"no policy", Policy{}, func(c *Client) { *c = Client{} }, nil},
	} {
		client := good
		c.change(&client)
		if got := c.policy.Check(client); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestPolicyJSON(t *testing.T) {
	p := Policy{Clients: map[string]Version{"readmit": v("1.2")}, Systems: map[string]Version{"linux": v("5.10.0.1")}, Protocol: 1}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"clients":{"readmit":"1.2.0"},"systems":{"linux":"5.10.0.1"},"protocol":1}`; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
	var again Policy
	if err := json.Unmarshal(b, &again); err != nil || !same(p, again) {
		t.Errorf("%+v, %v", again, err)
	}
	if b, err := json.Marshal(Policy{}); err != nil || string(b) != "{}" {
		t.Errorf("the zero policy is %s, %v", b, err)
	}
}

func same(a, b Policy) bool {
	return maps.Equal(a.Clients, b.Clients) && maps.Equal(a.Systems, b.Systems) && a.Protocol == b.Protocol
}

// entries is a list of n names with a minimum.
func entries(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"c%d":"1"`, i))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestPolicyRefuses(t *testing.T) {
	before := Policy{Protocol: 7}
	for _, in := range []string{
		`5`, `[]`, `"policy"`,
		`{"protocol":-1}`, `{"protocol":1001}`, `{"protocol":1.5}`, `{"protocol":"1"}`,
		`{"clients":{"readmit":""}}`, `{"clients":{"readmit":1}}`, `{"clients":{"readmit":null}}`, `{"clients":{"readmit":"1.x"}}`,
		`{"clients":{"":"1"}}`, `{"clients":{"Readmit":"1"}}`, `{"clients":{"re admit":"1"}}`, `{"clients":{"\u001b[2J":"1"}}`,
		`{"systems":{"linux\n":"1"}}`, `{"systems":{"` + strings.Repeat("a", 33) + `":"1"}}`,
		`{"clients":` + entries(33) + `}`, `{"systems":` + entries(33) + `}`,
		`{"clients":["readmit"]}`,
	} {
		p := before
		if err := json.Unmarshal([]byte(in), &p); !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v", in, err)
		}
		if !same(p, before) {
			t.Errorf("%s left %+v", in, p)
		}
	}
	for _, in := range []string{
		`{}`, `null`, `{"protocol":1000}`, `{"clients":` + entries(32) + `}`, `{"systems":{"` + strings.Repeat("a", 32) + `":"1"}}`,
	} {
		var p Policy
		if err := json.Unmarshal([]byte(in), &p); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"clients":{"readmit":"1.2.0"},"systems":{"linux":"5.10"},"protocol":1}`))
	f.Add([]byte(`{"clients":` + entries(32) + `}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var p Policy
		if json.Unmarshal(in, &p) != nil {
			if !same(p, Policy{}) {
				t.Fatalf("refused, and %+v is left", p)
			}
			return
		}
		if p.Protocol < 0 || p.Protocol > 1000 || len(p.Clients) > 32 || len(p.Systems) > 32 {
			t.Fatalf("%+v", p)
		}
		out, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var again Policy
		if err := json.Unmarshal(out, &again); err != nil || !same(p, again) {
			t.Fatalf("%s came back as %+v, %v", out, again, err)
		}
		for name, low := range p.Clients {
			short := p.Check(Client{Name: name, Protocol: p.Protocol})
			if (len(short) > 0) != (low.Compare(Version{}) > 0) {
				t.Fatalf("%s, minimum %s: %+v", name, low, short)
			}
		}
	})
}
