package sqlite

import (
	"time"

	"readmit.dev/readmit/store"
)

// begun remembers what the first message of a sign-in read, for its last one:
// a subject as Find gave it, and what was found of a device. It is the
// writer's alone, every write of the writer goes through it, and it is emptied
// where a transaction is rolled back.
//
// Find never asks it, and Device only where Subject was answered from it: the
// first message reads the store for a known identifier and an unknown one, and
// the last remembers both, so neither tells the two apart.
type begun struct {
	subjects map[store.ID]store.Subject
	devices  map[place]looked
	places   map[ownID]place
}

type place struct {
	account store.ID
	key     store.Thumbprint
}

// looked is what a look for a device gave: it, or that there is none.
type looked struct {
	store.Device
	err error
}

type ownID struct{ account, device store.ID }

// begunKept is how many of each are remembered, at most 4 MB. Then all begins
// anew: what is not remembered is read.
const begunKept = 4096

func (b *begun) forget() { *b = begun{} }

func (b *begun) putSubject(s store.Subject) {
	if b == nil {
		return
	}
	if b.subjects == nil || len(b.subjects) >= begunKept {
		b.subjects = map[store.ID]store.Subject{}
	}
	b.subjects[s.ID] = s
}

func (b *begun) subject(id store.ID) (store.Subject, bool) {
	if b == nil {
		return store.Subject{}, false
	}
	s, ok := b.subjects[id]
	return s, ok
}

// saved is a subject written, all but what is hot of it. It stays remembered,
// so that a stranger's last message does not tell that an account changed.
func (b *begun) saved(s store.Subject) {
	old, ok := b.subject(s.ID)
	if !ok {
		return
	}
	s.Ghost, s.Hot = old.Ghost, old.Hot
	for _, at := range []*time.Time{&s.Created, &s.Disabled, &s.PasswordChanged} {
		*at = kept(*at)
	}
	b.subjects[s.ID] = s
}

// kept is a time as it comes back from the database.
func kept(t time.Time) time.Time { return instant(micros(t)) }

func (b *begun) savedHot(id store.ID, h store.SubjectHot) {
	if s, ok := b.subject(id); ok {
		s.Hot = h
		b.subjects[id] = s
	}
}

func (b *begun) putDevice(p place, d looked) {
	if b == nil {
		return
	}
	if b.devices == nil || len(b.devices) >= begunKept {
		b.devices, b.places = map[place]looked{}, map[ownID]place{}
	}
	b.devices[p] = d
	if d.err == nil {
		b.places[ownID{p.account, d.ID}] = p
	}
}

func (b *begun) device(p place) (looked, bool) {
	if b == nil {
		return looked{}, false
	}
	d, ok := b.devices[p]
	return d, ok
}

func (b *begun) placeOf(account, device store.ID) place {
	if b == nil {
		return place{}
	}
	return b.places[ownID{account, device}]
}

func (b *begun) dropDevice(p place) {
	if b != nil {
		delete(b.devices, p)
	}
}

func (b *begun) savedDeviceHot(account, device store.ID, h store.DeviceHot) {
	p := b.placeOf(account, device)
	d, ok := b.device(p)
	if !ok || d.ID != device { // the key was enrolled anew
		return
	}
	for _, at := range []*time.Time{&h.Own.OpenUntil, &h.Own.LockedUntil, &h.Own.LastFailure, &h.LastSeen} {
		*at = kept(*at)
	}
	d.Hot = h
	b.devices[p] = d
}
