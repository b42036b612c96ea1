package sqltx

import (
	"slices"
	"time"

	"readmit.dev/readmit/lockout"
	"readmit.dev/readmit/store"
)

// Memory is what has been read and written of accounts, their devices and the
// counters of strangers by the one connection that writes a database: the last
// message of a sign-in needs what the first has read. It holds only while nobody
// else writes, and is to be emptied whenever anything is taken back. The zero
// value is empty; a nil one remembers nothing.
//
// Find always reads, and the accounts' ghosts are remembered as accounts are:
// whether there is an account makes no difference to what is read and what is
// not.
type Memory struct {
	accounts map[store.ID]*known
	lanes    map[store.Lane]lockout.State
}

// known is what is remembered of one account.
type known struct {
	subject store.Subject
	has     bool // subject is remembered, not only devices
	devices []store.Device
	absent  []store.Thumbprint // keys that are no device's
}

const (
	// memoryMost is how many accounts are remembered, at some 2 KB each, and how
	// many counters, until all are forgotten: many more than attempts can be open
	// at once.
	memoryMost = 2048
	// memoryDevices and memoryAbsent are how many of an account are: those that
	// were looked for last.
	memoryDevices = 4
	memoryAbsent  = 16
)

// Forget empties it.
func (m *Memory) Forget() {
	if m != nil {
		clear(m.accounts)
		clear(m.lanes)
	}
}

// of is what is remembered of an account; nil for nothing.
func (m *Memory) of(account store.ID) *known {
	if m == nil {
		return nil
	}
	return m.accounts[account]
}

func (m *Memory) drop(account store.ID) {
	if m != nil {
		delete(m.accounts, account)
	}
}

// put is where more of an account is remembered; nil where nothing is.
func (m *Memory) put(account store.ID) *known {
	if m == nil {
		return nil
	}
	if k := m.accounts[account]; k != nil {
		return k
	}
	if m.accounts == nil || len(m.accounts) >= memoryMost {
		m.accounts = map[store.ID]*known{}
	}
	k := &known{}
	m.accounts[account] = k
	return k
}

func (m *Memory) keepSubject(s store.Subject) {
	if k := m.put(s.ID); k != nil {
		k.subject, k.has = s, true
	}
}

func (m *Memory) keepDevice(d store.Device) {
	if k := m.put(d.Account); k != nil {
		k.devices = append(last(k.devices, memoryDevices-1), d)
	}
}

// keepAbsent: there is no device with this key.
func (m *Memory) keepAbsent(account store.ID, key store.Thumbprint) {
	if k := m.put(account); k != nil {
		k.absent = append(last(k.absent, memoryAbsent-1), key)
	}
}

func last[T any](list []T, most int) []T { return list[max(0, len(list)-most):] }

func (m *Memory) isAbsent(account store.ID, key store.Thumbprint) bool {
	k := m.of(account)
	return k != nil && slices.Contains(k.absent, key)
}

func (m *Memory) lane(l store.Lane) (lockout.State, bool) {
	if m == nil {
		return lockout.State{}, false
	}
	s, ok := m.lanes[l]
	return s, ok
}

func (m *Memory) keepLane(l store.Lane, s lockout.State) {
	if m == nil {
		return
	}
	if m.lanes == nil || len(m.lanes) >= memoryMost {
		m.lanes = map[store.Lane]lockout.State{}
	}
	m.lanes[l] = s
}

func (m *Memory) subject(id store.ID) (store.Subject, bool) {
	k := m.of(id)
	if k == nil || !k.has {
		return store.Subject{}, false
	}
	return k.subject, true
}

func (m *Memory) device(account store.ID, key store.Thumbprint) (store.Device, bool) {
	if k := m.of(account); k != nil {
		if i := slices.IndexFunc(k.devices, func(d store.Device) bool { return d.Thumbprint == key }); i >= 0 {
			return k.devices[i], true
		}
	}
	return store.Device{}, false
}

// savedSubject and savedDevice follow a statement that has written the hot part
// of a row: what is remembered is what a reader would find.

func (m *Memory) savedSubject(id store.ID, h store.SubjectHot) {
	if k := m.of(id); k != nil {
		k.subject.Hot = h
	}
}

func (m *Memory) savedDevice(account, id store.ID, h store.DeviceHot) {
	k := m.of(account)
	if k == nil {
		return
	}
	h.Own, h.LastSeen = kept(h.Own), instant(micros(h.LastSeen))
	for i := range k.devices {
		if k.devices[i].ID == id {
			k.devices[i].Hot = h
		}
	}
}

// kept is a counter as it is read again.
func kept(c lockout.State) lockout.State {
	for _, t := range []*time.Time{&c.OpenUntil, &c.LockedUntil, &c.LastFailure} {
		*t = instant(micros(*t))
	}
	return c
}
