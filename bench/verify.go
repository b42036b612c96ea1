package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"readmit.dev/readmit/device"
	"readmit.dev/readmit/verify"
	"readmit.dev/readmit/verify/verifytest"
)

const (
	// checks is how many requests a run checks, of each kind.
	checks = 2000
	// checkLimit is what one may cost, in milliseconds.
	checkLimit = 0.2
	// audience is the service that the tokens are for. Nothing listens there.
	audience = "https://notes.example.org"
)

// partVerify measures what a service pays for a check: package verify in this
// process, one request after the other, with the keys of an account server that
// it follows.
func (b *bench) partVerify() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	issuer := verifytest.New("http://"+l.Addr().String(), audience)
	h := &http.Server{Handler: issuer, ReadHeaderTimeout: 5 * time.Second}
	go h.Serve(l)
	defer h.Close()
	v, err := verify.New(verify.Config{Issuer: issuer.Issuer(), Audience: audience, Secret: func() (string, error) { return verifytest.Secret, nil }})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		v.Run(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for began := time.Now(); !v.Status().Ready; time.Sleep(10 * time.Millisecond) {
		if s := v.Status(); time.Since(began) > 30*time.Second {
			return fmt.Errorf("the service is not ready after half a minute: %s", s.Error)
		}
	}
	for _, kind := range []struct {
		what string
		of   int // requests with one token
	}{{"a check in a service, token seen before", checks + 1}, {"a check in a service, token and device not seen before", 1}} {
		type run struct{ middle, most float64 }
		var runs []run
		for range b.runs {
			took, err := timeChecks(ctx, v, issuer, kind.of)
			if err != nil {
				return err
			}
			slices.Sort(took)
			runs = append(runs, run{took[len(took)/2], took[len(took)*99/100]})
		}
		slices.SortFunc(runs, func(a, b run) int {
			if a.middle < b.middle {
				return -1
			}
			return 1
		})
		middle := runs[len(runs)/2]
		b.below(kind.what, checkLimit, middle.middle, "ms", fmt.Sprintf("the one in the middle of %d; 99 %% below %.2f ms", checks, middle.most))
	}
	return nil
}

// timeChecks checks requests with good tokens and proofs, so many with each
// token. It returns milliseconds. Where there are several with one, the first
// is not counted.
func timeChecks(ctx context.Context, v *verify.Verifier, issuer *verifytest.Server, perToken int) ([]float64, error) {
	var all []verify.Request
	for len(all) < checks {
		p := verifytest.NewPerson()
		token := issuer.Token(p, 1)
		for range perToken {
			url := audience + "/notes"
			proof, err := p.Key.Sign(device.Request{Method: http.MethodGet, URL: url, Token: token, Time: time.Now()})
			if err != nil {
				return nil, err
			}
			all = append(all, verify.Request{Token: token, Proof: proof, Method: http.MethodGet, URL: url})
		}
	}
	took := make([]float64, 0, len(all))
	for i, r := range all {
		began := time.Now()
		who, err := v.Check(ctx, r)
		d := time.Since(began)
		if err != nil {
			return nil, err
		}
		if who.Account == "" {
			return nil, errors.New("a check passed and does not say who it is")
		}
		if i > 0 || perToken == 1 {
			took = append(took, float64(d.Nanoseconds())/1e6)
		}
	}
	return took, nil
}
