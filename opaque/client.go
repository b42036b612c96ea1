package opaque

import (
	"crypto/rand"
	"crypto/subtle"
)

// Registration is a client's making of a record.
type Registration struct {
	password []byte
	blind    *number
	nonce    []byte // of the envelope
	id       identities
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomNumber() *number {
	for {
		if n := uniformNumber(randomBytes(64)); !n.zero() {
			return n
		}
	}
}

// StartRegistration blinds a password; the request goes to the server.
func StartRegistration(password []byte) (*Registration, []byte, error) {
	r := &Registration{password: password, blind: randomNumber(), nonce: randomBytes(nonceSize)}
	request, err := blindElement(password, r.blind)
	return r, request, err
}

// Finish makes the record from the server's response. The export key is known
// to the client alone (RFC 9807 §5.2.3).
func (r *Registration) Finish(response []byte, stretch Stretch) (record, exportKey []byte, err error) {
	return r.finish(response, stretch.apply)
}

func (r *Registration) finish(response []byte, stretch func([]byte) ([]byte, error)) (record, exportKey []byte, err error) {
	rp, err := r.stretched(response, stretch)
	if err != nil {
		return nil, nil, err
	}
	return r.FinishWith(response, rp)
}

// Stretched is the randomized password, the same as that of each Login until
// the password is changed.
func (r *Registration) Stretched(response []byte, stretch Stretch) ([]byte, error) {
	return r.stretched(response, stretch.apply)
}

func (r *Registration) stretched(response []byte, stretch func([]byte) ([]byte, error)) ([]byte, error) {
	if len(response) != ResponseSize {
		return nil, ErrMalformed
	}
	evaluated, err := decodeElement(response[:elementSize])
	if err != nil {
		return nil, err
	}
	return randomized(r.password, r.blind, evaluated, stretch)
}

// FinishWith is Finish with a randomized password that is known already.
func (r *Registration) FinishWith(response, rp []byte) (record, exportKey []byte, err error) {
	if len(response) != ResponseSize {
		return nil, nil, ErrMalformed
	}
	serverKey := response[elementSize:]
	if _, err := decodeElement(serverKey); err != nil {
		return nil, nil, err
	}
	e := openEnvelope(rp, r.nonce, serverKey, r.id)
	return concat(e.public, e.maskingKey, r.nonce, e.tag), e.exportKey, nil
}

// randomized is the randomized password (RFC 9807 §5.2.3, §6.3.2.3).
func randomized(password []byte, blind *number, evaluated *element, stretch func([]byte) ([]byte, error)) ([]byte, error) {
	y := finalize(password, blind, evaluated)
	stretched, err := stretch(y)
	if err != nil {
		return nil, err
	}
	return extract(y, stretched), nil
}

// envelope is what a randomized password and a nonce lead to (RFC 9807 §4.1).
type envelope struct {
	private                            *number
	public, maskingKey, tag, exportKey []byte
	id                                 identities
}

func openEnvelope(rp, nonce, serverKey []byte, id identities) envelope {
	e := envelope{maskingKey: expand(rp, hashSize, []byte("MaskingKey"))}
	authKey := expand(rp, hashSize, nonce, []byte("AuthKey"))
	e.exportKey = expand(rp, hashSize, nonce, []byte("ExportKey"))
	e.private, e.public = deriveDH(expand(rp, 32, nonce, []byte("PrivateKey")))
	e.id = id.or(e.public, serverKey)
	e.tag = mac(authKey, nonce, serverKey, prefixed(e.id.server), prefixed(e.id.client))
	return e
}

// or fills what was left out with the public keys.
func (id identities) or(client, server []byte) identities {
	if id.client == nil {
		id.client = client
	}
	if id.server == nil {
		id.server = server
	}
	return id
}

// Login is a client's proof of a password.
type Login struct {
	password []byte
	blind    *number
	secret   *number // of the client's key share
	ke1      []byte
	id       identities
}

// StartLogin makes the first message.
func StartLogin(password []byte) (*Login, []byte, error) {
	return startLogin(password, randomNumber(), randomBytes(nonceSize), randomBytes(32), identities{})
}

func startLogin(password []byte, blind *number, nonce, seed []byte, id identities) (*Login, []byte, error) {
	blinded, err := blindElement(password, blind)
	if err != nil {
		return nil, nil, err
	}
	secret, share := deriveDH(seed)
	l := &Login{password: password, blind: blind, secret: secret, ke1: concat(blinded, nonce, share), id: id}
	return l, l.ke1, nil
}

// Stretched is the randomized password: all of the client's work that takes
// long. It stays the same for an account until its password is changed.
func (l *Login) Stretched(ke2 []byte, stretch Stretch) ([]byte, error) {
	return l.stretched(ke2, stretch.apply)
}

func (l *Login) stretched(ke2 []byte, stretch func([]byte) ([]byte, error)) ([]byte, error) {
	if len(ke2) != KE2Size {
		return nil, ErrMalformed
	}
	evaluated, err := decodeElement(ke2[:elementSize])
	if err != nil {
		return nil, err
	}
	return randomized(l.password, l.blind, evaluated, stretch)
}

// Finish makes the last message. It returns ErrCredentials when the server's
// answer does not open; the server is then sent DecoyKE3.
func (l *Login) Finish(ke2 []byte, stretch Stretch) (ke3, sessionKey, exportKey []byte, err error) {
	rp, err := l.Stretched(ke2, stretch)
	if err != nil {
		return nil, nil, nil, err
	}
	return l.FinishWith(ke2, rp)
}

// FinishWith is Finish with a randomized password that is known already.
func (l *Login) FinishWith(ke2, rp []byte) (ke3, sessionKey, exportKey []byte, err error) {
	if len(ke2) != KE2Size {
		return nil, nil, nil, ErrMalformed
	}
	response, serverNonce, serverShare, serverMAC := ke2[:192], ke2[192:224], ke2[224:256], ke2[256:]
	share, err := decodeElement(serverShare)
	if err != nil {
		return nil, nil, nil, err
	}
	maskingNonce, masked := response[32:64], response[64:]
	pad := expand(expand(rp, hashSize, []byte("MaskingKey")), elementSize+envelopeSize, maskingNonce, []byte("CredentialResponsePad"))
	plain := make([]byte, len(masked))
	subtle.XORBytes(plain, pad, masked)
	serverKey, nonce, tag := plain[:elementSize], plain[elementSize:elementSize+nonceSize], plain[elementSize+nonceSize:]
	e := openEnvelope(rp, nonce, serverKey, l.id)
	public, err := decodeElement(serverKey)
	if err != nil || subtle.ConstantTimeCompare(e.tag, tag) != 1 {
		return nil, nil, nil, ErrCredentials
	}
	e.id.context = l.id.context
	p := preamble(e.id, l.ke1, response, serverNonce, serverShare)
	k := deriveKeys(mult(l.secret, share), mult(l.secret, public), mult(e.private, share), hash(p))
	if subtle.ConstantTimeCompare(mac(k.serverMAC, hash(p)), serverMAC) != 1 {
		return nil, nil, nil, ErrCredentials
	}
	return mac(k.clientMAC, hash(p, serverMAC)), k.session, e.exportKey, nil
}

// DecoyKE3 is what a client sends that could not open the answer, so that it
// gets its incident: random bytes, which prove nothing.
func DecoyKE3() []byte { return randomBytes(KE3Size) }
