package pc

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"howett.net/plist"
)

// binaryList lays objects out by hand; offsets and references take two bytes.
type binaryList struct {
	b       []byte
	offsets []int
}

func (l *binaryList) add(o ...byte) {
	l.offsets = append(l.offsets, len(l.b))
	l.b = append(l.b, o...)
}

func (l *binaryList) done() []byte {
	table := len(l.b)
	for _, at := range l.offsets {
		l.b = binary.BigEndian.AppendUint32(l.b, uint32(at))
	}
	l.b = append(l.b, 0, 0, 0, 0, 0, 0, 4, 2)
	for _, n := range []int{len(l.offsets), 0, table} {
		l.b = binary.BigEndian.AppendUint64(l.b, uint64(n))
	}
	return l.b
}

func two(n int) []byte { return []byte{byte(n >> 8), byte(n)} }

// within fails when keys takes longer than reading can.
func within(t *testing.T, b []byte) ([]string, error) {
	t.Helper()
	begun := time.Now()
	names, err := keys(b)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	return names, err
}

// TestDoubling reads a list of sixty lists, each of which holds the next one
// twice: whoever decodes it is never done.
func TestDoubling(t *testing.T) {
	l := binaryList{b: []byte(binaryName)}
	l.add(0xd1, 0, 1, 0, 2)
	l.add(0x51, 'a')
	for i := range 60 {
		l.add(slices.Concat([]byte{0xa2}, two(i+3), two(i+3))...)
	}
	l.add(0x51, 'z')
	if names, err := within(t, l.done()); err != nil || !slices.Equal(names, []string{"a"}) {
		t.Errorf("%q, %v", names, err)
	}
}

// TestDeepBinary reads lists in lists, as many as are let in.
func TestDeepBinary(t *testing.T) {
	l := binaryList{b: []byte(binaryName)}
	l.add(0xd1, 0, 1, 0, 2)
	l.add(0x51, 'a')
	for i := 2; i < maxObjects-1; i++ {
		l.add(slices.Concat([]byte{0xa1}, two(i+1))...)
	}
	l.add(0x51, 'z')
	if _, err := within(t, l.done()); err != nil {
		t.Error(err)
	}
}

// TestOverlapping reads thousands of lists that lie on the same bytes.
func TestOverlapping(t *testing.T) {
	l := binaryList{b: []byte(binaryName)}
	const many = 9000
	l.add(0xd1, 0, 1, 0, 2)
	l.add(0x51, 'a')
	all := slices.Concat([]byte{0xaf, 0x11}, two(many))
	for i := range many {
		all = append(all, two(3+i)...)
	}
	l.add(all...)
	at := len(l.b)
	l.b = append(append(l.b, 0xaf, 0x11), two(many)...)
	for range many {
		l.offsets = append(l.offsets, at)
		l.b = append(l.b, 0, 1)
	}
	if names, err := within(t, l.done()); err == nil {
		t.Errorf("taken for whole: %q", names)
	}
}

func TestApart(t *testing.T) {
	for i, v := range []any{
		map[string]any{}, map[string]any{account: []byte(secret)},
		map[string]any{"a": 1, "b": -1, "c": 1.5, "d": true, "e": time.Unix(0, 0), "f": "ü", "g": []any{"a", make([]byte, 300)}, "h": plist.UID(7), "i": uint64(1) << 63},
		map[string]any{"wide": slices.Repeat([]any{"x"}, 2000), "text": fmt.Sprintf("%0500d", 1)},
	} {
		b := encode(t, v, plist.BinaryFormat)
		if !apart(b) {
			t.Errorf("%d: a whole one is called damaged", i)
		}
		for n := range len(b) {
			apart(b[:n])
		}
	}
}

func FuzzApart(f *testing.F) {
	f.Add(accountsPlist(f, plist.BinaryFormat))
	f.Add(settingsPlist(f, plist.BinaryFormat))
	f.Fuzz(func(t *testing.T, b []byte) {
		apart(b)
		within(t, append([]byte(binaryName), b...))
	})
}
