package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// path is what lies between devices and a server that speaks TLS: a relay that
// passes bytes on, or one that opens the connection with a certificate of its
// own, as a company's proxy or a thief does.
type path struct {
	server  string // where the server listens
	config  string // its configuration file
	relay   net.Listener
	foreign tls.Certificate
	open    atomic.Bool // whether the relay opens connections
	wait    sync.WaitGroup
}

// network sets what lies between.
//
//	plain         TLS from device to server; sets $SERVER to https
//	intercepted   somebody answers with a certificate the device does not trust
//	trusted       somebody answers with one that the device was made to trust
func (w *world) network(ts *testscript.TestScript, _ bool, args []string) {
	if w.path == nil {
		p, err := w.newPath()
		ts.Check(err)
		w.path = p
		ts.Setenv("SERVER", "https://"+w.address)
	}
	w.path.open.Store(args[0] != "plain")
	roots := "roots.pem"
	if args[0] == "trusted" {
		roots = "roots-and-foreign.pem"
	}
	ts.Setenv("SSL_CERT_FILE", ts.MkAbs(roots))
}

func (w *world) newPath() (*path, error) {
	ours, ourRoot, err := authority("Readmit test authority")
	if err != nil {
		return nil, err
	}
	foreign, foreignRoot, err := authority("Somebody else's authority")
	if err != nil {
		return nil, err
	}
	p := &path{foreign: foreign}
	if p.server, err = freeAddress(); err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(ours.PrivateKey)
	if err != nil {
		return nil, err
	}
	certificate, err := w.write("server.pem", encode("CERTIFICATE", ours.Certificate[0]))
	if err != nil {
		return nil, err
	}
	private, err := w.write("server-key.pem", encode("PRIVATE KEY", key))
	if err != nil {
		return nil, err
	}
	for name, b := range map[string][]byte{"roots.pem": ourRoot, "roots-and-foreign.pem": append(append([]byte{}, ourRoot...), foreignRoot...)} {
		if _, err := w.write(name, b); err != nil {
			return nil, err
		}
	}
	toml := "url = \"https://" + w.address + "\"\ncertificate = \"" + certificate + "\"\nkey = \"" + private + "\"\n"
	if p.config, err = w.write("readmit.toml", []byte(toml)); err != nil {
		return nil, err
	}
	if p.relay, err = net.Listen("tcp", w.address); err != nil {
		return nil, err
	}
	p.wait.Go(p.run)
	return p, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// authority makes a root and a certificate of it for this machine.
func authority(name string) (tls.Certificate, []byte, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, rootKey)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, encode("CERTIFICATE", rootDER), nil
}

func (p *path) run() {
	for {
		c, err := p.relay.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.pass(c) })
	}
}

// pass connects a device with the server, opening the connection or not.
func (p *path) pass(device net.Conn) {
	defer device.Close()
	var server net.Conn
	var err error
	if p.open.Load() {
		device = tls.Server(device, &tls.Config{Certificates: []tls.Certificate{p.foreign}})
		server, err = tls.Dial("tcp", p.server, &tls.Config{InsecureSkipVerify: true}) // the thief does not care
	} else {
		server, err = net.Dial("tcp", p.server)
	}
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{device, server}, {server, device}} {
		go func() {
			io.Copy(way[0], way[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

func (p *path) close() { p.relay.Close() }
