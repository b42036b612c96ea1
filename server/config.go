package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"readmit.dev/readmit/opaque"
	"readmit.dev/readmit/recovery"
)

// Config is the whole configuration: one file, few keys, unknown ones refused.
// The zero value serves this machine alone.
type Config struct {
	Listen      string   `toml:"listen"`            // host:port; default 127.0.0.1:4001
	URL         string   `toml:"url"`               // the public address; default http://<listen>
	Data        string   `toml:"data"`              // folder of the store; default ./data
	Store       string   `toml:"store"`             // postgres://user@host/database, without a password; default: embedded, in data
	Password    string   `toml:"store_password"`    // file, mode 0600; default ~/.pgpass
	Connections int      `toml:"store_connections"` // of this node to the store; default 16
	MasterKey   string   `toml:"master_key"`        // file, mode 0600; of nodes that share a store
	Certificate string   `toml:"certificate"`       // PEM file, with key
	Key         string   `toml:"key"`               // PEM file
	ACME        []string `toml:"acme"`              // host names to get certificates for
	ACMEEmail   string   `toml:"acme_email"`        // whom the authority may write to
	Proxy       string   `toml:"proxy"`             // IP address of the proxy in front that speaks TLS to the world
	Metrics     string   `toml:"metrics"`           // loopback host:port for /metrics; none by default

	SMTP         string   `toml:"smtp"`          // smtps://host:465 or smtp://host:587
	SMTPUser     string   `toml:"smtp_user"`     // with smtp_password
	SMTPPassword string   `toml:"smtp_password"` // file, mode 0600
	MailFrom     string   `toml:"mail_from"`     // the address that mails come from
	SMS          string   `toml:"sms"`           // https address of the SMS service
	SMSSecret    string   `toml:"sms_secret"`    // file, mode 0600: its bearer token
	SMSPrivate   []string `toml:"sms_private"`   // host names that may lead into a private network

	PushPrivate []string `toml:"push_private"` // host names of services that may be in a private network

	RecoveryWait duration `toml:"recovery_wait"` // of a recovery with one proof alone; default 24h

	// Terminal gets the messages of a server that this machine alone can reach,
	// where neither mail nor SMS is configured; nil for nobody.
	Terminal io.Writer `toml:"-"`

	// Stretch is how new passwords are stretched; see Options.
	Stretch opaque.Stretch `toml:"-"`
}

// ReadConfig reads a file; an empty name is the zero Config.
func ReadConfig(file string) (Config, error) {
	var c Config
	if file == "" {
		return c, nil
	}
	if _, err := os.Stat(file); err != nil {
		return c, fmt.Errorf("configuration %s: %w", file, err)
	}
	meta, err := toml.DecodeFile(file, &c)
	if err != nil {
		return c, fmt.Errorf("configuration %s: %w", file, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return c, fmt.Errorf("configuration %s: unknown key %q: the keys are listen, url, data, store, store_password, store_connections, master_key, certificate, key, acme, acme_email, proxy, metrics, smtp, smtp_user, smtp_password, mail_from, sms, sms_secret, sms_private, push_private, recovery_wait", file, unknown[0])
	}
	return c, nil
}

// Complete fills what was left out and refuses what is unsafe: plain HTTP is
// for loopback only; any other address needs a certificate of its own, ACME,
// or the word that a named proxy does it.
func (c Config) Complete() (Config, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:4001"
	}
	if c.Data == "" {
		c.Data = "data"
	}
	switch shared := c.Shared(); {
	case !shared && c.Store != "":
		return c, errors.New("store: want an address such as postgres://readmit@db.example.org/readmit, or none for the embedded store in data")
	case shared && c.MasterKey == "":
		return c, errors.New("a store that nodes share needs master_key: make it once with: readmit admin key new FILE, copy the file to every node, and name it in each one's configuration")
	case !shared && (c.MasterKey != "" || c.Password != "" || c.Connections != 0):
		return c, errors.New("master_key, store_password and store_connections are for a store that nodes share: set store, or leave them out")
	case c.Connections < 0 || c.Connections > 1000:
		return c, fmt.Errorf("store_connections %d: want 1 to 1000; the database's max_connections is for all nodes together", c.Connections)
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("listen %q: want host:port, such as 127.0.0.1:4001", c.Listen)
	}
	if (c.Certificate == "") != (c.Key == "") {
		return c, errors.New("certificate and key belong together: give both or neither")
	}
	if w := time.Duration(c.RecoveryWait); w != 0 && (w < recovery.MinWait || w > recovery.MaxWait) {
		return c, fmt.Errorf("recovery_wait %s: want %s to %s, such as 24h: it is the time in which an owner can stop what is not theirs", w, recovery.MinWait, recovery.MaxWait)
	}
	if c.Certificate != "" && len(c.ACME) > 0 {
		return c, errors.New("certificate and acme exclude each other: keep one")
	}
	if c.Proxy != "" {
		if _, err := netip.ParseAddr(c.Proxy); err != nil {
			return c, fmt.Errorf("proxy %q: want the proxy's IP address", c.Proxy)
		}
	}
	if c.Metrics != "" && !IsLoopback(c.Metrics) {
		return c, fmt.Errorf("metrics %q: only a loopback address, such as 127.0.0.1:4002", c.Metrics)
	}
	if _, err := c.outgoing(); err != nil {
		return c, err
	}
	if !c.TLS() && !IsLoopback(c.Listen) && c.Proxy == "" {
		return c, fmt.Errorf("listen %s is not loopback, so it needs TLS: set certificate and key, or acme, or proxy to the address of the proxy that speaks TLS in front of it", c.Listen)
	}
	if c.URL == "" {
		if !IsLoopback(c.Listen) {
			return c, errors.New("set url to the public address, such as https://id.example.org: a server that is not on loopback cannot know it")
		}
		scheme := "http"
		if c.TLS() {
			scheme = "https"
		}
		c.URL = scheme + "://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return c, fmt.Errorf("url %q: want scheme and host alone, such as https://id.example.org", c.URL)
	}
	if u.Scheme == "http" && !IsLoopback(u.Host) && !IsLoopback(u.Host+":80") {
		return c, fmt.Errorf("url %q: http is for loopback only; want https", c.URL)
	}
	c.URL = u.Scheme + "://" + strings.ToLower(u.Host)
	return c, nil
}

// Shared reports whether the store is one that several nodes can have.
func (c Config) Shared() bool {
	return strings.HasPrefix(c.Store, "postgres://") || strings.HasPrefix(c.Store, "postgresql://")
}

// TLS reports whether the server itself speaks TLS.
func (c Config) TLS() bool { return c.Certificate != "" || len(c.ACME) > 0 }

// Open reports whether sign-up needs no invitation: only a server that
// loopback alone can reach, by listening and by name.
func (c Config) Open() bool {
	u, err := url.Parse(c.URL)
	return err == nil && IsLoopback(c.Listen) && c.Proxy == "" && (IsLoopback(u.Host) || IsLoopback(u.Host+":0"))
}

// IsLoopback reports whether host:port can only be reached from this machine.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// duration is a length of time in a configuration file, such as "24h".
type duration time.Duration

// UnmarshalText reads it as time.ParseDuration does.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}
