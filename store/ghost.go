package store

import (
	"crypto/sha256"
	"encoding/binary"
)

// StandKey maps an identifier's key to the key of the ghost that stands in
// where there is no account. Keys are keyed hashes, so nobody outside can tell
// which identifiers share a ghost.
func StandKey(k Key) Key {
	return GhostKey(int(binary.BigEndian.Uint32(k[:4]) % Ghosts))
}

// LaneOf is the lane in which strangers at an identifier are counted. It is
// taken from other bytes than the ghost: who finds out which identifiers share
// the one knows nothing of the other.
func LaneOf(k Key) Lane {
	return Lane(binary.BigEndian.Uint16(k[4:6]) % Lanes)
}

// GhostKey is the key of one of the Ghosts ghosts.
func GhostKey(n int) Key {
	return sha256.Sum256(binary.BigEndian.AppendUint32([]byte("readmit ghost "), uint32(n)))
}
