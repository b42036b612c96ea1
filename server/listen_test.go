package server_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/server"
	"readmit.dev/readmit/store"
	"readmit.dev/readmit/store/sqlite"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func openStore(dir string) (store.Store, error) { return sqlite.Open(dir) }

// freeAddress is a loopback address that nobody listens on just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func complete(t *testing.T, c server.Config) server.Config {
	t.Helper()
	c, err := c.Complete()
	must(t, err)
	return c
}

// serving runs a server on its sockets until the test ends or stop is called.
func serving(t *testing.T, c server.Config) (url string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := server.Listen(ctx, c, openStore, time.Now, quiet())
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return l.URL, stop
}

func fetch(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	r, err := c.Get(url)
	must(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(t, err)
	return r.StatusCode, string(b)
}

func TestServesOnItsSockets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := complete(t, server.Config{Listen: freeAddress(t), Data: dir, Metrics: freeAddress(t)})
	url, stop := serving(t, c)
	for _, path := range []string{api.PathHealth, api.PathReady, api.PathHello, api.PathKeys} {
		if status, body := fetch(t, http.DefaultClient, url+path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := fetch(t, http.DefaultClient, "http://"+c.Metrics+"/metrics"); status != http.StatusOK {
		t.Errorf("metrics: %d", status)
	}
	socket := filepath.Join(dir, api.AdminSocket)
	if info, err := os.Stat(socket); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the operator's socket: %v, %v", info, err)
	}
	local := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	if status, body := fetch(t, local, "http://admin"+api.AdminAccounts); status != http.StatusOK || !strings.Contains(body, "accounts") {
		t.Errorf("the operator's accounts: %d %s", status, body)
	}
	if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the data folder: %v, %v", info, err)
	}
	for _, path := range []string{api.AdminAccounts, api.AdminPolicy, api.AdminMetrics} {
		if status, _ := fetch(t, http.DefaultClient, url+path); status != http.StatusNotFound {
			t.Errorf("%s is reachable on the public address: %d", path, status)
		}
	}

	// A second server is told what is in its way, whichever it meets first.
	for what, other := range map[string]server.Config{
		"is taken by another program": {Listen: c.Listen, Data: t.TempDir()},
		"data":                        {Listen: freeAddress(t), Data: dir},
	} {
		_, err := server.Listen(context.Background(), complete(t, other), openStore, time.Now, quiet())
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("a second server: %v, want %q", err, what)
		}
	}
	local.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	stop()
	again, _ := serving(t, c) // everything was given back
	if status, _ := fetch(t, http.DefaultClient, again+api.PathReady); status != http.StatusOK {
		t.Errorf("a second run: %d", status)
	}
}

func TestHeadersAreLimitedOnTheSocket(t *testing.T) {
	url, _ := serving(t, complete(t, server.Config{Listen: freeAddress(t), Data: t.TempDir()}))
	r, err := http.NewRequest(http.MethodGet, url+api.PathHello, nil)
	must(t, err)
	r.Header.Set(api.HeaderProof, strings.Repeat("A", 64<<10))
	a, err := http.DefaultClient.Do(r)
	must(t, err)
	a.Body.Close()
	if a.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("64 KiB of headers: %d", a.StatusCode)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	damaged := filepath.Join(dir, "damaged")
	must(t, os.Mkdir(damaged, 0o700))
	must(t, os.WriteFile(filepath.Join(damaged, "master.key"), []byte("short"), 0o600))
	for want, c := range map[string]server.Config{
		"choose another with --data": {Data: filepath.Join(file, "data")},
		"master.key is damaged":      {Data: damaged},
		"certificate":                {Data: t.TempDir(), Certificate: file, Key: file},
		"listen on":                  {Data: t.TempDir(), Listen: "127.0.0.1:99999"},
	} {
		if c.Listen == "" {
			c.Listen = freeAddress(t)
		}
		_, err := server.Listen(context.Background(), complete(t, c), openStore, time.Now, quiet())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if l, err := net.Listen("tcp", c.Listen); err == nil {
			l.Close()
		} else if want != "listen on" {
			t.Errorf("%s: the address was not given back: %v", want, err)
		}
	}
}

