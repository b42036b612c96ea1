package opaque

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The other implementation: opaque-ke in Rust, compiled for Node, with its own
// group, hash and Argon2 code.
const peerDir = "../testdata/opaque-peer"

type peer struct {
	in  io.Writer
	out *bufio.Reader
}

// startPeer fails where the peer is not installed: a test of interoperation
// that is left out unseen is worth nothing.
func startPeer(t *testing.T) *peer {
	t.Helper()
	// Looking at every file that decides the outcome also keeps `go test` from
	// answering out of its cache when one of them changes.
	for _, name := range []string{"peer.mjs", "package-lock.json", "node_modules/@serenity-kit/opaque/package.json"} {
		if _, err := os.Stat(filepath.Join(peerDir, name)); err != nil {
			t.Fatalf("the OPAQUE peer is not installed; `make test` installs it (%v)", err)
		}
	}
	// Stretching in WebAssembly takes below a second; a peer that says nothing
	// for this long has died or was asked wrongly.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	cmd := exec.CommandContext(ctx, "node", "peer.mjs")
	cmd.Dir = peerDir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the OPAQUE peer needs Node 20 or later: %v", err)
	}
	t.Cleanup(func() {
		defer cancel()
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the OPAQUE peer: %v\n%s", err, stderr.Bytes())
		}
	})
	return &peer{in: in, out: bufio.NewReader(out)}
}

type args map[string]any

// ask leaves result as it is where the peer returns undefined.
func (p *peer) ask(call string, a args, result any) error {
	line, err := json.Marshal(map[string]any{"call": call, "args": a})
	if err != nil {
		return err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return err
	}
	line, err = p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: no answer: %w", call, err)
	}
	var answer struct {
		Result json.RawMessage
		Error  string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%s: %s", call, answer.Error)
	}
	return json.Unmarshal(answer.Result, result)
}

// get is ask for calls that have to answer with named strings.
func (p *peer) get(t *testing.T, call string, a args) map[string]string {
	t.Helper()
	var result map[string]string
	if err := p.ask(call, a, &result); err != nil {
		t.Fatal(err)
	}
	if result == nil {
		t.Fatalf("%s: undefined", call)
	}
	return result
}

