package outward

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

// TestClient: what is asked of every call outward.
func TestClient(t *testing.T) {
	calls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer s.Close()
	if _, err := Client(false, time.Second, 1, nil).Get(s.URL); !errors.Is(err, ErrPrivate) || calls != 0 {
		t.Errorf("%v, %d calls of a private address", err, calls)
	}
	// A name that leads to a private address is as good as the address.
	u := "http://localhost:" + s.URL[len("http://127.0.0.1:"):]
	if _, err := Client(false, time.Second, 1, nil).Get(u); !errors.Is(err, ErrPrivate) || calls != 0 {
		t.Errorf("%v, %d calls of a private name", err, calls)
	}
	a, err := Client(true, time.Second, 1, nil).Get(s.URL)
	if err != nil || a.StatusCode != http.StatusFound || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
	if !Allowed([]string{"Shop.example.org"}, "shop.EXAMPLE.org") || Allowed([]string{"shop.example.org"}, "example.org") {
		t.Error("names are not compared as names")
	}
}

func TestIsPublic(t *testing.T) {
	for _, a := range []string{"8.8.8.8", "2a00:1450:4001:800::200e", "2606:4700::1111", "::ffff:8.8.8.8", "100.128.0.1", "172.32.0.1"} {
		if !IsPublic(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
	for _, a := range []string{
		"127.0.0.1", "127.255.255.255", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255",
		"192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
	} {
		if IsPublic(netip.MustParseAddr(a)) {
			t.Errorf("%s is allowed", a)
		}
	}
}
