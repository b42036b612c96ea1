package store

import (
	"encoding/binary"
	"sync/atomic"
)

// Changes tells whoever remembers what was read of an account whether that
// still holds. A store notes here, after a commit and before it is answered,
// whose subject, devices or sessions were changed; hot parts do not count.
// Accounts share places in a table of fixed size, so that a change may be seen
// where there was none, never the other way round.
type Changes struct {
	all   atomic.Uint64
	marks [4096]atomic.Uint64
}

func (c *Changes) mark(account ID) *atomic.Uint64 {
	return &c.marks[binary.BigEndian.Uint16(account[:])%uint16(len(c.marks))]
}

// Note marks accounts as changed.
func (c *Changes) Note(accounts ...ID) {
	// In this order: who reads a new mark below also reads a new total.
	c.all.Add(1)
	for _, id := range accounts {
		c.mark(id).Add(1)
	}
}

// Begin is called before a read.
func (c *Changes) Begin() uint64 { return c.all.Load() }

// End is called after it, and gives the mark under which the account that was
// read can be remembered. It is false when something changed meanwhile.
func (c *Changes) End(begun uint64, account ID) (mark uint64, ok bool) {
	mark = c.Mark(account)
	return mark, c.all.Load() == begun
}

// Mark is what stays the same while an account does.
func (c *Changes) Mark(account ID) uint64 { return c.mark(account).Load() }