func (p *peer) setup(t *testing.T) string {
	t.Helper()
	var s string
	if err := p.ask("server.createSetup", nil, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func binaryOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The peer's own default happens to be the same; it is spelled out so that
// neither side's default can hide a difference.
var (
	interopStretch = Stretch{Memory: 65536, Time: 3, Threads: 4}
	peerStretch    = map[string]any{"argon2id-custom": map[string]int{"iterations": 3, "memory": 65536, "parallelism": 4}}
)

// The peer wants credential identifiers in UTF-8.
const interopID = "jo@example.com"

const (
	rightPassword = "correct horse battery staple"
	wrongPassword = "correct horse battery stable"
)

// peerRegisters makes a record with the peer's client at our server.
func peerRegisters(t *testing.T, p *peer, s *Server) (record []byte, exportKey string) {
	t.Helper()
	start := p.get(t, "client.startRegistration", args{"password": rightPassword})
	response, err := s.Register(binaryOf(t, start["registrationRequest"]), []byte(interopID))
	if err != nil {
		t.Fatal(err)
	}
	end := p.get(t, "client.finishRegistration", args{
		"password": rightPassword, "clientRegistrationState": start["clientRegistrationState"],
		"registrationResponse": text(response), "keyStretching": peerStretch,
	})
	if end["serverStaticPublicKey"] != text(s.PublicKey()) {
		t.Error("the peer's client took another public key of our server")
	}
	record = binaryOf(t, end["registrationRecord"])
	if err := CheckRecord(record); err != nil {
		t.Fatal(err)
	}
	return record, end["exportKey"]
}

// peerLogsIn is nil where the peer's client refuses our server's answer.
func peerLogsIn(t *testing.T, p *peer, s *Server, record []byte, password string) (map[string]string, Expected) {
	t.Helper()
	start := p.get(t, "client.startLogin", args{"password": password})
	ke2, expected, err := s.Login(record, binaryOf(t, start["startLoginRequest"]), []byte(interopID))
	if err != nil {
		t.Fatal(err)
	}
	var end map[string]string
	err = p.ask("client.finishLogin", args{
		"password": password, "clientLoginState": start["clientLoginState"],
		"loginResponse": text(ke2), "keyStretching": peerStretch,
	}, &end)
	if err != nil {
		t.Fatal(err)
	}
	return end, expected
}

func TestInteropTheirClient(t *testing.T) {
	p, s := startPeer(t), testServer(t)
	record, exportKey := peerRegisters(t, p, s)

	end, expected := peerLogsIn(t, p, s, record, rightPassword)
	if end == nil {
		t.Fatal("the peer's client refuses the right password")
	}
	if !expected.Verify(binaryOf(t, end["finishLoginRequest"])) {
		t.Error("our server does not verify the peer's KE3")
	}
	if end["sessionKey"] != text(expected.SessionKey[:]) {
		t.Error("the session keys differ")
	}
	if end["exportKey"] != exportKey {
		t.Error("the export key of the login is not that of the registration")
	}

	if end, _ := peerLogsIn(t, p, s, record, wrongPassword); end != nil {
		t.Error("the peer's client takes the wrong password")
	}
	if end, _ := peerLogsIn(t, p, s, nil, rightPassword); end != nil {
		t.Error("the peer's client opens a stand-in")
	}
}

// registersAt makes a record with our client at the peer's server.
func registersAt(t *testing.T, p *peer, setup string) (record, exportKey []byte) {
	t.Helper()
	r, request, err := StartRegistration([]byte(rightPassword))
	if err != nil {
		t.Fatal(err)
	}
	response := p.get(t, "server.createRegistrationResponse", args{
		"serverSetup": setup, "userIdentifier": interopID, "registrationRequest": text(request),
	})
	record, exportKey, err = r.Finish(binaryOf(t, response["registrationResponse"]), interopStretch)
	if err != nil {
		t.Fatal(err)
	}
	return record, exportKey
}

type finished struct {
	ke3, session, export []byte
	err                  error
	serverState          string
}

// logsInAt logs our client in at the peer's server; record may be nil.
func logsInAt(t *testing.T, p *peer, setup string, record any, password string) finished {
	t.Helper()
	l, ke1, err := StartLogin([]byte(password))
	if err != nil {
		t.Fatal(err)
	}
	start := p.get(t, "server.startLogin", args{
		"serverSetup": setup, "registrationRecord": record, "startLoginRequest": text(ke1), "userIdentifier": interopID,
	})
	f := finished{serverState: start["serverLoginState"]}
	f.ke3, f.session, f.export, f.err = l.Finish(binaryOf(t, start["loginResponse"]), interopStretch)
	return f
}

func TestInteropTheirServer(t *testing.T) {
	p := startPeer(t)
	setup := p.setup(t)
	record, exportKey := registersAt(t, p, setup)

	f := logsInAt(t, p, setup, text(record), rightPassword)
	if f.err != nil {
		t.Fatalf("our client refuses the right password: %v", f.err)
	}
	end := p.get(t, "server.finishLogin", args{"serverLoginState": f.serverState, "finishLoginRequest": text(f.ke3)})
	if end["sessionKey"] != text(f.session) {
		t.Error("the session keys differ")
	}
	if !bytes.Equal(f.export, exportKey) {
		t.Error("the export key of the login is not that of the registration")
	}

	f = logsInAt(t, p, setup, text(record), wrongPassword)
	if !errors.Is(f.err, ErrCredentials) {
		t.Errorf("wrong password: %v, want ErrCredentials", f.err)
	}
	err := p.ask("server.finishLogin", args{"serverLoginState": f.serverState, "finishLoginRequest": text(DecoyKE3())}, &end)
	if err == nil {
		t.Error("the peer's server takes a decoy")
	}
	if f := logsInAt(t, p, setup, nil, rightPassword); !errors.Is(f.err, ErrCredentials) {
		t.Errorf("no record: %v, want ErrCredentials", f.err)
	}
}

// With the same keys, a record made at one server opens at the other, so
// neither derives an account's key in a way of its own.
func TestInteropSameKeys(t *testing.T) {
	p := startPeer(t)
	setup := binaryOf(t, p.setup(t))
	if len(setup) != 128 {
		t.Fatalf("the peer's setup has %d bytes; want seed, private key and its own stand-in's key, 128", len(setup))
	}
	private := numberOf(setup[64:96])
	s := newServer(setup[:64], private, publicOf(private))

	record, _ := registersAt(t, p, text(setup))
	end, expected := peerLogsIn(t, p, s, record, rightPassword)
	if end == nil {
		t.Fatal("a record made at the peer's server does not open at ours")
	}
	if !expected.Verify(binaryOf(t, end["finishLoginRequest"])) {
		t.Error("our server does not verify the peer's KE3")
	}
	record, _ = peerRegisters(t, p, s)
	if f := logsInAt(t, p, text(setup), text(record), rightPassword); f.err != nil {
		t.Errorf("a record made at our server does not open at the peer's: %v", f.err)
	}
}
