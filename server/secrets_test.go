package server_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"readmit.dev/readmit/api"
	"readmit.dev/readmit/opaque"
)

// forms are the ways in which a secret could have been written down: as it is,
// in hex, and in both alphabets of base 64 at each of the three places at which
// it can begin within what was encoded.
func forms(secret []byte) [][]byte {
	out := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret)))}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			padded := append(make([]byte, shift), secret...)
			text := e.EncodeToString(padded[:len(padded)-len(padded)%3])
			// Fewer than eight characters are found anywhere by chance.
			if text = text[(shift+2)/3*4:]; len(text) >= 8 {
				out = append(out, []byte(text))
			}
		}
	}
	return out
}

func writtenDown(in []byte, secret []byte) bool {
	for _, f := range forms(secret) {
		if bytes.Contains(in, f) {
			return true
		}
	}
	return false
}

// files reads all of the data folder but the master key, which has a file of
// its own.
func (w *world) files() map[string][]byte {
	w.t.Helper()
	out := map[string][]byte{}
	must(w.t, filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "master.key" {
			return err
		}
		out[d.Name()], err = os.ReadFile(path)
		return err
	}))
	return out
}

func TestFormsAreFound(t *testing.T) {
	secret := []byte("a secret of some length")
	for _, before := range []string{"", "x", "xy", "xyz"} {
		whole := []byte(before + string(secret) + "and more")
		for what, in := range map[string]string{
			"raw": string(whole), "hex": hex.EncodeToString(whole),
			"base64": base64.StdEncoding.EncodeToString(whole), "base64url": base64.RawURLEncoding.EncodeToString(whole),
		} {
			if !writtenDown([]byte(in), secret) {
				t.Errorf("%s after %q is not found", what, before)
			}
		}
	}
}

// TestSecretsStayHome plays everything once, with secrets that can be searched
// for, and searches for them in all that the server leaves behind.
func TestSecretsStayHome(t *testing.T) {
	const changed, mistyped = "planted: the second password", "planted: a password typed as the account"
	w := newWorld(t)
	secrets := map[string][]byte{"password": []byte(password), "new password": []byte(changed), "password as identifier": []byte(mistyped)}
	plant := func(what, s string) { secrets[what] = []byte(s) }

	laptop := w.enrolled(jane, "laptop")
	plant("code secret", string(laptop.in.CodeSecret))
	plant("first access token", laptop.in.AccessToken)
	encoded, err := laptop.key.MarshalPEM()
	must(t, err)
	plant("device key, PEM", string(encoded))
	block, _ := pem.Decode(encoded)
	plant("device key, DER", string(block.Bytes))
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	scalar, err := parsed.(interface{ Bytes() ([]byte, error) }).Bytes()
	must(t, err)
	plant("device key, number", string(scalar))

	try, p := laptop.start(jane, password)
	wantCode(t, "start", p, 0)
	rp, err := try.login.Stretched(try.started.KE2, cheap)
	must(t, err)
	ke3, sessionKey, exportKey, err := try.login.FinishWith(try.started.KE2, rp)
	must(t, err)
	plant("stretched password", string(rp))
	plant("session key of the exchange", string(sessionKey))
	plant("export key", string(exportKey))
	plant("proof of the password", string(ke3))
	_, p = try.finishWith(ke3)
	wantCode(t, "finish", p, 0)

	stranger := w.machine("stranger")
	stranger.fail(jane)
	stranger.fail(mistyped)
	stranger.fail("nobody@example.org")
	var pass api.Pass
	wantCode(t, "pass", laptop.call(api.PathPass, laptop.signed(), &pass), 0)
	plant("pass", pass.Pass)
	plant("pass without hyphens", strings.ReplaceAll(pass.Pass, "-", ""))
	phone := w.machine("phone")
	need := phone.needCode(jane, password, pass.Pass)
	shown := laptop.allow(need).Code
	wrong := laptop.wrongCode(shown)
	plant("code", shown)
	refusedWith(t, phone.code(need, wrong))
	wantCode(t, "code", phone.code(need, shown), 0)
	plant("code secret of the phone", string(phone.in.CodeSecret))
	plant("access token of the phone", phone.in.AccessToken)
	plant("signature of a token", phone.in.AccessToken[strings.LastIndexByte(phone.in.AccessToken, '.')+1:])
	tablet := w.machine("tablet")
	byHand := laptop.offline()
	plant("code by hand", byHand)
	wantCode(t, "code by hand", tablet.code(tablet.needCode(jane, password, ""), byHand), 0)
	var invitation api.AdminInvitation
	for _, account := range []string{jane, "new@example.org"} {
		if p := w.operator(api.AdminInvite, api.AdminAccount{Account: account}, &invitation); p != nil {
			t.Fatal(p)
		}
		plant("invitation of "+account, invitation.Invitation)
	}
	w.clock.advance(time.Minute)
	if _, p := laptop.changePassword(jane, password, changed); p != nil {
		t.Fatal(p)
	}
	refusedWith(t, phone.refresh())
	thief := w.machine("thief")
	thief.in = laptop.in
	laptop.explain(refusedWith(t, thief.refresh()), true)
	proof := laptop.sign(api.PathToken, []byte(`{`)).Header.Get(api.HeaderProof)
	plant("a device's signature", proof[strings.LastIndexByte(proof, '.')+1:])
	w.serve(w.public, request(api.PathToken, proof, []byte(`{`)))
	w.store.failing.Store(true)
	wantCode(t, "pass on a full disk", laptop.call(api.PathPass, laptop.signed(), nil), api.Unavailable)
	_, p = laptop.start(jane, changed)
	wantCode(t, "sign-in on a full disk", p, api.Unavailable)
	w.store.failing.Store(false)
	w.serve(w.public, request(api.PathSignInStart, proof, []byte(password)))
	wantCode(t, "a pass as code", phone.call(api.PathSignInCode, api.SignInCode{Attempt: need.Attempt, Code: pass.Pass}, nil), api.BadRequest)
	wantCode(t, "a bad finish", laptop.call(api.PathSignInFinish, api.SignInFinish{State: []byte(password), KE3: opaque.DecoyKE3()}, nil), api.BadRequest)

	oprf, key := w.keys.OPAQUE()
	plant("OPRF seed", string(oprf[:]))
	plant("OPAQUE key", string(key[:]))
	plant("key of all codes", string(w.keys.Code()))
	signing, err := w.keys.Signing()[0].Key.Bytes()
	must(t, err)
	plant("signing key", string(signing))
	must(t, w.server.Flush(context.Background()))

	search := func(when string) {
		t.Helper()
		places := w.files()
		if !bytes.Contains(bytes.Join([][]byte{places["readmit.db"], places["readmit.db-wal"]}, nil), []byte("laptop")) {
			t.Fatalf("%s: the search finds nothing at all", when)
		}
		places["the log"], places["the errors"] = w.logs.bytes(), w.errors.bytes()
		for place, in := range places {
			for what, secret := range secrets {
				if writtenDown(in, secret) {
					t.Errorf("%s: %s is in %s", when, what, place)
				}
			}
		}
	}
	search("running")
	w.restart()
	search("restarted")
	if !bytes.Contains(w.logs.bytes(), []byte("store unavailable")) || len(w.errors.bytes()) == 0 {
		t.Error("the log or the errors were not searched")
	}
}