func TestConfig(t *testing.T) {
	cert := server.Config{Certificate: "c.pem", Key: "k.pem", Listen: "0.0.0.0:443"}
	for _, tt := range []struct {
		what string
		in   server.Config
		err  string // part of it; empty: none
		url  string
		open bool
	}{
		{"nothing", server.Config{}, "", "http://127.0.0.1:4001", true},
		{"IPv6 loopback", server.Config{Listen: "[::1]:4001"}, "", "http://[::1]:4001", true},
		{"localhost", server.Config{Listen: "localhost:4001"}, "", "http://localhost:4001", true},
		{"any address, plain", server.Config{Listen: "0.0.0.0:80"}, "needs TLS", "", false},
		{"no host, plain", server.Config{Listen: ":80"}, "needs TLS", "", false},
		{"a name, plain", server.Config{Listen: "id.example.org:80"}, "needs TLS", "", false},
		{"no port", server.Config{Listen: "127.0.0.1"}, "host:port", "", false},
		{"certificate without key", server.Config{Certificate: "c.pem"}, "belong together", "", false},
		{"certificate, no url", cert, "set url", "", false},
		{"certificate", with(cert, func(c *server.Config) { c.URL = "https://ID.example.org/" }), "", "https://id.example.org", false},
		{"certificate and acme", with(cert, func(c *server.Config) { c.ACME = []string{"id.example.org"} }), "exclude each other", "", false},
		{"certificate on loopback", server.Config{Certificate: "c.pem", Key: "k.pem"}, "", "https://127.0.0.1:4001", true},
		{"proxy", server.Config{Listen: "10.0.0.2:80", Proxy: "10.0.0.1", URL: "https://id.example.org"}, "", "https://id.example.org", false},
		{"proxy on loopback", server.Config{Proxy: "127.0.0.1", URL: "https://id.example.org"}, "", "https://id.example.org", false},
		{"proxy on loopback, no url", server.Config{Proxy: "127.0.0.1"}, "", "http://127.0.0.1:4001", false},
		{"a public name on loopback", server.Config{URL: "https://id.example.org"}, "", "https://id.example.org", false},
		{"proxy by name", server.Config{Proxy: "front"}, "IP address", "", false},
		{"public http", server.Config{URL: "http://id.example.org"}, "loopback only", "", false},
		{"url with a path", server.Config{URL: "https://id.example.org/x"}, "scheme and host alone", "", false},
		{"url with a user", server.Config{URL: "https://u@id.example.org"}, "scheme and host alone", "", false},
		{"url of another scheme", server.Config{URL: "ftp://id.example.org"}, "scheme and host alone", "", false},
		{"metrics for all", server.Config{Metrics: "0.0.0.0:9"}, "loopback", "", false},
	} {
		c, err := tt.in.Complete()
		switch {
		case tt.err == "" && err != nil, tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: error %v, want %q", tt.what, err, tt.err)
		case err == nil && (c.URL != tt.url || c.Open() != tt.open):
			t.Errorf("%s: url %s, open %v, want %s, %v", tt.what, c.URL, c.Open(), tt.url, tt.open)
		}
	}
	file := filepath.Join(t.TempDir(), "readmit.toml")
	for text, want := range map[string]string{"listen = \"127.0.0.1:1\"\nlissten = 1": "unknown key", "listen": "readmit.toml", "listen = 7": "readmit.toml"} {
		must(t, os.WriteFile(file, []byte(text), 0o600))
		if _, err := server.ReadConfig(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("configuration %q: %v, want %q", text, err, want)
		}
	}
	if _, err := server.ReadConfig(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a configuration that is missing is read")
	}
}
