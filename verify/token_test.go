package verify

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"readmit.dev/readmit/verify/verifytest"
)

// normProof is a proof with the claims of RFC 9449 §4.2 and no other.
func normProof(t testing.TB, p *verifytest.Person, token, method, url string) string {
	t.Helper()
	pem, err := p.Key.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: privateKey(t, pem)}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	ath := sha256.Sum256([]byte(token))
	payload, err := json.Marshal(map[string]any{"jti": "one", "htm": method, "htu": url, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(ath[:])})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// badTokens are those that are none, by name.
func badTokens(t testing.TB, s *verifytest.Server, p *verifytest.Person) map[string]struct {
	token string
	want  Reason
} {
	t.Helper()
	type bad = struct {
		token string
		want  Reason
	}
	header := func(more ...any) map[string]any {
		h := map[string]any{"typ": "at+jwt"}
		for i := 0; i < len(more); i += 2 {
			h[more[i].(string)] = more[i+1]
		}
		return h
	}
	with := func(more ...any) string {
		c := s.Claims(p, 1)
		for i := 0; i < len(more); i += 2 {
			if more[i+1] == nil {
				delete(c, more[i].(string))
			} else {
				c[more[i].(string)] = more[i+1]
			}
		}
		return s.Sign(header(), c)
	}
	good := s.Token(p, 1)
	part := strings.Split(good, ".")
	encode := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	var head map[string]any
	b, err := base64.RawURLEncoding.DecodeString(part[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &head); err != nil {
		t.Fatal(err)
	}
	none := maps.Clone(head)
	none["alg"] = "none"
	now := s.Now().Unix()
	claims := s.Claims(p, 1)
	stranger := verifytest.New(issuer, service)
	return map[string]bad{
		"empty parts":            {"..", Malformed},
		"no dots":                {"token", Malformed},
		"one dot":                {"a.b", Malformed},
		"a fourth part":          {good + ".x", Malformed},
		"padding":                {good + "=", Malformed},
		"a line's end":           {good[:len(good)-1] + "\n", Malformed},
		"alg none":               {encode(none) + "." + part[1] + ".", Malformed},
		"alg none, signed":       {encode(none) + "." + part[1] + "." + part[2], Malformed},
		"another payload":        {part[0] + "." + encode(s.Claims(p, 9)) + "." + part[2], Malformed},
		"the signals' key":       {s.SignSet(header(), claims), Malformed},
		"typ JWT":                {s.Sign(map[string]any{"typ": "JWT"}, claims), Malformed},
		"typ of a proof":         {s.Sign(map[string]any{"typ": "dpop+jwt"}, claims), Malformed},
		"typ of a signal":        {s.Sign(map[string]any{"typ": "secevent+jwt"}, claims), Malformed},
		"no typ":                 {s.Sign(map[string]any{}, claims), Malformed},
		"critical":               {s.Sign(header("crit", []string{"x"}, "x", 1), claims), Malformed},
		"no key's name":          {s.Sign(header("kid", ""), claims), Malformed},
		"an unknown key":         {stranger.Token(p, 1), Malformed},
		"another's key, our kid": {stranger.Sign(header("kid", head["kid"]), claims), Malformed},
		"another issuer":         {with("iss", "https://id.example.com"), Malformed},
		"another audience":       {with("aud", "https://mail.example.org"), Audience},
		"the server itself":      {with("aud", issuer), Audience},
		"no audience":            {with("aud", nil), Audience},
		"a list of audiences":    {with("aud", []string{service}), Malformed},
		"over":                   {with("iat", now-306, "exp", now-6), Expired},
		"of a clock ahead":       {with("iat", now+60, "exp", now+300), Stale},
		"without an end":         {with("exp", nil), Malformed},
		"too long a life":        {with("exp", now+301), Malformed},
		"ends before it begins":  {with("exp", now-1), Malformed},
		"issued at no time":      {with("iat", nil), Malformed},
		"no jti":                 {with("jti", nil), Malformed},
		"no account":             {with("sub", nil), Malformed},
		"account in capitals":    {with("sub", strings.ToUpper(hex.EncodeToString(append([]byte{0xab}, p.Account[1:]...)))), Malformed},
		"account too short":      {with("sub", hex.EncodeToString(p.Account[:15])), Malformed},
		"no session":             {with("sid", nil), Malformed},
		"no device":              {with("device", nil), Malformed},
		"bound to nothing":       {with("cnf", nil), Malformed},
		"bound to a short hash":  {with("cnf", map[string]any{"jkt": "AAAA"}), Malformed},
		"negative epoch":         {with("epoch", -1), Malformed},
		"epoch in words":         {with("epoch", "one"), Malformed},
		"longer than a token is": {with("pad", strings.Repeat("a", maxToken)), Malformed},
	}
}

func TestTokensThatAreNone(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		w.want(p, w.server.Token(p, 1), "", "a good one")
		for name, c := range badTokens(t, w.server, p) {
			time.Sleep(keysPause) // so that the keys may be asked for
			if got := w.use(p, c.token); got != c.want && !(name == "over" && got == Expired) {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
	})
}

func TestTokenEnds(t *testing.T) {
	in(t, nil, func(t *testing.T, w *world) {
		p := verifytest.NewPerson()
		token := w.server.Token(p, 1)
		w.want(p, token, "", "at first")
		time.Sleep(tokenLife + leeway - time.Second)
		w.want(p, token, "", "just before its end")
		time.Sleep(time.Second)
		w.want(p, token, Expired, "at its end, from the memory")
		fresh := w.server.Claims(p, 1)
		fresh["iat"], fresh["exp"] = time.Now().Unix()-301, time.Now().Unix()-5
		w.want(p, w.server.Sign(map[string]any{"typ": "at+jwt"}, fresh), Expired, "never seen before")
	})
}

// What is remembered of tokens has a bound.
func TestTokensRememberedAreBounded(t *testing.T) {
	var m tokens
	for i := range 3 * generation {
		m.keep([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, claims{epoch: int64(i)})
	}
	if n := len(m.seen[0]) + len(m.seen[1]); n > 2*generation {
		t.Errorf("%d tokens are remembered", n)
	}
	last := 3*generation - 1
	if c, ok := m.find([32]byte{byte(last), byte(last >> 8), byte(last >> 16)}); !ok || c.epoch != int64(last) {
		t.Error("the last one is not")
	}
}

func FuzzToken(f *testing.F) {
	s := verifytest.New(issuer, service)
	p := verifytest.NewPerson()
	v, err := New(config(s))
	if err != nil {
		f.Fatal(err)
	}
	good := s.Token(p, 1)
	f.Add(good)
	for _, c := range badTokens(f, s, p) {
		f.Add(c.token)
	}
	if _, err := v.token(f.Context(), good); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Keys are asked for once; afterwards a name not known is unknown.
		c, err := v.token(t.Context(), text)
		var why *Refusal
		if err != nil && !errors.As(err, &why) {
			t.Fatalf("%q: %v", text, err)
		}
		if err == nil && text != good && c.identity.Account == "" {
			t.Fatalf("%q stands for nobody", text)
		}
	})
}

func FuzzClaims(f *testing.F) {
	s := verifytest.New(issuer, service)
	b, err := json.Marshal(s.Claims(verifytest.NewPerson(), 3))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"exp":9223372036854775807,"iat":-9223372036854775808,"jti":"a"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var w wireClaims
		if json.Unmarshal(b, &w) != nil {
			return
		}
		c, err := w.read()
		if err != nil {
			return
		}
		if c.expires-c.issued > 300 || c.expires <= c.issued || c.epoch < 0 || hex.EncodeToString(c.account[:]) != w.Subject || hex.EncodeToString(c.session[:]) != w.Session {
			t.Fatalf("%s became %+v", b, c)
		}
	})
}
