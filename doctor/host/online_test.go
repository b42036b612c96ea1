package host

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"net"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"readmit.dev/readmit/cause"
)

// timeServer answers as a time server does (RFC 5905 §7.3) whose clock is ahead.
func timeServer(t *testing.T, ahead time.Duration) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	stamp := func(b []byte) {
		now := time.Now().Add(ahead)
		binary.BigEndian.PutUint32(b, uint32(now.Unix()+2208988800)) // seconds from 1900 to 1970
		binary.BigEndian.PutUint32(b[4:], uint32(uint64(now.Nanosecond())<<32/1e9))
	}
	go func() {
		var b [48]byte
		for {
			n, from, err := c.ReadFrom(b[:])
			if err != nil {
				return
			}
			if n < 48 {
				continue
			}
			var a [48]byte
			a[0] = 4<<3 | 4 // version 4, a server
			a[1] = 1        // stratum
			copy(a[24:32], b[40:48])
			stamp(a[16:])
			stamp(a[32:])
			stamp(a[40:])
			c.WriteTo(a[:], from)
		}
	}()
	return c.LocalAddr().String()
}

func TestClockByNetwork(t *testing.T) {
	for _, c := range []struct{ ahead, shift, want time.Duration }{
		{0, 0, 0},
		{time.Minute, 0, 0},
		{12 * time.Minute, 0, -12 * time.Minute},
		{0, 12 * time.Minute, 12 * time.Minute},
	} {
		facts, saw := ClockByNetwork(timeServer(t, c.ahead), c.shift, 5*time.Minute)
		if c.want == 0 {
			none(t, facts)
			continue
		}
		if len(facts) != 1 || facts[0].Check() != cause.CheckClock {
			t.Fatalf("%+v: facts %v, saw %q", c, facts, saw)
		}
		if off, err := time.ParseDuration(facts[0].Got()); err != nil || (off-c.want).Abs() > 5*time.Second {
			t.Errorf("off by %s, want %s", facts[0].Got(), c.want)
		}
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := c.LocalAddr().String()
	c.Close() // nobody answers: the port is refused at once
	facts, saw := ClockByNetwork(silent, 0, time.Minute)
	none(t, facts)
	if saw != "cannot tell" {
		t.Errorf("saw %q", saw)
	}
}

func TestHandshake(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(s.Certificate())
	address := s.Listener.Addr().String()

	facts, saw := Handshake(t.Context(), address, &tls.Config{RootCAs: trusted})
	none(t, facts)
	if saw == "" {
		t.Error("saw nothing")
	}
	facts, _ = Handshake(t.Context(), address, nil)
	only(t, facts, cause.CheckTLS, "trusted", "untrusted")
	facts, _ = Handshake(t.Context(), address, &tls.Config{RootCAs: trusted, ServerName: "elsewhere.example.org"})
	only(t, facts, cause.CheckTLS, "trusted", "wrong-name")
	plain := httptest.NewServer(nil)
	facts, _ = Handshake(t.Context(), plain.Listener.Addr().String(), nil)
	only(t, facts, cause.CheckTLS, "trusted", "no-tls")
	plain.Close()
	facts, _ = Handshake(t.Context(), plain.Listener.Addr().String(), nil)
	only(t, facts, cause.CheckConnection, "open", "refused")
}

func TestOverridden(t *testing.T) {
	names := []string{"icloud.com", "apple.com"}
	for text, want := range map[string][]string{
		"":                                     nil,
		"127.0.0.1 localhost\n::1 localhost\n": nil,
		"0.0.0.0 gsa.apple.com\n":              {"gsa.apple.com"},
		"#0.0.0.0 gsa.apple.com":               nil,
		"0.0.0.0 example.org # gsa.apple.com":  nil,
		"::  WWW.iCloud.com.  icloud.com\r\n10.0.0.1 a.b":   {"www.icloud.com", "icloud.com"},
		"0.0.0.0 notapple.com pineapple.com apple.com.evil": nil,
		"nonsense gsa.apple.com\n0.0.0.0":                   nil,
		"1.1.1.1 gsa.apple.com\n2.2.2.2 gsa.apple.com":      {"gsa.apple.com"},
		"\x00\xff\n127.0.0.1\tsetup.icloud.com\tx\n":        {"setup.icloud.com"},
	} {
		if got := Overridden([]byte(text), names); !slices.Equal(got, want) {
			t.Errorf("%q leads %v elsewhere, want %v", text, got, want)
		}
	}
}
