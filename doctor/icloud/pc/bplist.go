package pc

import "encoding/binary"

// A binary property list is eight bytes of name, the objects, a table of where
// they begin, and 32 bytes at the end that say how wide numbers are and where
// the table is.
const (
	binaryName    = "bplist00"
	binaryTrailer = 32
)

// maxObjects is far above what these files hold.
const maxObjects = 10_000

// apart reports whether a binary list's objects can lie beside each other, as
// whoever wrote it laid them. In a damaged one they can lie over each other, a
// thousand lists on the same bytes, and a reader that copies each is never done.
func apart(b []byte) bool {
	if len(b) < len(binaryName)+binaryTrailer {
		return false
	}
	end := b[len(b)-binaryTrailer:]
	wide, ref := uint64(end[6]), uint64(end[7])
	objects, table := binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[24:])
	body := uint64(len(b) - binaryTrailer)
	if wide < 1 || wide > 8 || ref < 1 || ref > 8 || objects > maxObjects || table > body || objects*wide > body-table {
		return false
	}
	left := body
	for i := range objects {
		size, ok := objectSize(b[:body], number(b[table+i*wide:][:wide]), ref)
		if !ok || size > left {
			return false
		}
		left -= size
	}
	return true
}

// objectSize is how many bytes an object takes, with what it refers to left out.
func objectSize(b []byte, at, ref uint64) (uint64, bool) {
	if at >= uint64(len(b)) {
		return 0, false
	}
	kind, count := b[at]>>4, uint64(b[at]&0xf)
	size := uint64(1)
	switch kind {
	case 0x0: // true, false, nothing
		return size, true
	case 0x1, 0x2, 0x3: // numbers and dates
		return size + 1<<min(count, 4), true
	case 0x8: // references by number
		return size + count + 1, true
	}
	if count == 0xf { // the count follows, as a number of its own
		if at+1 >= uint64(len(b)) || b[at+1]>>4 != 0x1 {
			return 0, false
		}
		n := uint64(1) << min(b[at+1]&0xf, 4)
		if n > 8 || at+2+n > uint64(len(b)) {
			return 0, false
		}
		count, size = number(b[at+2:][:n]), size+1+n
	}
	if count > uint64(len(b)) {
		return 0, false
	}
	switch kind {
	case 0x4, 0x5: // data, ASCII
		return size + count, true
	case 0x6: // UTF-16
		return size + 2*count, true
	case 0xa, 0xc: // arrays, sets
		return size + count*ref, true
	case 0xd: // dictionaries
		return size + 2*count*ref, true
	}
	return 0, false
}

func number(b []byte) uint64 {
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
