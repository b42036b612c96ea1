//go:build unix

package main_test

import (
	"syscall"
	"testing"
	"time"

	"readmit.dev/readmit/verify"
	"readmit.dev/readmit/verify/verifytest"
)

// A process that was stopped hears at once of what happened meanwhile, and
// takes no token that has ended.
func TestStoppedAndContinued(t *testing.T) {
	address := free(t)
	server := newAccountServer(t, "http://"+address)
	p := start(t, server.Issuer(), address, credentials(t))
	jane, ann := verifytest.NewPerson(), verifytest.NewPerson()
	token := server.Token(jane, 1)
	claims := server.Claims(ann, 1)
	claims["exp"] = time.Now().Add(2 * time.Second).Unix()
	short := server.Sign(map[string]any{"typ": "at+jwt"}, claims)
	p.want(jane, token, "", "before")
	p.want(ann, short, "", "before")
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	server.Raise(verifytest.CredentialChange, jane, 2)
	time.Sleep(8 * time.Second) // the two seconds, and the leeway for clocks
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.want(ann, short, verify.Expired, "the first request after it")
	if took := p.refused(jane, token, verify.Stale); took > time.Second {
		t.Errorf("what changed meanwhile is known after %s", took)
	}
	p.want(jane, server.Token(jane, 2), "", "a fresh token")
}

func TestEndsWhenAsked(t *testing.T) {
	address := free(t)
	server := newAccountServer(t, "http://"+address)
	p := start(t, server.Issuer(), address, credentials(t))
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s, with a poll open", took)
	}
}
