package opaque

import (
	"encoding/binary"
)

// preamble binds a run to all that was said in it (RFC 9807 §6.4.1).
func preamble(id identities, ke1, credentialResponse, serverNonce, serverShare []byte) []byte {
	return concat([]byte("OPAQUEv1-"), prefixed(id.context), prefixed(id.client), ke1, prefixed(id.server),
		credentialResponse, serverNonce, serverShare)
}

type akeKeys struct {
	session, serverMAC, clientMAC []byte
}

// deriveKeys makes the keys of a run from its three shared secrets (RFC 9807 §6.4.2).
func deriveKeys(dh1, dh2, dh3 *element, preambleHash []byte) akeKeys {
	prk := extract(dh1.bytes(), dh2.bytes(), dh3.bytes())
	handshake := deriveSecret(prk, "HandshakeSecret", preambleHash)
	return akeKeys{
		session:   deriveSecret(prk, "SessionKey", preambleHash),
		serverMAC: deriveSecret(handshake, "ServerMAC", nil),
		clientMAC: deriveSecret(handshake, "ClientMAC", nil),
	}
}

func deriveSecret(secret []byte, label string, transcript []byte) []byte {
	label = "OPAQUE-" + label
	info := binary.BigEndian.AppendUint16(nil, hashSize)
	info = append(info, byte(len(label)))
	info = append(info, label...)
	info = append(info, byte(len(transcript)))
	info = append(info, transcript...)
	return expand(secret, hashSize, info)
}
