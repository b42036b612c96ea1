package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/gate"
	"readmit.dev/readmit/keys"
	"readmit.dev/readmit/signal/push"
	"readmit.dev/readmit/store"
)

// How long things may take. A message is small: who needs longer than this to
// send one holds a connection for its own sake.
const (
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second
	writeTime  = 60 * time.Second
	idleTime   = 2 * time.Minute
	stopTime   = 10 * time.Second
	flushEvery = 5 * time.Second
	tendEvery  = time.Hour
	// keptFor is how long ended sessions and expired requests can still explain
	// something: as long as an incident.
	keptFor = 31 * 24 * time.Hour
)

// Listening is a server with its addresses taken, not yet answering.
type Listening struct {
	URL     string
	server  *Server
	keys    *keys.Ring
	store   store.Store
	log     *slog.Logger
	shared  bool // with other nodes
	serving []served
}

type served struct {
	http *http.Server
	on   net.Listener
}

// unanswered takes away a socket that was left by a server that was killed.
func unanswered(path string) error {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("%s: another account server runs on this data folder", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Listen opens the data, takes the addresses and wires the parts together.
// Its errors are for the operator and say what to do.
func Listen(ctx context.Context, c Config, open func(dir string) (store.Store, error), now func() time.Time, log *slog.Logger) (_ *Listening, err error) {
	if err := makeFolder(c.Data); err != nil {
		return nil, fmt.Errorf("data folder %s: %w: choose another with --data, or make it writable", c.Data, err)
	}
	l := &Listening{URL: c.URL, log: log, shared: c.Shared()}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	public, err := net.Listen("tcp", c.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is taken by another program: stop it, or choose another address with --listen", c.Listen)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	l.serve(public, nil)
	master, err := masterKey(c)
	if err != nil {
		return nil, err
	}
	kept, err := open(c.Data)
	if err != nil {
		return nil, err // kept may be a nil of a store's own type, which is no nil store
	}
	l.store = kept
	copied, ok := kept.(Copied)
	if !ok {
		return nil, fmt.Errorf("a store of type %T cannot be backed up", kept)
	}
	openKeys := keys.Open
	if c.Shared() {
		openKeys = keys.OpenShared
	}
	if l.keys, err = openKeys(ctx, l.store, master, now); err != nil {
		return nil, err
	}
	o := Options{URL: c.URL, Open: c.Open(), Stretch: c.Stretch, Store: l.store, Keys: l.keys, Gate: gate.New(now), Log: log, RecoveryWait: time.Duration(c.RecoveryWait), Shared: c.Shared(), Copied: copied}
	if o.Senders, err = c.outgoing(); err != nil {
		return nil, err
	}
	pusher := push.New(c.PushPrivate, nil)
	o.Push, o.PushPlain = pusher, pusher.Plain
	if c.Proxy != "" {
		if o.Proxy, err = netip.ParseAddr(c.Proxy); err != nil {
			return nil, err
		}
	}
	if l.server, err = New(ctx, o); err != nil {
		return nil, err
	}
	l.serving[0].http.Handler = l.server.Handler()
	if err := l.secure(c); err != nil {
		return nil, err
	}
	admin, err := listenAdmin(filepath.Join(c.Data, api.AdminSocket))
	if err != nil {
		return nil, err
	}
	l.serve(admin, l.server.AdminHandler())
	if c.Metrics != "" {
		m, err := net.Listen("tcp", c.Metrics)
		if err != nil {
			return nil, fmt.Errorf("metrics on %s: %w", c.Metrics, err)
		}
		l.serve(m, l.server.metrics.handler())
	}
	return l, nil
}

func (l *Listening) serve(on net.Listener, h http.Handler) {
	l.serving = append(l.serving, served{&http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}, on})
}

// secure puts TLS on the public address, where it is asked for.
func (l *Listening) secure(c Config) error {
	public := &l.serving[0]
	switch {
	case c.Certificate != "":
		pair, err := tls.LoadX509KeyPair(c.Certificate, c.Key)
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		public.on = tls.NewListener(public.on, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"},
		})
	case len(c.ACME) > 0:
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, HostPolicy: autocert.HostWhitelist(c.ACME...), Email: c.ACMEEmail,
			Cache: autocert.DirCache(filepath.Join(c.Data, "acme")),
		}
		config := m.TLSConfig()
		config.MinVersion = tls.VersionTLS12
		public.on = tls.NewListener(public.on, config)
	}
	return nil
}

// Run answers until the context ends, then lets what was begun finish.
func (l *Listening) Run(ctx context.Context) error {
	failed := make(chan error, len(l.serving))
	for _, s := range l.serving {
		go func() {
			if err := s.http.Serve(s.on); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
	}
	l.log.Info("answering", "url", l.URL)
	var tended sync.WaitGroup
	tending, stop := context.WithCancel(ctx)
	tended.Go(func() { l.tend(tending) })
	if l.shared {
		tended.Go(func() { l.follow(tending) })
	}
	tended.Go(func() { l.server.SendMessages(tending) })
	tended.Go(func() { l.server.Follow(tending) })
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop()
	l.log.Info("stopping")
	l.server.watchers.stop()
	tended.Wait()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	for _, s := range l.serving {
		err = errors.Join(err, s.http.Shutdown(ending))
	}
	return errors.Join(err, l.server.Flush(ending), l.store.Close())
}

// tend does what has its time: writing last uses, rotating keys, trimming.
func (l *Listening) tend(ctx context.Context) {
	flush, hourly := time.NewTicker(flushEvery), time.NewTicker(tendEvery)
	defer flush.Stop()
	defer hourly.Stop()
	// Beside the rest: there may be much that is old.
	var trims sync.WaitGroup
	defer trims.Wait()
	var trimming atomic.Bool
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			err = l.server.Flush(ctx)
		case <-hourly.C:
			err = l.keys.Rotate(ctx)
			if trimming.CompareAndSwap(false, true) {
				trims.Go(func() {
					defer trimming.Store(false)
					if err := store.Trim(ctx, l.store, l.server.gate.Now().Add(-keptFor)); err != nil && ctx.Err() == nil {
						l.log.Error("what is old was not deleted to its end; it is tried again", "error", err)
					}
				})
			}
		}
		if err != nil && ctx.Err() == nil {
			l.log.Error("upkeep failed; it is tried again", "error", err)
		}
	}
}

// Close gives everything back when Listen could not finish.
func (l *Listening) Close() {
	for _, s := range l.serving {
		s.on.Close()
	}
	if l.store != nil {
		l.store.Close()
	}
}
