package main

import (
	"testing"

	"readmit.dev/readmit/device"
)

// What the generator writes by hand is what devices sign.
func TestProofs(t *testing.T) {
	k, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	const url = "http://127.0.0.1:4001/v1/token"
	p, err := k.prove(url, "a nonce", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := device.Verify(string(p), device.Expectation{Method: "POST", URL: url, Body: []byte("{}")}); err != nil || seen.Nonce != "a nonce" {
		t.Errorf("%+v, %v", seen, err)
	}
	if p, err = k.proveToken(url, "a.b.c"); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Verify(string(p), device.Expectation{Method: "GET", URL: url, Token: "a.b.c", LaterBody: true}); err != nil {
		t.Error(err)
	}
}
