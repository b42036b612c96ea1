package opaque

import (
	"crypto/sha512"
	"crypto/subtle"
)

// Server holds a server's long-lived keys. It is safe for concurrent use.
type Server struct {
	seed     []byte // of all OPRF keys
	private  *number
	public   []byte
	standKey []byte // every stand-in's public key
}

// NewServer derives a server from its two seeds. Both stay the same for as
// long as there are records.
func NewServer(oprfSeed, keySeed [64]byte) (*Server, error) {
	private, public := deriveDH(keySeed[:])
	return newServer(oprfSeed[:], private, public), nil
}

func newServer(seed []byte, private *number, public []byte) *Server {
	// Nobody knows the private key to an element that was hashed to.
	stand := uniformElement(expand(seed, 64, []byte("StandInKey")))
	return &Server{seed: seed, private: private, public: public, standKey: stand.bytes()}
}

// PublicKey is the server's public key, as it stands in every envelope.
func (s *Server) PublicKey() []byte { return append([]byte(nil), s.public...) }

// Register evaluates the blinded password of a new record. It returns
// ErrMalformed.
func (s *Server) Register(request, credentialID []byte) ([]byte, error) {
	if len(request) != RequestSize {
		return nil, ErrMalformed
	}
	blinded, err := decodeElement(request)
	if err != nil {
		return nil, err
	}
	return concat(mult(oprfKey(s.seed, credentialID), blinded).bytes(), s.public), nil
}

// CheckRecord reports, as ErrMalformed, what is not a registration record.
func CheckRecord(record []byte) error {
	if len(record) != RecordSize {
		return ErrMalformed
	}
	_, err := decodeElement(record[:elementSize])
	return err
}

// Expected is what the server keeps between its answer and the client's proof.
type Expected struct {
	ClientMAC  [hashSize]byte
	SessionKey [hashSize]byte
}

// Verify reports whether a KE3 is the proof, in constant time. The zero
// Expected verifies nothing.
func (e Expected) Verify(ke3 []byte) bool {
	return e != Expected{} && subtle.ConstantTimeCompare(e.ClientMAC[:], ke3) == 1
}

// Login answers the first message with the second. Without a record it answers
// from a stand-in that is the same for the same credentialID each time; the
// work is the same either way. It returns ErrMalformed for a ke1 of another
// form, whatever the record, and ErrRecord for a record that is damaged: with
// a stand-in in its place the owner would be told of a wrong password.
func (s *Server) Login(record, ke1, credentialID []byte) ([]byte, Expected, error) {
	return s.login(s.pick(record, credentialID), ke1, credentialID, identities{}, randomBytes(nonceSize), randomBytes(nonceSize), randomBytes(32))
}

// pick copies the record or the stand-in; it makes both. What is of another
// length than a record stays as it is.
func (s *Server) pick(record, credentialID []byte) []byte {
	picked := s.standIn(credentialID)
	real := 1
	switch len(record) {
	case RecordSize:
	case 0:
		record, real = picked, 0
	default:
		return record
	}
	subtle.ConstantTimeCopy(real, picked, record)
	return picked
}

// standIn is the record of an account that does not exist (RFC 9807 §6.3.2.2):
// a public key of which nobody knows the private one, a masking key, and an
// envelope of zeros. The public key never leaves the server, not even under the
// mask, and goes into nothing that a client can check, so one serves all.
func (s *Server) standIn(credentialID []byte) []byte {
	return concat(s.standKey, expand(s.seed, hashSize, credentialID, []byte("StandIn")), make([]byte, envelopeSize))
}

func (s *Server) login(record, ke1, credentialID []byte, id identities, maskingNonce, serverNonce, shareSeed []byte) ([]byte, Expected, error) {
	var out Expected
	if len(ke1) != KE1Size {
		return nil, out, ErrMalformed
	}
	blinded, err := decodeElement(ke1[:32])
	if err != nil {
		return nil, out, err
	}
	clientShare, err := decodeElement(ke1[64:])
	if err != nil {
		return nil, out, err
	}
	if len(record) != RecordSize {
		return nil, out, ErrRecord
	}
	clientKey, maskingKey, env := record[:32], record[32:96], record[96:]
	client, err := decodeElement(clientKey)
	if err != nil {
		return nil, out, ErrRecord
	}
	id = id.or(clientKey, s.public)

	evaluated := mult(oprfKey(s.seed, credentialID), blinded)
	masked := expand(maskingKey, elementSize+envelopeSize, maskingNonce, []byte("CredentialResponsePad"))
	subtle.XORBytes(masked, masked, concat(s.public, env))
	response := concat(evaluated.bytes(), maskingNonce, masked)

	secret, share := deriveDH(shareSeed)
	transcript := sha512.New()
	transcript.Write(preamble(id, ke1, response, serverNonce, share))
	preambleHash := transcript.Sum(nil)
	k := deriveKeys(mult(secret, clientShare), mult(s.private, clientShare), mult(secret, client), preambleHash)
	serverMAC := mac(k.serverMAC, preambleHash)
	transcript.Write(serverMAC)
	copy(out.ClientMAC[:], mac(k.clientMAC, transcript.Sum(nil)))
	copy(out.SessionKey[:], k.session)
	return concat(response, serverNonce, share, serverMAC), out, nil
}
