package recovery

import (
	"math/big"
	"strings"
)

// alphabet is Crockford's: what is read aloud or typed from paper has no I, L,
// O or U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// spell writes bytes as groups of four, five bits each. The number of bits is a
// multiple of five.
func spell(b []byte) string {
	n := new(big.Int).SetBytes(b)
	size := len(b) * 8 / 5
	digits := make([]byte, size)
	base, rest := big.NewInt(32), new(big.Int)
	for i := size - 1; i >= 0; i-- {
		n.DivMod(n, base, rest)
		digits[i] = alphabet[rest.Int64()]
	}
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(d)
	}
	return out.String()
}

// plain is what was typed without what does not matter in it.
func plain(typed string) string {
	return strings.NewReplacer(" ", "", "-", "", "I", "1", "L", "1", "O", "0").Replace(strings.ToUpper(strings.TrimSpace(typed)))
}

// unspell reads what spell wrote, as people type it.
func unspell(typed string, size int) ([]byte, bool) {
	t := plain(typed)
	if len(t) != size*8/5 || strings.Trim(t, alphabet) != "" {
		return nil, false
	}
	n := new(big.Int)
	for _, r := range t {
		n.Lsh(n, 5).Or(n, big.NewInt(int64(strings.IndexRune(alphabet, r))))
	}
	return n.FillBytes(make([]byte, size)), true
}
