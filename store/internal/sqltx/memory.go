package sqltx

import (
	"slices"
	"time"

	"readmit.dev/readmit/store"
)

// Memory is what has been read and written of accounts and their devices by the
// one connection that writes a database: the last message of a sign-in needs
// what the first has read. It holds only while nobody else writes, and is to be
// emptied whenever anything is taken back. The zero value is empty; a nil one
// remembers nothing.
//
// Only what was found is remembered, and Find always reads: whether there is an
// account makes no difference to what is read and what is not.
type Memory struct {
	accounts map[store.ID]*known
}

// known is what is remembered of one account.
type known struct {
	subject store.Subject
	has     bool // subject is remembered, not only devices
	devices []store.Device
}

const (
	// memoryMost is how many accounts are remembered, at some 2 KB each, until all
	// are forgotten: many more than attempts can be open at once.
	memoryMost = 2048
	// memoryDevices is how many devices of an account are.
	memoryDevices = 4
)

// Forget empties it.
func (m *Memory) Forget() {
	if m != nil {
		clear(m.accounts)
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
	if k := m.put(d.Account); k != nil && len(k.devices) < memoryDevices {
		k.devices = append(k.devices, d)
	}
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
	for _, t := range []*time.Time{&h.Own.OpenUntil, &h.Own.LockedUntil, &h.Own.LastFailure, &h.LastSeen} {
		*t = instant(micros(*t))
	}
	for i := range k.devices {
		if k.devices[i].ID == id {
			k.devices[i].Hot = h
		}
	}
}
