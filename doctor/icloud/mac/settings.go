package mac

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"

	"howett.net/plist"
)

// settings is what the account list says of the account it holds.
type settings struct {
	word    string // of cause.CheckSettings
	account string // the identifier; never shown unmasked
	dsid    string // digits: it becomes part of a path
	drive   bool   // whether iCloud Drive is switched on
}

// accountList is the part of MobileMeAccounts.plist that is looked at.
type accountList struct {
	Accounts []struct {
		AccountID   text
		AccountDSID text
		LoggedIn    flag
		Services    []struct {
			Name    text
			Enabled flag
		}
	}
}

// text takes a string or a number: the account's number is either, by version.
type text string

func (t *text) UnmarshalPlist(read func(any) error) error {
	var s string
	if read(&s) == nil {
		*t = text(s)
		return nil
	}
	var n uint64
	if read(&n) == nil {
		*t = text(strconv.FormatUint(n, 10))
	}
	return nil // something else where a text should be tells nothing of the rest
}

// flag takes a boolean or a number, and knows whether there was any.
type flag struct{ set, on bool }

func (f *flag) UnmarshalPlist(read func(any) error) error {
	var b bool
	if read(&b) == nil {
		*f = flag{true, b}
		return nil
	}
	var n uint64
	if read(&n) == nil {
		*f = flag{true, n != 0}
	}
	return nil
}

// largestList is far above any account list: real ones have some kilobytes.
const largestList = 1 << 20

var errPlist = errors.New("not a whole property list")

// readSettings reads an account list, binary or XML.
func readSettings(b []byte) (s settings, err error) {
	s.word = "unknown"
	var list accountList
	if err := unmarshal(b, &list); err != nil {
		return s, err
	}
	if len(list.Accounts) == 0 {
		s.word = "signed-out"
		return s, nil
	}
	a := list.Accounts[0]
	for _, other := range list.Accounts {
		if other.LoggedIn.on {
			a = other
			break
		}
	}
	s.account = string(a.AccountID)
	if digits(string(a.AccountDSID)) {
		s.dsid = string(a.AccountDSID)
	}
	switch {
	case a.LoggedIn.on:
		s.word = "signed-in"
	case a.LoggedIn.set:
		s.word = "signed-out"
	}
	for _, v := range a.Services {
		if v.Name == "MOBILE_DOCUMENTS" {
			s.drive = v.Enabled.on
		}
	}
	return s, nil
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}

// unmarshal reads a property list of either form into a typed value. What would
// make the reader itself work without end (deep nesting, one object referred to
// again and again) is refused before.
func unmarshal(b []byte, to any) (err error) {
	if len(b) > largestList {
		return ErrTooLarge
	}
	switch trimmed := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n"); {
	case bytes.HasPrefix(b, []byte("bplist00")):
		if !flatBinary(b) {
			return errPlist
		}
	case bytes.HasPrefix(trimmed, []byte("<?xml")), bytes.HasPrefix(trimmed, []byte("<plist")), bytes.HasPrefix(trimmed, []byte("<!DOCTYPE")):
		if !flatXML(b) {
			return errPlist
		}
	default:
		return errPlist
	}
	defer func() {
		if recover() != nil {
			err = errPlist
		}
	}()
	if _, err := plist.Unmarshal(b, to); err != nil {
		return errPlist // its words may quote the file
	}
	return nil
}

// Bounds of a list that is read: no real one comes near.
const (
	deepest = 32
	widest  = 512
)

// flatXML reports whether the nesting is shallow and every element is closed.
func flatXML(b []byte) bool {
	depth := 0
	for i := bytes.IndexByte(b, '<'); i >= 0; {
		switch rest := b[i:]; {
		case bytes.HasPrefix(rest, []byte("<array>")), bytes.HasPrefix(rest, []byte("<dict>")):
			if depth++; depth > deepest {
				return false
			}
		case bytes.HasPrefix(rest, []byte("</array>")), bytes.HasPrefix(rest, []byte("</dict>")):
			depth--
		}
		next := bytes.IndexByte(b[i+1:], '<')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return depth == 0 && bytes.HasSuffix(bytes.TrimSpace(b), []byte("</plist>"))
}

// flatBinary reports whether no array or dictionary is wider, and none lies
// deeper, than any real one. The form: eight bytes of name, objects, a table of
// their offsets, and 32 bytes that say where the table is and how wide numbers are.
func flatBinary(b []byte) bool {
	const trailer = 32
	if len(b) < 8+trailer {
		return false
	}
	t := b[len(b)-trailer:]
	offsetSize, refSize := uint64(t[6]), uint64(t[7])
	objects := binary.BigEndian.Uint64(t[8:])
	top := binary.BigEndian.Uint64(t[16:])
	table := binary.BigEndian.Uint64(t[24:])
	body := uint64(len(b) - trailer)
	if offsetSize < 1 || offsetSize > 8 || refSize < 1 || refSize > 8 ||
		objects == 0 || objects > body || top >= objects || table < 8 || table > body || objects*offsetSize > body-table {
		return false
	}
	number := func(at, size uint64) (uint64, bool) {
		if size > 8 || at > body || size > body-at {
			return 0, false
		}
		var n uint64
		for _, c := range b[at : at+size] {
			n = n<<8 | uint64(c)
		}
		return n, true
	}
	// refs lists what an object contains.
	refs := func(object uint64) (at, count uint64, ok bool) {
		at, ok = number(table+object*offsetSize, offsetSize)
		if !ok || at < 8 || at >= table {
			return 0, 0, false
		}
		marker := b[at]
		kind := marker >> 4
		if kind != 0xA && kind != 0xC && kind != 0xD {
			return 0, 0, true
		}
		count, at = uint64(marker&0xF), at+1
		if count == 0xF {
			if at >= table || b[at]>>4 != 1 || b[at]&0xF > 3 {
				return 0, 0, false
			}
			size := uint64(1) << (b[at] & 0xF)
			if count, ok = number(at+1, size); !ok {
				return 0, 0, false
			}
			at += 1 + size
		}
		if count > widest {
			return 0, 0, false
		}
		if kind == 0xD {
			count *= 2
		}
		return at, count, count*refSize <= table-min(at, table)
	}
	depths := make([]uint8, objects) // the deepest place where each was met
	type visit struct{ object, depth uint64 }
	todo, steps := []visit{{top, 1}}, 0
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if steps++; v.depth > deepest || steps > 1<<20 {
			return false
		}
		if uint64(depths[v.object]) >= v.depth {
			continue
		}
		depths[v.object] = uint8(v.depth)
		at, count, ok := refs(v.object)
		if !ok {
			return false
		}
		for i := range count {
			ref, ok := number(at+i*refSize, refSize)
			if !ok || ref >= objects {
				return false
			}
			todo = append(todo, visit{ref, v.depth + 1})
		}
	}
	return true
}
