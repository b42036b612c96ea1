// Command service keeps notes for the accounts of a Readmit server: an example
// of a service that checks tokens and follows signals with package verify.
//
//	GET  /notes   the account's notes
//	POST /notes   adds one: text, 1,000 octets at most
//	GET  /healthz the process answers
//	GET  /status  how well the signals are followed; on loopback only
//	POST /signals where signals are pushed to, with --push
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"readmit.dev/readmit/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stderr)
	var usage usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &usage):
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// usageError is about what was typed.
type usageError struct{ error }

// read is how the program was called.
func read(args []string, stderr io.Writer) (c verify.Config, listen string, err error) {
	f := flag.NewFlagSet("service", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.Issuer, "issuer", "", "the account server's public `address`")
	f.StringVar(&c.Audience, "audience", "", "this service's public `address`, as it was registered")
	secret := f.String("secret-file", "", "the `file` with the service's credentials (mode 0600)")
	f.StringVar(&listen, "listen", "127.0.0.1:7001", "`host:port`")
	push := f.Bool("push", false, "signals are pushed to /signals; else they are polled")
	f.IntVar(&c.Entries, "entries", 0, "`how many` accounts and sessions are remembered at most (0: 262144)")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return c, "", err
		}
		return c, "", usageError{err}
	}
	switch {
	case f.NArg() > 0:
		return c, "", usageError{fmt.Errorf("%q: there are only flags", f.Arg(0))}
	case *secret == "":
		return c, "", usageError{errors.New("--secret-file is missing: readmit admin service add NAME --secret-file FILE writes one")}
	}
	c.Secret = verify.SecretFile(*secret)
	if *push {
		c.PushToken = verify.PushTokenFile(*secret)
	}
	return c, listen, nil
}

func run(ctx context.Context, args []string, stderr io.Writer) error {
	c, listen, err := read(args, stderr)
	if err != nil {
		return err
	}
	c.Log = slog.New(slog.NewTextHandler(stderr, nil))
	v, err := verify.New(c)
	if err != nil {
		return usageError{err}
	}
	// A file that cannot be read is told now, not with the first call.
	for _, credential := range []func() (string, error){c.Secret, c.PushToken} {
		if credential == nil {
			continue
		}
		if _, err := credential(); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "service: listening on %s\n", l.Addr())
	s := &http.Server{Handler: routes(v, &notes{}), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { v.Run(ctx) })
	all.Go(func() {
		<-ctx.Done()
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		s.Shutdown(ending)
	})
	err = s.Serve(l)
	stop()
	all.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func routes(v *verify.Verifier, n *notes) http.Handler {
	m := http.NewServeMux()
	m.Handle("GET /notes", v.Require(http.HandlerFunc(n.list)))
	m.Handle("POST /notes", v.Require(http.HandlerFunc(n.add)))
	m.Handle("/signals", v.Push())
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	m.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			http.NotFound(w, r)
			return
		}
		answer(w, v.Status())
	})
	return m
}

const (
	maxNote  = 1000 // octets
	maxNotes = 100  // of one account
	// maxAccounts bounds the whole: some 1 GB if everybody wrote all they may.
	maxAccounts = 10_000
)

// notes are kept in memory: they are what is protected here, not the point.
type notes struct {
	mu  sync.Mutex
	all map[string][]string // by account
}

func (n *notes) list(w http.ResponseWriter, r *http.Request) {
	who, ok := verify.FromContext(r.Context())
	if !ok {
		http.Error(w, "nobody", http.StatusInternalServerError)
		return
	}
	n.mu.Lock()
	list := append([]string{}, n.all[who.Account]...)
	n.mu.Unlock()
	answer(w, map[string]any{"notes": list})
}

func (n *notes) add(w http.ResponseWriter, r *http.Request) {
	who, ok := verify.FromContext(r.Context())
	if !ok {
		http.Error(w, "nobody", http.StatusInternalServerError)
		return
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNote))
	if err != nil || !utf8.Valid(b) || strings.TrimSpace(string(b)) == "" {
		http.Error(w, fmt.Sprintf("a note is text of 1 to %d octets", maxNote), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string][]string{}
	}
	if len(n.all[who.Account]) >= maxNotes || len(n.all[who.Account]) == 0 && len(n.all) >= maxAccounts {
		http.Error(w, "there is no room for more notes", http.StatusInsufficientStorage)
		return
	}
	n.all[who.Account] = append(n.all[who.Account], string(b))
	w.WriteHeader(http.StatusCreated)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(v)
}
